"""A loop takes over the starts of the version before, and large ledgers stay cheap [WP-1, WP-3]."""

from __future__ import annotations

from datetime import timedelta

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage
from workpool_aws.adapters.items.codec import encode
from workpool_aws.core import limits
from workpool_aws.core.loop.pace import commit_units
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import Started
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey, Ledger
from workpool_aws.model.work import State

BASE36_DEADLINE = "mjup73sg"
"""Three hours after NOW, as format 1 spelled it."""


def place_format_1(stage: Stage, *slots: str) -> None:
    """A ledger as the version before left it when its loop was stopped."""
    item = encode(Ledger(pool=POOL, holder="the loop before", generation=0, version=3))
    stage.memory.inject(str(item["pk"]), str(item["sk"]), {**item, "en": list(slots)})


def test_upgrade_with_work_in_flight_loses_and_doubles_nothing() -> None:
    """[WP-3] [WP-4] One work runs, one was committed and never started, one waits for a slot."""
    stage = Stage(takes_ms=1_000)
    running = a_running_work(
        started_by="the loop before", deadline=EpochMs(int(BASE36_DEADLINE, 36))
    )
    committed = a_work(id=an_id(n=2))
    stage.place(running, committed)
    place_format_1(
        stage, f"{running.id}:1:{BASE36_DEADLINE}:c", f"{committed.id}:1:{BASE36_DEADLINE}"
    )
    waiting = stage.pool(max_parallelism=2).enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert [(a.work_id, a.start) for a in stage.invoker.started] == [
        (committed.id, 1),
        (waiting, 1),
    ]
    assert (stage.work(waiting).started_at or 0) >= (
        stage.work(committed.id).finished_at or NOW + 60_000
    )
    assert stage.work(running.id).state is State.RUNNING
    assert set(stage.ledger().entries) == {EntryKey(running.id, 1)}
    (item,) = (item for item in stage.memory.items(f"{POOL}#control") if item["sk"] == "ledger")
    assert isinstance(item["en"], bytes)


def test_ledger_of_version_before_still_fills_its_slots() -> None:
    """[WP-1] What it names counts."""
    stage = Stage(takes_ms=None)
    running = a_running_work(
        started_by="the loop before", deadline=EpochMs(int(BASE36_DEADLINE, 36))
    )
    stage.place(running)
    place_format_1(stage, f"{running.id}:1:{BASE36_DEADLINE}:c")
    waiting = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.ledger().generation == stage.generation() == 1
    assert stage.invoker.started == []
    assert stage.work(waiting).state is State.PENDING


def test_due_work_beside_many_long_ones_starts_within_second_for_few_units() -> None:
    """[WP-20] Ten short work items a second beside 300 long ones cost five write units each at most, and
    none starts later than a second.
    """
    with LocalCloud(engine="memory", seed=1, call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool(max_parallelism=350)
        long_fn = cloud.function(
            lambda _event, _: None,
            name="long",
            takes=timedelta(minutes=14),
            timeout=timedelta(minutes=15),
        )
        short_fn = cloud.function(
            pool.action(lambda: None), name="short", takes=timedelta(milliseconds=600)
        )
        for _ in range(300):
            pool.enqueue_query(None, long_fn, {})
            cloud.advance(timedelta(milliseconds=40))
        cloud.advance(timedelta(seconds=5))
        before = cloud.capacity.write_units
        for _ in range(60):
            pool.enqueue_query(None, short_fn, {})
            cloud.advance(timedelta(milliseconds=100))
        units = cloud.capacity.write_units - before
        lags = [event.lag_ms for event in cloud.facts if isinstance(event, Started)]

    assert units / 60 <= 5
    assert len(lags) >= 350
    assert max(lags) <= limits.DUE_TO_START_MS


def test_pace_knows_what_commit_costs() -> None:
    """The units that `commit_units` gives for 60 slots are those of the item, to within one."""
    with LocalCloud(engine="memory", seed=4) as cloud:
        pool = cloud.workpool(max_parallelism=60)
        fn = cloud.function(
            lambda _event, _: None,
            name="long",
            takes=timedelta(minutes=14),
            timeout=timedelta(minutes=15),
        )
        for _ in range(60):
            pool.enqueue_query(None, fn, {})
            cloud.advance(timedelta(milliseconds=40))
        before = cloud.capacity.by_label["ledger.update"]
        pool.configure(None, max_parallelism=61)
        after = cloud.capacity.by_label["ledger.update"]

    assert abs((after.write_units - before.write_units) - commit_units(60, 0)) <= 1

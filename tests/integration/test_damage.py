"""A damaged item, a bad payload or a bad function affects its own work only [WP-12]."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import FAILED, LAMBDA_MS, Stage, order
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy, StoreUnavailable, Workpool
from workpool_aws.adapters.items.capacity import item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.forms import Value
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.flow.loop.session import ReportsOnce, acquire_session
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import ControlRepaired, LoopEnded, LoopFenced, SetAside
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, Ledger, LoopState, LoopStatus
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import (
    ConfigRef,
    LedgerRef,
    NoticeRef,
    PointerRef,
    RegistrationRef,
    StatusRef,
    WorkRef,
)
from workpool_aws.model.work import Pointer, State

GENERATION = 3


def set_aside(sort: str) -> SetAside:
    return SetAside(pool=POOL, partition="p", sort=sort, reason="damaged")


def test_damaged_row_of_works_is_reported_and_passed_over() -> None:
    """[WP-12] Before and behind it, everything runs; it is neither removed nor repaired."""
    stage = Stage()
    pool = stage.pool(max_parallelism=1)
    before = pool.enqueue_action_batch(None, TARGET, [{}] * 3)
    bad = WorkRef(POOL, an_id(NOW, 5))
    stage.damage(bad)
    stage.damage(PointerRef(POOL, an_id(NOW - 50, 6)))
    after = pool.enqueue_action(None, TARGET, {}, run_after=timedelta(seconds=3))
    stage.run()

    assert {stage.work(work_id).state for work_id in [*before, after]} == {State.FINISHED}
    assert stage.status().state is LoopState.IDLE
    assert key_of(bad).sk in {fact.sort for fact in stage.telemetry.of(SetAside)}
    assert stage.memory.peek(bad) is not None


TYPE = "x" * 600
FULL: Mapping[str, Value] = {}
UNWRITABLE: Mapping[str, Mapping[str, Value]] = {
    "attempts with long types": {"h": [f"0:abc:5:f:{TYPE}:e"] * 4},
    "all attempts that can be read": {"n": limits.STORED_STARTS_BELOW - 1},
    "as large as an item can be": FULL,
}


@pytest.mark.parametrize("state", ["pending", "running"])
@pytest.mark.parametrize("change", UNWRITABLE.values(), ids=UNWRITABLE)
def test_work_item_that_can_be_read_can_be_written_with_what_follows(
    change: Mapping[str, Value], state: str
) -> None:
    """[WP-12] Started, lost, and recovered: the loop of its pool never ends by it."""
    stage = Stage()
    retry = RetryPolicy(max_attempts=3, initial_backoff=timedelta(seconds=1))
    deadline = EpochMs(NOW + 10_000)
    bad = (
        a_work(id=an_id(NOW, 5), claimed=True)
        if state == "pending"
        else a_running_work(id=an_id(NOW, 5), retry=retry, deadline=deadline)
    )
    item = encode(bad)
    full = {"zz": "x" * (limits.ITEM_BYTES_MAX - len("zz") - item_size(item))}
    stage.memory.inject(
        str(item["pk"]), str(item["sk"]), {**item, **(full if change is FULL else change)}
    )
    stage.invoker.on_start = lambda a: (
        None if a.work_id == bad.id else stage.after(1_000, lambda: stage.complete(a))
    )
    stage.place(
        Ledger(
            pool=POOL,
            holder="gone",
            generation=1,
            version=1,
            entries={EntryKey(bad.id, 1): Entry(deadline, confirmed=True)},
        ),
        LoopStatus(pool=POOL, state=LoopState.RUNNING, generation=1, lease_until=NOW),
    )
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(600_000, watchdog=True)

    assert stage.work(work_id).state is State.FINISHED
    assert stage.telemetry.of(LoopEnded) == []


def test_damaged_rows_hide_no_work() -> None:
    """[WP-12] More of them than a page holds."""
    stage = Stage()
    for n in range(40):
        stage.damage(WorkRef(POOL, an_id(NOW - 1_000 + n, n + 1)))
    work_id = stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
    stage.run(10_000)

    assert stage.work(work_id).state is State.FINISHED


def test_damaged_report_hides_no_other() -> None:
    """[WP-12] [WP-21]"""
    stage = Stage()
    for n in range(3):
        stage.damage(NoticeRef(POOL, an_id(NOW + 500 + n, n + 1)))
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run(30_000)

    assert {stage.work(work_id).state for work_id in ids} == {State.FINISHED}
    assert stage.ledger().entries == {}


def test_pointer_to_damaged_work_hurts_no_other_work() -> None:
    """[WP-12]"""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {}, retry=True)
    stage.run(1_000)
    (a,) = stage.invoker.started
    stage.complete(a, FAILED)
    stage.damage(WorkRef(POOL, work_id))
    other = pool.enqueue_action(None, TARGET, {})
    stage.invoker.on_start = lambda started: stage.after(10, lambda: stage.complete(started))
    stage.run(60_000)

    assert stage.work(other).state is State.FINISHED
    assert stage.status().state is LoopState.IDLE


def test_work_that_is_damaged_while_it_runs_frees_its_slot_after_its_deadline() -> None:
    """[WP-12] [WP-21]"""
    stage = Stage(takes_ms=None)
    bad, good = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 2)
    stage.invoker.on_start = lambda a: (
        stage.after(10, lambda: stage.complete(a)) if a.work_id == good else None
    )
    stage.after(5_000, lambda: stage.damage(WorkRef(POOL, bad)))
    stage.run(watchdog=True)

    assert stage.work(good).state is State.FINISHED
    assert stage.ledger().entries == {}


@pytest.mark.parametrize(
    "ref", [StatusRef("bad"), LedgerRef("bad"), ConfigRef("bad"), RegistrationRef("bad")]
)
def test_pool_whose_own_items_are_damaged_hurts_no_other_pool(ref: Ref) -> None:
    """[WP-12] The watchdog and the loop go on with the rest of the table."""
    stage = Stage()
    bad = Workpool(TABLE, "bad", ports=stage.ports)
    bad.enqueue_action(None, TARGET, {})
    stage.run(60_000)
    stage.damage(ref)
    with suppress(StoreUnavailable):
        bad.enqueue_action(None, TARGET, {})
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(300_000, watchdog=True)

    assert {stage.work(a.work_id).state for a in stage.invoker.started if a.pool == POOL} == {
        State.FINISHED
    }
    assert len([a for a in stage.invoker.started if a.pool == POOL]) == 1


def test_bad_function_hurts_no_other_work() -> None:
    """[WP-12] One that does not exist, one that raises, one that answers what is no JSON."""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=1)
        raising = cloud.function(lambda _event, _: 1 / 0, name="raising")
        answering = cloud.function(lambda _event, _: {1, 2}, name="answering")
        good = cloud.function(lambda event, _: event["n"], name="good")
        ids = [
            pool.enqueue_action(None, fn, {"n": 1}) for fn in (raising, "nobody", answering, good)
        ]
        cloud.run_until_idle()
        kinds = [pool.status(None, work_id).outcome for work_id in ids]

        assert kinds == ["failed", "failed", "failed", "success"]


def test_pointer_to_damaged_work_stays_for_who_repairs_it_and_one_to_work_that_is_gone_goes() -> (
    None
):
    """[WP-12]"""
    stage = Stage()
    damaged, gone = an_id(NOW - 500, 5), an_id(NOW - 400, 6)
    stage.damage(WorkRef(POOL, damaged))
    kept, useless = (
        Pointer(pool=POOL, at=an_id(NOW - 50, n), work_id=work_id)
        for n, work_id in ((7, damaged), (8, gone))
    )
    stage.place(kept, useless)
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(10_000)

    assert stage.pointers() == [kept]


def test_loop_that_fails_for_reason_of_its_own_says_so() -> None:
    """[WP-12] Lambda would count a failure without the name of the pool."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})

    def fail(key: object) -> None:
        raise ZeroDivisionError(str(key)[:0])

    stage.store.query = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        stage.serve(order(stage.generation()))

    assert [fact.error for fact in stage.telemetry.of(LoopEnded)] == ["ZeroDivisionError: "]


def test_work_items_due_long_before_their_keys_wait_for_these_and_keep_no_loop_up() -> None:
    """[WP-23] A look without bound would find them, and no pass: the loop would go on ten times a second, for ever."""
    stage = Stage(takes_ms=100)
    far = stage.clock.at + 86_400_000
    forged = [a_work(id=an_id(EpochMs(far + n), n + 1), due_at=EpochMs(NOW)) for n in range(100)]
    stage.place(*forged)
    mine = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(600_000, watchdog=True)

    assert stage.work(mine).state is State.FINISHED
    assert {stage.work(each.id).state for each in forged} == {State.PENDING}
    assert stage.status().state is not LoopState.RUNNING
    assert len(stage.clock.slept_ms) < 100


def test_work_item_with_least_key_of_its_time_is_waited_for_at_rest() -> None:
    """[WP-23] The key at which a look before rest ends is not part of what it looks at."""
    stage = Stage(takes_ms=100)
    far = EpochMs(stage.clock.at + 86_400_000)
    stage.place(a_work(id=an_id(far, 0), due_at=far))
    mine = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(600_000, watchdog=True)

    assert stage.work(mine).state is State.FINISHED
    assert stage.status().state is LoopState.WAITING
    assert len(stage.clock.slept_ms) < 100


def test_damaged_item_is_reported_once_and_only_up_to_bound(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[WP-12] A pass meets it four times a second: without this it would fill the log all night."""
    monkeypatch.setattr(limits, "QUARANTINE_REPORTS_MAX", 2)
    fenced = LoopFenced(pool=POOL, generation=1)
    damage_told = ReportsOnce(stage.telemetry)

    for fact in [
        set_aside("a"),
        set_aside("a"),
        fenced,
        set_aside("b"),
        fenced,
        set_aside("c"),
        set_aside("a"),
    ]:
        damage_told.emit(fact)

    assert [fact.sort for fact in stage.telemetry.of(SetAside)] == ["a", "b"]
    assert len(stage.telemetry.of(LoopFenced)) == 2
    assert damage_told.set_aside == 2


def test_damaged_ledger_is_made_anew_by_its_next_holder(stage: Stage) -> None:
    """[WP-12] And the loop before, if it lives, commits nothing any more."""
    stage.resting_as(LoopState.RUNNING, generation=GENERATION)
    stage.damage(LedgerRef(POOL))
    hold = acquire_session(stage.ports, POOL, GENERATION, lambda: LAMBDA_MS)

    assert hold is not None
    assert stage.ledger() == hold.ledger
    assert acquire_session(stage.ports, POOL, GENERATION, lambda: LAMBDA_MS) is None
    assert [(fact.item, fact.pool) for fact in stage.telemetry.of(ControlRepaired)] == [
        ("ledger", POOL)
    ]

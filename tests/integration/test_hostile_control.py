"""Damaged control items are repaired where that is safe, and else reported once an hour.

No other pool is affected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_running_work, an_id
from tests.kit.stage import FAILED, SUCCESS, Stage
from tests.kit.world import TABLE
from workpool_aws import RetryPolicy, Workpool
from workpool_aws.adapters.items.capacity import item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.flow.watchdog.register import register
from workpool_aws.flow.watchdog.survey import survey
from workpool_aws.flow.watchdog.turns import in_turn
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.model.events import ControlRepaired, KickFailed, LoopTook, SetAside, WatchdogActed
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Entry,
    EntryKey,
    LoopState,
    LoopStatus,
    MinuteTally,
    PendingCallback,
    Registration,
)
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import (
    ConfigRef,
    KeyRange,
    LedgerRef,
    RegistrationRef,
    RowPage,
    StatusRef,
)
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State

HOUR = 3_600_000
STATUS: list[Mapping[str, object]] = [
    {"s": "running", "g": 999_999_999, "l": 0},
    {"s": "running", "g": 10**12 - 1, "l": 0},
    {"s": "running", "g": 10**12, "l": 0},
    {"s": "waiting", "g": 1, "l": 0, "wk": 2**48},
    {"s": "dancing", "g": 1, "l": 0},
    {"s": "idle", "g": "1", "l": 0},
    {"s": "idle", "g": -1, "l": 0},
    {},
]
LEDGERS: list[Mapping[str, object]] = [
    {"sh": ["::0"] * 33},
    {"sh": []},
    {"sh": ["no id:no id:0"]},
    {"en": b"\x07junk"},
    {"en": [1, 2]},
    {"ta": "0:0.0.0.0:" + "111x" * 26 + "!"},
    {"cb": ["x"]},
    {"g": "many"},
    {"g": 10**15},
    {"g": -1},
    {"v": "many"},
    {"v": 10**15},
    {"h": 5},
]


def inject(stage: Stage, ref: Ref, item: Mapping[str, object]) -> None:
    key = key_of(ref)
    stage.memory.inject(
        key.pk, key.sk, {name: value for name, value in item.items() if name not in {"pk", "sk"}}
    )


def swollen(item: Mapping[str, object]) -> dict[str, object]:
    """The item, with so much beside it that nothing more has room."""
    return {**item, "zz": "x" * (limits.ITEM_BYTES_MAX - len("zz") - item_size({**item}))}


def finishes_another_pools_work(stage: Stage) -> None:
    other = Workpool(TABLE, "zebra", ports=stage.ports)
    work_id = other.enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()  # the kicker died, so the watchdog alone finds it
    stage.run(180_000, watchdog=True)
    assert other.status(None, work_id).outcome == "success"


@pytest.mark.parametrize("item", STATUS, ids=str)
def test_damaged_status_is_written_anew_and_its_pool_goes_on(item: Mapping[str, object]) -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    inject(stage, StatusRef(POOL), item)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    finishes_another_pools_work(stage)

    assert stage.work(work_id).state is State.FINISHED
    assert stage.status().state is LoopState.IDLE


def test_retry_on_its_way_is_found_again_when_ledger_is_made_anew() -> None:
    """[WP-3] Its pointer went when its event was sent, and the event is lost."""
    stage = Stage(report=FAILED)
    retry = RetryPolicy(max_attempts=2, jitter=False)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=retry)
    run_worker = stage.invoker.on_start
    stage.invoker.on_start = lambda a: run_worker(a) if a.start == 1 else None
    stage.run(5_000)
    assert stage.pointers() == []
    inject(stage, LedgerRef(POOL), {**encode(stage.ledger()), "en": 7})
    stage.report = SUCCESS
    stage.invoker.on_start = run_worker
    stage.run(600_000, watchdog=True)

    assert stage.work(work_id).outcome is Outcome.SUCCESS


@pytest.mark.parametrize("change", LEDGERS, ids=str)
def test_damaged_ledger_is_made_anew_with_all_that_runs(change: Mapping[str, object]) -> None:
    """[WP-1] [WP-21] A slot for each running start, and one delivery of each owed callback."""
    stage = Stage()
    stage.pool(max_parallelism=2).enqueue_action(None, TARGET, {})
    stage.run(60_000)
    running = a_running_work(
        id=an_id(stage.clock.at, 5), deadline=EpochMs(stage.clock.at + 600_000)
    )
    owing = a_running_work(
        id=an_id(stage.clock.at, 6),
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        result="1",
        finished_at=EpochMs(stage.clock.at),
        on_complete=TARGET,
        callback=CallbackState.PENDING,
    )
    stage.place(running, owing)
    whole = replace(
        stage.ledger(),
        entries={EntryKey(running.id, 1): Entry(EpochMs(stage.clock.at + 600_000), confirmed=True)},
        callbacks=(PendingCallback(owing.id, EpochMs(stage.clock.at)),),
    )
    inject(stage, LedgerRef(POOL), {**encode(whole), **change})
    ids = stage.pool().enqueue_action_batch(None, TARGET, [{}] * 3)
    finishes_another_pools_work(stage)

    assert {stage.work(each).state for each in ids} == {State.FINISHED}
    assert EntryKey(running.id, 1) in stage.ledger().entries
    assert stage.work(owing.id).callback is not CallbackState.PENDING
    # Generation and holder are what taking it writes anyway.
    told = [] if change in ({"g": -1}, {"h": 5}) else [("ledger", POOL)]
    assert [(event.item, event.pool) for event in stage.telemetry.of(ControlRepaired)] == told


@pytest.mark.parametrize(
    "counts",
    [
        {"ta": "0:999999999999.0.0.0:"},
        {"ta": "0:0.0.0.0:0x999999999999"},
        {"tj": "0:crawl=999999999999.0.0.0"},
        {"tj": "0:" + ",".join(f"job-{number}=1.0.0.0" for number in range(17))},
        {"tj": "0:a b=1.0.0.0"},
    ],
    ids=["outcomes", "lags", "outcomes of a job", "too many jobs", "name of no job"],
)
def test_counts_to_which_nothing_can_be_added_are_damage(counts: dict[str, str]) -> None:
    """[WP-12] They would fail each commit of the pool: a ledger is read only if it can be written with one more of everything."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    inject(stage, LedgerRef(POOL), {**encode(stage.ledger()), **counts})
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.work(work_id).state is State.FINISHED
    assert [event.item for event in stage.telemetry.of(ControlRepaired)] == ["ledger"]


def test_minute_of_counts_that_never_ends_is_dropped() -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    ahead = MinuteTally(since=EpochMs(stage.clock.at + 120_000), failed=7)
    inject(stage, LedgerRef(POOL), encode(replace(stage.ledger(), tally=ahead)))
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    tally = stage.ledger().tally
    assert tally is not None
    assert (tally.succeeded, tally.failed) == (1, 0)


@pytest.mark.parametrize("ref", [StatusRef(POOL), LedgerRef(POOL)], ids=["status", "ledger"])
def test_control_item_as_large_as_item_can_be_is_written_anew(ref: Ref) -> None:
    """[WP-12] By an attribute that no one reads: DynamoDB refuses each update of it."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    inject(
        stage,
        ref,
        swollen(encode(stage.status() if isinstance(ref, StatusRef) else stage.ledger())),
    )
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)

    assert stage.work(work_id).state is State.FINISHED
    assert len(stage.telemetry.of(ControlRepaired)) == 1


def test_damaged_ledger_of_resting_pool_is_made_anew_by_next_tick() -> None:
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    inject(stage, LedgerRef(POOL), {"h": "x"})
    stage.watch()
    stage.run(10_000)

    assert stage.ledger().generation == 2
    assert [event.reason for event in stage.telemetry.of(WatchdogActed)] == [
        "the ledger cannot be read"
    ]


def test_pool_whose_config_is_damaged_starts_nothing_and_spins_nowhere() -> None:
    """[WP-13] It may have said pause.

    Told of once an hour by the watchdog, and repaired by whoever configures the pool.
    """
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    inject(stage, ConfigRef(POOL), {"max": 10**9})
    started = len(stage.invoker.started)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(2 * HOUR, watchdog=True)

    assert len(stage.invoker.started) == started
    assert len(stage.telemetry.of(LoopTook)) <= 3
    assert len([event for event in stage.telemetry.of(SetAside) if event.sort == "config"]) <= 8
    stage.pool().configure(None, max_parallelism=3)
    stage.run(60_000)
    assert stage.work(work_id).state is State.FINISHED
    assert [event.item for event in stage.telemetry.of(ControlRepaired)] == ["config"]


def test_damaged_row_of_registry_is_written_anew() -> None:
    """[WP-20] Its key is the pool's name, so nothing can drop a pool from the watchdog's sight by writing over it."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    inject(stage, RegistrationRef(POOL), {"at": "never"})
    stage.run(180_000, watchdog=True)

    assert stage.work(work_id).state is State.FINISHED
    assert isinstance(stage.memory.peek(RegistrationRef(POOL)), Registration)
    assert [event.item for event in stage.telemetry.of(ControlRepaired)] == ["registry"]


def test_lasting_damage_is_reported_by_watchdog_once_an_hour() -> None:
    stage = Stage()
    stage.memory.inject("#pools", "no pool's name", {"at": 1})
    stage.run(3 * HOUR, watchdog=True)

    assert len(stage.telemetry.of(SetAside)) == 3


def test_lasting_damage_is_reported_once_an_hour_by_other_parts_of_tick_too() -> None:
    stage = Stage()
    stage.place(
        LoopStatus(pool=POOL, state=LoopState.WAITING, generation=1, lease_until=NOW),
        Registration(pool=POOL, registered_at=NOW),
    )
    stage.memory.inject("#pools", "no pool's name", {"at": 1})
    inject(stage, ConfigRef(POOL), {"max": 10**9})
    for _ in range(60):
        stage.clock.at += limits.WATCHDOG_MS
        register(stage.ports, [POOL])
        survey(stage.ports)

    told = Counter(event.sort for event in stage.telemetry.of(SetAside))
    assert told == {"no pool's name": 2, "config": 1}, (
        "the registry is read by both, the config by the survey"
    )


@pytest.mark.parametrize(
    "error", [ValueError("sk-stored-4111"), ZeroDivisionError(), KeyError("x"), RecursionError()]
)
def test_watchdog_goes_on_after_any_error_of_pool(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[WP-12] The event names pool and place, but no text of the error, which may quote stored data."""
    stage = Stage()
    for name in ("aardvark", "zebra"):
        Workpool(TABLE, name, ports=stage.ports).enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    stage.clock.at += 60_000
    get = stage.store.get

    def failing(ref: Ref) -> object:
        if ref == StatusRef("aardvark"):
            raise error
        return get(ref)

    monkeypatch.setattr(stage.store, "get", failing)
    stage.watch()
    survey(stage.ports)

    assert [each.pool for each in stage.invoker.loops] == ["zebra"]
    told = stage.telemetry.of(KickFailed)
    assert {event.pool for event in told} == {"aardvark"}
    assert all(
        event.error.startswith(f"{type(error).__name__} in failing, line ") for event in told
    )
    assert "4111" not in str(told)


def test_slow_pool_takes_its_share_of_tick_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """[WP-12] Each of its answers takes four seconds."""
    stage = Stage()
    for name in ("aardvark", "zebra"):
        Workpool(TABLE, name, ports=stage.ports).enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    stage.clock.at += 60_000
    query, get, slow = stage.store.query, stage.store.get, list[object]()

    def note(asked: Ref | KeyRange) -> None:
        if asked != RegistrationRef("aardvark") and getattr(asked, "pool", "") == "aardvark":
            slow.append(asked)
            stage.clock.at += 4_000

    def slow_query(key_range: KeyRange) -> RowPage:
        note(key_range)
        return query(key_range)

    def slow_get(ref: Ref) -> object:
        note(ref)
        return get(ref)

    monkeypatch.setattr(stage.store, "query", slow_query)
    monkeypatch.setattr(stage.store, "get", slow_get)
    stage.resting_as(LoopState.IDLE)
    stage.place(LoopStatus(pool="aardvark", state=LoopState.IDLE, generation=1, lease_until=NOW))
    watch(stage.ports)

    assert "zebra" in [each.pool for each in stage.invoker.loops]
    assert len(slow) <= limits.POOL_TICK_MS_MAX // 4_000 + 1


def test_every_pool_comes_first_in_some_tick_before_long() -> None:
    """[WP-12] Also where a tick gets through a tenth of the pools only."""

    def waits(pools: Sequence[str]) -> int:
        seen, tick = set[str](), 0
        while seen != set(pools) and tick < 100:
            seen |= set(
                in_turn(pools, EpochMs(NOW + tick * limits.WATCHDOG_MS))[: max(1, len(pools) // 10)]
            )
            tick += 1
        return tick

    for count in (1, 2, 7, 10, 100, 997, 1_000):
        assert waits([f"pool-{n}" for n in range(count)]) <= 30

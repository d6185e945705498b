"""`why_of`: states of a pool that only damage, a crash or a race leaves behind."""

from dataclasses import replace
from typing import Any

import pytest

from tests.kit.records import NOW, POOL, a_running_work, a_work, an_id, changed
from workpool_aws.core import limits
from workpool_aws.core.views.why.answer import PoolRecords, Why
from workpool_aws.core.views.why.decide import why_of
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import (
    Config,
    Deployment,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem

BAD = Unreadable("partition", "sort", "no such attribute")
LATER = EpochMs(NOW + 3_600_000)
UP = LoopStatus(
    pool=POOL, state=LoopState.RUNNING, generation=3, lease_until=EpochMs(NOW + limits.LEASE_MS)
)
RESTING = replace(UP, state=LoopState.IDLE, lease_until=EpochMs(NOW - 1))
LEDGER = Ledger(pool=POOL, holder="loop-1", generation=3, version=1)
CONFIG = Config(pool=POOL, version=1, max_parallelism=2, base_by="api", base_at=NOW)
RECORDS = PoolRecords(
    config=CONFIG, status=UP, ledger=LEDGER, deployment=Deployment(loop_arn="arn")
)
FOUR_MINUTES_AGO = EpochMs(NOW - 240_000)
DIED = replace(UP, lease_until=FOUR_MINUTES_AGO)
SHARD = ShardCursors(work_cursor=id_floor(EpochMs(NOW + 60_000)), deep_at=EpochMs(NOW + 60_000))


def ask(work: WorkItem | Unreadable | None, *, now: int = NOW, **changes: Any) -> Why:
    records = replace(RECORDS, **changes)
    return why_of(an_id(), work, records, {}, now=EpochMs(now))


def holding(*keys: EntryKey) -> Ledger:
    return replace(LEDGER, entries=dict.fromkeys(keys, Entry(EpochMs(NOW + 60_000), True)))


def codes(why: Why) -> list[str]:
    return [each.code for each in why.reasons]


@pytest.mark.parametrize(
    ("changes", "verdict", "expected"),
    [
        ({}, "waiting", ["loop_running"]),
        ({"status": None}, "waiting", ["no_loop"]),
        ({"status": RESTING}, "waiting", ["loop_resting"]),
        ({"status": replace(DIED, lease_until=EpochMs(NOW - 1))}, "waiting", ["loop_overdue"]),
        ({"status": DIED}, "blocked", ["loop_overdue"]),
        ({"status": replace(UP, lease_until=LATER)}, "waiting", ["loop_overdue"]),
        (
            {"status": replace(RESTING, state=LoopState.WAITING, wake_at=FOUR_MINUTES_AGO)},
            "blocked",
            ["loop_overdue"],
        ),
        ({"status": BAD}, "waiting", ["status_damaged"]),
        ({"config": BAD}, "blocked", ["config_damaged"]),
        ({"config": None, "ledger": None}, "waiting", ["loop_running"]),
        ({"config": replace(CONFIG, deployed_parallelism=0)}, "blocked", ["paused"]),
        ({"config": replace(CONFIG, override_parallelism=0)}, "blocked", ["paused"]),
        ({"config": replace(CONFIG, max_parallelism=0), "status": DIED}, "blocked", None),
        ({"ledger": BAD}, "waiting", ["ledger_damaged", "loop_running"]),
        ({"deployment": None}, "blocked", ["not_deployed"]),
        ({"deployment": None, "loop_is_known": True}, "waiting", ["loop_running"]),
        ({"ledger": holding(EntryKey(an_id(), 1))}, "waiting", ["chosen"]),
        (
            {"ledger": holding(EntryKey(an_id(), 1)), "status": DIED},
            "blocked",
            ["chosen", "loop_overdue"],
        ),
        (
            {
                "ledger": holding(EntryKey(an_id(), 1)),
                "config": replace(CONFIG, override_paused=True),
            },
            "waiting",
            ["chosen"],
        ),
        ({"ledger": replace(LEDGER, shards=(SHARD,))}, "waiting", ["out_of_sight", "loop_running"]),
        ({"config": replace(CONFIG, epoch=1, epoch_at=NOW)}, "blocked", ["called_off"]),
        (
            {"config": replace(CONFIG, epoch=1, epoch_at=EpochMs(NOW - 60_000))},
            "waiting",
            ["canceling"],
        ),
    ],
)
def test_due_work_item_has_reasons(
    changes: dict[str, Any], verdict: str, expected: list[str] | None
) -> None:
    why = ask(a_work(), **changes)

    assert (why.verdict, codes(why)) == (verdict, expected or ["paused", "loop_overdue"])


def test_work_item_is_due_from_its_due_time_on() -> None:
    assert codes(ask(a_work(due_at=NOW), status=RESTING)) == ["loop_resting"]


@pytest.mark.parametrize(
    ("status", "next_look"),
    [
        (RESTING, LATER + limits.WATCHDOG_MS),
        (UP, LATER + limits.DUE_TO_START_MS),
        (DIED, NOW + limits.WATCHDOG_MS),
        (replace(RESTING, state=LoopState.WAITING, timer_at=LATER, wake_at=LATER), LATER),
    ],
)
def test_later_work_item_has_next_look(status: LoopStatus, next_look: int) -> None:
    why = ask(a_work(due_at=LATER), status=status)

    assert why.reasons[0].code == "not_due"
    assert why.next_look is not None
    assert round(why.next_look.timestamp() * 1000) == next_look


def test_full_pool_is_no_reason_before_due_time() -> None:
    ledger = holding(EntryKey(an_id(n=5), 1), EntryKey(an_id(n=6), 1))

    assert codes(ask(a_work(), ledger=ledger)) == ["slots_taken"]
    assert codes(ask(a_work(due_at=LATER), ledger=ledger)) == ["not_due", "loop_running"]


def test_requested_cancel_keeps_pending_work_item() -> None:
    why = ask(a_work(cancel_requested=True), status=None)

    assert (why.verdict, codes(why)) == ("blocked", ["cancel_requested", "no_loop"])


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, NOW, ["not_claimed"]),
        ({"claim": "worker-1"}, NOW, ["running"]),
        ({"claimed": False}, NOW, ["running"]),
        ({"deadline": None, "claim": "worker-1"}, NOW, ["running"]),
        ({}, NOW + 60_000 + limits.RECOVERY_MARGIN_MS, ["not_claimed"]),
        ({}, NOW + 60_000 + limits.RECOVERY_MARGIN_MS + 1, ["not_reported", "loop_overdue"]),
        ({"suspected_type": "timeout"}, NOW, ["not_claimed", "suspected"]),
    ],
)
def test_running_work_item_has_reasons(
    changes: dict[str, Any], now: int, expected: list[str]
) -> None:
    status = UP if now < UP.lease_until else replace(UP, lease_until=EpochMs(NOW - 1))
    if "loop_overdue" not in expected:
        status = replace(UP, lease_until=EpochMs(now + 1))

    why = ask(a_running_work(**changes), now=now, status=status, ledger=None)

    assert (why.verdict, codes(why)) == ("running", expected)


def test_running_work_item_without_slot_says_so() -> None:
    work = a_running_work(claim="worker-1")

    assert codes(ask(work, ledger=holding(EntryKey(work.id, 1)))) == ["running"]
    assert codes(ask(work)) == ["running", "no_slot"]


def test_called_off_running_work_item_has_requested_cancel() -> None:
    why = ask(
        a_running_work(claim="worker-1"), config=replace(CONFIG, epoch=1, epoch_at=NOW), ledger=None
    )

    assert codes(why) == ["running", "cancel_requested"]


def test_open_callback_has_its_next_check() -> None:
    work = changed(
        a_running_work(on_complete="arn:done"),
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        finished_at=NOW,
        callback=CallbackState.SENT,
    )
    owed = PendingCallback(work.id, LATER, tries=2)

    unknown, known = ask(work), ask(work, ledger=replace(LEDGER, callbacks=(owed,)))

    assert codes(unknown) == codes(known) == ["succeeded", "callback_sent"]
    assert unknown.next_look is None
    assert known.next_look is not None
    since = {
        each.since and each.since.timestamp()
        for why in (unknown, known)
        for each in why.reasons[1:]
    }
    assert since == {NOW / 1000}
    assert "has tried 2 of 12 times" in known.reasons[1].text


def test_damaged_work_item_is_unknown() -> None:
    why = ask(BAD)

    assert (why.verdict, codes(why)) == ("unknown", ["damaged"])
    assert "no such attribute" in why.reasons[0].text


def test_hostile_error_is_one_short_line() -> None:
    work = changed(
        a_running_work(),
        state=State.FINISHED,
        outcome=Outcome.FAILED,
        error_type="Boom\x1b[31m",
        error="no\nsuch\u202e" + "x" * 10_000,
    )

    text = ask(work).reasons[0].text

    assert text.isprintable()
    assert len(text) < 2 * limits.WHY_ERROR_MAX + 100

"""`why_of` in full: each reason with its times and its text, as people read them.

`why_answers.txt` has the expected answers, with times in seconds from now. A change of
a text or a time belongs there, too, for people to read.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.kit.records import NOW, POOL, a_running_work, a_work, an_id, changed
from workpool_aws.core import limits
from workpool_aws.core.views.why.answer import PoolRecords, Why
from workpool_aws.core.views.why.decide import why_of
from workpool_aws.core.views.why.waits import slot_holders
from workpool_aws.model.ids import EpochMs, WorkId, id_floor
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
from workpool_aws.model.rate import RateLimit, RateSpent
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, CallbackState, PastAttempt, State, WorkItem


def at(seconds: int) -> EpochMs:
    return EpochMs(NOW + seconds * 1000)


BAD = Unreadable("partition", "sort", "no such attribute")
UP = LoopStatus(pool=POOL, state=LoopState.RUNNING, generation=3, lease_until=at(30))
RESTING = replace(UP, state=LoopState.IDLE, lease_until=at(-100))
TIMED = replace(RESTING, state=LoopState.WAITING, timer_at=at(1800), wake_at=at(1800))
LEDGER = Ledger(pool=POOL, holder="loop-1", generation=3, version=1)
CONFIG = Config(pool=POOL, version=1, max_parallelism=2, base_by="api", base_at=at(-9000))
RECORDS = PoolRecords(
    config=CONFIG, status=UP, ledger=LEDGER, deployment=Deployment(loop_arn="arn")
)


def attempt(outcome: AttemptEnd, error: str | None = None, number: int = 1) -> PastAttempt:
    return PastAttempt(
        number=number,
        started_at=at(-50 + number),
        ended_at=at(-40 + number),
        outcome=outcome,
        error_type=error and "ValueError",
        error=error,
    )


def waiting(**changes: Any) -> WorkItem:
    """A work item that was enqueued a minute ago and is due in an hour."""
    return changed(a_work(due_at=at(3600)), enqueued_at=at(-60), **changes)


def retried(*attempts: PastAttempt, **changes: Any) -> WorkItem:
    return waiting(starts=len(attempts), attempts_made=len(attempts), history=attempts, **changes)


def ended(outcome: Outcome, **changes: Any) -> WorkItem:
    return changed(
        a_running_work(on_complete="arn:done"),
        **{"state": State.FINISHED, "outcome": outcome, "finished_at": at(-20), **changes},
    )


def holding(*numbers: int) -> Ledger:
    entries = {
        EntryKey(an_id(n=n), 1): Entry(at(60 + 10 * place), confirmed=True)
        for place, n in enumerate(numbers)
    }
    return replace(LEDGER, entries=entries)


def owing(seconds: int) -> Ledger:
    return replace(LEDGER, callbacks=(PendingCallback(an_id(), at(seconds), tries=2),))


DUE = changed(a_work(), enqueued_at=at(-60))
HOLDERS = {an_id(n=n): a_running_work(id=an_id(n=n)) for n in (5, 6)}
SHARD = ShardCursors(work_cursor=id_floor(at(60)), deep_at=at(60))
SPENT = replace(
    LEDGER, rate=RateSpent(until_us=at(90) * 1000, count=0, step_us=60_000_000, generation=3)
)
NEVER, FAILED = AttemptEnd.NEVER_DELIVERED, AttemptEnd.FAILED
PENDING, SENT, DEAD = CallbackState.PENDING, CallbackState.SENT, CallbackState.DEAD

CASES: dict[str, tuple[WorkItem | Unreadable | None, dict[str, Any]]] = {
    "unknown": (None, {}),
    "damaged": (BAD, {}),
    "past retention": (ended(Outcome.SUCCESS, expires_at=NOW // 1000 - 5), {}),
    "due": (DUE, {}),
    "due, no loop ever": (DUE, {"status": None}),
    "due, status damaged": (DUE, {"status": BAD}),
    "due, loop rests": (DUE, {"status": RESTING}),
    "due long ago, loop rests": (
        changed(a_work(due_at=at(-600)), enqueued_at=at(-660)),
        {"status": RESTING},
    ),
    "due, loop died": (DUE, {"status": replace(UP, lease_until=at(-240))}),
    "due, loop did not wake": (DUE, {"status": replace(TIMED, wake_at=at(-200))}),
    "due, not deployed": (DUE, {"deployment": None}),
    "due, cancel requested": (changed(DUE, cancel_requested=True), {"status": BAD}),
    "called off": (DUE, {"config": replace(CONFIG, epoch=1, epoch_at=at(-3))}),
    "canceling": (a_work(), {"config": replace(CONFIG, epoch=1, epoch_at=at(-60))}),
    "later, canceling": (
        changed(waiting(), enqueued_at=NOW),
        {"config": replace(CONFIG, epoch=1, epoch_at=at(-60))},
    ),
    "paused": (
        DUE,
        {"config": replace(CONFIG, override_paused=True, override_by="ann", override_at=at(-9))},
    ),
    "override of 0": (
        DUE,
        {"config": replace(CONFIG, override_parallelism=0, override_by="ann", override_at=at(-9))},
    ),
    "base of 0": (DUE, {"config": replace(CONFIG, max_parallelism=0)}),
    "base of 0 by default": (
        DUE,
        # a text of its own, as one that was read from a table
        {"config": replace(CONFIG, max_parallelism=0, base_by="".join("default"), base_at=None)},
    ),
    "deployed 0": (
        DUE,
        {"config": replace(CONFIG, deployed_parallelism=0, deployed_at=at(-8))},
    ),
    "later, paused": (
        waiting(),
        {"config": replace(CONFIG, override_paused=True, override_by="ann", override_at=at(-9))},
    ),
    "config damaged": (DUE, {"config": BAD}),
    "ledger damaged": (DUE, {"ledger": BAD}),
    "rate": (
        DUE,
        {
            "config": replace(CONFIG, override_rate=RateLimit(1, per=timedelta(minutes=1))),
            "ledger": SPENT,
        },
    ),
    "later, rate": (
        waiting(),
        {
            "config": replace(CONFIG, override_rate=RateLimit(1, per=timedelta(minutes=1))),
            "ledger": SPENT,
        },
    ),
    "full": (DUE, {"ledger": holding(5, 6), "holders": HOLDERS}),
    "full, one holder read": (
        DUE,
        {"ledger": holding(5, 6), "holders": {an_id(n=5): HOLDERS[an_id(n=5)]}},
    ),
    "full, loop died": (
        DUE,
        {"ledger": holding(5, 6), "status": replace(UP, lease_until=at(-240))},
    ),
    "later, full": (waiting(), {"ledger": holding(5, 6), "holders": HOLDERS}),
    "chosen": (DUE, {"ledger": holding(1)}),
    "out of sight": (DUE, {"ledger": replace(LEDGER, shards=(SHARD,))}),
    "expires": (changed(DUE, expires_after_ms=60_000), {}),
    "expired": (changed(DUE, id=an_id(at(-90)), expires_after_ms=60_000), {}),
    "later": (waiting(), {}),
    "later, loop rests": (waiting(), {"status": RESTING}),
    "later, schedule wakes it": (waiting(), {"status": TIMED}),
    "later, schedule after it": (
        waiting(),
        {"status": replace(TIMED, timer_at=at(7200), wake_at=at(7200))},
    ),
    "requeued": (waiting(starts=1), {}),
    "snoozed": (retried(attempt(AttemptEnd.SNOOZED)), {}),
    "never delivered": (retried(attempt(NEVER), undelivered=1), {}),
    "never delivered twice": (retried(attempt(NEVER, "throttled"), undelivered=2), {}),
    "failed": (retried(attempt(FAILED, "no"), attempt(FAILED, "nope", 2)), {}),
    "refused": (
        changed(DUE, refused_since=at(-30), starts=1, history=(attempt(FAILED, "denied"),)),
        {},
    ),
    "running, not claimed": (a_running_work(), {"ledger": holding(1)}),
    "running": (a_running_work(claim="w", attempts_made=2), {"ledger": holding(1)}),
    "running, of a job": (a_running_work(claim="w", job="mail.send"), {"ledger": holding(1)}),
    "running, not followed": (a_running_work(claimed=False, deadline=None), {"ledger": holding(1)}),
    "running, suspected": (
        a_running_work(claim="w", suspected_type="timeout", suspected_error="slow"),
        {"ledger": holding(1)},
    ),
    "running, cancel requested": (
        a_running_work(claim="w", cancel_requested=True),
        {"ledger": holding(1)},
    ),
    "running, no slot": (a_running_work(claim="w"), {}),
    "running, over": (
        a_running_work(claim="w", deadline=at(-600), started_at=at(-700)),
        {"ledger": holding(1), "status": replace(UP, lease_until=at(-240))},
    ),
    "succeeded": (ended(Outcome.SUCCESS, callback=CallbackState.DELIVERED), {}),
    "failed for good": (
        ended(Outcome.FAILED, attempts_made=1, error_type="ValueError", error="no"),
        {},
    ),
    "failed after two": (ended(Outcome.FAILED, attempts_made=2), {}),
    "canceled": (ended(Outcome.CANCELED), {}),
    "redriven": (ended(Outcome.FAILED, redriven_as=an_id(n=9)), {}),
    "callback pending": (ended(Outcome.SUCCESS, callback=PENDING), {}),
    "callback pending, due": (
        ended(Outcome.SUCCESS, callback=PENDING),
        {"ledger": owing(0)},
    ),
    "callback sent": (ended(Outcome.SUCCESS, callback=SENT), {"ledger": owing(40)}),
    "callback dead": (ended(Outcome.SUCCESS, callback=DEAD), {"ledger": owing(40)}),
}


def seconds(moment: Any) -> str:
    return "-" if moment is None else f"{moment.timestamp() - NOW / 1000:+g} s"


def lines_of(why: Why) -> list[str]:
    """Return an answer as lines of text."""
    lines = [f"{why.verdict}, since {seconds(why.since)}, next look {seconds(why.next_look)}"]
    for each in why.reasons:
        marks = [each.code, *(["blocks"] if each.blocks else [])]
        marks += [f"since {seconds(each.since)}"] if each.since else []
        marks += [f"until {seconds(each.until)}"] if each.until else []
        marks += [str(len(each.work_ids))] if each.work_ids else []
        lines += [f"[{', '.join(marks)}] {each.text}", f"  {each.change}"]
    return lines


def answer(name: str) -> list[str]:
    work, changes = CASES[name]
    holders: dict[WorkId, WorkItem] = changes.get("holders", {})
    records = replace(RECORDS, **{key: value for key, value in changes.items() if key != "holders"})
    return lines_of(why_of(an_id(), work, records, holders, now=NOW))


def expected() -> dict[str, list[str]]:
    """Return the expected answers by their names."""
    text = Path(__file__).with_name("why_answers.txt").read_text(encoding="utf-8")
    sections = (each.splitlines() for each in text.split("## ")[1:])
    return {name: lines for name, *lines in sections}


EXPECTED = expected()


@pytest.mark.parametrize("name", CASES)
def test_answer_has_each_reason_with_its_times(name: str) -> None:
    assert answer(name) == EXPECTED[name]


def test_every_answer_is_asked_for() -> None:
    assert {*EXPECTED} == {*CASES}


def test_first_holders_of_slots_are_read_by_the_time_of_their_end() -> None:
    numbers = [*range(40, 10, -1)]
    records = replace(RECORDS, config=replace(CONFIG, max_parallelism=30), ledger=holding(*numbers))

    found = slot_holders(DUE, records, NOW)

    assert [key.work_id for key in found] == [an_id(n=n) for n in numbers[: limits.WHY_HOLDERS_MAX]]
    assert slot_holders(waiting(), records, NOW) == ()

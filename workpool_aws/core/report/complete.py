"""Decides the effect of one start's report: the end of the work item, another attempt, or nothing.

Reports come from a decorated worker, from destination records, from recovery and from a failed
invoke, any number of times and in any order. Every change is bound to the start's number [WP-4], so
only the first report of a start changes anything.

Two kinds of report need more than the number:

* Recovery judged one very state of the work item (`Judged`), and acts only if that state still
  holds [WP-14].
* A failure of a *claimed* work item that does not come from the claimer may be a duplicate
  delivery's. It counts only if the start is unclaimed, or with the claimer's token, or after the
  claim's deadline. Until then it is a suspicion (`suspect.py`), which recovery uses if no better
  report arrives.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import after_finish, expiry_after
from workpool_aws.core.chunks import input_expiries, lay_out
from workpool_aws.core.error_text import kept_text
from workpool_aws.core.lifecycle import Move, entering, may_start_at, this_start
from workpool_aws.core.report.claim import assignment_of, ended_unstarted
from workpool_aws.core.report.history import with_attempt
from workpool_aws.core.report.mutate import retry_allowed, retry_guard
from workpool_aws.core.report.retry import requeue_delay_ms, retry_delay_ms
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.payload import Part, stored_fields
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, State, WorkItem, dead_key
from workpool_aws.model.writes import Below, Condition, Either, Is, Put, Update
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Finish",
    "Ignored",
    "Judged",
    "Postpone",
    "Requeue",
    "Retry",
    "after_refusal",
    "as_stored",
    "counted_outcome",
    "decide_canceled",
    "decide_report",
    "decide_requeue",
    "decide_snooze",
    "must_cancel",
    "never_delivered",
    "snoozed_too_often",
    "what_stands",
    "without_payload",
]


_STOPPED: Final[Mapping[str, object]] = MappingProxyType(
    {
        "claim": None,
        "deadline": None,
        "started_by": None,
        "suspected_type": None,
        "suspected_error": None,
    }
)
"""Fields that only a running work item has."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The state of a running work item that recovery read."""

    deadline: EpochMs | None
    claim: str | None


@dataclass(frozen=True, slots=True)
class Finish:
    """The work item is over.

    Afterwards: let the chunks expire, call back, put the notice, kick.
    """

    write: Update
    outcome: Outcome
    attempts_made: int
    beside: tuple[Put, ...] = ()
    """The chunks of a large result, in one transaction with `write`."""
    expiries: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt follows at `due_at`.

    Written in one transaction with a pointer to that time and the notice.
    """

    write: Update
    due_at: EpochMs
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Requeue:
    """The start was never delivered, and another one follows at `due_at`. Written as `Retry`."""

    write: Update
    due_at: EpochMs
    delay_ms: int
    undelivered: int


@dataclass(frozen=True, slots=True)
class Postpone:
    """The start is over, and its code asked for another one at `due_at`. Written as `Retry`."""

    write: Update
    due_at: EpochMs
    delay_ms: int
    snoozes: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing changes.

    `reported`: this very start had been recorded before. The steps that follow may have been lost,
    so they are done again. `unproven`: the report names a start without its nonce [WP-28].
    """

    reason: str
    reported: bool
    unproven: bool = False


def as_stored(a: Assignment, work: WorkItem | Unreadable | None) -> Assignment | Ignored:
    """Returns the start as the stored work item has it [WP-28].

    Only its name and its proof come from the report. If the start is not running, or not proven,
    returns the reason to ignore the report.
    """
    if (
        not isinstance(work, WorkItem)
        or work.state is not State.RUNNING
        or work.starts != a.start
        or work.proof != a.proof
    ):
        return what_stands(work, a)
    return replace(
        assignment_of(work, a.table), start_by=a.start_by, loop_until=a.loop_until, stored=work
    )


def decide_report(
    a: Assignment,
    report: Report,
    *,
    now: EpochMs,
    jitter: float,
    judged: Judged | None = None,
    nonce: str | None = None,
    permit: str | None = None,
) -> Finish | Retry:
    """Decides on a success or a failure of this start.

    `nonce`: of the callback that its end may owe. `permit`: of the start that may follow [WP-28].
    """
    made = a.attempts_made + 1
    guard = _guard(a, report, now=now, judged=judged)
    over: dict[str, object] = {**_STOPPED, "attempts_made": made}
    delay_ms: int | None = None
    if report.kind is not ReportKind.SUCCESS:
        allowed = retry_allowed(a, report.claim, judged.claim if judged is not None else None)
        delay_ms = retry_delay_ms(allowed, report, attempts_made=made, jitter=jitter)
    if delay_ms is not None and may_start_at(a.stored, EpochMs(now + delay_ms)):
        due_at = EpochMs(now + delay_ms)
        changes = {
            **over,
            **entering(Move.RETRY),
            **with_attempt(a.stored, report, AttemptEnd.FAILED, now=now),
            "proof": None,
            "permit": permit,
            "due_at": due_at,
            "undelivered": 0,
            "refused_since": None,
            "snoozes": 0,
        }
        asked = Is("cancel_requested", False)
        condition = this_start(Move.RETRY, a.start, *guard, *retry_guard(a), asked)
        update = Update(ref=WorkRef(a.pool, a.work_id), set=changes, condition=condition)
        return Retry(update, due_at, delay_ms)
    outcome = Outcome.SUCCESS if report.kind is ReportKind.SUCCESS else Outcome.FAILED
    expires_at = expiry_after(a.callback_outcomes, outcome, retention_s=a.retention_s, now=now)
    result = lay_out(report.result, WorkRef(a.pool, a.work_id), Part.RESULT, expires_at=expires_at)
    changes = {
        **over,
        **entering(Move.FINISH),
        "outcome": outcome,
        **stored_fields(Part.RESULT, result.payload),
        "error": None if report.error is None else kept_text(report.error),
        "error_type": report.error_type,
        "finished_at": now,
        # Only now, when it is over, may it expire; and not before its callback was delivered
        # [WP-10].
        **after_finish(
            a.callback_outcomes, outcome, nonce=nonce, retention_s=a.retention_s, now=now
        ),
        "dead": dead_key(now, a.work_id) if outcome is Outcome.FAILED else None,
    }
    finishes = this_start(Move.FINISH, a.start, *guard)
    write = Update(ref=WorkRef(a.pool, a.work_id), set=changes, condition=finishes)
    return Finish(write, outcome, made, result.puts, input_expiries(a, expires_at=expires_at))


def decide_canceled(
    a: Assignment,
    report: Report,
    *,
    now: EpochMs,
    judged: Judged | None = None,
    nonce: str | None = None,
) -> Finish:
    """Ends a start after which another would follow, if a cancel was requested [WP-7].

    A start that was never delivered, or snoozed, has spent no attempt.
    """
    unspent = {
        ReportKind.NEVER_DELIVERED: AttemptEnd.NEVER_DELIVERED,
        ReportKind.SNOOZED: AttemptEnd.SNOOZED,
    }.get(report.kind)
    made = a.attempts_made + (1 if unspent is None else 0)
    expires_at = expiry_after(
        a.callback_outcomes, Outcome.CANCELED, retention_s=a.retention_s, now=now
    )
    changes: dict[str, object] = {
        **_STOPPED,
        **entering(Move.FINISH),
        **with_attempt(a.stored, report, unspent or AttemptEnd.CANCELED, now=now),
        "attempts_made": made,
        "outcome": Outcome.CANCELED,
        "error": None,
        "error_type": None,
        "finished_at": now,
        **after_finish(
            a.callback_outcomes, Outcome.CANCELED, nonce=nonce, retention_s=a.retention_s, now=now
        ),
    }
    asked = this_start(
        Move.FINISH,
        a.start,
        *_guard(a, report, now=now, judged=judged),
        Is("cancel_requested", True),
    )
    write = Update(ref=WorkRef(a.pool, a.work_id), set=changes, condition=asked)
    return Finish(write, Outcome.CANCELED, made, expiries=input_expiries(a, expires_at=expires_at))


def counted_outcome(a: Assignment, outcome: Outcome | None, attempts_made: int) -> Outcome | None:
    """Returns the outcome by which the statistics count this start.

    `None` means that it is not counted: it spent no attempt, and was canceled instead of requeued.
    """
    return None if outcome is Outcome.CANCELED and attempts_made == a.attempts_made else outcome


def must_cancel(current: WorkItem | Unreadable | None, a: Assignment) -> bool:
    """True if a retry or requeue failed because a cancel was requested meanwhile."""
    return (
        isinstance(current, WorkItem)
        and current.state is State.RUNNING
        and current.starts == a.start
        and current.cancel_requested
    )


def _guard(
    a: Assignment, report: Report, *, now: EpochMs, judged: Judged | None
) -> tuple[Condition, ...]:
    proven: Condition = Is("proof", a.proof)
    if judged is not None:
        return (proven, Is("deadline", judged.deadline), Is("claim", judged.claim))
    if not a.claimed:
        return (proven,)
    unclaimed: Condition = Is("claim", None)
    if report.claim is not None:
        return (proven, Either((unclaimed, Is("claim", report.claim))))
    return (proven, Either((unclaimed, Below("deadline", now - limits.RECOVERY_MARGIN_MS))))


def decide_requeue(
    a: Assignment,
    work: WorkItem,
    report: Report,
    *,
    now: EpochMs,
    refused: bool = False,
    permit: str | None = None,
) -> Requeue | None:
    """Requeues a start that was never delivered, without spending an attempt.

    `None` means that it was requeued too often [WP-25]. `refused`: Lambda itself refused the target
    (no such function, no permission). That is tolerated for a while, since a fresh deployment lags.
    """
    if work.undelivered >= limits.UNDELIVERED_MAX:
        return None
    delay_ms = requeue_delay_ms(work.undelivered)
    due_at = EpochMs(now + delay_ms)
    changes: dict[str, object] = {
        **_STOPPED,
        **entering(Move.PUT_BACK),
        **with_attempt(work, report, AttemptEnd.NEVER_DELIVERED, now=now),
        "proof": None,
        "permit": permit,
        "due_at": due_at,
        "undelivered": work.undelivered + 1,
        "refused_since": (work.refused_since or now) if refused else None,
    }
    # A claim by another invocation proves that the start was delivered after all.
    mine: Condition = (
        Is("claim", None)
        if report.claim is None
        else Either((Is("claim", None), Is("claim", report.claim)))
    )
    condition = this_start(
        Move.PUT_BACK, a.start, Is("proof", a.proof), mine, Is("cancel_requested", False)
    )
    write = Update(ref=WorkRef(a.pool, a.work_id), set=changes, condition=condition)
    return Requeue(write, due_at, delay_ms, work.undelivered + 1)


def decide_snooze(
    a: Assignment,
    work: WorkItem,
    report: Report,
    *,
    now: EpochMs,
    permit: str | None = None,
) -> Postpone | None:
    """Postpones a start whose code asked to run again later, without spending an attempt.

    `None` means that it asked too often in a row. The start is over by its own report, although a
    duplicate may have been delivered. A claimed one therefore counts only with the claimer's token
    [WP-5].
    """
    if work.snoozes >= limits.SNOOZES_MAX:
        return None
    delay_ms = (
        requeue_delay_ms(work.snoozes)
        if report.delay_ms is None
        else min(max(0, report.delay_ms), limits.DELAY_MS_MAX)
    )
    due_at = EpochMs(now + delay_ms)
    changes: dict[str, object] = {
        **_STOPPED,
        **entering(Move.SNOOZE),
        **with_attempt(work, report, AttemptEnd.SNOOZED, now=now),
        "proof": None,
        "permit": permit,
        "due_at": due_at,
        "snoozes": work.snoozes + 1,
        "undelivered": 0,
        "refused_since": None,
    }
    condition = this_start(
        Move.SNOOZE,
        a.start,
        *_guard(a, report, now=now, judged=None),
        Is("cancel_requested", False),
    )
    return Postpone(
        Update(ref=WorkRef(a.pool, a.work_id), set=changes, condition=condition),
        due_at,
        delay_ms,
        work.snoozes + 1,
    )


def snoozed_too_often(report: Report) -> Report:
    """Returns the failure of a work item that snoozed too often in a row."""
    return replace(
        report,
        kind=ReportKind.FAILED,
        error=f"snoozed more than {limits.SNOOZES_MAX} times in a row, the most that is allowed: {report.error}",
        error_type="snoozed_too_often",
        retryable=False,
        delay_ms=None,
    )


def never_delivered(report: Report) -> Report:
    """Returns the failure of a work item that was requeued for about a day."""
    text = f"never delivered in {limits.UNDELIVERED_MAX + 1} tries"
    return replace(
        report,
        kind=ReportKind.FAILED,
        error=f"{text}: {report.error}" if report.error else text,
        error_type="never_delivered",
        retryable=False,
    )


def after_refusal(work: WorkItem, reason: str, *, lasting: bool, now: EpochMs) -> Report:
    """Returns the report of a refused invoke.

    It is a failure if the refusal is lasting or two minutes old, else a requeue.
    """
    gone_for_good = lasting or (
        work.refused_since is not None and now - work.refused_since >= limits.REFUSED_FOR_MS
    )
    if gone_for_good:
        return Report(
            kind=ReportKind.FAILED, error=reason, error_type="not_invocable", retryable=False
        )
    return Report(kind=ReportKind.NEVER_DELIVERED, error=reason)


def without_payload() -> Report:
    """Returns the failure of a work item whose arguments were removed or damaged [WP-12].

    No attempt could ever run.
    """
    text = "the chunks of its arguments are gone or damaged; another program changed them"
    return Report(kind=ReportKind.FAILED, error=text, error_type="payload_missing", retryable=False)


def what_stands(current: WorkItem | Unreadable | None, a: Assignment) -> Ignored:
    """Returns the reason for which a report changed nothing.

    `current` is the item that failed its condition.
    """
    if not isinstance(current, WorkItem):
        return Ignored("the work item is gone", reported=False)
    if ended_unstarted(current, a):
        return Ignored("it ended before it began", reported=False)
    if current.starts != a.start:
        return Ignored(f"start {current.starts} has followed", reported=False)
    if current.state is not State.PENDING and current.proof != a.proof:
        return Ignored("it does not know the secret of that start", reported=False, unproven=True)
    match current.state:
        case State.FINISHED:
            return Ignored("this start had finished the work item", reported=True)
        case State.PENDING:
            return Ignored("this start had been recorded, another follows", reported=False)
        case State.RUNNING:
            return Ignored("the start is another invocation's", reported=False)
        case _:
            assert_never(current.state)

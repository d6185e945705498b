"""Completes a start: records its outcome, puts the notice for the loop, kicks.

Any process may call it, any number of times.

| step | commit point | lost afterwards? |
|---|---|---|
| finish | the work item's own item (with a large result's chunks) | chunks' TTL, callback, notice: next report, or recovery |
| retry, requeue, snooze | one transaction: work item, pointer, notice | nothing but the kick: watchdog |
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, assert_never

from workpool_aws.core import limits
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.proof import callback_nonce
from workpool_aws.core.report.complete import (
    Finish,
    Ignored,
    Judged,
    Postpone,
    Requeue,
    Retry,
    as_stored,
    counted_outcome,
    decide_canceled,
    decide_put_back,
    decide_report,
    decide_snooze,
    decide_suspicion,
    must_cancel,
    never_delivered,
    snoozed_too_often,
    what_stands,
)
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.callback import deliver
from workpool_aws.flow.chunks import let_expire, write_with
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.visibility import ensure_visible, make_pointer, prove_work_in_time
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, make_id, shard_of, time_of
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.refs import Record, Unreadable, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, WorkItem
from workpool_aws.model.writes import Put, Update, Written
from workpool_aws.ports import ConditionFailed, Ports, TransactionFailed

__all__ = ["Reporter", "complete"]

Reporter = Literal["worker", "destination", "recovery", "loop"]
"""The reporter of a start's outcome."""


def complete(
    ports: Ports,
    a: Assignment,
    report: Report,
    *,
    by: Reporter,
    judged: Judged | None = None,
    refused: bool = False,
) -> bool:
    """Records the outcome of this start.

    False means that nothing changed: it had been recorded, or the report does not count. Raises
    StoreUnavailable if it may or may not be recorded; report it again, or leave it to recovery.
    """
    if by == "destination" or report.kind is not ReportKind.SUCCESS:
        # Every role that may invoke the completion function can send records, and a policy decides
        # about more than this start.
        current = ports.store.get(WorkRef(a.pool, a.work_id))
        known = as_stored(a, current)
        if isinstance(known, Ignored):
            return _pass_over(ports, a, report, known, current, by=by)
        a = known
        if isinstance(current, WorkItem) and report.kind in {
            ReportKind.NEVER_DELIVERED,
            ReportKind.SNOOZED,
        }:
            left = _start_again(ports, a, current, report, by=by, refused=refused)
            if isinstance(left, bool):
                return left
            report = left
    decision = decide_report(
        a,
        report,
        now=ports.clock.now(),
        jitter=ports.entropy.fraction(),
        judged=judged,
        nonce=_callback_nonce(ports, a),
    )
    match decision:
        case Retry():
            return _try_again(ports, a, report, decision, by=by, judged=judged)
        case Finish():
            return _finish(ports, a, report, decision, by=by)
        case _:
            assert_never(decision)


def _finish(ports: Ports, a: Assignment, report: Report, decision: Finish, *, by: Reporter) -> bool:
    try:
        finished = _write_end(ports, a, decision)
    except ConditionFailed as met:
        current = _work(met.current)
        return _pass_over(ports, a, report, what_stands(current, a), current, by=by)
    event = events.Completed(
        pool=a.pool,
        work_id=a.work_id,
        outcome=decision.outcome,
        attempts_made=decision.attempts_made,
        error_type=report.error_type,
    )
    ports.telemetry.emit(event)
    _follow_up(
        ports,
        a,
        finished,
        counted_outcome(a, decision.outcome, decision.attempts_made),
        decision.expiries,
        by=by,
    )
    return True


def _pass_over(
    ports: Ports,
    a: Assignment,
    report: Report,
    ignored: Ignored,
    current: WorkItem | Unreadable | None,
    *,
    by: Reporter,
) -> Literal[False]:
    """Changes nothing, but repeats the steps after this start's end, which may have been lost."""
    if (
        ignored.reported
        and isinstance(current, WorkItem)
        and report.kind in {ReportKind.SUCCESS, ReportKind.FAILED}
    ):
        outcome = counted_outcome(a, current.outcome, current.attempts_made)
        # The stored end, not that of this report: the stored one may owe a callback [WP-10].
        _follow_up(ports, a, current, outcome, overdue_expiries(current), by=by)
    else:
        _suspect(ports, a, current, report, by=by)
        _ignore(ports, a, ignored, by=by)
    return False


def _follow_up(
    ports: Ports,
    a: Assignment,
    finished: Record | Unreadable | None,
    outcome: Outcome | None,
    expiries: tuple[Update, ...],
    *,
    by: Reporter,
) -> None:
    # Before the notice: until that is settled, the ledger's entry causes another check of this
    # work item.
    let_expire(ports.store, expiries)
    callback = _call_back(ports, finished)
    now = ports.clock.now()
    notice = _done(ports, a, NoticeKind.FINISHED, now, outcome=outcome, callback=callback)
    _write_done(ports, a, notice)
    _kick(ports, a, by=by)


def _write_end(ports: Ports, a: Assignment, decision: Finish) -> Record | Unreadable | None:
    finished = write_with(ports.store, decision.write, decision.beside).record
    if finished is None and a.callback_for:
        # A transaction does not answer with the work item, and the callback needs all of it.
        return ports.store.get(WorkRef(a.pool, a.work_id))
    return finished


def _try_again(
    ports: Ports,
    a: Assignment,
    report: Report,
    decision: Retry,
    *,
    by: Reporter,
    judged: Judged | None,
) -> bool:
    if not _move_back(ports, a, report, decision, NoticeKind.RETRY, by=by, judged=judged):
        return False
    event = events.Retrying(
        pool=a.pool,
        work_id=a.work_id,
        attempts_made=a.attempts_made + 1,
        delay_ms=decision.delay_ms,
        error_type=report.error_type,
    )
    ports.telemetry.emit(event)
    _kick(ports, a, by=by)
    return True


def _start_again(
    ports: Ports, a: Assignment, current: WorkItem, report: Report, *, by: Reporter, refused: bool
) -> Report | bool:
    """Requeues or postpones the start, and returns True if that changed the work item.

    Returns the failure that it ends with instead, if it was requeued or snoozed too often.
    """
    now = ports.clock.now()
    decision: Requeue | Postpone | None
    if report.kind is ReportKind.SNOOZED:
        decision = decide_snooze(a, current, report, now=now)
        if decision is None:
            return snoozed_too_often(report)
    else:
        decision = decide_put_back(a, current, report, now=now, refused=refused)
        if decision is None:
            return never_delivered(report)
    # To the loop a snooze is a put back: the slot is free, and no attempt is counted. A loop of 0.1
    # knows no other word for it.
    moved = _move_back(ports, a, report, decision, NoticeKind.PUT_BACK, by=by)
    if moved:
        ports.telemetry.emit(_event_of(a, report, decision, by=by))
        _kick(ports, a, by=by)
    return moved


def _event_of(
    a: Assignment, report: Report, decision: Requeue | Postpone, *, by: Reporter
) -> events.Event:
    match decision:
        case Postpone():
            return events.Snoozed(
                pool=a.pool, work_id=a.work_id, snoozes=decision.snoozes, delay_ms=decision.delay_ms
            )
        case Requeue():
            reason = report.error or by
            return events.PutBack(
                pool=a.pool,
                work_id=a.work_id,
                undelivered=decision.undelivered,
                delay_ms=decision.delay_ms,
                reason=reason,
            )
        case _:
            assert_never(decision)


def _move_back(
    ports: Ports,
    a: Assignment,
    report: Report,
    decision: Retry | Requeue | Postpone,
    kind: NoticeKind,
    *,
    by: Reporter,
    judged: Judged | None = None,
) -> bool:
    """Makes the work item pending again, with its pointer and its notice.

    False means that it is not pending. If a cancel was requested, it ends as canceled.
    """
    pointer = make_pointer(a.pool, a.work_id, decision.due_at, random_bits=ports.entropy.bits(75))
    done = _done(ports, a, kind, ports.clock.now(), pointer=pointer.at)
    try:
        written = ports.store.transact([decision.write, Put(pointer), Put(done)])
    except TransactionFailed as met:
        current = _work(met.current[0])
        if must_cancel(current, a):
            canceled = decide_canceled(
                a, report, now=ports.clock.now(), judged=judged, nonce=_callback_nonce(ports, a)
            )
            _finish(ports, a, replace(report, error_type=None), canceled, by=by)
        else:
            _ignore(ports, a, what_stands(current, a), by=by)
        return False
    prove_work_in_time(ports, written, a.pool, a.work_id, decision.due_at)
    _prove_done(ports, a, done, written)
    return True


def _callback_nonce(ports: Ports, a: Assignment) -> str | None:
    return callback_nonce(ports.entropy.token()) if a.callback_for else None


def _call_back(ports: Ports, finished: Record | Unreadable | None) -> CallbackState | None:
    """Returns the loop's part in the callback: to send it, or to check its acknowledgement.

    `None` means neither.
    """
    if not isinstance(finished, WorkItem) or finished.callback is None:
        return None
    state = (
        deliver(ports, finished)
        if finished.callback is CallbackState.PENDING
        else finished.callback
    )
    return state if state in {CallbackState.PENDING, CallbackState.SENT} else None


def _suspect(
    ports: Ports,
    a: Assignment,
    current: WorkItem | Unreadable | None,
    report: Report,
    *,
    by: Reporter,
) -> None:
    """Keeps a failure that does not count yet, and puts a notice for a check.

    Recovery then uses the claim's deadline. A report of recovery is never a suspicion, since the
    state that it judged is gone [WP-14].
    """
    write = None if by == "recovery" else decide_suspicion(a, current, report)
    if write is None:
        return
    try:
        ports.store.write(write)
    except ConditionFailed:
        return  # its claimer, or recovery, was faster
    _write_done(ports, a, _done(ports, a, NoticeKind.CHECK, ports.clock.now()))


def _write_done(ports: Ports, a: Assignment, done: Notice) -> None:
    _prove_done(ports, a, done, ports.store.write(Put(done)))


def _done(
    ports: Ports,
    a: Assignment,
    kind: NoticeKind,
    at: EpochMs,
    *,
    pointer: str | None = None,
    outcome: Outcome | None = None,
    callback: CallbackState | None = None,
) -> Notice:
    return Notice(
        pool=a.pool,
        at=make_id(at, random_bits=ports.entropy.bits(75), shard=shard_of(a.work_id)),
        work_id=a.work_id,
        start=a.start,
        kind=kind,
        pointer=pointer,
        callback=callback,
        # What is not delivered carries no time to live [WP-10]: the loop removes the record when
        # its ledger has the callback.
        expires_at=None
        if callback is CallbackState.PENDING
        else at // 1000 + limits.DONE_RETENTION_S,
        outcome=outcome,
    )


def _prove_done(ports: Ports, a: Assignment, done: Notice, written: Written) -> None:
    def again(at: EpochMs) -> Written:
        same = _done(
            ports,
            a,
            done.kind,
            at,
            pointer=done.pointer,
            outcome=done.outcome,
            callback=done.callback,
        )
        return ports.store.write(Put(same))

    ensure_visible(ports, written, time_of(done.at), again)


def _ignore(ports: Ports, a: Assignment, ignored: Ignored, *, by: Reporter) -> None:
    if ignored.unproven:
        ports.telemetry.emit(events.ReportUnproven(pool=a.pool, work_id=a.work_id, by=by))
        return
    ports.telemetry.emit(
        events.ReportIgnored(
            pool=a.pool, work_id=a.work_id, start=a.start, reason=f"{by}: {ignored.reason}"
        )
    )
    # The first reporter may have died before its kick.
    _kick(ports, a, by=by)


def _kick(ports: Ports, a: Assignment, *, by: Reporter) -> None:
    if by in {"recovery", "loop"}:
        return  # the loop itself: it looks again anyway
    if a.loop_until is not None and ports.clock.now() + limits.SKEW_MS < a.loop_until:
        return  # the loop promised to be there
    try:
        kick(ports, a.pool, KickReason.COMPLETE)
    except StoreUnavailable as error:
        # Recorded all the same; the watchdog finds an unsettled record.
        ports.telemetry.emit(
            events.KickFailed(pool=a.pool, reason=KickReason.COMPLETE, error=str(error))
        )


def _work(record: Record | Unreadable | None) -> WorkItem | Unreadable | None:
    return record if isinstance(record, WorkItem | Unreadable) else None

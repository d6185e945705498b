"""Completes a start: records its outcome, puts the notice for the loop, kicks.

Any process may call it, any number of times.

| step | commit point | lost afterwards? |
|---|---|---|
| finish | the work item's own item (with a large result's chunks) | chunks' TTL, callback, notice: next report, or recovery |
| retry, requeue, snooze | one transaction: work item, pointer, notice | nothing but the kick: watchdog |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.proof import callback_nonce, start_permit
from workpool_aws.core.report.claim import is_unmade, left_unmade, make_write
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
    decide_report,
    decide_requeue,
    decide_snooze,
    must_cancel,
    never_delivered,
    snoozed_too_often,
    what_stands,
)
from workpool_aws.core.report.mutate import unclaimed_end
from workpool_aws.flow.callback.deliver import deliver
from workpool_aws.flow.chunks import write_with
from workpool_aws.flow.report.follow_up import FollowUp, Reporter
from workpool_aws.flow.report.notices import make_notice, prove_notice
from workpool_aws.flow.visibility import make_pointer, prove_work_in_time
from workpool_aws.flow.work.spawned import show_spawned
from workpool_aws.model import events
from workpool_aws.model.loop import NoticeKind
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.work import CallbackState, WorkItem
from workpool_aws.model.writes import Put, Update
from workpool_aws.ports import ConditionFailed, Ports, TransactionFailed
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.record import Record
    from workpool_aws.model.spec import Outcome

__all__ = [
    "MutationEnd",
    "complete",
    "has_ended",
    "mutation_end",
    "mutation_missed",
]


def complete(
    ports: Ports,
    a: Assignment,
    report: Report,
    *,
    by: Reporter,
    judged: Judged | None = None,
    refused: bool = False,
    later: list[Notice] | None = None,
) -> bool:
    """Records the outcome of this start.

    `later`: takes its notice, if it owes no callback, for the caller to write.

    False means that nothing changed: it had been recorded, or the report does not count. Raises
    StoreUnavailable if it may or may not be recorded; report it again, or leave it to recovery.
    """
    step = _Completion(ports, a, report, by, judged, refused=refused, later=later)
    if by == "destination" or report.kind is not ReportKind.SUCCESS:
        # Every role that may invoke the completion function can send records, and a policy decides
        # about more than this start.
        return step.by_stored_item()
    return step.by_policy()


@dataclass(frozen=True, slots=True)
class MutationEnd:
    """The end of a mutation by a transaction of its own, in which `writes` take part [WP-15]."""

    step: _Completion
    decision: Finish

    @property
    def writes(self) -> tuple[Update | Put, ...]:
        """The move to finished, if this start runs and is unclaimed, and the chunks of the result."""
        return (unclaimed_end(self.decision.write), *self.decision.beside)

    def follow_up(self) -> None:
        """Calls back, puts the notice and kicks, after the transaction was applied.

        Raises StoreUnavailable: a second report, or recovery, repeats these steps.
        """
        a = self.step.a
        # A transaction does not answer with the work item.
        ref = WorkRef(a.pool, a.work_id)
        work = self.step.ports.store.get(ref) if _needs_all_of(a) else None
        self.step.announce(self.decision, work)


def mutation_end(ports: Ports, a: Assignment, report: Report, *, by: Reporter) -> MutationEnd:
    """Returns the end of this start by a success."""
    step = _Completion(ports, a, report, by)
    return MutationEnd(step, step.success())


def mutation_missed(
    ports: Ports, a: Assignment, current: Record | Unreadable | None, *, by: Reporter
) -> None:
    """Reports a mutation whose transaction was not applied, since its start is over.

    If this very start has ended the work item, repeats the steps after that end.
    """
    report = Report(kind=ReportKind.SUCCESS)
    _Completion(ports, a, report, by).pass_over(_work(current))


def has_ended(ports: Ports, a: Assignment) -> tuple[bool, Record | Unreadable | None]:
    """Reads the work item after a doubt. True means that this start does not run any more."""
    current = ports.store.get(WorkRef(a.pool, a.work_id))
    return isinstance(as_stored(a, current), Ignored), current


@dataclass(frozen=True, slots=True)
class _Completion:
    """The completion of one start by one report."""

    ports: Ports
    a: Assignment
    report: Report
    by: Reporter
    judged: Judged | None = None
    """The stored work item that the reporter judged. `None` means that it judged none."""
    refused: bool = False
    later: list[Notice] | None = None

    @property
    def _after(self) -> FollowUp:
        return FollowUp(self.ports, self.a, self.by, self.later)

    def by_stored_item(self) -> bool:
        """Reads the work item first, and takes the policy from it."""
        current = self.ports.store.get(WorkRef(self.a.pool, self.a.work_id))
        if is_unmade(current, self.a):
            return self._unmade().by_read_item(self._make_start())
        return self.by_read_item(current)

    def by_read_item(self, current: WorkItem | Unreadable | None) -> bool:
        """Takes the policy from the work item as it was just read."""
        known = as_stored(self.a, current)
        if isinstance(known, Ignored):
            return self._pass_over(known, current)
        step = replace(self, a=known)
        if isinstance(current, WorkItem) and self.report.kind in {
            ReportKind.NEVER_DELIVERED,
            ReportKind.SNOOZED,
        }:
            return step.start_again(current)
        return step.by_policy()

    def _unmade(self) -> _Completion:
        """Returns this completion for a start that no worker has made.

        A failure in Lambda's record came before user code then, so the start is requeued.
        """
        if self.by != "destination" or self.report.kind is not ReportKind.FAILED:
            return self
        return replace(self, report=replace(self.report, kind=ReportKind.NEVER_DELIVERED))

    def _make_start(self) -> WorkItem | Unreadable | None:
        """Makes the start in place of the worker, and returns the work item as it is then.

        No event of this start can make it any more [WP-29], so it can end as any other. Nothing
        runs under it: its deadline is now.
        """
        now = self.ports.clock.now()
        token = self.ports.entropy.token()
        write = make_write(self.a, token=token, now=now, ends_by=now, claim=None)
        try:
            return _work(self.ports.store.write(write).record)
        except ConditionFailed as met:
            return _work(met.current)

    def by_policy(self) -> bool:
        """Ends the work item, or tries again, as its retry policy says."""
        decision = decide_report(
            self.a,
            self.report,
            now=self.ports.clock.now(),
            jitter=self.ports.entropy.fraction(),
            judged=self.judged,
            nonce=self._callback_nonce(),
            permit=self._next_permit(),
        )
        if isinstance(decision, Retry):
            return self._try_again(decision)
        return self.finish(decision)

    def success(self) -> Finish:
        """Returns the end by a success."""
        now = self.ports.clock.now()
        decision = decide_report(
            self.a, self.report, now=now, jitter=0, nonce=self._callback_nonce()
        )
        if not isinstance(decision, Finish):
            raise TypeError("a success ends its work item")
        return decision

    def finish(self, decision: Finish) -> bool:
        """Ends the work item: the commit point, then the callback, the notice and the kick."""
        a, store = self.a, self.ports.store
        finished: Record | Unreadable | None
        try:
            finished = write_with(store, decision.write, decision.beside).record
            if finished is None and _needs_all_of(a):
                # A transaction does not answer with the work item, and what follows needs all of it.
                finished = store.get(WorkRef(a.pool, a.work_id))
        except ConditionFailed as met:
            return self.pass_over(_work(met.current))
        self.announce(decision, finished)
        return True

    def announce(self, decision: Finish, finished: Record | Unreadable | None) -> None:
        """Reports the end of a work item, and makes the steps that follow it."""
        a = self.a
        self.ports.telemetry.emit(
            events.Completed(
                pool=a.pool,
                work_id=a.work_id,
                job=a.label,
                outcome=decision.outcome,
                attempts_made=decision.attempts_made,
                error_type=self.report.error_type,
                lag_ms=finished.lag_ms if isinstance(finished, WorkItem) else None,
            )
        )
        outcome = counted_outcome(a, decision.outcome, decision.attempts_made)
        self._after_end(finished, outcome, decision.expiries)

    def _after_end(
        self,
        finished: Record | Unreadable | None,
        outcome: Outcome | None,
        expiries: tuple[Update, ...],
    ) -> None:
        """Makes the steps after the end: chunks and schedule, callback, notice and kick.

        `finished`: the work item as it ended. `outcome`: as the notice counts it.
        """
        self._after.release(finished, expiries)
        group = finished.group_end if isinstance(finished, WorkItem) else None
        ran_ms = self.report.ran_ms
        self._after.notify(outcome, callback=self._call_back(finished), group=group, ran_ms=ran_ms)

    def _call_back(self, finished: Record | Unreadable | None) -> CallbackState | None:
        """Returns the loop's part in the callback: to send it, or to check its acknowledgement.

        `None` means neither.
        """
        if not isinstance(finished, WorkItem) or finished.callback is None:
            return None
        state = (
            deliver(self.ports, finished)
            if finished.callback is CallbackState.PENDING
            else finished.callback
        )
        return state if state in {CallbackState.PENDING, CallbackState.SENT} else None

    def pass_over(self, current: WorkItem | Unreadable | None) -> Literal[False]:
        """Changes no work item, since it is in another state than this report expects."""
        return self._pass_over(what_stands(current, self.a), current)

    def _pass_over(self, ignored: Ignored, current: WorkItem | Unreadable | None) -> Literal[False]:
        """Changes no work item, but repeats the steps after this start's end, which may have been lost."""
        is_of_end = ignored.reported and self.report.kind in {ReportKind.SUCCESS, ReportKind.FAILED}
        if is_of_end and isinstance(current, WorkItem):
            # Its reporter may have died before loops could find what its transaction stored.
            show_spawned(self.ports, current)
            outcome = counted_outcome(self.a, current.outcome, current.attempts_made)
            # The stored end, not that of this report: the stored one may owe a callback [WP-10].
            self._after_end(current, outcome, overdue_expiries(current))
        else:
            self._after.suspect(self.report, current)
            if left_unmade(current, self.a):
                self._after.ask_for_check()
            self._after.ignore(ignored)
        return False

    def _try_again(self, decision: Retry) -> bool:
        if not self._move_back(decision, NoticeKind.RETRY, judged=self.judged):
            return False
        self.ports.telemetry.emit(
            events.Retrying(
                pool=self.a.pool,
                work_id=self.a.work_id,
                job=self.a.label,
                attempts_made=self.a.attempts_made + 1,
                delay_ms=decision.delay_ms,
                error_type=self.report.error_type,
            )
        )
        self._after.kick()
        return True

    def start_again(self, current: WorkItem) -> bool:
        """Requeues or postpones the start. After too many of these it ends as a failure instead."""
        now, permit = self.ports.clock.now(), self._next_permit()
        decision: Requeue | Postpone | None
        if self.report.kind is ReportKind.SNOOZED:
            decision = decide_snooze(self.a, current, self.report, now=now, permit=permit)
            failure = snoozed_too_often
        else:
            decision = decide_requeue(
                self.a, current, self.report, now=now, refused=self.refused, permit=permit
            )
            failure = never_delivered
        if decision is None:
            return replace(self, report=failure(self.report)).by_policy()
        # To the loop, which may be one of 0.1, a snooze is a put back that counts no attempt.
        moved = self._move_back(decision, NoticeKind.PUT_BACK, judged=None)
        if moved:
            self.ports.telemetry.emit(self._event_of(decision))
            self._after.kick()
        return moved

    def _event_of(self, decision: Requeue | Postpone) -> events.Event:
        match decision:
            case Postpone():
                return events.Snoozed(
                    pool=self.a.pool,
                    work_id=self.a.work_id,
                    job=self.a.label,
                    snoozes=decision.snoozes,
                    delay_ms=decision.delay_ms,
                )
            case Requeue():
                return events.PutBack(
                    pool=self.a.pool,
                    work_id=self.a.work_id,
                    job=self.a.label,
                    undelivered=decision.undelivered,
                    delay_ms=decision.delay_ms,
                    reason=self.report.error or self.by,
                )
            case _:
                assert_never(decision)

    def _move_back(
        self, decision: Retry | Requeue | Postpone, kind: NoticeKind, *, judged: Judged | None
    ) -> bool:
        """Makes the work item pending again, with its pointer and its notice.

        False means that it is not pending. If a cancel was requested, it ends as canceled.
        """
        ports, a, bits = self.ports, self.a, self.ports.entropy.bits(75)
        pointer = make_pointer(a.pool, a.work_id, decision.due_at, random_bits=bits)
        notice = make_notice(ports, a, kind, pointer=pointer.at)
        try:
            written = ports.store.transact([decision.write, Put(pointer), Put(notice)])
        except TransactionFailed as met:
            current = _work(met.current[0])
            if must_cancel(current, a):
                self._cancel(judged)
            else:
                self._after.ignore(what_stands(current, a))
            return False
        prove_work_in_time(ports, written, a.pool, a.work_id, decision.due_at)
        prove_notice(ports, notice, written)
        return True

    def _cancel(self, judged: Judged | None) -> None:
        canceled = decide_canceled(
            self.a,
            self.report,
            now=self.ports.clock.now(),
            judged=judged,
            nonce=self._callback_nonce(),
        )
        replace(self, report=replace(self.report, error_type=None)).finish(canceled)

    def _callback_nonce(self) -> str | None:
        return callback_nonce(self.ports.entropy.token()) if self.a.callback_outcomes else None

    def _next_permit(self) -> str:
        return start_permit(self.ports.entropy.token())


def _work(record: Record | Unreadable | None) -> WorkItem | Unreadable | None:
    return record if isinstance(record, WorkItem | Unreadable) else None


def _needs_all_of(a: Assignment) -> bool:
    """True if the steps after the end need the work item: a callback, a schedule, a group."""
    return bool(a.callback_outcomes) or a.awaited or a.grouped or a.unique

"""Starts committed work items, or sends them to workers that make the start.

Only the starts of a committed ledger are made here [WP-2].
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from workpool_aws.core import limits
from workpool_aws.core.callback.targets import OWN_FUNCTION, is_own
from workpool_aws.core.lifecycle import has_expired
from workpool_aws.core.loop.effects import Begun
from workpool_aws.core.loop.runs import patience_over_at
from workpool_aws.core.loop.start import (
    assignment_for,
    assignment_to_make,
    first_look,
    is_made_by_worker,
    start_write,
)
from workpool_aws.core.proof import digest_of, start_nonce
from workpool_aws.core.report.complete import after_refusal, without_payload
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.work.expire import expire
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.payload import Inline, Part, inline_text
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Ports,
)
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workpool_aws.core.loop.effects import Start
    from workpool_aws.model.messages import Assignment
    from workpool_aws.ports import FunctionLimits

__all__ = ["begin", "begin_run", "offer", "refusal_of"]

A = TypeVar("A")


def begin(ports: Ports, token: str, secret: str, start: Start) -> Begun:
    """Makes one start, or sends it to the worker that is to make it [WP-29].

    Its nonce comes from `secret` [WP-28]. Never raises: an uncertain start is checked in the next
    pass, or recovered.
    """
    work, number = start.work, start.key.start
    nonce = start_nonce(secret, ports.table, work.pool, work.id, number)
    function = ports.invoker.limits(work.spec.target)
    with suppress(StoreUnavailable):
        if work.state is State.PENDING and has_expired(work, ports.clock.now()):
            # Since it was chosen, or since the holder died that chose it.
            expire(ports, work)
        elif is_made_by_worker(work, target_claims=function.claims):
            return _send_unmade(ports, nonce, function, start)
        else:
            return _send_made(_StartWrite(ports, token, nonce, start), function)
    return Begun(start.key, None, sent=False)


def begin_run(ports: Ports, secret: str, starts: Sequence[Start]) -> list[Begun]:
    """Sends the starts of a run to the worker that is to make one after the other [WP-30].

    Never raises: an uncertain start is checked in the next pass. A start that its worker cannot make
    any more is requeued, and starts alone.
    """
    now, senders, back = ports.clock.now(), dict[EntryKey, _Sender](), set[EntryKey]()
    function = ports.invoker.limits(starts[0].work.spec.target)
    for start in starts:
        work = start.work
        nonce = start_nonce(secret, ports.table, work.pool, work.id, start.key.start)
        sender = _Sender.of_unmade(ports, nonce, function, start)
        if has_expired(work, now):
            with suppress(StoreUnavailable):
                expire(ports, work)
        elif is_made_by_worker(work, target_claims=function.claims):
            senders[start.key] = sender
        else:
            # Its function makes none since, or is gone. The loop itself makes no start of a run, so
            # the slot would be kept until the event is too old.
            sender.settle(sender.requeue, "its function does not make its starts any more")
            back.add(start.key)
    answered, begun = bool(senders) and _send_run(list(senders.values())), list[Begun]()
    start_by = EpochMs(now + function.event_age_ms)
    for start in starts:
        sent = start.key in back or (answered and start.key in senders)
        alone = start.key == start.run
        until = EpochMs(start_by + function.timeout_ms) if alone else patience_over_at(now)
        begun.append(Begun(start.key, until if sent else None, sent=sent))
    return begun


def _send_run(senders: Sequence[_Sender]) -> bool:
    """Invokes the worker of a run, as `_Sender.send` does for one start."""
    first, ports = senders[0], senders[0].ports
    refused = refusal_of(ports, first.work)
    if refused is not None:
        for each in senders:
            each.settle(each.end_refused, refused)
        return True
    starts = [
        (each.assignment, args.text)
        for each in senders
        if isinstance(args := each.work.spec.args, Inline)
    ]
    return _invoke(senders, lambda: ports.invoker.start_run(first.work.spec.target, starts))


def _invoke(senders: Sequence[_Sender], call: Callable[[], None]) -> bool:
    """Invokes the worker of one start, or of a run, and ends or requeues what Lambda does not take.

    False means that Lambda did not answer, so it may have the event or not.
    """
    try:
        _with_patience(senders[0].ports, call)
    except InvokeThrottled:
        for each in senders:
            each.settle(each.requeue, "Lambda throttled the invoke")
    except InvokeUnanswered as error:
        # It may have been taken. A second event of a start that the loop has made could run the work
        # item twice, so recovery decides.
        for each in senders:
            each.report_unanswered(str(error) or "no answer")
        return False
    except InvokeRefused as refusal:
        for each in senders:
            each.settle(each.end_after, refusal)
    else:
        for each in senders:
            each.report_started()
    return True


def _with_patience(ports: Ports, call: Callable[[], None]) -> None:
    """Calls again while Lambda throttles, a few times. Raises as the call."""
    for _ in range(1, limits.INVOKE_TRIES):
        try:
            return call()
        except InvokeThrottled:
            ports.clock.sleep(limits.INVOKE_RETRY_MS)
    return call()


def _send_made(write: _StartWrite, function: FunctionLimits) -> Begun:
    """Makes the start, and sends it. Raises StoreUnavailable: it may or may not be made."""
    ports, start, running = write.ports, write.start, write.make()
    if running is None:
        return Begun(start.key, None, sent=False)
    assignment = assignment_for(
        running,
        ports.table,
        nonce=write.nonce,
        timeout_ms=function.timeout_ms,
        loop_until=start.loop_until,
        target_claims=function.claims,
    )
    # Left to recovery if it is not put back for certain: a second invoke could run it twice.
    with suppress(StoreUnavailable):
        _Sender(ports, running, assignment, running.started_at or EpochMs(0)).send()
    return Begun(start.key, running.deadline, sent=True)


def _send_unmade(ports: Ports, nonce: str, function: FunctionLimits, start: Start) -> Begun:
    """Sends a committed start that its worker makes; a second event for it does no harm [WP-29].

    Without an answer it is checked again, and sent again while no worker has made it.
    """
    sender, answered = _Sender.of_unmade(ports, nonce, function, start), False
    with suppress(StoreUnavailable):
        answered = sender.send()
    until = first_look(
        start.work,
        event_age_ms=function.event_age_ms,
        timeout_ms=function.timeout_ms,
        by_worker=True,
        now=sender.began_at,
    )
    return Begun(start.key, until if answered else None, sent=answered)


def offer(ports: Ports, secret: str, start: Start) -> None:
    """Sends a committed start once to the worker that makes it, and settles nothing [WP-44].

    Raises InvokeThrottled, InvokeRefused, InvokeUnanswered: a loop looks at the entry, and sends
    the start again.
    """
    work, number = start.work, start.key.start
    nonce = start_nonce(secret, ports.table, work.pool, work.id, number)
    function = ports.invoker.limits(work.spec.target)
    sender = _Sender.of_unmade(ports, nonce, function, start)
    ports.invoker.start_work(work.spec.target, sender.assignment, inline_text(work.spec.args) or "")
    sender.report_started()


def refusal_of(ports: Ports, work: WorkItem) -> str | None:
    """Returns the reason for which its target may not be invoked; `None` means that it may."""
    target = work.spec.target
    function = ports.invoker.limits(target)
    if function.own or is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):
        return f"the target must be {OWN_FUNCTION}"
    timeout_ms = work.spec.timeout_ms
    if timeout_ms is not None and timeout_ms > function.timeout_ms:
        own, asked = function.timeout_ms / 1000, timeout_ms / 1000
        return f"timeout must be at most the function's own, {own:g} s; got {asked:g} s"
    return function.refusal(work.pool)


@dataclass(frozen=True, slots=True)
class _StartWrite:
    """The write by which a loop with this token makes a start."""

    ports: Ports
    token: str
    nonce: str
    start: Start

    def make(self) -> WorkItem | None:
        """Returns the work item as it runs this start by this loop.

        `None` means that it does not, so it must be checked again.
        """
        work = self.start.work
        function = self.ports.invoker.limits(work.spec.target)
        now = self.ports.clock.now()
        update = start_write(
            work,
            self.start.key.start,
            token=self.token,
            proof=digest_of(self.nonce),
            timeout_ms=function.timeout_ms,
            event_age_ms=function.event_age_ms,
            now=now,
        )
        try:
            running = self.ports.store.write(update).record
        except ConditionFailed as met:
            return self._own(met.current)
        return running if isinstance(running, WorkItem) else None

    def _own(self, current: object) -> WorkItem | None:
        """Returns this loop's own start write, repeated after a lost answer by SDK or next pass."""
        if (
            isinstance(current, WorkItem)
            and current.state is State.RUNNING
            and current.starts == self.start.key.start
            and current.started_by == self.token
        ):
            return current
        return None


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends a start to its worker, or takes it back."""

    ports: Ports
    work: WorkItem
    """As the start write left it; pending, if the worker is to make the start."""
    assignment: Assignment
    began_at: EpochMs

    @staticmethod
    def of_unmade(ports: Ports, nonce: str, function: FunctionLimits, start: Start) -> _Sender:
        """Returns the one of a committed start that its worker makes."""
        now = ports.clock.now()
        assignment = assignment_to_make(
            start.work,
            start.key.start,
            ports.table,
            nonce=nonce,
            now=now,
            start_by=EpochMs(now + function.event_age_ms),
            loop_until=start.loop_until,
        )
        return _Sender(ports, start.work, assignment, now)

    def send(self) -> bool:
        """Invokes the worker, if its event can be made in time.

        False means that Lambda did not answer, so it may have the event or not. Raises
        StoreUnavailable.
        """
        work = self.work
        owner = WorkRef(work.pool, work.id)
        try:
            args = read_payload(self.ports, owner, Part.ARGS, work.spec.args)
        except StoreUnavailable as error:
            self.requeue(f"its arguments could not be read: {error}")
            return True
        refused = refusal_of(self.ports, work)
        if refused is not None:
            self.end_refused(refused)
        elif args is None:
            self._end(without_payload())
        elif self.ports.clock.now() - self.began_at > limits.START_TO_INVOKE_MS:
            # So slow since the start write that the worker's `start_by` may be near. A new start is
            # safer than a late one.
            self.requeue("the loop was too slow to invoke it")
        else:
            target, invoker = work.spec.target, self.ports.invoker
            return _invoke([self], lambda: invoker.start_work(target, self.assignment, args))
        return True

    def settle(self, end: Callable[[A], None], reason: A) -> None:
        """Ends one start of a run. Without an answer it is left to recovery."""
        with suppress(StoreUnavailable):
            end(reason)

    def report_unanswered(self, error: str) -> None:
        """Reports that Lambda may have the event or not."""
        a = self.assignment
        unanswered = events.StartUnanswered(
            pool=a.pool,
            work_id=a.work_id,
            job=a.label,
            start=a.start,
            error=error,
        )
        self.ports.telemetry.emit(unanswered)

    def report_started(self) -> None:
        """Reports that Lambda has the event."""
        work = self.work
        started = events.Started(
            pool=work.pool,
            work_id=work.id,
            job=work.spec.label,
            attempt=work.attempts_made + 1,
            lag_ms=max(0, self.began_at - work.due_at),
        )
        self.ports.telemetry.emit(started)

    def requeue(self, reason: str) -> None:
        """Requeues the start. Raises StoreUnavailable, as the following."""
        self._end(Report(kind=ReportKind.NEVER_DELIVERED, error=reason))

    def end_refused(self, reason: str) -> None:
        """Ends the work item, since its target may not be invoked."""
        report = Report(
            kind=ReportKind.FAILED, error=reason, error_type="not_invocable", retryable=False
        )
        self._end(report, refused=True)

    def end_after(self, refused: InvokeRefused) -> None:
        """Ends or requeues the start, since Lambda refused its event."""
        now = self.ports.clock.now()
        report = after_refusal(self.work, refused.reason, lasting=refused.lasting, now=now)
        self._end(report, refused=True)

    def _end(self, report: Report, *, refused: bool = False) -> None:
        complete(self.ports, self.assignment, report, by="loop", refused=refused)

"""Starts committed work items: the start write, then the invoke.

Only the starts of a committed ledger are made here [WP-2].
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.targets import OWN_FUNCTION, is_own
from workpool_aws.core.lifecycle import has_expired
from workpool_aws.core.loop.effects import Begun
from workpool_aws.core.loop.start import assignment_for, start_write
from workpool_aws.core.proof import digest_of, start_nonce
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.core.report.complete import after_refusal, without_payload
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import read_payload
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.work.expire import expire
from workpool_aws.model import events
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.payload import Part
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Ports,
)

if TYPE_CHECKING:
    from workpool_aws.core.loop.effects import Start

__all__ = ["begin"]


def begin(ports: Ports, token: str, secret: str, start: Start) -> Begun:
    """Makes one start, whose nonce comes from `secret` [WP-28].

    Never raises: an uncertain start is checked in the next pass, or recovered.
    """
    work, number = start.work, start.key.start
    nonce = start_nonce(secret, ports.table, work.pool, work.id, number)
    running = None
    with suppress(StoreUnavailable):
        if work.state is State.PENDING and has_expired(work, ports.clock.now()):
            # Since it was chosen, or since the holder died that chose it.
            expire(ports, work)
        else:
            running = _StartWrite(ports, token, nonce, start).make()
    if running is None:
        return Begun(start.key, None, sent=False)
    # A start that is not put back for certain is left to recovery, after its deadline. A second
    # invoke could run it twice.
    with suppress(StoreUnavailable):
        _Sender(ports, running, nonce, start).send()
    return Begun(start.key, running.deadline, sent=True)


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
    """Sends a start that was just written, or takes it back."""

    ports: Ports
    running: WorkItem
    nonce: str
    start: Start

    def send(self) -> None:
        """Invokes the worker, if its event can be made in time. Raises StoreUnavailable."""
        running = self.running
        owner = WorkRef(running.pool, running.id)
        try:
            args = read_payload(self.ports, owner, Part.ARGS, running.spec.args)
        except StoreUnavailable as error:
            self._put_back(f"its arguments could not be read: {error}")
            return
        refused = self._refusal()
        if refused is not None:
            report = Report(
                kind=ReportKind.FAILED, error=refused, error_type="not_invocable", retryable=False
            )
            self._end(report, refused=True)
        elif args is None:
            self._end(without_payload())
        elif self.ports.clock.now() - (running.started_at or 0) > limits.START_TO_INVOKE_MS:
            # So slow since the start write that the worker's `start_by` may be near. A new start is
            # safer than a late one.
            self._put_back("the loop was too slow to invoke it")
        else:
            self._invoke(args)

    def _refusal(self) -> str | None:
        ports, target = self.ports, self.running.spec.target
        function = ports.invoker.limits(target)
        if function.own or is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):
            return f"the target must be {OWN_FUNCTION}"
        return function.refusal(self.running.pool)

    def _invoke(self, args: str) -> None:
        ports, running = self.ports, self.running
        assignment = assignment_for(
            running,
            ports.table,
            nonce=self.nonce,
            timeout_ms=ports.invoker.limits(running.spec.target).timeout_ms,
            loop_until=self.start.loop_until,
        )
        for attempt in range(1, limits.INVOKE_TRIES + 1):
            try:
                ports.invoker.start_work(running.spec.target, assignment, args)
            except InvokeThrottled:
                if attempt < limits.INVOKE_TRIES:
                    ports.clock.sleep(limits.INVOKE_RETRY_MS)
            except InvokeUnanswered as error:
                # It may have been taken. A second event could run the work item twice, so recovery
                # decides.
                self._report_unanswered(str(error) or "no answer")
                return
            except InvokeRefused as refused:
                now = ports.clock.now()
                report = after_refusal(running, refused.reason, lasting=refused.lasting, now=now)
                complete(ports, assignment, report, by="loop", refused=True)
                return
            else:
                self._report_started()
                return
        self._put_back("Lambda throttled the invoke")

    def _report_unanswered(self, error: str) -> None:
        running = self.running
        unanswered = events.StartUnanswered(
            pool=running.pool,
            work_id=running.id,
            job=running.spec.label,
            start=running.starts,
            error=error,
        )
        self.ports.telemetry.emit(unanswered)

    def _report_started(self) -> None:
        running = self.running
        started = events.Started(
            pool=running.pool,
            work_id=running.id,
            job=running.spec.label,
            attempt=running.attempts_made + 1,
            lag_ms=max(0, (running.started_at or 0) - self.start.work.due_at),
        )
        self.ports.telemetry.emit(started)

    def _put_back(self, reason: str) -> None:
        self._end(Report(kind=ReportKind.NEVER_DELIVERED, error=reason))

    def _end(self, report: Report, *, refused: bool = False) -> None:
        assignment = assignment_of(self.running, self.ports.table)
        complete(self.ports, assignment, report, by="loop", refused=refused)

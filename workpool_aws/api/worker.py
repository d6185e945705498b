"""`Worker`: the Lambda handler that `@pool.action` makes of a function."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar, Final, Generic, ParamSpec, TypeVar

from workpool_aws import invocation
from workpool_aws.adapters.wire.assignment import assignment_from_wire, run_from_wire
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.report import REPORTED, carried_outcome
from workpool_aws.api.handle import Desk, JobHandle
from workpool_aws.api.job import Job, mark_job
from workpool_aws.api.parameters import InvalidArgumentsError, Parameters, plain_handler, take_names
from workpool_aws.api.returned import Returned
from workpool_aws.api.run import RunStart, RunSteps, serve_run, start_of
from workpool_aws.api.vigil import Vigil, current_vigil
from workpool_aws.api.work import Work, timer_of
from workpool_aws.core import limits
from workpool_aws.core.payload import encode_result
from workpool_aws.core.report.claim import ClaimAnswer
from workpool_aws.core.report.execute import (
    is_too_late,
    report_invalid_arguments,
    report_not_run,
    report_raised,
    report_returned,
    report_unknown_job,
)
from workpool_aws.core.report.raised import type_name
from workpool_aws.errors import StoreUnavailable, TimedOut, UsageError
from workpool_aws.flow.callback.acknowledge import acknowledge
from workpool_aws.flow.report.claim import ClaimUnanswered, take
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.report.follow_up import FollowUp
from workpool_aws.flow.report.notices import write_together
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.trace import TracedOperation, TraceStep
from workpool_aws.settings import refuse_other_pools, takes_runs
from workpool_aws.text import Words
from workpool_aws.values import replace

if TYPE_CHECKING:
    from types import TracebackType

    from workpool_aws.ports import Ports

__all__ = ["ReportNotWritten", "Worker", "refuse_job"]

F = ParamSpec("F")
A = ParamSpec("A")
R = TypeVar("R")

_REPORTER: Final = "worker"
_POOL_FIELD: Final = f"event.{WORKPOOL_KEY}.pool"
_TOO_LATE: Final = "it was delivered too late to be run in time"
_LEASE_OVER: Final = "its process stood still until its lease was over"
_CLAIM_REFUSED: Final = "refused by the claim"
_TRACE_OF: Final[Callable[[BaseException], TracebackType | None]] = vars(BaseException)[
    "__traceback__"
].__get__
"""Past a property of the same name, which may do anything."""


class ReportNotWritten(Exception):
    """DynamoDB did not take the report of an attempt.

    Lambda hands this error to the destination instead.

    The message is the report, for the completion function to read.
    """


class Worker(JobHandle[A, R], Generic[F, A, R]):
    """The Lambda handler that `@pool.action` makes of a function, and the handle that enqueues it.

    For an event from a pool it claims the start if the assignment says so, validates the arguments,
    runs the function and reports. It does not raise the function's errors. For any other event it
    validates the arguments, and returns or raises as the function does.
    """

    __workpool__: bool
    __name__: str
    __qualname__: str
    _CLAIMS: ClassVar[bool] = True
    """False for a function whose effect cannot be doubled."""
    _HANDLES: ClassVar[tuple[type, ...]] = (Work,)
    """Types of parameters that the pool fills."""

    def __init__(
        self,
        function: Callable[F, R],
        *,
        job: Job,
        desk: Desk,
        connect: Callable[[str], Ports],
        make_work: Callable[[Ports, Assignment, object], Work],
    ) -> None:
        parameters = Parameters(function, handles=self._HANDLES)
        super().__init__(job, parameters, Returned(function), desk)
        self._connect = connect
        self._make_work = make_work
        self._call: Callable[..., object] = function
        self.function = function
        """The plain function, for direct tests."""
        self.handler = plain_handler(self, function)
        """The handler as a plain function, for decorators that wrap nothing else, such as
        Powertools' `lambda_handler_decorator`."""
        take_names(self, function)
        mark_job(self.handler, self)

    def __repr__(self) -> str:
        return f"<worker {self.__qualname__}; as a plain function: {self.__qualname__}.handler>"

    def __call__(self, event: object, context: object) -> object:
        """Handle one event, as Lambda calls it.

        Raises:
            ReportNotWritten: DynamoDB did not take the report, which this error carries.
            UsageError: The event has a damaged assignment, or one of a pool that this function does
                not serve. Or it has none, and its arguments do not fit the function. The function
                did not run.
        """
        if not isinstance(event, Mapping):
            raise UsageError(
                "event", Words(type(event).__name__), "a JSON object with the function's arguments"
            )
        arguments = {str(name): value for name, value in event.items() if name != WORKPOOL_KEY}
        if WORKPOOL_KEY not in event:
            return self._run_directly(arguments)
        run = run_from_wire(event[WORKPOOL_KEY])
        if run is not None:
            return self._serve_run([start_of(each) for each in run], context)
        assignment = assignment_from_wire(event[WORKPOOL_KEY])
        if assignment is None and (ticket := ticket_from_wire(event[WORKPOOL_KEY])) is not None:
            # The worker is the callback target of another work item. Its return value is dropped:
            # it would have no reader, and the function would run again if Lambda failed to encode
            # it.
            refuse_other_pools(_POOL_FIELD, ticket.pool)
            self._run_directly(arguments)
            acknowledge(self._connect(ticket.table), ticket)
            return None
        if assignment is None:
            given = type(
                event[WORKPOOL_KEY]
            ).__name__  # without its contents, which may prove a report
            raise UsageError(
                f"event.{WORKPOOL_KEY}",
                Words(f"a {given} that cannot be read"),
                "the assignment that a pool sends",
            )
        refuse_other_pools(_POOL_FIELD, assignment.pool)
        ports = self._connect(assignment.table)
        if assignment.job not in {None, self.job.name}:
            return refuse_job(ports, assignment, context, known=(self.job.name,))
        return self._serve(ports, assignment, arguments, context)

    def _serve(
        self, ports: Ports, assignment: Assignment, arguments: Mapping[str, object], context: object
    ) -> object:
        """Handle the delivery of one start. Raises ReportNotWritten, UsageError."""
        if is_too_late(assignment, now=ports.clock.now()):
            return _reported(ports, assignment, report_not_run(_TOO_LATE))
        token, began = None, ports.clock.now()
        if self._must_take(assignment):
            token = self._take(ports, assignment, context).token
            if token is None:
                return REPORTED
        report = self._perform(ports, assignment, arguments, context, token=token, began=began)
        return _reported(ports, assignment, report)

    def _serve_run(self, starts: Sequence[RunStart], context: object) -> object:
        first = starts[0].assignment
        refuse_other_pools(_POOL_FIELD, first.pool)
        ports = self._connect(first.table)
        if first.job not in {None, self.job.name}:
            for start in starts:
                refuse_job(ports, start.assignment, context, known=(self.job.name,))
            return REPORTED

        steps = RunSteps(
            begin=self._show_begin,
            take=lambda start: self._take_in_run(ports, start.assignment, context),
            perform=lambda start, token: self._perform(
                ports, start.assignment, start.arguments, context, token=token
            ),
            report=lambda start, report, later: complete(
                ports, start.assignment, report, by=_REPORTER, later=later
            ),
            failed=lambda start, report: ReportNotWritten(
                carried_outcome(report, start.assignment)
            ),
            put=lambda notices: write_together(ports, notices),
        )
        put = serve_run(ports, starts, steps, remaining_ms=timer_of(context)())
        if put:
            FollowUp(ports, first, _REPORTER).kick()
        return REPORTED

    @staticmethod
    def _show_begin(start: RunStart) -> None:
        """Show the surroundings of the invocation which start of a run begins."""
        begun = invocation.begun.get()
        if begun is not None:
            begun(start.event)

    def _run_directly(self, arguments: Mapping[str, object]) -> object:
        try:
            values = self._parameters.bind(arguments, None)
        except InvalidArgumentsError as invalid:
            raise UsageError(
                "event",
                Words(f"the keys {sorted(arguments)}"),
                f"arguments that fit the function ({'; '.join(invalid.problems)})",
            ) from None
        return _encodable(self._call(**values))

    def _must_take(self, assignment: Assignment) -> bool:
        return assignment.permit is not None or (assignment.claimed and self._CLAIMS)

    def _take(self, ports: Ports, assignment: Assignment, context: object) -> ClaimAnswer:
        """Claim or make the start for this invocation. Raises as `_claim`."""
        taken = _claim(ports, assignment, context, claims=self._CLAIMS)
        if taken.token is None or not is_too_late(assignment, now=ports.clock.now()):
            return taken
        # The SDK repeated the write for so long [WP-25].
        claim = taken.token if self._CLAIMS else None
        _reported(ports, assignment, report_not_run(_TOO_LATE, claim=claim))
        return ClaimAnswer(None, is_over=True)

    def _take_in_run(
        self, ports: Ports, assignment: Assignment, context: object
    ) -> ClaimAnswer | Exception:
        """Claim or make a start of a run, and return what ends the invocation in place of raising it."""
        try:
            if is_too_late(assignment, now=ports.clock.now()):
                _reported(ports, assignment, report_not_run(_TOO_LATE))
                return ClaimAnswer(None, is_over=True)
            return self._take(ports, assignment, context)
        except ReportNotWritten as lost:
            return lost

    def _perform(
        self,
        ports: Ports,
        assignment: Assignment,
        arguments: Mapping[str, object],
        context: object,
        *,
        token: str | None,
        began: EpochMs | None = None,
    ) -> Report | None:
        """Trace and run a start that is taken; `None` means that its success is written already.

        `began`: a time before it was taken. Defaults to now.
        """
        # A report that names a claim would end a mutation for good.
        claim, now = token if self._CLAIMS else None, ports.clock.now()
        step = TraceStep(
            operation=TracedOperation.ATTEMPT,
            table=assignment.table,
            pool=assignment.pool,
            work_id=assignment.work_id,
            job=assignment.label,
            attempt=assignment.attempts_made + 1,
            sent_at=assignment.sent_at,
        )
        ends_at = EpochMs(now + timer_of(context)())
        vigil = Vigil(ports, assignment, claim, now if began is None else began, ends_at)
        if vigil.lease_is_over:
            return report_not_run(_LEASE_OVER, claim=claim)
        with ports.tracing.span(step, assignment.trace) as span:
            with vigil.kept():
                report = self._attempt(vigil, arguments, context)
            if report is not None:
                span.end(report.kind, report.error_type)
        return report

    def _attempt(
        self, vigil: Vigil, arguments: Mapping[str, object], context: object
    ) -> Report | None:
        """Validate the arguments, and run the function; `None` means that its success is written."""
        ports, assignment, token = vigil.ports, vigil.assignment, vigil.token
        try:
            values = self._parameters.bind(
                arguments, lambda kind: self._make_handle(kind, ports, assignment, context)
            )
        except InvalidArgumentsError as invalid:
            return report_invalid_arguments(invalid.problems, claim=token)
        except Exception as error:  # noqa: BLE001 - a validator's failure is the attempt's
            _show_raised(ports, assignment, error)
            return report_raised(error, claim=token)
        return self._run(ports, assignment, values, context, token=token)

    def _make_handle(
        self, kind: type, ports: Ports, assignment: Assignment, context: object
    ) -> object:
        """Make the handle of a type among `_HANDLES`."""
        del kind
        return self._make_work(ports, assignment, context)

    def _run(
        self,
        ports: Ports,
        assignment: Assignment,
        values: Mapping[str, object],
        context: object,
        *,
        token: str | None,
    ) -> Report | None:
        """Run the function; `None` means that its success is written already."""
        del context
        return self._run_body(ports, assignment, values, token=token)

    def _run_body(
        self,
        ports: Ports,
        assignment: Assignment,
        values: Mapping[str, object],
        *,
        token: str | None,
    ) -> Report:
        vigil = current_vigil.get()
        try:
            with nullcontext() if vigil is None else vigil.timed():
                return self._run_once(ports, assignment, values, token=token)
        except TimedOut as late:  # while the durations of a simulation passed
            _show_raised(ports, assignment, late)
            return report_raised(late, claim=token)

    def _run_once(
        self,
        ports: Ports,
        assignment: Assignment,
        values: Mapping[str, object],
        *,
        token: str | None,
    ) -> Report:
        before_body = invocation.before_body.get()
        began = ports.clock.now()
        try:
            if before_body is not None:
                before_body(self)
            returned = self._call(**values)
        # Any other BaseException ends the process, which Lambda reports.
        except Exception as error:  # noqa: BLE001 - an error is the attempt's failure
            report = report_raised(error, claim=token)
            if report.kind is not ReportKind.SNOOZED:
                _show_raised(ports, assignment, error)
        else:
            report = report_returned(returned, claim=token)
        if (after_body := invocation.after_body.get()) is not None:
            after_body()
        if not takes_runs():
            return report
        return replace(report, ran_ms=min(max(0, ports.clock.now() - began), limits.NUMBER_MAX))


def refuse_job(
    ports: Ports, assignment: Assignment, context: object, *, known: Sequence[str]
) -> object:
    """Fail a start of a job that the function does not have, at once and for good.

    Raises as `Worker.__call__`.
    """
    token = None
    if assignment.is_exclusive:
        token = _claim(ports, assignment, context).token
        if token is None:
            return REPORTED
    job = assignment.job or "without a name"
    return _reported(ports, assignment, report_unknown_job(job, known, claim=token))


def _reported(ports: Ports, assignment: Assignment, report: Report | None) -> object:
    """Write the report of a delivery; `None` means that there is nothing to report."""
    if report is not None:
        try:
            complete(ports, assignment, report, by=_REPORTER)
        except StoreUnavailable as error:
            raise ReportNotWritten(carried_outcome(report, assignment)) from error
    return REPORTED


def _claim(
    ports: Ports, assignment: Assignment, context: object, *, claims: bool = True
) -> ClaimAnswer:
    """Claim or make the start for this invocation. `claims`: as `take` takes it."""
    remaining_ms = timer_of(context)
    try:
        taken = take(ports, assignment, remaining_ms=remaining_ms(), claims=claims)
    except ClaimUnanswered as error:
        # Without an answer the owner of the start is unknown, so no user code may run [WP-5]. The
        # report counts only if no other invocation has claimed it.
        report = report_not_run("its claim was not answered", claim=error.token)
        raise ReportNotWritten(carried_outcome(report, assignment)) from error
    if taken.token is None:
        refused = invocation.refused.get()
        if refused is not None:
            refused(_CLAIM_REFUSED)
    return taken


def _encodable(returned: object) -> object:
    """Make models and their like plain JSON, which Lambda can send to a direct caller.

    Other values stay unchanged.
    """
    try:
        json.dumps(returned)
    except (TypeError, ValueError, RecursionError):
        pass
    else:
        return returned
    try:
        plain: object = json.loads(encode_result(returned, limits.PAYLOAD_BYTES_MAX))
    except Exception:  # noqa: BLE001 - the function ran; Lambda will reject the value
        return returned
    return plain


def _show_raised(ports: Ports, assignment: Assignment, error: Exception) -> None:
    """Log an error of user code, and show it to the surroundings of the invocation."""
    raised = invocation.raised.get()
    if raised is not None:
        raised(error)
    ports.telemetry.emit(_raised(assignment, error))


def _raised(assignment: Assignment, error: Exception) -> events.AttemptRaised:
    try:
        stack = "".join(traceback.format_tb(_TRACE_OF(error))[1:])
    except BaseException as unreadable:  # noqa: BLE001 - from a loader of the user's
        stack = f"(it could not be read: {type_name(unreadable)})"
    # Without the error's text, which may quote arguments. The result has it, for those who may read
    # that.
    return events.AttemptRaised(
        pool=assignment.pool,
        work_id=assignment.work_id,
        job=assignment.label,
        attempt=assignment.attempts_made + 1,
        error_type=type_name(error),
        stack=stack[-limits.ERROR_TEXT_MAX :],
    )

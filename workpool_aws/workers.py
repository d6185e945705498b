"""Owns what turns a function into a worker: the Lambda handler around it, the arguments it accepts, the `Work` handle it may ask for."""

from __future__ import annotations

import inspect
import json
import math
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, Protocol, TypeVar, assert_never, get_args, get_type_hints, runtime_checkable

from workpool_aws import invocation
from workpool_aws.adapters.wire import REPORTED, WORKPOOL_KEY, assignment_from_wire, carried_outcome, ticket_from_wire
from workpool_aws.core import limits
from workpool_aws.core.execute import is_too_late, report_invalid_arguments, report_not_run, report_raised, report_returned
from workpool_aws.core.status import instant
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.flow import status
from workpool_aws.flow.callback import acknowledge
from workpool_aws.flow.claim import ClaimUnanswered, claim
from workpool_aws.flow.complete import complete
from workpool_aws.model import facts
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.messages import Assignment, Report
from workpool_aws.ports import Ports

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from workpool_aws.client import Workpool

__all__ = ["ReportNotWritten", "Work", "Worker"]

P = ParamSpec("P")
R = TypeVar("R")

_REPORTER: Final = "worker"
_CLAIM_REFUSED: Final = "refused by the claim"


class ReportNotWritten(Exception):
    """DynamoDB did not take what an attempt came to: raised out of the handler, so that Lambda hands it to the destination.

    Its message is the report, for the completion function to read.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The attempt that is running: received by a parameter annotated `Work`."""

    work_id: WorkId
    attempt: int
    """1 for the first. A start that was never delivered is no attempt."""
    deadline: datetime
    """When Lambda ends this invocation: aware, in UTC."""
    pool: Workpool
    """The pool that this work belongs to, for enqueueing more."""
    _ports: Ports = field(repr=False, compare=False)
    _remaining_ms: Callable[[], int] = field(repr=False, compare=False)

    @property
    def remaining(self) -> timedelta:
        """Time until Lambda ends this invocation; never negative."""
        return timedelta(milliseconds=max(0, self._remaining_ms()))

    def cancel_requested(self) -> bool:
        """Whether somebody asked to cancel this work, by a strong read. Nobody stops the function: it may stop by itself.

        Raises:
            StoreUnavailable: DynamoDB did not answer.
        """
        stored = status.load(self._ports, self.pool.name, [self.work_id])[0]
        return stored is not None and stored.cancel_requested

    def sleep(self, duration: timedelta | float) -> None:
        """Do nothing for a timedelta or a number of seconds; in a `LocalCloud`, of its time.

        Raises:
            UsageError: negative, infinite, or neither a timedelta nor a number.
        """
        seconds = _seconds_of(duration)
        sleeper = invocation.sleeper.get()
        if sleeper is None:
            self._ports.clock.sleep(math.ceil(seconds * 1000))
        else:
            sleeper(seconds)


def _seconds_of(duration: object) -> float:
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise UsageError("duration", duration, "a timedelta or a number of seconds, not negative")
    return seconds


class Worker(Generic[P, R]):
    """A Lambda handler made of a function, by `@pool.action`.

    For an event from a pool it claims the start where that is asked for, validates the arguments, runs the function and reports; it never
    raises what the function raised. For any other event it validates, runs and returns or raises what the function does.
    """

    __workpool__: Final = True
    __name__: str
    __qualname__: str

    def __init__(
        self,
        function: Callable[P, R],
        *,
        ports_of: Callable[[str], Ports],
        pool_of: Callable[[Ports, str], Workpool],
    ) -> None:
        self._parameters = _Parameters(function)
        self._ports_of = ports_of
        self._pool_of = pool_of
        self._call: Callable[..., object] = function
        self.function = function
        """The plain function, for direct tests."""
        self.__module__ = function.__module__
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__

    def __call__(self, event: object, context: object) -> object:
        """What Lambda calls.

        Raises:
            ReportNotWritten: carries the report, which DynamoDB did not take.
            UsageError: the event has a damaged assignment, or (without one) does not fit the function. The function did not run.
        """
        if not isinstance(event, Mapping):
            raise UsageError("event", event, "a JSON object with the function's arguments")
        arguments = {str(name): value for name, value in event.items() if name != WORKPOOL_KEY}
        if WORKPOOL_KEY not in event:
            return self._run_directly(arguments)
        assignment = assignment_from_wire(event[WORKPOOL_KEY])
        if assignment is None and (ticket := ticket_from_wire(event[WORKPOOL_KEY])) is not None:
            # A worker may be told of another work's end, too: its arguments are what any undecorated target receives.
            returned = self._run_directly(arguments)
            acknowledge(self._ports_of(ticket.table), ticket)
            return returned
        if assignment is None:
            raise UsageError(f"event.{WORKPOOL_KEY}", event[WORKPOOL_KEY], "the assignment that a pool sends: this one cannot be read")
        ports = self._ports_of(assignment.table)
        report = self._perform(ports, assignment, arguments, context)
        if report is not None:
            _send_report(ports, assignment, report)
        return REPORTED

    def _run_directly(self, arguments: Mapping[str, object]) -> object:
        try:
            values = self._parameters.bind(arguments, None)
        except _InvalidArgumentsError as invalid:
            raise UsageError("event", sorted(arguments), "; ".join(invalid.problems)) from None
        return self._call(**values)

    def _perform(self, ports: Ports, assignment: Assignment, arguments: Mapping[str, object], context: object) -> Report | None:
        """What this delivery came to; None: it was refused, and there is nothing to say."""
        if is_too_late(assignment, now=ports.clock.now()):
            return report_not_run("it was delivered too late to be run in time")
        token = None
        if assignment.claimed:
            token = _claim(ports, assignment, context)
            if token is None:
                return None
        try:
            values = self._parameters.bind(arguments, lambda: self._work(ports, assignment, context))
        except _InvalidArgumentsError as invalid:
            return report_invalid_arguments(invalid.problems, claim=token)
        except Exception as error:  # noqa: BLE001 - a type that pydantic cannot build, or a user's validator: an attempt that failed
            return report_raised(error, claim=token)
        return self._run(ports, assignment, values, token=token)

    def _run(self, ports: Ports, assignment: Assignment, values: Mapping[str, object], *, token: str | None) -> Report:
        try:
            returned = self._call(**values)
        # Whatever a user's function raises is its attempt's failure. What is no Exception ends the process, and Lambda reports that.
        except Exception as error:  # noqa: BLE001
            report = report_raised(error, claim=token)
            ports.telemetry.tell(_raised(assignment, error))
        else:
            report = report_returned(returned, claim=token)
        after_body = invocation.after_body.get()
        if after_body is not None:
            after_body()
        return report

    def _work(self, ports: Ports, assignment: Assignment, context: object) -> Work:
        remaining_ms = _timer_of(context)
        return Work(
            work_id=assignment.work_id,
            attempt=assignment.attempts_made + 1,
            deadline=instant(EpochMs(ports.clock.now() + remaining_ms())),
            pool=self._pool_of(ports, assignment.pool),
            _ports=ports,
            _remaining_ms=remaining_ms,
        )


def _claim(ports: Ports, assignment: Assignment, context: object) -> str | None:
    """The token of this invocation's claim; None: the start is another's, or over."""
    remaining_ms = _timer_of(context)
    try:
        token = claim(ports, assignment, remaining_ms=remaining_ms())
    except ClaimUnanswered as error:
        # Without the answer nobody knows whose the start is, so no user code may run [WP-5]. The report counts only if nobody else claimed.
        report = report_not_run("its claim was not answered", claim=error.token)
        raise ReportNotWritten(carried_outcome(report, assignment)) from error
    if token is None:
        refused = invocation.refused.get()
        if refused is not None:
            refused(_CLAIM_REFUSED)
    return token


def _send_report(ports: Ports, assignment: Assignment, report: Report) -> None:
    try:
        complete(ports, assignment, report, by=_REPORTER)
    except StoreUnavailable as error:
        raise ReportNotWritten(carried_outcome(report, assignment)) from error


def _raised(assignment: Assignment, error: Exception) -> facts.AttemptRaised:
    # Where it was raised, without its text: that may quote arguments, and stands in the work's result for those who may read it.
    stack = "".join(traceback.format_tb(error.__traceback__)[1:])
    return facts.AttemptRaised(
        pool=assignment.pool,
        work_id=assignment.work_id,
        attempt=assignment.attempts_made + 1,
        error_type=type(error).__name__,
        stack=stack[-limits.ERROR_TEXT_MAX :],
    )


@runtime_checkable
class _Timed(Protocol):
    """The part of a Lambda context that tells the time left."""

    def get_remaining_time_in_millis(self) -> int: ...


def _timer_of(context: object) -> Callable[[], int]:
    if not isinstance(context, _Timed):
        raise UsageError("context", context, "the context that Lambda gives to a handler")
    return context.get_remaining_time_in_millis


class _InvalidArgumentsError(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Types:
    """What the annotations of a function say."""

    adapters: Mapping[str, TypeAdapter[object]]
    handles: frozenset[str]
    """Parameters that receive the `Work`: no arguments of the caller's."""


class _Parameters:
    """What a function can be called with."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = _check_function(function)
        self._required: dict[str, bool] = {}
        self._takes_more = False
        for parameter in inspect.signature(function).parameters.values():
            self._add(parameter)
        self._types: _Types | None = None
        self._lock = threading.Lock()

    def _add(self, parameter: inspect.Parameter) -> None:
        match parameter.kind:
            case inspect.Parameter.POSITIONAL_OR_KEYWORD | inspect.Parameter.KEYWORD_ONLY:
                self._required[parameter.name] = parameter.default is inspect.Parameter.empty
            case inspect.Parameter.VAR_KEYWORD:
                self._takes_more = True
            case inspect.Parameter.POSITIONAL_ONLY | inspect.Parameter.VAR_POSITIONAL:
                raise UsageError("function", str(parameter), "parameters are given by name: neither positional-only ones nor *args")
            case _:
                assert_never(parameter.kind)

    def bind(self, given: Mapping[str, object], work: Callable[[], Work] | None) -> dict[str, object]:
        """Keyword arguments for the function, validated; `work` makes the handle if one is asked for (None: there is none to give).

        Raises:
            _InvalidArgumentsError: what is given does not fit. Also whatever pydantic raises for annotations it cannot use.
        """
        types = self._load_types()
        values, problems = self._validated(given, types)
        problems += [f"{name}: Unexpected keyword argument" for name in given if name not in types.adapters and self._refuses(name, types)]
        if work is None:
            problems += [f"{name}: only a pool can give it" for name in sorted(types.handles) if self._required[name]]
        if problems:
            raise _InvalidArgumentsError(problems)
        if self._takes_more:
            values |= {name: value for name, value in given.items() if name not in types.adapters}
        if work is not None and types.handles:
            handle = work()
            values |= dict.fromkeys(types.handles, handle)
        return values

    def _validated(self, given: Mapping[str, object], types: _Types) -> tuple[dict[str, object], list[str]]:
        from pydantic import ValidationError  # noqa: PLC0415 - slow to load, and callers never need it

        values: dict[str, object] = {}
        problems: list[str] = []
        for name, adapter in types.adapters.items():
            if name not in given:
                problems += [f"{name}: Field required"] if self._required[name] else []
                continue
            try:
                # As JSON and not as Python values: pydantic is more generous there (dates, bytes, sets), since JSON has no words for them.
                values[name] = adapter.validate_json(json.dumps(given[name]))
            except ValidationError as error:
                details = error.errors(include_url=False, include_context=False, include_input=False)
                problems += [f"{'.'.join(map(str, (name, *one['loc'])))}: {one['msg']}" for one in details]
        return values, problems

    def _refuses(self, name: str, types: _Types) -> bool:
        return name in types.handles or not self._takes_more

    def _load_types(self) -> _Types:
        # On the first call, not when decorating: annotations may name what is defined later, and pydantic is slow to load.
        with self._lock:
            if self._types is None:
                self._types = _types_of(self._function, list(self._required))
            return self._types


def _check_function(function: object) -> FunctionType:
    if not inspect.isfunction(function):
        raise UsageError("function", function, "a plain function; decorate it once, and with this decorator outermost")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError("function", function, "a plain function: Lambda calls handlers synchronously, so nobody would await this one")
    if inspect.isgeneratorfunction(function):
        raise UsageError("function", function, "a plain function: calling a generator function would run none of it")
    return function


def _types_of(function: FunctionType, names: list[str]) -> _Types:
    from pydantic import TypeAdapter  # noqa: PLC0415 - slow to load, and callers never need it

    # Without what it returns, which may be named for type checkers only.
    annotations = {name: hint for name, hint in inspect.get_annotations(function).items() if name != "return"}
    names_in_reach: dict[str, object] = getattr(inspect.unwrap(function), "__globals__", {})
    hints = get_type_hints(SimpleNamespace(__annotations__=annotations), globalns=names_in_reach, include_extras=True)
    handles = frozenset(name for name in names if hints.get(name) is Work or Work in get_args(hints.get(name)))
    adapters = {name: TypeAdapter[object](hints.get(name, object)) for name in names if name not in handles}
    return _Types(adapters, handles)

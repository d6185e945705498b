"""Any input at a door of user code: documented errors, no second run, no loop, no value in logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, make_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from tests.kit.lambdas import LambdaContext, event_of
from tests.kit.records import a_policy, a_work
from tests.kit.world import World
from workpool_aws import OnCompleteEvent, UsageError, Work
from workpool_aws.api.worker import ReportNotWritten
from workpool_aws.compose import use_ports
from workpool_aws.core import limits
from workpool_aws.core.report.execute import report_raised, report_returned
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.messages import ReportKind

DOCUMENTED = (UsageError, StoreUnavailable, ReportNotWritten)
SECRET = "hunter-2-hunter"
REQUESTS_MAX = 12
"""Of one invocation: a claim, a completion with its callback, a kick, and what repeats them once."""

KEYS = st.text(max_size=8) | st.sampled_from(["", "\ud800", "\0", "email", "jobs", "x" * 3_000])
"""Without the secret: a message may name a key, since it has to say where something is wrong."""
TEXT = KEYS | st.just(SECRET)
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 2**31, 2**63, 10**30, 10**4_000])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def nested(levels: int) -> object:
    value: object = SECRET
    for _ in range(levels):
        value = [value]
    return value


DEEP = st.integers(0, 2_000).map(nested)


class OddContext:
    """A context that answers what it likes, or raises."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_remaining_time_in_millis(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


CONTEXTS = (
    st.just(LambdaContext())
    | st.none()
    | st.builds(OddContext, st.sampled_from([0, -5, 10**15, 2.5, ValueError("no time")]))
)


class Line(BaseModel):
    n: int = Field(alias="number")
    token: SecretStr | None = None


@dataclass
class Spot:
    at: object


MADE = make_dataclass("Made", ["value"])


class Colour(Enum):
    RED = "r"
    ODD = frozenset({SECRET})


def mutated(base: Mapping[str, object], name: str, value: object, how: str) -> object:
    """The object with one field replaced, dropped or added; or the value in its place."""
    match how:
        case "replace":
            return {**base, name: value}
        case "drop":
            return {key: kept for key, kept in base.items() if key != name}
        case "nest":
            return [base]
        case _:
            return value


HOW = st.sampled_from(["replace", "replace", "replace", "drop", "nest", "instead"])


def run_once(call: Callable[[], object], world: World) -> BaseException | None:
    """Return the error of a door, which must be documented, after a bounded number of requests."""
    before = world.requests
    raised: BaseException | None = None
    try:
        with use_ports(lambda _: world.ports):  # whatever table an event names
            call()
    except DOCUMENTED as error:
        raised = error
    assert world.requests - before <= REQUESTS_MAX
    return raised


@settings(max_examples=40, print_blob=True, deadline=None)
@given(
    data=st.data(),
    arguments=st.dictionaries(
        st.sampled_from(["n", "line", "more", "work", "\ud800", ""]), JSON | DEEP, max_size=3
    ),
    value=JSON | DEEP,
    how=HOW,
    claimed=st.booleans(),
    context=CONTEXTS,
)
def test_worker_takes_any_event(
    data: st.DataObject,
    arguments: dict[str, object],
    value: object,
    how: str,
    claimed: bool,
    context: object,
) -> None:
    world, runs = World(), []
    assignment = world.start(a_work(claimed=claimed, retry=None if claimed else a_policy()))
    wire = event_of(assignment)["_workpool"]
    assert isinstance(wire, dict)
    name = data.draw(st.sampled_from(sorted(wire)))

    @world.pool().action
    def worker(
        work: Work, n: Annotated[int, Field(ge=0)] = 0, line: Line | None = None, **more: object
    ) -> object:
        runs.append((work, n, line))
        return more

    event = {**arguments, "_workpool": mutated(wire, name, value, how)}
    raised = run_once(lambda: worker(event, context), world)

    assert len(runs) <= 1
    if isinstance(raised, UsageError):
        assert SECRET not in str(raised)


@settings(max_examples=30, print_blob=True, deadline=None)
@given(
    event=JSON
    | DEEP
    | st.dictionaries(st.sampled_from(["n", "line", "more", "\ud800"]), JSON | DEEP, max_size=3)
)
def test_worker_takes_any_event_of_another_trigger(event: object) -> None:
    world, runs = World(), []

    @world.pool().action
    def worker(n: int = 0, line: Line | None = None) -> object:
        runs.append(n)
        return line

    raised = run_once(lambda: worker(event, LambdaContext()), world)

    assert len(runs) == (0 if raised else 1)
    assert SECRET not in str(raised)


@settings(max_examples=40, print_blob=True, deadline=None)
@given(
    data=st.data(), value=JSON | DEEP, how=HOW, inside=st.booleans(), decorated_worker=st.booleans()
)
def test_handler_of_callbacks_takes_any_event(
    data: st.DataObject, value: object, how: str, inside: bool, decorated_worker: bool
) -> None:
    world, runs = World(), []
    work = world.put(a_work())
    ticket: dict[str, object] = {
        "version": 1,
        "callback": True,
        "table": "jobs",
        "pool": "email",
        "work_id": work.id,
        "retention_s": 60,
    }
    event: dict[str, object] = {
        "work_id": work.id,
        "context": None,
        "result": {"kind": "success", "return_value": 1},
        "_workpool": ticket,
    }
    if inside:
        event["_workpool"] = mutated(ticket, data.draw(st.sampled_from(sorted(ticket))), value, how)
    else:
        changed = mutated(event, data.draw(st.sampled_from(sorted(event))), value, how)
        event = changed if isinstance(changed, dict) else {"event": changed}

    @world.pool().on_complete
    def told(event: OnCompleteEvent) -> None:
        runs.append(event)

    @world.pool().action
    def worker(**event: object) -> None:
        runs.append(event)

    raised = run_once(lambda: (worker if decorated_worker else told)(event, LambdaContext()), world)

    assert len(runs) <= 1
    if isinstance(raised, UsageError) and not runs:
        assert SECRET not in str(raised)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXT,
    st.binary(max_size=4),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.sampled_from(
        [
            *Colour,
            object(),
            1j,
            int,
            len,
            SecretStr(SECRET),
            Line(number=1, token=SecretStr(SECRET)),
            Line(number=2),
            ...,
        ]
    ),
    st.just(frozenset({SECRET})),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(KEYS | st.integers() | st.just(UUID(int=1)), inner, max_size=3),
        st.builds(Spot, inner),
        st.builds(MADE, inner),
    ),
    max_leaves=6,
)


def storable(value: object) -> bool:
    return isinstance(value, (str, int, float, bool, type(None), list, dict))


@settings(max_examples=50, print_blob=True, deadline=None)
@given(value=VALUES)
def test_return_value_is_result_or_says_why_not_without_quoting_it(value: object) -> None:
    report = report_returned(value, claim=None)

    if report.kind is ReportKind.SUCCESS:
        assert storable(json.loads(report.result or ""))
        assert json.dumps(json.loads(report.result or ""), allow_nan=False)
    else:
        assert (report.error_type, report.retryable) == ("invalid_result", False)
        assert 0 < len(report.error or "") <= limits.ERROR_TEXT_MAX
        (report.error or "").encode()
        assert SECRET not in (report.error or "")


class Hostile(Exception):
    """Each of its methods that is asked for does what the test says."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        vars(self)["answers"] = answers

    def _answer(self, name: str) -> Any:
        answer = vars(self)["answers"].get(name, "text")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def __str__(self) -> str:
        return self._answer("str")

    def __repr__(self) -> str:
        return self._answer("repr")

    def __getattr__(self, name: str) -> object:
        return self._answer("getattr")

    @property
    def workpool_non_retryable(self) -> object:
        return self._answer("marker")

    @property
    def delay(self) -> object:
        return self._answer("delay")


ANSWERS = st.sampled_from(
    [
        None,
        "",
        "text",
        "\ud800",
        b"x",
        0,
        True,
        timedelta(1),
        date.min,
        datetime.max,  # noqa: DTZ901 - as it is
        Decimal(1),
        *[
            kind("x")
            for kind in (
                KeyError,
                SystemExit,
                KeyboardInterrupt,
                GeneratorExit,
                RecursionError,
                StopIteration,
            )
        ],
    ]
)
ERRORS = st.dictionaries(
    st.sampled_from(["str", "repr", "getattr", "marker", "delay"]), ANSWERS
).map(Hostile)


@settings(max_examples=40, print_blob=True, deadline=None)
@given(
    error=st.recursive(
        ERRORS,
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(
            lambda errors: ExceptionGroup("several", errors)
        ),
        max_leaves=8,
    )
)
def test_exception_of_any_kind_is_report(error: Exception) -> None:
    report = report_raised(error, claim="token")

    assert report.kind is ReportKind.FAILED
    assert report.error_type == type(error).__name__
    assert 0 < len(report.error or "") <= limits.ERROR_TEXT_MAX
    (report.error or "").encode()
    assert report.delay_ms is None

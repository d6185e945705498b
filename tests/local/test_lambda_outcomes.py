"""Ends of invocations, and the records of their destinations, version 1.0 of AWS."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from workpool_aws import invocation
from workpool_aws.local.services import answers
from workpool_aws.local.services.answers import answered
from workpool_aws.local.services.marshal import ASCII_ONLY
from workpool_aws.model.events import Completed, Retrying


def failing(_event: object, _context: object) -> None:
    raise KeyError("missing")


def test_success_is_told_with_request_and_response(bench: Any) -> None:
    arn = bench.deploy(lambda event, _: {"twice": event["n"] * 2}, name="double")
    bench.send(arn, {"n": 21})
    bench.run()

    ((at, record),) = bench.records
    request_id = record["requestContext"].pop("requestId")
    assert len(request_id) == 36
    assert at == 0
    assert record == {
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "requestContext": {
            "functionArn": f"{arn}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"n": 21},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"twice": 42},
    }


def test_exception_is_answered_with_type_message_and_stack(bench: Any) -> None:
    bench.send(bench.deploy(failing), {"n": 1})
    bench.run()

    ((_, record),) = bench.records
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    payload = record["responsePayload"]
    assert (payload["errorType"], payload["errorMessage"]) == ("KeyError", "'missing'")
    assert "failing" in payload["stackTrace"][-1]
    assert "runs.py" not in "".join(payload["stackTrace"])
    assert bench.invocations("failing")[0].outcome == "failed"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, None), (0, 0), ([1], [1]), ("text", "text"), ({"a": None}, {"a": None})],
)
def test_any_json_value_is_response(bench: Any, value: object, shown: object) -> None:
    bench.send(bench.deploy(lambda *_: value, name="answer"))
    bench.run()

    assert bench.records[0][1]["responsePayload"] == shown


class Point(NamedTuple):
    x: int
    y: int


class Row(list[int]):
    def _asdict(self) -> dict[str, int]:
        return {"x": self[0]}


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1.10"), "1.10"),
        ({"price": Decimal("1E+2")}, '{"price": 1E+2}'),
        ([Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")], "[NaN, NaN, -Infinity]"),
        ([float("nan"), float("inf"), float("-inf"), 1e300], "[NaN, Infinity, -Infinity, 1e+300]"),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        ([(1, 2), Point(3, 4)], '[[1, 2], {"x": 3, "y": 4}]'),
        ({"inner": b"bytes", b"key": None}, '{"inner": "bytes", "key": null}'),
        (
            {1: "int", 2.5: "float", False: "bool", None: "none"},
            '{"1": "int", "2.5": "float", "false": "bool", "null": "none"}',
        ),
        (Row([1]), '{"x": 1}'),
        (Counter("aab"), '{"a": 2, "b": 1}'),
        ([float("-0.0"), 2**70, True], "[-0.0, 1180591620717411303424, true]"),
        (Colour.RED, '"red"'),
        ([True, None, 'quotes " and \\ \n'], '[true, null, "quotes \\" and \\\\ \\n"]'),
    ],
)
def test_result_is_encoded_as_lambdas_runtime_does(value: object, shown: str) -> None:
    assert answered(value, "r").payload == shown


def test_characters_are_written_as_pythons_runtime_writes_them() -> None:
    assert answered("\N{SNOWMAN}", "r").payload == ('"\\u2603"' if ASCII_ONLY else '"\N{SNOWMAN}"')


def test_lone_surrogate_ends_runtime_that_writes_characters_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "marshal", lambda value: f'"{value}"')

    assert answered("\ud800", "r").ended == "crashed"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b'{"a": 1}', {"a": 1}), (b"bytes", "bytes"), (b"\xff", "\N{REPLACEMENT CHARACTER}")],
)
def test_bytes_are_sent_as_they_are(bench: Any, value: bytes, shown: object) -> None:
    bench.send(bench.deploy(lambda *_: value, name="answer"))
    bench.run()

    assert bench.records[0][1]["responsePayload"] == shown
    assert bench.invocations("answer")[0].outcome == "success"


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


def deep() -> list[object]:
    value: list[object] = []
    for _ in range(5_000):
        value = [value]
    return value


class OddRecord:
    def _asdict(self) -> int:
        return 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: {1, 2},
        object,
        lambda: timedelta(1),
        lambda: datetime(2026, 1, 1, tzinfo=UTC),
        lambda: UUID(int=0),
        lambda: bytearray(b"a"),
        lambda: range(3),
        lambda: (n for n in range(3)),
        lambda: Exception("x"),
        lambda: {"nested": b"\xff"},
        lambda: {(1, 2): "key"},
        lambda: {Decimal(1): "key"},
        lambda: 10**5000,
        endless,
        deep,
        OddRecord,
    ],
)
def test_response_that_is_no_json_is_error(bench: Any, make: Callable[[], object]) -> None:
    bench.send(bench.deploy(lambda *_: make(), name="answer"))
    bench.run()

    payload = bench.records[0][1]["responsePayload"]
    assert payload["errorType"] == "Runtime.MarshalError"
    assert payload["errorMessage"].startswith("Unable to marshal response")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (3, "with error: exit status 3"),
        (True, "with error: exit status 1"),
        (-1, "with error: exit status 255"),
        (256, "without providing a reason"),
        (2**70, "with error: exit status 255"),
        (0, "without providing a reason"),
        (None, "without providing a reason"),
        ("text", "with error: exit status 1"),
        (2.0, "with error: exit status 1"),
    ],
)
def test_end_of_process_is_crash(bench: Any, status: Any, shown: str) -> None:
    bench.send(bench.deploy(lambda *_: sys.exit(status), name="leave"))
    bench.run()

    payload = bench.records[0][1]["responsePayload"]
    assert payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith(f"Error: Runtime exited {shown}")
    assert bench.invocations("leave")[0].outcome == "crashed"


class Silent(Exception):
    def __str__(self) -> str:
        if self.args == ():
            raise RuntimeError("no text")
        return "text"


class Numeric(Exception):
    def __str__(self) -> Any:
        number: Any = 5
        return number


class Leaving(Exception):
    def __str__(self) -> str:
        if self.args == ():
            sys.exit(9)
        return "text"


class Nameless(type):
    @property
    def __name__(cls) -> Any:
        raise RuntimeError("no name")


class NamedByNumber(type):
    @property
    def __name__(cls) -> Any:
        return 7


class WithoutName(Exception, metaclass=Nameless):
    pass


class WithNumber(Exception, metaclass=NamedByNumber):
    pass


class WithoutCode(SystemExit):
    def __getattribute__(self, name: str) -> Any:
        if name == "code":
            raise RuntimeError("no code")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("error", "how"),
    [
        pytest.param(Silent(), "exit status 1", id="text raises"),
        pytest.param(Numeric(), "exit status 1", id="text is a number"),
        pytest.param(Leaving(), "exit status 9", id="text exits"),
        pytest.param(WithoutName("x"), "exit status 1", id="name raises"),
        pytest.param(WithNumber("x"), "exit status 1", id="name is a number"),
        pytest.param(ValueError("lone \ud800"), "exit status 1", id="text with a lone surrogate"),
        pytest.param(KeyError(10**5000), "exit status 1", id="text too long a number"),
        pytest.param(WithoutCode(), "exit status 1", id="status raises"),
        pytest.param(KeyboardInterrupt(), "signal: interrupt", id="KeyboardInterrupt"),
        pytest.param(asyncio.CancelledError(), "exit status 1", id="CancelledError"),
        pytest.param(GeneratorExit(), "exit status 1", id="GeneratorExit"),
        pytest.param(
            BaseExceptionGroup("several", [KeyboardInterrupt()]),
            "exit status 1",
            id="BaseExceptionGroup",
        ),
        pytest.param(BaseException("x"), "exit status 1", id="BaseException"),
    ],
)
@pytest.mark.parametrize("decorated", [True, False])
def test_process_ends_by_what_runtime_does_not_survive(
    bench: Any, error: BaseException, how: str, *, decorated: bool
) -> None:
    def leave(_event: object, _context: object) -> None:
        raise error

    bench.send(bench.deploy(leave, decorated=decorated))
    bench.run()

    payload = bench.records[0][1]["responsePayload"]
    assert payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith(f"Error: Runtime exited with error: {how}")
    assert bench.invocations("leave")[0].outcome == "crashed"


class Recursing(Exception):
    def __getattr__(self, name: str) -> Any:
        return getattr(self, name + "x")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(
            ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
            "ExceptionGroup",
            id="group",
        ),
        pytest.param(Recursing("x"), "Recursing", id="attributes recurse"),
        pytest.param(MemoryError(), "MemoryError", id="memory"),
        pytest.param(StopIteration(3), "StopIteration", id="iteration"),
        pytest.param(
            type("Odd\nname <b>\x1b[31m", (Exception,), {})("x"),
            "Odd\nname <b>\x1b[31m",
            id="hostile name",
        ),
        pytest.param(ValueError("x" * 300_000), "ValueError", id="long text"),
    ],
)
def test_exception_is_reported_however_odd(bench: Any, error: Exception, kind: str) -> None:
    def fail(_event: object, _context: object) -> None:
        raise error

    bench.send(bench.deploy(fail))
    bench.run()

    assert bench.records[0][1]["responsePayload"]["errorType"] == kind


def recurse() -> None:
    recurse()


def test_endless_recursion_is_failure(bench: Any) -> None:
    bench.send(bench.deploy(lambda *_: recurse(), name="deep"))
    bench.run()

    assert bench.records[0][1]["responsePayload"]["errorType"] == "RecursionError"


@pytest.mark.parametrize(
    "value", ["x" * (6 * 1024 * 1024 + 99), b"x" * (6 * 1024 * 1024 + 101)], ids=["text", "bytes"]
)
def test_response_above_six_megabytes_is_failure(value: object) -> None:
    answer = answered(value, "r")

    assert answer.ended == "failed"
    assert answer.error == (
        "Function.ResponseSizeTooLarge: Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
    )


def test_response_of_six_megabytes_is_success() -> None:
    assert answered("x" * (6 * 1024 * 1024 + 98), "r").ended == "success"


@pytest.mark.parametrize(
    "event", ["[" * 100_000 + "]" * 100_000, "1" * 5_000], ids=["deep", "long"]
)
def test_event_that_cannot_be_decoded_is_failure(bench: Any, event: str) -> None:
    ran: list[object] = []
    bench.platform.send(
        bench.deploy(
            lambda event, _: ran.append(event), name="work", on_success=None, on_failure=None
        ),
        event,
    )
    bench.run()

    (entry,) = bench.invocations("work")
    assert entry.error.startswith("Runtime.UnmarshalError: Unable to unmarshal input")
    assert ran == []


@pytest.mark.parametrize(
    "value", [Decimal("9" * 5_000), Decimal("1E+5000")], ids=["digits", "exponent"]
)
def test_number_of_any_length_does_not_break_record(bench: Any, value: Decimal) -> None:
    bench.send(bench.deploy(lambda *_: value, name="answer"))
    bench.run()

    assert bench.invocations("answer")[0].outcome == "success"
    assert len(bench.invocations("listener")) == 1


def test_timeout_ends_attempt_at_its_moment(bench: Any) -> None:
    seen: list[str] = []

    def slow(_event: object, _context: object) -> None:
        bench.kernel.sleep(60_000)
        seen.append("went on")

    bench.send(bench.deploy(slow, timeout_ms=3_000))
    bench.run()

    ((at, record),) = bench.records
    assert at == 3_000
    assert record["responsePayload"]["errorType"] == "Sandbox.Timedout"
    assert record["responsePayload"]["errorMessage"].endswith("Task timed out after 3.00 seconds")
    assert bench.invocations("slow")[0].outcome == "timeout"
    assert seen == []


def test_sleep_that_ends_with_timeout_is_in_time(bench: Any) -> None:
    bench.send(bench.deploy(lambda *_: bench.kernel.sleep(3_000), name="just", timeout_ms=3_000))
    bench.run()

    assert bench.invocations("just")[0].outcome == "success"


def test_code_that_swallows_its_death_does_not_survive_it(bench: Any) -> None:
    def stubborn(_event: object, _context: object) -> str:
        try:
            bench.kernel.sleep(60_000)
        except BaseException:  # noqa: BLE001 - as bad as user code gets
            return "still here"
        return "never"

    bench.send(bench.deploy(stubborn, timeout_ms=1_000))
    bench.run()

    assert [record["responsePayload"]["errorType"] for _, record in bench.records] == [
        "Sandbox.Timedout"
    ]


@pytest.mark.parametrize("handler", [lambda *_: "done", failing])
def test_body_runs_at_start_and_its_outcome_comes_at_end(
    bench: Any, handler: Callable[..., object]
) -> None:
    began: list[int] = []

    def work(event: object, context: object) -> object:
        began.append(bench.kernel.now())
        return handler(event, context)

    start = bench.kernel.now()
    bench.send(bench.deploy(work, takes=lambda event: event["seconds"] * 1000), {"seconds": 7})
    bench.run()

    assert began == [start]
    assert [at for at, _ in bench.records] == [7_000]


def test_taking_longer_than_timeout_is_timeout(bench: Any) -> None:
    bench.send(
        bench.deploy(lambda *_: "done", name="long", takes=lambda _: 3_001, timeout_ms=3_000)
    )
    bench.run()

    ((at, record),) = bench.records
    assert (at, record["responsePayload"]["errorType"]) == (3_000, "Sandbox.Timedout")


def test_decorated_handler_takes_its_time_between_body_and_report(bench: Any) -> None:
    reported: list[int] = []

    def decorated(_event: object, _context: object) -> None:
        after_body = invocation.after_body.get()
        assert after_body is not None
        after_body()
        reported.append(bench.kernel.now())

    start = bench.kernel.now()
    bench.send(bench.deploy(decorated, decorated=True, takes=lambda _: 4_000))
    bench.run()

    assert reported == [start + 4_000]


def test_decorated_handler_past_its_timeout_reports_nothing(bench: Any) -> None:
    reported: list[str] = []

    def decorated(_event: object, _context: object) -> None:
        after_body = invocation.after_body.get()
        assert after_body is not None
        after_body()
        reported.append("reported")

    bench.send(bench.deploy(decorated, decorated=True, takes=lambda _: 4_000, timeout_ms=1_000))
    bench.run()

    assert reported == []
    assert bench.invocations("decorated")[0].outcome == "timeout"


def test_sleeper_of_worker_sleeps_in_clouds_time(bench: Any) -> None:
    def sleepy(_event: object, _context: object) -> None:
        sleeper = invocation.sleeper.get()
        assert sleeper is not None
        sleeper(12.5)

    bench.send(bench.deploy(sleepy))

    assert bench.run() == 12_500


def test_refused_delivery_is_duplicate_and_not_counted(bench: Any) -> None:
    def claimed(event: Any, _context: object) -> None:
        refused = invocation.refused.get()
        assert refused is not None
        bench.kernel.sleep(100)
        if event["second"]:
            refused("claimed already")

    arn = bench.deploy(claimed, decorated=True)
    bench.send(arn, {"second": False})
    bench.send(arn, {"second": True})
    bench.run()

    assert sorted(each.outcome for each in bench.invocations("claimed")) == ["duplicate", "success"]
    assert bench.platform.log.most_at_once("claimed") == 1


def assigned(work_id: str) -> dict[str, object]:
    """An event with the assignment of a work item's second attempt."""
    return {
        "_workpool": {
            "version": 1,
            "table": "t",
            "pool": "p",
            "work_id": work_id,
            "start": 2,
            "attempts_made": 1,
            "kind": "action",
            "retry": None,
            "claimed": True,
            "retention_s": 60,
            "start_by": 0,
            "loop_until": None,
        }
    }


@pytest.mark.parametrize(
    ("make_fact", "outcome"),
    [
        (
            lambda id_: Completed(
                pool="p", work_id=id_, outcome="failed", attempts_made=2, error_type="ValueError"
            ),
            "failed",
        ),
        (
            lambda id_: Retrying(
                pool="p", work_id=id_, attempts_made=2, delay_ms=1, error_type="ValueError"
            ),
            "failed",
        ),
        (
            lambda id_: Completed(
                pool="p", work_id=id_, outcome="success", attempts_made=2, error_type=None
            ),
            "success",
        ),
        (
            lambda _: Completed(
                pool="p",
                work_id="01KDVDNA00EZ2YE4WMTY1PFSQ0",
                outcome="failed",
                attempts_made=2,
                error_type="E",
            ),
            "success",
        ),
    ],
)
def test_outcome_is_what_decorated_handler_reports(
    bench: Any, make_fact: Callable[[str], Any], outcome: str
) -> None:
    work_id = "01KDVDNA00EZ2YE4WMTY1PFSR0"

    def reporting(_event: object, _context: object) -> None:
        bench.platform.telemetry.emit(make_fact(work_id))

    bench.send(bench.deploy(reporting, decorated=True), assigned(work_id))
    bench.run()

    (entry,) = bench.invocations("reporting")
    assert (entry.outcome, entry.attempt) == (outcome, 2)


def test_crash_ends_process_without_word_of_its_own(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(seed=4, crash_rate=1.0)

    def works(_event: object, _context: object) -> str:
        for number in range(100):
            bench.kernel.call(f"call {number}", lambda: None, writes=True)
        return "done"

    bench.send(bench.deploy(works))
    bench.run()

    (entry,) = bench.invocations("works")
    assert entry.outcome == "crashed"
    assert 1 <= sum(line.label.startswith("call") for line in bench.kernel.trace) <= 64


def test_planned_crash_strikes_at_end_where_there_are_few_calls(
    make_bench: Callable[..., Any],
) -> None:
    for seed in range(10):
        bench = make_bench(seed=seed, crash_rate=1.0)
        bench.send(bench.deploy(lambda *_: "done", name="brief"))
        bench.run()

        assert bench.invocations("brief")[0].outcome == "crashed", f"seed {seed}"


def test_record_is_json_for_any_error_text(bench: Any) -> None:
    def odd(_event: object, _context: object) -> None:
        raise ValueError('quotes " and \N{SNOWMAN} and \x00')

    bench.send(bench.deploy(odd))
    bench.run()

    assert (
        json.loads(json.dumps(bench.records[0][1]))["responsePayload"]["errorMessage"]
        == 'quotes " and \N{SNOWMAN} and \x00'
    )

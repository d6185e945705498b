"""Event, context and names of functions."""

from datetime import timedelta
from typing import Any

import pytest

from workpool_aws.local.services.functions import Function, Functions, name_of


def nothing(event: object, context: object) -> None:
    pass


def test_name_is_made_unique() -> None:
    functions = Functions()

    names = [functions.add(Function(name="send_email", handler=nothing)).name for _ in range(3)]

    assert names == ["send_email", "send_email-2", "send_email-3"]


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("<lambda>", "lambda"),
        ("größe.x", "grex"),
        ("", "function"),
        ("***", "function"),
        ("n" * 100, "n" * 60),
    ],
)
def test_name_from_handler_is_one_that_lambda_allows(own: str, name: str) -> None:
    handler = lambda _event, _context: None  # noqa: E731 - to be given a name
    handler.__name__ = own

    assert name_of(handler) == name


def test_long_name_that_is_taken_gets_its_number_within_what_lambda_allows() -> None:
    functions = Functions()

    names = [functions.add(Function(name="n" * 64, handler=nothing)).name for _ in range(2)]

    assert names == ["n" * 64, "n" * 62 + "-2"]


@pytest.mark.parametrize(
    ("target", "invoked", "version"),
    [
        ("work", "arn:aws:lambda:us-east-1:123456789012:function:work", "$LATEST"),
        ("work:live", "arn:aws:lambda:us-east-1:123456789012:function:work:live", "live"),
        ("work:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:work:$LATEST", "$LATEST"),
        (
            "123456789012:function:work",
            "arn:aws:lambda:us-east-1:123456789012:function:work",
            "$LATEST",
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:work",
            "arn:aws:lambda:us-east-1:123456789012:function:work",
            "$LATEST",
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:work:3",
            "arn:aws:lambda:us-east-1:123456789012:function:work:3",
            "3",
        ),
    ],
)
def test_function_answers_to_its_names(target: str, invoked: str, version: str) -> None:
    functions = Functions()
    functions.add(Function(name="work", handler=nothing))

    resolved = functions.resolve(target)

    assert resolved is not None
    assert (resolved.function.name, resolved.invoked_arn, resolved.version) == (
        "work",
        invoked,
        version,
    )


@pytest.mark.parametrize(
    "target",
    [
        "other",
        "arn:aws:lambda:eu-west-1:123456789012:function:work",
        "arn:aws:lambda:us-east-1:999999999999:function:work",
        "",
        "work:a:b",
    ],
)
def test_function_elsewhere_is_not_found(target: str) -> None:
    functions = Functions()
    functions.add(Function(name="work", handler=nothing))

    assert functions.resolve(target) is None


def test_context_is_lambdas(bench: Any) -> None:
    seen: dict[str, object] = {}

    def work(_event: object, context: Any) -> None:
        seen.update(
            request=context.aws_request_id,
            name=context.function_name,
            version=context.function_version,
            arn=context.invoked_function_arn,
            memory=context.memory_limit_in_mb,
            group=context.log_group_name,
            stream=bool(context.log_stream_name),
            remaining=context.get_remaining_time_in_millis(),
        )
        bench.kernel.sleep(1_500)
        seen["later"] = context.get_remaining_time_in_millis()

    bench.send(bench.deploy(work, timeout_ms=5_000) + ":live")
    bench.run()

    request = seen.pop("request")
    assert isinstance(request, str)
    assert len(request) == 36
    assert seen == {
        "name": "work",
        "version": "live",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:work:live",
        "memory": "128",
        "group": "/aws/lambda/work",
        "stream": True,
        "remaining": 5_000,
        "later": 3_500,
    }


def test_context_has_rest_of_lambdas_and_takes_attributes(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    def work(_event: object, context: Any) -> None:
        context.log("noted\n")
        context.started = 5
        seen.extend(
            [
                context.tenant_id,
                context.client_context,
                context.identity.cognito_identity_id,
                context.started,
            ]
        )

    bench.send(bench.deploy(work))
    bench.run()

    assert seen == [None, None, None, 5]
    assert capsys.readouterr().out == "noted\n"


def test_event_is_copy_by_way_of_json(bench: Any) -> None:
    inner = {"n": [1, 2]}
    seen: list[Any] = []

    def work(event: Any, _context: object) -> None:
        event["inner"]["n"].append(3)
        seen.append(event)

    arn = bench.deploy(work)
    bench.send(arn, {"inner": inner, "pair": (1, 2)})
    bench.run()

    assert seen == [{"inner": {"n": [1, 2, 3]}, "pair": [1, 2]}]
    assert inner == {"n": [1, 2]}
    assert bench.records[0][1]["requestPayload"] == {"inner": {"n": [1, 2]}, "pair": [1, 2]}


def test_invocation_is_written_down(bench: Any) -> None:
    def work(_event: object, _context: object) -> None:
        bench.kernel.sleep(2_000)

    bench.send(bench.deploy(work), {"n": 1})
    bench.run()

    (entry,) = bench.invocations("work")
    assert (entry.event, entry.attempt, entry.outcome, entry.error) == (
        {"n": 1},
        None,
        "success",
        None,
    )
    assert entry.ended_at - entry.started_at == timedelta(seconds=2)


def test_concurrency_counts_what_ran_at_one_time(bench: Any) -> None:
    def work(event: Any, _context: object) -> None:
        bench.kernel.sleep(event["ms"])

    arn = bench.deploy(work)
    for ms in (100, 200, 300):
        bench.send(arn, {"ms": ms})
    bench.run()
    bench.send(arn, {"ms": 50})
    bench.run()

    assert bench.platform.log.most_at_once("work") == 3


def test_invocations_that_meet_at_one_instant_do_not_overlap(bench: Any) -> None:
    def work(event: Any, _context: object) -> None:
        bench.kernel.sleep(100)
        if event["n"] < 3:
            bench.send(arn, {"n": event["n"] + 1})

    arn = bench.deploy(work, decorated=False)
    bench.send(arn, {"n": 0})
    bench.run()

    assert bench.platform.log.most_at_once("work") <= 2
    assert len(bench.invocations("work")) == 4

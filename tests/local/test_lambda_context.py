"""`lambda_context`, the stand-in for Lambda's context."""

from datetime import timedelta

import pytest

from workpool_aws import UsageError, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.testing import lambda_context

ARN = "arn:aws:lambda:eu-central-1:111122223333:function:orders:live"


def test_lambda_context_has_attributes_of_lambdas() -> None:
    ctx = lambda_context("orders", memory_mb=512, request_id="r-1", version="7")

    assert ctx.function_name == "orders"
    assert ctx.function_version == "7"
    assert ctx.invoked_function_arn == "arn:aws:lambda:us-east-1:123456789012:function:orders"
    assert ctx.aws_request_id == "r-1"
    assert ctx.memory_limit_in_mb == "512"
    assert ctx.log_group_name == "/aws/lambda/orders"
    assert ctx.log_stream_name.endswith("[7]r-1")
    assert ctx.identity.cognito_identity_id is None
    assert ctx.client_context is None


def test_lambda_context_counts_down_by_clock() -> None:
    now = [100.0]
    ctx = lambda_context(timeout=timedelta(seconds=3), clock=lambda: now[0])

    left = []
    for now[0] in (100.0, 102.5, 200.0):
        left.append(ctx.get_remaining_time_in_millis())

    assert left == [3000, 500, 0]


def test_lambda_context_counts_down_in_clouds_time() -> None:
    with LocalCloud() as cloud:
        ctx = lambda_context(timeout=timedelta(seconds=3))
        cloud.advance(timedelta(seconds=2))

        assert ctx.get_remaining_time_in_millis() == 1000


def test_lambda_context_counts_down_in_real_time_elsewhere() -> None:
    left = lambda_context(timeout=timedelta(minutes=15)).get_remaining_time_in_millis()

    assert 0 < left <= 900_000


def test_lambda_context_is_context_of_enqueue() -> None:
    with LocalCloud() as cloud:
        cloud.function(lambda event, context: "sent", name="send")
        pool = Workpool(cloud.table)

        work_id = pool.enqueue_action(lambda_context("orders", request_id="r-1"), "send", {})

        shown = pool.show(None, work_id)
        assert shown.link == "request=r-1"
        assert shown.target == "arn:aws:lambda:us-east-1:123456789012:function:send"


def test_lambda_context_takes_arn_of_any_region() -> None:
    assert lambda_context(arn=ARN).invoked_function_arn == ARN


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("function_name", "a name"),
        ("timeout", 3),
        ("timeout", timedelta(0)),
        ("timeout", timedelta(minutes=16)),
        ("memory_mb", 127),
        ("memory_mb", 10_241),
        ("memory_mb", "512"),
        ("request_id", ""),
        ("version", 7),
        ("arn", "orders"),
        ("clock", 3.0),
    ],
)
def test_lambda_context_refuses_bad_value(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{field} must be"):
        lambda_context(**{field: value})

"""The caller behind a Lambda context: its name, the account of short names, and the way back to its request."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.kit.world import World
from workpool_aws import UsageError, invocation
from workpool_aws.api.anchored import AnchoredTransaction
from workpool_aws.api.caller import Caller, read_caller, read_writer
from workpool_aws.core import limits

ARN = "arn:aws-cn:lambda:cn-north-1:123456789012:function:send:live"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def context(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{"invoked_function_arn": ARN, "aws_request_id": "r-1", **changes})


@pytest.fixture(autouse=True)
def outside_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_X_AMZN_TRACE_ID", "AWS_LAMBDA_FUNCTION_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_context_names_function_place_and_request() -> None:
    assert read_caller(context()) == Caller(
        function_arn=ARN,
        partition="aws-cn",
        region="cn-north-1",
        account="123456789012",
        request_id="r-1",
    )


def test_arn_of_another_shape_names_no_place() -> None:
    assert read_caller(context(invoked_function_arn="send")) == Caller(
        function_arn="send", request_id="r-1"
    )


@pytest.mark.parametrize(
    "ctx",
    [
        context(invoked_function_arn=None),
        context(aws_request_id=None),
        context(invoked_function_arn=1, aws_request_id=2),
        SimpleNamespace(),
        "context",
    ],
)
def test_half_context_is_refused(ctx: object) -> None:
    with pytest.raises(UsageError, match=r"^ctx must be the context that Lambda gave"):
        read_caller(ctx)


def test_name_is_arn_or_function_or_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = read_caller(None).name
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "send")

    assert (outside, read_caller(None).name, read_caller(context()).name) == (
        "a caller outside Lambda",
        "send",
        ARN,
    )


def test_origin_is_request_and_root_of_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    untraced = read_caller(context()).origin
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)

    assert untraced == "request=r-1"
    assert read_caller(context()).origin == (
        "request=r-1 trace=1-5759e988-bd862e3fe1be46a994272793"
    )
    assert read_caller(None).origin is None


def test_origin_is_cut_at_its_bound() -> None:
    origin = read_caller(context(aws_request_id="r" * 1_000)).origin

    assert origin == f"request={'r' * 1_000}"[: limits.ORIGIN_LENGTH_MAX]


def test_writer_beside_given_transaction_is_refused() -> None:
    """The function may run several times, and only its transaction is applied once."""
    world = World()
    inside = invocation.anchored.set(AnchoredTransaction(world.ports, "email", Caller()))
    try:
        with pytest.raises(UsageError, match="anything else would repeat"):
            read_writer(context())
        assert read_caller(context()).function_arn == ARN
    finally:
        invocation.anchored.reset(inside)
    assert read_writer(context()) == read_caller(context())

"""The texts of the SDK's errors: bounded, on one line, and without values that may be secret."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk

from workpool_aws.adapters.aws.sdk_errors import described
from workpool_aws.adapters.dynamodb.answers import translated
from workpool_aws.errors import StoreUnavailable, UsageError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("x" * 500), f"RuntimeError: {'x' * 500}"),
        (RuntimeError("x" * 501), f"RuntimeError: {'x' * 499}…"),
        (OSError("two\nlines"), "OSError: two lines"),
        (sdk.ParamValidationError(report="hunter2"), "ParamValidationError"),
    ],
    ids=["at its bound", "above its bound", "lines", "parameters"],
)
def test_error_is_described_by_class_and_text(error: Exception, text: str) -> None:
    assert described(error) == text


@pytest.mark.parametrize(("length", "shown"), [(500, "x" * 500), (501, "x" * 499 + "…")])
def test_message_of_dynamodb_is_quoted_up_to_its_bound(length: int, shown: str) -> None:
    answer = {"Error": {"Code": "InternalServerError", "Message": "x" * length}}

    meant = translated(sdk.ClientError(answer, "GetItem"), "jobs")

    assert isinstance(meant, StoreUnavailable)
    assert shown in str(meant)
    assert shown + "x" not in str(meant)


def test_invalid_parameters_are_callers_fault_and_not_quoted() -> None:
    meant = translated(sdk.ParamValidationError(report="hunter2"), "jobs")

    assert isinstance(meant, UsageError)
    assert str(meant) == (
        "request must be one that DynamoDB takes; got ParamValidationError for table 'jobs'"
    )


def test_error_that_says_nothing_is_no_answer() -> None:
    meant = translated(sdk.ClientError({}, "GetItem"), "jobs")

    assert isinstance(meant, StoreUnavailable)
    assert "unknown" in str(meant)

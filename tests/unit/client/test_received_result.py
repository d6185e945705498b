"""The result that a callback's event carries, as its handler reads it."""

import pytest

from workpool_aws import Result, UsageError
from workpool_aws.api.on_complete import received_result


@pytest.mark.parametrize(
    ("event", "result"),
    [
        ({"kind": "success", "return_value": [1]}, Result(kind="success", return_value=[1])),
        ({"kind": "success"}, Result(kind="success", return_value=None)),
        (
            {"kind": "failed", "error": "no", "error_type": "E"},
            Result(kind="failed", error="no", error_type="E"),
        ),
        ({"kind": "failed", "error": 1, "error_type": 2}, Result(kind="failed")),
        ({"kind": "failed"}, Result(kind="failed")),
        ({"kind": "canceled", "error": "no"}, Result(kind="canceled")),
        ({"kind": "else"}, None),
        ({}, None),
        ("success", None),
        (None, None),
    ],
)
def test_callbacks_result_is_read_and_what_is_none_is_none(
    event: object, result: Result | None
) -> None:
    assert received_result(event) == result


def test_return_value_that_is_no_json_is_refused_by_its_path() -> None:
    with pytest.raises(UsageError) as refused:
        received_result({"kind": "success", "return_value": {"a": {1}}})

    assert refused.value.field == "event.result.return_value.a"

"""Whatever JSON can say comes back equal from the payload's text, and nothing else gets in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workpool_aws.core.payload import encode_object, encode_result
from workpool_aws.errors import PayloadTooLarge, UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FOREIGN = st.sampled_from([float("nan"), float("inf"), b"", frozenset(), object(), 1j, "\ud800"])
LARGE = 1_000_000


@settings(max_examples=30, print_blob=True)
@given(st.dictionaries(TEXT.filter(lambda key: key != "_workpool"), JSON, max_size=4))
def test_arguments_come_back_equal(value: dict[str, object]) -> None:
    text = encode_object(value, "args", LARGE)

    assert json.loads(text) == value
    assert list(json.loads(text)) == list(value)


@settings(max_examples=30, print_blob=True)
@given(JSON)
def test_result_comes_back_equal_and_its_size_is_what_is_checked(value: object) -> None:
    text = encode_result(value, LARGE)
    size_bytes = len(text.encode())

    assert json.loads(text) == value
    assert encode_result(value, size_bytes) == text
    with pytest.raises(PayloadTooLarge):
        encode_result(value, size_bytes - 1)


@settings(max_examples=25, print_blob=True)
@given(JSON, FOREIGN, st.lists(st.integers(0, 1), max_size=5))
def test_argument_that_is_not_json_is_refused_by_its_path(
    beside: object, foreign: object, way: list[int]
) -> None:
    value, path = foreign, ""
    for step in way:
        value, path = (
            ({"k": value, "b": beside}, f".k{path}") if step else ([beside, value], f"[1]{path}")
        )

    with pytest.raises(UsageError) as caught:
        encode_object({"x": value}, "args", LARGE)

    assert caught.value.field == f"args.x{path}"

"""Values and expressions of users' items: as DynamoDB types them, or refused with their path."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import Binary

from workpool_aws.adapters.guests.expressions import (
    Placeholders,
    check_size,
    guard_of,
    update_text,
)
from workpool_aws.adapters.guests.reads import GuestRead, ReadItem
from workpool_aws.adapters.guests.values import bytes_of, from_typed, to_typed, to_typed_map
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.actions import GuestItem, GuestPlace


class Colour(str, enum.Enum):  # noqa: UP042 - of users who have it so
    RED = "red"


def nested(levels: int, *, by_list: bool = False) -> object:
    return (
        "x"
        if levels == 1
        else ([nested(levels - 1, by_list=True)] if by_list else {"a": nested(levels - 1)})
    )


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (None, {"NULL": True}),
        (False, {"BOOL": False}),
        ("é", {"S": "é"}),
        (Colour.RED, {"S": "red"}),
        (7, {"N": "7"}),
        (Decimal("1.50"), {"N": "1.50"}),
        (10**37, {"N": "1" + "0" * 37}),
        (Decimal("9.9E+125"), {"N": "9.9E+125"}),
        (Decimal("1E-130"), {"N": "1E-130"}),
        (b"a", {"B": b"a"}),
        (bytearray(b"a"), {"B": b"a"}),
        (Binary(b"a"), {"B": b"a"}),
        ([1, "a"], {"L": [{"N": "1"}, {"S": "a"}]}),
        ((), {"L": []}),
        ({"a": {"b": None}}, {"M": {"a": {"M": {"b": {"NULL": True}}}}}),
        ({"b", "a"}, {"SS": ["a", "b"]}),
        (frozenset({2, 1}), {"NS": ["1", "2"]}),
        ({b"b", b"a"}, {"BS": [b"a", b"b"]}),
    ],
)
def test_value_is_typed_as_dynamodb_stores_it(value: object, typed: dict[str, Any]) -> None:
    found = to_typed(value, "item.v")

    assert found == typed
    assert type(next(iter(found.values()))) is type(next(iter(typed.values())))
    assert to_typed(from_typed({"v": found})["v"], "item.v") == typed


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        (1.5, "item.v", "a str, bool, None, int"),
        (object(), "item.v", "a str, bool, None, int"),
        ({"a": [1, 2.5]}, r"item\.v\.a\[1\]", "a str, bool, None, int"),
        ({1: "a"}, "item.v", "a dict of str keys; got a key of type int"),
        ("\ud800", "item.v", "text without lone surrogates"),
        ("a\udfff", "item.v", "text without lone surrogates"),
        ({"\ud800": 1}, "item.v", "text without lone surrogates"),
        (Decimal("NaN"), "item.v", "at most 38 digits.* got NaN"),
        (Decimal("Infinity"), "item.v", "at most 38 digits.* got Infinity"),
        (10**38 + 1, "item.v", "at most 38 digits"),
        (Decimal("1E+126"), "item.v", r"at most 38 digits.* got 1E\+126"),
        (Decimal("-1E-131"), "item.v", "at most 38 digits.* got -1E-131"),
        (Decimal("1E+9999999999"), "item.v", "at most 38 digits"),
        (set(), "item.v", "an empty set"),
        ({1, "a"}, "item.v", "a set of 2 kinds"),
        ({None}, "item.v", "a set of 1 kinds, or of one not allowed"),
        ({True}, "item.v", "a set of 1 kinds, or of one not allowed"),
        ({1.5}, r"item\.v\{\}", "a str, bool, None, int"),
    ],
)
def test_value_that_cannot_be_stored_is_refused_with_its_path(
    value: object, path: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"^{path} must be .*{said}|^{path} must be.* got {said}"):
        to_typed(value, "item.v")


@pytest.mark.parametrize("by_list", [True, False])
def test_value_may_be_nested_as_deep_as_dynamodb_takes_it(*, by_list: bool) -> None:
    deepest = limits.GUEST_DEPTH_MAX

    assert to_typed(nested(deepest, by_list=by_list), "v")
    with pytest.raises(UsageError, match=f"must be at most {deepest} levels; got a deeper one"):
        to_typed(nested(deepest + 1, by_list=by_list), "v")


def test_item_is_dict_of_attributes() -> None:
    assert to_typed_map({"id": "a", "n": 1}, "item") == {"id": {"S": "a"}, "n": {"N": "1"}}
    with pytest.raises(UsageError, match="item must be a dict of attributes"):
        to_typed_map([("id", "a")], "item")
    with pytest.raises(UsageError, match=r"^item\.n must be"):
        to_typed_map({"n": 1.5}, "item")
    with pytest.raises(UsageError, match="a key of type int"):
        to_typed_map({1: "a"}, "item")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("é", 2),
        (b"abc", 3),
        (12345, 4),
        (None, 1),
        (True, 1),
        ({"ab", "c"}, 3),
        ({12, 345}, 5),
        ({b"abc", b"de"}, 5),
        ([], 3),
        (["a", "bc"], 3 + 2 + 3),
        ({"name": "a", "n": "bc"}, 3 + (1 + 4 + 1) + (1 + 1 + 2)),
    ],
)
def test_size_of_value_is_about_that_of_dynamodb(value: object, size: int) -> None:
    assert bytes_of(to_typed(value, "v")) == size


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        ({"n": "a"}, None, "names must be placeholders that begin with '#'"),
        ({":n": "a"}, None, "names must be placeholders that begin with '#'"),
        ({"#wp0": "a"}, None, "not with '#wp'"),
        ({"#WPx": "a"}, None, "not with '#wp'"),
        ({"#n": 7}, None, r"names\['#n'\] must be the name of an attribute"),
        ([("#n", "a")], None, "names must be a dict by attribute name"),
        ({1: "a"}, None, "names must be a dict by attribute name"),
        (None, {"v": 1}, "values must be placeholders that begin with ':'"),
        (None, {":wp0": 1}, "not with ':wp'"),
        (None, {":v": 1.5}, r"values\[':v'\] must be"),
        (None, 7, "values must be a dict by attribute name"),
    ],
)
def test_placeholder_that_is_none_is_refused(names: object, values: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Placeholders(names, values)


def test_placeholders_of_copy_leave_those_of_original_alone() -> None:
    first = Placeholders({"#n": "a"}, {":v": 1})
    other = first.copy()

    assert (other.name("a"), other.name("b"), other.name("b")) == ("#n", "#wp1", "#wp1")
    assert (other.value({"S": "x"}), other.value({"S": "x"})) == (":wp1", ":wp2")
    assert (first.names, first.values) == ({"#n": "a"}, {":v": {"N": "1"}})
    assert other.names == {"#n": "a", "#wp1": "b"}


def test_condition_is_text_or_one_of_boto3() -> None:
    built = guard_of(Attr("a").eq(5) & Attr("b").exists(), {"#n": "b"})
    text = guard_of("size(#n) > :v", {"#n": "a"}, {":v": 1})

    assert built.condition == "(#wp1 = :wp0 AND attribute_exists(#n))"
    assert built.placeholders.names == {"#n": "b", "#wp1": "a"}
    assert built.placeholders.values == {":wp0": {"N": "5"}}
    assert (text.condition, text.given) == ("size(#n) > :v", "size(#n) > :v")
    assert (guard_of(None).condition, guard_of(None).given) == (None, None)
    assert guard_of(Attr("a").is_in([1])).condition == "#wp0 IN (:wp0)"


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "an expression without the placeholders .* got ''"),
        (" \n", "an expression without the placeholders"),
        ("#wp1 = :v", "got a text with '#wp' or ':wp'"),
        ("#n = :WP1", "got a text with '#wp' or ':wp'"),
        (7, "an Attr condition of boto3, or an expression as text"),
        (Attr("a").is_in([]), r"one with a value in each is_in; got one with is_in\(\[\]\)"),
        (Attr("a").eq(1.5), "a str, bool, None, int"),
    ],
)
def test_condition_that_is_none_is_refused(condition: object, said: str) -> None:
    with pytest.raises(UsageError, match=f"^condition must be .*{said}"):
        guard_of(condition)


def updated(expression: object = None, **parts: object) -> tuple[str, Placeholders]:
    into = Placeholders()
    given = {"assign": None, "add": None, "remove": None, "delete": None} | parts
    return update_text(expression, into, **given), into


def test_update_is_made_of_its_parts() -> None:
    text, into = updated(
        assign={"a": 1, "b": 2}, add={"c": 3}, remove=["d", "a"], delete={"e": {"x"}}
    )

    assert text == "SET #wp0 = :wp0, #wp1 = :wp1 REMOVE #wp2, #wp0 ADD #wp3 :wp2 DELETE #wp4 :wp3"
    assert into.names == {f"#wp{n}": name for n, name in enumerate("abdce")}
    assert into.values == {
        ":wp0": {"N": "1"},
        ":wp1": {"N": "2"},
        ":wp2": {"N": "3"},
        ":wp3": {"SS": ["x"]},
    }
    assert updated(remove="word")[0] == "REMOVE #wp0"
    assert updated("SET a = b")[0] == "SET a = b"


@pytest.mark.parametrize(
    ("expression", "parts", "said"),
    [
        ("SET a = b", {"add": {"a": 1}}, "expression must be None beside set, add"),
        ("SET a = b", {"assign": {}}, "expression must be None beside set, add"),
        (7, {}, "expression must be an update expression as text"),
        (" ", {}, "expression must be an expression without"),
        ("SET a = :wp0", {}, "expression must be an expression without"),
        (None, {}, "set must be given, or else add"),
        (None, {"assign": {}, "remove": []}, "set must be given, or else add"),
        (None, {"assign": {"a": 1.5}}, r"set\.a must be"),
        (None, {"add": {"a": 1.5}}, r"add\.a must be"),
        (None, {"delete": {"a": 1.5}}, r"delete\.a must be"),
        (None, {"assign": "a"}, "set must be a dict by attribute name"),
        (None, {"add": {1: 1}}, "add must be a dict by attribute name"),
        (None, {"remove": 7}, "remove must be names of attributes"),
        (None, {"remove": {"a": 1}}, "remove must be names of attributes"),
        (None, {"remove": b"a"}, "remove must be names of attributes"),
        (None, {"remove": ["a", 7]}, "remove must be names of attributes"),
    ],
)
def test_update_that_is_none_is_refused(
    expression: object, parts: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        updated(expression, **parts)


def test_expression_is_as_long_as_dynamodb_takes_it() -> None:
    longest = "é" * (limits.EXPRESSION_BYTES_MAX // 2)
    busiest = "+" + " AND a" * (limits.EXPRESSION_OPERATORS_MAX - 1)

    assert check_size("condition", longest) == longest
    assert check_size("condition", busiest) == busiest
    with pytest.raises(UsageError, match=f"^condition must be .*got {len(longest) * 2 + 1} bytes"):
        check_size("condition", longest + "x")
    operators = limits.EXPRESSION_OPERATORS_MAX + 1
    with pytest.raises(UsageError, match=f"with {operators} operators"):
        check_size("condition", busiest + " not begins")


@pytest.mark.parametrize(
    ("kind", "same", "other"),
    [
        ("SS", ["b", "a"], ["a", "c"]),
        ("NS", ["2", "1"], ["1", "3"]),
        ("BS", [b"b", b"a"], [b"a", b"c"]),
        ("L", None, [{"S": "a"}]),
        ("S", None, "x"),
    ],
)
def test_read_is_stale_when_value_differs_other_than_in_order_of_set(
    kind: str, same: Any, other: Any
) -> None:
    first = {"SS": ["a", "b"], "NS": ["1", "2"], "BS": [b"a", b"b"], "L": [], "S": "a"}[kind]
    stored: dict[str, Any] = {"id": {"S": "i"}, "v": {kind: first}}
    nested_value: dict[str, Any] = {"M": {"in": {"L": [{kind: first}]}}}
    place = GuestPlace(table="t", key={"id": {"S": "i"}})
    read = GuestRead(place, {**stored, "m": nested_value, "free": {"N": "1"}})
    assert read.item is not None
    assert (read.item.get("v"), "gone" in read.item) != (None, True)
    read.watch("m")
    read.watch("m")
    read.watch(None)

    def changed(**changes: Any) -> bool:
        return read.has_changed(GuestItem({**stored, "m": nested_value, **changes}))

    assert read.watched == ["gone", "m", "v"]
    assert not changed()
    assert not changed(v={kind: first if same is None else same}, free={"N": "2"})
    assert not changed(m={"M": {"in": {"L": [{kind: first if same is None else same}]}}})
    assert changed(v={kind: other})
    assert changed(m={"M": {"in": {"L": [{kind: other}]}}})
    assert changed(gone={"NULL": True})
    assert read.has_changed(None)
    with pytest.raises(UsageError, match="version must be 'm', as in the read before"):
        read.watch("n")
    into = Placeholders()
    assert read.check(into) == (
        "attribute_exists(#wp0) AND attribute_not_exists(#wp1) AND #wp2 = :wp0 AND #wp3 = :wp1"
    )


def test_read_of_no_item_is_stale_once_there_is_one() -> None:
    read = GuestRead(GuestPlace(table="t", key={"b": {"S": "i"}, "a": {"S": "i"}}), None)
    into = Placeholders()

    assert not read.has_changed(None)
    assert read.has_changed(GuestItem({"b": {"S": "i"}, "a": {"S": "i"}}))
    assert (read.check(into), into.names) == ("attribute_not_exists(#wp0)", {"#wp0": "a"})


def test_item_notes_what_was_looked_at() -> None:
    item = ReadItem({"a": 1, "b": 2})

    assert item.looked_at == frozenset()
    no_name: Any = 7
    assert (item["a"], no_name in item, "c" in item) == (1, False, False)
    assert item.looked_at == {"a", "c"}
    assert repr(item) == "<item with a, b>"
    assert item.looked_at == {"a", "c"}
    assert len(item) == 2
    assert item.looked_at == {"a", "b", "c"}
    assert list(ReadItem({"a": 1})) == ["a"]

"""Conditions and updates of users' items, as expressions of one action."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.adapters.guests.values import to_typed
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.text import NOTHING, Words, kind_of

if TYPE_CHECKING:
    from workpool_aws.adapters.guests.values import Typed

__all__ = ["Guard", "Placeholders", "check_size", "guard_of", "update_text"]

_OWN: Final = re.compile(r"[#:]wp", re.IGNORECASE)
_BUILT: Final = re.compile(r"[#:][nv]\d+")
_NOTHING_IN: Final = re.compile(r"\bIN \(\)")
_OPERATOR: Final = re.compile(
    r"[<>=]+|[+-]|\b(?:AND|OR|NOT|BETWEEN|IN)\b|\b\w+(?=\()", re.IGNORECASE
)
"""An operator or a function, as DynamoDB counts them."""
_CONDITION: Final = "an Attr condition of boto3, or an expression as text"


class Placeholders:
    """The names and values of one action's expressions, those of its caller among them."""

    def __init__(self, names: object = None, values: object = None) -> None:
        """Raises UsageError for placeholders that are not allowed."""
        self.names: dict[str, str] = {}
        self.values: dict[str, Typed] = {}
        for mark, given, field in (("#", names, "names"), (":", values, "values")):
            for each, value in _given(given, field).items():
                if not isinstance(each, str) or not each.startswith(mark) or _OWN.match(each):
                    allowed = f"placeholders that begin with {mark!r}, and not with '{mark}wp'"
                    raise UsageError(field, each, allowed)
                if mark == ":":
                    self.values[each] = to_typed(value, f"values[{each!r}]")
                elif isinstance(value, str):
                    self.names[each] = value
                else:
                    raise UsageError(f"names[{each!r}]", kind_of(value), "the name of an attribute")

    def copy(self) -> Placeholders:
        """Returns the same ones, to which others are added."""
        other = Placeholders()
        other.names, other.values = dict(self.names), dict(self.values)
        return other

    def name(self, attribute: str) -> str:
        """Returns a placeholder for a name."""
        known = next((each for each, name in self.names.items() if name == attribute), None)
        if known is None:
            known = f"#wp{len(self.names)}"
            self.names[known] = attribute
        return known

    def value(self, typed: Typed) -> str:
        """Returns a placeholder for a value."""
        alias = f":wp{len(self.values)}"
        self.values[alias] = typed
        return alias


@dataclass(frozen=True, slots=True)
class Guard:
    """The condition of an action, and the placeholders of its expressions."""

    placeholders: Placeholders
    condition: str | None
    given: object
    """The condition as the user gave it. `None` means that there is none."""


def guard_of(condition: object, names: object = None, values: object = None) -> Guard:
    """Returns the condition of an action. `None` means that it has none. Raises UsageError."""
    holder = Placeholders(names, values)
    return Guard(holder, _condition_text(condition, holder), condition)


def _condition_text(condition: object, into: Placeholders) -> str | None:
    if condition is None:
        return None
    if isinstance(condition, str):
        return _checked(condition, "condition")
    from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder

    if not isinstance(condition, ConditionBase):
        raise UsageError("condition", kind_of(condition), _CONDITION)
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=False)
    if _NOTHING_IN.search(built.condition_expression):
        raise UsageError("condition", Words("one with is_in([])"), "one with a value in each is_in")
    names, values = built.attribute_name_placeholders, built.attribute_value_placeholders

    def own(found: re.Match[str]) -> str:
        mark = found[0]
        if mark in names:
            return into.name(names[mark])
        return into.value(to_typed(values[mark], "condition"))

    return _BUILT.sub(own, built.condition_expression)


def update_text(
    expression: object,
    into: Placeholders,
    *,
    assign: object,
    add: object,
    remove: object,
    delete: object,
) -> str:
    """Returns an update as text, by an expression or by its parts. Raises UsageError."""
    if expression is not None:
        if any(each is not None for each in (assign, add, remove, delete)):
            raise UsageError("expression", expression, "None beside set, add, remove or delete")
        if not isinstance(expression, str):
            raise UsageError("expression", kind_of(expression), "an update expression as text")
        return _checked(expression, "expression")
    clauses = {
        "SET": _pairs(assign, "set", into, between=" = "),
        "REMOVE": [into.name(name) for name in _given_names(remove)],
        "ADD": _pairs(add, "add", into, between=" "),
        "DELETE": _pairs(delete, "delete", into, between=" "),
    }
    text = " ".join(f"{word} {', '.join(each)}" for word, each in clauses.items() if each)
    if not text:
        raise UsageError("set", NOTHING, "given, or else add, remove, delete or an expression")
    return text


def _pairs(given: object, field: str, into: Placeholders, *, between: str) -> list[str]:
    return [
        f"{into.name(name)}{between}{into.value(to_typed(value, f'{field}.{name}'))}"
        for name, value in _given(given, field).items()
    ]


def _given(given: object, field: str) -> Mapping[str, object]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise UsageError(field, kind_of(given), "a dict by attribute name")
    return given


def _given_names(given: object) -> list[str]:
    if given is None or isinstance(given, str):
        return [] if given is None else [given]
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise UsageError("remove", kind_of(given), "names of attributes")
    names = list(given)
    for name in names:
        if not isinstance(name, str):
            raise UsageError("remove", kind_of(name), "names of attributes")
    return names


def check_size(field: str, text: str) -> str:
    """Returns an expression that DynamoDB takes. Raises UsageError for a longer one."""
    size, operators = len(text.encode()), len(_OPERATOR.findall(text))
    if size > limits.EXPRESSION_BYTES_MAX or operators > limits.EXPRESSION_OPERATORS_MAX:
        allowed = (
            f"at most {limits.EXPRESSION_BYTES_MAX} bytes and "
            f"{limits.EXPRESSION_OPERATORS_MAX} operators of an expression; of a wide item look at "
            "few attributes, or read it with version= or check=False"
        )
        raise UsageError(field, Words(f"{size} bytes with {operators} operators"), allowed)
    return text


def _checked(text: str, field: str) -> str:
    if not text.strip() or _OWN.search(text):
        got = Words("a text with '#wp' or ':wp'") if text.strip() else text
        raise UsageError(field, got, "an expression without the placeholders '#wp...' and ':wp...'")
    return text

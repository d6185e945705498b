"""Checks of single options, each of which returns the value in its type, or refuses it by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, TypeVar, cast

from aws_cdk import Duration, Token
from aws_cdk import aws_kms as kms

from workpool_aws.model.names import TABLE
from workpool_cdk.errors import ConfigurationError, must_be

__all__ = [
    "flag",
    "has",
    "key_of_ones_own",
    "member",
    "pool_names",
    "seconds_within",
    "table_name",
    "whole_within",
    "with_attributes",
]

E = TypeVar("E", bound=Enum)
_ALIAS: Final = ":alias/"


def flag(field: str, value: object) -> bool:
    """Returns True or False, and refuses what merely counts as one."""
    if not isinstance(value, bool):
        raise must_be(field, "True or False", value)
    return value


def whole_within(field: str, value: object, lowest: int, highest: int) -> int:
    """Returns an int between two bounds, both included."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise must_be(field, f"an int from {lowest} to {highest}", value)
    return value


def seconds_within(field: str, value: object, lowest: Duration, highest: Duration) -> Duration:
    """Returns a Duration of whole seconds between two bounds, both included."""
    bounds = f"a Duration from {_words(lowest)} to {_words(highest)}"
    if not isinstance(value, Duration) or value.is_unresolved():
        raise must_be(field, bounds, value)
    milliseconds = value.to_milliseconds()
    if (
        milliseconds % 1000
        or not lowest.to_milliseconds() <= milliseconds <= highest.to_milliseconds()
    ):
        raise ConfigurationError(
            f"{field} must be {bounds}, in whole seconds; got {milliseconds:g} ms"
        )
    return value


def _words(duration: Duration) -> str:
    return str(duration.to_human_string())


def member(field: str, value: object, kind: type[E]) -> E:
    """Returns a member of an enumeration, which may be given as its value, a text."""
    found = next(
        (
            each
            for each in kind
            if each is value or (isinstance(value, str) and each.value == value)
        ),
        None,
    )
    if found is None:
        raise must_be(field, f"one of {', '.join(str(each.value) for each in kind)}", value)
    return found


def table_name(value: object) -> str | None:
    """Returns a name that DynamoDB takes, or a token; `None` leaves the name to CloudFormation."""
    if value is None or (
        isinstance(value, str) and (Token.is_unresolved(value) or TABLE.fullmatch(value))
    ):
        return value
    raise must_be("table_name", "None, or a table's name: 3 to 255 of A-Z a-z 0-9 _ . -", value)


def with_attributes(field: str, value: object, allowed: str, *attributes: str) -> None:
    """Refuses an object without these attributes, since an imported one has no class of its own."""
    if not all(has(value, name) for name in attributes):
        raise must_be(field, allowed, value)


def has(value: object, name: str) -> bool:
    """True for an object that has an attribute. The getter of another language may raise."""
    try:
        return not isinstance(value, type) and hasattr(value, name)
    except Exception:  # noqa: BLE001 - a getter across jsii may raise anything
        return False


def key_of_ones_own(field: str, value: object) -> kms.IKey | None:
    """Returns a KMS key, or that of an alias made in this app. `None` means AWS's own key.

    Raises:
        ConfigurationError: It is no key, or an imported alias. IAM allows the use of a key by its
            own ARN only.
    """
    if value is None:
        return None
    with_attributes(field, value, "None or a KMS key", "key_arn", "grant_decrypt")
    if isinstance(value, kms.Alias):
        return value.alias_target_key
    key = cast("kms.IKey", value)
    if _ALIAS in key.key_arn:
        raise must_be(
            field, "a KMS key that is named by the key's own ARN, not by an alias", key.key_arn
        )
    return key


def pool_names(value: object, known: Iterable[str]) -> list[str]:
    """Returns pools of the construct, each once, in the order given; `None` means all of them."""
    names = list(known)
    if value is None:
        return names
    allowed = f"None or a list of pools of this Workpool ({', '.join(sorted(names))})"
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise must_be("pools", allowed, value)
    asked = list(value)
    if not asked or any(not isinstance(each, str) or each not in names for each in asked):
        raise must_be("pools", allowed, asked)
    return list(dict.fromkeys(asked))

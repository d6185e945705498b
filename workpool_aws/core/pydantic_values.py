"""Writes values that pydantic knows as plain ones, and refuses those that it would not show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Final, Protocol

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.text import kind_of

__all__ = [
    "HIDDEN",
    "Serializer",
    "dumped",
    "is_secret",
    "is_word",
    "path_to",
    "serializer_of",
    "word",
]

HIDDEN: Final = (
    "left out, or given a serializer of its own: "
    "pydantic would write asterisks in place of a secret"
)
_WORDS: Final = (date, time, timedelta, Decimal)


def path_to(path: str, key: str) -> str:
    """Returns the path of a member of an object."""
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"


class Serializer(Protocol):
    """The part of pydantic's serializer that is used here."""

    def to_python(self, value: object, *, mode: str, by_alias: bool, warnings: bool) -> object:
        """Write a value as plain ones."""


def serializer_of(value: object) -> Serializer | None:
    """Returns the serializer of a pydantic model or dataclass; `None` means that it is neither."""
    # Of its very class: a subclass of a pydantic dataclass that is none itself has fields that the
    # inherited serializer leaves out.
    serializer: Serializer | None = vars(type(value)).get("__pydantic_serializer__")
    return serializer


def dumped(serializer: Serializer, value: object, path: str) -> object:
    """Returns a pydantic model or dataclass as plain values, by alias, as validation reads them."""
    try:
        plain = serializer.to_python(value, mode="json", by_alias=True, warnings=True)
        shown = serializer.to_python(value, mode="python", by_alias=True, warnings=False)
    except Exception as error:
        # Without its text, which may quote the value: the class of the error, and the error itself
        # as the cause.
        raise UsageError(
            path,
            kind_of(value),
            f"something that pydantic can write as JSON (it raised {type(error).__name__})",
        ) from error
    _refuse_secrets(shown, plain, path, 0)
    return plain


def _refuse_secrets(shown: object, plain: object, path: str, depth: int) -> None:
    """Raises if pydantic wrote asterisks for a secret; `shown` is the value, `plain` its JSON."""
    if depth > limits.PAYLOAD_DEPTH_MAX:
        return
    if is_secret(shown):
        if isinstance(plain, str) and plain and not plain.strip("*"):
            raise UsageError(path, kind_of(shown), HIDDEN)
    elif isinstance(shown, Mapping) and isinstance(plain, dict):
        for inner, (key, written) in zip(shown.values(), plain.items(), strict=False):
            _refuse_secrets(inner, written, path_to(path, str(key)), depth + 1)
    elif isinstance(shown, Iterable) and isinstance(plain, list):
        for index, (inner, written) in enumerate(zip(shown, plain, strict=False)):
            _refuse_secrets(inner, written, f"{path}[{index}]", depth + 1)


def is_secret(value: object) -> bool:
    """True for a value of which pydantic writes asterisks."""
    return callable(getattr(type(value), "get_secret_value", None))


def is_word(value: object) -> bool:
    """True for a date, time, duration, Decimal or UUID, which pydantic writes and reads."""
    # UUID by name: making ids is forbidden here, and the module that holds the class makes them.
    return isinstance(value, _WORDS) or any(
        kind.__module__ == "uuid" and kind.__qualname__ == "UUID" for kind in type(value).__mro__
    )


def word(value: object, path: str) -> str:
    """Returns such a value as the text that pydantic writes for it."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise UsageError(path, value, "a finite number")
    from pydantic_core import to_jsonable_python  # noqa: PLC0415 - slow to load, and few values need it

    try:
        return str(to_jsonable_python(value))
    except Exception as error:  # a time zone of the user's own, say
        raise UsageError(
            path,
            kind_of(value),
            f"something that pydantic can write as JSON (it raised {type(error).__name__})",
        ) from error

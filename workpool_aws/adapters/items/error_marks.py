"""Writes the marks of errors as texts."""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.adapters.items.forms import FieldCodec, list_of, matched
from workpool_aws.core import limits
from workpool_aws.model.error_marks import ErrorMark, MarkKind
from workpool_aws.model.ids import EpochMs

__all__ = ["ERROR_MARKS"]

_MARK: Final = re.compile(
    rf"([0-9a-f]{{16}}):({'|'.join(MarkKind)}):([0-9]{{1,15}}):([0-9]{{1,15}}):(.{{1,{limits.MARK_AUTHOR_MAX}}})",
    re.ASCII | re.DOTALL,
)


def _decode(value: object) -> ErrorMark:
    fingerprint, kind, at, seen, by = matched(_MARK, value).groups()
    if max(int(at), int(seen)) >= limits.STORED_MS_BELOW:
        raise ValueError("a time that cannot be")
    return ErrorMark(fingerprint, MarkKind(kind), EpochMs(int(at)), EpochMs(int(seen)), by)


def _encode(mark: ErrorMark) -> str:
    text = f"{mark.fingerprint}:{mark.kind}:{mark.at}:{mark.seen}:{mark.by}"
    _decode(text)
    return text


ERROR_MARKS: Final = list_of(
    FieldCodec("a mark of an error", _encode, _decode),
    "a list of marks of errors",
    at_most=limits.ERROR_MARKS_MAX,
)

"""Reads the options of unique work: keys, and ids of requests [WP-16, WP-17]."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.spec import UniqueSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_name", "read_span", "read_unique", "spelled_debounce"]

_MILLISECOND: Final = timedelta(milliseconds=1)
_SPAN_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_UNTIL: Final = ("finished", "started")


def read_unique(options: Mapping[str, object]) -> UniqueSpec | None:
    """Returns the unique key of an enqueue, and how long its work item holds it.

    Raises UsageError for a value that is not allowed.
    """
    key, until, span = (options.get(each) for each in ("unique_key", "unique_until", "unique_for"))
    if until is not None and until not in _UNTIL:
        raise UsageError("unique_until", until, "'finished', 'started', or None (finished)")
    if key is None:
        for name in ("unique_until", "unique_for", "on_conflict"):
            if options.get(name) is not None:
                raise UsageError(name, options[name], "None without unique_key")
        return None
    checked = read_name("unique_key", key, limits.UNIQUE_KEY_BYTES_MAX)
    if span is not None and until is not None:
        raise UsageError("unique_for", span, "None where unique_until is given")
    for_ms = None if span is None else read_span("unique_for", span)
    return UniqueSpec(key=checked, until_started=until == "started", for_ms=for_ms)


_DEBOUNCE_SAYS: Final = (
    "run_after",
    "run_at",
    "unique_until",
    "unique_for",
    "on_conflict",
    "max_wait",
)


def spelled_debounce(options: Mapping[str, object]) -> Mapping[str, object]:
    """Returns options with `debounce` and `debounce_max` spelled by the options that they stand for.

    Raises UsageError for a value that is not allowed, and beside one of these options.
    """
    wait, longest = options.get("debounce"), options.get("debounce_max")
    if wait is None:
        if longest is not None:
            raise UsageError("debounce_max", longest, "None without debounce")
        return options
    _check_debounce(options, wait, longest)
    plain = {name: each for name, each in options.items() if not name.startswith("debounce")}
    return {
        **plain,
        "run_after": wait,
        "unique_until": "started",
        "on_conflict": "replace",
        "max_wait": longest,
    }


def _check_debounce(options: Mapping[str, object], wait: object, longest: object) -> None:
    if options.get("unique_key") is None:
        raise UsageError("debounce", wait, "None without unique_key")
    for name in _DEBOUNCE_SAYS:
        if options.get(name) is not None:
            raise UsageError(name, options[name], "None where debounce is given")
    wait_ms = read_span("debounce", wait)
    if longest is not None and read_span("debounce_max", longest) < wait_ms:
        raise UsageError("debounce_max", longest, "at least debounce")


def read_span(name: str, value: object) -> int:
    """Returns a time in milliseconds. Raises UsageError for anything but 0 to 366 days."""
    if not isinstance(value, timedelta) or not timedelta(0) < value <= _SPAN_MAX:
        allowed = f"a timedelta above 0, at most {_SPAN_MAX.days} days"
        raise UsageError(name, value, allowed)
    return -(-value // _MILLISECOND)


def read_name(name: str, value: object, longest: int) -> str:
    """Returns a text of 1 to `longest` bytes. Raises UsageError for anything else."""
    allowed = f"a str of 1 to {longest} bytes"
    if not isinstance(value, str):
        raise UsageError(name, value, allowed)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(name, value, f"{allowed} without lone surrogates") from None
    if not 1 <= size <= longest:
        raise UsageError(name, value, allowed)
    return str(value)

"""Refusals at synth: configurations that cannot be deployed as they were meant."""

from __future__ import annotations

from typing import Final

__all__ = ["ConfigurationError", "must_be", "shown"]

_SHOWN_MAX: Final = 120


class ConfigurationError(ValueError):
    """The options contradict each other, or could not work in the account.

    Nothing was synthesized.
    """


def must_be(field: str, allowed: str, value: object) -> ConfigurationError:
    """Returns the refusal of one option, as `FIELD must be ALLOWED; got VALUE`."""
    return ConfigurationError(f"{field} must be {allowed}; got {shown(value)}")


def shown(value: object) -> str:
    """Returns a value in one line of printable ASCII, cut to 120 characters.

    Never raises, whatever its `repr` does.
    """
    try:
        text = ascii(value)[: _SHOWN_MAX + 1]
    except Exception:  # noqa: BLE001 - a repr of the caller's may raise anything
        text = f"a value of type {type(value).__name__}"
    line = "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)
    return line if len(line) <= _SHOWN_MAX else f"{line[:_SHOWN_MAX]}..."

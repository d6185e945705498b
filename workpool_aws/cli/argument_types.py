"""Types of the command line's arguments. Each reads a text, or says what is allowed."""

from __future__ import annotations

import argparse
import math
import re
from typing import TYPE_CHECKING, Final

from workpool_aws.errors import UsageError
from workpool_aws.local.urls import is_endpoint
from workpool_aws.model.rate import RateLimit
from workpool_aws.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NO_RATE", "engine", "one_of", "rate", "share", "whole"]

NO_RATE: Final = "none"
"""Lifts a rate limit."""
_ENGINES: Final = ("memory", "moto")
_FRACTION: Final = re.compile(r"(\d{1,9})/(\d{1,9})")


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader of one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(words)}; got {shown(text)}"
            )
        return text

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {low} to {high}; got {shown(text)}"
            )
        return value

    return read


def rate(text: str) -> RateLimit | str:
    """Read a rate limit, or the word for none."""
    if text == NO_RATE:
        return text
    try:
        return RateLimit.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(f"must be as 100/1m, or none ({error})") from None


def share(text: str) -> float:
    """Read a number from 0 to 1, or a fraction."""
    fraction = _FRACTION.fullmatch(text)
    try:
        value = int(fraction[1]) / int(fraction[2]) if fraction else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"must be a number from 0 to 1, or a fraction such as 1/12; got {shown(text)}"
        )
    return value


def engine(text: str) -> str:
    """Read the name of an engine, or the URL of a DynamoDB endpoint."""
    if text not in _ENGINES and not is_endpoint(text):
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(_ENGINES)}, or the URL of a DynamoDB endpoint "
            f"(http://host:port); got {shown(text)}"
        )
    return text

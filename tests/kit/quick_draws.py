"""Hypothesis draws at once.

By itself it tries to encode each character first, and reads all modules of the library for constants
to try. That takes six seconds of the processor on a fresh clone, in each process that draws.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers
from hypothesis.internal.intervalsets import IntervalSet

SURROGATES = (0xD800, 0xDFFF)
"""The only characters that UTF-8 does not have."""
LAST = 0x10FFFF


def begin_at_once() -> None:
    """Give Hypothesis the characters of UTF-8, and the library's limits as constants, in this process."""
    first, last = SURROGATES
    utf8 = (IntervalSet([(0, first - 1), (last + 1, LAST)]), IntervalSet([]))
    of_others = charmap.intervals_from_codec
    charmap.intervals_from_codec = lambda codec: utf8 if codec == "utf-8" else of_others(codec)
    providers.is_local_module_file = is_of_limits


def is_of_limits(path: str) -> bool:
    """True for modules of the library whose constants are worth a try: what lies beside a limit."""
    return Path(path).name.startswith("limits") and "workpool_aws" in Path(path).parts

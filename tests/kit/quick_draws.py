"""Hypothesis draws text at once: by itself it tries to encode each character first.

That takes three seconds of the processor on a fresh clone, in each process that draws.
"""

from __future__ import annotations

from hypothesis.internal import charmap
from hypothesis.internal.intervalsets import IntervalSet

SURROGATES = (0xD800, 0xDFFF)
"""The only characters that UTF-8 does not have."""
LAST = 0x10FFFF


def begin_at_once() -> None:
    """Give Hypothesis the characters of UTF-8, in this process."""
    first, last = SURROGATES
    utf8 = (IntervalSet([(0, first - 1), (last + 1, LAST)]), IntervalSet([]))
    of_others = charmap.intervals_from_codec
    charmap.intervals_from_codec = lambda codec: utf8 if codec == "utf-8" else of_others(codec)

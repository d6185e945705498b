"""Hypothesis gets what it would find out by itself (`tests/kit/quick_draws.py`)."""

from __future__ import annotations

from hypothesis.internal import charmap

from tests.kit.quick_draws import LAST, SURROGATES


def test_utf8_has_all_characters_but_surrogates() -> None:
    first, last = SURROGATES
    every = "".join(map(chr, [*range(first), *range(last + 1, LAST + 1)]))

    encodable, lossy = charmap.intervals_from_codec("utf-8")

    assert every.encode("utf-8").decode("utf-8") == every
    assert encodable.intervals == ((0, first - 1), (last + 1, LAST))
    assert lossy.intervals == ()
    surrogates = "".join(map(chr, range(first, last + 1)))
    assert surrogates.encode("utf-8", "replace") == b"?" * len(surrogates)


def test_other_codecs_are_asked_of_hypothesis() -> None:
    assert charmap.intervals_from_codec("ascii")[0].intervals == ((0, 127),)

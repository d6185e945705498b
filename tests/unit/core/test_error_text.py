"""The kept text of an error can be stored, whatever its source."""

import pytest

from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text, kept_type


@pytest.mark.parametrize("kept", [kept_text, kept_type])
@pytest.mark.parametrize("text", ["", "boom", "ü\n\u2028", "\U0001f600"])
def test_text_that_fits_stays_as_it_is(kept, text):
    assert kept(text) == text


@pytest.mark.parametrize("kept", [kept_text, kept_type])
def test_half_surrogate_pair_is_spelled_by_its_code(kept):
    assert kept("a\ud800b") == "a\\ud800b"


def test_text_is_cut_only_beyond_its_bound_and_cut_is_marked():
    most = limits.ERROR_TEXT_MAX

    assert kept_text("x" * most) == "x" * most
    assert kept_text("x" * (most + 1)) == "x" * (most - 1) + "…"
    assert kept_text("\ud800" * most) == ("\\ud800" * most)[: most - 1] + "…"


def test_kept_text_is_kept_as_it_is_by_next_keeper():
    once = kept_text("x" * 9_999 + "\udfff")

    assert kept_text(once) == once


def test_names_of_types_have_bound_of_their_own():
    assert kept_type("K" * 999) == "K" * limits.ERROR_TYPE_MAX
    assert len(kept_type("\ud800" * 999)) == limits.ERROR_TYPE_MAX

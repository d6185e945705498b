"""A sealed text opens for the holder of its nonce alone, and never beyond the bound."""

from __future__ import annotations

import base64
import zlib

import pytest

from workpool_aws.adapters.sealed import _mixed, _tag, seal, unseal


def test_unseal_gives_back_text_of_exactly_bound() -> None:
    text = "x" * 1000

    assert unseal("n", seal("n", text), bytes_max=1000) == text


@pytest.mark.parametrize("bytes_max", [0, 1, 998, 999])
def test_unseal_refuses_text_above_bound(bytes_max: int) -> None:
    assert unseal("n", seal("n", "x" * 1000), bytes_max=bytes_max) is None


def test_unseal_refuses_another_nonce() -> None:
    assert unseal("m", seal("n", "text"), bytes_max=1000) is None


def test_unseal_takes_nonce_that_no_text_can_spell() -> None:
    assert unseal("\ud800", seal("n", "text"), bytes_max=1000) is None
    assert unseal("\ud800", seal("\ud800", "text"), bytes_max=1000) == "text"


@pytest.mark.parametrize("plain", [b"", b"no zlib at all", b"x\x9c\x03\x00"])
def test_unseal_refuses_what_its_holder_sealed_and_nobody_compressed(plain: bytes) -> None:
    tag = _tag("n", plain)
    sealed = base64.b85encode(tag + _mixed("n", tag, plain)).decode()

    assert unseal("n", sealed, bytes_max=1000) is None


def test_seal_is_sixteen_bytes_longer_than_its_compressed_text() -> None:
    """Loops of one version read reports of another, so the tag keeps its length."""
    text = "a report " * 20

    assert len(base64.b85decode(seal("nonce", text))) == 16 + len(zlib.compress(text.encode()))

"""Seals a text so that only who knows the start's nonce can read it, and only who knew it can have written it [WP-28].

Lambda logs the message of each exception, and a report that DynamoDB did not take can travel in
nothing else. So it is encrypted and authenticated at once, by the construction of RFC 5297 (SIV)
with primitives of the standard library: HMAC-SHA-256 over the plain text is tag and initial value,
SHAKE-256 over key and initial value is the key stream. Equal texts give equal seals, and no
randomness can go wrong. A library for this would be larger than everything else in the Lambda
function: docs/decisions/0013-reports-prove-themselves.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["seal", "unseal", "unseal_any"]

_TAG_BYTES: Final = 16


def seal(nonce: str, text: str) -> str:
    """Compress and seal a text. ASCII, shorter than most texts."""
    plain = zlib.compress(text.encode())
    tag = _tag(nonce, plain)
    return base64.b85encode(tag + _mixed(nonce, tag, plain)).decode()


def unseal(nonce: str, sealed: str, *, bytes_max: int) -> str | None:
    """Read what was sealed with this nonce.

    `None` means that nothing was, or that it is longer than `bytes_max`.
    """
    try:
        raw = base64.b85decode(sealed)
        tag = raw[:_TAG_BYTES]
        plain = _mixed(nonce, tag, raw[_TAG_BYTES:])
        if not hmac.compare_digest(tag, _tag(nonce, plain)):
            return None
        reader = zlib.decompressobj()
        whole = reader.decompress(plain, bytes_max + 1)
        return whole.decode() if len(whole) <= bytes_max and reader.eof else None
    except (ValueError, binascii.Error, zlib.error):
        return None


def unseal_any(nonce: str | None, sealed: Iterable[str], *, bytes_max: int) -> str | None:
    """Read the first of these that was sealed with this nonce.

    `None` means that there is no nonce, or as for `unseal`.
    """
    if nonce is None:
        return None
    for each in sealed:
        opened = unseal(nonce, each, bytes_max=bytes_max)
        if opened is not None:
            return opened
    return None


def _key(nonce: str, purpose: str) -> bytes:
    return hmac.digest(
        nonce.encode(errors="replace"), f"workpool report {purpose}".encode(), "sha256"
    )


def _tag(nonce: str, plain: bytes) -> bytes:
    return hmac.digest(_key(nonce, "tag"), plain, "sha256")[:_TAG_BYTES]


def _mixed(nonce: str, tag: bytes, text: bytes) -> bytes:
    """Add the key stream, or take it away."""
    stream = hashlib.shake_256(_key(nonce, "stream") + tag).digest(len(text))
    return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))

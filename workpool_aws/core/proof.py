"""Secrets by which reports prove where they come from [WP-28]: of a start its nonce, of a finished work item's callback its nonce.

| of | made by | known to | the work item holds |
|---|---|---|---|
| a start | the loop, for each start | the event that goes to its worker | a digest: who reads the table cannot report |
| a callback | whoever writes the end | the events that go to its target, each sender | the nonce itself: each sender must know it |

A nonce is not random for each write: a start write whose answer was lost is met again by the next
pass of the same holder, which must send the nonce that the stored digest is of. So the holder draws
one secret, keeps it in memory only, and derives from it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId

__all__ = ["callback_nonce", "digest_of", "start_nonce"]

_NONCE_BYTES: Final = 18
"""144 bits, 24 characters: nobody guesses it in the time that a start takes."""
_CALLBACK_NONCE_LENGTH: Final = 12
"""72 bits."""
_DIGEST_BYTES: Final = 12
"""96 bits, 16 characters: each write of a work item costs by its whole size, and finding a second
nonce takes 2^96 tries."""


def start_nonce(secret: str, table: str, pool: str, work_id: WorkId, start: int) -> str:
    """Derive the nonce of a start from its holder's secret: the same for the same start, and telling nothing of any other's."""
    named = "\n".join(("workpool start", table, pool, work_id, str(start)))
    return _text(hmac.digest(secret.encode(), named.encode(), hashlib.sha256)[:_NONCE_BYTES])


def callback_nonce(token: str) -> str:
    """Cut a random token to what a callback needs.

    It is guessed by sending tickets, one at a time, or not at all.
    """
    return token[:_CALLBACK_NONCE_LENGTH]


def digest_of(nonce: str) -> str:
    """Digest a nonce, as the work item holds it. `nonce` may be anything that somebody presents."""
    return _text(
        hashlib.sha256(f"workpool nonce\n{nonce}".encode(errors="replace")).digest()[:_DIGEST_BYTES]
    )


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode()

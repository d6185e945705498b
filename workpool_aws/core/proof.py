"""Makes the secrets by which reports prove their origin [WP-28].

| of | made by | known to | the work item holds |
|---|---|---|---|
| a start | the loop, for each start | the event of its worker | a digest: a reader of the table cannot report |
| a permit to start | the writer that makes a work item pending | the event of the next start | the permit itself, until the start is made |
| a callback | the writer of the end | the events of its target, each sender | the nonce itself: each sender must know it |

A nonce is not random for each write. A start write whose answer was lost is met again by the next
pass of the same holder, which must send the nonce of the stored digest. The holder therefore draws
one secret, keeps it in memory only, and derives its nonces from it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId

__all__ = ["callback_nonce", "digest_of", "start_nonce", "start_permit"]

_NONCE_BYTES: Final = 18
"""144 bits, 24 characters, which cannot be guessed in the time that a start takes."""
_CALLBACK_NONCE_LENGTH: Final = 12
"""72 bits."""
_PERMIT_LENGTH: Final = 12
"""72 bits. Guessing it takes one invocation per try."""
_DIGEST_BYTES: Final = 12
"""96 bits, 16 characters. Each write of a work item costs by its whole size, and finding a second
nonce takes 2^96 tries."""


def start_nonce(secret: str, table: str, pool: str, work_id: WorkId, start: int) -> str:
    """Derives the nonce of a start from its holder's secret.

    It is the same for the same start, and reveals nothing of another's.
    """
    named = "\n".join(("workpool start", table, pool, work_id, str(start)))
    return _text(hmac.digest(secret.encode(), named.encode(), hashlib.sha256)[:_NONCE_BYTES])


def callback_nonce(token: str) -> str:
    """Cuts a random token to the length of a callback's nonce.

    Guessing it takes one ticket per try.
    """
    return token[:_CALLBACK_NONCE_LENGTH]


def start_permit(token: str) -> str:
    """Cuts a random token to the length of a permit, by which a worker makes one start."""
    return token[:_PERMIT_LENGTH]


def digest_of(nonce: str) -> str:
    """Returns the digest of a nonce, as stored. `nonce` may be any presented text."""
    return _text(
        hashlib.sha256(f"workpool nonce\n{nonce}".encode(errors="replace")).digest()[:_DIGEST_BYTES]
    )


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode()

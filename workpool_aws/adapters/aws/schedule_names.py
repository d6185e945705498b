"""Names a pool's schedule and says how near it may be.

Loads no SDK: the local stand-in names schedules, too.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

__all__ = ["SCHEDULE_AHEAD_MS_MIN", "schedule_name"]

SCHEDULE_AHEAD_MS_MIN: Final = 60_000
"""AWS does not document schedules in the past; a minute keeps it in the future on
AWS's clock, too."""
_NAME_LENGTH_MAX: Final = 64
_HASH_LENGTH: Final = 20
_ALLOWED: Final = re.compile(r"[0-9A-Za-z_.-]+")
_REFUSED: Final = re.compile(r"[^0-9A-Za-z_.-]")


def schedule_name(table: str, pool: str) -> str:
    """Return the name of a pool's schedule, `table.pool` where that fits in 63 characters.

    A longer one is cut and gets a hash, 64 characters in all. No two pools share a name, since
    pools have no dot in theirs, and hashed names differ from plain ones in length.
    """
    plain = f"{table}.{pool}"
    if len(plain) < _NAME_LENGTH_MAX and _ALLOWED.fullmatch(plain):
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()[:_HASH_LENGTH]
    readable = _REFUSED.sub("-", plain)[: _NAME_LENGTH_MAX - _HASH_LENGTH - 1]
    return f"{readable:-<{_NAME_LENGTH_MAX - _HASH_LENGTH - 1}}-{digest}"

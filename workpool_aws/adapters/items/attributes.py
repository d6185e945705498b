"""Names of the attributes by which the table itself finds and removes items."""

from __future__ import annotations

from typing import Final

__all__ = ["DEAD_INDEX", "DEAD_KEY", "PARTITION_KEY", "SORT_KEY", "TTL_ATTRIBUTE"]

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"
TTL_ATTRIBUTE: Final = "expires_at"
DEAD_INDEX: Final = "dead_letters"
"""The one index. Its keys are `pk` and `DEAD_KEY`, so that only items which have the latter are in
it: dead letters."""
DEAD_KEY: Final = "dead"

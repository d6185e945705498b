"""Owns what every event that the library reports has: the pool, a name and a level."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Fact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened in a pool."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "fact"
    asked_for: ClassVar[bool] = False
    """Told because somebody asked for it: logged whatever the least level is."""
    pool: str

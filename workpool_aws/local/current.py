"""Finds the `LocalCloud` that the running code is in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.local.cloud import LocalCloud

__all__ = ["CURRENT", "current_cloud"]

CURRENT: Final[ContextVar[LocalCloud | None]] = ContextVar("workpool_local_cloud", default=None)
"""Set by `LocalCloud` while it is entered."""


def current_cloud() -> LocalCloud | None:
    """Return the innermost `LocalCloud` that this context is in. `None` means that it is in none."""
    return CURRENT.get()

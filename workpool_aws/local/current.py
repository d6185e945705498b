"""Finds the `LocalCloud` that the running code is in."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workpool_aws.local.cloud import LocalCloud

__all__ = ["current_cloud", "entered"]

_ENTERED: Final[ContextVar[tuple[LocalCloud, ...]]] = ContextVar(
    "workpool_local_clouds", default=()
)


def current_cloud() -> LocalCloud | None:
    """Return the innermost `LocalCloud` that this context is in. `None` means that it is in none."""
    clouds = _ENTERED.get()
    return clouds[-1] if clouds else None


@contextmanager
def entered(cloud: LocalCloud) -> Iterator[None]:
    """Inside, this cloud is the current one. Clouds may be left in any order."""
    _ENTERED.set((*_ENTERED.get(), cloud))
    try:
        yield
    finally:
        _ENTERED.set(tuple(each for each in _ENTERED.get() if each is not cloud))

"""Remembers the options of pools that the program made.

Workers of other pools that meet work items of such a pool use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from workpool_aws.api.pool_options import PoolOptions
    from workpool_aws.ports import Store

__all__ = ["MadePools"]


@dataclass(frozen=True, slots=True)
class _Made:
    """A pool that the program made."""

    pool: ReferenceType[object]
    options: PoolOptions
    store: Store | None
    """Store of a pool with ports of its own, whose options do not hold for a table of that name in
    another cloud."""


class MadePools:
    """Remembers the pools of this program by table and name, the newest last. An entry goes with its pool."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[_Made, ...]] = {}

    def add(self, pool: object, options: PoolOptions, store: Store | None) -> None:
        """Remember a pool as long as it lives."""
        key = (options.table, options.name)
        made = _Made(ref(pool, lambda _: self.drop(key, None)), options, store)
        self._made[key] = (*self._made.get(key, ()), made)

    def drop(self, key: tuple[str, str], pool: object) -> None:
        """Forget this pool, and every pool of that name that no longer exists.

        A pool of `None` forgets the latter alone.
        """
        left = tuple(each for each in self._made.get(key, ()) if each.pool() not in {None, pool})
        if left:
            self._made[key] = left
        else:
            self._made.pop(key, None)

    def options_of(self, table: str, name: str, store: Store) -> PoolOptions | None:
        """Return the options of the newest pool of that name, in this store.

        `None` means that the program made none.
        """
        made = [
            each
            for each in self._made.get((table, name), ())
            if each.store is None or each.store is store
        ]
        return made[-1].options if made else None

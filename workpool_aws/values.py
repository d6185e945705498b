"""Frozen dataclasses whose values are made in a fraction of the time.

Python makes a frozen value through `object.__setattr__`, once for each field, which takes several
times as long as a plain assignment. A pass of the loop makes some sixty values with four hundred
fields. So records and decisions are frozen for the type checker alone: it refuses every assignment
to a field, and no code runs at each of them. The public types are frozen by Python itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:
    import dataclasses

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, eq: bool = True, **options: bool
    ) -> type | Callable[[type], type]:
        """Returns what `dataclasses.dataclass` does, with equality and hash of a frozen one."""

        def made(cls: type) -> type:
            return dataclasses.dataclass(cls, eq=eq, unsafe_hash=frozen and eq, **options)

        return made if cls is None else made(cls)

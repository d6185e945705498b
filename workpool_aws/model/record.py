"""The base of everything that is stored as one item."""

from __future__ import annotations

__all__ = ["Record"]


class Record:
    """A value that is stored as one item.

    Each kind has a `Ref` in `model/refs.py` and a row in `adapters/items/records.py`.
    """

    __slots__ = ()

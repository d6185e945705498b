"""The bases of everything that is stored as one item, and of its name."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

__all__ = ["Record", "Ref"]


class Record:
    """A value that is stored as one item.

    Each kind has a `Ref` in `model/refs.py` and a row in `adapters/items/records.py`.
    """

    __slots__ = ()


R_co = TypeVar("R_co", bound=Record, covariant=True)


class Ref(Generic[R_co]):
    """The name of one record of type `R_co`.

    Its fields are fields of the record, and make up its key.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()
    """The names of its fields, in order: a dataclass gives itself this."""

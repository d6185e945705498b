"""Frozen dataclasses whose values are made and copied in a fraction of the time.

Python makes a frozen value through `object.__setattr__`, once for each field, which takes several
times as long as a plain assignment. A pass of the loop makes some sixty values with four hundred
fields. So records and decisions are frozen for the type checker alone: it refuses every assignment
to a field, and no code runs at each of them. The public types are frozen by Python itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, replace
else:
    import dataclasses
    from functools import cache
    from operator import attrgetter
    from types import FunctionType

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, eq: bool = True, **options: bool
    ) -> type | Callable[[type], type]:
        """Returns what `dataclasses.dataclass` does, with equality and hash of a frozen one."""

        def made(cls: type) -> type:
            return dataclasses.dataclass(cls, eq=eq, unsafe_hash=frozen and eq, **options)

        return made if cls is None else made(cls)

    def replace(value: object, /, **changes: object) -> object:
        """Returns what `dataclasses.replace` does, several times as fast for a value made here.

        Raises AttributeError for a field that such a value does not have.
        """
        kind = value.__class__
        copier = _copier(kind)
        if copier is None:
            return dataclasses.replace(value, **changes)
        fill, fields_of = copier
        copy = object.__new__(kind)
        fill(copy, *fields_of(value))
        for name, changed in changes.items():
            setattr(copy, name, changed)
        return copy

    @cache
    def _copier(kind: type) -> tuple[Callable[..., None], Callable[[object], tuple]] | None:
        """Returns a kind's `__init__`, by position alone, and what reads its arguments from a value.

        `None` means that Python must make the copy: nothing else may write to one, or there is more
        to it than its fields.
        """
        init, fields = kind.__init__, {field.name for field in dataclasses.fields(kind)}
        count = init.__code__.co_argcount + init.__code__.co_kwonlyargcount
        names = init.__code__.co_varnames[1:count]
        made = init.__code__.co_filename == "<string>"  # by Python's dataclasses
        plain = made and "__slots__" in kind.__dict__ and not hasattr(kind, "__post_init__")
        if kind.__dataclass_params__.frozen or not plain or fields != set(names) or not names[1:]:
            return None  # (the reader of a single field returns no tuple)
        code = init.__code__.replace(co_argcount=count, co_kwonlyargcount=0)
        fill = FunctionType(code, init.__globals__, closure=init.__closure__)
        return fill, attrgetter(*names)

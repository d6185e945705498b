"""A mutant: a named guard of the library, and the edit of one function's source that removes it.

The product has no switch for it. While a mutant is applied, functions carry the code of their
edited source, wherever they are imported by name; afterwards they are as they were. A guard is
named by its syntax (`syntax.py`). One that does not stand in its function exactly once is an error,
so the list cannot outlive the code.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from types import CodeType, FunctionType
from typing import Final, Literal

from tests.simulation.conditions import leaving_out, weakened
from tests.simulation.syntax import replaced

__all__ = ["Edit", "Mutant", "World", "applied", "edit", "mutated_code", "one_edit"]

_PACKAGE: Final = "workpool_aws."

World = Literal["pools", "keys", "bank"]
"""Kinds of simulated runs."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one function.

    `where`: "flow.loop.session:Hold.commit"; `changes`: code of it, and what stands there instead.
    """

    where: str
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A guard removed.

    How it is noticed stands beside it: by seeds, or by the tests named in `cases`.
    """

    name: str
    rule: str
    """The promise that the guard is there for."""
    edits: tuple[Edit, ...] = ()
    drops: tuple[str, str] | None = None
    """The part of a write's condition that is left out: (step, part), as `conditions` names them."""
    cases: tuple[str, ...] = ()
    """Tests that fail without the guard: ids for pytest. Empty: seeds must notice."""
    quick: bool = False
    """Noticed within a few dozen seeds: `make sim` runs it each time."""
    by_seeds: bool = False
    """Noticed by seeds, but only by some of many hundreds: `make sim-long` hunts it."""
    world: World = "pools"
    """The runs that are to notice: those of `scenario.py`, those of them that have keys, or those of
    `bank.py`."""


_WEAKENED: Final = Edit(
    "adapters.memory.store:MemoryStore._worked_out",
    (
        (
            "write.condition",
            f'__import__("{weakened.__module__}", fromlist=["weakened"]).weakened(write)',
        ),
    ),
)


def edit(where: str, old: str, new: str) -> Edit:
    """The edit of one place."""
    return Edit(where, ((old, new),))


def one_edit(name: str, rule: str, where: str, old: str, new: str) -> Mutant:
    """The mutant of one place."""
    return Mutant(name=name, rule=rule, edits=(edit(where, old, new),))


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Inside, the library lacks this guard. Nothing else may run at that time that needs it."""
    with ExitStack() as undo:
        edits = mutant.edits
        if mutant.drops is not None:
            undo.enter_context(leaving_out(*mutant.drops))
            edits = (*edits, _WEAKENED)
        for each in edits:
            function = _function(each.where)
            undo.callback(setattr, function, "__code__", function.__code__)
            function.__code__ = mutated_code(each)
        yield


def mutated_code(each: Edit) -> CodeType:
    """The code of the edited function.

    Raises LookupError: a guard does not stand in it exactly once.
    """
    function = _function(each.where)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    try:
        for old, new in each.changes:
            tree = replaced(tree, old, new)
    except LookupError as error:
        raise LookupError(f"{each.where}: {error}") from None
    namespace = dict(function.__globals__)
    flags = __future__.annotations.compiler_flag
    code = compile(tree, inspect.getfile(function), "exec", flags=flags, dont_inherit=True)
    exec(code, namespace)  # noqa: S102 - the project's own source
    edited = namespace[function.__name__]
    assert isinstance(edited, FunctionType)
    return edited.__code__


def _function(where: str) -> FunctionType:
    module, _, path = where.partition(":")
    found: Callable[..., object] = reduce(
        getattr, path.split("."), importlib.import_module(_PACKAGE + module)
    )
    assert isinstance(found, FunctionType), where
    return found

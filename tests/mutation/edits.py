"""Lists the edits of a module: each changes one node of its syntax tree, as a slip of the author would.

An edit has an address that outlives a move of its lines: the module, the qualified name of the
function, the operator, and the code of the node before and after. Left alone are what only people
read (messages, help texts, docstrings), annotations, decorators, `__all__`, and what a type checker
proves unreachable (`assert_never`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Final

from tests.mutation.operators import REPLACEMENTS, Role, is_assertion

__all__ = ["Edit", "edited", "edits_of"]

_SHOWN_MAX: Final = 110
_TEXT_FIELDS: Final = frozenset(
    {"annotation", "returns", "decorator_list", "type_comment", "type_params", "format_spec"}
)
_UNREACHABLE: Final = frozenset({"assert_never", "cast", "TypeVar"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one node."""

    module: str
    """As its file is named: "core/views/listing.py"."""
    where: str
    """The qualified name of the function or class, or "" at the top of the module."""
    operator: str
    before: str
    after: str
    number: int
    """The place among the edits of the same function that read alike, from 1."""
    line: int
    lines: tuple[int, int] | None
    """The lines that a test must run to notice; `None` means any line of the module."""

    @property
    def key(self) -> str:
        """The address of the edit, on one line."""
        number = f" #{self.number}" if self.number > 1 else ""
        return f"{self.module}:{self.where}  {self.operator}  {self.before} → {self.after}{number}"

    def __str__(self) -> str:
        return f"{self.module}:{self.line}  {self.operator}  {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, the field of its owner that it stands in, and what surrounds it."""

    owner: ast.AST
    field: str
    at: int | None
    role: Role
    where: str
    lines: tuple[int, int] | None

    @property
    def node(self) -> ast.AST:
        value = getattr(self.owner, self.field)
        found = value if self.at is None else value[self.at]
        assert isinstance(found, ast.AST)
        return found

    def put(self, node: ast.AST) -> None:
        if self.at is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.at] = node


@dataclass(frozen=True, slots=True)
class _Change:
    place: _Place
    operator: str
    new: ast.AST


def edits_of(module: str, source: str) -> list[Edit]:
    """Every edit of the module, in the order of the source."""
    seen: dict[tuple[str, str, str, str], int] = {}
    found = []
    for change in _changes(ast.parse(source)):
        before, after = _shown(change.place.node), _shown(change.new)
        address = (change.place.where, change.operator, before, after)
        seen[address] = seen.get(address, 0) + 1
        found.append(
            Edit(
                module=module,
                where=change.place.where,
                operator=change.operator,
                before=before,
                after=after,
                number=seen[address],
                line=getattr(change.place.node, "lineno", 1),
                lines=change.place.lines,
            )
        )
    return found


def edited(source: str, index: int) -> ast.Module:
    """The tree of the module with one edit made: that of this index in `edits_of`.

    Positions stay those of the source.
    """
    tree = ast.parse(source)
    change = list(_changes(tree))[index]
    old = change.place.node
    change.place.put(ast.copy_location(change.new, old) if hasattr(old, "lineno") else change.new)
    return ast.fix_missing_locations(tree)


def _changes(tree: ast.Module) -> list[_Change]:
    found = []
    for place in _places(tree, "", None, function=None):
        for operator, new in REPLACEMENTS.get(type(place.node), lambda _node, _role: iter(()))(
            place.node, place.role
        ):
            found.append(_Change(place, operator, new))
        found += [_Change(place, "condition", new) for new in _negated(place)]
    return [each for each in found if ast.dump(each.new) != ast.dump(each.place.node)]


def _negated(place: _Place) -> Iterator[ast.expr]:
    node = place.node
    if (
        place.role == "test"
        and isinstance(node, ast.expr)
        and not isinstance(node, ast.Compare | ast.UnaryOp | ast.Constant)
    ):
        yield ast.UnaryOp(ast.Not(), copy(node))


def _places(
    owner: ast.AST, where: str, lines: tuple[int, int] | None, *, function: ast.AST | None
) -> Iterator[_Place]:
    for field, value in ast.iter_fields(owner):
        if field in _TEXT_FIELDS or (field == "bases" and isinstance(owner, ast.ClassDef)):
            continue
        for at, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not _is_left_alone(node):
                inside = _lines_of(node, owner, lines, function)
                yield _Place(owner, field, at, _role(owner, field, at), where, inside)
                named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                inner = f"{where}.{node.name}".lstrip(".") if named else where
                made = (
                    node
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                    else function
                )
                yield from _places(node, inner, inside, function=made)


def _lines_of(
    node: ast.AST, owner: ast.AST, around: tuple[int, int] | None, function: ast.AST | None
) -> tuple[int, int] | None:
    """The lines at which the node runs: those of its statement; for a default, the body of its function."""
    if isinstance(owner, ast.arguments):
        return around
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return (node.body[0].lineno, node.end_lineno or node.lineno)
    if function is None or isinstance(node, ast.ClassDef):
        return None
    if isinstance(node, ast.stmt) or (
        isinstance(owner, ast.stmt) and hasattr(owner, "body") and isinstance(node, ast.expr)
    ):
        return (node.lineno, node.end_lineno or node.lineno)
    if isinstance(node, ast.ExceptHandler):
        return (node.lineno, node.lineno)
    return around


def _role(owner: ast.AST, field: str, at: int | None) -> Role:
    if isinstance(owner, ast.If | ast.IfExp | ast.While) and field == "test":
        return "test"
    if isinstance(owner, ast.comprehension) and field == "ifs":
        return "test"
    if isinstance(owner, ast.arguments):
        return "default"
    if isinstance(owner, ast.Dict) and field == "keys":
        return "key"
    if isinstance(owner, ast.Subscript) and field == "slice":
        return "key"
    if isinstance(owner, ast.Call) and field == "args" and isinstance(owner.func, ast.Attribute):
        return "key" if at == 0 and owner.func.attr in {"get", "pop"} else "other"
    if isinstance(owner, ast.Compare | ast.MatchValue) or (
        isinstance(owner, ast.Set) and field == "elts"
    ):
        return "compared"
    return "other"


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.expr_context():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case (
            ast.Assign(targets=[ast.Name(id="__all__")])
            | ast.Subscript(value=ast.Name(id="Literal"))
        ):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) | ast.Call(func=ast.Name(id=name)):
            return name in _UNREACHABLE
        case _:
            return is_assertion(node)


def _shown(node: ast.AST) -> str:
    lines = ast.unparse(ast.fix_missing_locations(copy(node))).strip().splitlines()
    text = " ".join(line.strip() for line in lines) if len(lines) <= 3 else f"{lines[0]} …"
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"

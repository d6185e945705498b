"""Finds a guard in a function by its syntax, and puts something else in its place.

A guard is written as the code that it is, so neither line breaks nor spaces nor comments matter:

| written | finds |
|---|---|
| an expression | that expression; of `a and b and c` also `a and b` or `b and c` |
| statements | these statements, one after the other |
| `name=value` | an argument given by name, else an assignment |
| `"key": value` | an entry of a dict |
| `if test:`, `if test` | a condition: of a statement, an expression or a comprehension |
| `and operand`, `or operand`, `operand and`, `operand or` | an operand of a longer test |

Nothing in its place: the guard goes. An operand goes from its test, an entry from its dict, an
argument from its call, a condition of a comprehension from it; statements leave `pass`. `test if
... else ...` of which only the other half shall stay is written whole.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

__all__ = ["replaced"]

N = TypeVar("N", bound=ast.AST)

_OPERATORS: Final[dict[str, type[ast.boolop]]] = {"and": ast.And, "or": ast.Or}
_OPERAND: Final = re.compile(
    r"(?P<lead>and|or)\s+(?P<after>.+)|(?P<before>.+)\s+(?P<trail>and|or)", re.DOTALL
)
_CONDITION: Final = re.compile(r"if\s+(?P<test>.+?):?", re.DOTALL)
_ENTRY: Final = re.compile(r'"\w+"\s*:.+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Place:
    """One element of a list that a node has, or a run of them; or the one node that a field has (`stop` None)."""

    owner: ast.AST
    field: str
    start: int = 0
    stop: int | None = None

    def put(self, nodes: list[ast.AST]) -> None:
        if self.stop is None:
            (node,) = nodes
            setattr(self.owner, self.field, node)
            return
        getattr(self.owner, self.field)[self.start : self.stop] = nodes
        if isinstance(self.owner, ast.Dict) and not nodes:
            del self.owner.keys[self.start : self.stop]


def replaced(tree: N, old: str, new: str) -> N:
    """The tree with the new code in place of the old, changed in place.

    Raises:
        LookupError: the old code does not stand there exactly once, or one of the two is no code.
    """
    places = list(_places(tree, old))
    if len(places) != 1:
        raise LookupError(f"{old!r} stands there {len(places)} times")
    places[0].put(_nodes_for(places[0], new))
    _tidy(tree)
    return ast.fix_missing_locations(tree)


def _places(tree: ast.AST, old: str) -> Iterator[_Place]:
    code = textwrap.dedent(old).strip()
    if (operand := _OPERAND.fullmatch(code)) is not None and not _is_code(code):
        operator = _OPERATORS[operand["lead"] or operand["trail"]]
        yield from _operands(tree, operator, _expression(operand["after"] or operand["before"]))
    elif (condition := _CONDITION.fullmatch(code)) is not None and not _is_code(code):
        yield from _conditions(tree, _expression(condition["test"]))
    elif _ENTRY.fullmatch(code):
        yield from _entries(tree, code)
    elif isinstance(statement := _statements(code)[0], ast.Expr) and len(_statements(code)) == 1:
        yield from _expressions(tree, statement.value)
    else:
        yield from _arguments(tree, statement) or _runs(tree, _statements(code))


def _is_code(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def _expression(code: str) -> ast.expr:
    try:
        return ast.parse(f"({code.strip()})", mode="eval").body
    except SyntaxError as error:
        raise LookupError(f"{code!r} is no expression") from error


def _statements(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(code).body
    except SyntaxError as error:
        raise LookupError(f"{code!r} is no code: see {__name__}") from error


def _same(one: ast.AST, other: ast.AST) -> bool:
    return type(one) is type(other) and ast.dump(one) == ast.dump(other)


def _fields(tree: ast.AST) -> Iterator[_Place]:
    """Every place in which a node stands."""
    for owner in ast.walk(tree):
        for field, value in ast.iter_fields(owner):
            if isinstance(value, ast.AST):
                yield _Place(owner, field)
            elif isinstance(value, list):
                yield from (
                    _Place(owner, field, at, at + 1)
                    for at, each in enumerate(value)
                    if isinstance(each, ast.AST)
                )


def _node_at(place: _Place) -> ast.AST:
    value = getattr(place.owner, place.field)
    found = value if place.stop is None else value[place.start]
    assert isinstance(found, ast.AST)
    return found


def _expressions(tree: ast.AST, wanted: ast.expr) -> Iterator[_Place]:
    yield from _runs(tree, [ast.Expr(wanted)])
    for place in _fields(tree):
        if not isinstance(place.owner, ast.Expr) and _same(_node_at(place), wanted):
            yield place
    if isinstance(wanted, ast.BoolOp):
        for owner in ast.walk(tree):
            if (
                isinstance(owner, ast.BoolOp)
                and isinstance(owner.op, type(wanted.op))
                and len(owner.values) > len(wanted.values)
            ):
                yield from _runs_in(owner, "values", wanted.values)


def _operands(tree: ast.AST, operator: type[ast.boolop], wanted: ast.expr) -> Iterator[_Place]:
    for owner in ast.walk(tree):
        if isinstance(owner, ast.BoolOp) and isinstance(owner.op, operator):
            many = (
                wanted.values
                if isinstance(wanted, ast.BoolOp) and isinstance(wanted.op, operator)
                else [wanted]
            )
            yield from _runs_in(owner, "values", many)


def _conditions(tree: ast.AST, wanted: ast.expr) -> Iterator[_Place]:
    for place in _fields(tree):
        tests = isinstance(place.owner, ast.If | ast.IfExp | ast.While) and place.field == "test"
        filters = isinstance(place.owner, ast.comprehension) and place.field == "ifs"
        if (tests or filters) and _same(_node_at(place), wanted):
            yield place


def _entries(tree: ast.AST, code: str) -> Iterator[_Place]:
    wanted = _expression("{" + code + "}")
    assert isinstance(wanted, ast.Dict)
    for owner in ast.walk(tree):
        if isinstance(owner, ast.Dict):
            for at, (key, value) in enumerate(zip(owner.keys, owner.values, strict=True)):
                if (
                    key is not None
                    and wanted.keys[0] is not None
                    and _same(key, wanted.keys[0])
                    and _same(value, wanted.values[0])
                ):
                    yield _Place(owner, "values", at, at + 1)


def _arguments(tree: ast.AST, statement: ast.stmt) -> list[_Place]:
    if not (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        return []
    wanted = ast.keyword(arg=statement.targets[0].id, value=statement.value)
    return [
        place
        for place in _fields(tree)
        if isinstance(place.owner, ast.Call) and _same(_node_at(place), wanted)
    ]


def _runs(tree: ast.AST, wanted: list[ast.stmt]) -> Iterator[_Place]:
    for owner in ast.walk(tree):
        for field, value in ast.iter_fields(owner):
            if isinstance(value, list):
                yield from _runs_in(owner, field, wanted)


def _runs_in(
    owner: ast.AST, field: str, wanted: list[ast.expr] | list[ast.stmt]
) -> Iterator[_Place]:
    nodes = getattr(owner, field)
    for start in range(len(nodes) - len(wanted) + 1):
        if all(
            isinstance(each, ast.AST) and _same(each, other)
            for each, other in zip(nodes[start:], wanted, strict=False)
        ):
            yield _Place(owner, field, start, start + len(wanted))


def _nodes_for(place: _Place, new: str) -> list[ast.AST]:
    code = textwrap.dedent(new).strip()
    old = _node_at(place)
    if not code:
        return []
    if isinstance(old, ast.stmt):
        return list(_statements(code))
    if isinstance(old, ast.keyword):
        (assignment,) = _statements(code)
        assert isinstance(assignment, ast.Assign)
        assert isinstance(assignment.targets[0], ast.Name)
        return [ast.keyword(arg=assignment.targets[0].id, value=assignment.value)]
    if isinstance(place.owner, ast.Dict) and _ENTRY.fullmatch(code):
        entry = _expression("{" + code + "}")
        assert isinstance(entry, ast.Dict)
        return [entry.values[0]]
    if (condition := _CONDITION.fullmatch(code)) is not None and not _is_code(code):
        return [_expression(condition["test"])]
    if (operand := _OPERAND.fullmatch(code)) is not None and not _is_code(code):
        return [_expression(operand["after"] or operand["before"])]
    return [_expression(code)]


def _tidy(tree: ast.AST) -> None:
    """Repairs the rest of a removal: a test of one operand is that operand, and no block is empty."""
    for place in list(_fields(tree)):
        node = _node_at(place)
        if isinstance(node, ast.BoolOp) and len(node.values) == 1:
            place.put([node.values[0]])
    for node in ast.walk(tree):
        if hasattr(node, "body") and node.body == []:
            node.body.append(ast.Pass())

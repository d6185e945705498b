"""The operators: for each type of node, the slips that an author could make there."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Final, Literal, TypeVar

__all__ = ["REPLACEMENTS", "Replacements", "Role", "is_assertion"]

N = TypeVar("N", bound=ast.AST)

Role = Literal["test", "default", "key", "compared", "other"]
"""The part that a node plays for the one that holds it."""
Replacements = Iterator[tuple[str, ast.AST]]
"""The name of an operator, and the node that takes the place of the old one."""

_COMPARISONS: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_UNORDERED: Final = frozenset(
    {"isinstance", "issubclass", "getattr", "setattr", "min", "max", "zip"}
)
"""Calls whose arguments are not swapped: the order has no meaning, or the slip ends the test run at
import."""
_READ_BY_PEOPLE: Final = frozenset({"help", "metavar", "description", "epilog"})


def _compare(node: ast.Compare, _role: Role) -> Replacements:
    for at, old in enumerate(node.ops):
        for new in _COMPARISONS[type(old)]:
            yield "comparison", _with(node, ops=[*node.ops[:at], new(), *node.ops[at + 1 :]])
        swapped = _identity(node, at)
        if swapped is not None:
            yield "identity", _with(node, ops=[*node.ops[:at], swapped, *node.ops[at + 1 :]])


def _identity(node: ast.Compare, at: int) -> ast.cmpop | None:
    """`is` for `==` between what is no literal: what Python itself would warn of is no slip that lasts."""
    sides = [node.left, *node.comparators][at : at + 2]
    if any(isinstance(side, ast.Constant) for side in sides):
        return None
    return ast.Is() if isinstance(node.ops[at], ast.Eq) else None


def _bool_op(node: ast.BoolOp, _role: Role) -> Replacements:
    yield "and/or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for at in range(len(node.values)):
        rest = [*node.values[:at], *node.values[at + 1 :]]
        yield "operand dropped", rest[0] if len(rest) == 1 else _with(node, values=rest)


def _unary(node: ast.UnaryOp, _role: Role) -> Replacements:
    if isinstance(node.op, ast.Not):
        yield "not dropped", node.operand
    elif isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "sign", node.operand


def _binary(node: ast.BinOp, _role: Role) -> Replacements:
    if (new := _ARITHMETIC.get(type(node.op))) is not None:
        yield "arithmetic", _with(node, op=new())


def _augmented(node: ast.AugAssign, _role: Role) -> Replacements:
    if (new := _ARITHMETIC.get(type(node.op))) is not None:
        yield "arithmetic", _with(node, op=new())
    yield "statement dropped", ast.Pass()


def _constant(node: ast.Constant, role: Role) -> Replacements:
    match node.value:
        case bool(value):
            yield "flag", ast.Constant(not value)
        case int(value) | float(value):
            yield "number", ast.Constant(value + 1)
            if value > 0:
                yield "number", ast.Constant(value - 1)
        case str(value) if role in {"key", "compared", "default"}:
            yield "key", ast.Constant(f"{value}_")
        case _:
            return


def _slice(node: ast.Slice, _role: Role) -> Replacements:
    if node.lower is not None:
        yield "slice", _with(node, lower=None)
    if node.upper is not None:
        yield "slice", _with(node, upper=None)


def _call(node: ast.Call, _role: Role) -> Replacements:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in _OPPOSITES:
        yield "opposite", _with(node, func=ast.Name(_OPPOSITES[name], ast.Load()))
    if name == "suppress":
        yield "exception type", _with(node, args=[])
    elif (
        len(node.args) > 1
        and name not in _UNORDERED
        and not any(isinstance(each, ast.Starred) for each in node.args[:2])
    ):
        yield "arguments swapped", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    for at, each in enumerate(node.keywords):
        if each.arg is not None and each.arg not in _READ_BY_PEOPLE and not is_assertion(each):
            yield (
                "argument dropped",
                _with(node, keywords=[*node.keywords[:at], *node.keywords[at + 1 :]]),
            )


def is_assertion(node: ast.AST) -> bool:
    """True for the `strict` of `zip`: like an assert, it changes nothing while it holds."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _dict(node: ast.Dict, _role: Role) -> Replacements:
    for at in range(len(node.keys)):
        keys, values = [*node.keys], [*node.values]
        del keys[at], values[at]
        yield "entry dropped", _with(node, keys=keys, values=values)


def _elements(node: ast.Set | ast.List, _role: Role) -> Replacements:
    if len(node.elts) > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
        for at in range(len(node.elts)):
            yield "entry dropped", _with(node, elts=[*node.elts[:at], *node.elts[at + 1 :]])


def _statement(node: ast.Expr, _role: Role) -> Replacements:
    if isinstance(node.value, ast.Call | ast.Await):
        yield "statement dropped", ast.Pass()


def _raise(_node: ast.Raise, _role: Role) -> Replacements:
    yield "raise dropped", ast.Pass()


def _return(node: ast.Return, _role: Role) -> Replacements:
    if node.value is not None and not (
        isinstance(node.value, ast.Constant)
        and (node.value.value is None or isinstance(node.value.value, bool))
    ):
        yield "value dropped", ast.Return(ast.Constant(None))


def _break(_node: ast.Break, _role: Role) -> Replacements:
    yield "break/continue", ast.Continue()


def _continue(_node: ast.Continue, _role: Role) -> Replacements:
    yield "break/continue", ast.Break()


def _handler(node: ast.ExceptHandler, _role: Role) -> Replacements:
    if isinstance(node.type, ast.Tuple):
        for at in range(len(node.type.elts)):
            rest = [*node.type.elts[:at], *node.type.elts[at + 1 :]]
            yield "exception type", _with(node, type=ast.Tuple(rest, ast.Load()))
    else:
        yield "exception type", _with(node, type=ast.Tuple([], ast.Load()))


def _with(node: N, **fields: object) -> N:
    new = copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


REPLACEMENTS: Final[Mapping[type[ast.AST], Callable[..., Replacements]]] = {
    ast.AugAssign: _augmented,
    ast.BinOp: _binary,
    ast.BoolOp: _bool_op,
    ast.Break: _break,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.Constant: _constant,
    ast.Continue: _continue,
    ast.Dict: _dict,
    ast.ExceptHandler: _handler,
    ast.Expr: _statement,
    ast.List: _elements,
    ast.Raise: _raise,
    ast.Return: _return,
    ast.Set: _elements,
    ast.Slice: _slice,
    ast.UnaryOp: _unary,
}

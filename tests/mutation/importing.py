"""Puts edited code where a module's own would be: by an import hook, or into the functions that are there already."""

from __future__ import annotations
import __future__

import ast
import gc
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.mutation.coverage_map import PACKAGE
from tests.mutation.edits import edited

__all__ = ["code_of", "dotted", "functions_in", "hand_out", "rebound", "replaced"]


class _EditedLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        assert fullname == self.name
        return self._code


class _EditedFinder:
    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        loader: Loader = _EditedLoader(name, spec.origin, self._code)
        spec.loader = loader
        return spec


def hand_out(module: str, code: CodeType) -> None:
    """Have the next import of the module run this code."""
    sys.meta_path.insert(0, _EditedFinder(dotted(module), code))


def code_of(path: Path, index: int | None) -> CodeType:
    """The code of the module with one edit made; `None` means without any."""
    source = path.read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        what = source if index is None else edited(source, index)
        return compile(what, str(path), "exec", dont_inherit=True)


def dotted(module: str) -> str:
    """The name by which the module is imported."""
    return ".".join((PACKAGE, *Path(module).with_suffix("").parts)).removesuffix(".__init__")


def functions_in(folder: Path) -> Mapping[str, Sequence[FunctionType]]:
    """Every function that there is of the folder's modules, by the path of its module."""
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            path = each.__code__.co_filename
            if path.startswith(f"{folder}/"):
                found[path].append(each)
    return found


def replaced(functions: Sequence[FunctionType], old: CodeType, new: CodeType) -> bool:
    """Give the functions of a module its new code.

    False if that is not enough, since the edit acts when the module is loaded. Some functions may
    have the new code even so.
    """
    news = _by_place(new)
    taken = set()
    for function in functions:
        place = _place(function.__code__)
        if place in news and news[place] != function.__code__:
            try:
                function.__code__ = news[place]
            except ValueError:  # it closes over other names
                return False
            taken.add(place)
    return all(taken & chain for chain in _changed(old, new, frozenset()))


def rebound(module: ModuleType, source: str, index: int) -> bool:
    """Give a constant at the top of a module its edited value, in each module that imported it.

    False if the edit is not of such a constant. Values that were computed from it stay as they
    are, so a test that passes may fail where the module is loaded anew.
    """
    tree = edited(source, index)
    changed = [
        new
        for old, new in zip(ast.parse(source).body, tree.body, strict=True)
        if ast.dump(old) != ast.dump(new)
    ]
    match changed:
        case [ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))]:
            before = vars(module)[name]
            scope = dict(vars(module))
            lazy = __future__.annotations.compiler_flag
            code = compile(ast.Module(changed, []), module.__name__, "exec", lazy, True)
            exec(code, scope)  # noqa: S102 - this is the edited module's own code
        case _:
            return False
    for each in list(sys.modules.values()):
        names = getattr(each, "__dict__", {})
        if names.get(name) is before:
            names[name] = scope[name]
    return True


_Place = tuple[str, int]


def _place(code: CodeType) -> _Place:
    return code.co_qualname, code.co_firstlineno


def _by_place(code: CodeType) -> dict[_Place, CodeType]:
    """The codes of a module, without two lambdas of one line that cannot be kept apart."""
    found: dict[_Place, list[CodeType]] = defaultdict(list)
    waiting = [code]
    while waiting:
        each = waiting.pop()
        found[_place(each)].append(each)
        waiting += _inner(each)
    return {place: codes[0] for place, codes in found.items() if len(codes) == 1}


def _changed(
    old: CodeType, new: CodeType, around: frozenset[_Place]
) -> Iterator[frozenset[_Place]]:
    """Of each code that is not what it was, the places of itself and of those around it."""
    chain = around | {_place(new)}
    olds, news = _inner(old), _inner(new)
    if len(olds) != len(news) or _alone(old) != _alone(new):
        yield chain
        return
    for was, becomes in zip(olds, news, strict=True):
        yield from _changed(was, becomes, chain)


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _alone(code: CodeType) -> CodeType:
    """The code without those that it holds."""
    return code.replace(
        co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts)
    )

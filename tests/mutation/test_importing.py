"""Edited code in functions that are there already, and modules that have to be loaded again."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from tests.mutation.edits import edits_of
from tests.mutation.importing import code_of, functions_in, rebound, replaced

pytestmark = pytest.mark.form

SOURCE = """
    from contextlib import contextmanager
    from functools import cached_property, wraps

    def logged(function):
        @wraps(function)
        def inner(*args):
            return [function(*args), 10]
        return inner

    class Shape:
        sides = 20

        @property
        def area(self):
            return 30

        @cached_property
        def width(self):
            return 40

        @staticmethod
        def of(n=50):
            return n

    @logged
    def doubled(n):
        return n * 60

    @contextmanager
    def opened():
        yield 70

    def pairs():
        return sorted([3, 4], key=lambda n: n * 80)

    FIRST, SECOND = (lambda n: n + 90), (lambda n: n + 100)
    THIRD = lambda n: n + 110
    TOP = 120
"""


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "shapes.py"
    path.write_text(dedent(SOURCE), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("shapes", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def index_of(module: ModuleType, number: int) -> int:
    """The index of the edit that makes a constant one larger."""
    edits = edits_of("shapes.py", Path(str(module.__file__)).read_text(encoding="utf-8"))
    (index,) = (at for at, each in enumerate(edits) if each.after == str(number + 1))
    return index


def edit(module: ModuleType, number: int) -> bool:
    path, index = Path(str(module.__file__)), index_of(module, number)
    functions = functions_in(path.parent)[str(path)]
    return replaced(functions, code_of(path, None), code_of(path, index))


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        (10, lambda module: module.doubled(0)[1] == 11),
        (30, lambda module: module.Shape().area == 31),
        (40, lambda module: module.Shape().width == 41),
        (60, lambda module: module.doubled(1)[0] == 61),
        (70, lambda module: module.opened().__enter__() == 71),
        (110, lambda module: module.THIRD(0) == 111),
    ],
)
def test_edit_in_function_is_seen_at_once(module: ModuleType, number: int, seen: object) -> None:
    assert callable(seen)
    assert not seen(module)
    assert edit(module, number)
    assert seen(module)


@pytest.mark.parametrize("number", [20, 50, 90, 100, 120])
def test_edit_that_acts_when_module_is_loaded_is_not_enough(
    module: ModuleType, number: int
) -> None:
    """At the top, in a class, a default; and one of two lambdas of a line, which have one place."""
    assert not edit(module, number)


def test_constant_is_edited_wherever_it_was_imported(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer, other = ModuleType("importer"), ModuleType("other")
    vars(importer)["TOP"], vars(other)["TOP"] = vars(module)["TOP"], "another"
    for each in (module, importer, other):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")

    assert rebound(module, source, index_of(module, 120))
    assert not rebound(module, source, index_of(module, 20))

    assert [each.TOP for each in (module, importer, other)] == [121, 121, "another"]

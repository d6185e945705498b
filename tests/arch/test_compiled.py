"""Code that is compiled before the processes of the tests start is that which these would compile."""

from __future__ import annotations

import os
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests.kit import compiled

pytestmark = pytest.mark.form


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    texts = {
        "module.py": "VALUE = 7",
        "test_it.py": "def test_it():\n    assert 1 == 2",
        "broken.py": "def",
        "last.py": "VALUE = 8",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return [tmp_path / name for name in texts]


@pytest.mark.parametrize("processes", [1, 3])
def test_code_is_taken_by_python_and_by_pytest(
    sources: list[Path], processes: int, request: pytest.FixtureRequest
) -> None:
    assert [compiled.is_stale(path) for path in sources] == [True] * 4

    compiled.compile_in_forks(sources, request.config, processes)

    module, test, _, _ = sources
    assert [compiled.is_stale(path) for path in sources] == [False, False, True, False]
    spec = spec_from_file_location("module", module)
    assert spec is not None
    assert spec.cached == str(compiled.place_of(module))
    code = rewrite._read_pyc(test, compiled.place_of(test))
    assert code is not None
    assert "@pytest_ar" in code.co_names


def test_module_that_changed_is_compiled_again(
    sources: list[Path], request: pytest.FixtureRequest
) -> None:
    module = sources[0]
    compiled.compile_each([module], request.config)
    written = compiled.place_of(module).stat().st_mtime
    os.utime(module, (written + 5, written + 5))

    assert compiled.is_stale(module)

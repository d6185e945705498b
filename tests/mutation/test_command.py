"""The command, on a small package of its own: what is noticed, what is not, what never ends, and what is kept between runs."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutation.__main__ import chosen, modules_in
from tests.mutation.coverage_map import CoverageMap
from tests.mutation.edits import edits_of
from tests.mutation.equivalents import read_equivalents, unknown
from tests.mutation.judging import Verdict
from tests.mutation.records import Records

pytestmark = pytest.mark.form

ROOT = Path(__file__).parents[2]
FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\npythonpath = ["."]\n',
    "workpool_aws/__init__.py": "",
    "workpool_aws/local/__init__.py": "",
    "workpool_aws/local/pytest_plugin.py": "",
    "workpool_aws/counting.py": """
        def halved(n: int) -> list[int]:
            steps = []
            while n:
                n //= 2
                steps.append(n)
            return steps

        def is_small(n: int) -> bool:
            return n < 10

        def unseen() -> int:
            return 7
    """,
    "tests/conftest.py": """
        def pytest_addoption(parser):
            parser.addoption("--engine", action="append")
    """,
    "tests/unit/test_counting.py": """
        from workpool_aws.counting import halved, is_small

        def test_halved():
            assert halved(5) == [2, 1, 0]

        def test_is_small():
            assert is_small(1)
            assert not is_small(20)

        def test_that_fails_anyway():
            assert is_small(30)
    """,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    shutil.copytree(
        ROOT / "tests/mutation",
        tmp_path / "tests/mutation",
        ignore=shutil.ignore_patterns("test_*.py", "__pycache__"),
    )
    (tmp_path / "tests/mutation/equivalents.toml").write_text("", encoding="utf-8")
    judging = tmp_path / "tests/mutation/judging.py"
    text = judging.read_text(encoding="utf-8")
    # The small package needs none of the packages whose import takes seconds.
    few = re.sub(
        r"^_LOADED: Final = \(.*?^\)",
        '_LOADED: Final = ("hypothesis",)',
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert few != text
    judging.write_text(few, encoding="utf-8")
    return tmp_path


def run(tree: Path, *options: str) -> tuple[int, list[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.mutation",
        "counting.py",
        "--tests",
        "tests/unit",
        "--seed",
        "1",
        "--patience",
        "1",
        *options,
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))
    }
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_command_tells_what_is_not_noticed_and_leaves_out_what_is_listed(tree: Path) -> None:
    (tree / "tests/mutation/equivalents.toml").write_text(
        dedent("""
            [[equivalent]]
            why = "nobody calls it"
            edits = ["counting.py:unseen  number  7 → 6", "counting.py:unseen  value dropped  return 7 → return None"]
        """),
        encoding="utf-8",
    )

    code, said = run(tree, "--all", "--verbose")

    by = {
        line.partition("  (")[0]: line.partition("  (")[2].rstrip(")")
        for line in said
        if line.startswith("counting.py:")
    }
    assert by["counting.py:5  arithmetic  n //= 2 → n *= 2"] == "time"
    assert (
        by["counting.py:10  comparison  n < 10 → n > 10"]
        == "tests/unit/test_counting.py::test_is_small"
    )
    assert (
        "judges nothing, since it did not pass by itself: tests/unit/test_counting.py::test_that_fails_anyway"
        in said
    )
    # Two processes judge, in no order of their own.
    survivors = sorted(
        line.strip() for line in said[said.index("not noticed:") + 1 :] if line.startswith("  ")
    )
    assert survivors == [
        "counting.py:is_small  comparison  n < 10 → n <= 10",
        "counting.py:is_small  number  10 → 11",
        "counting.py:is_small  number  10 → 9",
        "counting.py:unseen  number  7 → 8 (no test runs it)",
    ]
    assert (code, said[-1]) == (1, "9 of 13 edits were noticed: 69.2 %, and 95 % are wanted")
    assert (tree / "workpool_aws/counting.py").read_text(encoding="utf-8") == dedent(
        FILES["workpool_aws/counting.py"]
    )


def test_verdict_is_kept_while_what_it_rests_on_is_unchanged(tree: Path) -> None:
    path, test, other = (
        tree / "verdicts.jsonl",
        "tests/unit/test_counting.py",
        tree / "tests/unit/test_other.py",
    )
    module = tree / "workpool_aws/counting.py"
    noticed, survivor = edits_of("counting.py", module.read_text(encoding="utf-8"))[:2]
    records = Records(path, tree)
    records.add(noticed, Verdict(noticed=True, by=f"{test}::test_halved"))
    records.add(survivor, Verdict(noticed=False))
    path.write_text(path.read_text(encoding="utf-8") + '{"edit": "cut o', encoding="utf-8")

    def known() -> list[bool]:
        again = Records(path, tree)
        return [again.verdict(each) is not None for each in (noticed, survivor)]

    unchanged = known()
    other.write_text("", encoding="utf-8")
    another_test = known()
    (tree / test).write_text("", encoding="utf-8")
    its_test = known()

    assert (unchanged, another_test, its_test) == ([True, True], [True, False], [False, False])


def test_listed_edit_that_code_no_longer_has_is_told(tree: Path) -> None:
    (tree / "tests/mutation/equivalents.toml").write_text(
        '[[equivalent]]\nwhy = "it was so"\nedits = ["counting.py:gone  number  1 → 2"]\n',
        encoding="utf-8",
    )

    code, said = run(tree)

    assert (code, said[-1].strip()) == (1, "counting.py:gone  number  1 → 2")


def test_edit_needs_tests_that_run_its_lines_first_those_of_file_about_it() -> None:
    seconds = {"a::slow": 2.0, "a::quick": 1.0, "b::quickest": 0.1, "b::elsewhere": 0.1}
    seconds |= {"a::reads": 1.5, "b::reads": 0.1}
    ran = {"a::slow": 0b110, "a::quick": 0b110, "b::quickest": 0b100, "b::elsewhere": 0b010}
    coverage = CoverageMap(seconds, {"m.py": ran}, breadth={"a": 1, "b": 9})
    first = edits_of("m.py", "def f():\n    return 1")[0]
    at_the_top, unseen = edits_of("m.py", "A = 1")[0], edits_of("n.py", "A = 1")[0]

    assert coverage.tests_for(replace(first, lines=(2, 2))) == [
        "a::quick",
        "a::slow",
        "b::quickest",
    ]
    of_constants = ["a::quick", "a::reads", "a::slow", "b::elsewhere", "b::quickest"]
    assert coverage.tests_for(at_the_top) == of_constants
    assert set(coverage.tests_for(unseen)) == set(seconds)
    assert coverage.tests_for(replace(first, lines=(7, 7))) == []


def test_constant_needs_first_tests_that_run_a_line_that_reads_it_and_importers_last() -> None:
    seconds = {"a::reads": 2.0, "a::other": 0.2, "b::runs_module": 0.1, "c::neither": 0.1}
    seconds |= {"d::imports": 3.0}
    lines = {"m.py": {"b::runs_module": 0b100}, "n.py": {"a::reads": 0b1000, "c::neither": 0b10}}
    edit = edits_of("m.py", "A = 1")[0]
    coverage = CoverageMap(
        seconds,
        lines,
        breadth={"a": 2, "b": 1, "c": 1},
        read_by=lambda of: {"n.py": 0b1000} if of == edit else {},
        imported_by=lambda module: ["d"] if module == "m.py" else [],
    )

    assert coverage.tests_for(edit) == ["a::other", "a::reads", "b::runs_module", "d::imports"]
    at_import = replace(edits_of("m.py", "def f():\n    return 1")[0], lines=(9, 9))
    assert coverage.tests_for(at_import) == []
    coverage.at_import = {"m.py": 1 << 9}
    assert coverage.tests_for(at_import) == ["b::runs_module", "d::imports"]
    del coverage.lines["m.py"]
    assert coverage.tests_for(edit) == ["d::imports", "a::other", "a::reads"]


def test_choice_is_that_of_seed_and_module() -> None:
    edits = edits_of("m.py", "def f(a):\n    return a + 1 + 2 + 3 + 4 + 5 + 6 + 7")
    some = chosen(edits, 5, seed=1)

    assert some == chosen(edits, 5, seed=1)
    assert some != chosen(edits, 5, seed=2)
    assert len(set(some)) == 5
    assert chosen(edits, None, seed=1) == chosen(edits, 500, seed=1) == list(range(len(edits)))


def test_modules_are_named_by_file_or_folder_and_demo_stays_out() -> None:
    assert modules_in(ROOT, ["errors.py", "handlers"]) == [
        "errors.py",
        "handlers/__init__.py",
        "handlers/completion.py",
        "handlers/main_loop.py",
        "handlers/own.py",
        "handlers/watchdog.py",
    ]
    assert [module for module in modules_in(ROOT, ["cli"]) if "demo" in module] == []
    with pytest.raises(SystemExit, match="nowhere must be a module or a folder"):
        modules_in(ROOT, ["nowhere"])


def test_every_listed_edit_is_one_of_code_and_has_reason() -> None:
    assert unknown(read_equivalents(), ROOT / "workpool_aws") == []


@pytest.mark.parametrize("entry", ['why = " "\nedits = ["a"]', 'why = "twice"\nedits = ["a", "a"]'])
def test_list_without_reasons_or_with_doubles_is_refused(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "listed.toml"
    path.write_text(f"[[equivalent]]\n{entry}\n", encoding="utf-8")

    with pytest.raises(ValueError, match="listed twice, or without a reason"):
        read_equivalents(path)

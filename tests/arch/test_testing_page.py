"""The files of docs/testing-your-application.md are a project whose tests pass, but for the one that shows a report."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing-your-application.md").read_text(encoding="utf-8")
FILE = re.compile(
    r"^<!-- file: (?P<name>[\w.]+)(?P<fails>; fails)? -->\n```python\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
REPORT = re.compile(r"^<!-- report -->\n```text\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
FILES = list(FILE.finditer(PAGE))
SHARED = ("shop.py", "conftest.py")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of pytest in a project of these files, in a process of its own."""
    project = tmp_path_factory.mktemp("project")
    for found in FILES:
        project.joinpath(found["name"]).write_text(found["code"], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--rootdir", "."], cwd=project, capture_output=True, text=True, check=False
    ).stdout


def test_every_block_of_python_is_file() -> None:
    assert len(FILES) == PAGE.count("```python") > 10
    assert len({found["name"] for found in FILES}) == len(FILES)


@pytest.mark.parametrize("found", FILES, ids=lambda found: found["name"])
def test_file_passes(report: str, found: re.Match[str]) -> None:
    ended = re.findall(rf"^{re.escape(found['name'])}::\S+ ([A-Z]+)", report, re.MULTILINE)
    tests = set() if found["name"] in SHARED else {"FAILED" if found["fails"] else "PASSED"}

    assert set(ended) == tests, report
    assert len(ended) >= len(re.findall(r"^\s*def test_", found["code"], re.MULTILINE))


def test_report_is_that_of_failing_test(report: str) -> None:
    [shown] = REPORT.findall(PAGE)

    assert re.search(re.escape(shown).replace("…", ".*"), report), report

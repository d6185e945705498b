"""The files that a page shows are a project whose tests pass, but for the one that shows a report."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/testing-your-application.md", "docs/tutorial.md")
FILE = re.compile(
    r"^<!-- file: (?P<name>[\w./]+)(?P<fails>; fails)? -->\n```\w+\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
REPORT = re.compile(r"^<!-- report -->\n```text\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
FILES = {page: list(FILE.finditer((ROOT / page).read_text(encoding="utf-8"))) for page in PAGES}
BOOKSHOP = ROOT / "examples" / "bookshop"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of pytest in the project of each page, in a process of its own."""
    return {page: run(page, tmp_path_factory.mktemp("project")) for page in PAGES}


def run(page: str, project: Path) -> str:
    for found in FILES[page]:
        file = project / found["name"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(found["code"], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--rootdir", "."], cwd=project, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_is_file(page: str) -> None:
    files = FILES[page]

    assert sum("```python" in found[0] for found in files) == (
        (ROOT / page).read_text(encoding="utf-8").count("```python")
    )
    assert len({found["name"] for found in files}) == len(files) > 5


@pytest.mark.parametrize(
    ("page", "found"),
    [
        pytest.param(page, found, id=found["name"])
        for page, files in FILES.items()
        for found in files
        if "def test_" in found["code"]
    ],
)
def test_file_passes(reports: dict[str, str], page: str, found: re.Match[str]) -> None:
    ended = re.findall(rf"^{re.escape(found['name'])}::\S+ ([A-Z]+)", reports[page], re.MULTILINE)

    assert set(ended) == {"FAILED" if found["fails"] else "PASSED"}, reports[page]
    assert len(ended) >= len(re.findall(r"^\s*def test_", found["code"], re.MULTILINE))


def test_report_is_that_of_failing_test(reports: dict[str, str]) -> None:
    page = "docs/testing-your-application.md"
    [shown] = REPORT.findall((ROOT / page).read_text(encoding="utf-8"))

    assert re.search(re.escape(shown).replace("…", ".*"), reports[page]), reports[page]


def test_tutorial_shows_files_of_example() -> None:
    """`make check` checks their types."""
    shown = {found["name"]: found["code"] for found in FILES["docs/tutorial.md"]}
    kept = {
        path.relative_to(BOOKSHOP).as_posix(): path.read_text(encoding="utf-8")
        for path in BOOKSHOP.rglob("*")
        if path.suffix in {".py", ".json", ".toml"} and "without-cdk" not in path.parts
    }

    assert shown == kept

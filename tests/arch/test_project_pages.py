"""The files that a page shows are a project whose tests pass, but for the one that shows a report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.projects import report_of

pytestmark = pytest.mark.form

ROOT = Path(__file__).parents[2]
PAGES = ("docs/testing-your-application.md", "docs/tutorial.md")
FILE = re.compile(
    r"^<!-- file: (?P<name>[\w./]+)(?P<fails>; fails)? -->\n```\w+\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
REPORT = re.compile(r"^<!-- report -->\n```text\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
FILES = {page: list(FILE.finditer((ROOT / page).read_text(encoding="utf-8"))) for page in PAGES}
BOOKSHOP = ROOT / "examples" / "bookshop"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_python_is_file(page: str) -> None:
    files = FILES[page]

    assert sum("```python" in found[0] for found in files) == (
        (ROOT / page).read_text(encoding="utf-8").count("```python")
    )
    assert len({found["name"] for found in files}) == len(files) > 5


@pytest.mark.parametrize("page", PAGES)
def test_files_of_page_pass(page: str, tmp_path: Path) -> None:
    for found in FILES[page]:
        file = tmp_path / found["name"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(found["code"], encoding="utf-8")
    report = report_of(tmp_path)
    for found in FILES[page]:
        ended = re.findall(rf"^{re.escape(found['name'])}::\S+ ([A-Z]+)", report, re.MULTILINE)
        tests = re.findall(r"^\s*def test_", found["code"], re.MULTILINE)
        assert set(ended) == ({"FAILED" if found["fails"] else "PASSED"} if tests else set()), (
            report
        )
        assert len(ended) >= len(tests)

    # Of the one that fails, the page shows what pytest says.
    for shown in REPORT.findall((ROOT / page).read_text(encoding="utf-8")):
        assert re.search(re.escape(shown).replace("…", ".*"), report), report


def test_page_shows_what_failing_test_prints() -> None:
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]

    assert [len(REPORT.findall(text)) for text in texts] == [1, 0]


def test_tutorial_shows_files_of_example() -> None:
    """`make check` checks their types."""
    shown = {found["name"]: found["code"] for found in FILES["docs/tutorial.md"]}
    kept = {
        path.relative_to(BOOKSHOP).as_posix(): path.read_text(encoding="utf-8")
        for path in BOOKSHOP.rglob("*")
        if path.suffix in {".py", ".json", ".toml"} and "without-cdk" not in path.parts
    }

    assert shown == kept

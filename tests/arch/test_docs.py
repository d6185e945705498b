"""Links and paths in documents exist."""

import re
import tomllib
from functools import cache
from pathlib import Path
from xml.parsers import expat

import pytest

from tools.lifecycle_page import PAGE, lifecycle_page
from tools.lifecycle_picture import PICTURE, lifecycle_picture

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#([^)]*))?\)")
ANCHOR = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)#([^)]+)\)")
FILE = re.compile(r"`((?:workpool_aws|tests|docs|benchmarks)/[\w/.-]+\.(?:py|md))`")
PICTURES = sorted((ROOT / "docs").glob("**/*.svg"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def anchors_of(page: Path) -> set[str]:
    """The names that a browser knows the headings of a page by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    dead = [
        f"{name_of(path)}: {target}"
        for path in DOCUMENTS
        for target, _ in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]

    assert dead == []


def test_links_into_page_lead_to_heading() -> None:
    dead = [
        f"{name_of(path)}: {target}#{anchor}"
        for path in DOCUMENTS
        for target, anchor in ANCHOR.findall(path.read_text(encoding="utf-8"))
        if anchor not in anchors_of(path if target == "" else path.parent / target)
    ]

    assert dead == []


def test_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert {target for target, _ in LINK.findall(index)} >= pages


def test_named_files_exist() -> None:
    missing = [
        f"{name_of(path)}: {name}"
        for path in DOCUMENTS
        for name in FILE.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]

    assert missing == []


@pytest.mark.parametrize("path", PICTURES, ids=name_of)
def test_picture_is_whole_and_loads_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert expat.ParserCreate().Parse(text, True) == 1  # it raises where the text is no XML
    assert text.startswith("<svg ")
    assert re.findall(r"""(?:href|src)\s*=|url\(\s*["']?(?!#)|@import|<script""", text) == []


def test_decision_has_its_three_parts() -> None:
    headings = {
        name_of(path): re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[:3]
        for path in DECISIONS
    }

    assert {
        name: found
        for name, found in headings.items()
        if found != ["Status", "Context", "Decision"]
    } == {}


def test_decisions_are_numbered_without_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_changelog_opens_with_this_version_or_what_comes_next() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    headings = re.findall(
        r"^## \[?([^\]\s]+)\]?(.*)",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    released = [name for name, state in headings if name == version or "unreleased" not in state]

    assert released[0] == version
    assert [name for name, _ in headings].index(version) <= 1


def test_lifecycle_page_is_made_from_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == lifecycle_page(), "run `make docs`"
    assert PICTURE.read_text(encoding="utf-8") == lifecycle_picture(), "run `make docs`"

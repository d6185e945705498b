"""Writes the sources of the documentation site from the pages of the repository.

The pages are plain Markdown that reads well in the repository. The site needs a navigation, links
that stay within it, and references that are made from the code: `python -m tools.docs_site.sources
FOLDER` adds them to copies.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tools.docs_site.command_line import command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCE = PROJECT["urls"]["Source"]

BESIDE_DOCS = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the site that lie outside of docs/."""

_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_ROW = re.compile(r"^\| \[(?P<title>[^\]]+)\]\((?P<target>[^)]+)\) \| (?P<answers>.*) \|$")
_MARKER = re.compile(r"^<!-- (auto\w+): ([\w. ]+) -->$", re.MULTILINE)
_COMMAND_LINE = "<!-- command line -->"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the index."""

    title: str
    place: str
    answers: str


def place_of(path: PurePosixPath) -> str | None:
    """The place of a page or picture in the site, by its path in the repository.

    `None` means that the site does not have it.
    """
    if str(path) in BESIDE_DOCS:
        return BESIDE_DOCS[str(path)]
    if (ROOT / path).is_dir():
        path /= "README.md"
    if path.parts[0] != "docs" or not (ROOT / path).is_file():
        return None
    inside = path.relative_to("docs")
    return str(inside.with_name("index.md") if inside.name == "README.md" else inside)


def with_links_of_site(text: str, page: PurePosixPath) -> str:
    """The page with links to places of the site, and to the repository for everything else."""
    here = PurePosixPath(place_of(page) or "").parent

    def link(found: re.Match[str]) -> str:
        target = PurePosixPath(os.path.normpath(page.parent / found[1]))
        place = place_of(target)
        if place is not None:
            return f"]({os.path.relpath(place, here)}{found[2] or ''})"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"]({SOURCE}/{kind}/main/{target}{found[2] or ''})"

    return _outside_code(text, lambda part: _LINK.sub(link, part))


def with_references(text: str) -> str:
    """The page with directives of autodoc and the commands in place of their markers."""

    def directives(found: re.Match[str]) -> str:
        blocks = "\n\n".join(f".. {found[1]}:: {name}" for name in found[2].split())
        return f"```{{eval-rst}}\n{blocks}\n```"

    return _MARKER.sub(directives, text).replace(_COMMAND_LINE, command_line())


def contents() -> dict[str, list[Entry]]:
    """The entries of the index by section, in its order."""
    page = PurePosixPath("docs/README.md")
    sections: dict[str, list[Entry]] = {}
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            sections[line.removeprefix("## ")] = entries = []
        elif row := _ROW.match(line):
            place = place_of(PurePosixPath(os.path.normpath(page.parent / row["target"])))
            entries.append(Entry(row["title"], place or "", row["answers"]))
    return sections


def navigation() -> str:
    """The hidden tables of contents that make the sidebar."""
    return "".join(
        _toctree(*(f"{each.title} <{each.place}>" for each in entries), caption=section)
        for section, entries in contents().items()
    )


def pages() -> Iterator[tuple[str, str]]:
    """The place and the text of each page."""
    documents = sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/**/*.md"))
    for page in map(PurePosixPath, (*BESIDE_DOCS, *documents)):
        text = (ROOT / page).read_text(encoding="utf-8")
        place = place_of(page) or ""
        text = with_references(with_links_of_site(text, page))
        if place == "index.md":
            text += navigation()
        elif place == "decisions/index.md":
            text += _toctree("[0-9]*", glob="")
        yield place, text


def write(folder: Path) -> None:
    """Make the folder, with the pages and pictures of the site and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, text in pages():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for picture in (ROOT / "docs").rglob("*"):
        if picture.suffix in (".svg", ".png"):
            shutil.copy(picture, folder / picture.relative_to(ROOT / "docs"))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _toctree(*places: str, **options: str) -> str:
    lines = [f":{name}: {value}".rstrip() for name, value in options.items()]
    return "\n".join(["", "```{toctree}", ":hidden:", *lines, "", *places, "```", ""])


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""The documentation site has every page and every public name. `make site`, a part of `make check`, builds it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path, PurePosixPath

import pytest

from tools.docs_site.attributes import undivided
from tools.docs_site.command_line import command_line
from tools.docs_site.offline import loaded
from tools.docs_site.sources import (
    SOURCE,
    contents,
    navigation,
    pages,
    with_links_of_site,
    with_references,
)

pytestmark = pytest.mark.form

ROOT = Path(__file__).parents[2]
PUBLIC = ("workpool_aws", "workpool_aws.local", "workpool_aws.testing", "workpool_cdk")
DECISION = re.compile(r"decisions/\d{4}-")


def test_docs_of_an_attribute_keep_what_is_before_a_colon() -> None:
    napoleon = ["an ARN, or a name.", "It may be long.", "", ":type: The function", ""]

    assert undivided(napoleon) == ["The function: an ARN, or a name.", "It may be long.", ""]


@pytest.mark.parametrize("module", PUBLIC)
def test_reference_has_every_public_name(module: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/reference/*.md"))
    shown = set(re.findall(r"[\w.]+", "".join(re.findall(r"<!-- auto.* -->", text))))
    names = import_module(module).__all__
    elsewhere = {"EnqueuedWork"} if module == "workpool_aws.local" else set()

    assert {f"{module}.{name}" for name in names if name not in elsewhere} - shown == set(), (
        "add the name to a marker in docs/reference/"
    )


def test_navigation_has_every_page() -> None:
    places = {place for place, _ in pages() if not DECISION.match(place)} - {"index.md"}

    assert {entry.place for entries in contents().values() for entry in entries} == places
    assert all(f"<{place}>" in navigation() for place in places)


def test_every_marker_is_replaced() -> None:
    text = "".join(text for _, text in pages())

    assert re.findall(r"^<!-- (?:auto|command).*-->", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("docs/cost.md", "retries.md#limits", "retries.md#limits"),
        ("docs/cost.md", "../README.md", "overview.md"),
        ("docs/cost.md", "README.md", "index.md"),
        ("docs/cost.md", "decisions", "decisions/index.md"),
        ("docs/decisions/0008-payloads-beside-the-work.md", "../cost.md#a", "../cost.md#a"),
        ("README.md", "docs/cost.md", "cost.md"),
        ("README.md", "docs/demo.svg", "demo.svg"),
        ("README.md", "LICENSE", f"{SOURCE}/blob/main/LICENSE"),
        ("docs/workers.md", "../examples/email", f"{SOURCE}/tree/main/examples/email"),
        ("docs/workers.md", "https://example.com/a.md", "https://example.com/a.md"),
        ("docs/workers.md", "#results", "#results"),
    ],
)
def test_link_stays_in_site_where_it_can(page: str, link: str, expected: str) -> None:
    text = with_links_of_site(f"[a]({link})\n```\n[b]({link})\n```\n", PurePosixPath(page))

    assert text == f"[a]({expected})\n```\n[b]({link})\n```\n"


def test_marker_becomes_directives() -> None:
    text = with_references("# A\n\n<!-- autoclass: a.B a.C -->\n")

    assert text == "# A\n\n```{eval-rst}\n.. autoclass:: a.B\n\n.. autoclass:: a.C\n```\n"


def test_command_line_lists_commands_with_their_options() -> None:
    text = command_line()

    assert "## workpool ls\n\nList work items.\n" in text
    assert "| `--limit N` | at most so many (50) |" in text
    assert "| `[ID]` |" in text
    assert "--help" not in text


@pytest.mark.parametrize(
    "part",
    [
        '<script src="https://cdn.example.com/a.js"></script>',
        '<link rel="stylesheet" href="//example.com/a.css"/>',
        "@import '//example.com/a.css';",
        "url(https://example.com/a.woff2)",
    ],
)
def test_part_from_elsewhere_is_noticed(part: str) -> None:
    assert loaded(part)


def test_links_and_own_files_are_let_pass() -> None:
    assert loaded('<a href="https://example.com">a</a><script src="a.js"></script>') == []

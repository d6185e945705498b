"""The prose rules of CONTRIBUTING.md that can be checked by a machine, over documents, docstrings and comments."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.form

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workpool_aws"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("infra/cdk/*.md"),
    ]
)
ROOMS = {
    **{
        folder.name: sorted(folder.rglob("*.py")) for folder in PACKAGE.iterdir() if folder.is_dir()
    },
    ".": sorted(PACKAGE.glob("*.py")),
    # Its node_modules have templates of Python.
    "construct": [
        *sorted((ROOT / "infra" / "cdk").glob("*.py")),
        *sorted((ROOT / "infra" / "cdk" / "workpool_cdk").rglob("*.py")),
    ],
    "benchmarks": sorted((ROOT / "benchmarks").glob("*.py")),
    "examples": sorted((ROOT / "examples").rglob("*.py")),
    "tools": sorted((ROOT / "tools").rglob("*.py")),
}
"""The modules of each room of the package, and of what comes with it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that prose must not match, and the advice to its author."""

    name: str
    pattern: re.Pattern[str]
    advice: str


def _rule(name: str, pattern: str, advice: str) -> Rule:
    return Rule(name, re.compile(pattern, re.IGNORECASE), advice)


_ADJECTIVES = (
    "acknowledged|all|another|any|called-off|canceled|claimed|damaged|dead|due|each|every|failed|few|finished|future|its|"
    "large|late|later|long|many|more|most|new|no|old|one|other|pending|retried|running|short|small|some|started|stored|"
    "such|their|these|those|two|unclaimed|undecorated|unfinished|waiting|younger"
)
WORDS = (
    _rule(
        "work item", r"\b(?:a|an) work\b(?!-| (?:item|id|cursor|range|queue))", "say *work item*"
    ),
    _rule(
        "work item",
        rf"\b(?:{_ADJECTIVES}) work\b(?!-| (?:item|cursor|range))(?= (?:is|was|has|that|which|must|may|can)\b)",
        "say *work item*",
    ),
    _rule("work items", rf"\b(?:{_ADJECTIVES}|the|of) works\b", "say *work items*"),
    _rule("work items", r"\bworks (?:are|were|have|that|which|of)\b", "say *work items*"),
    _rule("tell", r"\b(?:tells?|told|telling)\b", "name the act: reports, logs, notifies, shows"),
    _rule("nobody", r"\b(?:no|some|any)body\b", "name the agent: the loop, a caller, a person"),
    _rule("whoever", r"\bwho(?:m|ever|mever|se[a-z]*ever)\b|\bby whom\b", "name the agent"),
    _rule(
        "archaic",
        r"\b(?:anew|as ever|hence|thereof|therein|wherein)\b",
        "say *again*, *as usual*, *therefore*",
    ),
    _rule("None means", r"\b(?-i:None): ", "say *`None` means*, or *Defaults to*"),
)
OPENINGS = re.compile(r"(?:What|Whether|Whom|Whose|Who|How|Where|Owns|None)\b")
HEADINGS = re.compile(r"(?:What (?:is|was|are)|Whether|Whom|Who)\b|.*\bpromise", re.IGNORECASE)
COLONS_MAX = 1


def prose_of(markdown: str) -> str:
    """The page without code, addresses, test names and diagrams: only what a reader reads as English."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}|\t)\S.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "`code`", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"\"[^\"\n]*\"", '"quoted"', text)


def paragraphs_of(prose: str) -> Iterator[str]:
    """Paragraphs and list items, each on one line; no tables, no headings."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) )", prose):
        lines = [line.strip() for line in block.splitlines() if not re.match(r"\s*[|#]", line)]
        if lines:
            yield " ".join(lines)


def broken_words(prose: str) -> list[str]:
    flat = " ".join(prose.split())
    return [
        f"{rule.name}: …{flat[max(0, found.start() - 40) : found.end() + 30]}… ({rule.advice})"
        for rule in WORDS
        for found in rule.pattern.finditer(flat)
    ]


def colon_chains(prose: str) -> list[str]:
    return [
        sentence
        for paragraph in paragraphs_of(prose)
        for sentence in re.split(r"(?<=[.!?])\s", paragraph)
        if len(re.findall(r"\w[\w`\])*\"]*: (?!\[)", sentence)) > COLONS_MAX
    ]


def docstrings_of(tree: ast.Module) -> Iterator[str]:
    """Docstrings of modules, classes and functions, and the strings below fields and constants."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.value.value


def comments_of(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT and "noqa" not in token.string:
                yield token.string.lstrip("#: ")


def messages_of(tree: ast.Module) -> Iterator[str]:
    """Texts of several words that are no docstrings, most of them messages, with X for values."""
    passed_over = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr | ast.JoinedStr)
        for child in ast.iter_child_nodes(node)
    }
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            text = "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in passed_over:
            text = node.value if isinstance(node.value, str) else ""
        if " " in text:
            yield text


def without_examples(docstring: str) -> str:
    """The docstring without `>>>` examples and their output."""
    text = re.sub(r"^\s*>>>.*?(?=\n\s*\n|\Z)", "", docstring, flags=re.MULTILINE | re.DOTALL)
    return prose_of(text)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_document_uses_words_of_house(path: Path) -> None:
    assert broken_words(prose_of(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_sentence_of_document_has_at_most_one_colon(path: Path) -> None:
    assert colon_chains(prose_of(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_heading_names_its_subject(path: Path) -> None:
    headings = re.findall(r"^#+ (.+)$", prose_of(path.read_text(encoding="utf-8")), re.MULTILINE)

    assert headings
    assert [heading for heading in headings if HEADINGS.match(heading)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_of_room_open_with_their_subject(room: str) -> None:
    opened = [
        f"{name_of(path)}: {docstring.strip().splitlines()[0]}"
        for path in ROOMS[room]
        for docstring in docstrings_of(ast.parse(path.read_text(encoding="utf-8")))
        if OPENINGS.match(docstring.strip())
    ]

    assert opened == []


def test_docstrings_of_tests_open_with_their_subject() -> None:
    # By lines, since a parse of all tests takes seconds.
    opening = re.compile(rf'^ *"""{OPENINGS.pattern}.*', re.MULTILINE)

    assert {
        name_of(path): found
        for path in (ROOT / "tests").glob("*/**/*.py")
        if (found := opening.findall(path.read_text(encoding="utf-8")))
    } == {}


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_and_comments_of_room_use_words_of_house(room: str) -> None:
    broken = [
        f"{name_of(path)}: {fault}"
        for path in ROOMS[room]
        for text in (
            *docstrings_of(ast.parse(path.read_text(encoding="utf-8"))),
            *comments_of(path),
        )
        for fault in broken_words(without_examples(text))
    ]

    assert broken == []


@pytest.mark.parametrize("room", ROOMS)
def test_messages_of_room_use_words_of_house(room: str) -> None:
    broken = [
        f"{name_of(path)}: {fault}"
        for path in ROOMS[room]
        for text in messages_of(ast.parse(path.read_text(encoding="utf-8")))
        for fault in broken_words(text)
    ]

    assert broken == []


@pytest.mark.parametrize(
    "text",
    [
        "A work waits.",
        "Each work that waits is read.",
        "The works of a pool.",
        "All works are read.",
        "The loop is told.",
        "Nobody reads it.",
        "It is sent by whomever.",
        "It is made anew.",
        "None: no limit.",
    ],
)
def test_word_rules_notice(text: str) -> None:
    assert broken_words(text)


@pytest.mark.parametrize(
    "text",
    [
        "A work item waits.",
        "The function that does the work.",
        "How it works.",
        "It works, on aliases.",
        "`None` means no limit.",
    ],
)
def test_word_rules_let_pass(text: str) -> None:
    assert broken_words(text) == []


def test_messages_are_found() -> None:
    source = '''"""A docstring."""\nraise E(f"work {name} is gone", "plain", "of two words", 3)'''

    assert list(messages_of(ast.parse(source))) == ["work X is gone", "of two words"]


def test_chain_of_colons_is_noticed() -> None:
    assert colon_chains("One: two: three.\n\n* A list: its item.\n* Another: its item.") == [
        "One: two: three."
    ]

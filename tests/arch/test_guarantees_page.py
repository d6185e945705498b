"""docs/guarantees.md: every row names rules that are kept and tests that exist; every kept rule stands in some row."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
RULE = re.compile(r"\[WP-(\d+)\]")
KEPT = {
    int(number)
    for number in re.findall(
        r"^\* \*\*\[WP-(\d+)\]\*\* \*kept\*",
        (ROOT / "docs" / "protocol.md").read_text("utf-8"),
        re.MULTILINE,
    )
}
TEST = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Promise:
    """One row: what is promised, by which rules, shown by which tests (name, file)."""

    what: str
    rules: tuple[int, ...]
    has_none: bool
    """True if it says that no rule is about it."""
    tests: tuple[tuple[str, str], ...]


def read_promises() -> list[Promise]:
    promises = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[-2:] == ["rule", "shown by"] or set(line) <= set("|-"):
            continue
        rules = tuple(int(number) for number in RULE.findall(cells[-2]))
        promises.append(
            Promise(
                cells[0] or cells[1],
                rules,
                cells[-2] == "–",
                tuple((name, file) for name, file in TEST.findall(cells[-1])),
            )
        )
    return promises


PROMISES = read_promises()


def test_promise_names_rules_that_are_kept_and_tests_that_exist() -> None:
    @cache
    def text_of(file: str) -> str:
        return (PAGE.parent / file).resolve().read_text(encoding="utf-8")

    assert [
        each.what for each in PROMISES if bool(each.rules) == each.has_none or not each.tests
    ] == []
    assert [each.what for each in PROMISES if not set(each.rules) <= KEPT] == []
    assert [
        f"{each.what}: {name}"
        for each in PROMISES
        for name, file in each.tests
        if f"\ndef {name}(" not in text_of(file)
    ] == []


def test_every_rule_that_is_kept_is_told_to_users() -> None:
    told = {number for promise in PROMISES for number in promise.rules}

    assert KEPT - told == set()


def test_every_table_tells_what_shows_it() -> None:
    heads = re.findall(r"^(\|.*\|)\n\|[-|]+\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(heads) >= 10
    assert [head for head in heads if not head.endswith("| rule | shown by |")] == []

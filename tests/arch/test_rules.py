"""The numbered rules: what docs/protocol.md says is kept is tagged in the code that keeps it and in the tests that show it."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol.md"
TAG = re.compile(r"\[WP-(\d+)\]|\[WP-\d+(?:, WP-\d+)+\]")
RULE = re.compile(
    r"^\* \*\*\[WP-(?P<number>\d+)\]\*\* \*(?P<state>kept|not yet)\*(?P<text>.*?)(?=^\* \*\*\[WP-|^#|\Z)",
    re.MULTILINE | re.DOTALL,
)
KEPT_BY = re.compile(
    r"Kept by (?P<files>.*?)\. Shown by (?P<tests>.*?)\.$", re.DOTALL | re.MULTILINE
)
PATH = re.compile(r"`([\w/]+\.py)`")


@dataclass(frozen=True, slots=True)
class Rule:
    number: int
    kept: bool
    code: tuple[str, ...]
    tests: tuple[str, ...]


def read_rules() -> dict[int, Rule]:
    rules = {}
    for found in RULE.finditer(PROTOCOL.read_text(encoding="utf-8")):
        where = KEPT_BY.search(found["text"])
        code = tuple(PATH.findall(where["files"])) if where else ()
        tests = tuple(PATH.findall(where["tests"])) if where else ()
        rules[int(found["number"])] = Rule(
            int(found["number"]), found["state"] == "kept", code, tests
        )
    return rules


def tags_in(text: str) -> set[int]:
    return {
        int(number)
        for found in TAG.finditer(text)
        for number in re.findall(r"WP-(\d+)", found.group())
    }


def tags_under(folder: str, *, but: Path | None = None) -> set[int]:
    files = (path for path in (ROOT / folder).rglob("*.py") if path != but)
    return set().union(*(tags_in(path.read_text(encoding="utf-8")) for path in files))


RULES = read_rules()
KEPT = {rule.number for rule in RULES.values() if rule.kept}


def test_every_rule_of_design_stands_in_protocol() -> None:
    assert set(RULES) == {*range(1, 31), 33, 42, 43, 44}


def test_code_tags_exactly_rules_that_are_kept() -> None:
    assert tags_under("workpool_aws") == KEPT


def test_tests_tag_exactly_rules_that_are_kept() -> None:
    assert tags_under("tests", but=Path(__file__)) == KEPT


@pytest.mark.parametrize(
    "rule", [RULES[number] for number in sorted(KEPT)], ids=lambda rule: f"WP-{rule.number}"
)
def test_kept_rule_names_files_that_carry_its_tag(rule: Rule) -> None:
    assert rule.code
    assert rule.tests
    untagged = [
        path
        for path in (*rule.code, *rule.tests)
        if rule.number not in tags_in((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert untagged == []


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if not rule.kept], ids=lambda rule: f"WP-{rule.number}"
)
def test_rule_that_is_not_kept_yet_claims_no_file(rule: Rule) -> None:
    assert (rule.code, rule.tests) == ((), ())

"""The options of each command: their names, their defaults, and the numbers that they take."""

from argparse import _SubParsersAction

import pytest

from workpool_aws.cli.main import make_parser
from workpool_aws.core import limits
from workpool_aws.model.bounds import ATTEMPTS_MAX

PARSER = make_parser()
TABLE = {"table": None, "region": None, "profile": None, "json": False}
POOL = {"pool": None, **TABLE}
COMMANDS = {
    "enqueue f": {
        **POOL,
        "target": "f",
        "args": "{}",
        "kind": "action",
        "attempts": None,
        "run_after": None,
        "request_id": None,
        "new": False,
    },
    "ls": {
        **POOL,
        "state": None,
        "wide": False,
        "fn": None,
        "error": None,
        "contains": None,
        "group": None,
        "since": None,
        "before": None,
        "newest": False,
        "limit": 50,
        "after": None,
    },
    "show i": {**POOL, "id": "i", "args": False, "result": False},
    "cancel": {**POOL, "ids": [], "all": False, "yes": False},
    "redrive": {**POOL, "ids": [], "all": False, "fn": None, "yes": False},
    "why i": {**POOL, "id": "i"},
    "pools": TABLE,
    "jobs": TABLE,
    "pause": {**POOL, "new": False},
    "resume": POOL,
    "limit": {**POOL, "limit": None, "new": False, "reset": False},
    "rate": {**POOL, "rate": None, "new": False},
    "stats": {**POOL, "minutes": 5, "by_job": False},
    "doctor": TABLE,
    "dashboard": {
        **TABLE,
        "read_only": False,
        "host": "127.0.0.1",
        "port": 8765,
        "name": None,
    },
    "dev": {"handlers": [], "port": 8766, "speed": 1, "again": False, "no_reload": False},
    "schedules": POOL,
    "schedule pause n": {**POOL, "act": "pause", "name": "n", "request_id": None},
    "errors": {**POOL, "all": False},
    "error open e": {**POOL, "act": "open", "fingerprint": "e"},
    "groups": {**POOL, "limit": 50, "after": None},
    "group i": {**POOL, "id": "i", "cancel": False, "yes": False},
}


def parsed(line: str) -> dict[str, object]:
    options = vars(PARSER.parse_args(line.split()))
    return {each: value for each, value in options.items() if each not in {"run", "version"}}


@pytest.mark.parametrize("line", COMMANDS)
def test_command_has_its_options_and_no_others(line: str) -> None:
    assert parsed(line) == {"command": line.split(maxsplit=1)[0], **COMMANDS[line]}


def test_each_command_but_the_demo_is_described_by_the_sentence_that_lists_it() -> None:
    [commands] = [each for each in make_parser()._actions if isinstance(each, _SubParsersAction)]
    listed = {each.dest: each.help for each in commands._choices_actions}

    for name, parser in commands.choices.items() - {("demo", commands.choices["demo"])}:
        said, text = parser.description or "", listed[name] or ""
        assert (said[0], said[1:]) == (text[0].upper(), f"{text[1:]}."), name


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("ls --job j", "fn", "j"),
        ("redrive --fn j", "fn", "j"),
        ("cancel a b", "ids", ["a", "b"]),
        ("redrive a b", "ids", ["a", "b"]),
        ("dev m:f n:g", "handlers", ["m:f", "n:g"]),
        ("dashboard --name a --name b", "name", ["a", "b"]),
        ("enqueue f {}", "args", "{}"),
    ],
)
def test_option_is_repeated_or_named_otherwise(line: str, name: str, expected: object) -> None:
    assert parsed(line)[name] == expected


@pytest.mark.parametrize(
    ("line", "low", "high"),
    [
        ("enqueue f --attempts", 1, ATTEMPTS_MAX),
        ("ls --limit", 1, limits.LIST_MAX),
        ("limit", 0, limits.PARALLELISM_MAX),
        ("stats --minutes", 1, 7 * 24 * 60),
        ("dev --port", 0, 65_535),
        ("dev --speed", 1, 1_000),
        ("dashboard --port", 0, 65_535),
        ("groups --limit", 1, limits.GROUPS_LIST_MAX),
    ],
)
def test_number_is_taken_up_to_its_bounds_and_none_beyond(line: str, low: int, high: int) -> None:
    name = line.rsplit(maxsplit=1)[-1].lstrip("-")

    assert [parsed(f"{line} {number}")[name] for number in (low, high)] == [low, high]
    for number in (low - 1, high + 1):
        with pytest.raises(SystemExit):
            parsed(f"{line}={number}" if "--" in line else f"{line} {number}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("enqueue f --kind", ["action", "query", "mutation"]),
        ("ls --state", ["pending", "running", "finished", "success", "failed", "canceled", "dead"]),
        ("schedule {} n", ["pause", "resume", "run"]),
        ("error {} e", ["resolve", "ignore", "open"]),
    ],
)
def test_words_are_those_of_the_help(line: str, words: list[str]) -> None:
    def filled(word: str) -> str:
        return line.format(word) if "{}" in line else f"{line} {word}"

    for word in words:
        assert word in parsed(filled(word)).values()
    with pytest.raises(SystemExit):
        parsed(filled("other"))

"""No regular expression of the package can run away [WP-12].

None repeats what repeats, none takes long for the texts that keep it busiest, and none is made
where this cannot see it.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import workpool_aws

ROOT = Path(workpool_aws.__file__).parent
FEW = 4
"""So often may what repeats be repeated: that is a constant factor, whatever the text."""
PUMPED = 3_000
"""The lengths of texts that keep a pattern busy, so that cubic time shows."""
CPU_S = 10.0
PARSER: Any = importlib.import_module("re._parser")
SYNTAX: Any = importlib.import_module("re._constants")


@cache
def patterns() -> dict[str, re.Pattern[str]]:
    """Every compiled pattern of a module, by its name."""
    names = [
        each.name
        for each in pkgutil.walk_packages(workpool_aws.__path__, "workpool_aws.")
        if not each.name.endswith("__main__")
    ]
    modules = {name: importlib.import_module(name) for name in names}
    return {
        f"{name}:{key}": value
        for name, module in modules.items()
        for key, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def repeats(parsed: Any) -> Iterator[tuple[int, Any]]:
    """Every repetition in a pattern that is none of a fixed number: how often at most, and of what."""
    for operator, argument in parsed:
        if operator in {SYNTAX.MAX_REPEAT, SYNTAX.MIN_REPEAT, SYNTAX.POSSESSIVE_REPEAT}:
            least, most, inner = argument
            if least != most:
                yield most, inner
            yield from repeats(inner)
        for inner in inside(operator, argument):
            yield from repeats(inner)


def inside(operator: Any, argument: Any) -> list[Any]:
    if operator is SYNTAX.SUBPATTERN:
        return [argument[-1]]
    if operator is SYNTAX.BRANCH:
        return list(argument[1])
    if operator in {SYNTAX.ASSERT, SYNTAX.ASSERT_NOT}:
        return [argument[1]]
    return [argument[-1]] if operator is SYNTAX.ATOMIC_GROUP else []


def runs_away(pattern: str, flags: int = 0) -> bool:
    parsed = PARSER.parse(pattern, flags)
    return any(
        most > FEW and any(again > FEW for again, _ in repeats(inner))
        for most, inner in repeats(parsed)
    )


def test_pattern_repeats_no_repetition() -> None:
    found = patterns()

    assert len(found) > 100
    assert [
        f"{name}: {each.pattern}"
        for name, each in found.items()
        if runs_away(each.pattern, each.flags & ~re.DEBUG)
    ] == []


@pytest.mark.parametrize(
    ("pattern", "away"),
    [
        (r"([0-9a-z]{1,12}):([0-9.]{7,60}):((?:[0-9]{1,3}x[0-9]{1,12},?)*)", True),
        (r"(a+)+b", True),
        (r"(?:a|b+)*", True),
        (r"(?=(x*)*)", True),
        (r"(?:-[a-z]{1,16}){1,4}", False),
        (r"a*b*c{3}", False),
        (r"(?:ab){26}[0-9]+", False),
    ],
)
def test_one_that_once_took_twelve_seconds_would_be_noticed(pattern: str, away: bool) -> None:
    assert runs_away(pattern) is away


class RunsAway(Exception):
    """A pattern took more of the processor than any here should."""


@contextmanager
def bounded(cpu_s: float) -> Iterator[None]:
    """Inside, a pattern may take so many seconds of the processor; how busy the machine is does not count."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise RunsAway

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def most_of(_least: int, most: int) -> int:
    return min(most, PUMPED)


def half_of(least: int, most: int) -> int:
    """Room for what repeats to be shared out in several ways; what may be missing is."""
    return least if most == 1 else min(max(1, (least + most) // 2), PUMPED)


def text_of(parsed: Any, count: Callable[[int, int], int]) -> str:
    """A text that fits, in which each repetition occurs as often as `count` makes of its bounds."""
    return "".join(_text_of_one(operator, argument, count) for operator, argument in parsed)


def _text_of_one(operator: Any, argument: Any, count: Callable[[int, int], int]) -> str:
    if operator is SYNTAX.LITERAL:
        return chr(argument)
    if operator is SYNTAX.IN:
        return next(
            (each for each in map(chr, range(32, 0x3000)) if re.fullmatch(_set_of(argument), each)),
            "a",
        )
    if operator in {SYNTAX.MAX_REPEAT, SYNTAX.MIN_REPEAT, SYNTAX.POSSESSIVE_REPEAT}:
        least, most, inner = argument
        return text_of(inner, count) * count(least, most)
    if operator is SYNTAX.BRANCH:
        return text_of(argument[1][0], count)
    if operator in {SYNTAX.SUBPATTERN, SYNTAX.ATOMIC_GROUP}:
        return text_of(argument[-1], count)
    return "a" if operator in {SYNTAX.NOT_LITERAL, SYNTAX.ANY} else ""


def _set_of(members: Any) -> re.Pattern[str]:
    classes = {
        SYNTAX.CATEGORY_DIGIT: r"\d",
        SYNTAX.CATEGORY_WORD: r"\w",
        SYNTAX.CATEGORY_SPACE: r"\s",
        SYNTAX.CATEGORY_NOT_SPACE: r"\S",
    }
    parts = [
        "^"
        if operator is SYNTAX.NEGATE
        else classes[value]
        if operator is SYNTAX.CATEGORY
        else re.escape(chr(value))
        if operator is SYNTAX.LITERAL
        else f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        for operator, value in members
    ]
    return re.compile(f"[{''.join(parts)}]")


def keep_busy(pattern: re.Pattern[str]) -> None:
    """Let a pattern meet what nearly fits it: to its end, and then something that fits nothing."""
    parsed = PARSER.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    for count in (most_of, half_of):
        text = text_of(parsed, count)
        for found in (text, text + "\0", text * 3 + "\0", "\0" + text + "\0"):
            pattern.fullmatch(found)
            pattern.search(found)
            pattern.sub("", found)


def test_pattern_is_not_kept_busy_by_text_that_nearly_fits() -> None:
    busy = []
    for name, each in patterns().items():
        try:
            with bounded(CPU_S):
                keep_busy(each)
        except RunsAway:
            busy.append(f"{name}: {each.pattern}")

    assert busy == []


@pytest.mark.parametrize(
    "pattern", [r"([0-9a-z]{1,12}):((?:[0-9]{1,3}x[0-9]{1,12},?)*)", r"(a+)+b", r"a*a*a*a*b"]
)
def test_pattern_that_runs_away_would_be_ended(pattern: str) -> None:
    with pytest.raises(RunsAway), bounded(CPU_S / 100):
        keep_busy(re.compile(pattern))


def test_every_pattern_is_constant_of_its_module() -> None:
    """One that is made inside a function, or handed to `re.match` as a text, would not be looked at above."""
    made = [
        (str(path.relative_to(ROOT)), call.attr)
        for path in sorted(ROOT.rglob("*.py"))
        if "import re\n" in (text := path.read_text(encoding="utf-8"))
        for call in calls_in_functions(ast.parse(text))
        if isinstance(call.value, ast.Name) and call.value.id == "re" and call.attr != "escape"
    ]

    assert made == []


def calls_in_functions(tree: ast.Module) -> list[ast.Attribute]:
    return [
        node.func
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.Lambda)
        for node in ast.walk(outer)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]

"""Tables on a terminal: colours, and which columns are cut on a narrow one, in which order."""

import re

import pytest

from tests.kit.terminals import Screen
from workpool_aws.cli.output import Output
from workpool_aws.cli.rich_table import _cut, _widths, draw

HEADER = ("id", "state", "attempts", "when", "function", "error", "set by")
ROW = ("i" * 10, "s" * 20, "1", "2026-01-02 03:04:05Z", "f" * 30, "e" * 60, "b" * 15)
WHOLE = [10, 20, 8, 20, 30, 60, 15]
ROOM = sum(WHOLE) + 2 * 6


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (0, WHOLE),
        (1, [10, 20, 8, 20, 30, 59, 15]),
        (36, [10, 20, 8, 20, 30, 24, 15]),
        (37, [10, 20, 8, 20, 30, 24, 14]),
        (43, [10, 20, 8, 20, 30, 24, 8]),
        (44, [10, 20, 8, 19, 30, 24, 8]),
        (52, [10, 20, 8, 11, 30, 24, 8]),
        (53, [10, 20, 8, 11, 29, 24, 8]),
        (70, [10, 20, 8, 11, 12, 24, 8]),
        (71, [10, 20, 7, 11, 12, 24, 8]),
        (75, [10, 20, 3, 11, 12, 24, 8]),
        (76, [10, 19, 3, 11, 12, 24, 8]),
        (87, [10, 8, 3, 11, 12, 24, 8]),
        (88, [10, 8, 3, 11, 12, 23, 8]),
        (105, [10, 8, 3, 11, 12, 6, 8]),
        (120, [10, 8, 3, 11, 12, 6, 8]),
    ],
)
def test_columns_are_cut_in_their_order_and_id_never(missing: int, expected: list[int]) -> None:
    assert _widths(HEADER, [ROW], ROOM - missing) == expected
    assert _widths(HEADER, [ROW], ROOM + missing) == WHOLE


def test_column_is_as_wide_as_its_widest_cell_or_its_name() -> None:
    assert _widths(("id", "error"), [("1", ""), ("1000", "x")], 80) == [4, 5]
    assert _widths(("id", "state"), [("i" * 50, "failed")], 40) == [50, 6]
    assert _widths(("id", "error"), [], 3) == [2, 5]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (20, "2026-01-02 03:04:05Z"),
        (19, "2026-01-02 03:04"),
        (16, "2026-01-02 03:04"),
        (15, "01-02 03:04"),
        (11, "01-02 03:04"),
    ],
)
def test_time_loses_its_seconds_and_then_its_year(width: int, shown: str) -> None:
    assert _cut("when", ROW[3], width) == shown


def test_other_texts_lose_their_end() -> None:
    assert _cut("error", ROW[3], 11) == "2026-01-02…"
    assert _cut("when", "whenever it is", 11) == "whenever i…"
    assert _cut("when", "when", 4) == "when"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("failed", "31"),
        ("success", "32"),
        ("running", "36"),
        ("canceled", "33"),
        ("paused", "33"),
        ("running, cancel requested", "36"),
        ("pending", ""),
    ],
)
def test_state_has_its_colour(state: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Screen()

    Output(screen, as_json=False).table(("id", "state"), [("1", state)])

    header, line = screen.getvalue().splitlines()
    assert header.startswith("\x1b[2mid")
    assert (f"\x1b[{code}m{state}" in line) if code else ("\x1b" not in line)


def test_table_is_drawn_to_its_stream_with_two_spaces_between_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "36")
    screen = Screen()

    draw(screen, ("id", "error"), [("i1", "x" * 40), ("i2", "[red]no markup[/red] 12:30")])

    plain = re.sub(r"\x1b\[\d+m", "", screen.getvalue())
    assert [line.rstrip() for line in plain.splitlines()] == [
        "id  error",
        f"i1  {'x' * 31}…",
        "i2  [red]no markup[/red] 12:30",
    ]
    assert capsys.readouterr() == ("", "")

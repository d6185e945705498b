"""Answers of commands: stream, tables and fields, notes, questions, and the chosen pool."""

import io
import logging
import sys
from argparse import Namespace
from datetime import UTC, datetime

import pytest

from tests.kit.terminals import Screen
from workpool_aws import UsageError, cli
from workpool_aws.cli.codes import UnknownPool
from workpool_aws.cli.main import main
from workpool_aws.cli.output import Output, cell, iso, moment, note
from workpool_aws.cli.target import _StderrTelemetry, confirmed, target_of
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import LoopEnded, Started, WatchdogActed

AT = datetime(2026, 3, 4, 5, 6, 7, 890_000, UTC)


def test_answer_goes_to_its_stream_alone(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    output = Output(stream, as_json=True)

    output.json({"text": "é"})
    output.line("one\x1b")
    output.fields([("id", "1"), ("error", "first\nsecond")])

    assert output.as_json is True
    assert stream.getvalue() == (
        '{"text": "\\u00e9"}\none\\x1b\nid     1\nerror  first\n       second\n'
    )
    assert capsys.readouterr() == ("", "")


def test_note_is_one_line_of_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("two\nlines")

    assert capsys.readouterr() == ("", "two lines\n")


def test_row_of_another_length_than_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Output(io.StringIO(), as_json=False).table(("id",), [("1", "more")])


def test_terminal_without_rich_gets_table_of_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "workpool_aws.cli.rich_table", raising=False)
    monkeypatch.delattr(cli, "rich_table", raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = Screen()

    Output(screen, as_json=False).table(("id", "state"), [("1", "failed")])

    assert screen.getvalue() == "id  state\n1   failed\n"


def test_times_and_cells_that_are_none_are_dashes_and_null() -> None:
    assert (cell(None), moment(None), iso(None)) == ("-", "-", None)
    assert (moment(AT), iso(AT)) == ("2026-03-04 05:06:07Z", "2026-03-04T05:06:07.890000+00:00")


def test_warnings_of_library_are_notes_and_its_routine_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry = _StderrTelemetry()

    telemetry.emit(Started(pool="p", work_id="01", attempt=1, lag_ms=40))
    telemetry.emit(WatchdogActed(pool="p", reason="lease ran out"))
    telemetry.emit(LoopEnded(pool="p", generation=3, error="no answer"))

    assert WatchdogActed.level == logging.WARNING
    assert capsys.readouterr() == (
        "",
        (
            "workpool: watchdog_acted: pool=p, reason=lease ran out\n"
            "workpool: loop_ended: pool=p, generation=3, error=no answer\n"
        ),
    )


class Person:
    """Answers once the whole question was written."""

    def __init__(self, answer: str, screen: io.BytesIO) -> None:
        self._answer = answer
        self._screen = screen
        self.asked = ""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        self.asked = self._screen.getvalue().decode()
        return self._answer


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [("y\n", True), (" YES \n", True), ("n\n", False), ("\n", False), ("", False), ("yes, please\n", False)],
)  # fmt: skip
def test_person_is_asked_and_only_yes_is_yes(
    answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.BytesIO()
    person = Person(answer, written)
    monkeypatch.setattr(sys, "stdin", person)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding="utf-8"))

    assert confirmed("Cancel\nall?", yes=False) is agreed

    sys.stderr.flush()
    assert person.asked == "Cancel all? [y/N] "
    assert written.getvalue().decode() == person.asked + (
        "" if agreed else "Nothing was changed.\n"
    )
    assert capsys.readouterr().out == ""


def test_yes_asks_no_one_and_without_terminal_it_must_be_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    assert confirmed("Sure?", yes=True) is True
    with pytest.raises(UsageError) as caught:
        confirmed("Sure?", yes=False)

    assert str(caught.value).startswith("--yes must be given where ")
    assert "(Sure?); got nothing" in str(caught.value)


def options(**given: object) -> Namespace:
    return Namespace(
        **{"table": None, "pool": None, "profile": None, "region": None, "json": False, **given}
    )


def test_target_needs_table_and_pool_that_table_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with LocalCloud(engine="memory") as cloud:
        cloud.workpool("mine").configure(None, max_parallelism=3)
        with pytest.raises(UsageError) as no_table:
            target_of(options(pool="mine"))
        with pytest.raises(UnknownPool) as unknown:
            target_of(options(table=cloud.table, pool="yours"))
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        monkeypatch.setenv("WORKPOOL_JSON", "1")
        found = target_of(options(pool="mine"))
        new = target_of(options(pool="yours"), known=False)

    assert str(no_table.value) == "--table must be given, here or in WORKPOOL_TABLE; got nothing"
    assert str(unknown.value) == (f"no pool yours is known in table {cloud.table}; it has mine")
    assert (str(found), found.output.as_json) == (f"pool mine of table {cloud.table}", True)
    assert new.pool.name == "yours"


def test_bad_name_is_reported_before_bad_profile(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Names are checked before boto3 is loaded."""
    assert main(["ls", "--table", "t", "--pool", "a b", "--profile", "no-such-profile"]) == 2

    assert "name must be a str of 1 to 40 letters" in capsys.readouterr().err

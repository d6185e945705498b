"""The views of the demo: plain lines in a pipe, a live display in a terminal."""

import io
import re
import sys
from dataclasses import replace

import pytest

from tests.kit.terminals import Screen
from workpool_aws.cli.demo.plain import PlainView
from workpool_aws.cli.demo.report import (
    DemoReport,
    Plan,
    Progress,
    ServiceFailure,
    ServiceModel,
    Usage,
)
from workpool_aws.cli.demo.rich import RichView
from workpool_aws.cli.demo.run import view_for
from workpool_aws.cli.demo.text import (
    FAILURES_SHOWN,
    View,
    designs,
    failure_rows,
    headline,
    summary_rows,
    verdict,
)

PLAN = Plan(items=439, later=8, limit=8, fail_rate=1 / 12, engine="moto", clock="real", seed=0)
PROGRESS = Progress(items=439, enqueued=439, running=8, done=112, failed=1, retries=9, seconds=2.0)
REPORT = DemoReport(
    items=439,
    finished=439,
    succeeded=438,
    retries=40,
    attempts=479,
    seconds=9.84,
    limit=8,
    usage=Usage(max_concurrency=8, seconds=14.21, write_units=1975, read_units=1536),
    engine="moto",
    seed=0,
    largest=(
        ServiceModel(
            service="ec2", operations=830, shapes=4414, longest_operation="DescribeSomething"
        ),
    ),
    failures=(ServiceFailure("iam", "NonRetryableError", "attempt 1 fails by design, for good"),),
)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def shown(view: View, stream: io.StringIO, *, steps: list[Progress]) -> str:
    with view:
        view.begin(PLAN)
        for progress in steps:
            view.show(progress)
        view.end(REPORT)
    return stream.getvalue()


def plain(*steps: Progress) -> str:
    stream = io.StringIO()
    return shown(PlainView(stream), stream, steps=list(steps))


def test_pipe_gets_plain_text() -> None:
    assert isinstance(view_for(io.StringIO()), PlainView)


def test_terminal_gets_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    assert isinstance(view_for(Screen()), RichView)


def test_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert isinstance(view_for(Screen()), PlainView)


def test_terminal_without_rich_gets_plain_text_and_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [
        name
        for name in sys.modules
        if name == "rich" or name.startswith(("rich.", "workpool_aws.cli.demo.rich"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)

    view = view_for(Screen())

    assert isinstance(view, PlainView)
    assert "workpool-aws[cli]" in capsys.readouterr().err


def test_plain_text_has_no_control_characters_and_no_trailing_blanks() -> None:
    text = plain(PROGRESS, replace(PROGRESS, done=439, running=0, seconds=9.0))

    assert CONTROL.findall(text) == []
    assert text.isascii()
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def said(*steps: Progress) -> list[str]:
    """When a line of progress was said."""
    return [
        line.split(" s ")[0].strip() for line in plain(*steps).splitlines() if "  done " in line
    ]


def test_plain_progress_comes_after_second_then_every_two_seconds_and_at_end() -> None:
    steps = [replace(PROGRESS, done=tenths, running=7, seconds=tenths / 10) for tenths in range(75)]
    end = replace(PROGRESS, done=439, running=0, seconds=7.6)

    text = plain(*steps, end, end)

    assert said(*steps, end, end) == ["1.0", "3.0", "5.0", "7.0", "7.6"]
    assert text.count("All done.") == 1
    assert "   1.0 s  done  10/439  running 7/8  pending 422  retries   9  failed 1  10/s" in text


def test_plain_progress_begins_when_every_slot_is_taken() -> None:
    steps = [
        replace(PROGRESS, done=0, running=min(tenths, 8), seconds=tenths / 20)
        for tenths in range(60)
    ]

    assert said(*steps) == ["0.4", "2.4"]


def test_plain_text_tells_whole_story() -> None:
    text = plain(PROGRESS)

    assert (
        text.splitlines()[0]
        == "workpool demo: 439 AWS service models, at most 8 at a time, engine moto, seed 0"
    )
    assert "  ec2             830    4414  DescribeSomething" in text
    assert "  iam      NonRetryableError  attempt 1 fails by design, for good" in text
    assert "  finished     439 of 439: 438 succeeded, 1 failed for good" in text
    assert "  attempts     479, of which 40 retries" in text
    assert "  parallelism  8 at most, the limit is 8" in text
    assert "  cost         4.50 write and 3.50 read units an action" in text
    assert "  time         9.8 s (45 work items a second), and at rest after 14.2 s" in text


def test_terminal_shows_same_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Screen()

    text = shown(RichView(stream), stream, steps=[PROGRESS])

    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for event in (
        "439 AWS service models",
        "112/439 done",
        "8/8",
        "DescribeSomething",
        "NonRetryableError",
        "479, of which 40",
        "OK: every",
    ):
        assert event in bare
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_terminal_gets_its_cursor_back_when_run_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Screen()

    interrupted = RichView(stream)
    interrupted.begin(PLAN)
    interrupted.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert stream.getvalue().rstrip("\n").endswith("\x1b[?25h")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "No attempt fails by design."),
        (
            1 / 12,
            "By design one attempt in 12 fails, and is retried; one in 8 of these failures is for good.",
        ),
        (
            0.3,
            "By design 30.0% of all attempts fails, and is retried; one in 8 of these failures is for good.",
        ),
        (
            1.0,
            "By design every attempt fails, and is retried; one in 8 of these failures is for good.",
        ),
    ],
)
def test_plan_says_what_fails(rate: float, words: str) -> None:
    assert designs(replace(PLAN, fail_rate=rate))[1] == words


def test_plan_says_how_long_each_takes() -> None:
    assert (
        designs(PLAN)[0] == "Each opens one model after a wait of 0.1 to 0.25 s, as for an answer."
    )


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (8, ["8 work items are due only 2 to 5 seconds after being enqueued."]),
        (1, ["1 work item is due only 2 to 5 seconds after being enqueued."]),
        (0, []),
    ],
)
def test_plan_says_what_is_due_later(later: int, words: list[str]) -> None:
    assert designs(replace(PLAN, later=later))[2:] == words


def test_headline_names_virtual_clock() -> None:
    assert headline(replace(PLAN, clock="virtual", items=1)) == (
        "1 AWS service model, at most 8 at a time, engine moto, virtual clock, seed 0"
    )


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (REPORT, "OK: every work item reached its end, and the limit was never exceeded."),
        (replace(REPORT, finished=437), "NOT OK: 2 work items did not reach an end."),
        (replace(REPORT, limit=7), "NOT OK: 8 ran at a time where 7 are allowed."),
        (
            replace(REPORT, finished=438, problem="it hangs"),
            "NOT OK: 1 work item did not reach an end; it hangs.",
        ),
    ],
)
def test_verdict_names_what_went_wrong(report: DemoReport, words: str) -> None:
    assert verdict(report) == words


def test_engine_that_does_not_count_units_shows_none() -> None:
    silent = replace(REPORT, usage=replace(REPORT.usage, write_units=None, read_units=None))

    assert (
        dict(summary_rows(silent))["cost"]
        == "not known: units are counted on the engines memory and moto"
    )
    assert silent.to_json()["write_units_per_action"] is None


def test_long_list_of_failures_is_cut() -> None:
    many = replace(
        REPORT, failures=tuple(ServiceFailure(f"s{n}", "E", "e") for n in range(FAILURES_SHOWN + 5))
    )

    rows = failure_rows(many)

    assert len(rows) == FAILURES_SHOWN + 1
    assert rows[-1][0] == "and 5 more"

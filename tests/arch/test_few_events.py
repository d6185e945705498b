"""A run in several processes reports what one process does, with fewer events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.few_events import Reader, Sender, asks_for_all

pytest_plugins = ["pytester"]

FILE = """
import pytest

@pytest.fixture
def broken_before():
    raise ValueError("before")

@pytest.fixture
def broken_after():
    yield
    raise ValueError("after")

def test_passes(): pass
def test_fails(): assert False
def test_setup(broken_before): pass
def test_teardown(broken_after): pass
def test_skips(): pytest.skip("no")
@pytest.mark.skip
def test_is_skipped(): pass
@pytest.mark.xfail
def test_is_expected(): assert False
@pytest.mark.xfail
def test_is_not_expected(): pass
"""


class Noting:
    """Notes each report as a process sends it and another reads it, and how often a test ended."""

    def __init__(self, sender: Sender | None) -> None:
        self._sender = sender
        self.reports: dict[tuple[str, str], pytest.TestReport] = {}
        self.sent_short: set[str] = set()
        self.ended: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._sender and self._sender.pytest_report_to_serializable(report)
        if data:
            read = Reader().pytest_report_from_serializable(data)
            assert read is not None
            self.sent_short.add(read.nodeid)
            report = read
        self.reports[report.nodeid.partition("::")[2], str(report.when)] = report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.ended.append(nodeid)


def noted(pytester: pytest.Pytester, sender: Sender | None) -> Noting:
    noting = Noting(sender)
    pytester.inline_run("-p", "no:cacheprovider", plugins=[noting, *([sender] if sender else [])])
    return noting


def test_all_but_setups_and_teardowns_that_passed_is_reported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)

    whole, short = noted(pytester, None), noted(pytester, Sender())

    assert {key: report.outcome for key, report in short.reports.items()} == {
        key: report.outcome
        for key, report in whole.reports.items()
        if key[1] == "call" or not report.passed
    }
    assert {key: report.longreprtext for key, report in short.reports.items()} == {
        key: whole.reports[key].longreprtext for key in short.reports
    }
    assert short.ended == whole.ended
    assert {each.partition("::")[2] for each in short.sent_short} == {
        "test_passes",
        "test_teardown",
    }


def test_short_report_says_what_terminal_shows(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)
    sender = Sender()

    sent = noted(pytester, sender).reports["test_passes", "call"]

    assert (sent.outcome, sent.location[2], sent.nodeid[-11:]) == (
        "passed",
        "test_passes",
        "test_passes",
    )
    assert sent.stop >= sent.start > 0
    assert sent.duration >= 0


def test_other_reports_are_left_to_pytest() -> None:
    assert Reader().pytest_report_from_serializable({"$report_type": "TestReport"}) is None
    assert Sender().pytest_report_to_serializable(object()) is None


QUIET = {
    "durations": None,
    "xmlpath": None,
    "maxfail": 0,
    "verbose": 0,
    "usepdb": False,
    "reportchars": "a",
}


@pytest.mark.parametrize(
    ("option", "value"),
    [("durations", 20), ("durations", 0), ("xmlpath", "r.xml"), ("maxfail", 1), ("verbose", 1),
     ("usepdb", True), ("reportchars", "A"), ("reportchars", "fP")],
)  # fmt: skip
def test_option_that_shows_more_has_all_events_sent(option: str, value: Any) -> None:
    assert not asks_for_all(SimpleNamespace(**QUIET))
    assert asks_for_all(SimpleNamespace(**{**QUIET, option: value}))

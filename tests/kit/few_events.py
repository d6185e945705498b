"""Processes of pytest-xdist send one short report of a test that passed.

By itself each sends six events for a test, among them three reports with all names and marks of the
test. Most tests here take a few milliseconds, and sending and reading these took two more.
"""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.runner import runtestprotocol

KIND = "$report_type"
PASSED = "passed, in short"
FIELDS = ("nodeid", "location", "outcome", "when", "duration", "start", "stop", "user_properties")


def register(config: pytest.Config) -> None:
    """Have this process send few events, or read them, unless an option asks for what these leave out."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reader(), "few events, read")
    elif not asks_for_all(config.option):
        config.pluginmanager.register(Sender(), "few events, sent")


def asks_for_all(option: Any) -> bool:
    """True if the command line wants the time of setups, output of tests that passed, or an early end."""
    return bool(
        option.durations is not None
        or option.xmlpath
        or option.maxfail
        or option.verbose > 0
        or option.usepdb
        or {"A", "P", "p"} & set(option.reportchars)
    )


class Sender:
    """Leaves out the start of a test, and its setup and teardown when they pass."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_to_serializable(self, report: object) -> dict[str, Any] | None:
        # One of a test that passed though it is marked to fail, or of a subtest, is sent whole.
        if (
            type(report) is not pytest.TestReport
            or not report.passed
            or hasattr(report, "wasxfail")
        ):
            return None
        return {KIND: PASSED, **{name: getattr(report, name) for name in FIELDS}}


class Reader:
    """Reads the short reports."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> pytest.TestReport | None:
        if data.get(KIND) != PASSED:
            return None
        del data[KIND]
        return pytest.TestReport(keywords={}, longrepr=None, **data)

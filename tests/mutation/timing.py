"""Pytest plugin that writes the duration and the outcome of each test to the file named by `MUTATION_TIMES`, as JSON."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest  # noqa: TC002 - a plugin's hooks are looked at when it is loaded

__all__ = ["TIMES_VARIABLE"]

TIMES_VARIABLE: Final = "MUTATION_TIMES"

_seconds: Final[defaultdict[str, float]] = defaultdict(float)
_not_passed: Final[set[str]] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration
    if report.outcome != "passed":
        _not_passed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    passed = {nodeid: seconds for nodeid, seconds in _seconds.items() if nodeid not in _not_passed}
    Path(os.environ[TIMES_VARIABLE]).write_text(json.dumps({"passed": passed, "not_passed": sorted(_not_passed)}), encoding="utf-8")

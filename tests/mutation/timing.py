"""Pytest plugin that writes how much time of the processor each test took, and what came of it, to the file that `MUTATION_TIMES` names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Final

import pytest

__all__ = ["TIMES_VARIABLE"]

TIMES_VARIABLE: Final = "MUTATION_TIMES"

_seconds: Final[dict[str, float]] = {}
_not_passed: Final[set[str]] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Of the processor: on a busy machine the clock says little."""
    before = process_time()
    result = yield
    _seconds[item.nodeid] = process_time() - before
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed":
        _not_passed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    passed = {nodeid: seconds for nodeid, seconds in _seconds.items() if nodeid not in _not_passed}
    Path(os.environ[TIMES_VARIABLE]).write_text(
        json.dumps({"passed": passed, "not_passed": sorted(_not_passed)}), encoding="utf-8"
    )

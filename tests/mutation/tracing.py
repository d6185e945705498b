"""Measures in this process which lines ran, by context: the name of a test, or "" for none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from coverage import Coverage

from tests.mutation.coverage_map import PACKAGE

__all__ = ["Tracing"]


class Tracing:
    """Notes the lines of the package that run from now on."""

    def __init__(self, tree: Path) -> None:
        self._package = tree / PACKAGE
        self._coverage = Coverage(data_file=None, source=[str(self._package)], config_file=False)
        self._coverage.start()

    def of(self, test: str) -> None:
        """Note what follows under the name of a test."""
        self._coverage.switch_context(test)

    def end(self) -> Mapping[str, Mapping[str, int]]:
        """Stop, and return the lines, as bits, by test and module."""
        self._coverage.stop()
        data = self._coverage.get_data()
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for name in data.measured_files():
            module = str(Path(name).relative_to(self._package))
            for line, tests in data.contexts_by_lineno(name).items():
                for test in tests:
                    found[test][module] |= 1 << line
        return found

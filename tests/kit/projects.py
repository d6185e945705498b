"""Runs the tests of a project of a page or an example, as a user of the library runs them."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

OPTIONS = ("-v", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", ".")


def report_of(project: Path) -> str:
    """Return what pytest prints for a project.

    It runs in a fork of this process, since loading the library, boto3 and moto in a new one takes
    as long as the tests. What the project loads is not seen here.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as report:
        with warnings.catch_warnings():
            # The child uses none of the threads of pytest-xdist.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                _run(project, report.fileno())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        report.seek(0)
        return report.read()


def _run(project: Path, output: int) -> None:
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    for name in [each for each in os.environ if each.startswith("PYTEST_")]:
        del os.environ[name]
    os.chdir(project)
    pytest.main([*OPTIONS])
    sys.stdout.flush()

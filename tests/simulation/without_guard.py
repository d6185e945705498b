"""A pytest plugin that runs tests while a guard is gone.

The command is `pytest -p tests.simulation.without_guard --without-guard NAME`. It loads nothing of
the library before pytest has collected, so that assertions are rewritten as usual.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The name of the mutant."""
    parser.addoption("--without-guard", required=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Every test of the session runs without it."""
    from tests.simulation.mutants import MUTANTS  # noqa: PLC0415 - after collection, as said above
    from tests.simulation.mutation import applied  # noqa: PLC0415 - as above

    name = session.config.getoption("--without-guard")
    with applied(next(each for each in MUTANTS if each.name == name)):
        return (yield)

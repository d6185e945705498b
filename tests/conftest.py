"""What every folder's tests may ask for on the command line, and the emulated AWS that some of them share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.emulator.server import MiniStack, running, why_absent

ENDPOINT_VARIABLE = "WORKPOOL_TEST_ENDPOINT"
_server = pytest.StashKey[MiniStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workpool engines")
    group.addoption(
        "--engine",
        action="append",
        default=[],
        help="run the contract on this engine only; may be repeated; an engine that is not there is an error",
    )
    group.addoption(
        "--dynamodb-endpoint",
        default=os.environ.get(ENDPOINT_VARIABLE) or None,
        metavar="URL",
        help=f"a DynamoDB to run the contract on; default: {ENDPOINT_VARIABLE}. It makes one table there and deletes it",
    )
    group.addoption("--cloud-engine", choices=["ministack"], help="run the whole of tests/acceptance on this server")
    group.addoption("--commands-seed", type=int, default=0, metavar="N", help="where the random commands of the differential test begin")
    group.addoption("--commands-runs", type=int, default=None, metavar="N", help="how many sequences of random commands, on every engine")


@pytest.fixture(scope="session")
def ministack(request: pytest.FixtureRequest) -> Iterator[MiniStack]:
    """One MiniStack for all tests of a run. Whoever uses it leaves nothing behind in it."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running() as server:
        request.config.stash[_server] = server
        yield server
        del request.config.stash[_server]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    server = item.config.stash.get(_server, None)
    if report.failed and server is not None and "ministack" in getattr(item, "fixturenames", ()):
        report.sections.append(("MiniStack's log", server.log_tail()))
    return report

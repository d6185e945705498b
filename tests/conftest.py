"""Defines the options of the command line for all tests, and the emulated AWS that some share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import botocore.session
import pytest
from hypothesis import settings

from tests.emulator.server import MiniStack, alive, running, why_absent
from tests.kit import compiled, few_events, quick_clients, quick_draws
from tests.kit.browser import CHROMIUM
from tests.kit.named_fields import named_fields
from tests.peer.collecting import EVERYTHING
from workpool_aws.local.apis.interception import remembering

ON_MEMORY = {"acceptance", "cli", "integration", "peer"}
"""Folders whose tests show behaviour of all engines, which the contract shows to be alike."""
ENDPOINT_VARIABLE = "WORKPOOL_TEST_ENDPOINT"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # pytest rewrites the assertions of a whole package that has a plugin; ours shows none to users.
    # Here, since the conftest.py of a folder may load the library before `pytest_configure`.
    pluginmanager.rewrite_hook._must_rewrite.discard("workpool_aws")
    group = parser.getgroup("workpool engines")
    group.addoption(
        "--engine",
        action="append",
        default=[],
        help="run the contract on this engine only; may be repeated; it must be there",
    )
    group.addoption(
        "--dynamodb-endpoint",
        default=os.environ.get(ENDPOINT_VARIABLE) or None,
        metavar="URL",
        help=f"a DynamoDB to run the contract on (default: {ENDPOINT_VARIABLE}), in a table of its own",
    )
    group.addoption(
        "--e2e", action="store_true", help="run tests/e2e: real processes, for some minutes"
    )
    group.addoption(
        "--browser",
        action="store_true",
        help="run the tests that look at pages in a headless Chromium",
    )
    group.addoption(
        "--cloud-engine",
        choices=["ministack"],
        help="run the whole of tests/acceptance on this server",
    )
    group.addoption(
        "--commands-seed",
        type=int,
        default=0,
        metavar="N",
        help="where the random commands of the differential test begin",
    )
    group.addoption(
        "--commands-runs",
        type=int,
        metavar="N",
        help="how many sequences of random commands at least",
    )
    group.addoption(
        "--commands-replay", type=int, metavar="N", help="the one sequence of this seed"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Keep all that was collected, and leave the checks of form to `make check`, unless they are named."""
    chosen = [config.getoption(name, None) for name in ("ignore", "ignore_glob", "lf")]
    # A process of xdist is given the paths of its parent by name.
    paths, everywhere = (
        [(config.rootpath / path).resolve() for path in each]
        for each in (config.args, config.getini("testpaths"))
    )
    if paths != everywhere:
        return
    if not any(chosen) and not session.testsfailed:
        config.stash[EVERYTHING] = tuple(items)
    if not config.option.markexpr:
        form = [item for item in items if item.get_closest_marker("form")]
        items[:] = [item for item in items if not item.get_closest_marker("form")]
        config.hook.pytest_deselected(items=form)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave second runs, and tests that need more than Python, to other targets of the Makefile."""
    asked = item.config.getoption
    if item.get_closest_marker("browser") and not asked("--browser"):
        pytest.skip("make browser runs it")
    on_server = asked("--e2e") or asked("--cloud-engine") or "ministack" in asked("--engine")
    if item.get_closest_marker("server") and not on_server:
        pytest.skip("make engines runs it")
    if "moto" not in asked("--engine") and _is_second_run_on_moto(item):
        pytest.skip("make engines runs it on moto, too")


def _is_second_run_on_moto(item: pytest.Item) -> bool:
    """True for a test of the library that runs in memory, too: only moto itself is slow there.

    The tests of LocalCloud are about moto as well, and run on it everywhere.
    """
    callspec = getattr(item, "callspec", None)
    return (
        callspec is not None
        and item.path.relative_to(item.config.rootpath).parts[1] in ON_MEMORY
        and "moto" in [each for each in callspec.params.values() if isinstance(each, str)]
    )


settings.register_profile("suite", max_examples=25)


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples than hypothesis does by itself; a test that needs more says so.

    And read each service's description once for all boto3 sessions, as a LocalCloud does.
    """
    if config.getoption("--browser") and CHROMIUM is None:
        raise pytest.UsageError("--browser: no Chromium is installed")
    settings.load_profile("suite")
    quick_draws.begin_at_once()
    quick_clients.make_quickly()
    few_events.register(config)
    compiled.compile_for_all(config)
    botocore.session.create_loader = remembering(botocore.session.create_loader)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector from walking through all tests and modules, which stay to the end.

    What a test makes is looked through less often, too: that alone takes a seventh off the
    processor time of the suite.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(100_000, 8, 10)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Leave no garbage to pytest, which looks for it twice when it ends, and to Python."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def ministack(request: pytest.FixtureRequest) -> Iterator[MiniStack]:
    """One MiniStack for all tests of a run. Whoever uses it leaves nothing behind in it."""
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.failed and {"cloud", "ministack"} & set(getattr(item, "fixturenames", ())):
        report.sections += [
            (f"log of MiniStack at {server.url}", server.log_tail()) for server in alive()
        ]
    return report


@pytest.fixture(scope="session", autouse=True)
def fields_are_named() -> Iterator[None]:
    """Watch the errors that tests look at by a word of their messages."""
    with named_fields():
        yield

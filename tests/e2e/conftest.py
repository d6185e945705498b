"""One emulated AWS with the package deployed, for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.e2e import deployment
from tests.e2e.deployment import Deployed
from tests.e2e.waiting import once
from tests.emulator.server import MiniStack, running, why_absent
from workpool_aws import Status, Workpool

MakePool = Callable[..., Workpool]
OF_THEIR_OWN = ("test_air_quality.py", "test_plain_template.py", "test_tutorial.py")
"""Files that deploy a project of their own and do without the common stack."""
LONGEST = "test_deployed_jobs.py"
"""The file whose waits take as long as those of all others of the common stack."""


class TwoForTheStack(LoadScopeScheduling):
    """Gives the tests of the common stack to two processes, so that it is deployed twice at most."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return file if file in {*OF_THEIR_OWN, LONGEST} else "the common stack"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TwoForTheStack | None:
    """Shares the tests out, if `make e2e` runs them."""
    return TwoForTheStack(config, log) if config.getoption("--e2e") else None


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest) -> Iterator[MiniStack]:
    """An account that is ready for the CDK, and asks for permissions: real processes, so only when it is asked for."""
    if not request.config.getoption("--e2e"):
        pytest.skip("end-to-end tests run real processes for minutes: `make e2e` runs them")
    reason = why_absent() or deployment.why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running(authorize=True, processes=12) as server:
        deployment.bootstrap(server)
        yield server


@pytest.fixture(scope="session")
def deployed(cloud: MiniStack) -> Deployed:
    """The stack, deployed once."""
    return deployment.deploy(cloud)


@pytest.fixture
def make_pool(cloud: MiniStack, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> MakePool:
    """Makes a Workpool as a program of the account's owner would."""
    for name, value in {**deployment.account(cloud), **deployed.environment()}.items():
        monkeypatch.setenv(name, value)
    return lambda name, **options: Workpool(deployed.table, name, **options)


@pytest.fixture
def finished() -> Callable[..., list[Status]]:
    """Waits until work items are finished, and says how."""

    def wait(pool: Workpool, ids: list[str]) -> list[Status]:
        once(
            lambda: [
                status for status in pool.status_batch(None, ids) if status.state != "finished"
            ][:5],
            lambda unfinished: not unfinished,
        )
        return once(lambda: list(pool.status_batch(None, ids)))

    return wait

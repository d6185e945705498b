"""One emulated AWS with the package deployed, for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest

from tests.e2e.deployment import TABLE, deploy, environment
from tests.emulator.server import ACCESS_KEY, REGION, SECRET_KEY, MiniStack, running, why_absent
from workpool_aws import Status, Workpool

MakePool = Callable[..., Workpool]


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest) -> Iterator[MiniStack]:
    """The deployment: real processes, so only when it is asked for."""
    if not request.config.getoption("--e2e"):
        pytest.skip("end-to-end tests run real processes for minutes: `make e2e` runs them")
    reason = why_absent()
    if reason is not None:
        pytest.skip(reason)
    with running(processes=12) as server:
        deploy(server)
        yield server


@pytest.fixture
def make_pool(cloud: MiniStack, monkeypatch: pytest.MonkeyPatch) -> MakePool:
    """Makes a Workpool as a program in that account would."""
    account = {"AWS_ENDPOINT_URL": cloud.url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    for name, value in {**account, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, **environment()}.items():
        monkeypatch.setenv(name, value)
    return lambda name, **options: Workpool(TABLE, name, **options)


@pytest.fixture
def finished() -> Callable[..., list[Status]]:
    """Waits until works are finished, and says how."""

    def wait(pool: Workpool, ids: list[str], within_s: float) -> list[Status]:
        until = monotonic() + within_s
        while True:
            statuses = list(pool.status_batch(None, ids))
            if all(status.state == "finished" for status in statuses):
                return statuses
            assert monotonic() < until, f"not finished in {within_s} s: {[status for status in statuses if status.state != 'finished'][:5]}"
            sleep(0.2)

    return wait

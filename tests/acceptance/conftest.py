"""Scripts against the public interface alone: `workpool_aws`, `LocalCloud`, and nothing that lies below them."""

from collections.abc import Callable, Iterator

import pytest

from workpool_aws import Result, Workpool
from workpool_aws.local import LocalCloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """A cloud in virtual time; on the quick engine, unless a test names its engines or the command line one for all."""
    on_server = request.config.getoption("--cloud-engine") == "ministack"
    engine = (
        request.getfixturevalue("ministack").url
        if on_server
        else getattr(request, "param", "memory")
    )
    with LocalCloud(clock="virtual", engine=engine) as cloud:
        yield cloud


@pytest.fixture
def answer() -> Callable[[Workpool, str], Result]:
    """The result of a finished work; an unfinished one fails the test."""

    def read(pool: Workpool, work_id: str) -> Result:
        result = pool.result(None, work_id)
        assert result is not None, f"{work_id} is not finished: {pool.status(None, work_id)}"
        return result

    return read

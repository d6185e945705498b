"""A stage and a cloud for each test, in memory unless a test names the engines of its cloud.

That engines behave alike is the contract suite's affair.
"""

from collections.abc import Iterator

import pytest

from tests.kit.stage import Stage
from workpool_aws.local import LocalCloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    with LocalCloud(clock="virtual", engine=getattr(request, "param", "memory")) as cloud:
        yield cloud


@pytest.fixture
def stage() -> Stage:
    return Stage()

"""A cloud for each test, once on each engine."""

from collections.abc import Iterator

import pytest

from workpool_aws.local import LocalCloud


@pytest.fixture(params=["memory", "moto"])
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    with LocalCloud(clock="virtual", engine=request.param) as cloud:
        yield cloud

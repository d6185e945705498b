"""A cloud for each test: in memory, unless a test names its engines.

That engines behave alike is the contract suite's affair.
"""

from collections.abc import Iterator

import pytest

from workpool_aws.local import LocalCloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    with LocalCloud(clock="virtual", engine=getattr(request, "param", "memory")) as cloud:
        yield cloud

"""Owns the pytest fixture `workpool_cloud`. Loading it loads no engine, so that whoever does not use it does not pay for it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from workpool_aws.local.cloud import LocalCloud

__all__ = ["workpool_cloud"]

_EXTRA: Final = "workpool-aws[local]"


@pytest.fixture
def workpool_cloud() -> Iterator[LocalCloud]:
    """A `LocalCloud` on the virtual clock and moto, new for each test. Without moto the test fails, and says what to install."""
    if find_spec("moto") is None:
        pytest.fail(f"the fixture workpool_cloud needs moto: install {_EXTRA}", pytrace=False)
    from workpool_aws.local.cloud import LocalCloud  # noqa: PLC0415 - see above

    with LocalCloud() as cloud:
        yield cloud

"""Pytest fixture `workpool_cloud`.

Loading it loads no engine, so that tests without it do not pay for it.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workpool_aws.local.cloud import LocalCloud

__all__ = ["workpool_cloud"]

_MARK: Final = "workpool"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", f"{_MARK}(**options): the options of LocalCloud for the fixture workpool_cloud"
    )


@pytest.fixture
def workpool_cloud(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """Return a `LocalCloud`, new for each test: on the virtual clock and in memory.

    `@pytest.mark.workpool(engine="moto", seed=3)` gives it other options, by the names of
    `LocalCloud`. The nearest mark wins, option by option: the test's, then its class's, then its
    module's.
    """
    from workpool_aws.local.cloud import LocalCloud

    options = _options(request.node)
    allowed = list(signature(LocalCloud).parameters)
    for name in options.keys() - set(allowed):
        pytest.fail(
            f"@pytest.mark.{_MARK} must be an option of LocalCloud ({allowed}); got {name!r}",
            pytrace=False,
        )
    with LocalCloud(**options) as cloud:
        yield cloud


def _options(node: pytest.Item) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for mark in node.iter_markers(_MARK):  # the nearest first
        if mark.args:
            pytest.fail(
                f"@pytest.mark.{_MARK} takes options of LocalCloud by name; got {mark.args[0]!r}",
                pytrace=False,
            )
        options = {**mark.kwargs, **options}
    return options

"""Pytest fixture `workpool_cloud`, and the failures of work items in the report of a failed test.

Loading it loads no engine, so that tests without it do not pay for it.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from workpool_aws.local.cloud import LocalCloud

__all__ = ["workpool_cloud"]

_MARK: Final = "workpool"
_SECTION: Final = "workpool: work items and callbacks that failed"
_CLOUDS: Final = "workpool_aws.local.cloud"


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
    with LocalCloud(**options) as cloud, _logs_kept():
        yield cloud


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Show, in the report of a failed test, the work items of its cloud that failed."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.failed or _CLOUDS not in sys.modules:
        return
    from workpool_aws.local.current import current_cloud
    from workpool_aws.local.failures import describe_failures
    from workpool_aws.text import type_name

    cloud = current_cloud()
    try:
        text = "" if cloud is None else describe_failures(cloud.failed_attempts())
    except Exception as error:  # noqa: BLE001 - the test's own failure is to be reported all the same
        text = f"(they could not be read: {type_name(error)})"
    if text:
        report.sections.append((_SECTION, text))


@contextmanager
def _logs_kept() -> Iterator[None]:
    """Keep the log of user code by work item, as far as the levels of its loggers let through."""
    from workpool_aws.local.work_log import WorkLog

    root, handler = logging.getLogger(), WorkLog()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


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

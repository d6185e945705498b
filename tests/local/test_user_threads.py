"""A thread that user code starts does not see the cloud. An error says so, and no call goes to AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import boto3
import pytest

from workpool_aws import UsageError, Workpool
from workpool_aws.compose import ports_for
from workpool_aws.local import LocalCloud

ERROR = r"^thread must be a thread that sees the LocalCloud: .*; got '.*'$"


def in_a_thread(call: Callable[[], object]) -> list[object]:
    """Return the value or the error of a call in a bare thread."""
    came_to: list[object] = []

    def run() -> None:
        try:
            came_to.append(call())
        except Exception as error:  # noqa: BLE001 - that is what is looked at
            came_to.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return came_to


@pytest.mark.parametrize(
    "session", [None, boto3.Session(region_name="eu-west-1")], ids=["no session", "session"]
)
@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_thread_of_handlers_own_is_told_that_it_does_not_see_cloud(
    engine: str, session: boto3.Session | None
) -> None:
    seen: list[object] = []
    with LocalCloud(engine=engine) as cloud:
        own = Workpool(cloud.table, "more", session=session)

        def handler(event: dict[str, Any], _: object) -> None:
            if event.get("deeper"):
                seen.extend(in_a_thread(lambda: own.enqueue_action(None, "work", {})))

        fn = cloud.function(handler, name="work")
        cloud.workpool().enqueue_action(None, fn, {"deeper": True})
        cloud.run_until_idle()

        assert cloud.workpool("more").list(None).items == ()
    assert [type(each) for each in seen] == [UsageError]
    with pytest.raises(UsageError, match=ERROR):
        raise next(each for each in seen if isinstance(each, Exception))


def test_thread_that_carries_context_sees_cloud() -> None:
    with LocalCloud(engine="memory") as cloud:
        own = Workpool(cloud.table, "more")

        def handler(event: dict[str, Any], _: object) -> None:
            if event.get("deeper"):
                with ThreadPoolExecutor(1) as threads:
                    threads.submit(
                        copy_context().run, own.enqueue_action, None, "work", {}
                    ).result()

        fn = cloud.function(handler, name="work")
        cloud.workpool().enqueue_action(None, fn, {"deeper": True})
        cloud.run_until_idle()

        assert [each.outcome for each in own.list(None).items] == ["success"]


def test_thread_goes_where_it_went_before_cloud(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with LocalCloud(engine="memory"), LocalCloud(engine="memory"):
        within = in_a_thread(
            lambda: ports_for("jobs", boto3.Session(region_name="eu-west-1")).table
        )
    after = in_a_thread(lambda: ports_for("jobs", boto3.Session(region_name="eu-west-1")).table)

    assert ([type(each) for each in within], after) == ([UsageError], ["jobs"])

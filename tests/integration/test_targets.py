"""The library's own functions take no work items, and others run for the pools they were added to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from workpool_aws import UsageError
from workpool_aws.adapters.wire.loop import request_to_wire
from workpool_aws.handlers import completion, main_loop, watchdog
from workpool_aws.local import LocalCloud
from workpool_aws.model.messages import LoopRequest
from workpool_aws.settings import pools_served

OTHERS = "arn:aws:lambda:us-east-1:123456789012:function:"


@pytest.fixture
def cloud() -> LocalCloud:
    return LocalCloud(clock="virtual", engine="memory")


@pytest.mark.parametrize(
    "form", ["{arn}", "{arn}:live", "{arn}:7", "{arn}:$LATEST", "{name}", "{name}:live"]
)
@pytest.mark.parametrize("which", ["loop_arn", "completion_arn"])
def test_librarys_functions_are_refused_at_enqueue(
    cloud: LocalCloud, which: str, form: str
) -> None:
    """[WP-2] As far as the caller knows them; nothing is stored."""
    with cloud:
        pool = cloud.workpool()
        arn = getattr(cloud, which)
        if which == "completion_arn" and cloud._open.deployment.completion_arn is None:
            pytest.skip("not known to callers")
        target = form.format(arn=arn, name=arn.rpartition(":")[2])
        forged = request_to_wire(LoopRequest(table=cloud.table, pool="victim", generation=10**6))
        with pytest.raises(UsageError, match="of yours"):
            pool.enqueue_action(None, target, forged)
        with pytest.raises(UsageError, match="on_complete"):
            pool.enqueue_action(None, f"{OTHERS}mine", {}, on_complete=target)
        assert pool.list(None).items == ()


def test_loop_refuses_them_always_and_says_why(cloud: LocalCloud) -> None:
    """[WP-2] The watchdog is known only by its configuration, as the loop reads it."""
    with cloud:
        pool = cloud.workpool()
        work_id = pool.enqueue_action(
            None, cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}}, retry=True
        )
        cloud.run_until_idle()
        result = pool.result(None, work_id)

        assert (result.kind, result.error_type) == ("failed", "not_invocable")
        assert "of yours" in (result.error or "")
        assert len(pool.list(None).items) == 1


@pytest.mark.parametrize("served", [["email"], ("email", "reports"), []])
def test_function_runs_for_pools_that_it_was_added_to(cloud: LocalCloud, served: list[str]) -> None:
    """[WP-12] The loop refuses it to the others, without a retry, and says what to add."""
    ran: list[str] = []
    with cloud:
        fn = cloud.function(lambda event, _: ran.append(event["for"]), name="send", pools=served)
        pools = {name: cloud.workpool(name) for name in ("email", "billing")}
        ids = {
            name: pool.enqueue_action(None, fn, {"for": name}, retry=True)
            for name, pool in pools.items()
        }
        cloud.run_until_idle()
        refused = pools["billing"].result(None, ids["billing"])

        assert ran == [name for name in ("email",) if name in served]
        assert (refused.kind, refused.error_type) == ("failed", "not_invocable")
        assert "add_action" in (refused.error or "")
        assert "'billing'" in (refused.error or "")


def test_decorated_worker_refuses_other_pools_too(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[WP-12] Also where its configuration could not be read by the loop."""
    monkeypatch.setenv("WORKPOOL_SERVES", "email, reports")
    ran: list[str] = []
    with cloud:
        email, billing = cloud.workpool("email"), cloud.workpool("billing")

        @email.action
        def send(to: str) -> None:
            ran.append(to)

        fn = cloud.function(send)
        good, bad = (
            email.enqueue_action(None, fn, {"to": "a"}),
            billing.enqueue_action(None, fn, {"to": "b"}),
        )
        cloud.run_until_idle()

        assert ran == ["a"]
        assert email.result(None, good).kind == "success"
        assert billing.result(None, bad).kind == "failed"


@pytest.mark.parametrize(
    ("text", "pools"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("a", {"a"}),
        ("a, b", {"a", "b"}),
        (",", {""}),
        (5, None),
    ],
)
def test_function_says_which_pools_it_serves(text: object, pools: set[str] | None) -> None:
    assert pools_served(text) == pools


@pytest.mark.parametrize("pools", ["email", [5], ["no name"], 5])
def test_cloud_refuses_what_names_no_pools(cloud: LocalCloud, pools: Any) -> None:
    with cloud, pytest.raises(UsageError, match="pools"):
        cloud.function(lambda event, _: event, name="f", pools=pools)


@pytest.mark.parametrize(
    ("door", "event"),
    [
        (main_loop.handler, request_to_wire(LoopRequest(table="theirs", pool="p", generation=1))),
        (
            main_loop.handler,
            request_to_wire(LoopRequest(table="theirs", pool="p", generation=None)),
        ),
        (watchdog.handler, {"workpool_watchdog": {"table": "theirs"}}),
    ],
)
def test_event_of_another_table_is_refused_at_door(
    monkeypatch: pytest.MonkeyPatch, door: Callable[[Any, Any], object], event: Mapping[str, object]
) -> None:
    """[WP-2] Before a client is made."""
    monkeypatch.setenv("WORKPOOL_TABLE", "ours")

    with pytest.raises(UsageError, match="'ours'"):
        door(json.loads(json.dumps(event)), LambdaContext())


@pytest.mark.parametrize("door", [main_loop.handler, watchdog.handler, completion.handler])
@pytest.mark.parametrize(
    "event", [{"_workpool": {}}, {"_workpool": None, "workpool_loop": {}}, [], "text", None, 5]
)
def test_event_that_is_for_no_door_is_refused(
    door: Callable[[Any, Any], object], event: Any
) -> None:
    """[WP-2] A work item that has the library's function for its target, or no JSON object."""
    with pytest.raises(UsageError):
        door(event, LambdaContext())

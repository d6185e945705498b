"""Callbacks whose context or result lies in chunks: they arrive whole, or end as dead, and expire with their work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.functions import table_of
from workpool_aws import OnCompleteEvent
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import WorkId
from workpool_aws.model.payload import Chunk, Part
from workpool_aws.model.refs import ChunkRef

QUEUE = "arn:aws:sqs:us-east-1:123456789012:done"
TOPIC = "arn:aws:sns:us-east-1:123456789012:done"


def expiries_of(cloud: LocalCloud, work_id: str) -> dict[Part, int | None]:
    """The time to live of the first chunk of each part that has one."""
    found = {
        part: table_of(cloud).get(ChunkRef("default", WorkId(work_id), part, 0)) for part in Part
    }
    return {part: chunk.expires_at for part, chunk in found.items() if isinstance(chunk, Chunk)}


@pytest.mark.parametrize("decorated", [True, False], ids=["decorated", "undecorated"])
@pytest.mark.parametrize(
    ("context", "result"), [(5_000, 17_000), (400_000, 500_000), (900_000, 10), (10, 900_000)]
)
def test_context_and_result_arrive_whole_and_expire_with_their_work(
    cloud: LocalCloud, decorated: bool, context: int, result: int
) -> None:
    """[WP-8, WP-10]"""
    pool = cloud.workpool()
    told: list[tuple[object, object]] = []

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        told.append((event.context, event.result.return_value))

    def plain(event: dict[str, Any], _: object) -> None:
        told.append((event["context"], event["result"]["return_value"]))

    target = cloud.function(ended if decorated else plain, name="ended")
    fn = cloud.function(pool.action(lambda text: "r" * result), name="make")

    work_id = pool.enqueue_action(
        None, fn, {"text": "a" * 5_000}, on_complete=target, context="c" * context
    )
    cloud.run_until_idle()

    assert told == [("c" * context, "r" * result)]
    assert pool.status(None, work_id).callback == "delivered"
    expiries = expiries_of(cloud, work_id)
    assert Part.ARGS in expiries
    assert None not in expiries.values()


def test_callback_of_canceled_work_has_its_large_context(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=0)
    told: list[object] = []
    target = cloud.function(lambda event, _: told.append(event["context"]), name="ended")
    fn = cloud.function(pool.action(lambda: None), name="make")

    work_id = pool.enqueue_action(None, fn, {}, on_complete=target, context="c" * 800_000)
    assert pool.cancel(None, work_id) == "canceled"
    cloud.run_until_idle()

    assert told == ["c" * 800_000]
    assert None not in expiries_of(cloud, work_id).values()


def test_outcome_without_callback_lets_context_expire(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    target = cloud.function(lambda event, _: None, name="ended")
    fn = cloud.function(pool.action(lambda: "r" * 20_000), name="make")

    work_id = pool.enqueue_action(
        None, fn, {}, on_complete=target, context="c" * 5_000, on_complete_exclude=["success"]
    )
    cloud.run_until_idle()

    assert pool.status(None, work_id).callback is None
    assert set(expiries_of(cloud, work_id)) == {Part.CONTEXT, Part.RESULT}
    assert None not in expiries_of(cloud, work_id).values()


TOO_LARGE = [("ended", 500_000), (QUEUE, 500_000), (TOPIC, 100_000)]


@pytest.mark.parametrize(("target", "context"), TOO_LARGE, ids=["function", "queue", "topic"])
def test_callback_too_large_for_its_target_is_dead_and_harms_no_other(
    cloud: LocalCloud, target: str, context: int
) -> None:
    """[WP-8, WP-10, WP-12] Known to be hopeless at once, and kept for people."""
    pool = cloud.workpool()
    cloud.function(lambda event, _: None, name="ended")
    fn = cloud.function(pool.action(lambda n: "r" * n), name="make")

    large = pool.enqueue_action(None, fn, {"n": 600_000}, on_complete=target, context="c" * context)
    small = pool.enqueue_action(None, fn, {"n": 10}, on_complete=target, context="c")
    cloud.run_until_idle()

    assert [pool.status(None, work_id).callback for work_id in (large, small)] == [
        "dead",
        "delivered",
    ]
    assert pool.result(None, large).return_value == "r" * 600_000
    assert expiries_of(cloud, large) == {Part.CONTEXT: None, Part.RESULT: None}


def test_callback_whose_context_was_removed_is_dead(cloud: LocalCloud) -> None:
    """[WP-12]"""
    pool = cloud.workpool()
    told: list[object] = []
    target = cloud.function(lambda event, _: told.append(event), name="ended")
    fn = cloud.function(pool.action(lambda: 1), name="make")

    work_id = pool.enqueue_action(None, fn, {}, on_complete=target, context="c" * 400_000)
    table_of(cloud).delete(ChunkRef("default", work_id, Part.CONTEXT, 1))
    cloud.run_until_idle()

    assert (told, pool.status(None, work_id).callback, pool.result(None, work_id).return_value) == (
        [],
        "dead",
        1,
    )

"""The earliest due work item starts first, however it came to be due then: retried, put back, redriven, pointed at late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.kit.records import NOW, TARGET, a_work, an_id
from tests.kit.stage import NOT_DELIVERED, Stage
from workpool_aws import RetryLater, RetryPolicy
from workpool_aws.core.loop.admit import Headroom
from workpool_aws.core.loop.choose import Found, WorkRead, choose
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import WorkId
from workpool_aws.model.messages import Assignment

AT_ONCE = RetryPolicy(max_attempts=3, initial_backoff=timedelta(0), base=2)


def _fail() -> None:
    raise RuntimeError("first attempt")


def _later() -> None:
    raise RetryLater(timedelta(0))


@pytest.mark.parametrize("end", [_fail, _later])
def test_retried_work_item_starts_after_those_that_were_due_earlier(
    end: Callable[[], None],
) -> None:
    """[WP-1] Its own row lies before theirs, and is what the read meets first."""
    seen: list[int] = []

    def work(event: dict[str, int], _: object) -> None:
        seen.append(event["n"])
        if seen.count(0) == 1 and event["n"] == 0:
            end()

    with LocalCloud(clock="virtual", engine="memory") as cloud:
        fn = cloud.function(work, name="work")
        pool = cloud.workpool(max_parallelism=1)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(4)], retry=AT_ONCE)
        cloud.run_until_idle()

    assert seen == [0, 1, 2, 3, 0]


def test_retried_work_items_hide_none_that_was_due_earlier() -> None:
    """[WP-1] A read ends after a few rows: those that were left behind must not fill it."""
    seen: list[int] = []

    def work(event: dict[str, int], _: object) -> None:
        seen.append(event["n"])
        if event["n"] < 6 and seen.count(event["n"]) == 1:
            raise RuntimeError("first attempt")

    with LocalCloud(clock="virtual", engine="memory") as cloud:
        fn = cloud.function(work, name="work")
        pool = cloud.workpool(max_parallelism=1)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)], retry=AT_ONCE)
        cloud.run_until_idle()

    assert seen == [*range(12), *range(6)]


def test_work_item_that_was_put_back_starts_at_its_new_due_time() -> None:
    """[WP-1] No attempt was spent, and it still waits for its turn."""
    stage = Stage(takes_ms=None)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 4)
    seen: list[str] = []

    def started(a: Assignment) -> None:
        seen.append(a.work_id)
        again = a.work_id == ids[0] and seen.count(ids[0]) == 1
        stage.after(10, lambda: stage.complete(a, NOT_DELIVERED) if again else stage.complete(a))

    stage.invoker.on_start = started
    stage.run()

    assert [ids.index(WorkId(each)) for each in seen] == [0, 1, 2, 3, 0]


def test_work_item_whose_pointer_was_written_late_keeps_its_turn() -> None:
    """[WP-1] Its pointer lies behind work items that are due later than it."""
    late = a_work(id=an_id(NOW - 9_000, 1), due_at=NOW - 9_000)
    pointed = Found(an_id(NOW, 2), late)
    others = tuple(
        Found(each.id, each)
        for each in (a_work(id=an_id(NOW - ms, ms), due_at=NOW - ms) for ms in (900, 800))
    )
    choice = choose([WorkRead((*others, pointed), None, ())], Headroom(1))

    assert choice.chosen == (pointed,)
    assert choice.left == others


def test_moved_work_item_whose_pointer_is_gone_is_found_by_hourly_look() -> None:
    """[WP-3] Nothing else leads to it: passes go by the pointer alone."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    moved = a_work(id=an_id(stage.clock.at - 600_000, 1), due_at=stage.clock.at - 400_000, starts=1)
    stage.place(moved)
    stage.run(7_200_000, watchdog=True)

    assert stage.work(moved.id).finished_at is not None

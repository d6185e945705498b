"""`quick_start=True`, as a user meets it [WP-44]: who starts what, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import RateLimit, Result, UsageError, Workpool
from workpool_aws.local import LocalCloud

CALL = timedelta(milliseconds=5)
ONE_CALL = timedelta(milliseconds=9)
"""More than the invoke by a caller takes, and less than a loop needs."""


def waited(cloud: LocalCloud, enqueue: Callable[[], object], function_arn: str) -> timedelta:
    """From the enqueue to the first line of the function, in a pool that has rested before."""
    asked_at = cloud.now
    enqueue()
    cloud.run_until_idle()
    return cloud.invocations(function_arn)[-1].started_at - asked_at


@pytest.mark.parametrize("quick", [True, False])
def test_quick_start_does_not_wait_for_loop(
    answer: Callable[[Workpool, str], Result], *, quick: bool
) -> None:
    with LocalCloud(call_latency=CALL) as cloud:
        pool = cloud.workpool("thumbnails", quick_start=quick)

        @pool.action
        def resize(name: str) -> str:
            return name

        resize_arn = cloud.function(resize)
        resize.enqueue(None, "first")
        cloud.run_until_idle()
        ids: list[str] = []
        took = waited(cloud, lambda: ids.append(resize.enqueue(None, "second")), resize_arn)

        assert (took < ONE_CALL) == quick
        assert answer(pool, ids[0]).return_value == "second"
        assert len(cloud.invocations(resize_arn)) == 2


def test_batch_never_exceeds_limit_and_runs_each_once() -> None:
    """[WP-1]"""
    with LocalCloud(call_latency=CALL) as cloud:
        pool = cloud.workpool("thumbnails", max_parallelism=3, quick_start=True)

        @pool.action
        def resize(n: int) -> int:
            return n

        cloud.function(resize, takes=timedelta(seconds=2))
        resize.enqueue(None, 0)
        cloud.run_until_idle()
        ids = resize.enqueue_batch(None, [{"n": n} for n in range(40)])
        cloud.run_until_idle()

        assert cloud.max_concurrency(resize) == 3
        results = [pool.result(None, work_id) for work_id in ids]
        assert [each and each.return_value for each in results] == list(range(40))


@pytest.mark.parametrize(
    "options",
    [
        {"run_after": timedelta(seconds=5)},
        {"unique_key": "k"},
        {"large": True},
        {"plain": True},
        {"rate_limit": RateLimit(5, per=timedelta(seconds=1))},
        {"paused": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_everything_else_waits_for_loop(options: dict[str, object]) -> None:
    with LocalCloud(call_latency=CALL) as cloud:
        rate = options.pop("rate_limit", None)
        pool = cloud.workpool("thumbnails", quick_start=True, rate_limit=rate)
        large, plain, paused = (options.pop(each, False) for each in ("large", "plain", "paused"))

        def resize(event: object, context: object) -> None:
            pass

        @pool.action
        def decorated(pad: str) -> None:
            pass

        plain_arn, arn = cloud.function(resize), cloud.function(decorated)
        pool.enqueue_action(None, arn, {"pad": ""})
        cloud.run_until_idle()
        if paused:
            pool.configure(None, paused=True)
            cloud.run_until_idle()
        target = plain_arn if plain else arn
        args = {"pad": "x" * 5_000 if large else ""}
        asked_at, runs = cloud.now, len(cloud.invocations(target))
        pool.enqueue_action(None, target, args, **options)
        cloud.advance(ONE_CALL)
        assert len(cloud.invocations(target)) == runs
        pool.configure(None, paused=False)
        cloud.run_until_idle()
        assert len(cloud.invocations(target)) == runs + 1
        assert cloud.invocations(target)[-1].started_at - asked_at > ONE_CALL


def test_running_loop_starts_what_comes_meanwhile() -> None:
    with LocalCloud(call_latency=CALL) as cloud:
        pool = cloud.workpool("thumbnails", quick_start=True)

        @pool.action
        def resize(n: int) -> None:
            pass

        resize_arn = cloud.function(resize, takes=timedelta(seconds=1))
        for n in range(3):
            resize.enqueue(None, n)
            cloud.advance(timedelta(milliseconds=400))
        cloud.run_until_idle()
        assert len(cloud.invocations(resize_arn)) == 3
        assert len(cloud.invocations(cloud.loop_arn)) <= 3


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_quick_start_is_true_or_false(value: object) -> None:
    options: dict[str, Any] = {"quick_start": value}
    with pytest.raises(UsageError, match="quick_start must be True or False"):
        Workpool("jobs", "thumbnails", **options)

"""Runs of short work items: one invocation, one slot, and each work item as if it were alone [WP-30]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import RetryPolicy, Work, Workpool
from workpool_aws.adapters.wire.assignment import run_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud

SHORT = timedelta(milliseconds=100)
RETRY = RetryPolicy(max_attempts=3, initial_backoff=timedelta(milliseconds=250), jitter=False)


class Function:
    """A decorated worker that notes how many starts each of its invocations has."""

    __workpool__ = True

    def __init__(self, worker: Callable[[Any, Any], object]) -> None:
        self._worker = worker
        self.starts: list[int] = []

    def __call__(self, event: Any, context: Any) -> object:
        run = run_from_wire(event[WORKPOOL_KEY])
        self.starts.append(1 if run is None else len(run))
        return self._worker(event, context)


@pytest.fixture
def cloud() -> Any:
    with LocalCloud(seed=4, call_latency=timedelta(milliseconds=5)) as cloud:
        yield cloud


def deployed(
    cloud: LocalCloud,
    body: Callable[..., object],
    *,
    takes: Callable[[Any], timedelta] = lambda _event: SHORT,
    timeout: timedelta = timedelta(seconds=30),
) -> Function:
    function = Function(Workpool("short").action(body))
    cloud.function(function, name="short", takes=takes, timeout=timeout)
    return function


def enqueued(cloud: LocalCloud, count: int, *, limit: int = 2, retry: Any = RETRY) -> list[str]:
    """Enqueue numbered work items, and let all of them end."""
    pool = cloud.workpool("short", max_parallelism=limit)
    args = [{"number": number} for number in range(count)]
    ids = pool.enqueue_action_batch(None, "short", args, retry=retry)
    cloud.run_until_idle()
    return [str(each) for each in ids]


def ends(cloud: LocalCloud, ids: list[str]) -> Counter[str | None]:
    pool = cloud.workpool("short")
    return Counter(each.outcome for each in pool.status_batch(None, ids))


def test_short_work_items_share_invocations_and_each_runs_once(cloud: LocalCloud) -> None:
    """[WP-30] [WP-1]"""
    met: Counter[int] = Counter()

    def body(number: int, work: Work) -> int:
        met[number] += 1
        assert work.attempt == 1
        return number

    function = deployed(cloud, body)
    ids = enqueued(cloud, 60)

    pool = cloud.workpool("short")
    assert [pool.result(None, each).return_value for each in ids] == list(range(60))
    assert met == Counter(range(60))
    assert max(function.starts) > 4
    assert len(function.starts) < 30
    assert cloud.max_concurrency("short") == 2


def test_jobs_that_take_half_second_start_alone(cloud: LocalCloud) -> None:
    function = deployed(cloud, lambda number: number, takes=lambda _event: 5 * SHORT)
    enqueued(cloud, 20)

    assert set(function.starts) == {1}


@pytest.mark.parametrize(("value", "runs"), [("0", False), ("no", False), ("1", True), ("", True)])
def test_variable_of_function_keeps_it_from_runs(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, value: str, runs: bool
) -> None:
    monkeypatch.setenv("WORKPOOL_RUNS", value)
    function = deployed(cloud, lambda number: number)
    enqueued(cloud, 20)

    assert (max(function.starts) > 1) is runs


@pytest.mark.parametrize(("limit", "runs"), [(2, True), (3, False)])
def test_large_pools_make_no_runs(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, limit: int, runs: bool
) -> None:
    """Runs outlive their time where the table bounds them."""
    monkeypatch.setattr(limits, "RUN_LIMIT_MAX", 2)
    function = deployed(cloud, lambda number: number)
    enqueued(cloud, 30, limit=limit)

    assert (max(function.starts) > 1) is runs


def test_run_leaves_each_start_most_of_timeout_of_function(cloud: LocalCloud) -> None:
    """A run of a function of three seconds takes 300 ms."""
    function = deployed(cloud, lambda number: number, timeout=timedelta(seconds=3))
    enqueued(cloud, 40)

    assert max(function.starts) == 2


def test_failures_and_retries_in_runs_are_those_of_their_own_work_item(cloud: LocalCloud) -> None:
    """[WP-5]"""
    met: Counter[int] = Counter()

    def body(number: int) -> int:
        met[number] += 1
        if number % 5 == 0 and met[number] == 1:
            raise ValueError("the user's own")
        if number == 31:
            raise TypeError("always")
        return number

    function = deployed(cloud, body)
    ids = enqueued(cloud, 60)

    assert max(function.starts) > 4
    assert ends(cloud, ids) == {"success": 59, "failed": 1}
    again = dict.fromkeys(range(0, 60, 5), 2) | {31: 3}
    assert met == Counter(range(60)) | Counter(again)


def test_process_that_dies_in_run_ends_one_attempt_and_spoils_no_other(cloud: LocalCloud) -> None:
    """[WP-30] [WP-29] What the run had not reached is started again without an attempt spent."""
    attempts: dict[int, list[int]] = {}

    def body(number: int, work: Work) -> int:
        attempts.setdefault(number, []).append(work.attempt)
        if number == 40 and work.attempt == 1:
            raise SystemExit(1)
        return number

    function = deployed(cloud, body)
    ids = enqueued(cloud, 60)

    assert max(function.starts) > 4
    assert ends(cloud, ids) == {"success": 60}
    assert attempts == {number: [1] for number in range(60)} | {40: [1, 2]}


def test_work_item_that_turns_out_long_does_not_hold_others_of_its_run(cloud: LocalCloud) -> None:
    """[WP-30] The loop takes back what the run has not reached within seconds."""
    began: dict[int, Any] = {}

    def takes(event: Any) -> timedelta:
        began[event["number"]] = cloud.now
        return timedelta(seconds=25) if event["number"] == 40 else SHORT

    function = deployed(cloud, lambda number: number, takes=takes)
    ids = enqueued(cloud, 60)

    assert max(function.starts) > 4
    assert ends(cloud, ids) == {"success": 60}
    others = [at for number, at in began.items() if number != 40]
    assert max(others) - began[40] < timedelta(seconds=8)
    assert cloud.max_concurrency("short") == 2


def test_canceled_work_item_is_passed_over_by_its_run(cloud: LocalCloud) -> None:
    """[WP-7] [WP-30] Its entry goes, and the others run."""
    pool = cloud.workpool("short", max_parallelism=1)
    met: list[int] = []
    ids: list[Any] = []

    def body(number: int) -> int:
        met.append(number)
        if number == 20:
            assert pool.cancel(None, ids[21]) == "canceled"
        return number

    function = deployed(cloud, body)
    args = [{"number": number} for number in range(40)]
    ids += pool.enqueue_action_batch(None, "short", args, retry=RETRY)
    cloud.run_until_idle()

    assert max(function.starts) > 4
    assert sorted(met) == [number for number in range(40) if number != 21]
    assert ends(cloud, [str(each) for each in ids]) == {"success": 39, "canceled": 1}


@pytest.mark.parametrize("due_later", [False, True])
def test_work_item_that_is_replaced_while_it_waits_in_its_run_starts_alone(
    cloud: LocalCloud, due_later: bool
) -> None:
    """[WP-23] It kept the slot of its run for ever, without a start."""
    pool = cloud.workpool("short", max_parallelism=1)
    met: list[int] = []
    keyed: dict[str, Any] = {"unique_key": "k", "on_conflict": "replace"}

    def body(number: int) -> int:
        met.append(number)
        if number == 8:
            after = timedelta(seconds=1) if due_later else None
            pool.enqueue_action(None, "short", {"number": 200}, run_after=after, **keyed)
        return number

    function = deployed(cloud, body)
    first = [{"number": number} for number in range(8)]
    ids: list[Any] = pool.enqueue_action_batch(None, "short", first)
    cloud.advance(timedelta(seconds=1))
    warm = len(function.starts)
    args = [{"number": number} for number in range(8, 14)]
    ids += pool.enqueue_action_batch(None, "short", args[:3])
    ids += [pool.enqueue_action(None, "short", {"number": 100}, **keyed)]
    ids += pool.enqueue_action_batch(None, "short", args[3:])
    cloud.advance(timedelta(minutes=1))

    assert max(function.starts[warm:]) > 4
    assert sorted(met) == [*range(14), 200]
    assert ends(cloud, [str(each) for each in ids]) == {"success": 15}


def test_run_costs_less_than_three_and_half_units_a_work_item(cloud: LocalCloud) -> None:
    """Enqueue, start and end are a unit each; notices and commits are shared."""
    deployed(cloud, lambda number: number)
    enqueued(cloud, 20)
    before = cloud.capacity
    enqueued(cloud, 150, limit=4)

    spent = cloud.capacity
    assert (spent.write_units - before.write_units) / 150 < 3.3
    assert (spent.read_units - before.read_units) / 150 < 1.9


def test_burst_whose_jobs_are_known_is_in_runs_at_once_and_ends_on_all_slots(
    cloud: LocalCloud,
) -> None:
    function = deployed(cloud, lambda number: number)
    pool = cloud.workpool("short", max_parallelism=2)
    pool.enqueue_action_batch(None, "short", [{"number": number} for number in range(8)])
    cloud.advance(timedelta(seconds=1))
    warm = len(function.starts)
    ids = pool.enqueue_action_batch(None, "short", [{"number": number} for number in range(18)])
    cloud.advance(timedelta(seconds=2))

    assert ends(cloud, [str(each) for each in ids]) == {"success": 18}
    assert sorted(function.starts[warm:]) == [9, 9]

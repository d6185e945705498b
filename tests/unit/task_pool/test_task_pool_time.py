"""Time that runs out: what is still started, canceled, waited for, and what is said of the rest."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate, failures_of, wait_for_drains
from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool, TasksFailed, UsageError
from workpool_aws.errors import TaskCanceled, TaskNotStarted, TaskStillRunning
from workpool_aws.executor.deadline import Phase, TimeLeft, time_left


@pytest.mark.parametrize(
    ("context_ms", "limit_ms", "phase", "ends_in_ms"),
    [
        (None, None, Phase.OPEN, None),
        (5_000, None, Phase.OPEN, 4_000),
        (1_001, None, Phase.OPEN, 1),
        (1_000, None, Phase.CLOSING, 500),
        (500, None, Phase.CANCELING, 250),
        (251, None, Phase.CANCELING, 1),
        (250, None, Phase.OVER, None),
        (0, None, Phase.OVER, None),
        (None, 10, Phase.OPEN, 10),
        (None, 0, Phase.CLOSING, 500),
        (None, -500, Phase.CANCELING, 250),
        (None, -750, Phase.OVER, None),
        (5_000, 100, Phase.OPEN, 100),
        (1_050, 100, Phase.OPEN, 50),
        (900, 100, Phase.CLOSING, 400),
    ],
)
def test_phases_follow_from_time_left_with_reserve_of_second(
    context_ms, limit_ms, phase, ends_in_ms
):
    assert time_left(context_ms=context_ms, limit_ms=limit_ms, reserve_ms=1_000) == TimeLeft(
        phase, ends_in_ms
    )


def test_pool_without_reserve_ends_at_once():
    assert time_left(context_ms=1, limit_ms=None, reserve_ms=0) == TimeLeft(Phase.OPEN, 1)
    assert time_left(context_ms=0, limit_ms=None, reserve_ms=0) == TimeLeft(Phase.OVER, None)


@pytest.mark.peer("TP08")
def test_near_end_no_task_is_started_and_each_is_reported():
    clock, ran = LambdaContext(), []
    pool = TaskPool(max_workers=1)
    pool.follow(clock)

    def last():
        ran.append("last")
        clock.left_ms = 900

    pool.add(
        partial(ran.append, "first"),
        last,
        partial(ran.append, "too late"),
        partial(ran.append, "as well"),
    )
    raised = failures_of(pool.drain)
    assert ran == ["first", "last"]
    assert [type(error) for error in raised] == [TaskNotStarted] * 2
    assert str(raised[0]) == "no time was left to start it: it did not run"
    assert (pool.stats().completed, pool.stats().given_up, pool.stats().queued) == (2, 2, 0)
    pool.done()


def test_on_error_gets_what_was_not_started():
    told, clock = [], LambdaContext(0)
    pool = TaskPool(on_error=told.append)
    pool.follow(clock)
    task = partial(print, "never")
    pool.add(task)
    pool.drain()
    assert [(failure.task, type(failure.error)) for failure in told] == [(task, TaskNotStarted)]
    pool.done()


def test_task_added_after_end_is_not_started():
    pool = TaskPool()
    pool.follow(LambdaContext(10))
    pool.add(int)
    assert len(failures_of(pool.drain)) == 1
    pool.follow(LambdaContext(10))
    pool.add(int)
    assert len(failures_of(pool.done)) == 1


def test_drain_gives_up_what_is_queued_while_every_worker_is_busy():
    clock, gate = LambdaContext(1_005), Gate()
    pool = TaskPool(max_workers=1)
    pool.add(gate)
    gate.wait_begun()
    pool.add(int)
    caller = Caller(partial(pool.drain, clock))
    wait_for_drains(pool, 1)
    clock.left_ms = 700
    for _ in range(
        10_000_000
    ):  # the drain looks again when the phase that it saw should have ended
        if pool.stats().given_up:
            break
    clock.left_ms = 60_000
    gate.open.set()
    error = caller.result()
    assert isinstance(error, TasksFailed)
    assert [type(one) for one in error.exceptions] == [TaskNotStarted]
    assert pool.stats().completed == 1
    pool.done()


def test_drain_returns_when_time_is_over_and_names_what_still_runs():
    gate = Gate()
    pool = TaskPool(max_workers=1, name="left-alone")
    pool.add(gate, int)
    gate.wait_begun()
    raised = failures_of(partial(pool.drain, LambdaContext(200)))
    assert sorted(type(error).__name__ for error in raised) == [
        "TaskNotStarted",
        "TaskStillRunning",
    ]
    assert pool.stats().running == 1
    gate.open.set()
    pool.done()
    assert pool.stats().completed == 1


def test_drain_whose_time_is_over_names_only_what_it_waited_for():
    clock, mine, others = LambdaContext(1_005), Gate(), Gate()
    pool = TaskPool(max_workers=2)
    pool.add(mine)
    mine.wait_begun()
    caller = Caller(partial(pool.drain, clock))
    wait_for_drains(pool, 1)
    pool.add(others)
    others.wait_begun()
    clock.left_ms = 0
    error = caller.result()
    assert isinstance(error, TasksFailed)
    assert [type(one) for one in error.exceptions] == [TaskStillRunning]
    mine.open.set()
    others.open.set()
    pool.done()


def test_next_drain_waits_for_running_tasks_and_reports_their_failures():
    gate = Gate()

    def task():
        gate()
        raise ValueError("late")

    pool = TaskPool()
    pool.add(task)
    gate.wait_begun()
    (first,) = failures_of(partial(pool.drain, LambdaContext(0)))
    assert isinstance(first, TaskStillRunning)
    gate.open.set()
    (second,) = failures_of(pool.done)
    assert str(second) == "late"


def test_done_does_not_wait_for_thread_whose_task_never_ends():
    gate = Gate()
    pool = TaskPool(max_workers=2, idle_timeout=None, name="not-waited-for")
    pool.add(gate, int)
    gate.wait_begun()
    assert [type(error) for error in failures_of(partial(pool.done, LambdaContext(0)))][
        -1
    ] is TaskStillRunning
    (left,) = [
        thread for thread in threading.enumerate() if thread.name.startswith("not-waited-for")
    ]
    gate.open.set()
    left.join(WAIT_S)
    assert not left.is_alive()


def test_drain_waits_for_what_another_thread_is_just_giving_up_though_time_is_over():
    stuck, telling, events = Gate(), Gate(), []

    def on_error(failure):
        if isinstance(failure.error, TaskNotStarted):
            telling()
        events.append(type(failure.error).__name__)

    pool = TaskPool(max_workers=2, on_error=on_error)
    pool.add(stuck)
    stuck.wait_begun()
    pool.follow(LambdaContext(0))
    pool.add(int)
    telling.wait_begun()
    caller = Caller(lambda: (pool.drain(), events.append("drained")))
    wait_for_drains(pool, 1)
    telling.open.set()
    assert caller.result() is None
    assert events == ["TaskNotStarted", "TaskStillRunning", "drained"]
    stuck.open.set()
    pool.done()


def test_coroutines_are_canceled_when_half_of_reserve_is_left():
    begun, told = threading.Event(), []

    async def coroutine():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cleaned up")

    pool = TaskPool()
    pool.add(coroutine)
    assert begun.wait(WAIT_S)
    # Time stands still within the phase, so that nothing but the cancellation can end it.
    (error,) = failures_of(partial(pool.drain, LambdaContext(400)))
    assert isinstance(error, TaskCanceled)
    assert told == ["cleaned up"]
    assert pool.stats().failed == 1
    ran = []

    async def after():
        ran.append(await asyncio.sleep(0, "not canceled"))

    pool.add(after)
    pool.done()
    assert ran == ["not canceled"]


def test_thread_at_rest_is_not_canceled_so_that_its_next_coroutine_runs():
    begun, both, ran = threading.Event(), threading.Barrier(2), []

    async def never_ends():
        begun.set()
        await asyncio.Event().wait()

    async def after():
        both.wait(WAIT_S)  # so that each of the two threads takes one
        ran.append(await asyncio.sleep(0, "not canceled"))

    pool = TaskPool(max_workers=2, idle_timeout=None)
    pool.add(partial(both.wait, WAIT_S), partial(both.wait, WAIT_S))
    pool.drain()
    pool.add(never_ends)
    assert begun.wait(WAIT_S)
    (error,) = failures_of(partial(pool.drain, LambdaContext(400)))
    assert isinstance(error, TaskCanceled)

    pool.add(after, after)
    pool.done()

    assert ran == ["not canceled"] * 2


def test_coroutine_is_canceled_once_so_that_it_can_clean_up():
    begun, cleaning, told = threading.Event(), Gate(), []

    async def coroutine():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(cleaning)
            told.append("cleaned up")

    pool = TaskPool()
    pool.add(coroutine)
    assert begun.wait(WAIT_S)
    callers = [Caller(partial(pool.drain, LambdaContext(400)))]
    cleaning.wait_begun()
    callers.append(Caller(partial(pool.drain, LambdaContext(400))))
    wait_for_drains(pool, 2)
    assert pool.stats().running == 1  # and the second drain has looked, too: it held the lock
    cleaning.open.set()
    assert [type(caller.result()) for caller in callers] == [TasksFailed] * 2
    assert told == ["cleaned up"]
    pool.done()


def test_coroutine_that_has_not_reached_its_loop_is_canceled_as_well():
    gate, told = Gate(), []

    async def coroutine():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("canceled")
            raise

    def make():
        gate()
        return coroutine()

    pool = TaskPool()
    pool.add(make)
    gate.wait_begun()
    assert [type(error) for error in failures_of(partial(pool.drain, LambdaContext(0)))] == [
        TaskStillRunning
    ]
    gate.open.set()
    assert [type(error) for error in failures_of(pool.done)] == [TaskCanceled]
    assert told == ["canceled"]


def test_coroutine_may_answer_cancellation_with_success():
    begun = threading.Event()

    async def coroutine():
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    pool = TaskPool()
    pool.add(coroutine)
    assert begun.wait(WAIT_S)
    pool.drain(LambdaContext(400))
    assert pool.stats().completed == 1
    pool.done()


def test_invocation_is_followed_until_drain_ends():
    clock, ran = LambdaContext(), []
    pool = TaskPool()
    pool.follow(clock)
    pool.add(int)
    pool.drain()
    clock.left_ms = 0
    pool.add(partial(ran.append, 1))
    pool.done()
    assert ran == [1]


def test_something_that_tells_no_time_cannot_be_followed():
    with TaskPool() as pool, pytest.raises(UsageError, match="context"):
        pool.follow(object())


def test_on_error_cannot_wait_for_pool_that_gives_up_its_task():
    pool = TaskPool(on_error=lambda failure: pool.drain())
    pool.follow(LambdaContext(0))
    gate = Gate()
    raised = failures_of(lambda: (pool.add(gate), pool.drain()))
    assert sorted(type(error).__name__ for error in raised) == ["TaskNotStarted", "UsageError"]
    pool.done()


class StepClock:
    """A stopwatch that the test moves."""

    def __init__(self):
        self.ms = 0.0

    def __call__(self):
        return self.ms


@pytest.fixture
def stopwatch(monkeypatch):
    clock = StepClock()
    monkeypatch.setattr("workpool_aws.task_pool.pool.stopwatch_ms", clock)
    return clock


def test_limit_of_pool_counts_from_its_first_task_at_rest(stopwatch):
    ran = []
    pool = TaskPool(max_workers=1, runtime_limit=10, reserve=1)

    def pass_by(ms):
        stopwatch.ms += ms
        ran.append(ms)

    stopwatch.ms = 100_000  # at rest, which does not count
    pool.add(partial(pass_by, 9_999), partial(pass_by, 1), partial(pass_by, 5))
    assert [type(error) for error in failures_of(pool.drain)] == [TaskNotStarted]
    assert ran == [9_999, 1]
    pool.add(partial(pass_by, 2))
    pool.drain()
    assert ran == [9_999, 1, 2]
    pool.done()


def test_limit_that_was_over_once_counts_anew_though_task_never_ended(stopwatch):
    gate, ran = Gate(), []
    pool = TaskPool(max_workers=2, runtime_limit=10, reserve=0)
    pool.add(gate)
    gate.wait_begun()
    stopwatch.ms = 11_000
    assert [type(error) for error in failures_of(pool.drain)] == [TaskStillRunning]
    pool.add(partial(ran.append, 1))
    gate.open.set()
    pool.done()
    assert ran == [1]


def test_thread_at_rest_does_not_count_as_running_when_time_is_over(stopwatch):
    gate, both = Gate(), threading.Barrier(2)
    pool = TaskPool(max_workers=2, runtime_limit=10, reserve=0, idle_timeout=None)
    pool.add(both.wait, both.wait)
    pool.drain()
    pool.add(gate)
    gate.wait_begun()
    stopwatch.ms += 11_000
    assert [type(error) for error in failures_of(pool.drain)] == [TaskStillRunning]
    pool.add(int)  # time counts from here again
    gate.open.set()
    pool.done()


@pytest.mark.parametrize(("left_ms", "ran"), [(1_001, [1]), (1_000, [])])
def test_last_second_of_invocation_starts_nothing(left_ms, ran):
    done = []
    with TaskPool(max_workers=1, on_error=lambda _: None) as pool:
        pool.follow(LambdaContext(left_ms))
        pool.add(partial(done.append, 1))
        pool.drain()
        assert done == ran

"""Runs of tasks: limit, order, contexts, coroutines, threads that come and go."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate
from workpool_aws import TaskPool, TasksFailed, UsageError
from workpool_aws.errors import TaskNotStarted, TaskPoolClosed
from workpool_aws.executor.threads import WorkerThread

NAME: ContextVar[str] = ContextVar("name", default="nobody's")


def threads_of(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_every_task_runs_once():
    ran = []
    with TaskPool(max_workers=3) as pool:
        pool.add(*[partial(ran.append, n) for n in range(50)])
        for n in range(50, 100):
            pool.add(partial(ran.append, n))
    assert sorted(ran) == list(range(100))


@pytest.mark.peer("TP02")
def test_tasks_start_in_order_of_adding():
    ran = []
    with TaskPool(max_workers=1) as pool:
        pool.add(*[partial(ran.append, n) for n in range(10)])
        pool.add(partial(ran.append, 10))
        pool.add(partial(ran.append, 11), partial(ran.append, 12))
    assert ran == list(range(13))


@pytest.mark.peer("TP02")
def test_oldest_task_is_next_to_start_on_any_worker():
    gates = [Gate() for _ in range(5)]
    with TaskPool(max_workers=2) as pool:
        pool.add(*gates)
        gates[0].wait_begun()
        gates[1].wait_begun()
        for free, following in ((1, 2), (0, 3), (3, 4)):
            gates[free].open.set()
            gates[following].wait_begun()
            assert [gate.begun.is_set() for gate in gates[following + 1 :]] == [False] * (
                4 - following
            )
        for gate in gates:
            gate.open.set()


@pytest.mark.peer("TP01")
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_limit_is_used_and_not_exceeded(limit):
    everyone = threading.Barrier(limit)
    lock = threading.Lock()
    running, most = 0, 0

    def task():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        everyone.wait(
            WAIT_S
        )  # breaks, and fails the task, unless `limit` of them are here at one time
        with lock:
            running -= 1

    with TaskPool(max_workers=limit) as pool:
        pool.add(*[task] * (limit * 20))
    assert most == limit
    assert pool.stats().completed == limit * 20


@pytest.mark.peer("TP01")
def test_limit_holds_for_coroutines_and_callables_together():
    gates = [Gate() for _ in range(2)]
    begun = threading.Event()

    async def coroutine():
        begun.set()

    pool = TaskPool(max_workers=2)
    pool.add(*gates)
    pool.add(coroutine)
    gates[0].wait_begun()
    gates[1].wait_begun()
    assert (pool.stats().running, pool.stats().queued, begun.is_set()) == (2, 1, False)
    gates[0].open.set()
    assert begun.wait(WAIT_S)
    gates[1].open.set()
    pool.done()


def test_worker_that_rests_is_called_for_next_task():
    pool = TaskPool(max_workers=4, idle_timeout=None)
    seen = []
    for _ in range(5):
        pool.add(lambda: seen.append(threading.get_ident()))
        pool.drain()
    assert len(set(seen)) == 1
    assert pool.stats().workers == 1
    pool.done()


def test_threads_end_when_they_have_had_nothing_to_do_for_long_enough():
    pool = TaskPool(max_workers=3, idle_timeout=0, name="short-lived")
    gate = Gate()
    pool.add(gate)
    thread = threads_of("short-lived")[0]
    gate.open.set()
    thread.join(WAIT_S)
    assert (thread.is_alive(), pool.stats().workers) == (False, 0)
    ran = threading.Event()
    pool.add(ran.set)
    pool.done()
    assert ran.is_set()


class LateBell:
    """A bell that rings in the very moment after its listener stopped."""

    def __init__(self, late):
        self._lock = threading.Lock()
        self._late = late
        self.release, self.locked = self._lock.release, self._lock.locked

    def acquire(self, timeout=-1):
        rung = self._lock.acquire(timeout=timeout)
        if not rung and self._late:
            self._late.pop()()
        return rung


def test_worker_that_is_called_in_moment_after_it_stopped_listening_comes_and_listens_again(
    monkeypatch,
):
    silent, came = [], threading.Event()
    pool = TaskPool(max_workers=1, idle_timeout=0)
    bell = LateBell([lambda: pool.add(lambda: silent.append(bell.locked()), came.set)])
    monkeypatch.setattr("workpool_aws.executor.crew.WorkerThread", partial(WorkerThread, bell=bell))
    pool.add(int)
    assert came.wait(WAIT_S)
    pool.done()
    assert silent == [True]
    assert pool.stats().workers == 0


def test_done_leaves_no_thread_behind():
    pool = TaskPool(max_workers=5, idle_timeout=None, name="leaves-nothing")
    pool.add(*[Gate] * 20)
    pool.done()
    assert threads_of("leaves-nothing") == []
    assert pool.stats().workers == 0


def test_pool_without_task_has_no_thread():
    pool = TaskPool(name="empty")
    pool.add()
    pool.drain()
    assert threads_of("empty") == []
    pool.done()


def test_each_task_has_copy_of_context_in_which_it_was_added():
    seen = []

    def task(name):
        seen.append(NAME.get())
        NAME.set(name)

    async def coroutine():
        await asyncio.sleep(0)
        task("a coroutine's")

    with TaskPool(max_workers=1) as pool:
        NAME.set("the first's")
        pool.add(partial(task, "a task's"), partial(task, "another's"), coroutine, coroutine)
        NAME.set("the second's")
        pool.add(partial(task, "a third's"))
        pool.add(coroutine)
    assert seen == ["the first's"] * 4 + ["the second's"] * 2
    assert NAME.get() == "the second's"


def test_coroutine_functions_and_what_returns_awaitable_are_awaited():
    ended = []

    async def coroutine(name):
        await asyncio.sleep(0)
        ended.append(name)

    class Coroutine:
        async def __call__(self):
            await coroutine("an object")

    class Waiting:
        def __await__(self):
            return coroutine("an awaitable").__await__()

    with TaskPool(max_workers=1) as pool:
        pool.add(
            partial(coroutine, "a partial"), lambda: coroutine("a lambda"), Coroutine(), Waiting
        )
    assert ended == ["a partial", "a lambda", "an object", "an awaitable"]


def test_coroutines_run_at_one_time_up_to_limit():
    everyone = threading.Barrier(3)

    async def coroutine():
        await asyncio.to_thread(everyone.wait, WAIT_S)

    with TaskPool(max_workers=3) as pool:
        pool.add(*[coroutine] * 3)
    assert pool.stats().completed == 3


def test_event_loop_is_workers_own_and_not_left_behind():
    loops = []

    async def coroutine():
        loops.append(asyncio.get_running_loop())

    pool = TaskPool(max_workers=1, idle_timeout=None)
    pool.add(coroutine, coroutine)
    pool.drain()
    assert loops[0] is loops[1]
    assert not loops[0].is_closed()
    pool.done()
    assert loops[0].is_closed()


def test_tasks_left_by_coroutine_are_canceled_and_awaited_before_it_is_over():
    told = []

    async def forgotten():
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(3):  # it takes its time to clean up
                await asyncio.sleep(0)
            told.append("cleaned up")

    async def coroutine():
        task = asyncio.create_task(forgotten())
        await asyncio.sleep(0)
        told.append(task.done())

    with TaskPool() as pool:
        pool.add(coroutine)
        pool.drain()
        assert told == [False, "cleaned up"]


@pytest.mark.peer("TP04")
def test_task_may_add_tasks_and_drain_waits_for_them():
    ran = []
    pool = TaskPool(max_workers=2)

    def add(depth):
        ran.append(depth)
        if depth:
            pool.add(partial(add, depth - 1), partial(add, depth - 1))

    pool.add(partial(add, 5))
    pool.drain()
    assert sorted(ran) == sorted(depth for depth in range(6) for _ in range(2 ** (5 - depth)))
    pool.done()


def test_coroutine_may_add_tasks_while_pool_is_being_closed():
    ran = []
    pool = TaskPool(max_workers=1)

    async def coroutine():
        pool.add(partial(ran.append, "added"))

    gate = Gate()
    pool.add(gate, coroutine)
    gate.open.set()
    pool.done()
    assert ran == ["added"]


def test_statistics_count_what_is_where_and_how_long_it_took():
    gate, began = Gate(), time.monotonic()
    pool = TaskPool(max_workers=1)
    assert pool.stats().wait_ms_mean is pool.stats().run_ms_max is None
    pool.add(gate, int, partial(int, "x"))
    gate.wait_begun()
    now = pool.stats()
    assert (now.queued, now.running, now.completed, now.failed, now.workers) == (2, 1, 0, 0, 1)
    gate.open.set()
    with pytest.raises(TasksFailed):
        pool.drain()
    end = pool.stats()
    assert (end.queued, end.running, end.completed, end.failed, end.spilled, end.given_up) == (
        0,
        0,
        2,
        1,
        0,
        0,
    )
    assert end.wait_ms_max is not None
    assert end.wait_ms_mean is not None
    assert end.run_ms_max is not None
    assert end.run_ms_mean is not None
    spent_ms = (time.monotonic() - began) * 1000
    assert 0 < end.wait_ms_mean <= end.wait_ms_max <= spent_ms
    assert 0 < end.run_ms_mean <= end.run_ms_max <= spent_ms
    pool.done()


def test_task_is_let_go_of_when_it_is_over():
    pool = TaskPool(max_workers=1, idle_timeout=None)

    class Held:
        def __call__(self):
            return self

        def __del__(self):
            gone.set()

    gone = threading.Event()
    pool.add(Held())
    pool.drain()
    assert gone.wait(WAIT_S)
    pool.done()


def test_add_without_startable_thread_adds_nothing(monkeypatch):
    pool = TaskPool()
    ran = []

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.add(partial(ran.append, 1), partial(ran.append, 2))
    assert pool.stats().queued == 0
    pool.add(partial(ran.append, 3))
    pool.done()
    assert ran == [3]


def test_task_added_meanwhile_is_reported_where_no_thread_can_be_started(monkeypatch):
    pool, ran, start = TaskPool(), [], threading.Thread.start
    adds = [partial(pool.add, partial(ran.append, 2))]

    def refuse(thread):
        if isinstance(thread, Caller):
            return start(thread)
        if adds:  # the pool is being changed, so this add leaves its task to that change
            assert Caller(adds.pop()).result() is None
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            pool.add(partial(ran.append, 1))
    with pytest.raises(TasksFailed) as failed:
        pool.done()

    (error,) = failed.value.exceptions
    assert isinstance(error, TaskNotStarted)
    assert "cannot start a thread" in str(error)
    assert str(error.__cause__) == "can't start new thread"
    assert (pool.stats().given_up, pool.stats().spilled, ran) == (1, 0, [])


def test_fewer_threads_than_allowed_are_enough_when_no_more_can_be_started(monkeypatch):
    pool = TaskPool(max_workers=4)
    gate, ran = Gate(), []
    pool.add(gate)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        pool.add(partial(ran.append, 1))
    gate.open.set()
    pool.done()
    assert ran == [1]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_workers": 0}, "max_workers"),
        ({"max_workers": 501}, "max_workers"),
        ({"max_workers": True}, "max_workers"),
        ({"max_workers": 2.0}, "max_workers"),
        ({"runtime_limit": 0}, "runtime_limit"),
        ({"runtime_limit": timedelta(seconds=-1)}, "runtime_limit"),
        ({"idle_timeout": float("nan")}, "idle_timeout"),
        ({"idle_timeout": "1"}, "idle_timeout"),
        ({"reserve": -1}, "reserve"),
        ({"reserve": float("inf")}, "reserve"),
        ({"on_error": "log"}, "on_error"),
        ({"spill_to": object()}, "spill_to"),
    ],
)
def test_bad_options_are_refused(options, field):
    with pytest.raises(UsageError) as refused:
        TaskPool(**options)
    assert refused.value.field == field


def test_something_not_callable_is_refused_with_all_that_came_with_it():
    ran = []

    async def coroutine():
        ran.append("coroutine")

    made = coroutine()
    with TaskPool() as pool:
        with pytest.raises(UsageError, match="not called yet") as refused:
            pool.add(partial(ran.append, 1), made)
        assert refused.value.field == "tasks[1]"
    made.close()
    assert ran == []


@pytest.mark.peer("TP07")
def test_adding_after_done_is_error_and_adds_nothing():
    ran = []
    pool = TaskPool()
    pool.done()
    with pytest.raises(TaskPoolClosed):
        pool.add(partial(ran.append, 1))
    assert isinstance(TaskPoolClosed("x"), RuntimeError)
    assert (ran, pool.stats().queued, pool.is_closed) == ([], 0, True)


def test_idle_timeout_is_that_of_thread_at_rest(monkeypatch):
    listened, rested = [], threading.Event()

    class Bell(LateBell):
        def acquire(self, timeout=-1):
            listened.append(timeout)
            rested.set()
            return super().acquire(timeout=timeout)

    bell = partial(WorkerThread, bell=Bell([]))
    monkeypatch.setattr("workpool_aws.executor.crew.WorkerThread", bell)
    with TaskPool(max_workers=1, idle_timeout=30) as pool:
        pool.add(int)
        assert rested.wait(WAIT_S)
    assert set(listened) - {-1} == {30}

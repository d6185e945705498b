"""Tasks, contexts and moments at their worst: nothing hangs, and nothing is lost without a word."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import types
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from unittest.mock import MagicMock

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate, fail
from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool, TasksFailed, UsageError, with_task_pool
from workpool_aws.errors import TaskExited, TaskNotStarted, TaskStillRunning

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


def failures_of(call):
    """Return the error of a call, by a thread that is waited for in vain."""
    error = Caller(call).result()
    assert isinstance(error, TasksFailed)
    return error.exceptions


@dataclass(frozen=True)
class Frozen(Exception):
    """Refuses everything that is set on it, notes included."""

    number: int = 1


class Nameless(BaseException):
    def __repr__(self):
        raise LookupError


class Untold:
    """An object that does not want to be asked for its name."""

    def __getattr__(self, name):
        raise LookupError(name)

    def __call__(self):
        raise ValueError("its own")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: partial(fail, Frozen()), Frozen),
        (lambda: partial(fail, Nameless()), TaskExited),
        (Untold, ValueError),
    ],
)
def test_error_that_cannot_be_noted_shown_or_named_is_reported_like_any(make, kind):
    pool, ran = TaskPool(max_workers=1), []
    pool.add(make(), partial(ran.append, 1))
    assert [type(error) for error in failures_of(pool.drain)] == [kind]
    assert ran == [1]
    pool.done()


def test_raised_value_that_is_no_exception_is_shown_or_named_by_class():
    told = []
    pool = TaskPool(max_workers=1, on_error=lambda failure: told.append(failure.error))
    pool.add(
        partial(fail, Nameless()),
        partial(fail, SystemExit(3)),
        partial(fail, asyncio.CancelledError()),
    )
    pool.done()
    assert [str(error) for error in told] == [
        "the task raised Nameless: the process goes on",
        "the task raised SystemExit(3): the process goes on",
        "the coroutine was canceled",
    ]
    assert [type(error.__cause__) for error in told] == [
        Nameless,
        SystemExit,
        asyncio.CancelledError,
    ]


def test_on_error_may_raise_what_cannot_be_noted():
    pool = TaskPool(on_error=lambda failure: fail(Frozen(2)))
    pool.add(partial(fail, Frozen(1)))
    assert failures_of(pool.done) == (Frozen(1), Frozen(2))


def test_error_of_block_that_cannot_be_noted_goes_out_all_same():
    def use():
        with TaskPool() as pool:
            pool.add(partial(fail, ValueError()))
            raise Frozen

    with pytest.raises(Frozen):
        use()


def test_generator_function_is_reported_since_nothing_of_it_ran():
    ran = []

    def generator():
        ran.append(1)
        yield

    async def asynchronous():
        ran.append(2)
        yield

    pool = TaskPool(max_workers=1)
    pool.add(generator, asynchronous)
    raised = failures_of(pool.drain)
    assert [type(error) for error in raised] == [UsageError, UsageError]
    assert all("generator" in str(error) for error in raised)
    assert ran == []
    pool.done()


def test_generator_that_is_coroutine_is_awaited():
    ran = []

    @types.coroutine
    def coroutine():
        yield
        ran.append(1)

    with TaskPool() as pool:
        pool.add(coroutine)
    assert ran == [1]


@pytest.mark.parametrize("option", ["idle_timeout", "runtime_limit", "reserve"])
@pytest.mark.parametrize("forever", [timedelta.max, 1e300], ids=str)
def test_time_that_no_platform_can_count_is_long_time(option, forever):
    pool, gate = TaskPool(max_workers=1, **{option: forever}), Gate()
    if option == "reserve":
        pool.follow(LambdaContext())
        pool.add(gate)
        assert [type(error) for error in failures_of(pool.drain)] == [TaskNotStarted]
    else:
        for _ in range(2):
            pool.add(gate)
            gate.wait_begun()
            caller = Caller(pool.drain)
            gate.open.set()
            assert caller.result() is None
    assert Caller(pool.done).result() is None


def test_invocation_that_has_more_time_than_can_be_waited_is_followed():
    pool, gate = TaskPool(), Gate()
    pool.add(gate)
    gate.wait_begun()
    caller = Caller(partial(pool.drain, LambdaContext(sys.maxsize)))
    gate.open.set()
    assert caller.result() is None
    pool.done()


@pytest.mark.parametrize(
    "left", [None, "1000", True, MagicMock()], ids=lambda left: type(left).__name__
)
def test_context_whose_time_is_no_number_is_refused_and_pool_goes_on(left):
    pool, ran = TaskPool(max_workers=1), []
    with pytest.raises(UsageError, match="get_remaining_time_in_millis"):
        pool.follow(LambdaContext(left))
    pool.add(partial(ran.append, 1))
    assert Caller(pool.done).result() is None
    assert ran == [1]


def test_on_error_cannot_wait_for_pool_that_leaves_its_task_running():
    told, gate = [], Gate()

    def on_error(failure):
        told.append(type(failure.error))
        pool.drain()

    pool = TaskPool(on_error=on_error)
    pool.add(gate)
    gate.wait_begun()
    assert [type(error) for error in failures_of(partial(pool.drain, LambdaContext(0)))] == [
        TaskStillRunning,
        UsageError,
    ]
    assert told == [TaskStillRunning]
    gate.open.set()
    pool.done()


VALUE: ContextVar[object] = ContextVar("value")


class Leaves:
    """Uses the pool when the last reference to it is gone."""

    def __init__(self, leave):
        self._leave = leave

    def __call__(self):
        """A task."""

    def __del__(self):
        self._leave()


@pytest.mark.parametrize("keeps", ["task", "context"])
def test_object_freed_with_task_may_add_another(keeps):
    pool, ran = TaskPool(max_workers=1, idle_timeout=None), threading.Event()

    def leave():
        pool.add(ran.set)

    def add():
        if keeps == "task":
            pool.add(Leaves(leave))
        else:
            VALUE.set(Leaves(leave))
            pool.add(int)

    assert Caller(add).result() is None
    assert ran.wait(WAIT_S)
    assert Caller(pool.done).result() is None


def test_object_freed_with_context_may_add_task_while_others_follow():
    pool, gate, ran = TaskPool(max_workers=1), Gate(), threading.Event()
    pool.add(gate)

    def add():
        VALUE.set(Leaves(lambda: pool.add(ran.set)))
        pool.add(int)

    assert Caller(add).result() is None
    pool.add(int)
    pool.add(int)
    gate.open.set()
    assert ran.wait(WAIT_S)
    assert Caller(pool.done).result() is None


def test_object_freed_with_unstarted_task_may_look_at_pool():
    pool, seen = TaskPool(max_workers=1, on_error=lambda failure: None), []
    pool.follow(LambdaContext(0))
    pool.add(Leaves(lambda: seen.append(pool.stats().queued)))
    assert Caller(pool.done).result() is None
    assert seen == [0]


class Falling:
    """An invocation whose time is over as soon as the test says so."""

    def __init__(self):
        self.over = threading.Event()

    def get_remaining_time_in_millis(self):
        return 0 if self.over.is_set() else 400


def test_done_does_not_wait_beyond_its_time_for_thread_of_asyncios_that_canceled_coroutine_left():
    context, blocked, begun = Falling(), threading.Event(), threading.Event()

    def block():
        begun.set()
        assert blocked.wait(WAIT_S)

    async def coroutine():
        try:
            await asyncio.to_thread(block)
        finally:
            context.over.set()

    pool = TaskPool(max_workers=1, name="with-a-loop")
    pool.add(coroutine)
    assert begun.wait(WAIT_S)
    raised = failures_of(partial(pool.done, context))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("with-a-loop")]
    assert not blocked.is_set()
    assert len(raised) == len(threads) == 1
    blocked.set()
    threads[0].join(WAIT_S)
    assert not threads[0].is_alive()


def test_done_at_rest_has_whole_runtime_limit_to_end_its_threads(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("workpool_aws.task_pool.pool.stopwatch_ms", lambda: now[0])

    async def coroutine():
        loops.append(asyncio.get_running_loop())

    loops: list[asyncio.AbstractEventLoop] = []
    pool = TaskPool(max_workers=1, runtime_limit=10, idle_timeout=None, name="rested")
    pool.add(coroutine)
    pool.drain()
    now[0] = 3_600_000.0
    pool.done()
    assert loops[0].is_closed()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("rested")] == []


def test_interrupted_hand_over_is_reported_by_next_drain(monkeypatch):
    pool, gate = TaskPool(max_workers=1), Gate()
    pool.add(gate)
    gate.wait_begun()
    pool.add(int, int)
    with monkeypatch.context() as patched:
        patched.setattr(type(pool._oversight), "unstarted", lambda *_: fail(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            pool.drain(LambdaContext(900))
    pool.follow(LambdaContext())
    gate.open.set()
    raised = failures_of(pool.done)
    assert [type(error) for error in raised] == [TaskNotStarted] * 2
    assert "interrupted" in str(raised[0])
    assert (pool.stats().completed, pool.stats().given_up) == (1, 2)


@pytest.mark.parametrize("wrong", [TaskPool(), "pool"])
def test_decorator_refuses_what_is_no_handler(wrong):
    with pytest.raises(UsageError, match="handler"):
        with_task_pool(wrong)


def test_decorator_refuses_what_is_no_pool():
    with pytest.raises(UsageError, match="pool"):
        with_task_pool(pool="pool")


def test_thousand_pools_leave_no_thread():
    before, ran = threading.active_count(), []
    for n in range(1_000):
        with TaskPool(max_workers=2, idle_timeout=None) as pool:
            pool.add(partial(ran.append, n))
    assert ran == list(range(1_000))
    assert threading.active_count() == before


FORKING = """
import os, signal, sys
from functools import partial
from workpool_aws import TaskPool

def tell(line):
    os.write(1, f"{line}\\n".encode())

pool, busy = TaskPool(max_workers=1), TaskPool.shared(max_workers=1)
pool.add(int)
pool.drain()
read, write = os.pipe()
busy.add(partial(os.read, read, 1), partial(tell, "the parent's"))
closed = TaskPool()
closed.done()
child = os.fork()
if not child:
    signal.alarm(20)
    for one in (pool, busy):
        one.add(partial(tell, "the child's"))
        one.drain()
    tell(f"{busy.stats().completed} {closed.is_closed}")
    sys.exit(0)
status = os.waitpid(child, 0)[1]
os.write(write, b"x")
busy.drain()
tell(f"status {status}")
"""


@needs_fork
def test_forked_process_begins_with_threads_and_tasks_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [
        "the child's",
        "the child's",
        "1 True",
        "the parent's",
        "status 0",
    ], done.stderr

"""Waits: drains of many threads, `done`, the shared pool, the end of the process."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate, wait_for_drains
from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool, TasksFailed, UsageError
from workpool_aws.errors import TaskPoolClosed
from workpool_aws.executor.executor import Executor, unfinished


@pytest.mark.peer("TP03")
def test_drain_waits_for_what_was_added_before_and_not_for_what_others_add_later():
    pool = TaskPool(max_workers=2)
    first, second = Gate(), Gate()
    pool.add(first)
    early = Caller(pool.drain)
    wait_for_drains(pool, 1)
    pool.add(second)
    late = Caller(pool.drain)
    wait_for_drains(pool, 2)
    first.open.set()
    assert early.result() is None
    assert late.is_alive()
    second.open.set()
    assert late.result() is None
    assert second.ended.is_set()
    pool.done()


@pytest.mark.peer("TP04")
def test_earlier_drain_waits_for_what_its_tasks_add_after_later_one_began():
    pool = TaskPool(max_workers=2)
    parent, child, other = Gate(), Gate(), Gate()

    def task():
        parent()
        pool.add(child)

    pool.add(task)
    early = Caller(pool.drain)
    wait_for_drains(pool, 1)
    pool.add(other)
    late = Caller(pool.drain)
    wait_for_drains(pool, 2)
    parent.open.set()
    child.wait_begun()
    other.open.set()
    assert other.ended.wait(WAIT_S)
    assert early.is_alive()
    assert late.is_alive()
    child.open.set()
    assert (early.result(), late.result()) == (None, None)
    pool.done()


@pytest.mark.peer("TP03")
def test_drain_may_be_called_by_many_threads():
    pool = TaskPool(max_workers=3)
    gates = [Gate() for _ in range(3)]
    pool.add(*gates)
    callers = [Caller(pool.drain) for _ in range(8)]
    wait_for_drains(pool, 8)
    assert all(caller.is_alive() for caller in callers)
    for gate in gates:
        gate.open.set()
    assert [caller.result() for caller in callers] == [None] * 8
    pool.done()


@pytest.mark.peer("TP06")
def test_done_twice_is_done_once():
    pool = TaskPool()
    pool.add(int)
    pool.done()
    pool.done()
    pool.drain()
    assert pool.stats().completed == 1


@pytest.mark.peer("TP06")
def test_done_by_two_threads_makes_both_wait():
    pool = TaskPool(name="two-ends")
    gate = Gate()
    pool.add(gate)
    callers = [Caller(pool.done) for _ in range(2)]
    wait_for_drains(pool, 2)
    with pytest.raises(TaskPoolClosed):
        pool.add(int)
    gate.open.set()
    assert [caller.result() for caller in callers] == [None, None]
    assert [thread for thread in threading.enumerate() if thread.name.startswith("two-ends")] == []


@pytest.mark.parametrize("wait", ["drain", "done"])
def test_task_that_waits_for_its_own_pool_is_refused(wait):
    pool = TaskPool(max_workers=1)
    pool.add(getattr(pool, wait))
    with pytest.raises(TasksFailed) as failed:
        pool.drain()
    (error,) = failed.value.exceptions
    assert isinstance(error, UsageError)
    assert "wait for itself" in str(error)
    assert not pool.is_closed
    pool.done()


def test_task_may_wait_for_another_pool():
    ran = []

    def task():
        with TaskPool() as inner:
            inner.add(partial(ran.append, 1))

    with TaskPool(max_workers=1) as pool:
        pool.add(task)
    assert ran == [1]


def test_draining_is_block_that_leaves_pool_open():
    pool = TaskPool()
    ran = []
    with pool.draining():
        pool.add(partial(ran.append, 1))
    assert (ran, pool.is_closed) == ([1], False)

    def fail():
        with pool.draining():
            pool.add(partial(ran.append, 2))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert ran == [1, 2]
    pool.done()


@pytest.fixture
def no_shared_pool():
    yield
    TaskPool.shared().done()


@pytest.mark.usefixtures("no_shared_pool")
def test_shared_pool_is_one_and_reset_by_drain():
    pool = TaskPool.shared()
    pool.add(int, int)
    assert TaskPool.shared() is pool
    pool.drain()
    assert pool.stats().completed == 2
    pool.add(int)
    pool.drain()
    assert pool.stats().completed == 1
    pool.done()
    another = TaskPool.shared()
    assert another is not pool
    another.add(int)
    another.drain()
    assert another.stats().completed == 1


@pytest.mark.usefixtures("no_shared_pool")
def test_shared_pool_is_not_reset_by_drain_that_leaves_task_running():
    TaskPool.shared().done()
    pool, gate = TaskPool.shared(max_workers=1), Gate()
    pool.add(int, gate)
    gate.wait_begun()
    with pytest.raises(TasksFailed):
        pool.drain(LambdaContext(0))
    pool.add(int)
    gate.open.set()
    pool.drain()
    assert pool.stats().completed == 3


@pytest.mark.usefixtures("no_shared_pool")
def test_shared_pool_keeps_options_that_it_was_made_with():
    TaskPool.shared().done()
    pool = TaskPool.shared(max_workers=1)
    assert TaskPool.shared() is pool
    assert TaskPool.shared(max_workers=1) is pool
    with pytest.raises(UsageError, match="max_workers"):
        TaskPool.shared(max_workers=2)


@pytest.mark.usefixtures("no_shared_pool")
def test_threads_that_ask_at_one_time_get_one_shared_pool(monkeypatch):
    TaskPool.shared().done()
    together, got, made = threading.Barrier(8), [], []
    second = threading.Barrier(2)

    def make(*given, **named):
        made.append(1)
        with suppress(threading.BrokenBarrierError):
            second.wait(0.2)  # so long it is open to a second thread to make one, too
        return Executor(*given, **named)

    def ask():
        together.wait(WAIT_S)
        got.append(TaskPool.shared())

    monkeypatch.setattr("workpool_aws.task_pool.pool.Executor", make)
    callers = [Caller(ask) for _ in range(8)]
    assert [caller.result() for caller in callers] == [None] * 8
    assert (len(set(map(id, got))), len(made)) == (1, 1)


SCRIPT = """
from functools import partial
from workpool_aws import TaskPool

def fail():
    raise ValueError("told at the end")

pool = TaskPool(max_workers=1, idle_timeout=3600)
pool.add(*[partial(print, n) for n in range(3)], {last})
del pool
"""


@pytest.mark.parametrize(("last", "told"), [("int", False), ("fail", True)])
def test_tasks_without_drain_run_before_process_ends_and_failures_are_logged(last, told):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(last=last)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "0\n1\n2\n"
    assert ("told at the end" in done.stderr) is told


CHILD = """
import multiprocessing
import os
import sys
from functools import partial

from workpool_aws import TaskPool

pool = TaskPool(max_workers=1, idle_timeout=3600)


def fail():
    raise ValueError("told at the end")


def say(text):
    os.write(1, f"{{text}}\\n".encode())


def grandchild():
    TaskPool.shared().add(partial(say, "grandchild"))


def child(fails):
    TaskPool.shared().add(partial(say, "shared"))
    pool.add(partial(say, "one"), lambda: pool.add(partial(say, "child of one")), *[fail] * fails)
    own = multiprocessing.get_context("{method}").Process(target=grandchild)
    own.start()
    own.join(30)
    {end}


if __name__ == "__main__":
    pool.add(partial(say, "parent"))
    pool.drain()
    process = multiprocessing.get_context("{method}").Process(target=child, args=({fails},))
    process.start()
    process.join(30)
    print("exit code", process.exitcode)
"""


@pytest.mark.parametrize(
    ("method", "end", "code", "fails"),
    [
        ("fork", "return", 0, 0),
        ("fork", "sys.exit(3)", 3, 1),
        ("fork", "raise KeyError", 1, 1),
        ("spawn", "sys.exit(3)", 3, 1),
        ("forkserver", "return", 0, 1),
    ],
)
def test_tasks_without_drain_run_before_multiprocessing_process_ends(
    method, end, code, fails, tmp_path
):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    script = tmp_path / "script.py"
    script.write_text(CHILD.format(method=method, end=end, fails=fails))

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=90, check=False
    )

    assert sorted(done.stdout.splitlines()) == sorted(
        ["parent", "shared", "one", "child of one", "grandchild", f"exit code {code}"]
    ), done.stderr
    assert ("told at the end" in done.stderr) is bool(fails)


@pytest.mark.peer("TP07")
def test_abandoned_task_cannot_add_to_pool_that_is_done():
    gate, told, ended = Gate(), [], threading.Event()
    pool = TaskPool()

    def task():
        gate()
        try:
            pool.add(int)
        except TaskPoolClosed as error:
            told.append(error)
        ended.set()

    pool.add(task)
    gate.wait_begun()
    with pytest.raises(TasksFailed):
        pool.done(LambdaContext(0))
    gate.open.set()
    assert ended.wait(WAIT_S)
    assert len(told) == 1


def test_drain_that_ends_leaves_followed_invocation_to_those_that_still_wait():
    pool, clock, ran = TaskPool(max_workers=2), LambdaContext(), []
    first, second = Gate(), Gate()
    pool.follow(clock)
    pool.add(first)
    early = Caller(pool.drain)
    wait_for_drains(pool, 1)
    pool.add(second)
    late = Caller(pool.drain)
    wait_for_drains(pool, 2)
    first.open.set()
    assert early.result() is None
    clock.left_ms = 900
    pool.add(partial(ran.append, "too late"))
    second.open.set()
    assert late.result() is None
    with pytest.raises(TasksFailed):
        pool.done(clock)
    assert ran == []


def test_pools_with_something_left_are_kept_for_end_of_process():
    pool, gate = TaskPool(max_workers=1), Gate()
    assert pool._executor not in unfinished()
    pool.add(partial(int, "x"), gate)
    gate.wait_begun()
    assert pool._executor in unfinished()
    gate.open.set()
    with pytest.raises(TasksFailed):
        pool.drain()
    assert pool._executor not in unfinished()
    over = threading.Event()
    pool.add(partial(int, "x"))
    pool.add(over.set)
    assert over.wait(WAIT_S)
    assert pool._executor in unfinished()
    with pytest.raises(TasksFailed):
        pool.done()
    assert pool._executor not in unfinished()


def test_pool_whose_tasks_are_over_is_not_kept_although_no_drain_came():
    pool, workers = TaskPool(max_workers=1, idle_timeout=0.01), []
    begun = threading.Event()
    pool.add(lambda: workers.append(threading.current_thread()), begun.set)
    assert begun.wait(WAIT_S)
    workers[0].join(WAIT_S)
    assert pool._executor not in unfinished()

"""Failing tasks: every one is reported, with its task."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate, fail, failures_of, wait_for_drains
from workpool_aws import TaskPool, TasksFailed, WorkpoolError
from workpool_aws.errors import TaskCanceled, TaskExited
from workpool_aws.task_pool import TaskFailure


@pytest.mark.peer("TP05")
def test_every_failure_is_raised_with_name_of_its_task():
    pool = TaskPool(max_workers=2)
    errors = [ValueError(n) for n in range(5)]
    pool.add(*[partial(fail, error) for error in errors], int)
    raised = failures_of(pool.drain)
    assert sorted(raised, key=str) == errors
    assert [error.__notes__ for error in raised] == [["background task: fail"]] * 5
    assert (pool.stats().completed, pool.stats().failed) == (1, 5)
    pool.done()


def test_group_is_error_of_package_and_can_be_picked_from():
    pool = TaskPool()
    pool.add(partial(fail, ValueError(1)), partial(fail, OSError(2)))
    picked = []
    try:
        pool.done()
    except* ValueError as values:
        picked += values.exceptions
    except* WorkpoolError:
        pytest.fail("none of them is")
    except* OSError as others:
        picked += others.exceptions
    assert [str(error) for error in picked] == ["1", "2"]
    assert issubclass(TasksFailed, WorkpoolError)


class RefusesNotes(Exception):
    def add_note(self, note):
        raise SystemExit


class RefusesAttributes(Exception):
    def __setattr__(self, name, value):
        raise SystemExit


class HasNoText(BaseException):
    def __repr__(self):
        raise SystemExit


class HasNoName:
    def __getattr__(self, name):
        raise SystemExit

    def __call__(self):
        raise ValueError


@pytest.mark.parametrize(
    "task",
    [
        partial(fail, RefusesNotes()),
        partial(fail, RefusesAttributes()),
        partial(fail, HasNoText()),
        HasNoName(),
    ],
    ids=["notes", "attributes", "text", "name"],
)
def test_error_that_cannot_even_be_described_ends_no_thread(task):
    """A drain would wait for the task of a dead thread without end."""
    pool = TaskPool(max_workers=1)
    ran = threading.Event()
    pool.add(task, ran.set)
    drain = threading.Thread(target=lambda: failures.extend(failures_of(pool.drain)), daemon=True)
    failures = []
    drain.start()
    drain.join(WAIT_S)
    assert not drain.is_alive()
    assert len(failures) == 1
    assert ran.is_set()
    pool.done()


def test_failure_is_reported_once_and_pool_goes_on():
    pool = TaskPool()
    pool.add(partial(fail, ValueError()))
    assert len(failures_of(pool.drain)) == 1
    pool.drain()
    ran = threading.Event()
    pool.add(ran.set)
    pool.done()
    assert ran.is_set()


def test_failure_before_any_drain_waits_for_next():
    pool = TaskPool(max_workers=1)
    gate = Gate()
    pool.add(partial(fail, ValueError()), gate)
    gate.wait_begun()
    gate.open.set()
    assert len(failures_of(pool.drain)) == 1
    pool.done()


def test_every_drain_that_waits_for_task_reports_its_failure():
    pool = TaskPool()
    gate = Gate()

    def task():
        gate()
        fail(ValueError())

    pool.add(task)
    callers = [Caller(pool.drain) for _ in range(3)]
    wait_for_drains(pool, 3)
    gate.open.set()
    assert [type(caller.result()) for caller in callers] == [TasksFailed] * 3
    pool.drain()
    pool.done()


@pytest.mark.peer("TP05")
def test_on_error_gets_each_failure_with_its_task_and_then_nothing_is_raised():
    told = []
    pool = TaskPool(on_error=told.append)
    tasks = [partial(fail, ValueError(n)) for n in range(3)]
    pool.add(*tasks)
    pool.done()
    assert sorted(str(failure.error) for failure in told) == ["0", "1", "2"]
    assert {id(failure.task) for failure in told} == {id(task) for task in tasks}
    assert [failure.name for failure in told] == ["fail"] * 3
    assert all(isinstance(failure, TaskFailure) for failure in told)


def test_error_of_on_error_is_reported_with_its_cause():
    pool = TaskPool(on_error=lambda failure: fail(OSError("full")))
    pool.add(partial(fail, ValueError(1)))
    raised = failures_of(pool.done)
    assert [type(error) for error in raised] == [ValueError, OSError]
    assert raised[1].__notes__ == ["raised by on_error for background task: fail"]
    assert raised[1].__context__ is raised[0]


def test_on_error_may_raise_its_own_argument_which_is_reported_once():
    pool = TaskPool(on_error=lambda failure: fail(failure.error))
    pool.add(partial(fail, ValueError(1)))
    assert [str(error) for error in failures_of(pool.done)] == ["1"]


def test_drain_waits_for_on_error():
    gate, told = Gate(), []

    def on_error(failure):
        gate()
        told.append(failure)

    pool = TaskPool(on_error=on_error)
    pool.add(partial(fail, ValueError()))
    gate.wait_begun()
    caller = Caller(pool.drain)
    wait_for_drains(pool, 1)
    gate.open.set()
    assert caller.result() is None
    assert len(told) == 1
    pool.done()


def test_on_error_may_add_task():
    ran = []
    pool = TaskPool(on_error=lambda failure: pool.add(partial(ran.append, failure.name)))
    pool.add(partial(fail, ValueError()))
    pool.done()
    assert ran == ["fail"]


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_raised_value_that_is_no_exception_ends_neither_process_nor_pool(error):
    pool = TaskPool(max_workers=1)
    ran = threading.Event()
    pool.add(partial(fail, error), ran.set)
    (raised,) = failures_of(pool.done)
    assert isinstance(raised, TaskExited)
    assert raised.__cause__ is error
    assert ran.is_set()


def test_coroutine_reports_as_any_task():
    async def coroutine(error):
        await asyncio.sleep(0)
        raise error

    pool = TaskPool(max_workers=1)
    pool.add(
        partial(coroutine, ValueError(1)),
        partial(coroutine, SystemExit(2)),
        partial(coroutine, asyncio.CancelledError()),
    )
    ran = []

    async def after():
        ran.append(await asyncio.sleep(0, "after"))

    pool.add(after)
    assert [type(error) for error in failures_of(pool.done)] == [
        ValueError,
        TaskExited,
        TaskCanceled,
    ]
    assert ran == ["after"]


def test_error_that_two_tasks_share_is_reported_for_both():
    error = ValueError("shared")
    pool = TaskPool()
    pool.add(partial(fail, error), partial(fail, error))
    assert failures_of(pool.done) == (error, error)


def test_block_of_pool_raises_what_its_tasks_raised():
    def use():
        with TaskPool() as pool:
            pool.add(partial(fail, ValueError(1)))

    assert [str(error) for error in failures_of(use)] == ["1"]


def test_error_of_block_goes_out_first_with_those_of_tasks_noted_and_logged(capsys):
    ran = threading.Event()

    def use():
        with TaskPool(name="mine") as pool:
            pool.add(partial(fail, ValueError("a secret")), ran.set)
            raise LookupError

    with pytest.raises(LookupError) as raised:
        use()
    assert ran.wait(WAIT_S)
    assert raised.value.__notes__ == ["background tasks failed as well: fail"]
    said = capsys.readouterr().out
    assert '"task_failed"' in said
    assert '"mine"' in said
    assert "a secret" not in said


def test_interrupted_drain_keeps_its_failures_for_next(monkeypatch):
    pool = TaskPool(max_workers=1)
    gate = Gate()
    pool.add(partial(fail, ValueError(1)), gate)
    gate.wait_begun()
    with monkeypatch.context() as interrupted:
        interrupted.setattr(
            "workpool_aws.executor.threads.DrainRecord.listen", lambda *_: fail(KeyboardInterrupt())
        )
        with pytest.raises(KeyboardInterrupt):
            pool.drain()
    gate.open.set()
    assert [str(error) for error in failures_of(pool.done)] == ["1"]

"""A pool that is closed during an `add`: each task runs before `done` returns, or is refused."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tests.kit.gates import WAIT_S, Caller, Gate, fail, failures_of
from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool
from workpool_aws.errors import TaskPoolClosed, TaskStillRunning
from workpool_aws.executor.entrance import Entrance
from workpool_aws.executor.executor import Executor


class Stopped:
    """Holds a pool's `add` after it was let in, and what it has put until it may be queued."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, entrance: Entrance) -> None:
        self.let_in, self.put, self.queue = Gate(), threading.Event(), threading.Event()
        self._put, self._settle = entrance.put, entrance.settle
        monkeypatch.setattr(entrance, "put", self._when_open)
        monkeypatch.setattr(entrance, "settle", self._when_queued)

    def _when_open(self, added) -> None:
        self.let_in()
        self._put(added)

    def _when_queued(self, mine=None) -> None:
        if mine is not None:
            self.put.set()
            assert self.queue.wait(WAIT_S)
        self._settle(mine)


@pytest.fixture
def pool() -> TaskPool:
    return TaskPool()


@pytest.fixture
def executor(pool: TaskPool) -> Executor:
    return pool._executor


@pytest.fixture
def entrance(executor: Executor) -> Entrance:
    return executor._entrance


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, entrance: Entrance) -> Stopped:
    return Stopped(monkeypatch, entrance)


def test_task_put_in_moment_of_sealing_runs_before_done_returns(
    pool, entrance, stopped, monkeypatch
):
    ran, seal = [], entrance.seal

    def after_put():
        stopped.let_in.open.set()
        assert stopped.put.wait(WAIT_S)
        return seal()

    monkeypatch.setattr(entrance, "seal", after_put)
    adder = Caller(partial(pool.add, partial(ran.append, "put")))
    stopped.let_in.wait_begun()

    pool.done()

    assert ran == ["put"]
    stopped.queue.set()
    assert adder.result() is None


def test_failure_of_task_queued_after_last_drain_is_reported_by_done(
    pool, executor, stopped, monkeypatch
):
    adder = Caller(partial(pool.add, partial(fail, ValueError("late"))))
    stopped.let_in.wait_begun()
    stopped.queue.set()
    drain, answers = executor.drain, []

    def then_queued():
        failures = drain()
        stopped.let_in.open.set()
        answers.append(adder.result())
        return failures

    monkeypatch.setattr(executor, "drain", then_queued)

    assert [str(error) for error in failures_of(pool.done)] == ["late"]
    assert answers == [None, None]


def test_task_that_outlives_done_is_refused_what_it_adds_from_seal_on(pool, entrance, monkeypatch):
    seal, sealed, refused = entrance.seal, threading.Event(), Gate()

    def until_refused():
        answer = seal()
        sealed.set()
        refused.wait_begun()
        return answer

    def outlives():
        begun.set()
        assert sealed.wait(WAIT_S)
        with pytest.raises(TaskPoolClosed):
            pool.add(int)
        refused()

    begun = threading.Event()
    monkeypatch.setattr(entrance, "seal", until_refused)
    pool.add(outlives)
    assert begun.wait(WAIT_S)

    (error,) = failures_of(partial(pool.done, LambdaContext(0)))

    assert isinstance(error, TaskStillRunning)
    refused.open.set()
    assert refused.ended.wait(WAIT_S)

"""`@with_task_pool`: nothing of a handler's background tasks is left when its answer goes out."""

from __future__ import annotations

import threading
from functools import partial, update_wrapper

import pytest

from tests.kit.gates import fail
from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool, TasksFailed, UsageError, with_task_pool
from workpool_aws.errors import TaskNotStarted


@pytest.fixture(autouse=True)
def no_shared_pool():
    yield
    TaskPool.shared().done()


@pytest.mark.peer("TP09")
def test_shared_pool_is_drained_before_answer():
    ran = []

    @with_task_pool
    def handler(event, context):
        TaskPool.shared().add(
            partial(ran.append, event["n"]),
            lambda: TaskPool.shared().add(partial(ran.append, "child")),
        )
        return {"answer": event["n"]}

    assert handler({"n": 1}, LambdaContext()) == {"answer": 1}
    assert ran == [1, "child"]
    assert handler({"n": 2}, LambdaContext()) == {"answer": 2}
    assert ran == [1, "child", 2, "child"]
    assert (TaskPool.shared().stats().queued, TaskPool.shared().stats().running) == (0, 0)


def test_pool_of_ones_own_is_drained():
    ran = []
    pool = TaskPool(max_workers=1)

    @with_task_pool(pool=pool)
    def handler(event, context):
        pool.add(partial(ran.append, event))

    handler(1, LambdaContext())
    handler(2, LambdaContext())
    assert ran == [1, 2]
    pool.done()


@pytest.mark.peer("TP09")
def test_pool_is_drained_when_handler_raises_and_its_error_goes_out(capsys):
    ran = threading.Event()

    @with_task_pool
    def handler(event, context):
        TaskPool.shared().add(ran.set, partial(fail, ValueError()))
        raise LookupError("the handler's")

    with pytest.raises(LookupError, match="the handler's") as raised:
        handler({}, LambdaContext())
    assert ran.is_set()
    assert raised.value.__notes__ == ["background tasks failed as well: fail"]
    assert '"task_failed"' in capsys.readouterr().out


def test_failures_fail_invocation_without_on_error():
    told = []
    pool = TaskPool()
    telling = TaskPool(on_error=told.append)

    @with_task_pool(pool=pool)
    def handler(event, context):
        pool.add(partial(fail, ValueError()))

    @with_task_pool(pool=telling)
    def telling_handler(event, context):
        telling.add(partial(fail, ValueError()))
        return "answer"

    with pytest.raises(TasksFailed):
        handler({}, LambdaContext())
    assert telling_handler({}, LambdaContext()) == "answer"
    assert len(told) == 1
    pool.done()
    telling.done()


def test_invocations_time_holds_from_its_beginning_and_for_it_alone():
    ran = []
    pool = TaskPool(max_workers=1)

    @with_task_pool(pool=pool)
    def handler(event, context):
        pool.add(partial(ran.append, event))

    with pytest.raises(TasksFailed) as failed:
        handler("late", LambdaContext(100))
    assert [type(error) for error in failed.value.exceptions] == [TaskNotStarted]
    handler("in time", LambdaContext())
    assert ran == ["in time"]
    pool.done()


def test_handler_keeps_its_name():
    @with_task_pool
    def handler(event, context):
        """Answer an event."""

    assert (handler.__name__, handler.__doc__) == ("handler", "Answer an event.")


async def waits(event, context):
    return event, context


def yields(event, context):
    yield event, context


async def streams(event, context):
    yield event, context


class Waiting:
    async def __call__(self, event, context):
        return event, context


def hides(handler):
    def wrapper(event, context):
        return handler(event, context)

    return wrapper


@pytest.mark.parametrize(
    "handler",
    [waits, yields, streams, Waiting(), partial(waits), update_wrapper(hides(waits), waits)],
)
@pytest.mark.parametrize("with_brackets", [False, True])
def test_handler_that_runs_after_drain_is_refused_where_it_is_decorated(handler, with_brackets):
    decorator = with_task_pool(pool=TaskPool()) if with_brackets else with_task_pool

    with pytest.raises(UsageError, match="would run after the drain") as caught:
        decorator(handler)

    assert caught.value.field == "handler"


@pytest.mark.parametrize("handler", [waits, yields, streams])
def test_handler_that_hides_coroutine_is_refused_when_called(handler):
    with pytest.raises(UsageError, match=r"^handler must be a function .*nothing of it ran; got "):
        with_task_pool(hides(handler))({}, LambdaContext())


@pytest.mark.parametrize(
    "handler",
    [
        partial(lambda answer, event, context: answer, "answer"),
        type("Handler", (), {"__call__": lambda *_: "answer"})(),
    ],
)
def test_any_other_callable_is_handler(handler):
    assert with_task_pool(handler)({}, LambdaContext()) == "answer"

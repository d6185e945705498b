"""Tasks without time and with a durable target are enqueued in a pool. The rest is reported."""

from __future__ import annotations

from functools import partial, wraps

import pytest

from tests.kit.lambdas import LambdaContext
from workpool_aws import (
    RetryPolicy,
    StoreUnavailable,
    TaskPool,
    TasksFailed,
    UsageError,
    Work,
    Workpool,
)
from workpool_aws.errors import PayloadTooLarge, TaskNotStarted
from workpool_aws.local import LocalCloud
from workpool_aws.task_pool import DurableTask

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:upload"


class Enqueued:
    """A durable pool that notes what it is given."""

    def __init__(self, error=None):
        self.batches = []
        self.error = error

    def enqueue_action_batch(self, ctx, target, args, *, retry=None):
        self.batches.append((ctx, target, list(args), retry))
        if self.error is not None:
            raise self.error
        return ["id"] * len(args)


def never(**_):
    raise AssertionError("it was not to run here")


def spilled(pool, *tasks, context=None):
    pool.follow(context or LambdaContext(0))
    pool.add(*tasks)
    pool.drain()


@pytest.mark.peer("TP08")
def test_unstarted_tasks_are_enqueued_in_order_by_target_and_policy():
    durable = Enqueued()
    pool = TaskPool(spill_to=durable, max_workers=1)
    policy = RetryPolicy(max_attempts=2)
    tasks = [
        DurableTask(ARN, never, {"n": 1}),
        DurableTask("other", never, {"n": 2}),
        DurableTask(ARN, never, {"n": 3}),
        DurableTask(ARN, never, {"n": 4}, retry=policy),
    ]
    context = LambdaContext(0)
    spilled(pool, *tasks, context=context)
    assert durable.batches == [
        (context, ARN, [{"n": 1}, {"n": 3}], None),
        (context, "other", [{"n": 2}], None),
        (context, ARN, [{"n": 4}], policy),
    ]
    assert (pool.stats().spilled, pool.stats().given_up, pool.stats().failed) == (4, 0, 0)
    pool.done()


def test_context_that_names_no_caller_is_not_handed_on():
    class OnlyTime:
        def get_remaining_time_in_millis(self):
            return 0

    durable = Enqueued()
    with TaskPool(spill_to=durable) as pool:
        spilled(pool, DurableTask(ARN, never, {}), context=OnlyTime())
    assert [batch[0] for batch in durable.batches] == [None]


def test_started_task_is_not_spilled():
    durable, ran = Enqueued(), []
    with TaskPool(spill_to=durable) as pool:
        pool.add(DurableTask(ARN, lambda **args: ran.append(args["n"]), {"n": 1}))
    assert (ran, durable.batches) == ([1], [])


def test_task_without_target_is_reported_by_name():
    durable = Enqueued()
    pool = TaskPool(spill_to=durable)
    with pytest.raises(TasksFailed) as failed:
        spilled(pool, partial(never), DurableTask(ARN, never, {}))
    (error,) = failed.value.exceptions
    assert str(error) == (
        "no time was left to start it, and never cannot be handed over: it names no durable target (make it a DurableTask)"
    )
    assert (pool.stats().spilled, pool.stats().given_up) == (1, 1)
    pool.done()


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("no answer", maybe_enqueued=("id",)),
        UsageError("ctx", 1, "x"),
        SystemExit(),
    ],
)
def test_spill_that_is_not_acknowledged_is_reported_with_its_answer(error):
    pool = TaskPool(spill_to=Enqueued(error))
    with pytest.raises(TasksFailed) as failed:
        spilled(pool, DurableTask(ARN, never, {}), DurableTask(ARN, never, {}))
    assert [type(one) for one in failed.value.exceptions] == [TaskNotStarted] * 2
    assert [one.__cause__ for one in failed.value.exceptions] == [error] * 2
    assert type(error).__name__ in str(failed.value.exceptions[0])
    pool.done()


def test_reserve_is_three_seconds_when_calls_have_to_fit_in():
    durable, ran = Enqueued(), []
    with TaskPool(spill_to=durable) as pool:
        spilled(pool, DurableTask(ARN, lambda: ran.append(1), {}), context=LambdaContext(2_900))
        spilled(pool, DurableTask(ARN, lambda: ran.append(2), {}), context=LambdaContext(3_500))
    assert (len(durable.batches), ran) == (1, [2])


def test_arguments_are_those_that_other_place_would_get():
    got = []
    given = {"items": (1, 2), "name": "x"}
    task = DurableTask(ARN, lambda **args: got.append(args), given)
    given["name"] = "changed since"
    task()
    assert got == [task.args] == [{"items": [1, 2], "name": "x"}]


def test_task_shows_no_arguments():
    assert repr(DurableTask(ARN, never, {"password": "secret"})) == f"DurableTask({ARN!r}, never)"


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: DurableTask("not a name!", never, {}), "target"),
        (lambda: DurableTask(ARN, "never", {}), "function"),
        (lambda: DurableTask(ARN, never, {"when": {1, 2}}), "args.when"),
        (lambda: DurableTask(ARN, never, [1]), "args"),
        (lambda: DurableTask(ARN, never, {}, retry=3), "retry"),
    ],
)
def test_durable_task_that_could_never_be_enqueued_is_refused(make, field):
    with pytest.raises(UsageError) as refused:
        make()
    assert refused.value.field == field


def test_arguments_that_are_too_large_are_refused_when_it_is_made():
    with pytest.raises(PayloadTooLarge):
        DurableTask(ARN, never, {"text": "x" * 1_000_000})


def test_decorated_worker_validates_here_as_it_does_there():
    ran = []

    @Workpool("table").action
    def upload(n: int) -> None:
        ran.append(n)

    pool = TaskPool(max_workers=1)
    pool.add(DurableTask(ARN, upload, {"n": "7"}), DurableTask(ARN, upload, {"n": "seven"}))
    with pytest.raises(TasksFailed) as failed:
        pool.done()
    assert ran == [7]
    assert [type(error) for error in failed.value.exceptions] == [UsageError]


def test_wrapper_of_worker_is_called_as_handler():
    ran = []

    @Workpool("table").action
    def upload(n: int) -> None:
        ran.append(n)

    @wraps(upload.handler)
    def logged(event, context):
        return upload(event, context)

    pool = TaskPool(max_workers=1)
    pool.add(DurableTask(ARN, logged, {"n": 7}))
    pool.done()
    assert ran == [7]


def test_worker_that_must_have_its_work_fails_here():
    @Workpool("table").action
    def upload(work: Work) -> None:
        raise AssertionError(work)

    pool = TaskPool()
    pool.add(DurableTask(ARN, upload, {}))
    with pytest.raises(TasksFailed) as failed:
        pool.done()
    assert "only a pool can give it" in str(failed.value.exceptions[0])


@pytest.mark.peer("TP08")
def test_tasks_in_local_cloud_see_it_and_spill_to_its_workers():
    done = []

    with LocalCloud(clock="virtual", engine="memory") as cloud:
        uploads = cloud.workpool("uploads", max_parallelism=2)

        @uploads.action
        def upload(n: int, where: str) -> None:
            done.append((n, where))

        fn = cloud.function(upload)

        def handler(event, context):
            tasks = TaskPool(max_workers=1, spill_to=uploads)
            with tasks.draining(context):
                tasks.add(
                    partial(uploads.enqueue_action, context, fn, {"n": 0, "where": "by the task"})
                )
            tasks.follow(LambdaContext(0))
            tasks.add(
                *[DurableTask(fn, partial(never), {"n": n, "where": "left over"}) for n in (1, 2)]
            )
            tasks.done()

        caller = cloud.function(handler)
        cloud.workpool("callers").enqueue_action(None, caller, {})
        cloud.run_until_idle()
        assert [one.outcome for one in cloud.invocations(caller)] == ["success"]
    assert sorted(done) == [(0, "by the task"), (1, "left over"), (2, "left over")]


def test_durable_task_refuses_what_cannot_be_called():
    with pytest.raises(UsageError, match=r"^function must be a callable, a coroutine function, or"):
        DurableTask(ARN, "upload", {})

"""Redrive through the public face: a failure runs again as a new work, once."""

from datetime import timedelta
from typing import Any

import pytest

from tests.kit.records import a_work
from tests.kit.stage import Stage, late
from tests.kit.stores import puts
from workpool_aws import NotFound, RetryPolicy, UsageError, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.loop import LoopState
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

NO_NAME: Any = 5


FAILED = a_work(
    state=State.FINISHED, outcome=Outcome.FAILED, error_type="X", attempts_made=1, starts=1
)


class Mender:
    """Fails until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.seen: list[Any] = []

    def __call__(self, event: dict[str, Any], _: object) -> str:
        self.seen.append(event["n"])
        if not self.mended:
            raise ValueError("broken")
        return f"done {event['n']}"


def dead(pool: Workpool) -> list[str]:
    return [each.work_id for each in pool.list(None, state="dead").items]


@both_engines
def test_failure_runs_again_as_new_work(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    old = pool.enqueue_action(
        None,
        cloud.function(mender, name="mender"),
        {"n": 3},
        retry=RetryPolicy(max_attempts=2, jitter=False),
    )
    cloud.run_until_idle()
    mender.mended = True

    new = pool.redrive(None, old)
    cloud.run_until_idle()

    result = pool.result(None, new)
    assert result is not None
    assert (result.return_value, mender.seen) == ("done 3", [3, 3, 3])
    assert pool.status(None, old).outcome == "failed"
    shown = {each.work_id: each for each in pool.list(None).items}
    assert (shown[new].redrive_of, shown[old].redriven_as) == (old, new)
    assert dead(pool) == []


def test_second_redrive_answers_with_first(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    old = pool.enqueue_action(None, cloud.function(mender, name="mender"), {"n": 1})
    cloud.run_until_idle()
    mender.mended = True

    first = pool.redrive(None, old)
    at_once = pool.redrive(None, old)
    cloud.run_until_idle()
    afterwards = pool.redrive(None, old)
    cloud.run_until_idle()

    assert first == at_once == afterwards != old
    assert mender.seen == [1, 1]


def test_redriven_work_that_fails_can_be_redriven(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    old = pool.enqueue_action(None, cloud.function(mender, name="mender"), {"n": 1})
    cloud.run_until_idle()
    second = pool.redrive(None, old)
    cloud.run_until_idle()

    assert dead(pool) == [second]
    assert pool.redrive(None, second) not in (old, second)


def test_all_failures_are_redriven_once(cloud: LocalCloud) -> None:
    pool, mender, other = cloud.workpool(), Mender(), Mender()
    fn, other_fn = cloud.function(mender, name="mender"), cloud.function(other, name="other")
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(60)])
    kept = pool.enqueue_action(None, other_fn, {"n": -1})
    cloud.run_until_idle()
    mender.mended = other.mended = True

    counts = [pool.redrive_all(None, fn="mender"), pool.redrive_all(None, fn="mender")]
    left = dead(pool)
    counts.append(pool.redrive_all(None))
    cloud.run_until_idle()

    assert counts == [60, 0, 1]
    assert left == [kept]
    assert sorted(mender.seen) == sorted([*range(60), *range(60)])
    assert {
        each.outcome for each in pool.list(None, limit=200).items if each.redrive_of is not None
    } == {"success"}


def test_redrive_takes_failures_alone(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    mender.mended = True
    fn = cloud.function(mender, name="mender")
    good = pool.enqueue_action(None, fn, {"n": 1})
    cloud.run_until_idle()
    waiting = pool.enqueue_action(None, fn, {"n": 2}, run_after=timedelta(days=1))
    canceled = pool.enqueue_action(None, fn, {"n": 2}, run_after=timedelta(days=1))
    pool.cancel(None, canceled)

    for work_id, what in ((good, "success"), (waiting, "pending"), (canceled, "canceled")):
        with pytest.raises(
            UsageError,
            match=f"failed for good, or whose callback is dead; got .*, which is {what}$",
        ):
            pool.redrive(None, work_id)
    with pytest.raises(NotFound):
        pool.redrive(None, "nonsense")
    with pytest.raises(UsageError, match=r"^fn must be .*; got 5$"):
        pool.redrive_all(None, fn=NO_NAME)
    assert len(pool.list(None).items) == 3


def test_retried_failure_is_no_dead_letter_until_it_is_final(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    policy = RetryPolicy(max_attempts=2, initial_backoff=timedelta(minutes=10), jitter=False)
    work_id = pool.enqueue_action(
        None, cloud.function(mender, name="mender"), {"n": 1}, retry=policy
    )
    cloud.advance(timedelta(minutes=1))
    between = dead(pool)
    cloud.run_until_idle()

    assert (between, dead(pool)) == ([], [work_id])


@pytest.mark.parametrize("size", [10, 400_000])
def test_target_is_notified_of_both_ends_with_same_context(cloud: LocalCloud, size: int) -> None:
    pool, mender, told = cloud.workpool(), Mender(), []
    target = cloud.function(
        lambda event, _: told.append((event["work_id"], event["context"], event["result"]["kind"])),
        name="told",
    )
    args, context = {"n": 3, "note": "x" * size}, {"note": "y" * size}
    old = pool.enqueue_action(
        None,
        cloud.function(mender, name="mender"),
        args,
        retry=False,
        on_complete=target,
        context=context,
    )
    cloud.run_until_idle()
    mender.mended = True

    new = pool.redrive(None, old)
    cloud.run_until_idle()

    assert told == [(old, context, "failed"), (new, context, "success")]
    assert mender.seen == [3, 3]


@both_engines
def test_large_arguments_run_again_whole(cloud: LocalCloud) -> None:
    pool, lengths = cloud.workpool(), []

    def measure(event: dict[str, Any], _: object) -> None:
        lengths.append(len(event["note"]))
        raise ValueError("broken")

    old = pool.enqueue_action(
        None, cloud.function(measure, name="measure"), {"note": "é" * 200_000}, retry=False
    )
    cloud.run_until_idle()

    assert pool.redrive_all(None) == 1
    cloud.run_until_idle()

    assert lengths == [200_000, 200_000]
    assert len(dead(pool)) == 1
    assert dead(pool) != [old]


def test_callback_that_was_given_up_is_shown(cloud: LocalCloud) -> None:
    pool, mender = cloud.workpool(), Mender()
    work_id = pool.enqueue_action(
        None, cloud.function(mender, name="mender"), {"n": 1}, retry=False, on_complete="nobody"
    )
    cloud.run_until_idle()

    shown = pool.list(None, state="dead").items

    assert [(each.work_id, each.callback) for each in shown] == [(work_id, "dead")]


def test_redriven_work_whose_transaction_was_late_is_pointed_at(stage: Stage) -> None:
    """[WP-3]"""
    stage.place(FAILED)
    stage.store.plan(puts(WorkItem), late(stage, repeated=False))

    new = stage.pool().redrive(None, FAILED.id)

    assert [pointer.work_id for pointer in stage.pointers()] == [new]


def test_second_redrive_points_at_what_first_one_made(stage: Stage) -> None:
    """[WP-3] Who made it may have died before it proved that it was in time."""
    stage.place(FAILED)
    first = stage.pool().redrive(None, FAILED.id)
    assert stage.pointers() == []

    second = stage.pool().redrive(None, FAILED.id)

    assert second == first
    assert [pointer.work_id for pointer in stage.pointers()] == [first]


def test_redrive_starts_resting_loop(stage: Stage) -> None:
    """[WP-24]"""
    stage.place(FAILED)
    stage.resting_as(LoopState.IDLE)

    stage.pool().redrive(None, FAILED.id)

    assert [order.generation for order in stage.invoker.loops] == [2]

"""`cancel_all`: everything that was enqueued before it, and nothing that is enqueued after it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import echo
from workpool_aws import OnCompleteEvent, Result, RetryPolicy, UsageError, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

SLOW = timedelta(seconds=20)
NO_CONTEXT: Any = "now"


def failing(_event: Any, _: object) -> None:
    raise ValueError("boom")


def outcomes(pool: Workpool, ids: list[Any]) -> list[str | None]:
    return [status.outcome for status in pool.status_batch(None, ids)]


@pytest.mark.peer("LB09")
@both_engines
def test_due_and_future_works_are_canceled_and_never_start(
    cloud: LocalCloud, answer: Answer
) -> None:
    """[WP-13]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=True)
    ids = [
        *pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(7)]),
        *pool.enqueue_action_batch(
            None, fn, [{"n": n} for n in range(7, 10)], run_after=timedelta(days=3)
        ),
    ]

    pool.cancel_all(None)
    at_once = pool.status_batch(None, ids)
    listed = pool.list(None, state="pending").items
    pool.configure(None, paused=False)
    cloud.advance(timedelta(minutes=1))
    soon = pool.status_batch(None, ids)
    result = answer(pool, ids[0])
    cloud.advance(timedelta(days=4))

    assert [(status.state, status.cancel_requested) for status in at_once] == [
        ("pending", True)
    ] * 10
    assert [work.cancel_requested for work in listed] == [True] * 10
    assert [(status.state, status.outcome) for status in soon] == [("finished", "canceled")] * 10
    assert result == Result(kind="canceled")
    assert cloud.invocations(fn) == []


def test_paused_pool_is_emptied_without_free_slot(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=True)
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(450)])

    pool.cancel_all(None)
    cloud.advance(timedelta(seconds=30))

    assert outcomes(pool, ids) == ["canceled"] * 450
    assert pool.stats(None).pending == 0


def test_running_ones_get_request(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool(max_parallelism=2)

    @pool.action
    def patient(work: Work) -> str:
        for _ in range(60):
            if work.cancel_requested():
                return "stopped early"
            work.sleep(timedelta(seconds=1))
        return "went through"

    slow = cloud.function(patient, timeout=timedelta(minutes=2))
    doomed = cloud.function(failing, takes=SLOW)
    stops = pool.enqueue_action(None, slow, {}, retry=True)
    fails = pool.enqueue_action(None, doomed, {}, retry=True)
    waits = pool.enqueue_action(None, doomed, {}, retry=True)
    cloud.advance(timedelta(seconds=5))

    pool.cancel_all(None)
    asked = pool.status_batch(None, [stops, fails])
    cloud.run_until_idle()

    assert [(status.state, status.cancel_requested) for status in asked] == [("running", True)] * 2
    assert answer(pool, stops) == Result(kind="success", return_value="stopped early")
    assert (answer(pool, fails).kind, answer(pool, waits).kind) == ("canceled", "canceled")
    assert len(cloud.invocations(doomed)) == 1


def test_work_that_backs_off_is_not_tried_again(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    fn = cloud.function(failing)
    work_id = pool.enqueue_action(
        None, fn, {}, retry=RetryPolicy(max_attempts=5, initial_backoff=timedelta(minutes=30))
    )
    cloud.advance(timedelta(seconds=5))
    waiting = pool.status(None, work_id)

    pool.cancel_all(None)
    cloud.run_until_idle(timeout=timedelta(hours=3))

    assert (waiting.state, waiting.previous_attempts) == ("pending", 1)
    assert answer(pool, work_id).kind == "canceled"
    assert len(cloud.invocations(fn)) == 1


@pytest.mark.peer("LB10")
@pytest.mark.parametrize(
    ("cloud", "pause"),
    [
        ("memory", timedelta(0)),
        ("memory", timedelta(seconds=1)),
        ("memory", timedelta(hours=1)),
        ("moto", timedelta(seconds=1)),
    ],
    indirect=["cloud"],
    ids=str,
)
def test_work_enqueued_after_cancel_all_runs_from_any_caller(
    cloud: LocalCloud, pause: timedelta
) -> None:
    """[WP-3] A caller that did not see it finds out when it enqueues, however long ago it was."""
    asking = cloud.workpool()
    other = cloud.workpool()
    fn = cloud.function(echo)
    before = other.enqueue_action(None, fn, {"n": 0}, run_after=timedelta(hours=5))

    asking.cancel_all(None)
    cloud.advance(pause)
    after = [
        other.enqueue_action(None, fn, {"n": 1}),
        asking.enqueue_action(None, fn, {"n": 2}),
        cloud.workpool().enqueue_action(None, fn, {"n": 3}),
        *other.enqueue_query_batch(None, fn, [{"n": 4}, {"n": 5}]),
        other.enqueue_action(None, fn, {"n": 6}, run_after=timedelta(hours=5)),
    ]
    cloud.run_until_idle(timeout=timedelta(hours=7))

    assert outcomes(asking, [before, *after]) == ["canceled"] + ["success"] * 6
    assert sorted(each.event["n"] for each in cloud.invocations(fn)) == [1, 2, 3, 4, 5, 6]


def test_cancel_all_cancels_all_that_came_before_it(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    first = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(hours=1))
    pool.cancel_all(None)
    second = pool.enqueue_action(None, fn, {"n": 2}, run_after=timedelta(hours=1))
    pool.cancel_all(None)
    pool.cancel_all(None)
    third = pool.enqueue_action(None, fn, {"n": 3}, run_after=timedelta(hours=1))
    cloud.run_until_idle(timeout=timedelta(hours=3))

    assert outcomes(pool, [first, second, third]) == ["canceled", "canceled", "success"]


def test_callbacks_tell_of_it(cloud: LocalCloud) -> None:
    """[WP-8]"""
    pool = cloud.workpool()
    told: list[tuple[str, Any, str]] = []

    @pool.on_complete
    def note(event: OnCompleteEvent) -> None:
        told.append((event.work_id, event.context, event.result.kind))

    fn = cloud.function(echo)
    target = cloud.function(note)
    ids = [
        pool.enqueue_action(
            None,
            fn,
            {},
            run_after=timedelta(hours=1),
            on_complete=target,
            context=n,
            on_complete_exclude=exclude,
        )
        for n, exclude in enumerate([(), (), ("canceled",)])
    ]

    pool.cancel_all(None)
    cloud.run_until_idle()

    assert sorted(told) == sorted([(ids[0], 0, "canceled"), (ids[1], 1, "canceled")])
    assert [status.callback for status in pool.status_batch(None, ids)] == [
        "delivered",
        "delivered",
        None,
    ]


def test_cancel_all_touches_no_other_pool_and_no_finished_work(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool("one")
    neighbor = cloud.workpool("two")
    fn = cloud.function(echo)
    done = pool.enqueue_action(None, fn, {"n": 7})
    cloud.run_until_idle()
    elsewhere = neighbor.enqueue_action(None, fn, {"n": 8}, run_after=timedelta(minutes=5))

    pool.cancel_all(None)
    cloud.run_until_idle()

    assert answer(pool, done) == Result(kind="success", return_value=7)
    assert answer(neighbor, elsewhere) == Result(kind="success", return_value=8)


def test_pool_that_never_had_work_can_be_canceled(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)

    pool.cancel_all(None)
    work_id = pool.enqueue_action(None, fn, {"n": 1})
    cloud.run_until_idle()

    assert outcomes(pool, [work_id]) == ["success"]


def test_redriven_failure_is_work_of_after(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(failing)
    failed = pool.enqueue_action(None, fn, {})
    cloud.run_until_idle()
    pool.cancel_all(None)

    again = pool.redrive(None, failed)
    cloud.run_until_idle()

    assert pool.status(None, again).outcome == "failed"
    assert len(cloud.invocations(fn)) == 2


def test_idle_pool_is_idle_again_afterwards(cloud: LocalCloud) -> None:
    """[WP-22]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(5)], run_after=timedelta(days=2))

    pool.cancel_all(None)
    cloud.run_until_idle()
    rested = cloud.now
    cloud.run_until_idle(timeout=timedelta(days=5))

    assert pool.stats(None).scheduled == 0
    assert cloud.now - rested < timedelta(minutes=2)


def test_what_is_no_context_is_refused(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(hours=1))

    with pytest.raises(UsageError, match="ctx"):
        pool.cancel_all(NO_CONTEXT)

    assert not pool.status(None, work_id).cancel_requested


@pytest.mark.parametrize("all_at_once", [True, False])
def test_hundreds_of_canceled_works_cost_nothing_once_their_time_has_passed(
    cloud: LocalCloud, *, all_at_once: bool
) -> None:
    """[WP-20] [WP-22] Not the watchdog, each minute; and the next work does not wait until they are read one by one."""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    quiet = watched_for_a_minute(cloud)
    ids = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(400)], run_after=timedelta(minutes=30)
    )
    if all_at_once:
        pool.cancel_all(None)
    else:
        for work_id in ids:
            pool.cancel(None, work_id)
    cloud.advance(timedelta(minutes=75))
    watched = watched_for_a_minute(cloud)
    before = cloud.capacity.requests
    work_id = pool.enqueue_action(None, fn, {"n": -1})
    cloud.run_until_idle()

    assert quiet == 2
    assert watched <= quiet + 6
    assert cloud.capacity.requests - before < 60
    assert outcomes(pool, [work_id]) == ["success"]


def watched_for_a_minute(cloud: LocalCloud) -> int:
    """The requests of one tick, which the virtual clock would leave out."""
    before = cloud.capacity.requests
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
    cloud.advance(timedelta(seconds=1))
    return cloud.capacity.requests - before

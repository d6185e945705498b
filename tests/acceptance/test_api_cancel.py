"""`cancel`: its four answers, and that each of them holds."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.kit.functions import echo
from workpool_aws import Result, RetryPolicy, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

PATIENT = RetryPolicy(max_attempts=4, initial_backoff=timedelta(minutes=10), base=1, jitter=False)


@both_engines
@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=30), timedelta(days=3)], ids=str)
def test_pending_work_is_canceled_and_never_starts(
    cloud: LocalCloud, answer: Answer, delay: timedelta
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.configure(None, paused=not delay)
    work_id = pool.enqueue_action(None, fn, {}, retry=True, run_after=delay)

    said = pool.cancel(None, work_id)
    pool.configure(None, paused=False)
    cloud.advance(timedelta(minutes=10))

    status = pool.status(None, work_id)
    assert said == "canceled"
    assert (status.state, status.outcome) == ("finished", "canceled")
    assert status.finished_at is not None
    assert answer(pool, work_id) == Result(kind="canceled")
    assert cloud.invocations(fn) == []


def test_canceling_one_work_leaves_others(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)
    fn = cloud.function(echo, takes=timedelta(seconds=5))
    ids = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(10)], run_after=timedelta(minutes=5)
    )

    answers = [pool.cancel(None, work_id) for work_id in ids[::2]]
    cloud.run_until_idle()

    assert answers == ["canceled"] * 5
    assert [each.outcome for each in pool.status_batch(None, ids)] == ["canceled", "success"] * 5
    assert sorted(each.event["n"] for each in cloud.invocations(fn)) == [1, 3, 5, 7, 9]


@both_engines
def test_running_work_gets_request_that_it_can_see(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def patient(work: Work) -> str:
        for _ in range(60):
            if work.cancel_requested():
                return "stopped early"
            work.sleep(timedelta(seconds=1))
        return "went through"

    fn = cloud.function(patient, timeout=timedelta(minutes=2))
    work_id = pool.enqueue_action(None, fn, {}, retry=True)
    cloud.advance(timedelta(seconds=5))

    said = pool.cancel(None, work_id)
    seen = pool.status(None, work_id)
    cloud.run_until_idle()

    assert said == "requested"
    assert (seen.state, seen.cancel_requested) == ("running", True)
    assert answer(pool, work_id) == Result(kind="success", return_value="stopped early")
    (delivery,) = cloud.invocations(fn)
    assert delivery.ended_at is not None
    assert delivery.ended_at - delivery.started_at <= timedelta(seconds=7)


@pytest.mark.parametrize("decorated", [True, False])
def test_cancel_request_is_followed_by_no_retry(
    cloud: LocalCloud, answer: Answer, decorated: bool
) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ConnectionError("busy")

    def fail_plainly(event: dict[str, Any], _: object) -> None:
        raise ConnectionError("busy")

    fn = cloud.function(
        fail if decorated else fail_plainly, name="fails", takes=timedelta(seconds=20)
    )
    work_id = pool.enqueue_action(None, fn, {}, retry=PATIENT)
    cloud.advance(timedelta(seconds=5))

    said = pool.cancel(None, work_id)
    cloud.advance(timedelta(hours=2))

    assert said == "requested"
    assert len(cloud.invocations(fn)) == 1
    assert answer(pool, work_id).kind == "canceled"


def test_work_that_backs_off_is_canceled_and_keeps_its_count(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ConnectionError("busy")

    fn = cloud.function(fail)
    work_id = pool.enqueue_action(None, fn, {}, retry=PATIENT)
    cloud.advance(timedelta(minutes=15))
    before = pool.status(None, work_id)

    said = pool.cancel(None, work_id)
    cloud.advance(timedelta(hours=2))

    assert (before.state, before.previous_attempts) == ("pending", 2)
    assert said == "canceled"
    assert pool.status(None, work_id).previous_attempts == 2
    assert len(cloud.invocations(fn)) == 2
    assert answer(pool, work_id).kind == "canceled"


@pytest.mark.parametrize("fails", [True, False])
def test_finished_work_stays_as_it_was(cloud: LocalCloud, answer: Answer, fails: bool) -> None:
    pool = cloud.workpool()

    @pool.action
    def work() -> None:
        if fails:
            raise ValueError("no")

    work_id = pool.enqueue_action(None, cloud.function(work), {})
    cloud.run_until_idle()
    before = (pool.status(None, work_id), answer(pool, work_id))

    assert pool.cancel(None, work_id) == "finished"
    assert (pool.status(None, work_id), answer(pool, work_id)) == before


@pytest.mark.parametrize(
    "work_id",
    ["", "nonsense", "01JZZZZZZZZZZZZZZZZZZZZZZZ", "x" * 5_000],
    ids=lambda text: text[:12],
)
def test_cancel_of_unknown_id_says_unknown(cloud: LocalCloud, work_id: str) -> None:
    pool = cloud.workpool()

    assert pool.cancel(None, work_id) == "unknown"
    assert pool.status(None, work_id).state == "unknown"


def test_second_cancel_finds_it_finished_or_requested(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(echo, takes=timedelta(seconds=20))
    running, waiting = pool.enqueue_action_batch(None, fn, [{"n": 1}, {"n": 2}])
    cloud.advance(timedelta(seconds=2))
    if pool.status(None, running).state == "pending":
        running, waiting = waiting, running

    said = [
        pool.cancel(None, running),
        pool.cancel(None, running),
        pool.cancel(None, waiting),
        pool.cancel(None, waiting),
    ]
    cloud.run_until_idle()

    assert said == ["requested", "requested", "canceled", "finished"]
    assert pool.cancel(None, running) == "finished"


def test_canceled_work_is_unknown_after_its_retention(cloud: LocalCloud) -> None:
    pool = cloud.workpool(status_ttl=timedelta(hours=2))
    work_id = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(days=9))
    pool.cancel(None, work_id)

    cloud.advance(timedelta(hours=1, minutes=55))
    kept = pool.status(None, work_id).state
    cloud.advance(timedelta(minutes=10))

    assert (kept, pool.status(None, work_id).state) == ("finished", "unknown")


def test_canceling_last_works_lets_pool_rest(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    ids = pool.enqueue_action_batch(
        None, cloud.function(echo), [{"n": n} for n in range(5)], run_after=timedelta(seconds=40)
    )
    for work_id in ids:
        pool.cancel(None, work_id)
    cloud.run_until_idle()
    loops = len(cloud.invocations(cloud.loop_arn))

    cloud.advance(timedelta(days=2))

    assert len(cloud.invocations(cloud.loop_arn)) <= loops + 1


@pytest.mark.parametrize("seed", range(4))
def test_canceled_work_never_starts_again_under_faults(seed: int) -> None:
    with LocalCloud(
        engine="memory",
        seed=seed,
        duplicate_deliveries=0.2,
        lost_deliveries=0.1,
        lost_destinations=0.2,
        crash_rate=0.1,
    ) as cloud:
        pool = cloud.workpool(max_parallelism=3)

        @pool.action
        def fail(work: Work, n: int) -> int:
            if work.attempt < 3:
                raise ConnectionError("busy")
            return n

        fn = cloud.function(fail, takes=timedelta(seconds=3))
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(20)], retry=True)
        canceled: dict[int, datetime] = {}
        for n, work_id in enumerate(ids):
            cloud.advance(timedelta(seconds=0.7))
            if pool.cancel(None, work_id) == "canceled":
                canceled[n] = cloud.now
        cloud.run_until_idle()
        cloud.advance(timedelta(hours=1))

        ran = [each for each in cloud.invocations(fn) if each.outcome not in {"duplicate", "late"}]
        late = [
            each
            for each in ran
            if each.event["n"] in canceled and each.started_at > canceled[each.event["n"]]
        ]
        assert canceled, f"seed {seed}: nothing was canceled"
        assert late == [], f"seed {seed}"
        assert {each.state for each in pool.status_batch(None, ids)} == {"finished"}, f"seed {seed}"


def test_pool_does_not_wait_for_what_was_canceled(cloud: LocalCloud) -> None:
    """[WP-22] No far wake is left of it, and no loop runs when it would have come."""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    first, second = (
        pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=hours)) for hours in (2, 4)
    )
    cloud.advance(timedelta(minutes=1))

    pool.cancel(None, first)
    cloud.advance(timedelta(minutes=1))
    between = len([fact for fact in cloud.facts if fact.name == "loop_took"])
    cloud.advance(timedelta(hours=3))
    unmoved = len([fact for fact in cloud.facts if fact.name == "loop_took"])
    pool.cancel(None, second)
    cloud.advance(timedelta(minutes=1))
    canceled = len([fact for fact in cloud.facts if fact.name == "loop_took"])
    cloud.advance(timedelta(hours=3))

    assert unmoved == between
    assert len([fact for fact in cloud.facts if fact.name == "loop_took"]) == canceled
    assert cloud.invocations(fn) == []

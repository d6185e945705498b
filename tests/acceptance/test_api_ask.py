"""The section "Ask and act": status, result, config and configure, retention."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import boom, echo
from workpool_aws import NotFound, Result, RetryPolicy, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

SECOND = timedelta(seconds=1)
NEVER_ENQUEUED = [
    "01JZZZZZZZZZZZZZZZZZZZZZZZ",
    "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "0" * 26,
    "",
    "not an id",
    "ü" * 26,
    "x" * 5_000,
    "a#b",
]


@both_engines
def test_status_follows_work_through_its_life(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo, takes=timedelta(seconds=20))
    due = cloud.now + timedelta(minutes=3)
    work_id = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(minutes=3))

    pending = pool.status(None, work_id)
    cloud.advance(timedelta(minutes=3, seconds=10))
    running = pool.status(None, work_id)
    unfinished = pool.result(None, work_id)
    cloud.run_until_idle()
    finished = pool.status(None, work_id)

    assert (pending.state, pending.outcome, pending.started_at, pending.finished_at) == (
        "pending",
        None,
        None,
        None,
    )
    assert pending.next_run_at is not None
    assert abs(pending.next_run_at - due) <= timedelta(milliseconds=1)
    assert (running.state, running.outcome, running.next_run_at, running.finished_at) == (
        "running",
        None,
        None,
        None,
    )
    assert running.started_at is not None
    assert due <= running.started_at <= due + SECOND
    assert unfinished is None
    assert (finished.state, finished.outcome, finished.next_run_at) == ("finished", "success", None)
    assert finished.finished_at is not None
    assert finished.started_at == running.started_at
    assert (
        timedelta(seconds=20) <= finished.finished_at - running.started_at <= timedelta(seconds=21)
    )
    assert all(
        not each.cancel_requested and each.previous_attempts == 0
        for each in (pending, running, finished)
    )


def test_status_of_work_that_backs_off_is_pending(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    policy = RetryPolicy(max_attempts=3, initial_backoff=timedelta(minutes=10), jitter=False)
    work_id = pool.enqueue_action(None, cloud.function(boom), {"n": 1}, retry=policy)
    cloud.advance(timedelta(minutes=1))

    status = pool.status(None, work_id)

    assert (status.state, status.previous_attempts, status.outcome) == ("pending", 1, None)
    assert status.next_run_at is not None
    assert timedelta(minutes=8) <= status.next_run_at - cloud.now <= timedelta(minutes=9, seconds=1)
    assert pool.result(None, work_id) is None


@both_engines
@pytest.mark.parametrize("work_id", NEVER_ENQUEUED, ids=lambda text: text[:12])
def test_id_that_was_never_enqueued_is_unknown_and_never_finished(
    cloud: LocalCloud, work_id: str
) -> None:
    pool = cloud.workpool()

    status = pool.status(None, work_id)

    assert (status.state, status.outcome, status.previous_attempts) == ("unknown", None, 0)
    assert (status.next_run_at, status.started_at, status.finished_at) == (None, None, None)
    with pytest.raises(NotFound):
        pool.result(None, work_id)


def test_asking_before_first_enqueue_works(cloud: LocalCloud) -> None:
    pool = cloud.workpool("fresh", max_parallelism=6)

    assert pool.status_batch(None, []) == []
    assert pool.config(None).max_parallelism == 6


def test_batch_of_statuses_stands_in_order_of_its_ids(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    good = pool.enqueue_action_batch(None, cloud.function(echo), [{"n": n} for n in range(4)])
    waiting = pool.enqueue_action_batch(
        None, cloud.function(echo), [{"n": n} for n in range(110)], run_after=timedelta(days=2)
    )
    bad = pool.enqueue_action(None, cloud.function(boom), {"n": 1})
    later = pool.enqueue_action(None, cloud.function(echo), {"n": 1}, run_after=timedelta(days=1))
    cloud.run_until_idle()

    statuses = pool.status_batch(
        None, [bad, later, NEVER_ENQUEUED[0], *good, *waiting, bad, "not an id"]
    )

    shown = [(each.state, each.outcome) for each in statuses]
    assert shown[:3] == [("finished", "failed"), ("pending", None), ("unknown", None)]
    assert shown[3:117] == [("finished", "success")] * 4 + [("pending", None)] * 110
    assert shown[117:] == [("finished", "failed"), ("unknown", None)]


@both_engines
def test_callback_of_failure_has_its_error_and_type(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(boom), {"n": 42})
    cloud.run_until_idle()

    result = answer(pool, work_id)

    assert (result.kind, result.return_value, result.error_type) == ("failed", None, "ValueError")
    assert "boom 42" in str(result.error)


def test_result_of_none_is_success_of_none(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(lambda event, ctx: None), {})
    cloud.run_until_idle()

    assert answer(pool, work_id) == Result(kind="success", return_value=None)


def test_outcome_does_not_change_afterwards(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(echo), {"n": 3}, retry=True)
    cloud.run_until_idle()
    before = (pool.status(None, work_id), answer(pool, work_id))

    cloud.advance(timedelta(hours=12))

    assert (pool.status(None, work_id), answer(pool, work_id)) == before


@pytest.mark.parametrize(
    "ttl", [timedelta(hours=2), timedelta(days=1), timedelta(days=40)], ids=str
)
def test_finished_work_is_unknown_after_its_retention(cloud: LocalCloud, ttl: timedelta) -> None:
    pool = cloud.workpool(status_ttl=ttl)
    work_id = pool.enqueue_action(
        None, cloud.function(echo), {"n": 1}, run_after=timedelta(hours=5)
    )
    cloud.run_until_idle(timeout=timedelta(hours=6))

    cloud.advance(ttl - timedelta(minutes=5))
    kept = pool.status(None, work_id).state
    cloud.advance(timedelta(minutes=10))

    assert kept == "finished"
    assert pool.status(None, work_id).state == "unknown"
    with pytest.raises(NotFound):
        pool.result(None, work_id)


def test_default_retention_is_day(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(echo), {"n": 1})
    cloud.run_until_idle()

    cloud.advance(timedelta(hours=23, minutes=50))
    kept = pool.status(None, work_id).state
    cloud.advance(timedelta(minutes=15))

    assert (kept, pool.status(None, work_id).state) == ("finished", "unknown")


def test_without_retention_work_is_known_for_ever(cloud: LocalCloud) -> None:
    pool = cloud.workpool(status_ttl=None)
    work_id = pool.enqueue_action(None, cloud.function(echo), {"n": 1})
    cloud.run_until_idle()

    cloud.advance(timedelta(days=3_000))

    assert pool.status(None, work_id).outcome == "success"


def test_unfinished_work_is_never_forgotten(cloud: LocalCloud) -> None:
    pool = cloud.workpool(status_ttl=timedelta(minutes=1))
    fn = cloud.function(echo)
    later = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(days=300))
    failing = pool.enqueue_action(
        None,
        cloud.function(boom),
        {"n": 1},
        retry=RetryPolicy(max_attempts=3, initial_backoff=timedelta(days=90), jitter=False),
    )
    cloud.advance(timedelta(days=80))

    pool.configure(None, paused=True)
    cloud.advance(timedelta(days=300))

    assert pool.status(None, later).state == "pending"
    assert (pool.status(None, failing).state, pool.status(None, failing).previous_attempts) == (
        "pending",
        1,
    )


@both_engines
def test_config_shows_base_override_who_and_when(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=7)
    pool.enqueue_action(None, cloud.function(echo), {"n": 1})

    base = pool.config(None)
    asked_at = cloud.now
    said = pool.configure(None, max_parallelism=3)
    overridden = pool.config(None)
    pool.configure(None, reset=True)
    reset = pool.config(None)

    assert (base.max_parallelism, base.paused, base.base.max_parallelism, base.override) == (
        7,
        False,
        7,
        None,
    )
    assert base.base.at is not None
    assert said == overridden
    assert (overridden.max_parallelism, overridden.base.max_parallelism) == (3, 7)
    assert overridden.override is not None
    assert (overridden.override.max_parallelism, overridden.override.paused) == (3, False)
    assert overridden.override.at is not None
    assert abs(overridden.override.at - asked_at) <= SECOND
    assert (reset.max_parallelism, reset.override) == (7, None)


def test_override_survives_program_that_gives_another_base(cloud: LocalCloud) -> None:
    old = cloud.workpool("mail", max_parallelism=5)
    fn = cloud.function(echo, takes=timedelta(seconds=2))
    old.enqueue_action(None, fn, {"n": 1})
    old.configure(None, max_parallelism=2)

    new = cloud.workpool("mail", max_parallelism=9)
    new.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)])
    cloud.run_until_idle()

    assert cloud.max_concurrency(fn) == 2
    assert (new.config(None).max_parallelism, new.config(None).base.max_parallelism) == (2, 9)
    new.configure(None, reset=True)
    assert new.config(None).max_parallelism == 9


def test_program_that_gives_no_limit_leaves_base_alone(cloud: LocalCloud) -> None:
    cloud.workpool("mail", max_parallelism=5).enqueue_action(None, cloud.function(echo), {"n": 1})

    cloud.workpool("mail").enqueue_action(None, cloud.function(echo), {"n": 1})

    assert cloud.workpool("mail").config(None).max_parallelism == 5


def test_lowering_limit_recalls_nothing_and_holds_from_then_on(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=6)
    fn = cloud.function(echo, takes=timedelta(seconds=10))
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(20)])
    cloud.advance(timedelta(seconds=5))

    pool.configure(None, max_parallelism=2)
    asked_at = cloud.now
    cloud.run_until_idle()

    deliveries = cloud.invocations(fn)
    early = [each for each in deliveries if each.started_at <= asked_at]
    spans = [
        (each.started_at, each.ended_at)
        for each in deliveries
        if each.started_at > asked_at and each.ended_at is not None
    ]
    assert len(early) == 6
    assert len(spans) == 14
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == 2
    assert min(start for start, _ in spans) >= max(
        each.ended_at for each in early if each.ended_at is not None
    )


def test_raising_limit_is_used_at_once(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(echo, takes=timedelta(minutes=1), timeout=timedelta(minutes=2))
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)])
    cloud.advance(timedelta(seconds=10))

    pool.configure(None, max_parallelism=12)
    cloud.advance(timedelta(seconds=1))

    assert cloud.max_concurrency(fn) == 12
    cloud.run_until_idle()
    assert len(cloud.invocations(fn)) == 12


@pytest.mark.parametrize("pause", [{"paused": True}, {"max_parallelism": 0}], ids=str)
@pytest.mark.parametrize(
    "resume", [{"reset": True}, {"paused": False, "max_parallelism": 3}], ids=str
)
def test_paused_pool_accepts_and_starts_nothing_until_it_is_resumed(
    cloud: LocalCloud, pause: dict[str, Any], resume: dict[str, Any]
) -> None:
    pool = cloud.workpool(max_parallelism=3)
    fn = cloud.function(echo, takes=timedelta(seconds=1))
    pool.configure(None, **pause)
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(5)])
    cloud.run_until_idle()
    cloud.advance(timedelta(days=2))

    assert cloud.invocations(fn) == []
    assert {each.state for each in pool.status_batch(None, ids)} == {"pending"}
    assert pool.config(None).paused

    resumed_at = cloud.now
    pool.configure(None, **resume)
    cloud.run_until_idle()

    assert not pool.config(None).paused
    assert {each.outcome for each in pool.status_batch(None, ids)} == {"success"}
    assert min(each.started_at for each in cloud.invocations(fn)) - resumed_at <= SECOND


@pytest.mark.peer("LB05")
def test_pool_may_be_born_paused(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=0)
    fn = cloud.function(echo)
    work_id = pool.enqueue_action(None, fn, {"n": 1})
    cloud.run_until_idle()
    assert cloud.invocations(fn) == []

    pool.configure(None, max_parallelism=1)
    cloud.run_until_idle()

    assert pool.status(None, work_id).outcome == "success"


def test_pausing_lets_what_runs_finish(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)
    fn = cloud.function(echo, takes=timedelta(seconds=10))
    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(6)])
    cloud.advance(timedelta(seconds=3))

    pool.configure(None, paused=True)
    cloud.run_until_idle()

    assert (
        sorted(each.state for each in pool.status_batch(None, ids))
        == ["finished"] * 2 + ["pending"] * 4
    )


def test_retry_that_falls_into_pause_waits_for_its_end(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def flaky(work: Work) -> int:
        if work.attempt == 1:
            raise ConnectionError("busy")
        return work.attempt

    fn = cloud.function(flaky)
    work_id = pool.enqueue_action(
        None,
        fn,
        {},
        retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(minutes=5), jitter=False),
    )
    cloud.advance(timedelta(minutes=1))
    pool.configure(None, paused=True)
    cloud.advance(timedelta(days=20))
    paused = pool.status(None, work_id)
    pool.configure(None, paused=False)
    cloud.run_until_idle()

    assert (paused.state, paused.previous_attempts) == ("pending", 1)
    assert pool.status(None, work_id).outcome == "success"


def test_reset_with_value_drops_rest_of_override(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=8)
    pool.configure(None, paused=True)

    said = pool.configure(None, reset=True, max_parallelism=4)

    assert (said.max_parallelism, said.paused) == (4, False)


def test_pausing_keeps_limit_that_was_set_before(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=8)
    pool.configure(None, max_parallelism=3)
    pool.configure(None, paused=True)

    assert pool.configure(None, paused=False).max_parallelism == 3

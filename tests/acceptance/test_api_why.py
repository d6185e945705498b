"""`why`: the reasons for which a work item does not run, on a table of stuck pools."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.functions import boom, echo, table_of
from workpool_aws import RetryLater, RetryPolicy, Snooze, UsageError, Why, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import DeploymentRef

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

Scene = Callable[[LocalCloud, Workpool], str]


def codes(why: Why) -> list[str]:
    return [each.code for each in why.reasons]


def later(cloud: LocalCloud, pool: Workpool) -> str:
    return pool.enqueue_action(None, cloud.function(echo), {}, run_after=HOUR)


def soon(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = pool.enqueue_action(None, cloud.function(echo), {}, run_after=MINUTE)
    cloud.advance(timedelta(seconds=1))
    return work_id


def paused(cloud: LocalCloud, pool: Workpool) -> str:
    pool.configure(None, paused=True)
    return pool.enqueue_action(None, cloud.function(echo), {})


def paused_until_later(cloud: LocalCloud, pool: Workpool) -> str:
    pool.configure(None, paused=True)
    return later(cloud, pool)


def limit_of_nothing(cloud: LocalCloud, pool: Workpool) -> str:
    return cloud.workpool(pool.name, max_parallelism=0).enqueue_action(None, "echo", {})


def full(cloud: LocalCloud, pool: Workpool) -> str:
    pool.configure(None, max_parallelism=2)
    slow = cloud.function(echo, name="slow", takes=timedelta(seconds=20))
    pool.enqueue_action_batch(None, slow, [{}, {}])
    cloud.advance(timedelta(seconds=1))
    return pool.enqueue_action(None, cloud.function(echo), {})


def called_off(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = later(cloud, pool)
    pool.cancel_all(None)
    return work_id


def running(cloud: LocalCloud, pool: Workpool) -> str:
    slow = cloud.function(echo, takes=timedelta(seconds=20))
    work_id = pool.enqueue_action(None, slow, {}, retry=True)
    cloud.advance(timedelta(seconds=1))
    return work_id


def canceled_while_running(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = running(cloud, pool)
    pool.cancel(None, work_id)
    return work_id


def in_the_queue(cloud: LocalCloud, pool: Workpool) -> str:
    throttled = cloud.function(pool.action(lambda: None), name="throttled", reserved=0)
    work_id = pool.enqueue_action(None, throttled, {})
    cloud.advance(timedelta(seconds=1))
    return work_id


def backing_off(cloud: LocalCloud, pool: Workpool) -> str:
    policy = RetryPolicy(initial_backoff=HOUR)
    work_id = pool.enqueue_action(None, cloud.function(boom), {}, retry=policy)
    cloud.advance(MINUTE)
    return work_id


def snoozed(cloud: LocalCloud, pool: Workpool) -> str:
    @pool.action
    def wait() -> None:
        raise Snooze(HOUR)

    cloud.function(wait)
    work_id = wait.enqueue(None)
    cloud.advance(MINUTE)
    return work_id


def asked_for_later(cloud: LocalCloud, pool: Workpool) -> str:
    @pool.action(retry=True)
    def wait() -> None:
        raise RetryLater(HOUR)

    cloud.function(wait)
    work_id = wait.enqueue(None)
    cloud.advance(MINUTE)
    return work_id


def no_function(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = pool.enqueue_action(None, "missing", {})
    cloud.advance(timedelta(seconds=10))
    return work_id


def done(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = pool.enqueue_action(None, cloud.function(echo), {})
    cloud.run_until_idle()
    return work_id


def dead(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = pool.enqueue_action(None, cloud.function(boom), {})
    cloud.run_until_idle()
    return work_id


def redriven(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = dead(cloud, pool)
    pool.redrive(None, work_id)
    return work_id


def canceled(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = later(cloud, pool)
    pool.cancel(None, work_id)
    return work_id


def callback_that_fails(cloud: LocalCloud, pool: Workpool) -> str:
    handler = cloud.function(pool.on_complete(lambda event: 1 / 0), name="handler")
    work_id = pool.enqueue_action(None, cloud.function(echo), {}, on_complete=handler)
    cloud.advance(MINUTE)
    return work_id


def callback_that_is_dead(cloud: LocalCloud, pool: Workpool) -> str:
    work_id = callback_that_fails(cloud, pool)
    cloud.advance(timedelta(hours=3))
    return work_id


def past_retention(cloud: LocalCloud, _: Workpool) -> str:
    pool = cloud.workpool(status_ttl=HOUR)
    work_id = pool.enqueue_action(None, cloud.function(echo), {})
    cloud.advance(2 * HOUR)
    return work_id


def never_enqueued(_: LocalCloud, __: Workpool) -> str:
    return "01JZZZZZZZZZZZZZZZZZZZZZZ0"


def in_time(cloud: LocalCloud, pool: Workpool) -> str:
    return pool.enqueue_action(None, "echo", {}, run_after=HOUR, expires_after=2 * HOUR)


def too_late(cloud: LocalCloud, pool: Workpool) -> str:
    pool.configure(None, paused=True)
    work_id = pool.enqueue_action(None, "echo", {}, expires_after=MINUTE)
    cloud.advance(HOUR)
    return work_id


def no_id(_: LocalCloud, __: Workpool) -> str:
    return "no id"


TABLE: list[tuple[Scene, str, list[str], str]] = [
    (later, "waiting", ["not_due", "loop_running"], "enqueued for a later time"),
    (soon, "waiting", ["not_due", "loop_running"], "enqueued for a later time"),
    (paused, "blocked", ["paused"], "The pool is paused since "),
    (paused_until_later, "blocked", ["not_due", "paused"], "enqueued for a later time"),
    (limit_of_nothing, "blocked", ["paused"], "set by a caller outside Lambda. Nothing starts"),
    (full, "waiting", ["slots_taken"], "2 of 2 slots are taken: 2 of slow"),
    (called_off, "blocked", ["called_off"], "cancel_all came after it was enqueued"),
    (running, "running", ["running"], "Attempt 1 runs in echo since "),
    (canceled_while_running, "running", ["running", "cancel_requested"], "Attempt 1 runs"),
    (in_the_queue, "waiting", ["chosen"], "no code of throttled has begun"),
    (backing_off, "waiting", ["not_due", "loop_resting"], "attempt 1, which failed (KeyError: "),
    (snoozed, "waiting", ["not_due", "loop_resting"], "its code snoozed attempt 1"),
    (asked_for_later, "waiting", ["not_due", "loop_resting"], "attempt 1, which failed"),
    (no_function, "waiting", ["function_refused", "not_due", "loop_running"], "refuses to invoke"),
    (in_time, "waiting", ["not_due", "loop_running", "expires"], "enqueued for a later time"),
    (too_late, "blocked", ["paused", "expires"], "The pool is paused since "),
    (done, "finished", ["succeeded"], "It succeeded at "),
    (dead, "finished", ["failed"], "after 1 attempt: KeyError: "),
    (redriven, "finished", ["failed", "redriven"], "after 1 attempt"),
    (canceled, "finished", ["canceled"], "It was canceled at "),
    (callback_that_fails, "finished", ["succeeded", "callback_pending"], "It succeeded"),
    (callback_that_is_dead, "finished", ["succeeded", "callback_dead"], "It succeeded"),
    (past_retention, "unknown", ["past_retention"], "is past its retention"),
    (never_enqueued, "unknown", ["unknown"], "has no work item of this id"),
    (no_id, "unknown", ["unknown"], "has no work item of this id"),
]


@pytest.mark.parametrize(
    ("scene", "verdict", "expected", "text"), TABLE, ids=[row[0].__name__ for row in TABLE]
)
def test_why_names_reasons_in_order(
    cloud: LocalCloud, scene: Scene, verdict: str, expected: list[str], text: str
) -> None:
    pool = cloud.workpool()

    why = pool.why(None, scene(cloud, pool))

    assert (why.verdict, codes(why)) == (verdict, expected), why
    assert text in why.reasons[0].text
    assert all(each.change.endswith(".") and each.text.endswith(".") for each in why.reasons)
    assert (verdict == "blocked") == any(each.blocks for each in why.reasons) or (
        "callback_dead" in expected
    )
    assert (why.since is None) == (verdict == "unknown")


@both_engines
def test_why_reads_same_records_on_every_engine(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = full(cloud, pool)
    before = cloud.capacity.read_units

    why = pool.why(None, work_id)

    assert cloud.capacity.read_units - before == 7
    assert codes(why) == ["slots_taken"]
    assert [pool.show(None, each).status.state for each in why.reasons[0].work_ids] == [
        "running",
        "running",
    ]
    assert why.since is not None
    assert why.next_look is not None
    assert why.since <= cloud.now < why.next_look


def test_why_refuses_what_is_no_id(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    with pytest.raises(UsageError, match=r"^work_id must be "):
        pool.why(None, 7)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^ctx must be "):
        pool.why({}, "no id")  # type: ignore[arg-type]


def test_loop_that_only_the_deployment_names_is_known(cloud: LocalCloud) -> None:
    work_id = cloud.workpool("email").enqueue_action(None, "echo", {}, run_after=HOUR)
    outside = replace(cloud._ports_of(cloud.table), loop_arn=None)

    why = Workpool(cloud.table, "email", ports=outside).why(None, work_id)

    assert (why.verdict, codes(why)[:1]) == ("waiting", ["not_due"])
    assert "not_deployed" not in codes(why)


def test_loop_that_only_the_settings_name_is_known(cloud: LocalCloud) -> None:
    work_id = cloud.workpool("email").enqueue_action(None, "echo", {}, run_after=HOUR)
    table_of(cloud).delete(DeploymentRef())

    inside = cloud.workpool("email").why(None, work_id)
    outside = Workpool(
        cloud.table, "email", ports=replace(cloud._ports_of(cloud.table), loop_arn=None)
    ).why(None, work_id)

    assert "not_deployed" not in codes(inside)
    assert "not_deployed" in codes(outside)

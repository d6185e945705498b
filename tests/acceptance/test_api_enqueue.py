"""The section "Enqueue" of the interface: targets, kinds, batches, delays."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from workpool_aws import Result, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

SECOND = timedelta(seconds=1)


def echo(event: dict[str, Any], _: object) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "_workpool"}


@both_engines
def test_action_runs_and_its_result_can_be_read(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    work_id = pool.enqueue_action(None, cloud.function(echo), {"to": "a@example.com"})
    cloud.run_until_idle()

    assert isinstance(work_id, str)
    assert answer(pool, work_id) == Result(kind="success", return_value={"to": "a@example.com"})


@both_engines
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"text": "häßlich — 漢字 \U0001f389 \x00", "": "empty key"},
        {"int": 2**53, "big": 10**30, "negative": -7, "float": 0.1, "small": 1e-300, "zero": 0.0},
        {
            "none": None,
            "yes": True,
            "no": False,
            "list": [1, [2, [3, {}]], []],
            "nested": {"a": {"b": {"c": None}}},
        },
    ],
    ids=["empty", "text", "numbers", "nested"],
)
def test_arguments_and_result_arrive_as_they_were_given(
    cloud: LocalCloud, answer: Answer, args: dict[str, object]
) -> None:
    pool = cloud.workpool()

    work_id = pool.enqueue_action(None, cloud.function(echo), args)
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == args


def test_arguments_are_taken_when_enqueued_not_when_run(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    args = {"list": [1]}

    work_id = pool.enqueue_action(None, cloud.function(echo), args)
    args["list"].append(2)
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == {"list": [1]}


def test_short_name_is_resolved_by_loop(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    arn = cloud.function(echo, name="send-mail")

    work_id = pool.enqueue_action(None, "send-mail", {"n": 1})
    cloud.run_until_idle()

    assert arn.endswith(":function:send-mail")
    assert answer(pool, work_id).return_value == {"n": 1}


@pytest.mark.parametrize("verb", ["enqueue_action", "enqueue_query", "enqueue_mutation"])
def test_every_kind_runs_once_when_it_succeeds(
    cloud: LocalCloud, answer: Answer, verb: str
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)

    work_id = getattr(pool, verb)(None, fn, {"n": 1})
    batch = getattr(pool, f"{verb}_batch")(None, fn, [{"n": 2}, {"n": 3}])
    cloud.run_until_idle()

    assert [answer(pool, each).return_value for each in (work_id, *batch)] == [
        {"n": 1},
        {"n": 2},
        {"n": 3},
    ]
    assert len(cloud.invocations(fn)) == 3


@pytest.mark.parametrize(
    ("verb", "attempts"), [("enqueue_action", 1), ("enqueue_mutation", 1), ("enqueue_query", 5)]
)
def test_only_queries_are_retried_by_default(
    cloud: LocalCloud, answer: Answer, verb: str, attempts: int
) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ValueError("always")

    fn = cloud.function(fail)
    work_id = getattr(pool, verb)(None, fn, {})
    cloud.run_until_idle()

    assert len(cloud.invocations(fn)) == attempts
    assert answer(pool, work_id).kind == "failed"


def test_batch_gives_id_for_each_arguments_in_their_order(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()

    ids = pool.enqueue_action_batch(
        None, cloud.function(echo), [{"n": n} for n in range(30)], retry=True
    )
    cloud.run_until_idle()

    assert len(set(ids)) == 30
    assert [answer(pool, work_id).return_value for work_id in ids] == [{"n": n} for n in range(30)]


def test_empty_batch_is_no_work(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)

    assert pool.enqueue_action_batch(None, fn, []) == []

    cloud.run_until_idle()
    assert cloud.invocations(fn) == []


def test_batch_takes_delay_and_policy_for_each_of_its_works(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def flaky(work: Work, n: int) -> int:
        if work.attempt == 1:
            raise ConnectionError("busy")
        return n

    fn = cloud.function(flaky)
    due = cloud.now + timedelta(minutes=7)
    ids = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(5)], retry=True, run_after=timedelta(minutes=7)
    )
    cloud.run_until_idle()

    firsts = [each.started_at for each in cloud.invocations(fn) if each.attempt == 1]
    assert len(firsts) == 5
    assert all(due <= start <= due + SECOND for start in firsts)
    assert {pool.status(None, work_id).outcome for work_id in ids} == {"success"}


@pytest.mark.parametrize("scheduler", ["exact", "aws"])
@pytest.mark.parametrize(
    "delay_s", [0.4, 3, 59, 61, 119, 121, 300, 3_600, 86_400 * 30, 86_400 * 365]
)
def test_due_time_is_kept_to_within_second(scheduler: Any, delay_s: float) -> None:
    delay = timedelta(seconds=delay_s)
    with LocalCloud(engine="memory", scheduler=scheduler, seed=3) as cloud:
        pool = cloud.workpool()
        fn = cloud.function(echo)
        due = cloud.now + delay
        pool.enqueue_action(None, fn, {}, run_after=delay)
        cloud.run_until_idle(timeout=delay + timedelta(hours=1))

        (delivery,) = cloud.invocations(fn)

    assert due - timedelta(milliseconds=1) <= delivery.started_at <= due + SECOND


def test_run_at_takes_aware_datetime_of_any_zone(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    due = cloud.now + timedelta(minutes=10)

    pool.enqueue_action(
        None, fn, {}, run_at=due.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    )
    cloud.run_until_idle()

    (delivery,) = cloud.invocations(fn)
    assert due - timedelta(milliseconds=1) <= delivery.started_at <= due + SECOND


@pytest.mark.parametrize(
    "options",
    [
        {"run_after": timedelta(days=-3)},
        {"run_after": timedelta(0)},
        {"run_at": datetime(2001, 1, 1, tzinfo=UTC)},
    ],
)
def test_past_means_now(cloud: LocalCloud, options: dict[str, Any]) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    began = cloud.now

    pool.enqueue_action(None, fn, {}, **options)
    cloud.run_until_idle()

    (delivery,) = cloud.invocations(fn)
    assert delivery.started_at - began <= SECOND


def test_later_work_does_not_hold_up_earlier_one(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(echo)
    began = cloud.now
    for minutes in (90, 0, 30, 5):
        pool.enqueue_action(None, fn, {"minutes": minutes}, run_after=timedelta(minutes=minutes))
    cloud.run_until_idle(timeout=timedelta(hours=3))

    seen = [(each.event["minutes"], each.started_at - began) for each in cloud.invocations(fn)]
    assert [minutes for minutes, _ in seen] == [0, 5, 30, 90]
    assert all(
        timedelta(0) <= start - timedelta(minutes=minutes) <= SECOND for minutes, start in seen
    )


@both_engines
def test_work_enqueued_while_pool_waits_for_far_one_starts_at_once(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.enqueue_action(None, fn, {"which": "far"}, run_after=timedelta(days=2))
    cloud.advance(timedelta(hours=5))
    began = cloud.now

    pool.enqueue_action(None, fn, {"which": "near"})
    cloud.run_until_idle(timeout=timedelta(minutes=5))

    (delivery,) = cloud.invocations(fn)
    assert delivery.event["which"] == "near"
    assert delivery.started_at - began <= SECOND


def test_parallelism_is_used_and_never_exceeded(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=4)

    @pool.action
    def slow(n: int) -> int:
        return n

    fn = cloud.function(slow, takes=timedelta(seconds=10))
    began = cloud.now
    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(20)])
    cloud.run_until_idle()

    assert cloud.max_concurrency(fn) == 4
    ends = [each.ended_at for each in cloud.invocations(fn) if each.ended_at is not None]
    assert len(ends) == 20
    assert max(ends) - began <= timedelta(seconds=55)


def test_limit_holds_over_all_functions_of_pool(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=3)
    spans: list[tuple[datetime, datetime]] = []
    functions = [
        cloud.function(echo, name=f"fn-{n}", takes=timedelta(seconds=n + 1)) for n in range(4)
    ]
    for fn in functions:
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(6)])
    cloud.run_until_idle()

    for fn in functions:
        spans += [
            (each.started_at, each.ended_at)
            for each in cloud.invocations(fn)
            if each.ended_at is not None
        ]
    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    assert len(spans) == 24
    assert most == 3


def test_pools_in_one_cloud_have_their_own_limits(cloud: LocalCloud) -> None:
    mail, files = (
        cloud.workpool("mail", max_parallelism=2),
        cloud.workpool("files", max_parallelism=5),
    )
    mail_fn = cloud.function(echo, name="mail", takes=timedelta(seconds=5))
    files_fn = cloud.function(echo, name="files", takes=timedelta(seconds=5))
    shared = cloud.function(echo, name="shared")

    mail_ids = mail.enqueue_action_batch(None, mail_fn, [{"n": n} for n in range(8)])
    files_ids = files.enqueue_action_batch(None, files_fn, [{"n": n} for n in range(10)])
    mail_ids.append(mail.enqueue_action(None, shared, {"from": "mail"}))
    files_ids.append(files.enqueue_action(None, shared, {"from": "files"}))
    cloud.run_until_idle()

    assert (cloud.max_concurrency(mail_fn), cloud.max_concurrency(files_fn)) == (2, 5)
    assert {
        each.state
        for each in mail.status_batch(None, mail_ids) + files.status_batch(None, files_ids)
    } == {"finished"}
    assert {each.state for each in mail.status_batch(None, files_ids)} == {"unknown"}


def test_function_is_delivered_its_arguments_once_each(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=7)
    fn = cloud.function(echo)

    pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(40)])
    cloud.run_until_idle()

    assert Counter(each.event["n"] for each in cloud.invocations(fn)) == Counter(range(40))


@pytest.mark.parametrize("qualifier", ["$LATEST", "live", "7"])
def test_versions_and_aliases_run(cloud: LocalCloud, answer: Answer, qualifier: str) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)

    ids = [pool.enqueue_action(None, f"{target}:{qualifier}", {"n": 1}) for target in (fn, "echo")]
    cloud.run_until_idle()

    assert [answer(pool, work_id).return_value for work_id in ids] == [{"n": 1}, {"n": 1}]


def test_pool_outlives_its_loop_many_times(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=1)
    fn = cloud.function(echo, takes=timedelta(minutes=10), timeout=timedelta(minutes=15))

    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)])
    cloud.run_until_idle(timeout=timedelta(hours=5))

    deliveries = cloud.invocations(fn)
    pauses = [
        later.started_at - each.ended_at for each, later in pairwise(deliveries) if each.ended_at
    ]
    assert {each.outcome for each in pool.status_batch(None, ids)} == {"success"}
    assert len(pauses) == 11
    assert max(pauses) <= SECOND
    assert cloud.max_concurrency(fn) == 1

"""Callbacks: their targets, messages and numbers, and the status meanwhile [WP-8]."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from workpool_aws import OnCompleteEvent, Result, UsageError, Workpool
from workpool_aws.local import LocalCloud

QUEUE = "arn:aws:sqs:us-east-1:123456789012:done"
TOPIC = "arn:aws:sns:us-east-1:123456789012:done"


def double(event: dict[str, Any], _context: object) -> int:
    if event["n"] < 0:
        raise ValueError("negative")
    return event["n"] * 2


class Told:
    """An undecorated target that keeps its events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any], _context: object) -> None:
        self.events.append(event)


def test_undecorated_target_gets_exactly_what_is_documented(cloud: LocalCloud) -> None:
    pool, told = cloud.workpool(), Told()
    fn, target = cloud.function(double), cloud.function(told, name="told")
    good = pool.enqueue_action(None, fn, {"n": 21}, on_complete=target, context={"user": 7})
    cloud.run_until_idle()
    bad = pool.enqueue_action(None, fn, {"n": -1}, on_complete="told")
    cloud.run_until_idle()
    gone = pool.enqueue_action(
        None, fn, {"n": 1}, run_after=timedelta(hours=2), on_complete=target, context=[1, None]
    )
    assert pool.cancel(None, gone) == "canceled"
    cloud.run_until_idle()

    assert told.events == [
        {
            "work_id": good,
            "context": {"user": 7},
            "result": {"kind": "success", "return_value": 42},
        },
        {
            "work_id": bad,
            "context": None,
            "result": {"kind": "failed", "error": "negative", "error_type": "ValueError"},
        },
        {"work_id": gone, "context": [1, None], "result": {"kind": "canceled"}},
    ]
    assert [pool.status(None, work_id).callback for work_id in (good, bad, gone)] == [
        "delivered"
    ] * 3


def test_decorated_handler_receives_event_and_says_that_it_ran(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    received: list[OnCompleteEvent] = []
    seen: list[str | None] = []

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        received.append(event)
        seen.append(pool.status(None, event.work_id).callback)

    target = cloud.function(ended, takes=timedelta(seconds=1))
    work_id = pool.enqueue_action(
        None, cloud.function(double), {"n": 4}, on_complete=target, context="hello"
    )
    cloud.run_until_idle()

    assert received == [
        OnCompleteEvent(
            work_id=work_id, context="hello", result=Result(kind="success", return_value=8)
        )
    ]
    assert seen in (["sent"], ["pending"]), "delivered means that it ran"
    assert pool.status(None, work_id).callback == "delivered"


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        ([], ["success", "failed", "canceled"]),
        (["success"], ["failed", "canceled"]),
        (("failed", "canceled"), ["success"]),
    ],
)
@pytest.mark.peer("LB01")
def test_excluded_outcomes_have_no_callback(
    cloud: LocalCloud, exclude: list[str], expected: list[str]
) -> None:
    pool, told = cloud.workpool(), Told()
    fn, target = cloud.function(double), cloud.function(told)
    options: dict[str, Any] = {"on_complete": target, "on_complete_exclude": exclude}
    ids = [pool.enqueue_action(None, fn, {"n": n}, **options) for n in (1, -1)]
    later = pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(hours=2), **options)
    pool.cancel(None, later)
    cloud.run_until_idle()

    assert sorted(event["result"]["kind"] for event in told.events) == sorted(expected)
    callbacks = {
        pool.status(None, work_id).outcome: pool.status(None, work_id).callback
        for work_id in (*ids, later)
    }
    assert callbacks == {
        kind: "delivered" if kind in expected else None
        for kind in ("success", "failed", "canceled")
    }


def test_every_work_of_batch_is_told_with_same_context(cloud: LocalCloud) -> None:
    pool, told = cloud.workpool(max_parallelism=4), Told()
    ids = pool.enqueue_action_batch(
        None,
        cloud.function(double),
        [{"n": n} for n in range(60)],
        on_complete=cloud.function(told),
        context="batch",
    )
    cloud.run_until_idle()

    assert sorted(event["work_id"] for event in told.events) == sorted(ids)
    assert {event["context"] for event in told.events} == {"batch"}


@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_every_kind_of_work_can_be_told_of(cloud: LocalCloud, kind: str) -> None:
    pool, told = cloud.workpool(), Told()
    fn, target = cloud.function(double), cloud.function(told)

    one = getattr(pool, f"enqueue_{kind}")(None, fn, {"n": 1}, on_complete=target)
    two = getattr(pool, f"enqueue_{kind}_batch")(None, fn, [{"n": 2}], on_complete=target)
    cloud.run_until_idle()

    assert sorted(event["work_id"] for event in told.events) == sorted([one, *two])


def test_retried_work_is_told_of_once_at_its_end(cloud: LocalCloud) -> None:
    pool, told, tries = cloud.workpool(), Told(), []

    def flaky(_event: dict[str, Any], _context: object) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("busy")
        return "done"

    work_id = pool.enqueue_action(
        None, cloud.function(flaky), {}, retry=True, on_complete=cloud.function(told)
    )
    cloud.run_until_idle()

    assert told.events == [
        {"work_id": work_id, "context": None, "result": {"kind": "success", "return_value": "done"}}
    ]


def test_work_whose_cancel_is_requested_while_it_runs_is_reported_as_canceled(
    cloud: LocalCloud,
) -> None:
    pool, told = cloud.workpool(), Told()

    @pool.action
    def stubborn() -> None:
        raise ConnectionError("busy")

    fn = cloud.function(stubborn, takes=timedelta(seconds=5))
    work_id = pool.enqueue_action(None, fn, {}, retry=True, on_complete=cloud.function(told))
    cloud.advance(timedelta(seconds=2))
    assert pool.cancel(None, work_id) == "requested"
    cloud.run_until_idle()

    assert [event["result"] for event in told.events] == [{"kind": "canceled"}]


def test_queue_and_topic_are_notified_in_memory(cloud: LocalCloud) -> None:
    pool, fn = cloud.workpool(), cloud.function(double)
    queued = pool.enqueue_action(None, fn, {"n": 1}, on_complete=QUEUE, context={"a": 1})
    noted = pool.enqueue_action(None, fn, {"n": 2}, on_complete=TOPIC)
    cloud.run_until_idle()

    assert cloud.messages(QUEUE) == [
        {"work_id": queued, "context": {"a": 1}, "result": {"kind": "success", "return_value": 2}}
    ]
    assert cloud.messages(TOPIC) == [
        {"work_id": noted, "context": None, "result": {"kind": "success", "return_value": 4}}
    ]
    assert [pool.status(None, work_id).callback for work_id in (queued, noted)] == [
        "delivered",
        "delivered",
    ]


def test_queue_and_topic_are_notified_on_moto() -> None:
    with LocalCloud(engine="moto") as cloud:
        sqs, sns = boto3.client("sqs"), boto3.client("sns")
        url = sqs.create_queue(QueueName="done")["QueueUrl"]
        topic = sns.create_topic(Name="done")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
        pool, fn = cloud.workpool(), cloud.function(double)
        ids = [
            pool.enqueue_action(None, fn, {"n": 1}, on_complete=QUEUE),
            pool.enqueue_action(None, fn, {"n": 2}, on_complete=topic),
        ]
        cloud.run_until_idle()
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

        bodies = [json.loads(message["Body"]) for message in received]
        told = [json.loads(body["Message"]) if "Message" in body else body for body in bodies]
        assert sorted(event["work_id"] for event in told) == sorted(ids)
        assert [pool.status(None, work_id).callback for work_id in ids] == [
            "delivered",
            "delivered",
        ]
        with pytest.raises(UsageError, match=r"read through boto3"):
            cloud.messages(QUEUE)


def test_target_that_never_exists_ends_as_dead_letter_and_result_stands(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(double), {"n": 4}, on_complete="nobody")
    cloud.advance(timedelta(minutes=1))
    assert pool.status(None, work_id).callback == "pending"
    cloud.run_until_idle()

    status = pool.status(None, work_id)
    assert (status.outcome, status.callback) == ("success", "dead")
    assert pool.result(None, work_id) == Result(kind="success", return_value=8)
    cloud.advance(timedelta(days=30))
    assert pool.status(None, work_id).callback == "dead", "a dead letter is kept [WP-10]"


def test_target_that_appears_later_is_told_then(cloud: LocalCloud) -> None:
    pool, told = cloud.workpool(), Told()
    work_id = pool.enqueue_action(None, cloud.function(double), {"n": 4}, on_complete="late")
    cloud.advance(timedelta(seconds=20))
    assert pool.status(None, work_id).callback == "pending"

    cloud.function(told, name="late")
    cloud.run_until_idle()

    assert [event["work_id"] for event in told.events] == [work_id]
    assert pool.status(None, work_id).callback == "delivered"


def test_handler_that_fails_is_called_again(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    calls: list[str] = []

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        calls.append(event.work_id)
        if len(calls) < 3:
            raise RuntimeError("not today")

    work_id = pool.enqueue_action(
        None, cloud.function(double), {"n": 4}, on_complete=cloud.function(ended)
    )
    cloud.run_until_idle()

    assert calls == [work_id] * 3
    assert pool.status(None, work_id).callback == "delivered"
    assert pool.status(None, work_id).outcome == "success"


def test_paused_pool_tells_of_what_was_canceled(cloud: LocalCloud) -> None:
    pool, told = cloud.workpool(max_parallelism=0), Told()
    work_id = pool.enqueue_action(
        None, cloud.function(double), {"n": 4}, on_complete=cloud.function(told)
    )
    cloud.advance(timedelta(minutes=5))
    pool.cancel(None, work_id)
    cloud.run_until_idle()

    assert [event["result"]["kind"] for event in told.events] == ["canceled"]


def test_action_may_be_told_of_another_works_end(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    told: list[tuple[str, object]] = []

    @pool.action
    def next_step(work_id: str, context: int, result: dict[str, object]) -> None:
        told.append((work_id, result["return_value"]))

    work_id = pool.enqueue_action(
        None, cloud.function(double), {"n": 4}, on_complete=cloud.function(next_step), context=1
    )
    cloud.run_until_idle()

    assert told == [(work_id, 8)]
    assert pool.status(None, work_id).callback == "delivered"


def test_delivered_work_expires_and_one_that_waits_for_its_callback_does_not(
    cloud: LocalCloud,
) -> None:
    """[WP-10]"""
    pool, told = cloud.workpool(status_ttl=timedelta(minutes=5)), Told()
    fn = cloud.function(double)
    delivered = pool.enqueue_action(None, fn, {"n": 1}, on_complete=cloud.function(told))
    waiting = pool.enqueue_action(None, fn, {"n": 1}, on_complete="nobody")
    cloud.advance(timedelta(minutes=10))

    assert pool.status(None, delivered).state == "unknown"
    assert pool.status(None, waiting).callback == "pending"


def test_pool_rests_after_its_callbacks(cloud: LocalCloud) -> None:
    """[WP-22]"""
    pool = cloud.workpool()

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        assert event.result.kind == "success"

    pool.enqueue_action_batch(
        None,
        cloud.function(double),
        [{"n": n} for n in range(20)],
        on_complete=cloud.function(ended),
    )
    cloud.run_until_idle()
    ran = len(cloud.invocations(cloud.loop_arn))
    cloud.advance(timedelta(days=1))

    assert len(cloud.invocations(cloud.loop_arn)) == ran
    assert [
        fact for fact in cloud.facts if fact.name in {"watchdog_acted", "no_progress", "loop_ended"}
    ] == []


def test_handlers_function_can_be_tested_directly() -> None:
    @Workpool("jobs").on_complete
    def ended(event: OnCompleteEvent) -> str:
        return f"{event.context}: {event.result.kind}"

    assert (
        ended.function(OnCompleteEvent(work_id="x", context="a", result=Result(kind="canceled")))
        == "a: canceled"
    )

"""Works on deployed functions: real processes, one table, asked from outside."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TypeVar

import boto3

from tests.e2e.deployment import GROUP, processes_of
from workpool_aws import RetryPolicy

T = TypeVar("T")

SERVICES = ["dynamodb", "ec2", "iam", "lambda", "s3", "scheduler", "sns", "sqs", "sts", "xray"]
QUICK = RetryPolicy(max_attempts=4, initial_backoff=timedelta(milliseconds=200), jitter=False)


def most_at_once(runs: list[dict[str, float]]) -> int:
    edges = sorted([(run["began"], 1) for run in runs] + [(run["ended"], -1) for run in runs])
    running = most = 0
    for _, step in edges:
        running += step
        most = max(most, running)
    return most


def once(look: Callable[[], T]) -> T:
    """What a look sees, as soon as it sees something."""
    until = monotonic() + 60
    while not (seen := look()):
        assert monotonic() < until, "nothing was seen for a minute"
        sleep(0.1)
    return seen


def test_the_job_of_the_demo_comes_out(make_pool, finished):
    pool = make_pool("demo", max_parallelism=4)
    ids = pool.enqueue_action_batch(
        None, "open-model", [{"service": name, "lap": 0, "seed": 1, "fail_rate": 0.0} for name in SERVICES], retry=QUICK
    )

    statuses = finished(pool, ids, within_s=60)

    assert [status.outcome for status in statuses] == ["success"] * len(SERVICES)
    assert [pool.result(None, each).return_value["service"] for each in ids] == SERVICES


def test_no_more_run_at_a_time_than_the_pool_allows(make_pool, finished):
    pool = make_pool("limit", max_parallelism=3)
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 400} for n in range(12)])

    finished(pool, ids, within_s=60)

    assert most_at_once([pool.result(None, each).return_value for each in ids]) == 3


def test_a_failure_is_retried_until_it_succeeds(make_pool, finished):
    pool = make_pool("retries")
    work_id = pool.enqueue_action(None, "fail-first", {"times": 2}, retry=QUICK)

    (status,) = finished(pool, [work_id], within_s=60)

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", 3)


def test_an_undecorated_function_reports_through_its_destinations(make_pool, finished):
    pool = make_pool("plain")
    ids = pool.enqueue_action_batch(None, "plain", [{"n": 21}, {"n": 1, "fail": True}])

    well, badly = finished(pool, ids, within_s=60)

    assert (well.outcome, pool.result(None, ids[0]).return_value) == ("success", {"twice": 42})
    assert (badly.outcome, pool.result(None, ids[1]).error) == ("failed", "asked to")


def test_a_worker_that_ends_without_a_word_is_told_by_its_destination(make_pool, finished):
    pool = make_pool("vanishing")
    ids = pool.enqueue_action_batch(None, "vanish", [{"how": "exit"}, {"how": "outstay"}])

    statuses = finished(pool, ids, within_s=90)

    assert [status.outcome for status in statuses] == ["failed", "failed"]
    assert [pool.result(None, each).error_type for each in ids] == ["crashed", "timeout"]


def test_a_worker_that_is_killed_is_retried(cloud, make_pool, finished):
    pool = make_pool("shot", max_parallelism=1)
    work_id = pool.enqueue_action(None, "hang-once", {"ms": 20_000}, retry=QUICK)
    (victim,) = once(lambda: list(processes_of(cloud, "hang-once")) if pool.status(None, work_id).state == "running" else [])

    os.kill(victim, signal.SIGKILL)
    (status,) = finished(pool, [work_id], within_s=60)

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", 2)


def test_a_canceled_work_never_starts(make_pool, finished):
    pool = make_pool("canceled", max_parallelism=0)
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 1} for n in range(2)])

    said = pool.cancel(None, ids[0])
    pool.configure(None, max_parallelism=1)
    statuses = finished(pool, ids, within_s=60)

    assert said == "canceled"
    assert [status.outcome for status in statuses] == ["canceled", "success"]
    assert statuses[0].started_at is None


def test_a_far_wake_is_ordered_for_what_is_due_later(cloud, make_pool):
    pool = make_pool("later")
    scheduler = boto3.client("scheduler", endpoint_url=cloud.url)

    def orders() -> list[str]:
        names = [each["Name"] for each in scheduler.list_schedules(GroupName=GROUP)["Schedules"] if "later" in each["Name"]]
        return [scheduler.get_schedule(GroupName=GROUP, Name=name)["ScheduleExpression"] for name in names]

    work_id = pool.enqueue_action(None, "nap", {"n": 1, "ms": 1}, run_after=timedelta(hours=1))
    due = pool.status(None, work_id).next_run_at
    (order,) = once(orders)

    assert timedelta(0) <= due - datetime.strptime(order, "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC) <= timedelta(minutes=2)


def test_a_queue_is_told_how_a_work_ended(cloud, make_pool, finished):
    pool = make_pool("told")
    queues = boto3.client("sqs", endpoint_url=cloud.url)
    url = queues.create_queue(QueueName="told")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    work_id = pool.enqueue_action(None, "fail-first", {"times": 0}, on_complete=arn, context={"user": 7})
    finished(pool, [work_id], within_s=60)
    (message,) = once(lambda: queues.receive_message(QueueUrl=url).get("Messages", []))

    told = json.loads(message["Body"])
    assert (told["work_id"], told["context"], told["result"]) == (work_id, {"user": 7}, {"kind": "success", "return_value": 1})
    assert once(lambda: pool.status(None, work_id).callback == "delivered")


def test_a_loop_that_is_killed_is_revived_by_the_watchdog(cloud, make_pool, finished):
    pool = make_pool("killed", max_parallelism=2)
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 700} for n in range(12)], retry=QUICK)
    once(lambda: sum(status.state != "pending" for status in pool.status_batch(None, ids)) >= 3)

    for pid in list(processes_of(cloud, "loop")):
        os.kill(pid, signal.SIGKILL)
    statuses = finished(pool, ids, within_s=200)

    assert [status.outcome for status in statuses] == ["success"] * 12
    assert most_at_once([pool.result(None, each).return_value for each in ids]) <= 2

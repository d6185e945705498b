"""Works on deployed functions: real processes, roles and permissions, one table, asked from outside."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3

from tests.e2e.deployment import Deployed, deploy, processes_of
from tests.e2e.waiting import once
from workpool_aws import RetryPolicy, StoreUnavailable

SERVICES = ["dynamodb", "ec2", "iam", "lambda", "s3", "scheduler", "sns", "sqs", "sts", "xray"]
QUICK = RetryPolicy(max_attempts=4, initial_backoff=timedelta(milliseconds=200), jitter=False)
PATIENT = RetryPolicy(max_attempts=10, initial_backoff=timedelta(seconds=1), jitter=False)
"""Outlasts an update, in which every process of a function is killed and new ones may fail for some
seconds."""


def most_at_once(runs: list[dict[str, float]]) -> int:
    edges = sorted([(run["began"], 1) for run in runs] + [(run["ended"], -1) for run in runs])
    running = most = 0
    for _, step in edges:
        running += step
        most = max(most, running)
    return most


def test_job_of_demo_comes_out(make_pool, finished):
    pool = make_pool("demo", max_parallelism=4)
    ids = pool.enqueue_action_batch(
        None,
        "open-model",
        [{"service": name, "lap": 0, "seed": 1, "fail_rate": 0.0} for name in SERVICES],
        retry=QUICK,
    )

    statuses = finished(pool, ids)

    assert [status.outcome for status in statuses] == ["success"] * len(SERVICES)
    assert [pool.result(None, each).return_value["service"] for each in ids] == SERVICES


def test_no_more_run_at_time_than_pool_allows(make_pool, finished):
    pool = make_pool("limit")
    once(lambda: pool.config(None).base.by == "deployment")
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 400} for n in range(12)])

    finished(pool, ids)

    # On a busy machine each process may start when the one before is through.
    assert most_at_once([pool.result(None, each).return_value for each in ids]) <= 3


def test_failure_is_retried_until_it_succeeds(make_pool, finished):
    pool = make_pool("retries")
    work_id = pool.enqueue_action(None, "fail-first", {"times": 2}, retry=QUICK)

    (status,) = finished(pool, [work_id])

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", 3)


def test_undecorated_function_reports_through_its_destinations(make_pool, finished):
    pool = make_pool("plain")
    ids = pool.enqueue_action_batch(None, "plain", [{"n": 21}, {"n": 1, "fail": True}])

    well, badly = finished(pool, ids)

    assert (well.outcome, pool.result(None, ids[0]).return_value) == ("success", {"twice": 42})
    assert (badly.outcome, pool.result(None, ids[1]).error) == ("failed", "asked to")


def test_worker_that_ends_without_report_is_reported_by_its_destination(make_pool, finished):
    pool = make_pool("vanishing")
    ids = pool.enqueue_action_batch(None, "vanish", [{"how": "exit"}, {"how": "outstay"}])

    statuses = finished(pool, ids)

    assert [status.outcome for status in statuses] == ["failed", "failed"]
    assert [pool.result(None, each).error_type for each in ids] == ["crashed", "timeout"]


def test_worker_that_is_killed_is_retried(cloud, make_pool, finished):
    pool = make_pool("shot", max_parallelism=1)
    work_id = pool.enqueue_action(None, "hang-once", {"ms": 20_000}, retry=QUICK)
    (victim,) = once(
        lambda: (
            list(processes_of(cloud, "hang-once"))
            if pool.status(None, work_id).state == "running"
            else []
        )
    )

    os.kill(victim, signal.SIGKILL)
    (status,) = finished(pool, [work_id])

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", 2)


def test_canceled_work_never_starts(make_pool, finished):
    pool = make_pool("canceled", max_parallelism=0)
    ids = pool.enqueue_action_batch(None, "nap", [{"n": n, "ms": 1} for n in range(2)])

    said = pool.cancel(None, ids[0])
    pool.configure(None, max_parallelism=1)
    statuses = finished(pool, ids)

    assert said == "canceled"
    assert [status.outcome for status in statuses] == ["canceled", "success"]
    assert statuses[0].started_at is None


def orders_of(deployed: Deployed, pool: str) -> list[str]:
    """For when the far wakes of a pool are ordered."""
    scheduler, functions = boto3.client("scheduler"), boto3.client("lambda")
    group = functions.get_function_configuration(FunctionName=deployed.loop)["Environment"][
        "Variables"
    ]["WORKPOOL_SCHEDULE_GROUP"]
    names = [
        each["Name"]
        for each in scheduler.list_schedules(GroupName=group)["Schedules"]
        if pool in each["Name"]
    ]
    return [
        scheduler.get_schedule(GroupName=group, Name=name)["ScheduleExpression"] for name in names
    ]


def test_far_wake_is_ordered_for_what_is_due_later(deployed, make_pool):
    pool = make_pool("later")

    work_id = pool.enqueue_action(None, "nap", {"n": 1, "ms": 1}, run_after=timedelta(hours=1))
    due = pool.status(None, work_id).next_run_at
    (order,) = once(lambda: orders_of(deployed, "later"))

    assert (
        timedelta(0)
        <= due - datetime.strptime(order, "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
        <= timedelta(minutes=2)
    )


def test_far_wake_fires_without_watchdog(deployed, make_pool, finished):
    pool, functions = make_pool("woken"), boto3.client("lambda")
    functions.put_function_concurrency(
        FunctionName=deployed.watchdog, ReservedConcurrentExecutions=0
    )
    try:
        work_id = pool.enqueue_action(
            None, "nap", {"n": 1, "ms": 1}, run_after=timedelta(seconds=140)
        )
        due = pool.status(None, work_id).next_run_at
        once(lambda: orders_of(deployed, "woken"))
        (status,) = finished(pool, [work_id])
    finally:
        functions.delete_function_concurrency(FunctionName=deployed.watchdog)

    assert status.outcome == "success"
    assert status.started_at >= due
    assert once(lambda: orders_of(deployed, "woken") == [])


def test_queue_is_told_how_work_ended(deployed, make_pool, finished):
    pool, queues = make_pool("told"), boto3.client("sqs")

    work_id = pool.enqueue_action(
        None, "fail-first", {"times": 0}, on_complete=deployed.queue_arn, context={"user": 7}
    )
    finished(pool, [work_id])
    (message,) = once(
        lambda: queues.receive_message(QueueUrl=deployed.queue_url).get("Messages", [])
    )

    told = json.loads(message["Body"])
    assert (told["work_id"], told["context"], told["result"]) == (
        work_id,
        {"user": 7},
        {"kind": "success", "return_value": 1},
    )
    assert once(lambda: pool.status(None, work_id).callback == "delivered")


def test_event_of_killed_completion_is_delivered_again(cloud, deployed, make_pool, finished):
    pool = make_pool("unheard")
    for idle in list(processes_of(cloud, deployed.completion)):
        os.kill(idle, signal.SIGKILL)
    work_id = pool.enqueue_action(None, "plain", {"n": 21})

    killed: set[int] = set()
    while len(killed) < 2:
        for victim in once(lambda: set(processes_of(cloud, deployed.completion)) - killed):
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
    (status,) = finished(pool, [work_id])

    assert (status.outcome, pool.result(None, work_id).return_value) == ("success", {"twice": 42})


def test_update_while_work_is_in_flight_loses_nothing(cloud, make_pool, finished):
    pool = make_pool("released", max_parallelism=3)

    def some() -> list[str]:
        """More work items; none without an answer, since those without an acknowledgement may be lost."""
        try:
            return pool.enqueue_action_batch(
                None, "which-release", [{"ms": 700}] * 6, retry=PATIENT
            )
        except StoreUnavailable:
            return []

    ids = some()
    finished(pool, ids)
    with ThreadPoolExecutor(1) as aside:
        updating = aside.submit(deploy, cloud, release=2)
        while not updating.done():
            before, ids = ids, ids + some()
            finished(pool, before)
        updating.result()
    ids += once(some)
    statuses = finished(pool, ids)

    releases = [pool.result(None, each).return_value for each in ids]
    assert [status.outcome for status in statuses] == ["success"] * len(ids)
    assert (releases[:6], releases[-6:]) == (["1"] * 6, ["2"] * 6)


def test_loop_that_is_killed_is_revived_by_watchdog(cloud, deployed, make_pool, finished):
    pool = make_pool("killed", max_parallelism=2)
    ids = pool.enqueue_action_batch(
        None, "nap", [{"n": n, "ms": 700} for n in range(12)], retry=QUICK
    )
    once(lambda: sum(status.state != "pending" for status in pool.status_batch(None, ids)) >= 3)

    for pid in list(processes_of(cloud, deployed.loop)):
        os.kill(pid, signal.SIGKILL)
    statuses = finished(pool, ids)

    assert [status.outcome for status in statuses] == ["success"] * 12
    assert most_at_once([pool.result(None, each).return_value for each in ids]) <= 2

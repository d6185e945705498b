"""Each role of the deployment is refused what it has no business with; that it may do what it needs, every other test here shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.deployment import Deployed
from tests.e2e.plan import NEVER_ADDED
from workpool_aws import Workpool

Call = Callable[[boto3.Session, Deployed], object]

WORK = {"pk": {"S": "granted#work#00"}, "sk": {"S": "x"}}


def scan(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("dynamodb").scan(TableName=deployed.table)


def delete_table(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("dynamodb").delete_table(TableName=deployed.table)


def delete_item(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("dynamodb").delete_item(TableName=deployed.table, Key=WORK)


def update_item(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("dynamodb").update_item(TableName=deployed.table, Key=WORK)


def put_item(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("dynamodb").put_item(TableName=deployed.table, Item=WORK)


def query(session: boto3.Session, deployed: Deployed) -> object:
    key = {":pk": {"S": "granted#work#00"}}
    return session.client("dynamodb").query(
        TableName=deployed.table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=key
    )


def invoke_a_job(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("lambda").invoke(
        FunctionName="nap", InvocationType="Event", Payload=b"{}"
    )


def invoke_what_was_never_added(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("lambda").invoke(
        FunctionName=NEVER_ADDED, InvocationType="Event", Payload=b"{}"
    )


def invoke_the_watchdog(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("lambda").invoke(
        FunctionName=deployed.watchdog, InvocationType="Event", Payload=b"{}"
    )


def invoke_the_completion(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("lambda").invoke(
        FunctionName=deployed.completion, InvocationType="Event", Payload=b"{}"
    )


def invoke_the_loop(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("lambda").invoke(
        FunctionName=deployed.loop, InvocationType="Event", Payload=b"{}"
    )


def widen_a_job(session: boto3.Session, deployed: Deployed) -> object:
    """Say of a function that it serves any pool."""
    return session.client("lambda").update_function_configuration(
        FunctionName="nap", Environment={"Variables": {"WORKPOOL_SERVES": ""}}
    )


def schedule_elsewhere(session: boto3.Session, deployed: Deployed) -> object:
    return session.client("scheduler").create_schedule(
        Name="elsewhere",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": deployed.queue_arn, "RoleArn": deployed.roles["Reader"]},
    )


EVERYWHERE = (
    scan,
    delete_table,
    invoke_what_was_never_added,
    invoke_the_watchdog,
    schedule_elsewhere,
    widen_a_job,
)
REFUSED: dict[str, tuple[Call, ...]] = {
    # Which items an operation is allowed for is not judged here (docs/testing.md): the watchdog may
    # delete some, the enqueuer update some, the manager query and delete schedules.
    "Enqueuer": (*EVERYWHERE, query, delete_item, invoke_a_job, invoke_the_completion),
    "Reader": (
        *EVERYWHERE,
        put_item,
        update_item,
        delete_item,
        invoke_a_job,
        invoke_the_completion,
        invoke_the_loop,
    ),
    "Manager": (*EVERYWHERE, invoke_a_job, invoke_the_completion),
    "loop": EVERYWHERE,
    "completion": (*EVERYWHERE, query, delete_item, invoke_a_job),
    "watchdog": (*EVERYWHERE, invoke_a_job),
    "nap": (*EVERYWHERE, query, delete_item),
    "plain": (
        *EVERYWHERE,
        query,
        put_item,
        update_item,
        delete_item,
        invoke_a_job,
        invoke_the_loop,
    ),
}


def role_of(deployed: Deployed, actor: str) -> str:
    if actor in deployed.roles:
        return deployed.roles[actor]
    function = {
        "loop": deployed.loop,
        "completion": deployed.completion,
        "watchdog": deployed.watchdog,
    }.get(actor, actor)
    return boto3.client("lambda").get_function_configuration(FunctionName=function)["Role"]


def session_of(deployed: Deployed, actor: str) -> boto3.Session:
    given: dict[str, Any] = boto3.client("sts").assume_role(
        RoleArn=role_of(deployed, actor), RoleSessionName="test"
    )["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


@pytest.mark.parametrize(
    ("actor", "call"),
    [(actor, call) for actor, calls in REFUSED.items() for call in calls],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
@pytest.mark.usefixtures("make_pool")
def test_role_is_refused_rest(deployed: Deployed, actor: str, call: Call) -> None:
    session = session_of(deployed, actor)

    with pytest.raises(ClientError) as refused:
        call(session, deployed)

    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


@pytest.mark.usefixtures("make_pool")
def test_those_who_were_granted_may(deployed: Deployed, finished: Callable[..., Any]) -> None:
    enqueuer, reader, manager = (
        Workpool(deployed.table, "granted", session=session_of(deployed, actor))
        for actor in ("Enqueuer", "Reader", "Manager")
    )
    work_id = enqueuer.enqueue_action(None, "nap", {"n": 1, "ms": 1})
    late = enqueuer.enqueue_action(None, "plain", {"n": 2})
    failed = enqueuer.enqueue_action(None, "plain", {"n": 3, "fail": True})
    statuses = finished(reader, [work_id, late, failed])
    manager.configure(None, max_parallelism=2)
    again = manager.redrive(None, failed)
    (redriven,) = finished(reader, [again])

    assert [status.outcome for status in statuses] == ["success", "success", "failed"]
    assert (redriven.outcome, reader.config(None).max_parallelism) == ("failed", 2)
    assert [each.work_id for each in reader.list(None, state="dead").items] == [again]

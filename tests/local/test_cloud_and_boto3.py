"""boto3 in user code of a LocalCloud.

Lambda and Scheduler answer as AWS does, moto loses nothing, and time is the cloud's.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from workpool_aws.local import LocalCloud, LocalCloudError
from workpool_aws.local.pytest_plugin import workpool_cloud  # noqa: F401 - the fixture itself

LOOP = "arn:aws:lambda:us-east-1:123456789012:function:workpool-loop"


both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)


@pytest.fixture
def moto_cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="moto") as cloud:
        yield cloud


def make_table(name: str) -> Any:
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    return client


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@both_engines
def test_event_is_accepted_and_delivered_later(cloud: LocalCloud) -> None:
    seen: list[object] = []
    cloud.function(lambda event, _: seen.append(event), name="work")

    answer = boto3.client("lambda").invoke(
        FunctionName="work", InvocationType="Event", Payload=b'{"n": 1}'
    )
    before = list(seen)
    cloud.advance(timedelta(0))

    assert answer["StatusCode"] == 202
    assert before == []
    assert seen == [{"n": 1}]


@pytest.mark.parametrize(
    "name", ["work", "work:live", "arn:aws:lambda:us-east-1:123456789012:function:work:$LATEST"]
)
def test_function_is_invoked_by_its_names(cloud: LocalCloud, name: str) -> None:
    cloud.function(lambda _event, context: context.invoked_function_arn, name="work")

    answer = boto3.client("lambda").invoke(FunctionName=name, Payload=b"{}")

    assert json.loads(answer["Payload"].read()).startswith(
        "arn:aws:lambda:us-east-1:123456789012:function:work"
    )


def test_synchronous_invocation_answers_with_result(cloud: LocalCloud) -> None:
    cloud.function(lambda event, _: {"twice": event["n"] * 2}, name="double")

    answer: Any = boto3.client("lambda").invoke(FunctionName="double", Payload=b'{"n": 21}')

    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"twice": 42}


def test_synchronous_invocation_tells_of_error(cloud: LocalCloud) -> None:
    def fail(_event: object, _context: object) -> None:
        raise ValueError("no")

    cloud.function(fail)
    answer = boto3.client("lambda").invoke(FunctionName="fail", Payload=b"{}")

    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "ValueError"


@both_engines
def test_worker_may_invoke_and_wait_for_another_function(cloud: LocalCloud) -> None:
    def outer(_event: object, _context: object) -> object:
        answer = boto3.client("lambda").invoke(FunctionName="inner", Payload=b'{"n": 4}')
        return json.loads(answer["Payload"].read())

    def inner(event: Any, _context: object) -> int:
        boto3.client("sqs").list_queues()  # a service call inside of a service call
        return int(event["n"]) + 1

    pool = cloud.workpool()
    cloud.function(inner)
    work_id = pool.enqueue_action(None, cloud.function(outer), {})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert result.return_value == 5


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            {"FunctionName": "nobody", "InvocationType": "Event", "Payload": b"{}"},
            ("ResourceNotFoundException", 404),
        ),
        (
            {"FunctionName": "work", "InvocationType": "Event", "Payload": b"{nonsense"},
            ("InvalidRequestContentException", 400),
        ),
        (
            {
                "FunctionName": "work",
                "InvocationType": "Event",
                "Payload": b'"' + b"x" * 2**20 + b'"',
            },
            ("RequestTooLargeException", 413),
        ),
    ],
)
def test_lambda_refuses_as_it_does(
    cloud: LocalCloud, request_: dict[str, Any], expected: tuple[str, int]
) -> None:
    cloud.function(lambda _event, _: None, name="work")

    with pytest.raises(ClientError) as raised:
        boto3.client("lambda").invoke(**request_)

    assert code_of(raised) == expected


def test_function_tells_its_configuration(cloud: LocalCloud) -> None:
    arn = cloud.function(
        lambda _event, _: None,
        name="work",
        timeout=timedelta(seconds=45),
        retries=1,
        event_age=timedelta(minutes=5),
    )
    client = boto3.client("lambda")

    configuration = client.get_function_configuration(FunctionName=arn)
    events = client.get_function_event_invoke_config(FunctionName=arn)

    assert (
        configuration["FunctionName"],
        configuration["FunctionArn"],
        configuration["Timeout"],
    ) == ("work", arn, 45)
    assert (events["MaximumRetryAttempts"], events["MaximumEventAgeInSeconds"]) == (1, 300)
    assert events["DestinationConfig"]["OnFailure"] == {"Destination": cloud.completion_arn}


@pytest.mark.parametrize(
    ("decorated", "variables"), [(True, {"WORKPOOL_DECORATED": "1"}), (False, {})]
)
def test_decorated_function_is_marked_as_deployment_marks_it(
    cloud: LocalCloud, *, decorated: bool, variables: dict[str, str]
) -> None:
    def work() -> None: ...

    arn = cloud.function(
        cloud.workpool("email").action(work) if decorated else lambda _event, _: None, name="work"
    )

    assert (
        boto3.client("lambda").get_function_configuration(FunctionName=arn)["Environment"][
            "Variables"
        ]
        == variables
    )


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("call", ["get_function_configuration", "get_function_event_invoke_config"])
def test_function_that_is_not_there_has_no_configuration(call: str) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(boto3.client("lambda"), call)(FunctionName="nobody")

    assert code_of(raised) == ("ResourceNotFoundException", 404)


def schedule(at: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "Name": "wake",
        "GroupName": "workpool-local",
        "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:work",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "Input": '{"n": 9}',
        },
        **changes,
    }


@both_engines
def test_schedule_fires_and_deletes_itself(cloud: LocalCloud) -> None:
    seen: list[object] = []
    cloud.function(lambda event, _: seen.append((event, cloud.now)), name="work")
    client = boto3.client("scheduler")
    due = cloud.now + timedelta(minutes=7)

    client.create_schedule(**schedule(due))
    stands = client.get_schedule(Name="wake", GroupName="workpool-local")
    cloud.advance(timedelta(hours=1))

    assert stands["ScheduleExpression"] == "at(2026-01-01T00:07:00)"
    assert seen == [({"n": 9}, due)]
    with pytest.raises(ClientError) as raised:
        client.get_schedule(Name="wake", GroupName="workpool-local")
    assert code_of(raised) == ("ResourceNotFoundException", 404)


def test_schedule_is_created_once_updated_and_deleted(cloud: LocalCloud) -> None:
    seen: list[datetime] = []
    cloud.function(lambda *_: seen.append(cloud.now), name="work")
    client = boto3.client("scheduler")
    early, late = cloud.now + timedelta(minutes=2), cloud.now + timedelta(minutes=4)

    with pytest.raises(ClientError) as missing:
        client.update_schedule(**schedule(late))
    client.create_schedule(**schedule(early))
    with pytest.raises(ClientError) as conflict:
        client.create_schedule(**schedule(late))
    client.update_schedule(**schedule(late))
    client.create_schedule(**schedule(early, Name="other"))
    client.delete_schedule(Name="other", GroupName="workpool-local")
    cloud.advance(timedelta(hours=1))

    assert code_of(missing) == ("ResourceNotFoundException", 404)
    assert code_of(conflict) == ("ConflictException", 409)
    assert seen == [late]


@pytest.mark.parametrize(
    "changes",
    [{"ScheduleExpression": "rate(5 potatoes)"}, {"ScheduleExpressionTimezone": "Europe/Berlin"}],
)
def test_schedule_that_cannot_be_kept_is_refused(
    cloud: LocalCloud, changes: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as raised:
        boto3.client("scheduler").create_schedule(**schedule(cloud.now, **changes))

    assert code_of(raised) == ("ValidationException", 400)


@both_engines
@pytest.mark.parametrize("service", ["dynamodb", "sqs", "lambda"])
def test_answers_carry_clouds_date(cloud: LocalCloud, service: str) -> None:
    cloud.function(lambda *_: None, name="work")
    cloud.advance(timedelta(days=3, seconds=4))
    calls: dict[str, Callable[[], Any]] = {
        "dynamodb": lambda: boto3.client("dynamodb").list_tables(),
        "sqs": lambda: boto3.client("sqs").list_queues(),
        "lambda": lambda: boto3.client("lambda").get_function_configuration(FunctionName="work"),
    }

    answer = calls[service]()

    assert parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) == datetime(
        2026, 1, 4, 0, 0, 4, tzinfo=UTC
    )


@both_engines
def test_user_codes_own_tables_live_beside_ours(cloud: LocalCloud) -> None:
    client = make_table("orders")

    def work(event: Any, _context: object) -> None:
        client.put_item(TableName="orders", Item={"id": {"S": event["id"]}})

    pool = cloud.workpool(max_parallelism=2)
    pool.enqueue_action_batch(None, cloud.function(work), [{"id": str(n)} for n in range(6)])
    cloud.run_until_idle()

    assert client.scan(TableName="orders")["Count"] == 6


def test_pools_table_on_moto_stands_beside_users_tables(moto_cloud: LocalCloud) -> None:
    client = make_table("orders")

    assert client.list_tables()["TableNames"] == [moto_cloud.table, "orders"]


def count_up(client: Any, times: int) -> int:
    """Optimistic increments; how many were acknowledged."""
    acknowledged = 0
    for _ in range(times):
        seen = (
            client.get_item(TableName="counters", Key={"id": {"S": "c"}}, ConsistentRead=True)
            .get("Item", {})
            .get("n", {"N": "0"})["N"]
        )
        try:
            client.update_item(
                TableName="counters",
                Key={"id": {"S": "c"}},
                UpdateExpression="SET n = :new",
                ConditionExpression="n = :old OR attribute_not_exists(n)",
                ExpressionAttributeValues={":new": {"N": str(int(seen) + 1)}, ":old": {"N": seen}},
            )
            acknowledged += 1
        except client.exceptions.ConditionalCheckFailedException:
            pass
    return acknowledged


@both_engines
@pytest.mark.usefixtures("cloud")
def test_moto_under_threads_loses_no_acknowledged_write() -> None:
    client = make_table("counters")
    with ThreadPoolExecutor(6) as executor:
        acknowledged = sum(executor.map(lambda _: count_up(client, 5), range(6)))

    stored = client.get_item(TableName="counters", Key={"id": {"S": "c"}})["Item"]["n"]["N"]

    assert int(stored) == acknowledged
    assert acknowledged > 8


@both_engines
def test_threads_of_user_code_in_worker_work(cloud: LocalCloud) -> None:
    client = make_table("counters")

    def work(_event: object, _context: object) -> int:
        with ThreadPoolExecutor(4) as executor:
            return sum(executor.map(lambda _: count_up(client, 5), range(4)))

    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(work), {})
    cloud.run_until_idle()

    result = pool.result(None, work_id)
    assert result is not None
    assert client.get_item(TableName="counters", Key={"id": {"S": "c"}})["Item"]["n"]["N"] == str(
        result.return_value
    )


@both_engines
def test_service_calls_of_user_code_are_where_workers_meet(cloud: LocalCloud) -> None:
    client = make_table("counters")
    failures: list[str] = []

    def work(_event: object, _context: object) -> None:
        if count_up(client, 5) < 5:
            failures.append("met another")

    pool = cloud.workpool(max_parallelism=6)
    pool.enqueue_action_batch(None, cloud.function(work), [{}] * 6)
    cloud.run_until_idle()

    assert failures


def test_there_is_one_cloud_on_moto_in_process(moto_cloud: LocalCloud) -> None:
    with pytest.raises(LocalCloudError, match="already"), LocalCloud(engine="moto"):
        pass

    with LocalCloud() as other:
        assert other.table == moto_cloud.table


def test_cloud_that_was_left_makes_room_for_next() -> None:
    for _ in range(2):
        with LocalCloud(engine="moto") as cloud:
            tables = boto3.client("dynamodb").list_tables()["TableNames"]
        assert tables == [cloud.table]


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_environment_is_dummy_inside_and_restored_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-3\nendpoint_url = http://elsewhere.invalid\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://elsewhere.invalid")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    before = dict(os.environ)

    with LocalCloud(engine=engine):
        inside = dict(os.environ)
        client = boto3.client("sqs")

    assert client.meta.endpoint_url == "https://sqs.us-east-1.amazonaws.com"
    assert dict(os.environ) == before
    assert "AWS_PROFILE" not in inside
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in inside
    assert inside["AWS_ACCESS_KEY_ID"] != "real"
    assert inside["AWS_DEFAULT_REGION"] == "us-east-1"


def test_fixture_is_virtual_cloud(workpool_cloud: LocalCloud) -> None:  # noqa: F811 - a fixture
    assert workpool_cloud.now == datetime(2026, 1, 1, tzinfo=UTC)
    assert boto3.client("dynamodb").list_tables()["TableNames"] == []


@pytest.mark.workpool(engine="moto")
def test_mark_gives_fixture_another_engine(workpool_cloud: LocalCloud) -> None:  # noqa: F811 - a fixture
    assert boto3.client("dynamodb").list_tables()["TableNames"] == [workpool_cloud.table]

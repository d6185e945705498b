"""boto3 inside a cloud: which clients are answered, what is loaded for it, and what is left of it outside."""

import json
import os
import subprocess
import sys
import textwrap
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any, Literal

import boto3
import pytest
import requests
from botocore.endpoint import Endpoint
from botocore.exceptions import BotoCoreError, ClientError
from moto import mock_aws

from workpool_aws import UsageError
from workpool_aws.compose import session_for
from workpool_aws.core.callback.targets import CALLBACK_TARGETS, FUNCTION
from workpool_aws.local import LocalCloud, LocalCloudError
from workpool_aws.local.apis.user_aws import LOOKS
from workpool_aws.local.current import current_cloud
from workpool_aws.local.faults.faults import Fault, Faults

ENGINES = pytest.mark.parametrize("engine", ["memory", "moto"])
QUEUE = "arn:aws:sqs:us-east-1:123456789012:done"
TOPIC = "arn:aws:sns:us-east-1:123456789012:done"


PREPARED = """
import os, sys
import workpool_aws.local
assert not {"boto3", "botocore", "moto"} & set(sys.modules)
import cryptography.x509, jinja2, requests, responses, werkzeug, xmltodict, yaml  # they are moto's, and heavy
for script in sys.argv[1:]:
    sys.stdout.flush()
    if not (child := os.fork()):
        code = 1
        try:
            exec(script, {})
            sys.stdout.flush()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
"""


def in_fresh_processes(*scripts: str) -> list[str]:
    """Return the lines that each script prints in a process without credentials or configuration.

    Each begins as a fork of one that has loaded the library, and neither boto3 nor moto.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-c", PREPARED, *map(textwrap.dedent, scripts)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def answered(engine: str, imports: str) -> str:
    """A script whose client is made before the cloud and asked in it."""
    return f"""
        {imports}
        client = boto3.client("dynamodb", region_name="eu-west-1")
        from workpool_aws.local import LocalCloud
        with LocalCloud(engine={engine!r}):
            answer = client.list_tables()
            print(answer["TableNames"], answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        """


def test_client_is_answered_whenever_it_was_made_and_nothing_is_loaded_before() -> None:
    loads = """
        import sys
        from workpool_aws.local import LocalCloud
        seen = lambda: print(*[name for name in ("boto3", "botocore.endpoint", "moto") if name in sys.modules])
        with LocalCloud() as cloud:
            pool = cloud.workpool()
            pool.enqueue_action(None, cloud.function(lambda event, context: None), {})
            cloud.run_until_idle()
            seen()
            import boto3
            boto3.client("lambda").invoke(FunctionName="lambda", Payload=b"{}")
            seen()
            boto3.client("sqs").list_queues()
            seen()
            answer = boto3.client("dynamodb", region_name="eu-west-1").list_tables()
            print(answer["TableNames"], answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        """

    printed = in_fresh_processes(
        loads,
        answered("memory", "import boto3"),
        answered("memory", "import moto, boto3"),
        answered("moto", "import boto3"),
    )

    assert printed == [
        "",
        "boto3 botocore.endpoint",
        "boto3 botocore.endpoint moto",
        "[] Thu, 01 Jan 2026 00:00:01 GMT",
        *["[] Thu, 01 Jan 2026 00:00:00 GMT"] * 3,
    ]


@ENGINES
def test_objects_in_bucket_come_back_whole(engine: str) -> None:
    content = b"line\r\n" * 10_000
    with LocalCloud(engine=engine) as cloud:

        def store(_event: object, _context: object) -> int:
            client = boto3.client("s3")
            client.create_bucket(Bucket="bucket")
            client.put_object(Bucket="bucket", Key="key", Body=content)
            return len(client.get_object(Bucket="bucket", Key="key")["Body"].read())

        pool = cloud.workpool()
        work_id = pool.enqueue_action(None, cloud.function(store), {})
        cloud.run_until_idle()
        result = pool.result(None, work_id)

    assert result is not None
    assert result.return_value == len(content)


@pytest.mark.parametrize("clock", ["virtual", "real"])
def test_resources_transfers_and_signed_urls_work(clock: Literal["virtual", "real"]) -> None:
    """Transfers in parts use threads of their own; a signed URL is opened by another library than boto3."""
    content = b"x" * (9 * 1024 * 1024)
    with LocalCloud(clock=clock) as cloud:
        table = boto3.resource("dynamodb").create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        table.wait_until_exists()
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        pool = cloud.workpool()

        @pool.action
        def store(key: str) -> list[int]:
            table.put_item(Item={"id": key, "price": Decimal("1.10")})
            client.upload_fileobj(BytesIO(content), "bucket", key)
            back = BytesIO()
            client.download_fileobj("bucket", key, back)
            url = client.generate_presigned_url(
                "get_object", Params={"Bucket": "bucket", "Key": key}
            )
            return [len(back.getvalue()), len(requests.get(url, timeout=10).content)]

        ids = pool.enqueue_action_batch(None, cloud.function(store), [{"key": "a"}, {"key": "b"}])
        cloud.run_until_idle()
        results = [pool.result(None, work_id) for work_id in ids]
        count = table.scan()["Count"]

    assert [result and result.return_value for result in results] == [[len(content)] * 2] * 2
    assert count == 2


def test_fault_of_call_is_error_of_botocore() -> None:
    faults = Faults(rates={Fault.THROTTLED: 1.0}, aim="sqs", budget=10)
    with LocalCloud(faults=faults) as cloud:
        caught: list[Exception] = []

        def ask(_event: object, _context: object) -> None:
            try:
                boto3.client("sqs").list_queues()
            except BotoCoreError as error:
                caught.append(error)

        cloud.invoke(cloud.function(ask), {})
        cloud.run_until_idle()

    assert len(caught) == 1


@ENGINES
@pytest.mark.parametrize("target", [QUEUE, TOPIC])
def test_callback_reaches_queue_or_topic_that_user_code_made(engine: str, target: str) -> None:
    with LocalCloud(engine=engine) as cloud:
        sqs, sns = boto3.client("sqs"), boto3.client("sns")
        url = sqs.create_queue(QueueName="done")["QueueUrl"]
        sns.subscribe(
            TopicArn=sns.create_topic(Name="done")["TopicArn"], Protocol="sqs", Endpoint=QUEUE
        )
        pool = cloud.workpool()
        work_id = pool.enqueue_action(
            None, cloud.function(lambda _event, _context: 5), {}, on_complete=target
        )
        cloud.run_until_idle()
        (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        status = pool.status(None, work_id)

    body: Any = json.loads(message["Body"])
    told = json.loads(body["Message"]) if target == TOPIC else body
    assert (told["work_id"], told["result"]) == (work_id, {"kind": "success", "return_value": 5})
    assert status.callback == "delivered"


@pytest.mark.parametrize(
    "target",
    [
        QUEUE,
        TOPIC,
        "arn:aws:sqs:xx-nowhere-1:123456789012:done",
        "arn:aws:sns:eu-west-1:999999999999:done",
        "arn:aws-cn:sqs:cn-north-1:123456789012:done.fifo",
    ],
)
def test_callback_to_target_that_was_not_made_is_kept_for_test(target: str) -> None:
    with LocalCloud() as cloud:
        boto3.client("sqs").create_queue(QueueName="other")
        pool = cloud.workpool()
        pool.enqueue_action(
            None, cloud.function(lambda _event, _context: 5), {}, on_complete=target
        )
        cloud.run_until_idle()
        messages: Any = cloud.messages(target)

    assert [message["result"] for message in messages] == [{"kind": "success", "return_value": 5}]


def test_moto_forgets_its_state_when_cloud_is_left() -> None:
    for _ in range(2):
        with LocalCloud():
            client = boto3.client("sqs")
            before = client.list_queues().get("QueueUrls", [])
            client.create_queue(QueueName="q")
        assert before == []


@ENGINES
def test_botocore_and_boto3_are_outside_as_they_were(engine: str) -> None:
    boto3.setup_default_session(region_name="eu-central-1")
    outside, transport = boto3.DEFAULT_SESSION, vars(Endpoint)["_send"]
    with LocalCloud(engine=engine):
        inside = boto3.client("sqs").meta.region_name

    assert inside == "us-east-1"
    assert boto3.DEFAULT_SESSION is outside
    assert vars(Endpoint)["_send"] is transport
    boto3.DEFAULT_SESSION = None


def test_clouds_that_are_not_left_in_order_restore_process() -> None:
    environment, transport = dict(os.environ), vars(Endpoint)["_send"]
    first, second = LocalCloud(), LocalCloud()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    tables = boto3.client("dynamodb").list_tables()["TableNames"]
    current = current_cloud()
    second_has_it = session_for(profile="unknown", region=None) is None
    second.__exit__(None, None, None)

    assert tables == []
    assert current is second
    assert second_has_it
    assert current_cloud() is None
    with pytest.raises(UsageError, match="profile"):
        session_for(profile="unknown", region=None)
    assert dict(os.environ) == environment
    assert vars(Endpoint)["_send"] is transport


def test_request_is_call_of_cloud_whose_worker_makes_it() -> None:
    dates: list[str] = []

    def ask(_event: object, _context: object) -> None:
        dates.append(boto3.client("sqs").list_queues()["ResponseMetadata"]["HTTPHeaders"]["date"])

    with LocalCloud() as outer, LocalCloud() as inner:
        outer.advance(timedelta(days=1))
        outer.invoke(outer.function(ask), {})
        outer.run_until_idle()
        inner.invoke(inner.function(ask), {})
        inner.run_until_idle()

    assert dates == ["Fri, 02 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"]


@ENGINES
def test_users_own_mock_goes_on_and_keeps_its_tables(engine: str) -> None:
    with mock_aws():
        client = boto3.client("sqs", region_name="us-east-1")
        client.create_queue(QueueName="mine")
        for _ in range(2):
            with LocalCloud(engine=engine) as cloud:
                cloud.workpool().enqueue_action(
                    None, cloud.function(lambda _event, _context: None), {}
                )
                cloud.run_until_idle()
                inside = client.list_queues()["QueueUrls"]
                ran = cloud.invocations("lambda")
        outside = client.list_queues()["QueueUrls"]

    assert len(ran) == 1
    assert inside == outside
    assert len(outside) == 1


def test_mock_of_user_code_inside_does_not_end_clouds() -> None:
    with LocalCloud():
        with mock_aws():
            boto3.client("sqs").create_queue(QueueName="q")
        date = boto3.client("sqs").list_queues()["ResponseMetadata"]["HTTPHeaders"]["date"]

    assert date == "Thu, 01 Jan 2026 00:00:00 GMT"


@ENGINES
def test_service_that_moto_does_not_know_is_not_reached(engine: str) -> None:
    with LocalCloud(engine=engine), pytest.raises(ClientError) as raised:
        boto3.client("gamelift", endpoint_url="https://nothing.us-east-1.api.aws").list_builds()

    response: Any = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_client_without_moto_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    with LocalCloud(), pytest.raises(LocalCloudError, match=r"install workpool-aws\[local\]"):
        boto3.client("sqs").list_queues()


def test_every_kind_of_callback_target_beside_functions_is_looked_for() -> None:
    assert LOOKS.keys() == {kind.service for kind in CALLBACK_TARGETS} - {FUNCTION.service}

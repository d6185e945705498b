"""The plain template, nested in a SAM template and deployed without the CDK, runs jobs on functions that it did not make."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e import deployment, plain
from tests.e2e.plain import Shop
from tests.e2e.waiting import once
from tests.emulator.server import MiniStack
from workpool_aws import Workpool


@pytest.fixture(scope="module")
def shop(cloud: MiniStack) -> Shop:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in deployment.account(cloud).items():
            patched.setenv(name, value)
        return plain.deploy(cloud, plain.of_page())


@pytest.fixture
def pool(cloud: MiniStack, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Workpool:
    for name, value in deployment.account(cloud).items():
        monkeypatch.setenv(name, value)
    return Workpool(shop.table, "default")


def test_jobs_run_on_functions_that_were_deployed_beside_template(
    pool: Workpool, shop: Shop, finished: Callable[..., Any]
) -> None:
    named = once(lambda: pool.jobs(None))
    assert set(named) == {"send_email", "email_sent"}  # by the watchdog's first tick
    answer = boto3.client("lambda").invoke(
        FunctionName=shop.functions["api"], Payload=b'{"to": "Ada", "width": 640}'
    )
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said

    statuses = finished(pool, said)

    assert [status.outcome for status in statuses] == ["success", "success"]
    assert [pool.result(None, each).return_value for each in said] == [
        "sent to Ada",
        {"width": 320},
    ]
    assert once(lambda: pool.status(None, said[0]).callback == "delivered")


def test_function_may_do_what_its_policy_says_and_no_more(pool: Workpool, shop: Shop) -> None:
    role = boto3.client("lambda").get_function_configuration(FunctionName=shop.functions["api"])
    given = boto3.client("sts").assume_role(RoleArn=role["Role"], RoleSessionName="test")
    session = boto3.Session(
        aws_access_key_id=given["Credentials"]["AccessKeyId"],
        aws_secret_access_key=given["Credentials"]["SecretAccessKey"],
        aws_session_token=given["Credentials"]["SessionToken"],
    )
    with pytest.raises(ClientError) as refused:
        session.client("dynamodb").scan(TableName=shop.table)

    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")

"""LocalCloud with its tables on a server of another make: the public interface, the demo, and clouds that meet there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.emulator.server import ACCESS_KEY, REGION, SECRET_KEY
from workpool_aws import NonRetryableError, RetryPolicy
from workpool_aws.cli.demo.run import DemoOptions, items_of, run_demo
from workpool_aws.local import LocalCloud

pytestmark = pytest.mark.server

SERVICES = ["dynamodb", "lambda", "s3", "sns", "sqs", "sts"]
SECOND = timedelta(seconds=1)


@pytest.fixture
def client(ministack) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=ministack.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


def retried_work(url: str) -> tuple[str, timedelta]:
    """The end of a work item that failed once, and its wait in between."""
    with LocalCloud(engine=url, seed=7) as cloud:

        def fail_once(event, context):
            if len(cloud.invocations(fn)) == 1:
                raise RuntimeError("not yet")
            return "at last"

        fn = cloud.function(fail_once, name="fail-once")
        pool = cloud.workpool("retries")
        work_id = pool.enqueue_action(
            None, fn, {}, retry=RetryPolicy(initial_backoff=SECOND, jitter=False)
        )
        cloud.run_until_idle()
        first, second = cloud.invocations(fn)
        return pool.result(None, work_id).return_value, second.started_at - first.started_at


def test_second_cloud_of_same_seed_is_not_taken_for_first(ministack):
    # A retry is a transaction, and DynamoDB remembers the tokens of transactions, whatever table
    # they were about.
    outcomes = [retried_work(ministack.url) for _ in range(2)]

    assert [outcome for outcome, _ in outcomes] == ["at last", "at last"]
    assert all(SECOND <= waited <= 3 * SECOND for _, waited in outcomes)


def test_clouds_on_one_server_do_not_meet(ministack, client):
    with LocalCloud(engine=ministack.url) as one, LocalCloud(engine=ministack.url) as other:
        ids = [
            cloud.workpool("email").enqueue_action(
                None, cloud.function(lambda event, _: event, name="echo"), {"n": 1}
            )
            for cloud in (one, other)
        ]
        one.run_until_idle()

        # Two clouds of one seed make the same ids: only their tables keep them apart.
        assert ids[0] == ids[1]
        assert [cloud.workpool("email").status(None, ids[0]).state for cloud in (one, other)] == [
            "finished",
            "pending",
        ]
        assert {one.table, other.table} <= set(client.list_tables()["TableNames"])
        assert one.table != other.table

    assert {one.table, other.table} & set(client.list_tables()["TableNames"]) == set()


def test_table_is_one_on_server(ministack, client):
    with LocalCloud(engine=ministack.url) as cloud:
        pool = cloud.workpool("email")
        pool.enqueue_action(None, cloud.function(lambda event, _: event, name="echo"), {"n": 1})
        items = client.scan(TableName=cloud.table)["Items"]

        assert pool.table == cloud.table
        assert any("email" in item["pk"]["S"] for item in items)


def test_user_codes_own_tables_are_motos_there_too(ministack, client):
    with LocalCloud(engine=ministack.url) as cloud:
        here = boto3.client("dynamodb")
        here.create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )

        assert here.list_tables()["TableNames"] == ["orders"]
        assert "orders" not in client.list_tables()["TableNames"]
        assert cloud.table in client.list_tables()["TableNames"]


def test_payloads_in_chunks_come_back_whole(ministack):
    large = "größe " * 90_000
    with LocalCloud(engine=ministack.url) as cloud:
        pool = cloud.workpool("large")

        @pool.action
        def mirror(text: str) -> str:
            return text[::-1]

        work_id = pool.enqueue_action(None, cloud.function(mirror), {"text": large})
        cloud.run_until_idle()

        assert pool.result(None, work_id).return_value == large[::-1]


def test_dead_letters_are_listed_and_redriven(ministack):
    with LocalCloud(engine=ministack.url) as cloud:
        pool = cloud.workpool("dead")
        broken = [True]

        @pool.action
        def send(n: int) -> int:
            if broken[0]:
                raise NonRetryableError("the server is down")
            return n

        fn = cloud.function(send)
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(3)])
        cloud.run_until_idle()
        dead = [item.work_id for item in pool.list(None, state="dead").items]
        broken[0] = False
        redriven = pool.redrive_all(None)
        cloud.run_until_idle()

        assert sorted(dead) == sorted(ids)
        assert redriven == 3
        assert pool.list(None, state="dead").items == ()


def test_pool_keeps_to_its_limit_and_calls_back(ministack):
    with LocalCloud(engine=ministack.url) as cloud:
        pool = cloud.workpool("calls", max_parallelism=3)
        told: list[Any] = []

        @pool.on_complete
        def note(event) -> None:
            told.append(event.context)

        listener = cloud.function(note)
        fn = cloud.function(lambda event, _: event["n"], name="slow", takes=2 * SECOND)
        for n in range(10):
            pool.enqueue_action(None, fn, {"n": n}, on_complete=listener, context=n)
        cloud.run_until_idle()

        assert cloud.max_concurrency(fn) == 3
        assert sorted(set(told)) == list(range(10))


def test_demo_runs_there(ministack):
    options = DemoOptions(
        parallelism=3, fail_rate=0.3, seed=1, engine=ministack.url, clock="virtual"
    )
    here = run_demo(replace(options, engine="memory"), items_of(options, SERVICES), lambda _: None)

    there = run_demo(options, items_of(options, SERVICES), lambda _: None)

    assert there.ok
    assert (there.items, there.attempts, there.retries, there.failures) == (
        here.items,
        here.attempts,
        here.retries,
        here.failures,
    )
    assert 1 <= there.usage.max_concurrency <= 3

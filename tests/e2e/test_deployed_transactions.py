"""The examples of transactions, deployed with least privilege, while their processes die around each commit."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from typing import Any

import boto3

from tests.e2e.deployment import processes_of
from tests.e2e.waiting import once

ACCOUNTS = ("ann", "bob", "cy")
TRANSFERS = 16
ORDERS = 8
KILLS = 5


def table_of(name: str) -> Any:
    return boto3.resource("dynamodb").Table(name)


def balances() -> dict[str, int]:
    """All accounts at one moment, as another program reads them."""
    keys = [{"Get": {"TableName": "accounts", "Key": {"id": {"S": name}}}} for name in ACCOUNTS]
    answer = boto3.client("dynamodb").transact_get_items(TransactItems=keys)
    found = [each["Item"] for each in answer["Responses"]]
    return {each["id"]["S"]: int(each["cents"]["N"]) for each in found}


def items_of(name: str) -> dict[str, Any]:
    return {str(each["id"]): each for each in table_of(name).scan(ConsistentRead=True)["Items"]}


def test_transfers_of_example_count_once_while_workers_die(cloud, make_pool, finished):
    pool = make_pool("bank")
    for name in ACCOUNTS:
        table_of("accounts").put_item(Item={"id": name, "cents": 1_000})
    transfers = [
        {"source": ACCOUNTS[n % 3], "target": ACCOUNTS[(n + 1 + n // 3 % 2) % 3], "cents": 5 + n}
        for n in range(TRANSFERS)
    ]
    once(lambda: "transfer" in pool.jobs(None))
    ids = pool.enqueue_mutation_batch(None, "transfer", transfers)

    killed = set()
    while len(killed) < KILLS and any(
        status.state != "finished" for status in pool.status_batch(None, ids)
    ):
        assert sum(balances().values()) == 3_000
        for victim in list(processes_of(cloud, "transfer"))[:1]:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            killed.add(victim)
    statuses = finished(pool, ids)

    expected = dict.fromkeys(ACCOUNTS, 1_000)
    for each, status in zip(transfers, statuses, strict=True):
        if status.outcome == "success":
            expected[each["source"]] -= each["cents"]
            expected[each["target"]] += each["cents"]
    assert balances() == expected
    assert "success" in {status.outcome for status in statuses}


def test_order_of_example_exists_with_its_email_and_notes_it_once(make_pool):
    pool, functions = make_pool("orders"), boto3.client("lambda")
    once(lambda: {"send_email", "confirmed"} <= pool.jobs(None).keys())

    def is_placed(order: str) -> bool:
        """Place it, or fail because it was placed by a process that died afterwards."""
        event = json.dumps({"order": order, "to": "ann@example.com"})
        answer = functions.invoke(FunctionName="front", Payload=event)
        said = answer["Payload"].read().decode()
        return "FunctionError" not in answer or "a condition does not hold" in said

    for n in range(ORDERS):
        once(lambda order=f"o-{n}": is_placed(order))
    placed = items_of("orders")
    works = [str(each["work"]) for each in placed.values()]
    once(lambda: all(each.callback == "delivered" for each in pool.status_batch(None, works)))

    assert set(placed) == {f"o-{n}" for n in range(ORDERS)}
    assert {each.work_id for each in pool.list(None).items} == set(works)
    noted = {name: (each["mail"], int(each["mails"])) for name, each in items_of("orders").items()}
    assert noted == dict.fromkeys(placed, ("success", 1))

"""Moves money in the background, once each, while workers are killed and events come twice.

Runs on this machine, in virtual time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import boto3
from bank import pool, transfer

from workpool_aws.local import LocalCloud


def open_accounts(*names: str) -> Any:
    """Your own table, which knows nothing of the pool."""
    accounts = boto3.resource("dynamodb").create_table(
        TableName="accounts",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    for name in names:
        accounts.put_item(Item={"id": name, "cents": 100})
    return accounts


def main() -> None:
    """The caller. In AWS there is no cloud to create, and nothing kills your workers on purpose."""
    with LocalCloud(seed=7, duplicate_deliveries=0.5, crash_rate=0.3) as cloud:
        cloud.function(transfer, timeout=timedelta(seconds=30))
        accounts = open_accounts("ann", "bob", "cy")
        names = ("ann", "bob", "cy")
        orders = [
            {"source": names[n % 3], "target": names[(n + 1) % 3], "cents": 5 + n}
            for n in range(12)
        ]
        ids = transfer.enqueue_batch(None, orders)
        cloud.run_until_idle(timeout=timedelta(days=1))

        expected = dict.fromkeys(names, 100)
        for order, work_id in zip(orders, ids, strict=True):
            if pool.status(None, work_id).outcome == "success":
                expected[str(order["source"])] -= int(str(order["cents"]))
                expected[str(order["target"])] += int(str(order["cents"]))
        found = {name: int(accounts.get_item(Key={"id": name})["Item"]["cents"]) for name in names}
        print("the money is still there:", sum(found.values()) == sum(expected.values()))
        print("no account is below zero:", min(found.values()) >= 0)
        print("each transfer counts once:", found == expected)


if __name__ == "__main__":
    main()

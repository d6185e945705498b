"""Stores an order and enqueues its e-mail in one write, so that neither exists without the other.

Runs on this machine, in virtual time.
"""

from __future__ import annotations

from typing import Any

import boto3
from shop import confirmed, place_order, pool, send_again, send_email

from workpool_aws import TransactionCanceled
from workpool_aws.local import LocalCloud


def make_table() -> Any:
    """Your own table."""
    return boto3.resource("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


def main() -> None:
    """The caller. In AWS there is no cloud to create."""
    with LocalCloud(duplicate_deliveries=0.5) as cloud:
        cloud.function(send_email)
        cloud.function(confirmed)
        orders = make_table()
        first = place_order("o-1", "ann@example.com")
        try:
            place_order("o-1", "ann@example.com")
        except TransactionCanceled as canceled:
            print("placed again:", canceled.failed[0].action, "refused, and no second e-mail")
        pressed = send_again("o-1", "ann@example.com", request="r-1")
        print("pressed before it was sent: the same e-mail,", pressed == first)
        cloud.run_until_idle()

        once = send_again("o-1", "ann@example.com", request="r-2")
        cloud.run_until_idle()
        twice = send_again("o-1", "ann@example.com", request="r-2")
        print("pressed afterwards: another e-mail,", once != first)
        print("the same request again: none,", twice == once)
        cloud.run_until_idle()

        item = orders.get_item(Key={"id": "o-1"})["Item"]
        print("e-mail:", item["mail"], "- noted", int(item["mails"]), "times")
        print("work items:", len(pool.list(None).items))


if __name__ == "__main__":
    main()

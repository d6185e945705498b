"""Stores an order and enqueues its e-mail in one write, so that neither exists without the other.

Runs on this machine, in virtual time.
"""

from __future__ import annotations

from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr

from workpool_aws import OnCompleteEvent, Transaction, TransactionCanceled, Workpool
from workpool_aws.local import LocalCloud

pool = Workpool("my-table", "orders")


@pool.action(retry=True)
def send_email(order: str, to: str) -> str:
    """The Lambda function that sends the e-mail of an order."""
    return f"{order} confirmed to {to}"


@pool.on_complete
def confirmed(event: OnCompleteEvent, tx: Transaction) -> None:
    """The Lambda function that notes in the order that its e-mail was sent, once."""
    changes = {"mail": event.result.kind}
    tx.update("orders", {"id": str(event.context)}, set=changes, add={"mails": 1})


def place_order(order: str, to: str) -> str:
    """The handler of your API."""
    with pool.transaction(None) as tx:
        mail = send_email.with_options(
            unique_key=f"mail/{order}", on_complete=confirmed, context=order
        )
        work_id = mail.enqueue(tx, order=order, to=to)
        item = {"id": order, "to": to, "work": work_id}
        tx.put("orders", item, condition=Attr("id").not_exists())
    return work_id


def send_again(order: str, to: str, request: str) -> str:
    """The handler of a button, whose client may repeat a request that was not answered."""
    again = send_email.with_options(
        unique_key=f"mail/{order}", request_id=request, on_complete=confirmed, context=order
    )
    return again.enqueue(None, order=order, to=to)


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

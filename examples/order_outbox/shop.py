"""The Lambda functions: an order and its e-mail are stored in one write, so that neither exists without the other."""

from __future__ import annotations

import os

from boto3.dynamodb.conditions import Attr

from workpool_aws import OnCompleteEvent, Transaction, Workpool

pool = Workpool(os.environ.get("WORKPOOL_TABLE", "my-table"), "orders")


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

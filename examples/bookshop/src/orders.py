import os
from datetime import timedelta

from mail import ask_for_review, send_confirmation, send_invoice
from pydantic import BaseModel

from workpool_aws import OnCompleteEvent, Workpool

pool = Workpool(os.environ.get("WORKPOOL_TABLE", "bookshop"), "orders")


class Order(BaseModel):
    id: str
    email: str
    cents: int


@pool.query
def quote_shipping(country: str) -> int:
    return 500 if country == "DE" else 1500


@pool.action
def charge(order: Order) -> str:
    return f"receipt-{order.id}"


@pool.action(retry=True)
def ship(order: Order, receipt: str) -> str:
    return f"parcel-{order.id}"


@pool.on_complete
def charged(event: OnCompleteEvent) -> None:
    if event.result.kind != "success":
        return
    order = Order.model_validate(event.context)
    ship.enqueue(None, order, receipt=str(event.result.return_value))
    send_confirmation.enqueue(None, to=order.email, order=order.id)
    send_invoice.enqueue(None, to=order.email, order=order.id, cents=order.cents)
    later = ask_for_review.with_options(run_after=timedelta(days=7))
    later.enqueue(None, to=order.email, order=order.id)


handler = pool.handler(quote_shipping, charge, ship, charged)

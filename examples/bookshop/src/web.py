from typing import Any

from orders import Order, charge, charged

from workpool_aws import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext | None) -> dict[str, str]:
    order = Order.model_validate(event)
    paid = charge.with_options(on_complete=charged, context=order.model_dump())
    return {"work_id": paid.enqueue(context, order)}

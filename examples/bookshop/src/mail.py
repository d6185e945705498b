import os
from datetime import timedelta

from workpool_aws import NonRetryableError, RetryPolicy, Work, Workpool

pool = Workpool(os.environ.get("WORKPOOL_TABLE", "bookshop"), "mail")


def deliver(to: str, text: str, *, key: str) -> str:
    """Stands for a mail server, which ignores a key that it has seen."""
    if "@" not in to:
        raise NonRetryableError(f"not an address: {to}")
    return f"{text} To: {to}"


@pool.action(retry=True)
def send_confirmation(work: Work, to: str, order: str) -> str:
    return deliver(to, f"Order {order} is confirmed.", key=work.work_id)


@pool.action(retry=True)
def send_invoice(work: Work, to: str, order: str, cents: int) -> str:
    return deliver(to, f"Order {order} costs {cents / 100:.2f}.", key=work.work_id)


@pool.action(retry=RetryPolicy(max_attempts=3, initial_backoff=timedelta(hours=1)))
def ask_for_review(work: Work, to: str, order: str) -> str:
    return deliver(to, f"How was order {order}?", key=work.work_id)


handler = pool.handler(send_confirmation, send_invoice, ask_for_review)

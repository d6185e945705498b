"""A table with a large pool to look at: thousands of work items, failures of five kinds, a paused pool."""

from datetime import timedelta
from typing import Any

from workpool_aws import RetryLater, RetryPolicy, Workpool
from workpool_aws.local import LocalCloud

WAITING = 9_700
FAILED = 200
SUCCEEDED = 100


def charge(event: dict[str, Any], _: object) -> str:
    match event["order"] % 15:
        case 0 | 1 | 2 | 3:
            raise ConnectionError(f"payments.example.com did not answer for order {event['order']}")
        case 4 | 5 | 6:
            raise PermissionError(f"card of customer 'c-{event['order']}' was declined")
        case 7:
            raise KeyError("currency")
        case 8:
            raise TimeoutError(f"no answer within {event['order']} ms")
        case 9:
            raise ValueError("amount must be above 0")
        case _:
            return f"charged order {event['order']}"


def crowd(cloud: LocalCloud) -> dict[str, Workpool]:
    """Fill the pools, and return them by name."""
    orders, mails = cloud.workpool("orders", max_parallelism=50), cloud.workpool("mails")
    paused = cloud.workpool("reports")
    cloud.function(charge)
    slow = cloud.function(lambda event, context: None, name="ship", takes=timedelta(seconds=25))

    @mails.action(retry=RetryPolicy(max_attempts=3))
    def send_email(to: str, subject: str = "Your order") -> str:
        if to.startswith("late"):
            raise RetryLater(timedelta(hours=2))
        return f"sent to {to}"

    cloud.function(send_email)
    # Of fifteen orders five succeed, so three hundred make the failures.
    for first in range(0, FAILED + SUCCEEDED, 30):
        numbers = range(first, first + 30)
        orders.enqueue_action_batch(None, "charge", [{"order": n} for n in numbers])
        cloud.advance(timedelta(minutes=1))
    send_email.enqueue_batch(None, [{"to": f"customer-{n}@example.com"} for n in range(60)])
    send_email.enqueue(None, to="late@example.com")
    cloud.advance(timedelta(minutes=1))
    mails.schedule(None, "digest", "send_email", {"to": "all@example.com"}, cron="30 6 * * MON-FRI")
    mails.enqueue_group(
        None,
        "send_email",
        [{"to": f"reader-{n}@example.com"} for n in range(500)],
        group_id="newsletter",
        run_after=timedelta(hours=3),
    )
    mails.schedule(
        None, "reminder", "send_email", {"to": "all@example.com"}, every=timedelta(hours=6)
    )
    mails.pause_schedule(None, "reminder")
    orders.enqueue_action_batch(None, slow, [{"order": n} for n in range(12)])
    orders.enqueue_action_batch(
        None, "charge", [{"order": n} for n in range(WAITING)], run_after=timedelta(hours=6)
    )
    paused.configure(None, paused=True)
    paused.enqueue_action_batch(None, "charge", [{"order": 5}] * 30)
    cloud.advance(timedelta(seconds=3))
    return {each.name: each for each in (orders, mails, paused)}

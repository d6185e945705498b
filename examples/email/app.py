"""Sends e-mails in the background, three at a time, with retries and one reminder an hour later.

Runs on this machine, in virtual time.
"""

from __future__ import annotations

from datetime import timedelta

from workpool_aws import NonRetryableError, Work, Workpool
from workpool_aws.local import LocalCloud

pool = Workpool("my-table", "email", max_parallelism=3)


@pool.action
def send_email(work: Work, to: str, template: str = "welcome") -> dict[str, object]:
    """The Lambda function. Its arguments come from the enqueue and are validated by this signature."""
    if "@" not in to:
        raise NonRetryableError(f"{to!r} is no address")
    if to.endswith("@busy.example") and work.attempt in {1, 2}:  # this server is busy at first
        raise ConnectionError("450 try again later")
    work.sleep(timedelta(milliseconds=200))  # the mail server takes its time
    return {"to": to, "template": template, "attempt": work.attempt}


def main() -> None:
    """The caller. In AWS there is no cloud to create, and the ARN is the deployed function's."""
    with LocalCloud(clock="virtual") as cloud:
        arn = cloud.function(send_email, timeout=timedelta(seconds=30))
        emails = cloud.workpool("email", max_parallelism=3)

        recipients = [
            "ann@example.com",
            "bob@example.com",
            "cy@busy.example",
            "dora@example.com",
            "not an address",
        ]
        ids = emails.enqueue_action_batch(None, arn, [{"to": to} for to in recipients], retry=True)
        reminder = {"to": "eve@example.com", "template": "reminder"}
        ids.append(emails.enqueue_action(None, arn, reminder, run_after=timedelta(hours=1)))
        print("before:", emails.status(None, ids[-1]).state)

        cloud.run_until_idle(timeout=timedelta(hours=2))

        for work_id in ids:
            result = emails.result(None, work_id)
            if result is not None and result.kind == "success":
                print("sent:  ", result.return_value)
            elif result is not None:
                print("failed:", result.error_type, "-", result.error)
        print("at most at a time:", cloud.max_concurrency(arn))


if __name__ == "__main__":
    main()

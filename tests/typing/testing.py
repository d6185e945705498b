"""The helpers for tests of applications, as a type checker sees them. Checked by mypy --strict, never run."""

from datetime import datetime
from typing import assert_type

from workpool_aws import WorkId, Workpool
from workpool_aws.local import Failure, LocalCloud
from workpool_aws.testing import (
    EnqueuedWork,
    assert_enqueued,
    lambda_context,
    perform,
    refute_enqueued,
)

pool = Workpool("my-table")


@pool.action
def send_email(to: str) -> bytes:
    return to.encode()


def helping(cloud: LocalCloud) -> None:
    found = assert_enqueued(send_email, to="a@example.com")
    assert_type(found, EnqueuedWork)
    assert_type(found.work_id, WorkId)
    assert_type(found.run_at, datetime)
    assert_type(perform(send_email, to="a@example.com", attempt=2), bytes)
    refute_enqueued("send_email", to="b@example.com")
    pool.enqueue_action(lambda_context("orders"), "send_email", {"to": "a@example.com"})
    cloud.fail_next(send_email, TimeoutError("mail server"), times=2)
    cloud.run_until_idle(raise_failures=True)
    assert_type(cloud.failures, list[Failure])
    assert_type(cloud.enqueued(send_email, "other"), list[EnqueuedWork])

"""Finds the function behind a job's name, by the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.work.jobs import target_of_job, target_of_name
from workpool_aws.errors import StoreUnavailable

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["find_job", "find_name"]


def find_job(ports: Ports, name: str, *, field: str) -> str:
    """Returns the ARN of a decorated function's job.

    Raises UsageError if it is not deployed, and StoreUnavailable. Nothing was stored.
    """
    return target_of_job(name, ports.jobs(name), field=field)


def find_name(ports: Ports, name: str, *, field: str) -> str | None:
    """Returns the ARN of the job with this name. `None` means a Lambda function's name.

    Raises UsageError if it is likely a misspelled job. Nothing was stored.
    """
    try:
        known = ports.jobs(name)
    except StoreUnavailable:
        # Callers that may not read the deployment item name functions as they always did.
        known = {}
    return target_of_name(name, known, field=field)

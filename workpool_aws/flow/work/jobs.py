"""Finds the function behind a job's name, by the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.work.jobs import target_of_job, target_of_name
from workpool_aws.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.ports import Ports

__all__ = ["deployed_jobs", "find_job", "find_name"]


def find_job(ports: Ports, name: str, *, field: str) -> str:
    """Returns the ARN of a decorated function's job.

    Raises UsageError if it is not deployed, and StoreUnavailable. Nothing was stored.
    """
    return target_of_job(name, ports.jobs(name), field=field)


def find_name(ports: Ports, name: str, *, field: str) -> str | None:
    """Returns the ARN of the job with this name. `None` means a Lambda function's name.

    Raises UsageError if it is likely a misspelled job. Nothing was stored.
    """
    return target_of_name(name, deployed_jobs(ports, name), field=field)


def deployed_jobs(ports: Ports, name: str) -> Mapping[str, str]:
    """Returns the ARN of each deployed job, of ten seconds ago at most if this name is none of them.

    There are none for callers that may not read the deployment item. They name functions as they
    always did.
    """
    try:
        return ports.jobs(name)
    except StoreUnavailable:
        return {}

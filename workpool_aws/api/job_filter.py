"""Reads the `fn` by which callers ask for the work items of one job or function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.api.job import job_at
from workpool_aws.core.views.listing import JobFilter, check_function
from workpool_aws.flow.work.jobs import deployed_jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.ports import Ports

__all__ = ["read_filter"]


def read_filter(connect: Callable[[], Ports], fn: object) -> JobFilter | None:
    """Returns the filter of a decorated function, a job's name, or a function's name or ARN.

    `None` means all. A job that is not deployed any more still has its work items. `connect`: called
    once `fn` is known to be one.

    Raises:
        UsageError: It is none of these.
    """
    if fn is None:
        return None
    job = job_at(fn)
    name = check_function(fn) if job is None else job.job.name
    known = deployed_jobs(connect(), name)
    if job is None and name not in known:
        return JobFilter(job=name, function=name, whole=True)
    arn = known.get(name)
    alone = sum(each == arn for each in known.values()) == 1
    return JobFilter(job=name, function=arn if alone else None)

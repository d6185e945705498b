"""Keeps the jobs of a table's deployment for some minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import DeployedJob
from workpool_aws.model.names import FUNCTION_ARN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workpool_aws.model.loop import Deployment
    from workpool_aws.ports import Clock

__all__ = ["DeployedJobs", "deployed_jobs"]


class DeployedJobs:
    """Reads the jobs of the deployment item, at most once in ten seconds.

    Args:
        deployment: Reads the table's deployment item; `None` means that there is none. It may raise
            StoreUnavailable.
        clock: Ages the jobs that are kept.
    """

    def __init__(self, deployment: Callable[[], Deployment | None], clock: Clock) -> None:
        self._deployment = deployment
        self._clock = clock
        self._jobs: Mapping[str, str] = {}
        self._read_at: EpochMs | None = None

    def __call__(self, name: str) -> Mapping[str, str]:
        """Return the ARN of each job by name, read again after ten seconds if this name is missing.

        Raises StoreUnavailable.
        """
        now = self._clock.now()
        kept_ms = limits.JOBS_KEPT_MS if name in self._jobs else limits.JOBS_MISSED_KEPT_MS
        # A clock that was set back must not keep an answer for ever.
        if self._read_at is None or not self._read_at <= now < self._read_at + kept_ms:
            found = self._deployment()
            self._jobs = {} if found is None else dict(found.jobs)
            self._read_at = EpochMs(now)
        return self._jobs


def deployed_jobs(named: Iterable[tuple[str, str]], *, beside: str) -> tuple[DeployedJob, ...]:
    """Return jobs with the ARNs of their functions, in order of their names.

    A function's name means the account and region of the ARN `beside`.
    """
    home = beside.split(":function:", maxsplit=1)[0]
    return tuple(
        DeployedJob(
            job, function if FUNCTION_ARN.fullmatch(function) else f"{home}:function:{function}"
        )
        for job, function in sorted(named)
    )

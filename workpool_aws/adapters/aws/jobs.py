"""Keeps the jobs of a table's deployment for some minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.model.loop import Deployment
    from workpool_aws.ports import Clock

__all__ = ["JOBS_KEPT_MS", "JOBS_MISSED_KEPT_MS", "DeployedJobs"]

JOBS_KEPT_MS: Final = 300_000
JOBS_MISSED_KEPT_MS: Final = 10_000
"""For a name that is no known job. A deployment may just have added it."""


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
        kept_ms = JOBS_KEPT_MS if name in self._jobs else JOBS_MISSED_KEPT_MS
        # A clock that was set back must not keep an answer for ever.
        if self._read_at is None or not self._read_at <= now < self._read_at + kept_ms:
            found = self._deployment()
            self._jobs = {} if found is None else dict(found.jobs)
            self._read_at = EpochMs(now)
        return self._jobs

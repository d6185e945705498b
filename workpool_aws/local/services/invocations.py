"""Log of invocations: one entry for each delivery, and the most that ran at one time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from workpool_aws.model.names import RESERVED_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    from workpool_aws.local.services.functions import Event
    from workpool_aws.model.ids import EpochMs

__all__ = ["Ended", "Invocation", "InvocationLog", "LoggedInvocation"]

Ended = Literal[
    "running", "success", "failed", "timeout", "crashed", "snoozed", "duplicate", "late", "killed"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One delivery of an event to a function.

    `attempt` counts from 1 for events of a pool, and is `None` for others. `ended_at` is `None`
    while it runs. `outcome` is that of the user's code. It is "failed" also where a decorated
    handler caught and reported the error, and "snoozed" where the code asked to be run again later.
    Without user code, "duplicate" was refused, "late" was put back because it came too late to be
    run, and "killed" means that the cloud ended first.
    """

    event: Event
    attempt: int | None
    started_at: datetime
    ended_at: datetime | None
    outcome: Ended
    error: str | None = None
    """Error that Lambda names; `None` where the process ended well (a decorated handler reports
    what its user code raised)."""


@dataclass(slots=True, kw_only=True)
class LoggedInvocation:
    """An invocation as it happens.

    Moments count starts and ends, so that what touches at one instant does not overlap.
    """

    function: str
    event: Event
    attempt: int | None
    started_at: EpochMs
    started_moment: int
    ended_at: EpochMs | None = None
    free_moment: int | None = None
    """End of the user's code, before its report, after which the next work item may start."""
    outcome: Ended = "running"
    error: str | None = None
    died_at_claim: bool = False
    """It crashed in the very call by which a decorated handler claims its start, so that no user
    code ran."""

    def concerns(self, function: str, jobs: Collection[str]) -> bool:
        """True for a delivery to a function that names one of these jobs, or none."""
        own = self.event.get(RESERVED_KEY) if isinstance(self.event, dict) else None
        job = own.get("job") if isinstance(own, dict) else None
        return self.function == function and (not jobs or job is None or job in jobs)

    @property
    def ran_user_code(self) -> bool:
        """True if the user's code began to run."""
        return self.outcome not in {"duplicate", "late"} and not self.died_at_claim

    def shown(self) -> Invocation:
        """Return it as users see it."""
        return Invocation(
            event=self.event,
            attempt=self.attempt,
            started_at=_aware(self.started_at),
            ended_at=None if self.ended_at is None else _aware(self.ended_at),
            outcome="running" if self.ended_at is None else self.outcome,
            error=self.error,
        )


class InvocationLog:
    """The entries of one cloud. Its kernel's lock guards it."""

    def __init__(self) -> None:
        self._entries: list[LoggedInvocation] = []
        self._moments = 0

    def begin(
        self, function: str, event: Event, attempt: int | None, at: EpochMs
    ) -> LoggedInvocation:
        """Note that a delivery begins to run."""
        self._moments += 1
        entry = LoggedInvocation(
            function=function,
            event=event,
            attempt=attempt,
            started_at=at,
            started_moment=self._moments,
        )
        self._entries.append(entry)
        return entry

    def free(self, entry: LoggedInvocation) -> None:
        """Note that its user code is over. The first note counts."""
        if entry.free_moment is None:
            self._moments += 1
            entry.free_moment = self._moments

    def end(
        self, entry: LoggedInvocation, at: EpochMs, outcome: Ended, error: str | None = None
    ) -> None:
        """Note its end.

        An event about its user code counts more than that the process ended well. That there was no
        user code counts more than both.
        """
        self.free(entry)
        entry.ended_at = at
        entry.error = error
        if entry.outcome == "running" or (entry.outcome == "failed" and outcome != "success"):
            entry.outcome = outcome

    def of(self, function: str, jobs: Collection[str] = ()) -> list[Invocation]:
        """Return the deliveries to a function, in order of their start. No jobs mean any."""
        return [entry.shown() for entry in self._entries if entry.concerns(function, jobs)]

    def most_at_once(self, function: str, jobs: Collection[str] = ()) -> int:
        """Return the most that ran at one time; where no user code ran, it is not counted."""
        counted = [
            entry
            for entry in self._entries
            if entry.concerns(function, jobs) and entry.ran_user_code
        ]
        steps = [(entry.started_moment, 1) for entry in counted]
        steps += [(entry.free_moment, -1) for entry in counted if entry.free_moment is not None]
        running = most = 0
        for _, step in sorted(steps):
            running += step
            most = max(most, running)
        return most


def _aware(at: EpochMs) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)

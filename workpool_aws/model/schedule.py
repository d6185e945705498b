"""Schedules: recurring work, and the ticks that place a schedule among the work items."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.spec import Outcome, Spec

__all__ = [
    "DEPLOYMENT_OWNER",
    "CatchUp",
    "Overlap",
    "PastRun",
    "ScheduleItem",
    "Tick",
    "Timing",
]

DEPLOYMENT_OWNER: Final = "deployment"
"""Owner of the schedules that a deployment declares. A table has one deployment at a time."""


class CatchUp(StrEnum):
    """Treatment of occurrences that are found more than three minutes late."""

    LATEST = "latest"
    """The latest is enqueued, if none is in time. The others are counted as missed."""
    ALL = "all"
    NONE = "none"
    """All are counted as missed."""
    SPREAD = "spread"
    """All are enqueued, with due times spread over a span."""


class Overlap(StrEnum):
    """Treatment of an occurrence that falls due while the one before is not finished."""

    ALLOW = "allow"
    SKIP = "skip"
    """It is counted as skipped."""
    QUEUE_ONE = "queue_one"
    """One waits until the running one has finished. Further ones are counted as skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of a schedule's occurrences: those of a cron expression, or of a fixed interval."""

    cron: str | None = None
    """Five fields; `None` means an interval."""
    every_ms: int | None = None
    """The interval; `None` means a cron expression."""
    timezone: str = "UTC"
    """IANA name of the zone in which the expression is meant."""
    anchor: EpochMs = EpochMs(0)
    """Time from which intervals are counted, and before which nothing is due."""
    ends_at: EpochMs | None = None
    """Time after which nothing is due; `None` means that it never ends."""


class PastRun(NamedTuple):
    """An occurrence that another one followed, as it was then."""

    due: EpochMs
    lag_ms: int | None
    """From due to its first start. `None` means that it had none yet, or more than one."""
    outcome: Outcome | None
    """`None` means that it was not finished, or is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleItem(Record):
    """A schedule: the request that each occurrence makes, and its progress.

    Written by: `schedule`, `pause_schedule`, `resume_schedule`, `sync_schedules` (callers,
    watchdog), the loop (progress). Read by: those, `schedules`, the hourly audit. Removed by:
    `unschedule`, `sync_schedules`. An item of its own, because nothing is enqueued ahead.
    """

    pool: str
    name: str
    spec: Spec
    timing: Timing
    jitter_ms: int = 0
    """Longest delay of an occurrence, each of which has its own."""
    catch_up: CatchUp = CatchUp.LATEST
    spread_ms: int = 0
    """Span over which missed occurrences are spread."""
    overlap: Overlap = Overlap.ALLOW
    born: str
    """Random text of this schedule. One of the same name that is made later has another, and so
    have its occurrences."""
    version: int = 1
    """Raised by each write of a person or program, not by occurrences."""
    paused: bool = False
    owner: str | None = None
    """The deployment, or program, whose `sync_schedules` declares it. `None` means that it was made
    by `schedule`."""
    next_at: EpochMs | None = None
    """The next occurrence that is neither enqueued nor counted. `None` means that none follows."""
    waiting: EpochMs | None = None
    """The occurrence that waits for the end of the one before; `None` means none."""
    last_due: EpochMs | None = None
    """The latest occurrence that was enqueued; `None` means that there was none."""
    last_work: WorkId | None = None
    """Its work item."""
    past: tuple[PastRun, ...] = ()
    """The last ten before it, the latest last."""
    missed: int = 0
    """Occurrences that were not enqueued because they were found too late, or fell due before a
    pause or a change and were not enqueued by then."""
    skipped: int = 0
    """Occurrences that were not enqueued because of one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick(Record):
    """A place in time at which the loop looks at a schedule.

    Written by: callers and the loop, in one transaction with the schedule's next occurrence; the
    hourly audit. Read by: the loop, in the same range query as work items. Removed by: the loop
    that has looked. It has no TTL. It grants nothing: the schedule's own item says what is due.
    """

    pool: str
    at: str
    """Its own key: a ULID of the next occurrence, or of the time of writing, if that is later."""
    name: str
    """Name of the schedule."""

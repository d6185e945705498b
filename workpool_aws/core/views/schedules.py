"""View of a schedule, for people: `Schedule`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws.core.schedule.change import resumed
from workpool_aws.core.schedule.fire import decide_fire, run_of
from workpool_aws.core.schedule.timing import first_after, words_of
from workpool_aws.core.views.instants import instant

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.schedule import ScheduleItem
    from workpool_aws.model.spec import OutcomeName
    from workpool_aws.model.work import WorkItem

__all__ = ["CatchUpPreview", "Schedule", "schedule_view"]

_UPCOMING: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpPreview:
    """The next step of a catch-up, by the decision that the loop makes.

    Of more than a hundred occurrences the loop makes several steps.
    """

    enqueues: int
    """Occurrences that it would enqueue."""
    missed: int
    """Occurrences that it would count as missed."""
    skipped: int
    """Occurrences that it would skip, since one before has not finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as one strong read saw it. Times are aware, in UTC."""

    name: str
    words: str
    """Its times in English."""
    cron: str | None
    """The expression in five fields; `None` means a fixed interval."""
    every: timedelta | None
    """The interval; `None` means a cron expression."""
    timezone: str
    target: str
    paused: bool
    next_due: datetime | None
    """The next occurrence. `None` means that none follows, or that it is paused."""
    last_due: datetime | None
    """The latest occurrence that was enqueued; `None` means that there was none."""
    last_work_id: WorkId | None
    """Its work item."""
    last_outcome: OutcomeName | None
    """Its outcome. `None` means that it has not finished, or is past its retention."""
    lateness_p50: timedelta | None
    """From due to start, of the last ten occurrences that started once: the middle one. `None`
    means that there is none."""
    lateness_max: timedelta | None
    """The longest of them."""
    missed: int
    """Occurrences that were found too late and not enqueued, or dropped by a pause or change."""
    skipped: int
    """Occurrences that were not enqueued because one before had not finished."""
    waiting: datetime | None
    """The occurrence that waits for the end of the one before; `None` means none."""
    upcoming: tuple[datetime, ...]
    """The next three occurrences; of a paused schedule, those that would follow if it were resumed
    now."""
    catch_up: CatchUpPreview | None
    """The catch-up that the loop would make of the occurrences that are due and not enqueued. `None`
    means that none are due."""
    owner: str | None
    """The owner whose `sync_schedules` declares it; `None` means that `schedule` made it."""


def schedule_view(item: ScheduleItem, last: WorkItem | None, *, now: EpochMs) -> Schedule:
    """Returns the view of a schedule. `last`: the latest occurrence's work item, if it is there."""
    runs = list(item.past)
    if item.last_due is not None:
        runs.append(run_of(item.last_due, last))
    lags = sorted(run.lag_ms for run in runs[-10:] if run.lag_ms is not None)
    fire = decide_fire(item, last, now=now, epoch=0)
    return Schedule(
        name=item.name,
        words=words_of(item.timing),
        cron=item.timing.cron,
        every=None if item.timing.every_ms is None else _span(item.timing.every_ms),
        timezone=item.timing.timezone,
        target=item.spec.target,
        paused=item.paused,
        next_due=None if item.paused else _moment(item.next_at),
        last_due=_moment(item.last_due),
        last_work_id=item.last_work,
        last_outcome=None if last is None or last.outcome is None else last.outcome.value,
        lateness_p50=_span(lags[(len(lags) - 1) // 2]) if lags else None,
        lateness_max=_span(lags[-1]) if lags else None,
        missed=item.missed,
        skipped=item.skipped,
        waiting=_moment(item.waiting),
        upcoming=_upcoming(item, now),
        catch_up=None
        if fire is None
        else CatchUpPreview(enqueues=len(fire.works), missed=fire.missed, skipped=fire.skipped),
        owner=item.owner,
    )


def _upcoming(item: ScheduleItem, now: EpochMs) -> tuple[datetime, ...]:
    """Returns the next occurrences that are not due yet."""
    following = resumed(item, now).next_at
    times: list[datetime] = []
    if following is not None and following <= now:
        following = first_after(item.timing, now)
    while following is not None and len(times) < _UPCOMING:
        times.append(instant(following))
        following = first_after(item.timing, following)
    return tuple(times)


def _moment(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)


def _span(ms: int) -> timedelta:
    return timedelta(milliseconds=ms)

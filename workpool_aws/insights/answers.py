"""Values that `Insights` takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from workpool_aws.core.views.last_seen import LastSeen, PoolLastSeen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from workpool_aws.core.views.details import LoopName, WorkDetails
    from workpool_aws.core.views.error_marks import ErrorState
    from workpool_aws.core.views.listing import ListedWork, ListOrder
    from workpool_aws.core.views.stats import Stats
    from workpool_aws.core.views.status import PoolConfig
    from workpool_aws.core.views.why.answer import Why
    from workpool_aws.model.ids import WorkId

__all__ = [
    "Costed",
    "ErrorGroup",
    "ErrorGroups",
    "LastSeen",
    "Matching",
    "PoolInsight",
    "PoolLastSeen",
    "ReadCost",
    "StateFilter",
    "WorkFilter",
    "WorkInsight",
    "WorkRow",
    "WorkRows",
]

T_co = TypeVar("T_co", covariant=True)

StateFilter = Literal["pending", "running", "finished", "success", "failed", "canceled", "dead"]


@dataclass(frozen=True, slots=True)
class ReadCost:
    """Cost of a question in DynamoDB, by the sizes of the items that it read."""

    read_units: int
    requests: int


@dataclass(frozen=True, slots=True)
class Costed(Generic[T_co]):
    """An answer, and its cost."""

    value: T_co
    cost: ReadCost


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolInsight:
    """One pool: its limit, its loop and its figures over the window of the question."""

    name: str
    config: PoolConfig
    loop: LoopName
    """As in `PoolSummary`."""
    stats: Stats

    @property
    def fill(self) -> float:
        """The share of the slots that is in use, from 0; above 1 after the limit was lowered."""
        slots = self.config.max_parallelism
        return self.stats.running / slots if slots else float(self.stats.running > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFilter:
    """The work items of one pool to list. Every condition has to hold."""

    state: StateFilter | None = None
    """As `Workpool.list` takes it, or the outcome of finished ones. `None` means all."""
    fn: str | None = None
    """The job, or the function, as `Workpool.list` takes it; `None` means any."""
    error: str | None = None
    """Text of the latest error or of its type, in any case; `None` means any."""
    args: str | None = None
    """Text in the arguments, as `Workpool.list` takes it; `None` means any."""
    since: datetime | None = None
    """The earliest time, as `Workpool.list` takes it in `between`; `None` means no bound."""
    before: datetime | None = None
    """The time at which the list ends, likewise."""
    group: str | None = None
    """The group of which they are members, as `Workpool.list` takes it; `None` means any."""
    order: ListOrder = "newest"
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """One work item of a list."""

    work: ListedWork
    why: Why | None
    """The reasons for which it has not finished. `None` means that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRows:
    """One page of work items."""

    rows: tuple[WorkRow, ...]
    next: str | None
    """As in `Page`. A page with a `next` may have few rows or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The work items that meet a filter at one moment, for an act on all of them."""

    work_ids: tuple[WorkId, ...]
    """In the order of the filter."""
    states: Mapping[str, int]
    """Their number by outcome, or by state where there is none."""
    at_least: bool
    """True if there may be more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkInsight:
    """One work item with everything that is stored, and the reasons for its state."""

    details: WorkDetails
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Dead letters with one function, one type of error and one text, apart from its values."""

    fingerprint: str
    label: str
    """The job, or else the function."""
    error_type: str
    """The type of the error, or `callback` for a callback that was given up."""
    error: str
    """The text of the latest error of the group."""
    work_ids: tuple[WorkId, ...]
    """The newest first."""
    first_at: datetime | None
    """The end of the earliest work item of the group. `None` means that none has one."""
    last_at: datetime | None
    """As `first_at`, of the latest."""
    state: ErrorState = "open"
    """`resolved` or `ignored` by a person; `open`, too, once one failed after it was resolved."""
    marked_at: datetime | None = None
    """The time at which it was resolved or ignored. `None` means that it has no such mark."""
    marked_by: str | None = None
    """The caller that did."""
    since: int = 0
    """The number of dead letters that ended after the mark."""

    @property
    def count(self) -> int:
        """The number of dead letters of the group."""
        return len(self.work_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroups:
    """The dead letters of a pool by their errors: open ones first, then the largest group."""

    groups: tuple[ErrorGroup, ...]
    at_least: bool
    """True if there are more dead letters than were read, the newest first."""

    def of(self, state: ErrorState) -> tuple[ErrorGroup, ...]:
        """Return the groups in one state."""
        return tuple(group for group in self.groups if group.state == state)

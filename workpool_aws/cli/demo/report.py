"""Plan, progress and report of the demo.

Progress is counted from events, the report from stored results.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from workpool_aws.model.events import Completed, Enqueued, Event, PutBack, Retrying, Started

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.status import Result, Status

__all__ = [
    "LARGEST_SHOWN",
    "DemoReport",
    "DemoTally",
    "Plan",
    "Progress",
    "ServiceFailure",
    "ServiceModel",
    "Stored",
    "Usage",
    "report_of",
]

LARGEST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of a run."""

    items: int
    later: int
    """Work items that are due only seconds after they are enqueued."""
    limit: int
    fail_rate: float
    engine: str
    clock: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a run, counted from the pool's events, which costs no request."""

    items: int
    enqueued: int
    running: int
    done: int
    failed: int
    """Of those that are done."""
    retries: int
    seconds: float
    """Time since the beginning, until all is done."""

    @property
    def pending(self) -> int:
        """Enqueued, and neither running nor done: due, due later, or waiting for a retry."""
        return max(0, self.enqueued - self.running - self.done)

    @property
    def rate(self) -> float:
        """Work items done a second, since the beginning."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


class DemoTally:
    """Counts events as they come. Not safe by itself: one thread uses it."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._seen = 0
        self._enqueued = 0
        self._failed = 0
        self._retries = 0
        self._done: set[str] = set()
        self._all_done_s: float | None = None
        self._started: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def count(self, events: Sequence[Event], *, seconds: float) -> Progress:
        """Return the progress after `events`, all of a run's so far; each is counted once."""
        for event in islice(events, self._seen, None):
            self._add(event)
        self._seen = max(self._seen, len(events))
        if len(self._done) == self._items and self._all_done_s is None:
            self._all_done_s = seconds
        running = sum(attempt > self._ended.get(each, 0) for each, attempt in self._started.items())
        return Progress(
            items=self._items,
            enqueued=self._enqueued,
            running=running,
            done=len(self._done),
            failed=self._failed,
            retries=self._retries,
            seconds=seconds if self._all_done_s is None else self._all_done_s,
        )

    def _add(self, event: Event) -> None:
        # The event of an end may precede that of the start, which the loop emits after it has
        # invoked a quick worker.
        match event:
            case Enqueued():
                self._enqueued += 1
            case Started():
                self._started[event.work_id] = event.attempt
            case PutBack():
                self._started.pop(event.work_id, None)
            case Retrying():
                self._ended[event.work_id] = event.attempts_made
                self._retries += 1
            case Completed() if event.work_id not in self._done:
                self._done.add(event.work_id)
                self._started.pop(event.work_id, None)
                self._ended[event.work_id] = event.attempts_made
                self._failed += event.outcome == "failed"
            case _:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceModel:
    """The result of one worker."""

    service: str
    operations: int
    shapes: int
    longest_operation: str

    @classmethod
    def from_result(cls, value: JsonValue) -> ServiceModel | None:
        """Return the stored return value of `open_model`. `None` means that it is another value."""
        match value:
            case {
                "service": str(service),
                "operations": int(operations),
                "shapes": int(shapes),
                "longest_operation": str(longest),
            }:
                return cls(
                    service=service, operations=operations, shapes=shapes, longest_operation=longest
                )
            case _:
                return None

    @classmethod
    def largest(cls, works: Iterable[Stored]) -> tuple[ServiceModel, ...]:
        """Return the models with the most operations, largest first."""
        results = [work.result.return_value for work in works if work.result is not None]
        # By name, since a run of more work items than there are services opens some of them again.
        found = {
            model.service: model
            for result in results
            if (model := cls.from_result(result)) is not None
        }
        ranked = sorted(found.values(), key=lambda model: (-model.operations, model.service))
        return tuple(ranked[:LARGEST_SHOWN])


@dataclass(frozen=True, slots=True)
class Stored:
    """Status and result of one work item, as the pool stored them."""

    service: str
    status: Status
    result: Result | None
    """`None` means that it has not finished."""


@dataclass(frozen=True, slots=True)
class ServiceFailure:
    """One work item that failed for good."""

    service: str
    error_type: str
    error: str

    @classmethod
    def sorted_by_service(cls, works: Iterable[Stored]) -> tuple[ServiceFailure, ...]:
        """Return the failures among these work items."""
        failures = [
            cls(work.service, work.result.error_type or "", work.result.error or "")
            for work in works
            if work.result is not None and work.result.kind == "failed"
        ]
        return tuple(sorted(failures, key=lambda failure: failure.service))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The resources of a run, counted by its cloud."""

    max_concurrency: int
    seconds: float
    """Time until the pool was at rest."""
    write_units: int | None
    """`None` means that the engine does not meter it."""
    read_units: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The report of a run."""

    items: int
    finished: int
    succeeded: int
    retries: int
    attempts: int
    seconds: float
    """Time from the first enqueue until the last work item finished."""
    limit: int
    usage: Usage
    engine: str
    seed: int
    largest: tuple[ServiceModel, ...]
    """The services with the most operations, at most ten, largest first."""
    failures: tuple[ServiceFailure, ...]
    problem: str | None = None
    """The reason for which the run stopped early. `None` means that it did not."""

    @property
    def failed(self) -> int:
        """Work items that failed for good, which finishes them as well."""
        return len(self.failures)

    @property
    def write_units_per_action(self) -> float | None:
        """Write units a work item, with its retries, the loop and the kicks.

        `None` means that the engine does not meter them.
        """
        return _share_of(self.usage.write_units, self.items)

    @property
    def read_units_per_action(self) -> float | None:
        """Read units a work item, likewise."""
        return _share_of(self.usage.read_units, self.items)

    @property
    def within_limit(self) -> bool:
        """True if the number of workers at a time never exceeded the limit."""
        return self.usage.max_concurrency <= self.limit

    @property
    def ok(self) -> bool:
        """True if every work item finished, and the limit was never exceeded."""
        return self.finished == self.items and self.within_limit and self.problem is None

    def to_json(self) -> dict[str, object]:
        """Return the object that `--json` prints."""
        return {
            "items": self.items,
            "finished": self.finished,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "retries": self.retries,
            "attempts": self.attempts,
            "max_concurrency": self.usage.max_concurrency,
            "limit": self.limit,
            "seconds": round(self.seconds, 2),
            "write_units_per_action": self.write_units_per_action,
            "read_units_per_action": self.read_units_per_action,
            "engine": self.engine,
            "seed": self.seed,
            "largest": [
                {
                    "service": one.service,
                    "operations": one.operations,
                    "shapes": one.shapes,
                    "longest_operation": one.longest_operation,
                }
                for one in self.largest
            ],
            "failures": [
                {"service": one.service, "error_type": one.error_type, "error": one.error}
                for one in self.failures
            ],
            "problem": self.problem,
            "ok": self.ok,
        }


def _share_of(units: int | None, items: int) -> float | None:
    return None if units is None else round(units / items, 2)


def report_of(
    works: Sequence[Stored],
    *,
    begun: datetime,
    limit: int,
    usage: Usage,
    engine: str,
    seed: int,
    problem: str | None = None,
) -> DemoReport:
    """Return the report on at least one work item.

    `begun` is the time of the first enqueue, by the clock of their statuses.
    """
    finished = [work for work in works if work.status.state == "finished"]
    retries = sum(work.status.previous_attempts for work in works)
    ended = [work.status.finished_at for work in finished if work.status.finished_at is not None]
    return DemoReport(
        items=len(works),
        finished=len(finished),
        succeeded=sum(1 for work in finished if work.status.outcome == "success"),
        retries=retries,
        attempts=retries + len(finished),
        seconds=max(((at - begun).total_seconds() for at in ended), default=0.0),
        limit=limit,
        usage=usage,
        engine=engine,
        seed=seed,
        largest=ServiceModel.largest(works),
        failures=ServiceFailure.sorted_by_service(works),
        problem=problem,
    )

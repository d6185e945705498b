"""Owns what the demo tells: what is planned, the progress counted from facts, and the report made from what the pool stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from workpool_aws.core.payload import JsonValue
from workpool_aws.core.status import Result, Status
from workpool_aws.model.facts import Completed, Enqueued, Fact, PutBack, Retrying, Started

__all__ = ["LARGEST_SHOWN", "DemoReport", "Failure", "Plan", "Progress", "ServiceModel", "Tally", "Usage", "report_of"]

LARGEST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is about to do."""

    items: int
    later: int
    """Works that are due only some seconds after they are enqueued."""
    limit: int
    fail_rate: float
    engine: str
    clock: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, as the pool's own facts tell it: no request is paid for it."""

    items: int
    enqueued: int
    running: int
    done: int
    failed: int
    """Of those that are done."""
    retries: int
    seconds: float

    @property
    def pending(self) -> int:
        """Enqueued, and neither running nor done: due, due later, or waiting for a retry."""
        return max(0, self.enqueued - self.running - self.done)

    @property
    def rate(self) -> float:
        """Works done a second, since the beginning."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


class Tally:
    """Counts facts as they come. Not safe by itself: one thread uses it."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._seen = 0
        self._enqueued = 0
        self._failed = 0
        self._retries = 0
        self._done: set[str] = set()
        self._started: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def count(self, facts: Sequence[Fact], *, seconds: float) -> Progress:
        """The progress after `facts`, all of a run's so far; each is counted once."""
        for fact in islice(facts, self._seen, None):
            self._add(fact)
        self._seen = max(self._seen, len(facts))
        running = sum(1 for work_id, attempt in self._started.items() if attempt > self._ended.get(work_id, 0))
        return Progress(
            items=self._items,
            enqueued=self._enqueued,
            running=running,
            done=len(self._done),
            failed=self._failed,
            retries=self._retries,
            seconds=seconds,
        )

    def _add(self, fact: Fact) -> None:
        # An attempt may be told as ended before it is told as started: the loop speaks after it has invoked, the worker is quick.
        match fact:
            case Enqueued():
                self._enqueued += 1
            case Started():
                self._started[fact.work_id] = fact.attempt
            case PutBack():
                self._started.pop(fact.work_id, None)
            case Retrying():
                self._ended[fact.work_id] = fact.attempts_made
                self._retries += 1
            case Completed() if fact.work_id not in self._done:
                self._done.add(fact.work_id)
                self._started.pop(fact.work_id, None)
                self._ended[fact.work_id] = fact.attempts_made
                self._failed += fact.outcome == "failed"
            case _:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceModel:
    """What a worker found in one model."""

    service: str
    operations: int
    shapes: int
    longest_operation: str

    @classmethod
    def from_result(cls, value: JsonValue) -> ServiceModel | None:
        """What `open_model` returned, as the pool stored it; None: it is something else."""
        match value:
            case {"service": str(service), "operations": int(operations), "shapes": int(shapes), "longest_operation": str(longest)}:
                return cls(service=service, operations=operations, shapes=shapes, longest_operation=longest)
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Failure:
    """One work that failed for good."""

    service: str
    error_type: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run used, counted by the cloud it ran in."""

    max_concurrency: int
    seconds: float
    write_units: int
    read_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """How a run went."""

    items: int
    finished: int
    succeeded: int
    retries: int
    attempts: int
    limit: int
    usage: Usage
    engine: str
    seed: int
    largest: tuple[ServiceModel, ...]
    """The services with the most operations, at most ten, the largest first."""
    failures: tuple[Failure, ...]
    problem: str | None = None
    """Why the run stopped early; None: it did not."""

    @property
    def failed(self) -> int:
        """Works that failed for good, which is an end as well."""
        return len(self.failures)

    @property
    def write_units_per_action(self) -> float:
        """Write units for each work, whatever it needed: retries, the loop and the kicks included."""
        return self.usage.write_units / self.items

    @property
    def read_units_per_action(self) -> float:
        """Read units for each work, likewise."""
        return self.usage.read_units / self.items

    @property
    def within_limit(self) -> bool:
        """Whether there were never more workers at a time than allowed."""
        return self.usage.max_concurrency <= self.limit

    @property
    def ok(self) -> bool:
        """Whether every work reached its end and the limit was kept."""
        return self.finished == self.items and self.within_limit and self.problem is None

    def to_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "items": self.items,
            "finished": self.finished,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "retries": self.retries,
            "attempts": self.attempts,
            "max_concurrency": self.usage.max_concurrency,
            "limit": self.limit,
            "seconds": round(self.usage.seconds, 2),
            "write_units_per_action": round(self.write_units_per_action, 2),
            "read_units_per_action": round(self.read_units_per_action, 2),
            "engine": self.engine,
            "seed": self.seed,
            "largest": [
                {"service": one.service, "operations": one.operations, "shapes": one.shapes, "longest_operation": one.longest_operation}
                for one in self.largest
            ],
            "failures": [{"service": one.service, "error_type": one.error_type, "error": one.error} for one in self.failures],
            "problem": self.problem,
            "ok": self.ok,
        }


def report_of(
    *,
    services: Sequence[str],
    statuses: Sequence[Status],
    results: Sequence[Result | None],
    limit: int,
    usage: Usage,
    engine: str,
    seed: int,
    problem: str | None = None,
) -> DemoReport:
    """The report on works whose services, statuses and results stand at the same places; at least one work."""
    finished = [status for status in statuses if status.state == "finished"]
    retries = sum(status.previous_attempts for status in statuses)
    failures = [
        Failure(service, result.error_type or "", result.error or "")
        for service, result in zip(services, results, strict=True)
        if result is not None and result.kind == "failed"
    ]
    return DemoReport(
        items=len(statuses),
        finished=len(finished),
        succeeded=sum(1 for status in finished if status.outcome == "success"),
        retries=retries,
        attempts=retries + len(finished),
        limit=limit,
        usage=usage,
        engine=engine,
        seed=seed,
        largest=_largest(result for result in results if result is not None),
        failures=tuple(sorted(failures, key=lambda failure: failure.service)),
        problem=problem,
    )


def _largest(results: Iterable[Result]) -> tuple[ServiceModel, ...]:
    # By name: a run of more works than there are services opens some of them again.
    found = {model.service: model for result in results if (model := ServiceModel.from_result(result.return_value)) is not None}
    ranked = sorted(found.values(), key=lambda model: (-model.operations, model.service))
    return tuple(ranked[:LARGEST_SHOWN])

"""Metrics from events, as lines that CloudWatch turns into metrics (embedded metric format).

Counted in memory and written once a minute a pool, when a loop ends, and with each survey of the
watchdog. So no metric costs a request. The counts of a killed loop since its last line are lost,
and nothing rests on them.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.model import events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.model.events import Event
    from workpool_aws.ports import Clock, Telemetry

__all__ = [
    "MINUTE_MS",
    "NAMESPACE",
    "TABLE_METRICS",
    "Metric",
    "MetricsScope",
    "MetricsTelemetry",
    "units_of",
]

NAMESPACE: Final = "Workpool"
TABLE_DIMENSION: Final = "Table"
POOL_DIMENSION: Final = "Pool"
MINUTE_MS: Final = 60_000
_LAG_MAX: Final = "StartLagMax"
"""In the line only, for queries of the log, which cannot look into the list of lags."""
_LAGS_MAX: Final = 100
"""Values of one metric that one line may have."""

_LAST: Final = (
    events.LoopRested,
    events.HandedOver,
    events.LoopFenced,
    events.LoopEnded,
    events.WatchdogActed,
    events.Surveyed,
)
"""Events after which an invocation may count nothing for a long time, so that its counts must be
written now."""

MetricsScope = Literal["table", "pools"]
"""`table` has the metrics of the alarms, all pools of a table in one. `pools` has all metrics, for
each pool too."""

Metric = Literal[
    "Backlog",
    "Canceled",
    "DeadLetters",
    "Failed",
    "FailureRate",
    "Generations",
    "InFlight",
    "Limit",
    "NoProgress",
    "OldestDue",
    "Retried",
    "RetryRate",
    "StartLag",
    "Started",
    "Succeeded",
    "SuccessRate",
    "WatchdogActed",
]
TABLE_METRICS: Final[frozenset[Metric]] = frozenset(
    {"DeadLetters", "FailureRate", "Generations", "NoProgress", "OldestDue", "WatchdogActed"},
)
_JOB: Final = "Job"
_ENDS: Final[Mapping[str, Metric]] = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "retried": "Retried",
    "canceled": "Canceled",
}
_UNITS: Final[Mapping[Metric, str]] = {
    "FailureRate": "Percent",
    "OldestDue": "Seconds",
    "RetryRate": "Percent",
    "StartLag": "Milliseconds",
    "SuccessRate": "Percent",
}


def units_of(metric: Metric) -> str:
    """Return the unit of a metric, as CloudWatch names it."""
    return _UNITS.get(metric, "Count")


class _Leveled(Protocol):
    """A log that can be had at another level."""

    def at_level(self, level: int) -> Telemetry: ...

    def emit(self, event: Event) -> None: ...


@dataclass(slots=True)
class _JobMinute:
    """Counts of one job since the last line."""

    counts: Counter[Metric] = field(default_factory=Counter)
    lag_ms_max: int | None = None

    def start(self, lag_ms: int) -> None:
        """Count a start."""
        self.counts["Started"] += 1
        self.lag_ms_max = max(lag_ms, self.lag_ms_max or 0)

    def add(self, ended: Mapping[str, int]) -> None:
        """Count attempts that ended, by the fields of `PassReport`."""
        for name, metric in _ENDS.items():
            self.counts[metric] += ended.get(name, 0)

    def values(self) -> dict[str, int]:
        """Return the counts that are not zero, and the longest lag."""
        found = {str(name): count for name, count in self.counts.items() if count}
        return found if self.lag_ms_max is None else {**found, _LAG_MAX: self.lag_ms_max}


@dataclass(slots=True)
class _Minute:
    """Counts of one pool since the last line."""

    since: int
    counts: Counter[Metric] = field(default_factory=Counter)
    lags_ms: list[int] = field(default_factory=list)
    gauges: dict[Metric, float] = field(default_factory=dict)
    jobs: dict[str, _JobMinute] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Count an event."""
        counts = self.counts
        self._note_jobs(event)
        match event:
            case events.LoopTook():
                counts["Generations"] += 1
            case events.PassReport():
                counts["Succeeded"] += event.succeeded
                counts["Failed"] += event.failed
                counts["Retried"] += event.retried
                counts["Canceled"] += event.canceled
                counts["DeadLetters"] += event.failed
            case events.Started():
                counts["Started"] += 1
                self.lags_ms.append(event.lag_ms)
            case events.CallbackDead() | events.Expired():
                counts["DeadLetters"] += 1
            case events.NoProgress():
                counts["NoProgress"] += 1
            case events.WatchdogActed():
                counts["WatchdogActed"] += 1
            case events.Surveyed():
                self.gauges |= {
                    "Backlog": event.pending,
                    "InFlight": event.running,
                    "Limit": event.limit,
                }
                # A paused pool is late on purpose.
                if event.limit > 0 and event.oldest_pending_s is not None:
                    self.gauges["OldestDue"] = event.oldest_pending_s
            case _:
                pass

    def _note_jobs(self, event: Event) -> None:
        match event:
            case events.Started(job=str() as job):
                self.jobs.setdefault(job, _JobMinute()).start(event.lag_ms)
            case events.PassReport():
                for job, ended in event.by_job.items():
                    self.jobs.setdefault(job, _JobMinute()).add(ended)
            case _:
                pass

    def values(self) -> dict[Metric, float | Sequence[int]]:
        """Return the metrics of a minute.

        Rates are metrics of their own, so that an alarm needs no arithmetic.
        """
        values: dict[Metric, float | Sequence[int]] = {
            name: count for name, count in self.counts.items() if count
        }
        values |= self.gauges
        if self.lags_ms:
            values["StartLag"] = self.lags_ms
        ended = self.counts["Succeeded"] + self.counts["Failed"] + self.counts["Canceled"]
        if ended:
            values["SuccessRate"] = 100 * self.counts["Succeeded"] / ended
            values["FailureRate"] = 100 * self.counts["Failed"] / ended
        if ended + self.counts["Retried"]:
            values["RetryRate"] = 100 * self.counts["Retried"] / (ended + self.counts["Retried"])
        return values

    def line(self, *, table: str, pool: str, scope: MetricsScope, now: int) -> str | None:
        """Return the metrics as a line of the log. `None` means that there are none."""
        values = self.values()
        if not values:
            return None
        # Every set of dimensions is a metric of its own, and paid for: a table's set has what the
        # alarms look at.
        directives = [_directive([TABLE_DIMENSION], sorted(TABLE_METRICS & values.keys()))]
        if scope == "pools":
            directives.append(_directive([TABLE_DIMENSION, POOL_DIMENSION], sorted(values)))
        body: dict[str, object] = {
            "_aws": {
                "Timestamp": now,
                "CloudWatchMetrics": [
                    directive for directive in directives if directive["Metrics"]
                ],
            },
            TABLE_DIMENSION: table,
            POOL_DIMENSION: pool,
        }
        body |= {str(name): value for name, value in values.items()}
        if self.lags_ms:
            body[_LAG_MAX] = max(self.lags_ms)
        return json.dumps(body, separators=(",", ":"))

    def job_lines(self, *, table: str, pool: str) -> list[str]:
        """Return one line of the log for each job. It is no metric, so nothing is paid for it."""
        return [
            json.dumps(
                {
                    TABLE_DIMENSION: table,
                    POOL_DIMENSION: pool,
                    _JOB: job,
                    **self.jobs[job].values(),
                },
                separators=(",", ":"),
            )
            for job in sorted(self.jobs)
        ]


class MetricsTelemetry:
    """Passes events to a log, and counts them. Never raises."""

    def __init__(
        self,
        log: _Leveled,
        clock: Clock,
        *,
        table: str,
        scope: MetricsScope,
        minutes: _Minutes | None = None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._table = table
        self._scope = scope
        self._minutes = _Minutes() if minutes is None else minutes

    def at_level(self, level: int) -> Telemetry:
        """Return one that logs from this level on, and counts together with this one."""
        return _Both(self._log.at_level(level), self)

    def emit(self, event: Event) -> None:
        """Log it as the log does, and count it."""
        self._log.emit(event)
        self.count(event)

    def count(self, event: Event) -> None:
        """Count it, and write a line when it is time."""
        over = self._minutes.add(event, self._clock.now())
        if over is not None:
            by_pool = self._scope == "pools"
            line = over.line(
                table=self._table, pool=event.pool, scope=self._scope, now=self._clock.now()
            )
            jobs = over.job_lines(table=self._table, pool=event.pool) if by_pool else []
            for each in [*([] if line is None else [line]), *jobs]:
                sys.stdout.write(each + "\n")


class _Both:
    """A log of one level, and the counting that all share."""

    def __init__(self, log: Telemetry, counting: MetricsTelemetry) -> None:
        self._log = log
        self._counting = counting

    def at_level(self, level: int) -> Telemetry:
        return self._counting.at_level(level)

    def emit(self, event: Event) -> None:
        self._log.emit(event)
        self._counting.count(event)


class _Minutes:
    """Counts of each pool. Safe in threads, since a pass starts work items in many."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._pools: dict[str, _Minute] = {}

    def add(self, event: Event, now: int) -> _Minute | None:
        """Count an event. Returns the counts when they are to be written now, and begins new ones."""
        with self._lock:
            minute = self._pools.setdefault(event.pool, _Minute(now))
            minute.note(event)
            if (
                isinstance(event, _LAST)
                or now - minute.since >= MINUTE_MS
                or len(minute.lags_ms) >= _LAGS_MAX
            ):
                return self._pools.pop(event.pool)
            return None


def _directive(dimensions: Sequence[str], names: Sequence[Metric]) -> dict[str, object]:
    return {
        "Namespace": NAMESPACE,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": name, "Unit": units_of(name)} for name in names],
    }

"""Owns the events of a pool as a whole: its loop, watchdog, deployment, limits, statistics. One class an event, its level beside it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from workpool_aws.model.fact import Fact

__all__ = [
    "BaseIgnored",
    "CancelAllAsked",
    "ConfigAlternates",
    "ControlRepaired",
    "DeploymentNotRecorded",
    "DeploymentRecorded",
    "DeploymentReplaced",
    "Drained",
    "HandedOver",
    "KickFailed",
    "Kicked",
    "LimitDeployed",
    "LimitsDenied",
    "LoopEnded",
    "LoopFenced",
    "LoopRested",
    "LoopTook",
    "NoProgress",
    "OptionsUnknown",
    "PassFailed",
    "PassReport",
    "RegistrationDenied",
    "SetAside",
    "StatsTaken",
    "Surveyed",
    "TimerFailed",
    "WatchdogActed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kicked(Fact):
    """A resting or dead loop was started."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "kicked"
    reason: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KickFailed(Fact):
    """The loop could not be started; the watchdog will, within about a minute."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "kick_failed"
    reason: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationDenied(Fact):
    """A caller may not register its pool: the watchdog finds the pool's work only if its deployment names the pool."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "registration_denied"
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTook(Fact):
    """A loop invocation became the holder of the ledger."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "loop_took"
    generation: int
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport(Fact):
    """What one pass of the loop did; only passes that did something."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "pass_report"
    generation: int
    settled: int
    started: int
    in_flight: int
    limit: int
    succeeded: int = 0
    failed: int = 0
    """Of the settled, works that failed for good."""
    retried: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAllAsked(Fact):
    """Somebody canceled everything that a pool had; the loop now does it, work by work."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "cancel_all_asked"
    epoch: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained(Fact):
    """A pass canceled works that `cancel_all` had called off, or asked those that run."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "drained"
    generation: int
    met: int
    canceled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside(Fact):
    """A damaged or foreign item was skipped."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "set_aside"
    partition: str
    sort: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRepaired(Fact):
    """A control item of a pool was forged or damaged, and made sound again."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "control_repaired"
    item: str
    """status, ledger, config or registry."""
    reason: str
    lost: str
    """The part that could not be made good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRested(Fact):
    """The loop has nothing to do now."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "loop_rested"
    generation: int
    state: str
    wake_in_ms: int | None
    saturated: bool
    passes: int
    set_aside: int
    """Damaged or foreign items that this invocation met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Fact):
    """The loop passed on to a fresh invocation before its Lambda's end."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "handed_over"
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFenced(Fact):
    """This loop invocation found that another one is the holder, and stopped."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "loop_fenced"
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassFailed(Fact):
    """A pass of the loop got no answer; the loop tries again, a few times."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "pass_failed"
    generation: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopEnded(Fact):
    """A loop invocation gave up on an error; its lease runs out and the watchdog starts another."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "loop_ended"
    generation: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoProgress(Fact):
    """Passes find something to do and achieve nothing: the loop slows down [WP-23]."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "no_progress"
    generation: int
    passes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFailed(Fact):
    """The far wake could not be ordered; the watchdog looks every minute."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "timer_failed"
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed(Fact):
    """The watchdog looked how full a pool is: only where metrics are wanted, and not of an idle pool."""

    level: ClassVar[int] = logging.DEBUG
    name: ClassVar[str] = "surveyed"
    pending: int
    running: int
    limit: int
    oldest_pending_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogActed(Fact):
    """The watchdog found a pool that should be at work and was not, or what lay out of the sight of its loop."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "watchdog_acted"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigAlternates(Fact):
    """A program gave this pool another base limit than the one before it: a new release did, or two programs overwrite each other."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "config_alternates"
    ours: int
    theirs: int
    theirs_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecorded(Fact):
    """The watchdog wrote down what its environment says of the deployment: it knew something else. `pool` is empty."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "deployment_recorded"
    loop_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentReplaced(Fact):
    """The watchdog found the loop of another deployment named, and named its own: that one waits an hour before it would do the same."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "deployment_replaced"
    loop_arn: str
    replaced: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentNotRecorded(Fact):
    """The watchdog could not write down the deployment, or the limit that it gives a pool; the next tick tries again."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "deployment_not_recorded"
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDeployed(Fact):
    """The deployment gave this pool another limit, or gives it none any more."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "limit_deployed"
    max_parallelism: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsDenied(Fact):
    """This process may not read a function's configuration, so Lambda's maxima count: a lost start is found after hours."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "limits_denied"
    target: str
    grant: str
    """The actions that this process's role lacks, on that function."""
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsUnknown(Fact):
    """A worker enqueued in a pool of which this program made no `Workpool`: its default policy is the library's."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "options_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseIgnored(Fact):
    """A program gave this pool a base limit, but the deployment's beats it."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "base_ignored"
    ours: int
    deployed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsTaken(Fact):
    """Somebody asked for the statistics of a pool to be logged."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "stats"
    asked_for: ClassVar[bool] = True
    window_ms: int
    pending: int
    scheduled: int
    at_least: bool
    running: int
    oldest_pending_s: float | None
    executions: int
    error_rate: float | None
    permanent_failure_rate: float | None
    start_lag_p50_ms: int | None
    start_lag_p95_ms: int | None

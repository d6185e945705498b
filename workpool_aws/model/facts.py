"""Owns every event the library reports: one class an event, its level beside it. `docs/events.md` lists them; a test compares.

Arguments, results and contexts are never in a fact.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "AttemptRaised",
    "BaseIgnored",
    "CallbackAcknowledged",
    "CallbackDead",
    "CallbackFailed",
    "CallbackSent",
    "CancelAsked",
    "Completed",
    "ConfigAlternates",
    "DuplicateRefused",
    "Enqueued",
    "Fact",
    "HandedOver",
    "KickFailed",
    "Kicked",
    "LoopEnded",
    "LoopFenced",
    "LoopRested",
    "LoopTook",
    "NoProgress",
    "PassFailed",
    "PassReport",
    "PutBack",
    "Recovered",
    "Redriven",
    "ReportIgnored",
    "Retrying",
    "SetAside",
    "StartUnanswered",
    "Started",
    "StatsTaken",
    "Surveyed",
    "TimerFailed",
    "WatchdogActed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened in a pool."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "fact"
    asked_for: ClassVar[bool] = False
    """Told because somebody asked for it: logged whatever the least level is."""
    pool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued(Fact):
    """A work was stored and acknowledged."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "enqueued"
    work_id: str
    target: str
    kind: str
    delay_ms: int


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
class Started(Fact):
    """A worker was invoked."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "started"
    work_id: str
    attempt: int
    lag_ms: int
    """From due to the start write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUnanswered(Fact):
    """Lambda did not answer an invoke: the worker may run or not. Its report, or recovery after the deadline, tells."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "start_unanswered"
    work_id: str
    start: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateRefused(Fact):
    """A second or late delivery of a start was turned away before user code ran."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "duplicate_refused"
    work_id: str
    start: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRaised(Fact):
    """A decorated worker's function raised. The error's text is not told: it may quote arguments; it stands in the work's result."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "attempt_raised"
    work_id: str
    attempt: int
    error_type: str
    stack: str
    """Where: the frames of the traceback, the innermost last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked(Fact):
    """Somebody asked to cancel a work that was not over."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "cancel_asked"
    work_id: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Fact):
    """A work reached its end."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "completed"
    work_id: str
    outcome: str
    attempts_made: int
    error_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSent(Fact):
    """An `on_complete` target accepted its callback."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "callback_sent"
    work_id: str
    target: str
    acknowledges: bool
    """Whether its handler will say for itself that it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAcknowledged(Fact):
    """A decorated `on_complete` handler ran to its end."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "callback_acknowledged"
    work_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed(Fact):
    """An `on_complete` target did not accept its callback; the loop will try again."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "callback_failed"
    work_id: str
    target: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDead(Fact):
    """A callback was given up; its work is kept."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "callback_dead"
    work_id: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(Fact):
    """An attempt failed and another one will follow."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "retrying"
    work_id: str
    attempts_made: int
    delay_ms: int
    error_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack(Fact):
    """A start was never delivered; the work is pending again, no attempt spent."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "put_back"
    work_id: str
    undelivered: int
    delay_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportIgnored(Fact):
    """A late or duplicate report changed nothing."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "report_ignored"
    work_id: str
    start: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Fact):
    """A start that never reported was judged lost."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "recovered"
    work_id: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside(Fact):
    """A damaged or foreign item was skipped."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "set_aside"
    partition: str
    sort: str
    reason: str


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
    """The watchdog found a pool that should be at work and was not."""

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
class BaseIgnored(Fact):
    """A program gave this pool a base limit, but the deployment's beats it."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "base_ignored"
    ours: int
    deployed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven(Fact):
    """A new work was made from one that had failed for good."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "redriven"
    work_id: str
    redrive_of: str
    target: str


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

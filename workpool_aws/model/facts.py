"""Owns every event the library reports: one class an event, its level beside it. `docs/events.md` lists them; a test compares.

Those of works and tasks stand here, those of a pool as a whole in `pool_facts.py`; both are taken from here.

Arguments, results and contexts are never in a fact.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from workpool_aws.model.fact import Fact
from workpool_aws.model.pool_facts import (
    BaseIgnored,
    CancelAllAsked,
    ConfigAlternates,
    ControlRepaired,
    DeploymentNotRecorded,
    DeploymentRecorded,
    DeploymentReplaced,
    Drained,
    HandedOver,
    Kicked,
    KickFailed,
    LimitDeployed,
    LimitsDenied,
    LoopEnded,
    LoopFenced,
    LoopRested,
    LoopTook,
    NoProgress,
    OptionsUnknown,
    PassFailed,
    PassReport,
    RegistrationDenied,
    SetAside,
    StatsTaken,
    Surveyed,
    TimerFailed,
    WatchdogActed,
)

__all__ = [
    "AttemptRaised",
    "BaseIgnored",
    "CallbackAcknowledged",
    "CallbackDead",
    "CallbackFailed",
    "CallbackRedriven",
    "CallbackSent",
    "CancelAllAsked",
    "CancelAsked",
    "Completed",
    "ConfigAlternates",
    "ControlRepaired",
    "DeploymentNotRecorded",
    "DeploymentRecorded",
    "DeploymentReplaced",
    "Drained",
    "DuplicateRefused",
    "Enqueued",
    "Fact",
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
    "PutBack",
    "RecordUnreadable",
    "Recovered",
    "Redriven",
    "RegistrationDenied",
    "ReportIgnored",
    "ReportUnproven",
    "Retrying",
    "SetAside",
    "Snoozed",
    "StartUnanswered",
    "Started",
    "StatsTaken",
    "Surveyed",
    "TaskFailed",
    "TimerFailed",
    "WatchdogActed",
]


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
    """An `on_complete` target did not accept its callback, or its handler failed; the loop will try again."""

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
class CallbackRedriven(Fact):
    """Somebody had a dead callback delivered again; its work does not run again."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "callback_redriven"
    work_id: str
    target: str


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
class Snoozed(Fact):
    """A worker asked to be run again later; the work item is pending again, no attempt spent."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "snoozed"
    work_id: str
    snoozes: int
    """In a row, this one included."""
    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportIgnored(Fact):
    """A late or duplicate report changed nothing."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "report_ignored"
    work_id: str
    start: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUnproven(Fact):
    """A report or an acknowledgement that does not know the secret of what it names changed nothing: it was forged, or lost it."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "report_unproven"
    work_id: str
    by: str
    """The kind of reporter that it came through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Fact):
    """A start that never reported was judged lost."""

    level: ClassVar[int] = logging.WARNING
    name: ClassVar[str] = "recovered"
    work_id: str
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUnreadable(Fact):
    """A destination record that carries our mark could not be read: its start ends by recovery. `pool` and `work_id` may be empty."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "record_unreadable"
    work_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven(Fact):
    """A new work was made from one that had failed for good."""

    level: ClassVar[int] = logging.INFO
    name: ClassVar[str] = "redriven"
    work_id: str
    redrive_of: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(Fact):
    """A background task failed, and its failure could not be raised, since another error went out. `pool` is the task pool's name."""

    level: ClassVar[int] = logging.ERROR
    name: ClassVar[str] = "task_failed"
    task: str
    error_type: str

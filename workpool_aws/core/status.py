"""Owns what users are told about a work and about a pool: `Status`, `Result` and `PoolConfig`, made from the stored records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, assert_never

from workpool_aws.core.history import attempts_of, last_error_of
from workpool_aws.core.payload import JsonValue, checked_json
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import NOBODY, Config
from workpool_aws.model.work import Attempt as StoredAttempt
from workpool_aws.model.work import AttemptEnd, CallbackState, Outcome, State, Work

__all__ = [
    "Attempt",
    "BaseLimit",
    "LimitOverride",
    "PoolConfig",
    "Result",
    "Status",
    "config_of",
    "instant",
    "result_from_callback",
    "result_of",
    "status_of",
]

StateName = Literal["pending", "running", "finished", "unknown"]
OutcomeName = Literal["success", "failed", "canceled"]
CallbackName = Literal["pending", "sent", "delivered", "dead"]
AttemptName = Literal["success", "failed", "canceled", "snoozed", "never_delivered"]

_DEPLOYMENT: Final = "deployment"
"""Who set a base limit that no program did."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt that ended. Times are aware, in UTC."""

    number: int
    """From 1. A start that was put back or snoozed has the number of the attempt that it would have been, until that is made."""
    started_at: datetime
    ended_at: datetime
    """When its end was recorded."""
    outcome: AttemptName
    """`failed` also for a timeout, a crash and a start that never reported: `error_type` tells. `canceled`: it failed, and no other
    follows, since somebody asked to cancel. `snoozed`, `never_delivered`: it was not spent."""
    error_type: str | None
    """As in `Result`, cut to 32 bytes; `None` means that it has none."""
    error: str | None
    """The error's text: whole for the attempt that ended the work item, else cut to 120 bytes, and to 32 once another attempt has ended.
    `…` marks a cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where one work is in its life, as one strong read saw it. Times are aware, in UTC, to the millisecond."""

    state: StateName
    """`unknown`: never enqueued in this pool, or past its retention."""
    previous_attempts: int
    """Attempts spent before the current or the coming one; of a finished work, before the one that ended it (all of them, if it was
    canceled while it waited). A start that was never delivered is no attempt."""
    next_run_at: datetime | None
    """When a pending work is due; None: it is not pending."""
    started_at: datetime | None
    """When the current or last attempt was started; None: none was."""
    finished_at: datetime | None
    """When it finished; None: it has not."""
    outcome: OutcomeName | None
    """How it finished; None: it has not."""
    cancel_requested: bool
    """Whether somebody asked to cancel it while it was running: no retry will follow."""
    callback: CallbackName | None = None
    """Where its callback is. `pending`: its target has not accepted it yet. `sent`: accepted by a decorated handler that has not run to its
    end yet. `delivered`. `dead`: given up. None: it has not finished, or wants none for how it ended."""
    last_error: str | None = None
    """The text of the latest attempt that failed or was never delivered, as `attempts` has it, also if a later one succeeded; the error's
    type where it has no text. `None` means that nothing went wrong yet."""
    attempts: tuple[Attempt, ...] = ()
    """The last five attempts that ended, the latest last. The one that runs is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a finished work ended."""

    kind: OutcomeName
    return_value: JsonValue = None
    """What the function returned, after JSON; None: it returned None, or did not succeed."""
    error: str | None = None
    """The error's text, cut to 4,096 characters; None: it did not fail."""
    error_type: str | None = None
    """The exception's class name, or the pool's own word (`timeout`, `crashed`, `no_report`, `never_delivered`, `invalid_arguments`,
    `invalid_result`, `not_invocable`, `payload_missing`); None: it did not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLimit:
    """What the deployment says about a pool; if it says nothing, what programs say."""

    max_parallelism: int
    by: str | None
    """`deployment`, or the function that said it last; None: nobody did, it is the default."""
    at: datetime | None
    """When; None: nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOverride:
    """What people say about a pool, until they reset it."""

    max_parallelism: int | None
    """None: the base's holds."""
    paused: bool
    by: str | None
    """Who said it last; None: not known."""
    at: datetime | None
    """When; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """The limit in force, and where it comes from."""

    max_parallelism: int
    """In force: the override's if it names one, else the base's; 0 while paused."""
    paused: bool
    """Whether nothing may start: paused by an override, or a limit of 0."""
    base: BaseLimit
    override: LimitOverride | None
    """None: there is none."""


def instant(at: EpochMs) -> datetime:
    """The same moment as an aware datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def _instant(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)


def status_of(work: Work | None) -> Status:
    """What a stored work tells about itself; None: there is no such work."""
    if work is None:
        return Status(
            state="unknown",
            previous_attempts=0,
            next_run_at=None,
            started_at=None,
            finished_at=None,
            outcome=None,
            cancel_requested=False,
        )
    return Status(
        state=_state_name(work.state),
        previous_attempts=_previous_attempts(work),
        next_run_at=instant(work.due_at) if work.state is State.PENDING else None,
        started_at=_instant(work.started_at),
        finished_at=_instant(work.finished_at),
        outcome=None if work.outcome is None else _outcome_name(work.outcome),
        cancel_requested=work.cancel_requested,
        callback=None if work.callback is None else _callback_name(work.callback),
        last_error=last_error_of(work),
        attempts=tuple(_attempt_of(each) for each in attempts_of(work)),
    )


def _attempt_of(stored: StoredAttempt) -> Attempt:
    return Attempt(
        number=stored.number,
        started_at=instant(stored.started_at),
        ended_at=instant(stored.ended_at),
        outcome=_end_name(stored.outcome),
        error_type=stored.error_type,
        error=stored.error,
    )


def result_of(work: Work) -> Result | None:
    """How a stored work ended; None: it has not."""
    if work.state is not State.FINISHED or work.outcome is None:
        return None
    match work.outcome:
        case Outcome.SUCCESS:
            value: JsonValue = None if work.result is None else json.loads(work.result)
            return Result(kind="success", return_value=value)
        case Outcome.FAILED:
            return Result(kind="failed", error=work.error, error_type=work.error_type)
        case Outcome.CANCELED:
            return Result(kind="canceled")
        case _:
            assert_never(work.outcome)


def result_from_callback(told: object) -> Result | None:
    """The result in the event of an `on_complete` target; None: it is none.

    Raises:
        UsageError: a return value that is not JSON.
    """
    if not isinstance(told, dict):
        return None
    match told.get("kind"):
        case "success":
            return Result(kind="success", return_value=checked_json(told.get("return_value"), "event.result.return_value"))
        case "failed":
            error, error_type = told.get("error"), told.get("error_type")
            return Result(
                kind="failed",
                error=error if isinstance(error, str) else None,
                error_type=error_type if isinstance(error_type, str) else None,
            )
        case "canceled":
            return Result(kind="canceled")
        case _:
            return None


def config_of(config: Config | None, *, max_parallelism_default: int) -> PoolConfig:
    """What a stored config says; None: nobody ever set one, and the default holds."""
    if config is None:
        base = BaseLimit(max_parallelism=max_parallelism_default, by=None, at=None)
        return PoolConfig(max_parallelism=max_parallelism_default, paused=max_parallelism_default == 0, base=base, override=None)
    override = LimitOverride(
        max_parallelism=config.override_parallelism,
        paused=bool(config.override_paused),
        by=config.override_by,
        at=_instant(config.override_at),
    )
    return PoolConfig(
        max_parallelism=config.limit,
        paused=config.limit == 0,
        base=_base_of(config),
        override=None if config.override_parallelism is None and not config.override_paused else override,
    )


def _base_of(config: Config) -> BaseLimit:
    if config.deployed_parallelism is not None:
        return BaseLimit(max_parallelism=config.deployed_parallelism, by=_DEPLOYMENT, at=_instant(config.deployed_at))
    if config.base_by == NOBODY:
        return BaseLimit(max_parallelism=config.max_parallelism, by=None, at=None)
    return BaseLimit(max_parallelism=config.max_parallelism, by=config.base_by, at=instant(config.base_at))


def _previous_attempts(work: Work) -> int:
    # A work that ended while it ran has spent its last attempt too; one that was canceled while it waited has not.
    ended_running = work.state is State.FINISHED and (work.outcome is not Outcome.CANCELED or work.cancel_requested)
    return max(0, work.attempts_made - 1) if ended_running else work.attempts_made


def _state_name(state: State) -> StateName:
    match state:
        case State.PENDING:
            return "pending"
        case State.RUNNING:
            return "running"
        case State.FINISHED:
            return "finished"
        case _:
            assert_never(state)


def _end_name(end: AttemptEnd) -> AttemptName:
    match end:
        case AttemptEnd.SUCCESS:
            return "success"
        case AttemptEnd.FAILED:
            return "failed"
        case AttemptEnd.CANCELED:
            return "canceled"
        case AttemptEnd.SNOOZED:
            return "snoozed"
        case AttemptEnd.NEVER_DELIVERED:
            return "never_delivered"
        case _:
            assert_never(end)


def _callback_name(state: CallbackState) -> CallbackName:
    match state:
        case CallbackState.PENDING:
            return "pending"
        case CallbackState.SENT:
            return "sent"
        case CallbackState.DELIVERED:
            return "delivered"
        case CallbackState.DEAD:
            return "dead"
        case _:
            assert_never(state)


def _outcome_name(outcome: Outcome) -> OutcomeName:
    match outcome:
        case Outcome.SUCCESS:
            return "success"
        case Outcome.FAILED:
            return "failed"
        case Outcome.CANCELED:
            return "canceled"
        case _:
            assert_never(outcome)

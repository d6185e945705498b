"""Views of work items and limits: `Status`, `Result`, `PoolConfig`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, assert_never

from workpool_aws.core import limits
from workpool_aws.core.report.history import attempts_of, last_error_of
from workpool_aws.core.views.instants import instant
from workpool_aws.model.loop import DEFAULT_AUTHOR, Config
from workpool_aws.model.payload import inline_text
from workpool_aws.model.spec import Outcome, OutcomeName
from workpool_aws.model.work import State, WorkItem

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.rate import RateLimit

__all__ = [
    "Attempt",
    "BaseLimit",
    "LimitOverride",
    "PoolConfig",
    "Result",
    "Status",
    "config_of",
    "result_of",
    "status_of",
]

if TYPE_CHECKING:
    # Only type checkers know defaults before Python 3.13.
    from typing_extensions import TypeVar

    V_co = TypeVar("V_co", default=JsonValue, covariant=True)
else:
    from typing import TypeVar

    V_co = TypeVar("V_co", covariant=True)

StateName = Literal["pending", "running", "finished", "unknown"]
CallbackName = Literal["pending", "sent", "delivered", "dead"]
AttemptName = Literal["success", "failed", "canceled", "snoozed", "never_delivered"]

_NOTHING: Final[Any] = None
_DEPLOYMENT: Final = "deployment"
"""The `by` of a base limit that no program set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt that ended. Times are aware, in UTC."""

    number: int
    """From 1. A start that was requeued or snoozed has the number of the attempt that is still to
    be made."""
    started_at: datetime
    ended_at: datetime
    """The time at which its end was recorded."""
    outcome: AttemptName
    """`failed` includes a timeout, a crash and a start without a report, as `error_type` shows.
    `canceled` is a failure that a request to cancel left without a retry. `snoozed` and
    `never_delivered` spend no attempt."""
    error_type: str | None
    """As in `Result`, cut to 32 bytes; `None` means that it has none."""
    error: str | None
    """The error's text, whole for the attempt that ended the work item. An earlier one is cut to
    120 bytes, and to 32 after a further attempt. `…` marks a cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of one work item, as one strong read saw it.

    Times are aware, in UTC, to the millisecond.

    >>> from workpool_aws import RetryPolicy
    >>> from workpool_aws.local import LocalCloud
    >>> answers = iter([ConnectionError("no route"), "sent"])
    >>> def send_email(event, context):
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> with LocalCloud() as cloud:
    ...     pool = cloud.workpool()
    ...     work_id = pool.enqueue_action(
    ...         None, cloud.function(send_email), {}, retry=RetryPolicy(max_attempts=3)
    ...     )
    ...     cloud.run_until_idle()
    ...     status = pool.status(None, work_id)
    ...     status.state, status.outcome, status.previous_attempts, status.last_error
    ('finished', 'success', 1, 'no route')
    """

    state: StateName
    """`unknown` was never enqueued in this pool, or is past its retention."""
    previous_attempts: int
    """Attempts spent before the current or the next one, or before the one that finished the work
    item. After a cancel of a pending work item, all of them. A start that was never delivered is
    no attempt."""
    next_run_at: datetime | None
    """The due time of a pending work item. `None` means that it is not pending."""
    started_at: datetime | None
    """The start of the current or last attempt. `None` means that there was none."""
    finished_at: datetime | None
    """The time at which it finished. `None` means that it has not."""
    outcome: OutcomeName | None
    """The outcome of a finished work item. `None` means that it has not finished."""
    cancel_requested: bool
    """True after a request to cancel it while it was running. No retry will follow."""
    callback: CallbackName | None = None
    """State of the callback: `pending` until the target accepts it; `sent` while a decorated
    handler has it; `delivered`; or `dead`, given up. `None` means that the work item has not
    finished, or that its outcome has no callback."""
    last_error: str | None = None
    """Error of the latest attempt that failed or was never delivered, even if a later one
    succeeded. Its text as in `attempts`, or its type if it has no text. `None` means that nothing
    has gone wrong."""
    attempts: tuple[Attempt, ...] = ()
    """The last five attempts that ended, the latest last. A running attempt is not among them."""
    progress: float | None = None
    """Part that is done, 0 to 1, as the current or last attempt reported it (`Work.progress`). `None`
    means that it reported none."""
    note: str | None = None
    """Note of the progress."""
    heartbeat_at: datetime | None = None
    """Last heartbeat of the current or last attempt. `None` means that it sends none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Generic[V_co]):
    """The result of a finished work item. Without a type, its return value is JSON."""

    kind: OutcomeName
    return_value: V_co = _NOTHING
    """The function's return value, after JSON, or as its annotation has it where a job reads it.
    `None` also stands for a work item that did not succeed, whatever the type."""
    error: str | None = None
    """The error's text, cut to 4,096 characters. `None` means that the work item did not fail."""
    error_type: str | None = None
    """The exception's class name, or one of the pool's own types: `timeout`, `crashed`,
    `no_report`, `heartbeat_lost`, `never_delivered`, `snoozed_too_often`, `expired`, `invalid_arguments`, `invalid_result`,
    `not_invocable`, `payload_missing`. `None` means that the work item did not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLimit:
    """The limit that the deployment gives a pool, or else the one that programs give it."""

    max_parallelism: int
    by: str | None
    """`deployment`, or the function that set it last. `None` means the default."""
    at: datetime | None
    """The time at which it was set. `None` means the default."""
    rate_limit: RateLimit | None = None
    """The rate limit of the deployment, or else of programs. `None` means that neither gives one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOverride:
    """The limit that `configure` sets on a pool, until it is reset."""

    max_parallelism: int | None
    """`None` leaves the base in force."""
    paused: bool
    by: str | None
    """The caller that set it last. `None` means that it is not known."""
    at: datetime | None
    """The time at which it was set. `None` means that it is not known."""
    rate_limit: RateLimit | None = None
    """`None` leaves the base in force, unless the rate limit is lifted."""
    lifts_rate_limit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """The limit of a pool that is in force, and its source."""

    max_parallelism: int
    """The override's limit if it has one, else the base's; 0 while paused."""
    paused: bool
    """True while nothing may start, because of an override or a limit of 0."""
    base: BaseLimit
    override: LimitOverride | None
    """`None` means that there is none."""
    rate_limit: RateLimit | None = None
    """The rate limit in force. `None` means that the pool has none."""


def _instant(at: EpochMs | None) -> datetime | None:
    return None if at is None else instant(at)


def status_of(work: WorkItem | None) -> Status:
    """Returns the status of a stored work item; `None` gives that of an unknown one."""
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
    # A work item that ended while it ran has spent its last attempt, too. One that was canceled
    # while it waited has not.
    ended_running = work.state is State.FINISHED and (
        work.outcome is not Outcome.CANCELED or work.cancel_requested
    )
    return Status(
        state=work.state.value,
        previous_attempts=max(0, work.attempts_made - 1) if ended_running else work.attempts_made,
        next_run_at=instant(work.due_at) if work.state is State.PENDING else None,
        started_at=_instant(work.started_at),
        finished_at=_instant(work.finished_at),
        outcome=None if work.outcome is None else work.outcome.value,
        cancel_requested=work.cancel_requested,
        callback=None if work.callback is None else work.callback.value,
        last_error=last_error_of(work),
        progress=None if work.progress is None else min(1.0, work.progress / limits.PROGRESS_PARTS),
        note=work.note,
        heartbeat_at=_instant(work.beat_at),
        attempts=tuple(
            Attempt(
                number=each.number,
                started_at=instant(each.started_at),
                ended_at=instant(each.ended_at),
                outcome=each.outcome.value,
                error_type=each.error_type,
                error=each.error,
            )
            for each in attempts_of(work)
        ),
    )


def result_of(work: WorkItem) -> Result | None:
    """Returns the result of a stored work item. `None` means that it has not finished."""
    if work.state is not State.FINISHED or work.outcome is None:
        return None
    match work.outcome:
        case Outcome.SUCCESS:
            text = inline_text(work.result)
            value: JsonValue = None if text is None else json.loads(text)
            return Result(kind="success", return_value=value)
        case Outcome.FAILED:
            return Result(kind="failed", error=work.error, error_type=work.error_type)
        case Outcome.CANCELED:
            return Result(kind="canceled")
        case _:
            assert_never(work.outcome)


def config_of(
    config: Config | None, *, max_parallelism_default: int, rate_default: RateLimit | None = None
) -> PoolConfig:
    """Returns the limits in a stored config. `None` means no config, so the default holds."""
    if config is None:
        base = BaseLimit(
            max_parallelism=max_parallelism_default, by=None, at=None, rate_limit=rate_default
        )
        return PoolConfig(
            max_parallelism=max_parallelism_default,
            paused=max_parallelism_default == 0,
            base=base,
            override=None,
            rate_limit=rate_default,
        )
    overrides = (config.override_parallelism, config.override_rate)
    is_overridden = config.override_paused or config.override_unrated or overrides != (None, None)
    override = LimitOverride(
        max_parallelism=config.override_parallelism,
        paused=bool(config.override_paused),
        by=config.override_by,
        at=_instant(config.override_at),
        rate_limit=config.override_rate,
        lifts_rate_limit=bool(config.override_unrated),
    )
    return PoolConfig(
        max_parallelism=config.limit,
        paused=config.limit == 0,
        base=_base_of(config),
        override=override if is_overridden else None,
        rate_limit=config.rate,
    )


def _base_of(config: Config) -> BaseLimit:
    rate = config.deployed_rate or config.rate_limit
    if config.deployed_parallelism is not None:
        return BaseLimit(
            max_parallelism=config.deployed_parallelism,
            by=_DEPLOYMENT,
            at=_instant(config.deployed_at),
            rate_limit=rate,
        )
    if config.base_by == DEFAULT_AUTHOR:
        return BaseLimit(max_parallelism=config.max_parallelism, by=None, at=None, rate_limit=rate)
    return BaseLimit(
        max_parallelism=config.max_parallelism,
        by=config.base_by,
        at=instant(config.base_at),
        rate_limit=rate,
    )

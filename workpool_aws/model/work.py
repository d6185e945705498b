"""Work items, and pointers, which are further places in time of one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from workpool_aws.model.ids import TIME_LENGTH, EpochMs, WorkId, id_floor, time_of
from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.payload import Payload
    from workpool_aws.model.spec import Outcome, Spec

__all__ = [
    "AttemptEnd",
    "CallbackState",
    "GroupEnd",
    "PastAttempt",
    "Pointer",
    "Spawned",
    "State",
    "WorkItem",
    "dead_key",
]


class State(StrEnum):
    """State of a stored work item. `core/lifecycle.py` has the legal moves."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"


class AttemptEnd(StrEnum):
    """Ends of an attempt.

    `error_type` distinguishes failures: `timeout`, `crashed`, `no_report` or the name of a class.
    """

    SUCCESS = "success"
    FAILED = "failed"
    """It raised, timed out, crashed, never reported or could not be made at all."""
    CANCELED = "canceled"
    """It failed, and no other follows, since a cancel was requested."""
    SNOOZED = "snoozed"
    """Its code asked to run again later. It is not spent, and is made again under its number."""
    NEVER_DELIVERED = "never_delivered"
    """No code ran, and the start was requeued. It is not spent, and is made again under its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One attempt that ended, with its texts cut to a bound."""

    number: int
    started_at: EpochMs
    ended_at: EpochMs
    outcome: AttemptEnd
    error_type: str | None
    error: str | None


class CallbackState(StrEnum):
    """State of the callback of a finished work item. `core/callback/delivery.py` has the moves."""

    PENDING = "pending"
    """Its target has not accepted it yet."""
    SENT = "sent"
    """A target that acknowledges has accepted it, and has not acknowledged it yet."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up. The work item stays among the dead letters, with no time to live."""


class GroupEnd(NamedTuple):
    """The end of a member of a group, as a notice has it."""

    group: str
    """Id of the group."""
    outcome: Outcome


class Spawned(NamedTuple):
    """Work items of one pool that a transaction stored with a move of another work item."""

    pool: str
    ids: tuple[WorkId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem(Record):
    """One request to run a function, and its progress.

    Written by: enqueue (put), the loop (start), completion (finish, retry, requeue), the decorated
    worker (claim), the sender of its callback and the handler that acknowledges it. Read by: the
    loop (range), status, result and completion (point). Removed by: TTL, set only once it is
    finished and owes no callback. It is the only item of a small work item. Its key is its place in
    time, so it is its own pending index.
    """

    pool: str
    id: WorkId
    spec: Spec
    """The request, which never changes."""
    state: State
    due_at: EpochMs
    enqueued_at: EpochMs
    attempts_made: int = 0
    """Spent attempts. A start that was never delivered spends none."""
    starts: int = 0
    """Starts so far, which is the number of the current or last one."""
    undelivered: int = 0
    """Starts in a row that were never delivered."""
    snoozes: int = 0
    """Snoozes in a row. A spent attempt resets the count."""
    history: tuple[PastAttempt, ...] = ()
    """The last attempts that ended, the latest last, except the one that ended the work item
    (`core/report/history.py`)."""
    refused_since: EpochMs | None = None
    """Time of the first refused invoke (no such function, no permission). `None` means that the
    last one was not refused."""
    started_by: str | None = None
    """Token of the loop invocation that made the current start."""
    started_at: EpochMs | None = None
    proof: str | None = None
    """Digest of the nonce that the worker of the current or last start was sent [WP-28]. A report
    counts only with that nonce. `None` means that version 0.1 wrote the start, or that there was
    none."""
    permit: str | None = None
    """Secret by which a worker may make the next start [WP-28], in the event of that start alone.
    Each entry into `pending` draws another. `None` means that only the loop may make it: version
    0.1 wrote the work item, it was replaced, or it runs."""
    claim: str | None = None
    """Token of the worker invocation that owns the current start; `None` means not claimed."""
    deadline: EpochMs | None = None
    """Time from which the current start can no longer run. Recovery waits a margin longer."""
    beat_at: EpochMs | None = None
    """Time of the last heartbeat of the current or last start; `None` means that it sent none."""
    progress: int | None = None
    """Progress of the current or last start, in parts of `limits.PROGRESS_PARTS`. `None` means that
    it reported none."""
    note: str | None = None
    """Its note for people."""
    cancel_requested: bool = False
    suspected_type: str | None = None
    """Error type of a report without the claimer's token. It counts only if no better report
    arrives before the deadline."""
    suspected_error: str | None = None
    callback: CallbackState | None = None
    """State of the callback. `None` means that the work item is not finished, or wants none."""
    callback_nonce: str | None = None
    """The secret that an acknowledgement must have [WP-28]. `None` means that no callback is
    wanted, or that version 0.1 wrote the end."""
    outcome: Outcome | None = None
    result: Payload | None = None
    """The return value; only a success has one."""
    error: str | None = None
    error_type: str | None = None
    finished_at: EpochMs | None = None
    expires_at: int | None = None
    """TTL in epoch *seconds*, DynamoDB's unit. Only a finished work item that owes no callback has
    one [WP-10]."""
    dead: str | None = None
    """Its key among the dead letters (`dead_key`), if it failed for good and was not redriven, or
    if its callback is dead. `None` means neither."""
    redrive_of: WorkId | None = None
    """The failed work item that this one redrives; `None` means that it was enqueued."""
    redriven_as: WorkId | None = None
    """The work item that redrives this failed one; `None` means none."""
    rev: int = 0
    """Number of replacements, by which its arguments and its due time have changed [WP-16]."""
    postponed: bool = False
    """True if a replacement has moved its due time beyond its places in time. The pass that meets
    it at one of these puts a pointer at the due time."""
    spawned: tuple[Spawned, ...] = ()
    """Work items that were stored by the same transaction as its end, or else as the delivery of
    its callback. A process that meets that move without its follow-up points at those that wait
    [WP-20]."""
    epoch: int = 0
    """Number of `cancel_all` calls on its pool before it was enqueued, as far as its caller knew
    (`core/work/bulk_cancel.py`)."""

    @property
    def group_end(self) -> GroupEnd | None:
        """Its end as a member of a group; `None` means that it is in none, or not over."""
        group, outcome = self.spec.group, self.outcome
        return None if group is None or outcome is None else GroupEnd(group, outcome)

    @property
    def lag_ms(self) -> int | None:
        """Time from due to the last start write; `None` means that it was never started."""
        return None if self.started_at is None else max(0, self.started_at - self.due_at)

    @property
    def start_before(self) -> EpochMs | None:
        """Time from which no start of it may be made; `None` means that it never expires.

        Its id has the time at which it was due first, whatever was postponed since.
        """
        after_ms = self.spec.expires_after_ms
        return None if after_ms is None else EpochMs(time_of(self.id) + after_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer(Record):
    """A further place in time of a work item, after a retry, a requeue or a late write.

    Written by: completion (retry, requeue), late producers, recovery. Read by: the loop, in the
    same range query as work items. Removed by: the loop, once its work item has started or ended;
    the watchdog's hourly audit, if that loop died before. It has no TTL, since a pool that is
    paused for longer would lose its retries. It is an item of its own because a key cannot move.
    """

    pool: str
    at: str
    """Its own key: a ULID of the new due time, with the work item's shard or shard 0."""
    work_id: WorkId


def dead_key(failed_at: EpochMs, work_id: WorkId) -> str:
    """Returns a work item's key among the dead letters, which sorts by the time of the failure."""
    return id_floor(failed_at)[:TIME_LENGTH] + work_id

"""Stored work items, and the pointer: "look at this work item again at that time"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.model.ids import TIME_LENGTH, EpochMs, WorkId, id_floor
from workpool_aws.model.record import Record

if TYPE_CHECKING:
    from workpool_aws.model.payload import Payload
    from workpool_aws.model.spec import Outcome, Spec

__all__ = [
    "AttemptEnd",
    "CallbackState",
    "PastAttempt",
    "Pointer",
    "State",
    "WorkItem",
    "dead_key",
]


class State(StrEnum):
    """State of a stored work item. The legal moves stand in `core/lifecycle.py`."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"


class AttemptEnd(StrEnum):
    """The end of an attempt.

    `error_type` tells one failure from another: `timeout`, `crashed`, `no_report`, a class's name.
    """

    SUCCESS = "success"
    FAILED = "failed"
    """It raised, timed out, crashed, never reported, or could not be made at all."""
    CANCELED = "canceled"
    """It failed, and no other follows, because a cancel was requested."""
    SNOOZED = "snoozed"
    """Its code asked to be run again later: it is not spent, and will be made again under the same
    number."""
    NEVER_DELIVERED = "never_delivered"
    """No code ran: it was put back, is not spent, and will be made again under the same number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One attempt that ended, as the work item keeps it: texts are cut."""

    number: int
    started_at: EpochMs
    ended_at: EpochMs
    outcome: AttemptEnd
    error_type: str | None
    error: str | None


class CallbackState(StrEnum):
    """State of the callback of a finished work item. The moves stand in `core/callback/delivery.py`."""

    PENDING = "pending"
    """Owed: not accepted by its target yet."""
    SENT = "sent"
    """Accepted by a target that says for itself when it ran, and has not said so yet."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up. The work item is kept among the dead letters, with no time to live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem(Record):
    """One request to run a function.

    Written by: enqueue (put), the loop (start), completion (finish, retry, put back), the decorated
    worker (claim), whoever sends or acknowledges its callback. Read by: the loop (range), status,
    result and completion (point). Removed by: TTL, set only once it is finished and its callback,
    if one is wanted, was delivered. An item of its own, and the only one: its key is its place in
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
    """Number of times it was started; the number of the current or last start."""
    undelivered: int = 0
    snoozes: int = 0
    """Snoozes in a row. A spent attempt resets the count."""
    history: tuple[PastAttempt, ...] = ()
    """The last attempts that ended, the latest last, but for the one that ended the work item
    (`core/report/history.py`)."""
    refused_since: EpochMs | None = None
    """When invoking the target was first refused (no such function, no permission); None when it
    was not."""
    started_by: str | None = None
    """Token of the loop invocation that made the current start."""
    started_at: EpochMs | None = None
    proof: str | None = None
    """Digest of the nonce that the current or last start's worker was sent [WP-28]: a report counts
    only with that nonce. `None` means that version 0.1 wrote the start, or that none was made."""
    claim: str | None = None
    """Token of the worker invocation that owns the current start; None until claimed."""
    deadline: EpochMs | None = None
    """When the current start can no longer be running; recovery waits a margin longer."""
    cancel_requested: bool = False
    suspected_type: str | None = None
    """Error type from a report without the claimer's token; counts only if nothing
    better is heard by its deadline."""
    suspected_error: str | None = None
    callback: CallbackState | None = None
    """State of the callback; `None` means that the work item is not finished, or wants none."""
    callback_nonce: str | None = None
    """The secret that an acknowledgement must name [WP-28]; `None` means that no callback is
    wanted, or that version 0.1 wrote the end."""
    outcome: Outcome | None = None
    result: Payload | None = None
    """The return value; only a success has one."""
    error: str | None = None
    error_type: str | None = None
    finished_at: EpochMs | None = None
    expires_at: int | None = None
    """TTL, epoch *seconds* (DynamoDB's unit); only ever set on a finished work item that owes no
    callback [WP-10]."""
    dead: str | None = None
    """Its place among the dead letters (`dead_key`): it failed for good and was not redriven, or
    its callback is dead. `None` means neither."""
    redrive_of: WorkId | None = None
    """The failed work item that this one was made from; `None` means it was enqueued."""
    redriven_as: WorkId | None = None
    """The work item that was made from this failed one; `None` means that there is none was."""
    epoch: int = 0
    """Number of times its pool had been canceled as a whole when it was enqueued, as far as its
    caller knew (`core/work/bulk_cancel.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer(Record):
    """A second place in time for a work item: after a retry or put back, or when its own key turned out to be late.

    Written by: completion (retry, put back), late producers, recovery. Read by: the loop, in the
    same range query as works. Removed by: the loop, when the work item it names has started or is
    over; the watchdog's hourly look, if that loop died before. No TTL: a pool paused for longer
    would lose its retries. An item of its own because a key cannot move.
    """

    pool: str
    at: str
    """Its own key: a ULID of the new due time, with the shard of the work item."""
    work_id: WorkId


def dead_key(failed_at: EpochMs, work_id: WorkId) -> str:
    """Return a work item's key among the dead letters: by the time at which it or its callback failed for good, then by its id."""
    return id_floor(failed_at)[:TIME_LENGTH] + work_id

"""Lifecycle of a work item: one table has every legal move.

The diagram in the docs, the writes and the tests read it.

```
            cancel, expire
    ┌─────────────────────────────────────────┐
    │       start              finish         ▼
 pending ─────────▶ running ─────────────▶ finished
    ▲                │  ▲ claim, request cancel, suspect
    └────────────────┘  └─┘
     retry, put back, snooze
```

One work item is finished from the beginning: the one that stands for a group, and owes its callback.
It never starts.

A move is one conditional write of the work item's own item. Its condition begins with the state
that the move leaves (`leaving`), and its change with the state that it enters (`entering`), so no
write can make a move that is not in the table. No move leaves `finished` [WP-6]. A report of a
start is bound to that start's number (`this_start`). Late and duplicate reports find another number
or another state, and change nothing [WP-4].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from workpool_aws.model.work import State
from workpool_aws.model.writes import All, Condition, Is

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.work import WorkItem

__all__ = [
    "LEGAL",
    "Arrow",
    "Move",
    "entering",
    "has_expired",
    "leaving",
    "may_start_at",
    "this_start",
]


class Move(StrEnum):
    """Moves of a work item."""

    ENQUEUE = "enqueue"
    START = "start"
    CLAIM = "claim"
    FINISH = "finish"
    RETRY = "retry"
    PUT_BACK = "put_back"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REQUEST_CANCEL = "request_cancel"
    SUSPECT = "suspect"
    FOLLOW = "follow"
    BEAT = "beat"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One row of the table: the states before and after the move, its agent and its meaning."""

    before: State | None
    after: State
    by: str
    meaning: str


LEGAL: Final = MappingProxyType(
    {
        Move.ENQUEUE: Arrow(None, State.PENDING, "caller", "stored and acknowledged"),
        Move.START: Arrow(
            State.PENDING,
            State.RUNNING,
            "decorated worker, loop, completion",
            "it gets a start number, a deadline, its maker's token and the digest of a nonce; code runs next, or completion ends it",
        ),
        Move.CLAIM: Arrow(
            State.RUNNING,
            State.RUNNING,
            "decorated worker",
            "only this invocation runs the user's code for this start",
        ),
        Move.FINISH: Arrow(
            State.RUNNING,
            State.FINISHED,
            "completion",
            "it succeeded; or it failed or was canceled, and no attempt follows",
        ),
        Move.RETRY: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion",
            "an attempt is spent, and another follows after a delay",
        ),
        Move.PUT_BACK: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion, loop",
            "requeued: the start was never delivered, and no attempt is spent",
        ),
        Move.SNOOZE: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion",
            "its code asked to run again later; this start is over, and no attempt is spent",
        ),
        Move.CANCEL: Arrow(State.PENDING, State.FINISHED, "caller, loop", "it never starts again"),
        Move.EXPIRE: Arrow(
            State.PENDING, State.FINISHED, "loop", "it failed: its time to start is over"
        ),
        Move.REQUEST_CANCEL: Arrow(
            State.RUNNING,
            State.RUNNING,
            "caller, loop",
            "no attempt follows; the worker can check for the request and stop",
        ),
        Move.SUSPECT: Arrow(
            State.RUNNING,
            State.RUNNING,
            "completion",
            "a failure whose sender may be a duplicate is kept for recovery",
        ),
        Move.FOLLOW: Arrow(
            None,
            State.FINISHED,
            "loop",
            "all members of a group are over; this one stands for the group and owes its callback",
        ),
        Move.BEAT: Arrow(
            State.RUNNING,
            State.RUNNING,
            "decorated worker",
            "it lives, and has a later deadline; or reports its progress",
        ),
    }
)


def leaving(move: Move) -> Condition:
    """Returns the condition that the work item is in the state that the move leaves."""
    before = LEGAL[move].before
    if before is None:
        raise ValueError(f"{move} leaves no state: it needs IsAbsent")
    return Is("state", before)


def entering(move: Move) -> dict[str, object]:
    """Returns the change of state that the move makes."""
    return {"state": LEGAL[move].after}


def has_expired(work: WorkItem, now: EpochMs) -> bool:
    """True if the work item may only expire: no start of it may be made any more [WP-25]."""
    return work.start_before is not None and now >= work.start_before


def may_start_at(work: WorkItem | None, due_at: EpochMs) -> bool:
    """True if a start that is due at this time can be made before the work item expires.

    `None` stands for a work item that is not at hand, which the loop judges when it comes due.
    """
    return work is None or not has_expired(work, due_at)


def this_start(move: Move, start: int, *more: Condition) -> Condition:
    """Returns the condition that the work item is running this very start, and of `more`."""
    return All((leaving(move), Is("starts", start), *more))

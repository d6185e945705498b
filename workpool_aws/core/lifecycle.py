"""Life of a work item: every legal move stands in this one table.

The diagram in the docs, the writes and the tests read it.

```
                cancel
    ┌─────────────────────────────────────────┐
    │       start              finish         ▼
 pending ─────────▶ running ─────────────▶ finished
    ▲                │  ▲ claim, request cancel, suspect
    └────────────────┘  └─┘
     retry, put back, snooze
```

A move happens by one conditional write of the work item's own item; its condition begins with the
state it leaves (`leaving`), and its change with the state it enters (`entering`), so no write can
make a move that is not in the table. No move leaves `finished` [WP-6]. A report about a start is
bound to that start's number (`this_start`): late and duplicate reports find another number or
another state, and change nothing [WP-4].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from workpool_aws.model.work import State
from workpool_aws.model.writes import All, Condition, Is

__all__ = ["LEGAL", "Arrow", "Move", "entering", "leaving", "this_start"]


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
    REQUEST_CANCEL = "request_cancel"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One row of the table: from where to where, who moves it, and what that means."""

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
            "loop",
            "a new start number, a deadline, the loop's token, the digest of a nonce; then the worker is invoked",
        ),
        Move.CLAIM: Arrow(
            State.RUNNING,
            State.RUNNING,
            "decorated worker",
            "this invocation, and no other, runs the user's code for this start",
        ),
        Move.FINISH: Arrow(
            State.RUNNING,
            State.FINISHED,
            "completion",
            "success; failure, or canceled, without a further attempt",
        ),
        Move.RETRY: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion",
            "an attempt is spent, another one follows after a delay",
        ),
        Move.PUT_BACK: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion, loop",
            "the start was never delivered: no attempt is spent",
        ),
        Move.SNOOZE: Arrow(
            State.RUNNING,
            State.PENDING,
            "completion",
            "its code asked to be run again later: this start is over, no attempt is spent",
        ),
        Move.CANCEL: Arrow(
            State.PENDING, State.FINISHED, "caller, loop", "canceled: it never starts again"
        ),
        Move.REQUEST_CANCEL: Arrow(
            State.RUNNING,
            State.RUNNING,
            "caller, loop",
            "no further attempt; the worker may look, and stop by itself",
        ),
        Move.SUSPECT: Arrow(
            State.RUNNING,
            State.RUNNING,
            "completion",
            "a failure whose sender may be a duplicate is kept for recovery to use",
        ),
    }
)


def leaving(move: Move) -> Condition:
    """The condition that a work item is where the move begins."""
    before = LEGAL[move].before
    if before is None:
        raise ValueError(f"{move} leaves no state: it needs IsAbsent")
    return Is("state", before)


def entering(move: Move) -> dict[str, object]:
    """The change of state that the move makes."""
    return {"state": LEGAL[move].after}


def this_start(move: Move, start: int, *more: Condition) -> Condition:
    """The condition that the work item is running this very start."""
    return All((leaving(move), Is("starts", start), *more))

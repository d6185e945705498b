"""Counts the events without which the silence of a sweep means nothing.

They are every move, every failed condition, and every kind of fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.conditions import EXISTS, parts_of, step_of
from workpool_aws.adapters.items.records import key_of, record_type, ref_of
from workpool_aws.adapters.memory.evaluate import holds
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.core.lifecycle import LEGAL, Move
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model.writes import Put, Update, Write

__all__ = ["SELDOM", "Coverage"]

_MOVES: Final = {
    "enqueue": Move.ENQUEUE,
    "redrive": Move.ENQUEUE,
    "start": Move.START,
    "start by worker": Move.START,
    "start for worker": Move.START,
    "claim": Move.CLAIM,
    "finish": Move.FINISH,
    "end as canceled": Move.FINISH,
    "retry": Move.RETRY,
    "put back": Move.PUT_BACK,
    "snooze": Move.SNOOZE,
    "cancel": Move.CANCEL,
    "expire": Move.EXPIRE,
    "request cancel": Move.REQUEST_CANCEL,
    "suspect": Move.SUSPECT,
    "follow": Move.FOLLOW,
    "beat": Move.BEAT,
    "progress": Move.BEAT,
}

SELDOM: Final = frozenset(
    f"{step}: {part}"
    for step, parts in {
        "redrive": ("absent",),  # two random ids would have to be the same
        "mark as redriven": (
            "state",
            "outcome",
        ),  # a work item that was read as failed stays so [WP-6]
        "start": ("cancel_requested", "rev"),
        "start for worker": ("state", "starts", "cancel_requested", "permit"),
        "claim": ("state", "starts", "proof", "claim"),
        "finish": ("starts", "proof", "claim"),
        "retry": ("starts", "proof"),
        "put back": ("starts", "proof", "claim"),
        "snooze": ("state", "starts", "proof", "claim", "claim or deadline"),
        "suspect": ("state", "starts", "proof", "claim"),
        "beat": ("state", "starts", "proof", "claim", "deadline"),
        "progress": ("state", "starts", "proof"),
        "end as canceled": (
            "state",
            "starts",
            "proof",
            "cancel_requested",
            "claim",
            "claim or deadline",
        ),
        "recover: finish": ("state", "starts", "proof", "deadline", "claim"),
        "recover: retry": ("state", "starts", "proof", "deadline", "claim", "cancel_requested"),
        "recover: end as canceled": (
            "state",
            "starts",
            "proof",
            "deadline",
            "claim",
            "cancel_requested",
        ),
        # two callers that change one schedule at an instant
        "put ScheduleItem": ("absent", "version", "next_at", "waiting"),
        # a change of the config, or another loop, between a caller's look and its commit
        "commit as guest": ("version", "generation"),
        # a change, or another loop, in the milliseconds between a loop's look and its write
        "fire": ("next_at", "version", "paused", "waiting"),
        "count a dropped occurrence": ("born",),
        "count ends": ("version",),  # two loops that count ends of one group at an instant
        "follow": ("absent",),  # its id would have to be taken
        "put Void": ("absent",),  # a member that is stored while its group is canceled
        "callback delivered": ("callback_nonce",),
        "callback pending": ("callback_nonce",),
        "callback dead": ("callback",),  # an acknowledgement after twelve tries in forty minutes
        "cancel": (
            "epoch",
        ),  # a caller that hears of a cancel_all while the loop comes to its work
        "request cancel": ("epoch",),
        "redeliver the callback": (
            "callback",
        ),  # two redrives of one dead callback at the same time
        "put Deployment": (
            "version",
        ),  # two watchdogs, or one that repeats itself after a lost answer
        # only some scenarios have keys
        "put UniqueLock": ("absent", "work_id"),
        "put RequestMark": ("absent", "work_id"),
        "let a lock expire": ("work_id",),
        "replace": ("state", "starts", "cancel_requested", "rev"),
        "clear postponed": ("state", "due_at"),
        "hand over": ("state", "generation"),
        "renew the lease": ("state",),
    }.items()
    for part in parts
)
"""Parts that a sweep need not see fail: only two or three faults in one narrow gap make them false.
Each has a case of its own in `test_conditions`."""


@dataclass(slots=True)
class Coverage:
    """The writes that were tried and applied, and the parts of their conditions that did not hold."""

    tried: Counter[str] = field(default_factory=Counter)
    """By "step: part"."""
    applied: Counter[str] = field(default_factory=Counter)
    """By step."""
    failed: Counter[str] = field(default_factory=Counter)
    """By "step: part"."""
    faults: Counter[str] = field(default_factory=Counter)

    def saw(self, write: Write, *, applied: bool, store: MemoryStore) -> None:
        """A write was carried out, or refused as the table stands."""
        step, parts = step_of(write), parts_of(write)
        self.tried.update(f"{step}: {name}" for name in parts)
        if applied:
            self.applied[step] += 1
            return
        ref = ref_of(write.record) if isinstance(write, Put) else write.ref
        item, _ = store._find(key_of(ref))
        if item is None and isinstance(write, Update):
            self.failed[f"{step}: {EXISTS}"] += 1
        kind = record_type(ref)
        self.failed.update(
            f"{step}: {name}" for name, part in parts.items() if not holds(part, kind, item)
        )

    def add(self, other: Coverage) -> None:
        """Both together."""
        for mine, theirs in (
            (self.tried, other.tried),
            (self.applied, other.applied),
            (self.failed, other.failed),
            (self.faults, other.faults),
        ):
            mine.update(theirs)

    @property
    def moves(self) -> Counter[str]:
        """Moves of the lifecycle's table that were made."""
        made: Counter[str] = Counter()
        for step, count in self.applied.items():
            move = _MOVES.get(step.removeprefix("recover: "))
            if move is not None:
                made[move] += count
        return made

    def missing(self) -> list[str]:
        """Return the events that are missing. With any of them, a sweep without a violation says too little."""
        return [
            *(f"no work ever made the move {move}" for move in LEGAL if move not in self.moves),
            *(f"no {kind} ever struck" for kind in Fault if kind not in self.faults),
            *(
                f"{part} was always true"
                for part in sorted(self.tried)
                if part not in self.failed and part not in SELDOM
            ),
        ]

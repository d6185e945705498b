"""Names writes and the parts of their conditions.

Coverage counts failed parts by these names, and a mutant leaves one out.

A part is named by the field that it asks about, so "commit: version" is the fence of the ledger.
The parts of one condition hold together; an `Either` is one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, assert_never

from workpool_aws.model.loop import LoopState
from workpool_aws.model.record import Record
from workpool_aws.model.refs import (
    ChunkRef,
    ConfigRef,
    DeploymentRef,
    GroupRef,
    LedgerPageRef,
    LedgerRef,
    MinuteReportRef,
    NoticeRef,
    PointerRef,
    RegistrationRef,
    ScheduleRef,
    StatusRef,
    TickRef,
    UniqueRef,
    WorkRef,
)
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import (
    Above,
    All,
    Below,
    Condition,
    Either,
    Is,
    IsAbsent,
    IsNot,
    Put,
    Update,
    Write,
)

__all__ = ["EXISTS", "leaving_out", "parts_of", "step_of", "weakened"]

EXISTS: Final = "exists"
"""The part that every update has: it never creates an item."""

_A_NUMBER: Final = Above("version", -1)
_left_out: list[tuple[str, str]] = []


def step_of(write: Write) -> str:
    """Which write of the protocol this is."""
    if isinstance(write, Put):
        return _step_of_put(write.record)
    match write.ref:
        case WorkRef():
            judged = any(
                part == Is("deadline", getattr(part, "value", None))
                for part in _flat(write.condition)
            )
            return f"{'recover: ' if judged else ''}{_step_of_work(write)}"
        case LedgerRef():
            return _step_of_ledger(write)
        case StatusRef():
            return _step_of_status(write)
        case ConfigRef():
            return "configure"
        case ChunkRef() | UniqueRef():
            return "expire a chunk" if isinstance(write.ref, ChunkRef) else "let a lock expire"
        case ScheduleRef():
            return "count a dropped occurrence" if write.add else "fire"
        case GroupRef():
            return "count ends" if write.add else "all members are stored"
        case (
            PointerRef()
            | TickRef()
            | NoticeRef()
            | MinuteReportRef()
            | RegistrationRef()
            | DeploymentRef()
            | LedgerPageRef()
        ):
            raise ValueError(f"nobody updates a {type(write.ref).__name__}")
        case _:
            assert_never(write.ref)


def _step_of_put(record: Record) -> str:
    if not isinstance(record, WorkItem):
        return f"put {type(record).__name__}"
    if record.state is State.FINISHED:
        return "follow"
    return "enqueue" if record.redrive_of is None else "redrive"


def _step_of_start(write: Update) -> str:
    permitted = any(
        isinstance(part, Is) and part.field == "permit" for part in _flat(write.condition)
    )
    if not permitted:
        return "start"
    return "start for worker" if write.set["claim"] is None else "start by worker"


def _step_of_ledger(write: Update) -> str:
    if "committed_by" in write.set:
        return "commit" if "shards" in write.set else "commit as guest"
    return "take hold" if "holder" in write.set else "bump the ledger"


def _step_of_work(write: Update) -> str:
    changes = write.set
    if "redriven_as" in changes:
        return "mark as redriven"
    if changes.get("suspected_type") is not None:
        return "suspect"
    if "starts" in changes:
        return _step_of_start(write)
    if changes.get("claim") is not None:
        return "claim"
    told = changes.keys() & {"progress", "beat_at"}
    if told:
        return "progress" if "progress" in told else "beat"
    return _step_of_change(changes)


def _step_of_change(changes: Mapping[str, object]) -> str:
    if "cancel_requested" in changes:
        return "request cancel"
    if "outcome" in changes:
        return _step_of_end(changes)
    if not changes.keys().isdisjoint({"epoch", "postponed"}):
        return _step_of_pending(changes)
    if "dead" in changes and changes["callback"] is CallbackState.PENDING:
        return "redeliver the callback"
    if "callback" in changes:
        return f"callback {changes['callback']}"
    return "snooze" if changes.get("snoozes") else "put back" if changes["undelivered"] else "retry"


def _step_of_pending(changes: Mapping[str, object]) -> str:
    if "rev" in changes:
        return "replace"
    return "clear postponed" if "postponed" in changes else "move into the epoch"


def _step_of_end(changes: Mapping[str, object]) -> str:
    if changes.get("error_type") == "expired":
        return "expire"
    if changes["outcome"] is not Outcome.CANCELED:
        return "finish"
    return "end as canceled" if "attempts_made" in changes else "cancel"


def _step_of_status(write: Update) -> str:
    if "epoch" in write.add:
        return "raise the epoch"
    if "state" not in write.set:
        return "hand over" if "generation" in write.set else "renew the lease"
    if write.set["state"] is not LoopState.RUNNING:
        return "rest"
    return (
        "kick"
        if any(
            isinstance(part, Is) and part.field == "lease_until" for part in _flat(write.condition)
        )
        else "take back"
    )


def parts_of(write: Write) -> dict[str, Condition]:
    """The parts of its condition, by name; but for what any ledger of ours meets, whose version is a number."""
    return {_named(part): part for part in _flat(write.condition) if part != _A_NUMBER}


def _flat(condition: Condition | None) -> tuple[Condition, ...]:
    match condition:
        case None:
            return ()
        case All():
            return tuple(part for each in condition.parts for part in _flat(each))
        case _:
            return (condition,)


def _named(part: Condition) -> str:
    match part:
        case IsAbsent():
            return "absent"
        case Is() | IsNot() | Below() | Above():
            return part.field
        case Either():
            return " or ".join(dict.fromkeys(_named(each) for each in part.parts))
        case All():
            raise AssertionError("flattened before")
        case _:
            assert_never(part)


@contextmanager
def leaving_out(step: str, part: str) -> Iterator[None]:
    """Inside, `weakened` drops this part of this step's condition."""
    _left_out.append((step, part))
    try:
        yield
    finally:
        _left_out.remove((step, part))


def weakened(write: Write) -> Condition | None:
    """The condition of a write without what is left out just now: what a table in memory is made to go by."""
    if not _left_out:
        return write.condition
    step = step_of(write)
    kept = tuple(part for name, part in parts_of(write).items() if (step, name) not in _left_out)
    return All(kept) if kept else None

"""Sends the callbacks that the ledger owes, and gives up those that no try delivers [WP-8]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.loop.callbacks import (
    CallbackStep,
    due_callbacks,
    judge_owed,
    take_over,
    without,
)
from workpool_aws.flow.callback import deliver, give_up
from workpool_aws.flow.chunks import let_expire
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import NoticeRef, WorkRef, readable
from workpool_aws.model.work import CallbackState, WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.core.loop.settle import Notices
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import EntryKey, PendingCallback
    from workpool_aws.ports import Ports

__all__ = ["Callbacks", "act_on", "look_at_callbacks"]


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Plan of a pass for callbacks."""

    owed: tuple[PendingCallback, ...]
    """For the ledger."""
    sends: tuple[tuple[PendingCallback, WorkItem], ...]
    gives_up: tuple[tuple[PendingCallback, WorkItem], ...]
    spent: tuple[NoticeRef, ...]
    """Records that the ledger stands for once it is committed."""
    blocked: tuple[str | None, ...]
    """For each shard, the first record that found no room in the ledger; `None` means all did."""


def look_at_callbacks(
    hold: LoopSession,
    reports: Sequence[Notices],
    settled: Sequence[EntryKey],
    dropped: Sequence[WorkItem],
    now: EpochMs,
) -> Callbacks:
    """Return the plan of a pass for callbacks.

    Those that notices and dropped entries owe are taken over. The due ones are judged by their work
    items.

    `dropped`: work items whose entry was found to be over without a notice.
    """
    marks = zip(hold.ledger.shards, reports, strict=True)
    shards = [(mark.done_cursor, report.records) for mark, report in marks]
    taken = take_over(hold.memory.callbacks, dropped, shards, settled, now)
    held, steps = _judge_due(hold, taken.callbacks, now)
    return Callbacks(
        owed=tuple(held.values()),
        sends=tuple(steps[CallbackStep.SEND]),
        gives_up=tuple(steps[CallbackStep.GIVE_UP]),
        spent=tuple(NoticeRef(hold.pool, at) for at in taken.spent),
        blocked=taken.blocked,
    )


def _judge_due(
    hold: LoopSession, taken: Mapping[WorkId, PendingCallback], now: EpochMs
) -> tuple[
    Mapping[WorkId, PendingCallback],
    Mapping[CallbackStep, Sequence[tuple[PendingCallback, WorkItem]]],
]:
    """Return the callbacks that the ledger holds from now on, and the due ones by their step."""
    held = dict(taken)
    due = due_callbacks(held.values(), now)
    works = (
        hold.ports.store.get_many([WorkRef(hold.pool, owed.work_id) for owed in due]) if due else {}
    )
    steps: dict[CallbackStep, list[tuple[PendingCallback, WorkItem]]] = {
        step: [] for step in CallbackStep
    }
    for owed in due:
        work = readable(works.get(WorkRef(hold.pool, owed.work_id)))
        verdict = judge_owed(owed, work, window_ms=_window_ms(hold.ports, work), now=now)
        if work is not None and verdict.owed is not None:
            held[owed.work_id] = verdict.owed
            steps[verdict.step].append((verdict.owed, work))
            continue
        del held[owed.work_id]
        if work is not None:
            # An acknowledgement leaves the chunks alone, and a process that delivered may have died
            # before it let them expire.
            let_expire(hold.ports.store, overdue_expiries(work))
    return held, steps


def act_on(hold: LoopSession, callbacks: Callbacks) -> None:
    """Send, give up, and delete the records that the ledger stands for, after its commit.

    A delivered callback leaves the ledger with the next commit. A failed one stays there, with the
    time of its next try.
    """
    ports = hold.ports
    over = []
    states = ports.fan_out(lambda one: deliver(ports, one[1]), callbacks.sends)
    changed: dict[str, PendingCallback] = {}
    for (owed, work), state in zip(callbacks.sends, states, strict=True):
        if state is CallbackState.SENT:
            changed[work.id] = replace(
                owed, at=EpochMs(ports.clock.now() + limits.CALLBACK_LOOK_MS)
            )
        elif state is not CallbackState.PENDING:
            over.append(work.id)
    for _, hopeless in callbacks.gives_up:
        if (
            give_up(ports, hopeless, f"not delivered in {limits.CALLBACK_TRIES_MAX} tries")
            is not CallbackState.PENDING
        ):
            over.append(hopeless.id)
    left = without(hold.memory.callbacks, over)
    hold.memory = replace(
        hold.memory, callbacks=tuple(changed.get(owed.work_id, owed) for owed in left)
    )
    for ref in callbacks.spent:
        ports.store.delete(ref)


def _window_ms(ports: Ports, work: WorkItem | None) -> int:
    """Return the time after a send in which its handler may still be to come, or run."""
    if work is None or work.on_complete is None or work.callback is not CallbackState.SENT:
        return 0
    function = ports.invoker.limits(work.on_complete)
    return function.event_age_ms + function.timeout_ms + limits.RECOVERY_MARGIN_MS

"""Carries out a pass's part in callbacks: takes over what is owed, sends what is due, and gives up [WP-8]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.loop.callbacks import (
    CallbackStep,
    first_owed,
    judge_owed,
    newly_owed,
    without,
)
from workpool_aws.flow.callback import deliver, give_up
from workpool_aws.flow.chunks import let_expire
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import NoticeRef, Ref, Unreadable, WorkRef, readable
from workpool_aws.model.work import CallbackState, WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.flow.reading import Reports
    from workpool_aws.model.loop import EntryKey, PendingCallback
    from workpool_aws.ports import (
        Ports,
    )


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
    reports: Sequence[Reports],
    settled: Sequence[EntryKey],
    dropped: Sequence[WorkItem],
    now: EpochMs,
) -> Callbacks:
    """Take over the callbacks that done records and dropped entries tell of, and judge those whose time has come by their works.

    `dropped`: works whose entry was found to be over without a done record.
    """
    held = {owed.work_id: owed for owed in hold.memory.callbacks}
    for work in dropped:
        if work.callback is not None and is_owed(work):
            held.setdefault(work.id, first_owed(work.id, work.callback, now))
    spent: list[NoticeRef] = []
    blocked: list[str | None] = []
    for mark, report in zip(hold.ledger.shards, reports, strict=True):
        room = limits.CALLBACKS_OWED_MAX - len(held)
        new = newly_owed(report.records, held, settled, cursor=mark.done_cursor, room=room, now=now)
        held |= {owed.work_id: owed for owed in new.callbacks}
        spent += [NoticeRef(hold.pool, at) for at in new.spent]
        blocked.append(new.blocked_at)
    due = sorted((owed for owed in held.values() if owed.at <= now), key=lambda owed: owed.at)[
        : limits.CALLBACKS_A_PASS
    ]
    works = _works(hold, due)
    sends: list[tuple[PendingCallback, WorkItem]] = []
    gives_up: list[tuple[PendingCallback, WorkItem]] = []
    for owed in due:
        owing = readable(works.get(WorkRef(hold.pool, owed.work_id)))
        verdict = judge_owed(owed, owing, window_ms=_window_ms(hold.ports, owing), now=now)
        if owing is None or verdict.owed is None:
            if owing is not None:
                # An acknowledgement leaves that to whoever sees it; and who delivered it may have
                # died before.
                let_expire(hold.ports.store, overdue_expiries(owing))
            del held[owed.work_id]
            continue
        held[owed.work_id] = verdict.owed
        match verdict.step:
            case CallbackStep.SEND:
                sends.append((verdict.owed, owing))
            case CallbackStep.GIVE_UP:
                gives_up.append((verdict.owed, owing))
            case CallbackStep.WAIT | CallbackStep.FORGET:
                pass
            case _:
                assert_never(verdict.step)
    return Callbacks(
        tuple(held.values()), tuple(sends), tuple(gives_up), tuple(spent), tuple(blocked)
    )


def act_on(hold: LoopSession, callbacks: Callbacks) -> None:
    """After the commit: send, give up, and remove the records that the ledger stands for.

    What reached its target leaves the ledger with the next commit; what failed stays there, with
    the time of its next try.
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


def _works(
    hold: LoopSession, due: Sequence[PendingCallback]
) -> Mapping[Ref[WorkItem], WorkItem | Unreadable]:
    refs = [WorkRef(hold.pool, owed.work_id) for owed in due]
    return hold.ports.store.get_many(refs) if refs else {}


def _window_ms(ports: Ports, work: WorkItem | None) -> int:
    """Return the time after a send in which its handler may still be to come, or run."""
    if work is None or work.on_complete is None or work.callback is not CallbackState.SENT:
        return 0
    function = ports.invoker.limits(work.on_complete)
    return function.event_age_ms + function.timeout_ms + limits.RECOVERY_MARGIN_MS

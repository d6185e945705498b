"""Reads the callbacks that are due, and delivers them or gives them up [WP-8]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import (
    CallbackPlan,
    after_delivery,
    due_callbacks,
    plan_callbacks,
    take_over,
)
from workpool_aws.flow.callback.deliver import deliver, give_up
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import CallbackState, WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.core.loop.settle import Notices
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.loop import EntryKey, PendingCallback
    from workpool_aws.ports import Ports

__all__ = ["deliver_callbacks", "owed_callbacks"]


def owed_callbacks(
    session: LoopSession,
    notices: Sequence[Notices],
    settled: Sequence[EntryKey],
    dropped: Sequence[WorkItem],
    now: EpochMs,
) -> CallbackPlan:
    """Returns the plan of a pass for callbacks, from a read of the work items of those due.

    `dropped`: work items whose entry was found to be over without a notice. Raises
    StoreUnavailable.
    """
    if not (session.memory.callbacks or dropped or any(each.records for each in notices)):
        return CallbackPlan((), (None,) * len(notices))
    marks = zip(session.memory.marks, notices, strict=True)
    shards = [(mark.done_cursor, each.records) for mark, each in marks]
    taken = take_over(session.memory.callbacks, dropped, shards, settled, now)
    due = due_callbacks(taken.callbacks.values(), now)
    refs = [WorkRef(session.pool, owed.work_id) for owed in due]
    found = (session.ports.store.get_many(refs) if refs else {}).values()
    works = {work.id: work for work in found if isinstance(work, WorkItem)}
    windows_ms = {work.id: _window_ms(session.ports, work) for work in works.values()}
    return plan_callbacks(session.pool, taken, due, works, windows_ms, now)


def _window_ms(ports: Ports, work: WorkItem) -> int:
    """Returns the time after a send in which its handler may still be to come, or run."""
    target = work.spec.callback_target
    if target is None or work.callback is not CallbackState.SENT:
        return 0
    function = ports.invoker.limits(target)
    return function.event_age_ms + function.timeout_ms + limits.RECOVERY_MARGIN_MS


def deliver_callbacks(ports: Ports, plan: CallbackPlan) -> Mapping[WorkId, PendingCallback | None]:
    """Sends callbacks and gives up others, and returns each as it stands after that.

    `None` stands for one that needs nothing more. Never raises: a failed one stays as it is, with
    the time of its next try.
    """
    states = ports.fan_out(lambda send: deliver(ports, send.work), plan.sends)
    now = ports.clock.now()
    after = {
        send.work.id: after_delivery(send.owed, state, now)
        for send, state in zip(plan.sends, states, strict=True)
    }
    reason = f"not delivered in {limits.CALLBACK_TRIES_MAX} tries"
    for hopeless in plan.gives_up:
        left = give_up(ports, hopeless.work, reason) is CallbackState.PENDING
        after[hopeless.work.id] = hopeless.owed if left else None
    return after

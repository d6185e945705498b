"""Decides the answer to `why` from a work item and the records of its pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.views.instants import instant, stamp
from workpool_aws.core.views.why.answer import Why, reason
from workpool_aws.core.views.why.loop import deployment_reason, loop_look
from workpool_aws.core.views.why.starts import Course, recovered_at
from workpool_aws.core.views.why.waits import (
    admission_reason,
    chosen_reason,
    due_reasons,
    expiry_reasons,
    place_reasons,
    waits_since,
)
from workpool_aws.core.work.bulk_cancel import shown
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Ledger
from workpool_aws.model.refs import Unreadable, readable
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from workpool_aws.core.views.why.answer import PoolRecords, WhyReason
    from workpool_aws.core.views.why.loop import LoopLook
    from workpool_aws.model.ids import WorkId

__all__ = ["why_of"]

_UNSEEN: Final = frozenset({"config_damaged", "not_deployed", "paused"})
"""Reasons with which neither the loop nor the watchdog looks for due work items."""


def why_of(
    work_id: str,
    work: WorkItem | Unreadable | None,
    records: PoolRecords,
    holders: Mapping[WorkId, WorkItem],
    *,
    now: EpochMs,
) -> Why:
    """Returns the reasons for which a work item is where it is.

    `holders`: work items of `slot_holders`.
    """
    if isinstance(work, WorkItem) and (work.expires_at is None or work.expires_at * 1000 > now):
        answer = _Question(work, records, holders, now).answer()
        return replace(answer, group=work.spec.group, unique_key=work.spec.unique_terms.name)
    return Why(
        work_id=work_id,
        verdict="unknown",
        reasons=(_unknown(work),),
        since=None,
        next_look=None,
    )


def _unknown(work: WorkItem | Unreadable | None) -> WhyReason:
    if work is None:
        return reason(
            "unknown",
            "This pool has no work item of this id: it was enqueued elsewhere or never, or is "
            "past its retention.",
            "Nothing. Check the table, the pool and the id.",
        )
    if isinstance(work, Unreadable):
        text = f"Its item in the table is damaged: {work.reason}."
        return reason("damaged", text, "Repair or delete the item in the table.", blocks=True)
    when = "" if work.finished_at is None else f" at {stamp(work.finished_at)}"
    text = f"It finished{when} and is past its retention."
    return reason("past_retention", text, "Nothing. DynamoDB deletes it.", since=work.finished_at)


@dataclass(frozen=True, slots=True)
class _Question:
    """A known work item, and the records that say why it is where it is."""

    work: WorkItem
    records: PoolRecords
    holders: Mapping[WorkId, WorkItem]
    now: EpochMs

    def answer(self) -> Why:
        """Returns the reasons for its state."""
        match self.work.state:
            case State.PENDING:
                return self._pending()
            case State.RUNNING:
                return self._running()
            case State.FINISHED:
                return self._finished()
            case _:
                assert_never(self.work.state)

    def _pending(self) -> Why:
        work, now = self.work, self.now
        look = loop_look(self.records, due_at=work.due_at, now=now)
        reasons = self._keeping(look)
        unseen = any(each.code in _UNSEEN for each in reasons)
        return Why(
            work_id=work.id,
            verdict="blocked" if any(each.blocks for each in reasons) else "waiting",
            reasons=tuple(reasons),
            since=instant(work.due_at if work.due_at <= now else waits_since(work)),
            next_look=None if unseen else self._look_at(reasons, look.at),
        )

    def _keeping(self, look: LoopLook) -> list[WhyReason]:
        """Returns the reasons that keep a pending work item, in the order of the loop."""
        work, records, now = self.work, self.records, self.now
        no_loop = [] if look.idles else [look.reason]
        off = self._calling_off()
        if off is not None:
            return [off, *no_loop]
        chosen = chosen_reason(work, records)
        if chosen is not None:
            # A full or paused pool does not hold a start back that has its slot.
            return [chosen, *no_loop, *expiry_reasons(work, now)]
        admission = admission_reason(work, records, self.holders, now=now)
        deployment = deployment_reason(records)
        keeps = [each for each in (admission, deployment) if each is not None]
        # A loop rests in a full or paused pool, which is no reason of its own.
        loop = no_loop if keeps else [look.reason]
        return [
            *place_reasons(work, records),
            *due_reasons(work, now),
            *keeps,
            *loop,
            *expiry_reasons(work, now),
        ]

    def _calling_off(self) -> WhyReason | None:
        """Returns the reason for which a pending work item never starts; `None` means that it may."""
        work, now = self.work, self.now
        if work.cancel_requested:
            return reason(
                "cancel_requested",
                "Its cancel was requested, so the loop never starts it.",
                "Nothing. Enqueue another work item if it is still wanted.",
                blocks=True,
            )
        config = readable(self.records.config)
        due = replace(work, due_at=min(work.due_at, now))
        taken = Taken((), frozenset(), config)
        if (
            config is None
            or classify(id_floor(due.due_at), due, taken=taken, now=now) is not Look.CALLED_OFF
        ):
            return None
        at = config.epoch_at
        return reason(
            "called_off",
            "A cancel_all came after it was enqueued, so it never starts. The loop cancels it in turn.",
            "Nothing. Enqueue another work item if it is still wanted.",
            since=at,
            blocks=True,
        )

    def _look_at(self, reasons: list[WhyReason], loop_at: EpochMs) -> datetime:
        """Returns the time of the next look: in a full pool, when a start can be recovered."""
        ledger, now = self.records.ledger, self.now
        first = reasons[0]
        if first.code == "chosen" and first.until is not None:
            return first.until
        limited = next((each.until for each in reasons if each.code == "rate_limited"), None)
        if limited is not None:
            return limited
        if isinstance(ledger, Ledger) and any(each.code == "slots_taken" for each in reasons):
            deadline = min((entry.deadline for entry in ledger.entries.values()), default=now)
            return instant(EpochMs(max(now, deadline + limits.RECOVERY_MARGIN_MS)))
        return instant(loop_at)

    def _running(self) -> Why:
        records, now = self.records, self.now
        work = shown(self.work, readable(records.config))
        reasons = Course(work, records, now).running()
        at = recovered_at(work) or now
        look = loop_look(records, due_at=max(at, now), now=now)
        if not look.idles:
            reasons.append(look.reason)
        return Why(
            work_id=work.id,
            verdict="running",
            reasons=tuple(reasons),
            since=None if work.started_at is None else instant(work.started_at),
            next_look=instant(max(at, now) if look.idles else look.at),
        )

    def _finished(self) -> Why:
        work = self.work
        reasons = Course(work, self.records, self.now).finished()
        owed = next((each for each in reasons if each.code.startswith("callback_")), None)
        is_open = work.callback in (CallbackState.PENDING, CallbackState.SENT)
        return Why(
            work_id=work.id,
            verdict="finished",
            reasons=tuple(reasons),
            since=None if work.finished_at is None else instant(work.finished_at),
            next_look=owed.until if owed is not None and is_open else None,
        )

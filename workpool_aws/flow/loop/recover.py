"""Checks work items with uncertain entries, and recovers starts without report [WP-14, WP-21]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.loop.recover import Begin, Drop, Keep, Recover, judge_entry, lost_report
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire
from workpool_aws.flow.report.complete import complete
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import WorkItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.ports import Ports

__all__ = ["Looked", "look_at_entries", "recover"]


@dataclass(frozen=True, slots=True)
class Looked:
    """Result of a check: the entries as they now stand, starts to make, starts to recover."""

    entries: dict[EntryKey, Entry]
    begins: tuple[tuple[EntryKey, WorkItem], ...]
    recovers: tuple[tuple[EntryKey, Recover], ...]
    understood: frozenset[EntryKey]
    dropped: tuple[WorkItem, ...]
    """Works whose start was found to be over although nobody reported it to the loop."""


def look_at_entries(
    hold: LoopSession, memory: Memory, entries: Mapping[EntryKey, Entry], now: EpochMs
) -> Looked:
    """Judge uncertain entries, and those past deadline and margin, by their work items."""
    overdue = {
        key for key, entry in entries.items() if now > entry.deadline + limits.RECOVERY_MARGIN_MS
    }
    asked = sorted(memory.unconfirmed.intersection(entries) | overdue)
    left = dict(entries)
    if not asked:
        return Looked(left, (), (), frozenset(), ())
    refs = list(dict.fromkeys(WorkRef(hold.pool, key.work_id) for key in asked))
    found = hold.ports.store.get_many(refs)
    begins: list[tuple[EntryKey, WorkItem]] = []
    recovers: list[tuple[EntryKey, Recover]] = []
    dropped: list[WorkItem] = []
    for key in asked:
        work = found.get(WorkRef(hold.pool, key.work_id))
        verdict = judge_entry(
            key,
            work,
            deadline=entries[key].deadline,
            token=hold.token,
            sent=key in memory.sent,
            now=now,
        )
        match verdict:
            case Begin():
                begins.append((key, verdict.work))
            case Keep():
                left[key] = Entry(verdict.deadline, confirmed=True)
            case Recover():
                recovers.append((key, verdict))
            case Drop():
                if verdict.point_at is not None:
                    # Its report was not seen, so neither was its pointer: without a fresh one the
                    # work could stay out of sight.
                    put_pointer(hold.ports, hold.pool, key.work_id, verdict.point_at)
                if isinstance(work, WorkItem):
                    # Who finished it may have died before its chunks were allowed to expire.
                    let_expire(hold.ports.store, overdue_expiries(work))
                    dropped.append(work)
                del left[key]
            case _:
                assert_never(verdict)
    begun = {key for key, _ in begins}
    return Looked(
        left,
        tuple(begins),
        tuple(recovers),
        frozenset(key for key in asked if key not in begun),
        tuple(dropped),
    )


def recover(ports: Ports, key: EntryKey, verdict: Recover) -> Entry:
    """End a start that can no longer be running; its done record settles the entry.

    The entry to look at again until then.
    """
    claims = ports.invoker.limits(verdict.work.target).claims
    try:
        report = lost_report(verdict.work, target_claims=claims)
        if complete(
            ports,
            assignment_of(verdict.work, ports.table),
            report,
            by="recovery",
            judged=verdict.judged,
        ):
            ports.telemetry.emit(
                events.Recovered(pool=verdict.work.pool, work_id=key.work_id, start=key.start)
            )
    except StoreUnavailable:
        pass  # judged again when the entry's new deadline has passed
    return Entry(
        EpochMs(ports.clock.now() + limits.RECHECK_MS - limits.RECOVERY_MARGIN_MS), confirmed=True
    )

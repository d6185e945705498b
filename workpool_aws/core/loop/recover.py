"""Judges entries of the ledger by their work items [WP-14].

The table is trusted, not the loop's memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.loop.effects import Expire, Point, ShowSpawned, after_end
from workpool_aws.core.loop.runs import patience_over_at
from workpool_aws.core.report.complete import Judged
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.refs import Unreadable

__all__ = [
    "Begin",
    "Checked",
    "Drop",
    "Keep",
    "Recover",
    "Verdict",
    "check",
    "judge_entry",
    "lost_report",
    "mates_of",
    "suspects_among",
]


@dataclass(frozen=True, slots=True)
class Begin:
    """Committed and never sent: start it (if it is pending) and invoke."""

    work: WorkItem


@dataclass(frozen=True, slots=True)
class Keep:
    """It runs, or may run: keep the slot until this deadline."""

    deadline: EpochMs


@dataclass(frozen=True, slots=True)
class Recover:
    """It can no longer be running and never reported, or no worker made it. End it by a report.

    An effect after the commit. Repaired by a later pass: the entry stays in the ledger, and its
    deadline has passed.
    """

    work: WorkItem
    judged: Judged | None
    """The state that was judged; `None` means that no worker made the start."""

    @property
    def key(self) -> EntryKey:
        """The start."""
        return EntryKey(self.work.id, self.work.starts + (1 if self.judged is None else 0))


@dataclass(frozen=True, slots=True)
class Drop:
    """The start is over: free the slot.

    `point_at`: the work item is pending again and its pointer may be out of sight, so write a fresh
    one first. `None` means that none is needed.
    """

    point_at: EpochMs | None

    def before(
        self, pool: str, work_id: WorkId, work: WorkItem | None
    ) -> list[Point | Expire | ShowSpawned]:
        """Returns the effects without which the entry may not be dropped."""
        # Its notice was not seen, so neither was its pointer. Without a fresh one the work item
        # could stay out of sight.
        point = [] if self.point_at is None else [Point(pool, work_id, self.point_at)]
        return [*point, *([] if work is None else after_end(work))]


Verdict = Begin | Keep | Recover | Drop


@dataclass(frozen=True, slots=True)
class Checked:
    """Entries of the ledger after a check of the suspects among them.

    `begins`: committed starts that were never sent. `understood`: suspects that need no further
    check now. `dropped`: work items whose start is over, though no notice said so.
    """

    entries: Mapping[EntryKey, Entry]
    begins: tuple[tuple[EntryKey, WorkItem], ...] = ()
    recovers: tuple[Recover, ...] = ()
    before: tuple[Point | Expire | ShowSpawned, ...] = ()
    """Effects that come before the commit, in order."""
    understood: frozenset[EntryKey] = frozenset()
    dropped: tuple[WorkItem, ...] = ()


def suspects_among(
    entries: Mapping[EntryKey, Entry], memory: Memory, now: EpochMs
) -> tuple[EntryKey, ...]:
    """Returns the entries to check: those not confirmed, and those past deadline and margin [WP-21].

    Of those past it, the earliest: a pass recovers only some, and each look is a read.
    """
    overdue = sorted(
        (entry.deadline, key)
        for key, entry in entries.items()
        if now > entry.deadline + limits.RECOVERY_MARGIN_MS
    )
    looked_at = {key for _, key in overdue[: limits.OVERDUE_A_PASS]}
    return tuple(sorted(memory.unconfirmed.intersection(entries) | looked_at))


def mates_of(
    entries: Mapping[EntryKey, Entry], suspects: Sequence[EntryKey]
) -> tuple[EntryKey, ...]:
    """Returns the suspects with all starts of their runs."""
    runs = {entries[key].run for key in suspects} - {None}
    mates = {key for key, entry in entries.items() if entry.run in runs} if runs else set()
    return tuple(sorted(mates.union(suspects)))


def check(
    entries: Mapping[EntryKey, Entry],
    suspects: Sequence[EntryKey],
    works: Mapping[WorkId, WorkItem],
    memory: Memory,
    *,
    token: str,
    now: EpochMs,
) -> Checked:
    """Judges each suspect by its work item, and keeps the other entries.

    `works`: the work items that exist and can be read. `token`: this loop invocation's.
    """
    left, suspects = dict(entries), _judged_now(suspects, works)
    begins: list[tuple[EntryKey, WorkItem]] = []
    recovers: list[Recover] = []
    before: list[Point | Expire | ShowSpawned] = []
    dropped: list[WorkItem] = []
    for key in suspects:
        work = works.get(key.work_id)
        entry = entries[key]
        sent = key in memory.sent or entry.confirmed
        verdict = judge_entry(key, work, deadline=entry.deadline, token=token, sent=sent, now=now)
        if entry.run is not None and _is_unmade(key, work):
            verdict = _RunState.of(entry.run, entries, works).judge(
                verdict, key, entry, sent=sent, now=now
            )
        match verdict:
            case Begin():
                begins.append((key, verdict.work))
            case Keep():
                left[key] = replace(entry, deadline=verdict.deadline, confirmed=True)
            case Recover():
                recovers.append(verdict)
            case Drop():
                del left[key]
                before += verdict.before(memory.ledger.pool, key.work_id, work)
                dropped += [] if work is None else [work]
            case _:
                assert_never(verdict)
    understood = frozenset(suspects) - {key for key, _ in begins}
    return Checked(left, tuple(begins), tuple(recovers), tuple(before), understood, tuple(dropped))


def _judged_now(
    suspects: Sequence[EntryKey], works: Mapping[WorkId, WorkItem]
) -> Sequence[EntryKey]:
    """Returns the suspects without those of which this pass has no time to look for what they spawned.

    They stay suspects, and the next pass has fewer of them [WP-22].
    """
    with_spawned = [
        key for key in suspects if (work := works.get(key.work_id)) is not None and work.spawned
    ]
    later = frozenset(with_spawned[limits.SPAWNED_A_PASS :])
    return [key for key in suspects if key not in later]


@dataclass(frozen=True, slots=True)
class _RunState:
    """State of a run by its work items."""

    has_begun: bool
    """True if its first start was made, or is over."""
    is_running: bool
    """True if one of its starts runs: the invocation that has the run goes on with it."""
    begun_at: EpochMs | None
    """Time at which its first start was made; `None` means that its entry does not show it."""

    @staticmethod
    def of(
        run: EntryKey, entries: Mapping[EntryKey, Entry], works: Mapping[WorkId, WorkItem]
    ) -> _RunState:
        """Returns the state of the run that begins with this start."""
        mates = [
            (key, work)
            for key, entry in entries.items()
            if entry.run == run and (work := works.get(key.work_id)) is not None
        ]
        # Its first may have left it and have started alone since, under the same key.
        has_first = run in entries and entries[run].run == run
        first = works.get(run.work_id) if has_first else None
        return _RunState(
            begun_at=first.started_at if first and first.starts == run.start else None,
            has_begun=not has_first or not _is_unmade(run, works.get(run.work_id)),
            is_running=any(
                work.state is State.RUNNING and work.starts == key.start for key, work in mates
            ),
        )

    def judge(
        self, verdict: Verdict, key: EntryKey, entry: Entry, *, sent: bool, now: EpochMs
    ) -> Verdict:
        """Returns the verdict on a start that its run has not reached.

        The run is sent again only while none of it runs: its starts share a slot [WP-30]. Patience
        counts from its begin, since its event may wait for a cold function. A work item that was
        replaced since leaves its run: no event can make its start [WP-29], and it starts alone.
        """
        if isinstance(verdict, Begin) and verdict.work.permit is None:
            return Drop(max(now, verdict.work.due_at))
        if isinstance(verdict, Recover) and key != entry.run and not self.has_begun:
            verdict = Keep(patience_over_at(now)) if sent else Begin(verdict.work)
        if isinstance(verdict, Recover) and self.begun_at is not None:
            begun_at = min(now, self.begun_at)  # by its worker's clock, which may be fast
            if now <= begun_at + limits.RUN_PATIENCE_MS:
                return Keep(patience_over_at(begun_at))
        if isinstance(verdict, Begin) and self.is_running:
            return Keep(entry.deadline)
        return verdict


def _is_unmade(key: EntryKey, work: WorkItem | None) -> bool:
    return work is not None and work.state is State.PENDING and work.starts + 1 == key.start


def judge_entry(
    key: EntryKey,
    work: WorkItem | Unreadable | None,
    *,
    deadline: EpochMs,
    token: str,
    sent: bool,
    now: EpochMs,
) -> Verdict:
    """Judges an uncertain entry: a new holder's, one without an answer, or one past its deadline.

    The work item's deadline counts. `deadline` is the entry's, which is used if the item has lost
    its own, or the loop would check again forever. `token` names this loop invocation; `sent` means
    that Lambda has the event of this start, or may have it.
    """
    if not isinstance(work, WorkItem):
        return Drop(None)
    if work.state is State.PENDING and work.starts + 1 == key.start and not work.cancel_requested:
        return _judge_pending(work, deadline=deadline, sent=sent, now=now)
    if work.state is State.RUNNING and work.starts == key.start:
        if work.started_by == token and not sent:
            return Begin(work)
        if work.deadline is not None:
            deadline = work.deadline
        if now > deadline + limits.RECOVERY_MARGIN_MS:
            return Recover(work, Judged(work.deadline, work.claim))
        return Keep(deadline)
    return Drop(max(now, work.due_at) if work.state is State.PENDING else None)


def _judge_pending(work: WorkItem, *, deadline: EpochMs, sent: bool, now: EpochMs) -> Verdict:
    """Judges an entry whose start was not made: its event is on its way, or lost, or was never sent.

    The entry goes only when no event can make the start any more [WP-29].
    """
    if work.rev and work.due_at > now:
        # Replaced since it was chosen. Its pointer is put first, since its row may be behind the
        # cursor, and no event can make the start, since the permit went with the replacement.
        return Drop(work.due_at)
    if work.permit is None:
        return Begin(work)
    if now > deadline + limits.RECOVERY_MARGIN_MS:
        return Recover(work, None)
    return Keep(deadline) if sent else Begin(work)


def lost_report(work: WorkItem, *, target_claims: bool) -> Report:
    """Returns the report of a start that never reported, or was never made [WP-14].

    A claimed work item whose start is unclaimed never ran, if its function is known to claim, so it
    is requeued. Any other may have run. The knowledge about a function comes from the deployment
    alone, and one that is marked wrongly runs each time. It is therefore not requeued again and
    again.
    """
    if work.state is State.PENDING:
        return Report(
            kind=ReportKind.NEVER_DELIVERED, error="no worker began the start before its deadline"
        )
    if (
        work.spec.claimed
        and work.claim is None
        and target_claims
        and work.undelivered < limits.UNCLAIMED_MAX
    ):
        return Report(
            kind=ReportKind.NEVER_DELIVERED, error="no worker claimed the start before its deadline"
        )
    if work.suspected_type is not None:
        return Report(
            kind=ReportKind.FAILED, error=work.suspected_error, error_type=work.suspected_type
        )
    if work.beat_at is not None:
        text = "no heartbeat arrived before the deadline: its worker was lost, or was cut off"
        return Report(kind=ReportKind.FAILED, error=text, error_type="heartbeat_lost")
    text = "no report arrived before the deadline: the function was lost, or its report was"
    return Report(kind=ReportKind.FAILED, error=text, error_type="no_report")

"""Decides which callbacks the ledger holds, when the loop checks each, and when it gives one up."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.loop.effects import Expire, Forget, GiveUp, Send, ShowSpawned, after_end
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import EntryKey, Notice, NoticeKind, PendingCallback
from workpool_aws.model.refs import NoticeRef
from workpool_aws.model.work import CallbackState, WorkItem
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from workpool_aws.model.refs import Unreadable

__all__ = [
    "CallbackPlan",
    "CallbackStep",
    "NewlyOwed",
    "TakenOver",
    "Verdict",
    "after_delivery",
    "after_failure",
    "due_callbacks",
    "first_owed",
    "judge_owed",
    "newly_owed",
    "next_at",
    "next_look",
    "next_try",
    "plan_callbacks",
    "take_over",
]


def first_owed(work_id: WorkId, state: CallbackState, now: EpochMs) -> PendingCallback:
    """Returns a callback with its first check.

    One that was sent gets a moment to be acknowledged.
    """
    at = now if state is CallbackState.PENDING else EpochMs(now + limits.CALLBACK_LOOK_MS)
    return PendingCallback(work_id, at)


@dataclass(frozen=True, slots=True)
class NewlyOwed:
    """Callbacks that notices add to the ledger, or change in it.

    `spent`: keys of the notices that the ledger replaces from its commit on. They are deleted.
    """

    callbacks: tuple[PendingCallback, ...]
    spent: tuple[str, ...]
    blocked_at: str | None
    """The first notice that found no room; the notice cursor must stay below it. `None` means that
    all found room."""

    @property
    def is_something(self) -> bool:
        """True if a pass would act on it."""
        return bool(self.callbacks or self.spent)


def newly_owed(
    records: Sequence[Notice],
    held: Mapping[WorkId, PendingCallback],
    settled: Collection[EntryKey],
    *,
    cursor: str,
    room: int,
    now: EpochMs,
) -> NewlyOwed:
    """Returns the callbacks of these notices of one shard that the ledger lacks, or has otherwise.

    A pass and the read before rest must agree on it, or the loop spins [WP-23]. A notice that owes
    a callback is deleted once the ledger has it, so each one that is seen is new. A notice of a
    sent callback stays. It counts only beyond the cursor, or together with the entry that it
    settles; otherwise each deep read would bring it back.
    """
    found: dict[WorkId, PendingCallback] = {}
    spent: list[str] = []
    for record in records:
        if record.callback is None or not _is_new(record, settled, cursor):
            continue
        known = found.get(record.work_id) or held.get(record.work_id)
        if known is None:
            if len(found.keys() - held.keys()) >= room:
                return NewlyOwed(tuple(found.values()), tuple(spent), record.at)
            fresh = first_owed(record.work_id, record.callback, now)
            found[record.work_id] = (
                after_failure(fresh, now) if record.kind is NoticeKind.CHECK else fresh
            )
        elif record.kind is NoticeKind.CHECK:
            found[record.work_id] = after_failure(known, now)
        elif record.callback is CallbackState.PENDING and known.tries >= limits.CALLBACK_TRIES_MAX:
            # Given up and redriven before the ledger forgot it, so it begins again.
            found[record.work_id] = first_owed(record.work_id, record.callback, now)
        if record.callback is CallbackState.PENDING:
            spent.append(record.at)
    return NewlyOwed(tuple(found.values()), tuple(spent), None)


def _is_new(record: Notice, settled: Collection[EntryKey], cursor: str) -> bool:
    if record.callback is CallbackState.PENDING:
        return True
    return record.at > cursor or EntryKey(record.work_id, record.start) in settled


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Callbacks that the ledger holds once a pass has read the notices."""

    callbacks: Mapping[WorkId, PendingCallback]
    spent: tuple[str, ...]
    """Keys of notices that the ledger replaces from its commit on."""
    blocked: tuple[str | None, ...]
    """For each shard, the first notice that found no room in the ledger; `None` means that all
    did."""


def take_over(
    held: Iterable[PendingCallback],
    dropped: Iterable[WorkItem],
    shards: Iterable[tuple[str, Sequence[Notice]]],
    settled: Collection[EntryKey],
    now: EpochMs,
) -> TakenOver:
    """Adds to the callbacks of the ledger those of dropped entries, then those of notices.

    A callback that the ledger holds keeps its tries. Each shard has the room that those before it
    left. `dropped`: work items whose entry was found to be over without a notice. `shards`: the
    notice cursor and the notices of each.
    """
    callbacks = {owed.work_id: owed for owed in held}
    for work in dropped:
        if work.callback is not None and is_owed(work):
            callbacks.setdefault(work.id, first_owed(work.id, work.callback, now))
    spent: list[str] = []
    blocked: list[str | None] = []
    for cursor, records in shards:
        room = limits.CALLBACKS_OWED_MAX - len(callbacks)
        new = newly_owed(records, callbacks, settled, cursor=cursor, room=room, now=now)
        callbacks |= {owed.work_id: owed for owed in new.callbacks}
        spent += new.spent
        blocked.append(new.blocked_at)
    return TakenOver(callbacks, tuple(spent), tuple(blocked))


def due_callbacks(
    callbacks: Iterable[PendingCallback], now: EpochMs
) -> tuple[PendingCallback, ...]:
    """Returns the due callbacks, the longest due first, as many as one pass checks."""
    due = sorted((owed for owed in callbacks if owed.at <= now), key=lambda owed: owed.at)
    return tuple(due[: limits.CALLBACKS_A_PASS])


class CallbackStep(Enum):
    """Steps of the loop for an owed callback that it has checked."""

    FORGET = auto()
    """Delivered, dead or gone."""
    WAIT = auto()
    """Sent, and its handler may still be running."""
    SEND = auto()
    GIVE_UP = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step, and the ledger's callback from now on; `None` means that it is removed."""

    step: CallbackStep
    owed: PendingCallback | None


def judge_owed(
    owed: PendingCallback, work: WorkItem | Unreadable | None, *, window_ms: int, now: EpochMs
) -> Verdict:
    """Decides on a due callback, and on its next check if this step fails.

    `window_ms`: time in which a handler that was sent the event has run, or never will. It is event
    age, timeout and a margin.
    """
    if not isinstance(work, WorkItem) or not is_owed(work):
        return Verdict(CallbackStep.FORGET, None)
    if work.callback is CallbackState.SENT:
        later = next_look(owed, window_ms=window_ms, now=now)
        if later is not None:
            return Verdict(CallbackStep.WAIT, later)
    again = next_try(owed, now)
    return Verdict(
        CallbackStep.GIVE_UP if owed.tries >= limits.CALLBACK_TRIES_MAX else CallbackStep.SEND,
        again,
    )


@dataclass(frozen=True, slots=True)
class CallbackPlan:
    """Plan of a pass for callbacks.

    `owed`: for the ledger. `blocked`: as `TakenOver` has it. `before`: effects before the commit.
    """

    owed: tuple[PendingCallback, ...]
    blocked: tuple[str | None, ...]
    sends: tuple[Send, ...] = ()
    gives_up: tuple[GiveUp, ...] = ()
    forgets: tuple[Forget, ...] = ()
    before: tuple[Expire | ShowSpawned, ...] = ()


def plan_callbacks(
    pool: str,
    taken: TakenOver,
    due: Iterable[PendingCallback],
    works: Mapping[WorkId, WorkItem],
    windows_ms: Mapping[WorkId, int],
    now: EpochMs,
) -> CallbackPlan:
    """Returns the plan for callbacks, with the due ones judged by their work items.

    `works`: those that exist and can be read. `windows_ms`: as `judge_owed` takes it; 0 where it
    names none.
    """
    held = dict(taken.callbacks)
    sends: list[Send] = []
    gives_up: list[GiveUp] = []
    before: list[Expire | ShowSpawned] = []
    for owed in due:
        work = works.get(owed.work_id)
        verdict = judge_owed(owed, work, window_ms=windows_ms.get(owed.work_id, 0), now=now)
        if work is None or verdict.owed is None:
            del held[owed.work_id]
            # An acknowledgement leaves the chunks alone, and a process that delivered may have died
            # before it let them expire, or before loops could find what it enqueued.
            before += [] if work is None else after_end(work)
            continue
        held[owed.work_id] = verdict.owed
        if verdict.step is CallbackStep.SEND:
            sends.append(Send(verdict.owed, work))
        elif verdict.step is CallbackStep.GIVE_UP:
            gives_up.append(GiveUp(verdict.owed, work))
    return CallbackPlan(
        tuple(held.values()),
        taken.blocked,
        sends=tuple(sends),
        gives_up=tuple(gives_up),
        forgets=tuple(Forget(NoticeRef(pool, at)) for at in taken.spent),
        before=tuple(before),
    )


def after_delivery(
    owed: PendingCallback, state: CallbackState | None, now: EpochMs
) -> PendingCallback | None:
    """Returns a callback after a try; `None` means that the loop has nothing more to do for it.

    `state`: of its work item; `None` means that no callback is wanted, or that the work item is
    gone.
    """
    if state is CallbackState.SENT:
        return replace(owed, at=EpochMs(now + limits.CALLBACK_LOOK_MS))
    return owed if state is CallbackState.PENDING else None


def next_try(owed: PendingCallback, now: EpochMs) -> PendingCallback:
    """Returns the callback with one try more, and the time of the next one if this one fails.

    The delay doubles from 1 s to 10 minutes.
    """
    delay_ms = min(
        limits.CALLBACK_RETRY_MS << min(owed.tries, limits.CALLBACK_TRIES_MAX),
        limits.CALLBACK_RETRY_MS_MAX,
    )
    return PendingCallback(
        owed.work_id, EpochMs(now + delay_ms), tries=min(owed.tries + 1, limits.CALLBACK_TRIES_MAX)
    )


def after_failure(owed: PendingCallback, now: EpochMs) -> PendingCallback:
    """Returns a callback whose handler was reported to have failed.

    It is tried again after the delay that would follow a refusal of its target. That is after the
    next check of a sent one, or no try would ever be delayed by more than that.
    """
    again = next_try(replace(owed, tries=max(0, owed.tries - 1)), now)
    return replace(owed, at=again.at, looks=0)


def next_look(owed: PendingCallback, *, window_ms: int, now: EpochMs) -> PendingCallback | None:
    """Returns the callback with the time of its next check, at growing intervals.

    `None` means that the handler's time is over.
    """
    waited_ms = sum(_look_delay_ms(n) for n in range(owed.looks + 1))
    if waited_ms > window_ms:
        return None
    delay_ms = min(_look_delay_ms(owed.looks + 1), window_ms - waited_ms + 1)
    # A wait that is too long to stay up for must be long enough for a schedule.
    at = now + (
        delay_ms
        if delay_ms <= limits.CALLBACK_LOOK_STAY_MS
        else max(delay_ms, limits.CALLBACK_LOOK_FAR_MS)
    )
    return replace(owed, at=EpochMs(at), looks=owed.looks + 1)


def _look_delay_ms(looks: int) -> int:
    """Returns the delay before check number `looks`, from 0.

    It is half a second, doubling to four seconds, then 70 seconds, doubling.
    """
    quick_ms = limits.CALLBACK_LOOK_MS << looks
    if quick_ms <= limits.CALLBACK_LOOK_STAY_MS:
        return quick_ms
    return limits.CALLBACK_LOOK_FAR_MS * (quick_ms // (2 * limits.CALLBACK_LOOK_STAY_MS))


def next_at(callbacks: Iterable[PendingCallback]) -> EpochMs | None:
    """Returns the time at which the first of them is due; `None` means that there is none."""
    return min((owed.at for owed in callbacks), default=None)

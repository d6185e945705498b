"""Decides what is told to an `on_complete` target, when, how often, and when to give up.

```
 finish, cancel                     a decorated handler ran
 ──────────────▶ pending ──▶ sent ─────────────▶ delivered
                    │          │ ▲ sent again
                    ▲          └─┘
                    │  │       │
                    │  └───────┴──▶ dead      after many tries
                    └────────────────┘        redriven by somebody
```

A sent one whose handler is heard to have failed is pending again: it need not be waited for.

A target that does not acknowledge goes from pending to delivered when it accepted. Each move is one
conditional write of the work item's own item, and touches nothing but the callback, the time to
live and the place among dead letters: what the work item came to stands [WP-6]. The time to live
begins with `delivered` [WP-10]; what is dead is kept for people. Moves may be repeated and doubled:
at least once is what is promised [WP-8].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, assert_never

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.loop import EntryKey, Notice, NoticeKind, PendingCallback
from workpool_aws.model.messages import CallbackMessage, CallbackTicket
from workpool_aws.model.names import MESSAGE_ARN
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.work import CallbackState, Outcome, State, WorkItem, dead_key
from workpool_aws.model.writes import All, Condition, Either, Is, Update

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = [
    "CallbackStep",
    "NewlyOwed",
    "TargetKind",
    "Verdict",
    "after_failure",
    "after_finish",
    "dead_write",
    "delivered_write",
    "expiry_after",
    "failed_write",
    "first_owed",
    "is_forged",
    "is_owed",
    "judge_owed",
    "message_bytes_max",
    "message_of",
    "newly_owed",
    "next_at",
    "next_look",
    "next_try",
    "oversize",
    "record_of_cancel",
    "record_of_failure",
    "record_of_redelivery",
    "redeliver_write",
    "sent_write",
    "target_kind",
    "without",
]

_OPEN: Final = (CallbackState.PENDING, CallbackState.SENT)


class TargetKind(Enum):
    """Kinds of callback targets."""

    FUNCTION = auto()
    QUEUE = auto()
    TOPIC = auto()


def target_kind(target: str) -> TargetKind:
    """A queue and a topic are known by their ARN; anything else is a function."""
    found = MESSAGE_ARN.fullmatch(target)
    if found is None:
        return TargetKind.FUNCTION
    return TargetKind.QUEUE if found["service"] == "sqs" else TargetKind.TOPIC


def oversize(target: str, size_bytes: int) -> str | None:
    """Why a message of so many bytes can never reach its target; `None` means it can."""
    allowed = message_bytes_max(target)
    return (
        f"the callback of {size_bytes} bytes is too large; its target takes at most {allowed} bytes"
        if size_bytes > allowed
        else None
    )


def message_bytes_max(target: str) -> int:
    """Return the bytes that a target accepts at most, context and return value together."""
    kind = target_kind(target)
    match kind:
        case TargetKind.FUNCTION:
            return limits.EVENT_BYTES_MAX
        case TargetKind.QUEUE:
            return limits.QUEUE_MESSAGE_BYTES_MAX
        case TargetKind.TOPIC:
            return limits.TOPIC_MESSAGE_BYTES_MAX
        case _:
            assert_never(kind)


def after_finish(
    wanted: Collection[Outcome],
    outcome: Outcome,
    *,
    nonce: str | None,
    retention_s: int | None,
    now: EpochMs,
) -> Mapping[str, CallbackState | str | int | None]:
    """Return the fields of the finishing write beside the outcome.

    A callback is owed, or the work item may expire; never both [WP-10].

    `nonce`: what the acknowledgement of the callback must name [WP-28].
    """
    expires_at = expiry_after(wanted, outcome, retention_s=retention_s, now=now)
    owed = outcome in wanted
    return {
        "callback": CallbackState.PENDING if owed else None,
        "callback_nonce": nonce if owed else None,
        "expires_at": expires_at,
    }


def expiry_after(
    wanted: Collection[Outcome], outcome: Outcome, *, retention_s: int | None, now: EpochMs
) -> int | None:
    """The time to live of a work item that ends like this, and of its chunks (epoch seconds).

    `None` means that there is none yet, or it is kept for ever.
    """
    return None if outcome in wanted else _expiry(retention_s, now)


def is_owed(work: WorkItem | Unreadable | None) -> bool:
    """True if a finished work item's callback is neither known to be accepted nor given up."""
    return isinstance(work, WorkItem) and work.state is State.FINISHED and work.callback in _OPEN


def message_of(work: WorkItem, table: str, *, acknowledges: bool) -> CallbackMessage:
    """Return the message for a finished work item's target.

    `acknowledges`: its handler is known to say when it ran, so it is told where.
    """
    ticket = None
    if acknowledges:
        ticket = CallbackTicket(
            table=table,
            pool=work.pool,
            work_id=work.id,
            retention_s=work.retention_s,
            nonce=work.callback_nonce,
        )
    return CallbackMessage(
        work_id=work.id,
        context=work.context,
        outcome=work.outcome or Outcome.FAILED,
        result=work.result,
        error=work.error,
        error_type=work.error_type,
        ticket=ticket,
    )


def sent_write(work: WorkItem) -> Update:
    """The target accepted it and will acknowledge; unless it has already."""
    return _move(work.pool, work.id, {"callback": CallbackState.SENT})


def failed_write(ticket: CallbackTicket) -> Update:
    """Its handler did not run to its end: owed again, unless another delivery was acknowledged or it was given up."""
    changes = {"callback": CallbackState.PENDING}
    condition = All((Is("callback_nonce", ticket.nonce), Is("callback", CallbackState.SENT)))
    return Update(ref=WorkRef(ticket.pool, ticket.work_id), set=changes, condition=condition)


def delivered_write(
    pool: str, work_id: WorkId, *, nonce: str | None, retention_s: int | None, now: EpochMs
) -> Update:
    """Nothing more is to come: from now on the work item may expire [WP-10].

    `nonce` is the callback's, by whoever knows it [WP-28].
    """
    changes = {"callback": CallbackState.DELIVERED, "expires_at": _expiry(retention_s, now)}
    return _move(pool, work_id, changes, Is("callback_nonce", nonce))


def is_forged(ticket: CallbackTicket, work: WorkItem | Unreadable | None) -> bool:
    """True for a ticket that names a finished work item, and not the nonce of its callback [WP-28]."""
    return (
        isinstance(work, WorkItem)
        and work.state is State.FINISHED
        and work.callback_nonce != ticket.nonce
    )


def dead_write(work: WorkItem, *, now: EpochMs) -> Update:
    """Given up. No time to live: a dead letter is for people, who find it in the index."""
    return _move(
        work.pool, work.id, {"callback": CallbackState.DEAD, "dead": dead_key(now, work.id)}
    )


def redeliver_write(work: WorkItem) -> Update:
    """Owed again, if it is dead still.

    A failure that nobody has redriven stays among the dead letters, for its own sake.
    """
    failed = work.outcome is Outcome.FAILED and work.redriven_as is None
    dead = dead_key(work.finished_at, work.id) if failed and work.finished_at is not None else None
    changes: dict[str, object] = {"callback": CallbackState.PENDING, "dead": dead}
    return Update(
        ref=WorkRef(work.pool, work.id), set=changes, condition=Is("callback", CallbackState.DEAD)
    )


def _move(pool: str, work_id: WorkId, changes: Mapping[str, object], *more: Condition) -> Update:
    still_open: Condition = Either(tuple(Is("callback", state) for state in _OPEN))
    return Update(
        ref=WorkRef(pool, work_id),
        set=changes,
        condition=All((*more, still_open)) if more else still_open,
    )


def _expiry(retention_s: int | None, now: EpochMs) -> int | None:
    return None if retention_s is None else now // 1000 + retention_s


def record_of_cancel(work: WorkItem, *, now: EpochMs, random_bits: int) -> Notice:
    """The record that has the loop deliver a canceled work item's callback.

    It carries no time to live [WP-10].
    """
    return Notice(
        pool=work.pool,
        at=make_id(now, random_bits=random_bits, shard=shard_of(work.id)),
        work_id=work.id,
        start=work.starts,
        kind=NoticeKind.FINISHED,
        callback=CallbackState.PENDING,
        outcome=Outcome.CANCELED,
    )


def record_of_redelivery(work: WorkItem, *, now: EpochMs, random_bits: int) -> Notice:
    """The record that has the loop deliver again what was given up, with all tries before it.

    It carries no time to live [WP-10].
    """
    # No outcome: this end of the work item was counted when it came.
    return replace(record_of_cancel(work, now=now, random_bits=random_bits), outcome=None)


def record_of_failure(ticket: CallbackTicket, *, now: EpochMs, random_bits: int) -> Notice:
    """The record that has the loop look at a callback sooner than it meant to.

    It carries no time to live [WP-10].
    """
    return Notice(
        pool=ticket.pool,
        at=make_id(now, random_bits=random_bits, shard=shard_of(ticket.work_id)),
        work_id=ticket.work_id,
        start=0,  # of no start: it settles nothing
        kind=NoticeKind.CHECK,
        callback=CallbackState.PENDING,
    )


def first_owed(work_id: WorkId, state: CallbackState, now: EpochMs) -> PendingCallback:
    """Return the loop's first look at a callback.

    One that was sent gets a moment to be acknowledged.
    """
    at = now if state is CallbackState.PENDING else EpochMs(now + limits.CALLBACK_LOOK_MS)
    return PendingCallback(work_id, at)


@dataclass(frozen=True, slots=True)
class NewlyOwed:
    """Callbacks that done records add to the ledger, or change in it.

    `spent`: keys of records that it stands for from its commit on: delete them.
    """

    callbacks: tuple[PendingCallback, ...]
    spent: tuple[str, ...]
    blocked_at: str | None
    """The first record that found no room: the done cursor must stay below it. `None` means all
    found room."""

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
    """The callbacks that these records of one shard tell of, and the ledger does not hold, or not as it should.

    A pass and the look before rest must agree on it, or the loop spins [WP-23]. A record that owes
    a callback is deleted once the ledger has it, so each one that is seen is new. One of a sent
    callback stays, so it counts only beyond the cursor, or together with the entry that it settles:
    else each deep read would bring it back.
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
            # Given up and redriven before the ledger forgot it: it begins anew.
            found[record.work_id] = first_owed(record.work_id, record.callback, now)
        if record.callback is CallbackState.PENDING:
            spent.append(record.at)
    return NewlyOwed(tuple(found.values()), tuple(spent), None)


def _is_new(record: Notice, settled: Collection[EntryKey], cursor: str) -> bool:
    if record.callback is CallbackState.PENDING:
        return True
    return record.at > cursor or EntryKey(record.work_id, record.start) in settled


class CallbackStep(Enum):
    """Steps of the loop for an owed callback that it has looked at."""

    FORGET = auto()
    """Delivered, dead or gone."""
    WAIT = auto()
    """Sent, and its handler may still be running."""
    SEND = auto()
    GIVE_UP = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step, and what the ledger says from now on; `None` means nothing."""

    step: CallbackStep
    owed: PendingCallback | None


def judge_owed(
    owed: PendingCallback, work: WorkItem | Unreadable | None, *, window_ms: int, now: EpochMs
) -> Verdict:
    """Decide on a callback whose time has come, and when to look again should that fail.

    `window_ms`: within it a handler that was sent the event has run, or never will: event age,
    timeout and a margin.
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


def next_try(owed: PendingCallback, now: EpochMs) -> PendingCallback:
    """One try more, and when the next one follows if this one fails: after 1 s, doubling to 10 minutes."""
    delay_ms = min(
        limits.CALLBACK_RETRY_MS << min(owed.tries, limits.CALLBACK_TRIES_MAX),
        limits.CALLBACK_RETRY_MS_MAX,
    )
    return PendingCallback(
        owed.work_id, EpochMs(now + delay_ms), tries=min(owed.tries + 1, limits.CALLBACK_TRIES_MAX)
    )


def after_failure(owed: PendingCallback, now: EpochMs) -> PendingCallback:
    """A callback whose handler was heard to have failed: tried again after the delay that would follow if its target had refused it.

    That is after the next look at what was sent, or no try would ever be delayed by more than that.
    """
    again = next_try(replace(owed, tries=max(0, owed.tries - 1)), now)
    return replace(owed, at=again.at, looks=0)


def next_look(owed: PendingCallback, *, window_ms: int, now: EpochMs) -> PendingCallback | None:
    """When to look for the acknowledgement again, less and less often.

    `None` means the handler's time is over.
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
    """Before look number `looks`, from 0: half a second, doubling to four seconds.

    Then 70 seconds, doubling.
    """
    quick_ms = limits.CALLBACK_LOOK_MS << looks
    if quick_ms <= limits.CALLBACK_LOOK_STAY_MS:
        return quick_ms
    return limits.CALLBACK_LOOK_FAR_MS * (quick_ms // (2 * limits.CALLBACK_LOOK_STAY_MS))


def next_at(callbacks: Iterable[PendingCallback]) -> EpochMs | None:
    """When the first of them wants attention; `None` means there is none."""
    return min((owed.at for owed in callbacks), default=None)


def without(
    callbacks: Iterable[PendingCallback], work_ids: Collection[WorkId]
) -> tuple[PendingCallback, ...]:
    """All but those of these work items."""
    return tuple(owed for owed in callbacks if owed.work_id not in work_ids)

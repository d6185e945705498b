"""Commits a transaction, and learns for certain what became of it [WP-9].

| step | commit point | lost afterwards? |
|---|---|---|
| commit | one request, which is sent again as it is until it is answered | the follow-up: watchdog or audit |
| fence | a tombstone at the place of the receipt, put if absent | nothing |
| follow up | none: pointers and kicks may be repeated | the kick: watchdog |

An answer that says "canceled" proves nothing about a request that was sent before and got no
answer, since that one may land later. Then the tombstone decides: where it could be put, the
transaction can never be applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.proof import callback_nonce
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelAnswer, CancelWrite
from workpool_aws.core.work.transaction import (
    CancelOrder,
    Draft,
    PlannedCancel,
    TransactionPlan,
    pause_ms,
    place_works,
    plan_transaction,
    prevents,
)
from workpool_aws.core.work.unique import lock_expiries
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire
from workpool_aws.flow.pool.kick import epoch_of, kick
from workpool_aws.flow.reading import load_works
from workpool_aws.flow.visibility import ensure_visible, prove_work_in_time, put_pointer
from workpool_aws.flow.work.enqueue import report_enqueued
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, time_of
from workpool_aws.model.spec import Outcome
from workpool_aws.model.writes import Put, Written
from workpool_aws.ports import (
    ConditionFailed,
    Ports,
    StoreDenied,
    TransactionBusy,
    TransactionFailed,
)
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.core.pool.kick import Seen
    from workpool_aws.core.work.replace import Replacement
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.work import WorkItem
    from workpool_aws.model.writes import Condition

__all__ = [
    "Applied",
    "Busy",
    "ConditionsFailed",
    "Lost",
    "NotPending",
    "Sent",
    "Unresolved",
    "commit",
    "fence",
    "follow_up",
    "kick_loops",
    "landed_by_now",
    "planned_cancel",
    "prepare",
    "show",
    "show_cancel",
    "show_replacement",
]


@dataclass(frozen=True, slots=True)
class Applied:
    """All of it is written. `written` of `None` means that its time is not known."""

    plan: TransactionPlan
    written: Written | None

    @property
    def new(self) -> list[tuple[str, EpochMs, WorkId]]:
        """The pools, due times and ids of work items that their loops must see."""
        stored = [placed.work for placed in self.plan.works]
        earlier = [each for each in self.plan.replaced if each.pointer is not None]
        return [
            *((work.pool, work.due_at, work.id) for work in stored),
            *((each.pool, each.due_at, each.work_id) for each in earlier),
        ]


@dataclass(frozen=True, slots=True)
class ConditionsFailed:
    """Nothing is written, and never will be: conditions did not hold."""

    plan: TransactionPlan
    met: TransactionFailed
    fenced: bool = False
    """True if a tombstone stands at the place of its receipt."""


@dataclass(frozen=True, slots=True)
class NotPending:
    """Nothing is written: a work item to be canceled is not pending, and has to be."""

    cancel: PlannedCancel


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing is written: other writes were in the way in every try."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is written, and never will be. No request was answered."""

    error: StoreUnavailable


@dataclass(frozen=True, slots=True)
class Unresolved:
    """It is not known if the transaction is applied, or will be."""

    plan: TransactionPlan
    error: StoreUnavailable


Sent = Applied | ConditionsFailed | NotPending | Busy | Lost | Unresolved


def commit(ports: Ports, draft: Draft, *, until: EpochMs) -> Sent:
    """Commits a transaction. It begins no further try after `until`.

    Raises:
        UsageError: DynamoDB does not take it. Nothing is written.
        StoreUnavailable: What the plan needs could not be read, or the credentials do not allow the
            actions. Nothing is written.
    """
    return _Commit(ports, draft, until).run()


def prepare(ports: Ports, draft: Draft) -> TransactionPlan:
    """Returns the request of a transaction that its caller sends.

    Raises StoreUnavailable: the epoch of the pool could not be read.
    """
    return _Commit(ports, draft, ports.clock.now()).plan()


def landed_by_now(ports: Ports, plan: TransactionPlan) -> Applied:
    """Returns a transaction that its caller sent, and that was applied at the present time or before."""
    # Without the answer's Date this process's clock is the witness, however far off it may be.
    latest = EpochMs(ports.clock.now() + limits.SKEW_MS)
    return Applied(plan, Written(latest, None))


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """A request may have landed, or may still land. `met` is a later refusal of the same one."""

    plan: TransactionPlan
    error: StoreUnavailable
    met: TransactionFailed | None = None


@dataclass(frozen=True, slots=True)
class _Commit:
    """The commit of one draft. It begins no further try after `until`."""

    ports: Ports
    draft: Draft
    until: EpochMs

    def run(self) -> Sent:
        """Plans and sends until an answer decides, and plans again where a cancel came too late."""
        for _ in range(limits.TRANSACTION_TRIES):
            plan = self.plan()
            for each in plan.cancels:
                if each.order.require_pending and each.answer is not CancelAnswer.CANCELED:
                    return NotPending(each)
            sent = self._resolved(self._send(plan))
            if not isinstance(sent, ConditionsFailed) or any(sent.met.failed[: plan.locks_to]):
                return sent
            if sent.fenced:
                break
            # Only work items to be canceled have changed, and they are judged again.
        return Busy()

    def plan(self) -> TransactionPlan:
        """Reads what the request depends on, and returns the request."""
        ports, draft = self.ports, self.draft
        cancels = tuple(self._judged(order) for order in draft.cancels)
        # Read before the commit: what commits after a `cancel_all` was answered carries its epoch.
        pools = {work.pool for work in draft.works} - draft.epochs.keys()
        epochs = {**draft.epochs, **{pool: epoch_of(ports, pool) for pool in pools}}
        now = ports.clock.now()
        random_bits = ports.entropy.bits(70) if draft.works else 0
        works = place_works(draft.works, epochs, now=now, random_bits=random_bits)
        return plan_transaction(draft, works, cancels, token=ports.entropy.token(), now=now)

    def _judged(self, order: CancelOrder) -> PlannedCancel:
        ports = self.ports
        work = load_works(ports, order.pool, [order.work_id])[0]
        if work is None:
            return PlannedCancel(order, CancelAnswer.UNKNOWN, None)
        return planned_cancel(ports, order, work)

    def _send(self, plan: TransactionPlan) -> Applied | ConditionsFailed | Busy | _Doubtful:
        """Sends one request, the same each time, until an answer decides."""
        ports = self.ports
        token = ports.entropy.token()
        doubt: StoreUnavailable | None = None
        unanswered = 0
        for attempt in range(limits.TRANSACTION_TRIES):
            _pause(ports, attempt)
            try:
                return Applied(plan, ports.store.transact(plan.actions, token))
            except TransactionFailed as met:
                doubt = doubt or _repeated(met)
                return ConditionsFailed(plan, met) if doubt is None else _Doubtful(plan, doubt, met)
            except TransactionBusy as busy:
                doubt = doubt or _repeated(busy)
            except StoreUnavailable as error:
                if doubt is None and isinstance(error, StoreDenied):
                    raise
                doubt, unanswered = error, unanswered + 1
            if self._gives_up(unanswered):
                break
        return Busy() if doubt is None else _Doubtful(plan, doubt)

    def _gives_up(self, unanswered: int) -> bool:
        too_often = unanswered == limits.TRANSACTION_UNANSWERED_MAX
        return too_often or self.ports.clock.now() > self.until

    def _resolved(self, sent: Applied | ConditionsFailed | Busy | _Doubtful) -> Sent:
        if not isinstance(sent, _Doubtful):
            return sent
        if sent.plan.tombstone is None:
            return Unresolved(sent.plan, sent.error)
        try:
            applied = fence(self.ports, sent.plan.tombstone)
        except StoreUnavailable as error:
            return Unresolved(sent.plan, error)
        if applied:
            return Applied(sent.plan, None)
        return (
            Lost(sent.error)
            if sent.met is None
            else ConditionsFailed(sent.plan, sent.met, fenced=True)
        )


def planned_cancel(
    ports: Ports, order: CancelOrder, work: WorkItem, *, only_if: Condition | None = None
) -> PlannedCancel:
    """Returns the cancel of a work item as it was read, as a part of a transaction.

    `only_if`: a further condition; `None` means none.
    """
    now, token = ports.clock.now(), ports.entropy.token()
    nonce = callback_nonce(ports.entropy.token()) if work.spec.callback_outcomes else None
    decision = decide_cancel(work, token=token, now=now, nonce=nonce, only_if=only_if)
    if not isinstance(decision, CancelWrite) or not decision.owes_callback:
        return PlannedCancel(order, decision, work)
    return PlannedCancel(order, decision, work, _notice(ports, work, now))


def fence(ports: Ports, tombstone: Put) -> bool:
    """Decides a doubt for ever. True means that the transaction is applied, False that it never will be.

    Raises StoreUnavailable: the doubt remains.
    """
    failure: StoreUnavailable | None = None
    for attempt in range(limits.FENCE_TRIES):
        _pause(ports, attempt)
        try:
            ports.store.write(tombstone)
        except ConditionFailed as met:
            return not prevents(met.current)
        except StoreUnavailable as error:
            failure = error
        else:
            return False
    raise failure or StoreUnavailable("the receipt could not be written")


def follow_up(ports: Ports, applied: Applied) -> None:
    """Has the loops see an applied transaction. Repeating it does no harm.

    Raises StoreUnavailable: the watchdog or its hourly audit finds what no loop has seen.
    """
    show(ports, applied)
    kick_loops(ports, [applied])


def show(ports: Ports, applied: Applied) -> None:
    """Proves that loops find what an applied transaction wrote, once they run.

    Raises StoreUnavailable as `follow_up`.
    """
    written = applied.written
    for placed in applied.plan.works:
        work = placed.work
        if written is None:
            put_pointer(ports, work.pool, work.id, max(ports.clock.now(), work.due_at))
        else:
            prove_work_in_time(ports, written, work.pool, work.id, placed.key_time)
        report_enqueued(ports, work)
    for cancel in applied.plan.ends:
        show_cancel(ports, cancel, written)
    for each in applied.plan.replaced:
        show_replacement(ports, each, written)
    for cancel in applied.plan.cancels:
        if cancel.work is not None and cancel.answer is CancelAnswer.CANCELED:
            let_expire(ports.store, lock_expiries(cancel.work, ended_at=ports.clock.now()))


def kick_loops(ports: Ports, applied: Sequence[Applied]) -> Mapping[str, Seen]:
    """Kicks each pool of applied transactions, once for all work items.

    Returns what the kicks of pools with new work items have read. Raises StoreUnavailable as
    `follow_up`.
    """
    by_pool: dict[str, list[tuple[EpochMs, WorkId]]] = {}
    for pool, due_at, work_id in (each for one in applied for each in one.new):
        by_pool.setdefault(pool, []).append((due_at, work_id))
    seen = {}
    for pool, new in by_pool.items():
        due, stored = min(new)[0], [work_id for _, work_id in new]
        seen[pool] = kick(ports, pool, KickReason.ENQUEUE, due=due, stored=stored)
    for cancel in (cancel for each in applied for cancel in each.plan.ends):
        if cancel.work is not None and cancel.answer is CancelAnswer.CANCELED:
            until = None if cancel.notice is not None else cancel.work.due_at
            kick(ports, cancel.order.pool, KickReason.CANCEL, due=until)
    return seen


def show_replacement(ports: Ports, replaced: Replacement, written: Written | None) -> None:
    """Has the loop find a work item whose due time is earlier now, and lets old chunks expire.

    `written`: `None` means that its time is not known. Raises StoreUnavailable.
    """
    pointer = replaced.pointer
    if pointer is not None:
        at = time_of(pointer.at)
        if written is None:
            put_pointer(ports, pointer.pool, pointer.work_id, EpochMs(max(ports.clock.now(), at)))
        else:
            prove_work_in_time(ports, written, pointer.pool, pointer.work_id, at)
    let_expire(ports.store, replaced.unused)
    replacement = events.Replaced(
        pool=replaced.pool, work_id=replaced.work_id, job=replaced.label, rev=replaced.rev
    )
    ports.telemetry.emit(replacement)


def show_cancel(ports: Ports, cancel: PlannedCancel, written: Written | None) -> None:
    """Has the loop see the notice of a canceled work item that owes a callback."""
    notice, work = cancel.notice, cancel.work
    if notice is None or work is None:
        return

    def again(at: EpochMs) -> Written:
        return ports.store.write(Put(_notice(ports, work, at)))

    if written is None:
        written, at = again(ports.clock.now()), ports.clock.now()
    else:
        at = time_of(notice.at)
    ensure_visible(ports, written, at, again)


def _notice(ports: Ports, work: WorkItem, at: EpochMs) -> Notice:
    return record_of_end(work, Outcome.CANCELED, now=at, random_bits=ports.entropy.bits(75))


def _pause(ports: Ports, attempt: int) -> None:
    if attempt > 0:
        ports.clock.sleep(pause_ms(attempt, ports.entropy.fraction()))


def _repeated(met: TransactionFailed | TransactionBusy) -> StoreUnavailable | None:
    """Returns the doubt that an answer to a repeated request leaves; `None` means none."""
    text = "the SDK sent a request again, since the first one got no answer"
    return StoreUnavailable(text) if met.repeated else None

"""`Transaction`: actions on users' tables, enqueues and cancels that are applied together."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Self, assert_never

from workpool_aws.adapters.guests.actions import GuestAction, place_id
from workpool_aws.adapters.guests.draft import (
    GuestDraft,
    check_guest_table,
    guest_place,
    read_places,
)
from workpool_aws.adapters.guests.expressions import guard_of, update_text
from workpool_aws.adapters.guests.reads import GuestRead, ReadItem
from workpool_aws.adapters.guests.values import to_typed_map
from workpool_aws.api.caller import refuse_beside
from workpool_aws.api.conditions import InvocationCounts
from workpool_aws.api.transaction_keys import TransactionKeys
from workpool_aws.api.transaction_phase import PHASE_WORDS, TransactionPhase
from workpool_aws.core import limits
from workpool_aws.core.work.transaction import CancelOrder, Draft
from workpool_aws.errors import (
    FailedAction,
    NotKicked,
    StoreUnavailable,
    TransactionCanceled,
    TransactionConflict,
    UsageError,
    WorkpoolError,
)
from workpool_aws.flow.work import transaction as flow
from workpool_aws.model.actions import GuestVerb
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.payload import inline_text
from workpool_aws.text import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from workpool_aws.adapters.guests.expressions import Guard
    from workpool_aws.api.caller import Caller
    from workpool_aws.core.work.end import CancelAnswer
    from workpool_aws.core.work.unique import Wanted
    from workpool_aws.flow.work.arrange import Arranged
    from workpool_aws.model.actions import GuestPlace
    from workpool_aws.model.work import WorkItem
    from workpool_aws.model.writes import Put, Update
    from workpool_aws.ports import Ports

__all__ = ["Transaction"]


class Transaction:
    """Actions on your own items, enqueues and cancels that are applied together or not at all.

    `Workpool.transaction` makes one. The actions are sent when the `with` block ends, in one
    request. A block that raises, or does nothing, sends none. Only the thread that entered the
    block may use it, and each transaction commits once.

    Values are those of boto3's resources. Conditions are `Attr` conditions of boto3, or expressions
    as text with `names` and `values`. One item can have one action, with all of its conditions.
    """

    def __init__(
        self,
        ports: Ports,
        pool: str,
        caller: Caller,
        *,
        remaining_ms: Callable[[], int] | None = None,
        receipt: bool = True,
        counts: InvocationCounts | None = None,
    ) -> None:
        self.answers: dict[str, CancelAnswer] = {}
        """The answers of `Workpool.cancel(tx, ...)`, by work id. Empty until the commit."""
        self.ids: list[WorkId] = []
        """The ids of the work items that it enqueues, in order."""
        self._ports = ports
        self._pool = pool
        self._caller = caller
        self._remaining_ms = remaining_ms
        self._receipt = receipt
        self._phase = TransactionPhase.NEW
        self._owner = (0, 0)
        self._guests = GuestDraft(ports.table)
        self._works: list[WorkItem] = []
        self._keys = TransactionKeys()
        self._counts_before = counts
        self.counts = InvocationCounts() if counts is None else counts.copy()
        """The enqueues of the invocation by target, for `dedupe`."""
        self._cancels: dict[tuple[str, str], CancelOrder] = {}
        self._sent: flow.Applied | flow.Unresolved | None = None

    def __enter__(self) -> Self:
        """Open the block. Raises UsageError for a transaction that was opened before."""
        if self._phase is not TransactionPhase.NEW:
            raise UsageError("transaction", Words("one that was opened before"), "a new one")
        refuse_beside(self)
        self._phase = TransactionPhase.OPEN
        self._owner = _here()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, unless the block raised.

        Raises:
            TransactionCanceled: A condition does not hold. Nothing was applied.
            TransactionConflict: Other writes were in the way in every try. Nothing was applied.
            UsageError: DynamoDB does not take the transaction. Nothing was applied.
            NotKicked: It is applied, and the loop may not know. `Workpool.kick(ctx, tx)` repairs that.
            StoreUnavailable: DynamoDB did not answer. `maybe_applied` says if the transaction can
                be applied; `resolve` decides that.
        """
        if kind is not None:
            self._phase = TransactionPhase.NOT_APPLIED
            return
        self._commit()

    def put(
        self,
        table: str,
        item: Mapping[str, Any],
        *,
        condition: object = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a whole item of yours, in place of any item of its key.

        Raises:
            UsageError: A value is not allowed, as a float or an empty set. The field is its path.
        """
        guard = guard_of(condition, names, values)
        self._add(table, GuestVerb.PUT, guard, item=to_typed_map(item, "item"))

    def update(  # noqa: PLR0913 - the parts of DynamoDB's update, by keyword
        self,
        table: str,
        key: Mapping[str, Any],
        expression: str | None = None,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        add: Mapping[str, Any] | None = None,
        remove: str | Iterable[str] | None = None,
        delete: Mapping[str, Any] | None = None,
        condition: object = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Change attributes of an item of yours, by parts or by an expression.

        As DynamoDB's UpdateItem it creates an item that does not exist.

        Args:
            table: The table's name or ARN.
            key: The item's key.
            expression: DynamoDB's update expression. `None` means the parts below.
            set: New values by attribute name.
            add: Amounts by attribute name: numbers, or elements of sets.
            remove: Names of attributes to remove.
            delete: Elements to remove from sets, by attribute name.
            condition: Applies the transaction only if it holds. `None` means no condition.
            names: Names of attributes by placeholder, for expressions as text.
            values: Values by placeholder, for expressions as text.

        Raises:
            UsageError: A value is not allowed.
        """
        guard = guard_of(condition, names, values)
        text = update_text(
            expression, guard.placeholders, assign=set, add=add, remove=remove, delete=delete
        )
        self._add(table, GuestVerb.UPDATE, guard, key=key, expression=text)

    def delete(
        self,
        table: str,
        key: Mapping[str, Any],
        *,
        condition: object = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Remove an item of yours, if it exists. Raises UsageError as `put`."""
        self._add(table, GuestVerb.DELETE, guard_of(condition, names, values), key=key)

    def check(
        self,
        table: str,
        key: Mapping[str, Any],
        condition: object,
        *,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Apply the transaction only if an item of yours fits. Raises UsageError as `put`."""
        if condition is None:
            raise UsageError("condition", None, "an Attr condition of boto3, or an expression")
        self._add(table, GuestVerb.CHECK, guard_of(condition, names, values), key=key)

    def get(
        self,
        table: str,
        key: Mapping[str, Any],
        *,
        check: bool = True,
        version: str | None = None,
    ) -> ReadItem | None:
        """Read an item of yours, strongly, as it is stored now. `None` means that there is none.

        The commit applies nothing if an attribute that you looked at has changed, or if the item
        was created or removed meanwhile. The actions of this transaction are not seen.

        Args:
            table: The table's name or ARN.
            key: The item's key.
            check: False leaves out the check at the commit.
            version: An attribute that changes with each write of the item. It counts as looked at,
                also where the item was read before. `None` means that there is none.

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer.
        """
        if version is not None and (not isinstance(version, str) or not version):
            raise UsageError(
                "version", version, "the name of an attribute, or None (no further one)"
            )
        return self._read([(table, key)], check=check, version=version)[0]

    def get_all(
        self, places: Iterable[tuple[str, Mapping[str, Any]]], *, check: bool = True
    ) -> list[ReadItem | None]:
        """Read up to 100 items of yours as one snapshot, in the order of `places`. See `get`."""
        wanted = read_places(places)
        if len(wanted) > limits.TRANSACTION_READS_MAX:
            allowed = f"at most {limits.TRANSACTION_READS_MAX} items"
            raise UsageError("places", Words(f"{len(wanted)} items"), allowed)
        return self._read(wanted, check=check, version=None)

    def resolve(self) -> bool:
        """Decide for ever if the transaction is applied, after a commit that was not answered.

        True means that it is applied, and False that it never will be. It may be called as often as
        needed, while the proof is kept: for two days after the commit, or for the `status_ttl` of
        the pool if that is shorter and the transaction enqueued something.

        Raises:
            UsageError: The transaction was not sent, has no receipt, or was sent too long ago.
            NotKicked: It is applied, and the loop may not know.
            StoreUnavailable: DynamoDB did not answer; the doubt remains.
        """
        if self._phase in {TransactionPhase.APPLIED, TransactionPhase.NOT_APPLIED}:
            return self._phase is TransactionPhase.APPLIED
        if not isinstance(self._sent, flow.Unresolved):
            raise UsageError("transaction", Words("one that was not sent"), "one that was sent")
        plan = self._sent.plan
        if plan.tombstone is None:
            raise UsageError("transaction", Words("one without a receipt"), "one with a receipt")
        if self._ports.clock.now() > plan.proven_until:
            raise UsageError(
                "transaction", Words("one whose proof may be gone"), "one sent more recently"
            )
        try:
            applied = flow.fence(self._ports, plan.tombstone)
        except StoreUnavailable as error:
            raise StoreUnavailable(str(error), maybe_applied=True) from error
        if applied:
            self._apply(flow.Applied(plan, None))
        else:
            self._phase = TransactionPhase.NOT_APPLIED
        return applied

    # What the pool does with a transaction.

    @property
    def caller(self) -> Caller:
        """The caller behind its context."""
        return self._caller

    @property
    def table(self) -> str:
        """The table of its pools."""
        return self._ports.table

    def enroll(self, works: Sequence[WorkItem]) -> None:
        """Add work items that are stored by the commit."""
        self.check_open()
        self._works += works
        self.ids += [work.id for work in works]

    def known(self, wanted: Wanted) -> WorkId | None:
        """Return the answer to a key or a request that it has met before; `None` means to neither.

        Raises AlreadyEnqueued if that is asked for.
        """
        self.check_open()
        return self._keys.known(wanted)

    def enroll_arranged(self, wanted: Wanted, arranged: Arranged) -> WorkId:
        """Add what an enqueue on conditions comes to. Returns the id of its work item."""
        self.check_open()
        if (wanted.work.pool, arranged.work_id) in self._cancels:
            got = Words("one that a work item holds which this transaction cancels")
            raise UsageError("unique_key", got, "given in a transaction of its own")
        self._keys.add(wanted, arranged)
        self.enroll(arranged.works)
        return arranged.work_id

    def order_cancel(self, order: CancelOrder) -> None:
        """Add a cancel that the commit makes."""
        self.check_open()
        if order.work_id in (*self.ids, *self._keys.answers):
            got = Words(f"{order.work_id}, which this transaction enqueues")
            raise UsageError("work_id", got, "that of a work item enqueued before the transaction")
        self._cancels[order.pool, order.work_id] = order

    def kick(self) -> None:
        """Have the loops see it. Raises UsageError, and NotKicked as the commit."""
        if not isinstance(self._sent, flow.Applied):
            raise UsageError("transaction", Words("one that is not applied"), "an applied one")
        self._apply(flow.Applied(self._sent.plan, None))

    def check_open(self) -> None:
        """Raise UsageError unless this thread may add to it."""
        if self._phase is not TransactionPhase.OPEN:
            raise UsageError("transaction", Words(PHASE_WORDS[self._phase]), "an open one")
        if _here() != self._owner:
            got = Words("one of another thread or process")
            raise UsageError("transaction", got, "one that this thread entered")
        refuse_beside(self)

    def _add(
        self,
        table: object,
        verb: GuestVerb,
        guard: Guard,
        *,
        key: object = None,
        item: Mapping[str, Any] | None = None,
        expression: str | None = None,
    ) -> None:
        self.check_open()
        name = check_guest_table(table)
        typed = guest_place(name, key, own_table=self.table).key if item is None else None
        self._guests.add(
            GuestAction(
                table=name, verb=verb, key=typed, guard=guard, item=item, expression=expression
            )
        )

    def _read(
        self, wanted: Sequence[tuple[object, object]], *, check: bool, version: str | None
    ) -> list[ReadItem | None]:
        self.check_open()
        if not isinstance(check, bool):
            raise UsageError("check", check, "True or False")
        places = [guest_place(table, key, own_table=self.table) for table, key in wanted]
        found = self._first_reads(places)
        reads = [self._guests.read(each) or found[place_id(each)] for each in places]
        if check:
            for read in reads:
                read.watch(version)
                self._guests.note_read(read)
        return [read.item for read in reads]

    def _first_reads(self, places: Iterable[GuestPlace]) -> dict[tuple[str, str], GuestRead]:
        """Read the places that were not read before, each once."""
        missing = {place_id(each): each for each in places if self._guests.read(each) is None}
        items = self._ports.store.read_guests([*missing.values()]) if missing else ()
        return {
            place: GuestRead(each, None if item is None else item.attributes)
            for (place, each), item in zip(missing.items(), items, strict=True)
        }

    def _commit(self) -> None:
        self.check_open()
        draft = self._draft(())
        if not (draft.guests or draft.works or draft.cancels or self._keys.writes_something):
            self._phase = TransactionPhase.NOT_APPLIED
            return
        self._settle(self._send(draft))

    def _draft(self, anchor: tuple[Update | Put, ...]) -> Draft:
        payloads = [each for work in self._works for each in (work.spec.args, work.spec.context)]
        size = self._guests.size_bytes + sum(len(inline_text(each) or "") for each in payloads)
        if size > limits.TRANSACTION_BYTES_MAX:
            allowed = f"at most {limits.TRANSACTION_BYTES_MAX} bytes"
            raise UsageError("transaction", Words(f"one of {size} bytes"), allowed)
        keys = self._keys
        return Draft(
            pool=self._pool,
            works=tuple(self._works),
            cancels=tuple(self._cancels.values()),
            guests=self._guests.guests(),
            anchor=anchor,
            locks=tuple(keys.locks),
            takeovers=tuple(keys.takeovers),
            replaced=tuple(keys.replaced),
            receipt=self._receipt,
        )

    def _until(self) -> EpochMs:
        longest = limits.TRANSACTION_MS_MAX
        if self._remaining_ms is not None:
            longest = min(longest, self._remaining_ms() - limits.TRANSACTION_PAUSE_MS_MAX)
        return EpochMs(self._ports.clock.now() + longest)

    def _send(self, draft: Draft) -> flow.Sent:
        self._phase = TransactionPhase.UNRESOLVED
        try:
            sent = flow.commit(self._ports, draft, until=self._until())
        except WorkpoolError:
            self._phase = TransactionPhase.NOT_APPLIED
            raise
        if not isinstance(sent, flow.Applied | flow.Unresolved):
            self._phase = TransactionPhase.NOT_APPLIED
        elif self._counts_before is not None:
            self._counts_before.follow(self.counts)
        return sent

    def _settle(self, sent: flow.Sent) -> None:
        """Take the outcome of a commit. Raises as `__exit__`."""
        match sent:
            case flow.Applied():
                self._apply(sent)
            case flow.ConditionsFailed():
                self._raise_refused(sent)
            case flow.NotPending():
                order = sent.cancel.order
                failed = FailedAction(
                    0, self.table, {"work_id": order.work_id}, "cancel", "pending", None
                )
                raise TransactionCanceled((failed,), stale=False)
            case flow.Busy():
                raise TransactionConflict
            case flow.Lost():
                raise StoreUnavailable(f"{sent.error}; nothing was applied") from sent.error
            case flow.Unresolved():
                self._sent = sent
                raise StoreUnavailable(
                    f"the transaction may be applied: {sent.error}",
                    maybe_enqueued=tuple(self.ids),
                    maybe_applied=True,
                ) from sent.error
            case _:
                assert_never(sent)

    def _apply(self, applied: flow.Applied) -> None:
        self._note_applied(applied)
        self._follow_up()

    def _note_applied(self, applied: flow.Applied) -> None:
        self._phase, self._sent = TransactionPhase.APPLIED, applied
        self.answers = {each.order.work_id: each.answer for each in applied.plan.cancels}

    def _follow_up(self) -> None:
        if not isinstance(self._sent, flow.Applied):
            return
        try:
            flow.follow_up(self._ports, self._sent)
        except StoreUnavailable as error:
            raise NotKicked(
                f"applied, but the loop could not be notified: {error}",
                maybe_enqueued=tuple(self.ids),
            ) from error

    def _raise_refused(self, sent: flow.ConditionsFailed) -> None:
        plan, met = sent.plan, sent.met
        found = {place - plan.guests_from: item for place, item in met.guests.items()}
        refused = met.failed[plan.guests_from : plan.guests_to]
        failed, stale = self._guests.failed(found, refused)
        if not failed and any(met.failed[plan.guests_to : plan.locks_to]):
            raise TransactionCanceled(self._keys.changed(sent, self.table), stale=True)
        if not failed:
            raise TransactionConflict("a work item of the transaction could not be stored")
        raise TransactionCanceled(failed, stale=stale)


def _here() -> tuple[int, int]:
    # A forked child has a copy of the transaction, and the same thread id as its parent.
    return os.getpid(), threading.get_ident()

"""Runs a function whose transaction is committed with a move of a work item, or not at all [WP-15]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from workpool_aws import invocation
from workpool_aws.api.transaction import Transaction
from workpool_aws.core import limits
from workpool_aws.core.work.transaction import naming_spawned
from workpool_aws.errors import (
    NotKicked,
    StoreUnavailable,
    TransactionCanceled,
    TransactionConflict,
)
from workpool_aws.flow.work.transaction import (
    Applied,
    ConditionsFailed,
    kick_loops,
    prepare,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from workpool_aws.core.work.transaction import TransactionPlan
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable
    from workpool_aws.model.writes import Put, Update

__all__ = ["AnchoredTransaction", "Missed", "run_anchored"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Missed:
    """Nothing is applied: the work item is in another state, and the move was not made."""

    current: Record | Unreadable | None


class AnchoredTransaction(Transaction):
    """A transaction that the library commits, after the function that it is given to."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the block. `commit_with` commits."""
        if kind is not None:
            super().__exit__(kind, error, trace)

    def commit_with(self, anchor: tuple[Update | Put, ...]) -> Missed | None:
        """Commit with a move of a work item. `None` means that all of it is applied.

        Raises:
            TransactionCanceled, TransactionConflict, UsageError: Nothing was applied.
            StoreUnavailable: `maybe_applied` says if it may be applied, with the move.
        """
        sent = self._send(naming_spawned(self._draft(anchor)))
        if isinstance(sent, ConditionsFailed) and any(sent.met.failed[: sent.plan.guests_from]):
            return Missed(sent.met.current[0])
        if isinstance(sent, Applied):
            self._note_applied(sent)
        else:
            self._settle(sent)
        return None

    def plan_only(self) -> TransactionPlan:
        """Return the request, which the caller sends."""
        return prepare(self._ports, self._draft(()))

    def follow_up(self) -> None:
        """Have the loops see what it enqueued.

        Raises:
            NotKicked: Loops find it, and the watchdog kicks them.
            StoreUnavailable: It may be out of their sight. The move names it [WP-20].
        """
        if not isinstance(self._sent, Applied):
            return
        show(self._ports, self._sent)
        try:
            kick_loops(self._ports, [self._sent])
        except StoreUnavailable as error:
            raise NotKicked(f"applied, but a loop could not be notified: {error}") from error


def run_anchored(
    begin: Callable[[], AnchoredTransaction],
    body: Callable[[Transaction], R],
    anchor_of: Callable[[R], tuple[Update | Put, ...] | None],
    *,
    again: Callable[[int], bool],
) -> tuple[R, AnchoredTransaction, Missed | None]:
    """Runs a function, again while what it read has changed, and commits with a move of a work item.

    `anchor_of` returns the move; `None` means that nothing is committed. `again` pauses before a
    further run, and returns False if there is no time for one.

    Raises:
        TransactionCanceled, UsageError: Nothing was applied.
        TransactionConflict: What it read changed in every run. Nothing was applied.
        StoreUnavailable: See `AnchoredTransaction.commit_with`.
        Exception: The function raised it. Nothing was applied.
    """
    for attempt in range(1, limits.TRANSACTION_TRIES + 1):
        tx = begin()
        with tx:
            inside = invocation.anchored.set(tx)
            try:
                value = body(tx)
            finally:
                invocation.anchored.reset(inside)
        anchor = anchor_of(value)
        if anchor is None:
            return value, tx, None
        try:
            return value, tx, tx.commit_with(anchor)
        except TransactionCanceled as canceled:
            if not canceled.stale:
                raise
        except TransactionConflict:
            pass
        if not again(attempt):
            break
    raise TransactionConflict("what it read changed, or was being written, in every run")

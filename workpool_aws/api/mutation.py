"""`MutationWorker`: the Lambda handler that `@pool.mutation` makes of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, ParamSpec, TypeVar

from workpool_aws.api.anchored import AnchoredTransaction, Missed, run_anchored
from workpool_aws.api.caller import read_caller
from workpool_aws.api.transaction import Transaction
from workpool_aws.api.work import Work, timer_of
from workpool_aws.api.worker import Worker
from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.report.execute import report_raised
from workpool_aws.core.report.mutate import report_conflict
from workpool_aws.core.work.transaction import pause_ms
from workpool_aws.errors import (
    NonRetryableError,
    NotKicked,
    StoreUnavailable,
    TransactionCanceled,
    TransactionConflict,
    UsageError,
)
from workpool_aws.flow.report.complete import (
    MutationEnd,
    has_ended,
    mutation_end,
    mutation_missed,
)
from workpool_aws.model import events
from workpool_aws.model.messages import ReportKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.flow.report.follow_up import Reporter
    from workpool_aws.model.messages import Assignment, Report
    from workpool_aws.model.writes import Put, Update
    from workpool_aws.ports import Ports

__all__ = ["MutationWorker"]

F = ParamSpec("F")
A = ParamSpec("A")
R = TypeVar("R")

_BY: Final[Reporter] = "worker"
_OPEN: Final = object()
"""Stands for the transaction of the run that follows."""


class MutationWorker(Worker[F, A, R]):
    """The Lambda handler that `@pool.mutation` makes of a function, and the handle that enqueues it.

    A parameter annotated `Transaction` receives a transaction. It is committed together with the
    success of the work item, or not at all [WP-15]. The start is not claimed: a second delivery may
    run the function, too, and one of the two commits.
    """

    _CLAIMS: ClassVar[bool] = False
    _HANDLES: ClassVar[tuple[type, ...]] = (Work, Transaction)

    def _make_handle(
        self, kind: type, ports: Ports, assignment: Assignment, context: object
    ) -> object:
        if kind is Transaction:
            return _OPEN
        return super()._make_handle(kind, ports, assignment, context)

    def _run(
        self,
        ports: Ports,
        assignment: Assignment,
        values: Mapping[str, object],
        context: object,
        *,
        token: str | None,
    ) -> Report | None:
        failure = StoreUnavailable("the transaction got no answer")
        for _ in range(limits.TRANSACTION_UNANSWERED_MAX):
            try:
                return self._commit(ports, assignment, values, context)
            except TransactionConflict as conflict:
                return report_conflict(conflict)
            except TransactionCanceled as canceled:
                return report_raised(canceled, claim=token)
            except UsageError as refused:
                return report_raised(NonRetryableError(str(refused)), claim=token)
            except StoreUnavailable as error:
                failure = error
                if not error.maybe_applied:
                    break
            over, current = has_ended(ports, assignment)
            if over:
                mutation_missed(ports, assignment, current, by=_BY)
                return None
            # A copy of the request may still land. It and the next run end the same start, so one
            # of the two is refused.
        return report_raised(failure, claim=token)

    def _commit(
        self,
        ports: Ports,
        assignment: Assignment,
        values: Mapping[str, object],
        context: object,
    ) -> Report | None:
        """Run the function until its transaction is decided. Raises as `run_anchored`."""
        caller, remaining_ms = read_caller(context), timer_of(context)
        ends: list[MutationEnd] = []

        def run(tx: Transaction) -> Report:
            given = {name: tx if value is _OPEN else value for name, value in values.items()}
            return self._run_body(ports, assignment, given, token=None)

        def end_of(report: Report) -> tuple[Update | Put, ...] | None:
            if report.kind is not ReportKind.SUCCESS:
                return None
            ends.append(mutation_end(ports, assignment, report, by=_BY))
            return ends[-1].writes

        def again(attempt: int) -> bool:
            ports.clock.sleep(pause_ms(attempt, ports.entropy.fraction()))
            return remaining_ms() > limits.ANCHORED_END_MS

        report, tx, missed = run_anchored(
            lambda: AnchoredTransaction(ports, assignment.pool, caller, remaining_ms=remaining_ms),
            run,
            end_of,
            again=again,
        )
        if report.kind is not ReportKind.SUCCESS:
            return report
        if isinstance(missed, Missed):
            mutation_missed(ports, assignment, missed.current, by=_BY)
        else:
            _follow(ports, assignment, tx, ends[-1])
        return None


def _follow(
    ports: Ports, assignment: Assignment, tx: AnchoredTransaction, end: MutationEnd
) -> None:
    """Make the steps that follow the commit. What is lost is repaired: the commit itself stands."""
    try:
        tx.follow_up()
    except NotKicked as error:
        # Before the notice: the watchdog finds the work items that were enqueued.
        _report_unkicked(ports, assignment, KickReason.ENQUEUE, error)
    except StoreUnavailable as error:
        # No notice: the loop drops the entry after its deadline, and points at them.
        _report_unkicked(ports, assignment, KickReason.ENQUEUE, error)
        return
    try:
        end.follow_up()
    except StoreUnavailable as error:
        # The loop checks the entry after its deadline, and finds the end.
        _report_unkicked(ports, assignment, KickReason.COMPLETE, error)


def _report_unkicked(
    ports: Ports, assignment: Assignment, reason: KickReason, error: StoreUnavailable
) -> None:
    ports.telemetry.emit(events.KickFailed(pool=assignment.pool, reason=reason, error=str(error)))

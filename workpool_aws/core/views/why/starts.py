"""Reasons about a work item that has a start, or has finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.views.instants import stamp
from workpool_aws.core.views.why.answer import error_text, label_of, reason
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey, Ledger
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState

if TYPE_CHECKING:
    from workpool_aws.core.views.why.answer import PoolRecords, WhyCode, WhyReason
    from workpool_aws.model.work import WorkItem

__all__ = ["Course", "recovered_at"]


def recovered_at(work: WorkItem) -> EpochMs | None:
    """Returns the time from which a start without a report is recovered [WP-14].

    `None` means a damaged work item, which has lost its deadline.
    """
    return None if work.deadline is None else EpochMs(work.deadline + limits.RECOVERY_MARGIN_MS)


@dataclass(frozen=True, slots=True)
class Course:
    """A work item that has a start, or has finished, beside the records of its pool."""

    work: WorkItem
    records: PoolRecords
    now: EpochMs

    def running(self) -> list[WhyReason]:
        """Returns the reasons for which a running work item has not finished."""
        work, ledger = self.work, self.records.ledger
        found = [self._start()]
        if work.suspected_type is not None:
            found.append(
                reason(
                    "suspected",
                    "A report without the claim of the start says that it failed"
                    f"{error_text(work.suspected_type, work.suspected_error)}.",
                    "A better report. Without one it counts once the time of the start is over.",
                    until=recovered_at(work),
                )
            )
        if work.cancel_requested:
            text = "Its cancel was requested. It is not interrupted, and no attempt follows."
            found.append(reason("cancel_requested", text, "The end of the attempt."))
        if isinstance(ledger, Ledger) and EntryKey(work.id, work.starts) not in ledger.entries:
            found.append(
                reason(
                    "no_slot",
                    "The ledger has no slot for its start. Either its report came between the reads "
                    "of this answer, or the ledger was damaged.",
                    "Ask again.",
                )
            )
        return found

    def _start(self) -> WhyReason:
        """Returns the state of the present start."""
        work = self.work
        at, since, name = recovered_at(work), work.started_at, label_of(work.spec)
        when = "" if since is None else stamp(since)
        if at is not None and self.now > at:
            return reason(
                "not_reported",
                f"Its start of {when} has not reported, and its time is over.",
                "The loop recovers it in a pass: as a failure, or as a start that was never delivered.",
                since=at,
            )
        until = "" if at is None else f" Without a report it is recovered after {stamp(at)}."
        if work.spec.claimed and work.claim is None:
            return reason(
                "not_claimed",
                f"It was sent to {name} at {when}, and no code has claimed it. It runs in a function "
                "without a decorator, which never claims, or its event is in Lambda's queue, or was "
                f"lost.{until}",
                "The function's claim or report, as soon as Lambda has the concurrency for it. If it "
                "stays so, `workpool doctor` examines the function.",
                since=since,
                until=at,
            )
        text = f"Attempt {work.attempts_made + 1} runs in {name} since {when}.{until}"
        return reason("running", text, "Its report.", since=since, until=at)

    def finished(self) -> list[WhyReason]:
        """Returns the end of a work item, and the state of its callback."""
        work = self.work
        found = [self._end()]
        if work.redriven_as is not None:
            text = f"It was redriven as {work.redriven_as}."
            found.append(reason("redriven", text, "Nothing.", work_ids=(work.redriven_as,)))
        return [*found, *self._callback()]

    def _end(self) -> WhyReason:
        work = self.work
        at, attempts = work.finished_at, work.attempts_made
        when = "" if at is None else f" at {stamp(at)}"
        made = f"{attempts} {'attempt' if attempts == 1 else 'attempts'}"
        match work.outcome:
            case Outcome.SUCCESS:
                text = f"It succeeded{when}."
                if work.starts == 0 and work.spec.group is not None:
                    text = f"It stands for group {work.spec.group}, which was over{when}. It never runs."
                return reason("succeeded", text, "Nothing.", since=at)
            case Outcome.FAILED | None:
                error = error_text(work.error_type, work.error)
                change = "A redrive enqueues it again: `workpool redrive ID`, or `redrive`."
                if work.redriven_as is not None:
                    change = "Nothing, as it was redriven."
                return reason("failed", f"It failed{when}, after {made}{error}.", change, since=at)
            case Outcome.CANCELED:
                return reason("canceled", f"It was canceled{when}.", "Nothing.", since=at)
            case _:
                assert_never(work.outcome)

    def _callback(self) -> list[WhyReason]:
        work = self.work
        target = work.spec.callback_target
        match work.callback:
            case None | CallbackState.DELIVERED:
                return []
            case CallbackState.PENDING:
                return [self._owed(f"Its callback to {target} is not delivered yet.")]
            case CallbackState.SENT:
                text = (
                    f"Its callback was sent to {target}, whose handler has not acknowledged it yet."
                )
                return [self._owed(text)]
            case CallbackState.DEAD:
                change = "A redrive delivers it again: `workpool redrive ID`, or `redrive`."
                text = f"Its callback to {target} was given up."
                return [reason("callback_dead", text, change, blocks=True)]
            case _:
                assert_never(work.callback)

    def _owed(self, text: str) -> WhyReason:
        """Returns an open callback, with its next check if the ledger has it."""
        work, ledger = self.work, self.records.ledger
        code: WhyCode = (
            "callback_sent" if work.callback is CallbackState.SENT else "callback_pending"
        )
        callbacks = ledger.callbacks if isinstance(ledger, Ledger) else ()
        owed = next((each for each in callbacks if each.work_id == work.id), None)
        if owed is None:
            change = (
                "The process that ended it sends it now, or the loop takes it over from a notice."
            )
            return reason(code, text, change, since=work.finished_at)
        tries = f" The loop has tried {owed.tries} of {limits.CALLBACK_TRIES_MAX} times."
        when = "in its next pass" if owed.at <= self.now else f"at {stamp(owed.at)}"
        change = f"The loop looks at it {when}."
        return reason(code, text + tries, change, since=work.finished_at, until=owed.at)

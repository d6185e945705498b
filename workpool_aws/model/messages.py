"""Messages between Lambdas: a worker's assignment and report, a loop's order.

`adapters/wire/` spells them as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.model.work import Kind, Outcome, WorkItem

__all__ = ["Assignment", "CallbackMessage", "CallbackTicket", "LoopRequest", "Report", "ReportKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One start, as the worker sees it (`_workpool` in its event)."""

    table: str
    pool: str
    work_id: WorkId
    start: int
    attempts_made: int
    """Attempts spent before this one: this is attempt `attempts_made + 1`."""
    kind: Kind
    retry: RetryPolicy | None
    claimed: bool
    retention_s: int | None
    start_by: EpochMs
    """A decorated worker that begins later than this does not run: recovery may be near."""
    loop_until: EpochMs | None = None
    """The loop promised to stay up until then, so a completion before it need not read the status;
    `None` means no promise."""
    args_chunks: int | None = None
    """Number of chunks that hold the arguments: whoever finishes the work item lets them expire;
    `None` means they are in the work item's item."""
    context_chunks: int | None = None
    """Number of chunks that hold the callback's context, as `args_chunks`; `None` means it is in
    the work item's item, or there is none."""
    callback_for: tuple[Outcome, ...] = ()
    """The outcomes that want a callback, so that the finishing write can say that one is owed."""
    nonce: str | None = field(default=None, repr=False)
    """The secret of this start, for its worker alone [WP-28]; `None` means that its sender had
    none, or that nothing is sent."""
    proof: str | None = None
    """The digest that must be stored for a report to count: that of `nonce`, or for the loop's own
    reports the one that it read."""
    stored: WorkItem | None = field(default=None, repr=False)
    """The work item as it was read for this report; `None` means that it was not, or that this is a
    message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTicket:
    """Ticket by which a target acknowledges that its handler ran (`_workpool` in the event of a decorated one)."""

    table: str
    pool: str
    work_id: WorkId
    retention_s: int | None
    nonce: str | None = field(default=None, repr=False)
    """The secret of this callback [WP-28]; `None` means that version 0.1 sent it, or wrote the end
    of the work item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackMessage:
    """Message to an `on_complete` target. `context` and `result` are JSON."""

    work_id: WorkId
    context: str | None
    outcome: Outcome
    result: str | None
    error: str | None
    error_type: str | None
    ticket: CallbackTicket | None
    """`None` means that the target does not acknowledge, and its event is exactly what is
    documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRequest:
    """Asks a loop Lambda to run a pool.

    `generation` `None` means a wake-up that carries no authority (a schedule's).
    """

    table: str
    pool: str
    generation: int | None


class ReportKind(StrEnum):
    """Kinds of reports about a start."""

    SUCCESS = "success"
    FAILED = "failed"
    NEVER_DELIVERED = "never_delivered"
    """No user code ran: put it back, no attempt is spent."""
    SNOOZED = "snoozed"
    """Its code asked to be run again later: no attempt is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Report about one start, as its reporter saw it.

    `result` is JSON, for a success. `retryable` False: no further attempt, whatever the policy.
    `delay_ms`: the worker's own choice of delay; `None` means the policy's, or for a snooze that of
    a put back. `claim`: the token the reporter holds; `None` means it holds none (see
    core/report/complete).
    """

    kind: ReportKind
    result: str | None = None
    error: str | None = None
    error_type: str | None = None
    retryable: bool = True
    delay_ms: int | None = None
    claim: str | None = None

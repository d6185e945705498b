"""Messages between Lambdas: a worker's assignment and report, a request to the loop.

`adapters/wire/` spells them as JSON.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.model.spec import Kind, Outcome
    from workpool_aws.model.trace import TraceContext
    from workpool_aws.model.work import WorkItem

__all__ = ["Assignment", "CallbackMessage", "CallbackTicket", "LoopRequest", "Report", "ReportKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One start, as the worker receives it (`_workpool` in its event)."""

    table: str
    pool: str
    work_id: WorkId
    start: int
    attempts_made: int
    """Attempts spent before this one, which is attempt `attempts_made + 1`."""
    kind: Kind
    retry: RetryPolicy | None
    claimed: bool
    retention_s: int | None
    start_by: EpochMs
    """A decorated worker that begins later than this does not run, since recovery may be near."""
    loop_until: EpochMs | None = None
    """Time until which the loop promised to stay up. A completion before it need not read the
    status. `None` means no promise."""
    args_chunks: int | None = None
    """Number of chunks that hold the arguments. The process that finishes the work item lets them
    expire. `None` means that the arguments are in the work item's own item."""
    context_chunks: int | None = None
    """Number of chunks that hold the callback's context, as `args_chunks`. `None` means that it is
    in the work item's own item, or that there is none."""
    callback_outcomes: tuple[Outcome, ...] = ()
    """The outcomes that want a callback, so that the finishing write can owe one."""
    awaited: bool = False
    """As `Spec.awaited`: the process that ends the work item has the loop look at its schedule."""
    unique: bool = False
    """True if its work item has a unique key, whose lock expires after its end."""
    grouped: bool = False
    """True if it is a member of a group, whose notice must say so."""
    timeout_ms: int | None = None
    """As `Spec.timeout_ms`, which the worker enforces."""
    heartbeat_ms: int | None = None
    """As `Spec.heartbeat_ms`: the worker sends heartbeats."""
    job: str | None = None
    """The job to run, in a function of many. `None` means that no name led to the function."""
    label: str | None = None
    """As `Spec.label`, for logs and statistics. `None` means that the loop is one of 0.1."""
    nonce: str | None = field(default=None, repr=False)
    """The secret of this start, for its worker alone [WP-28]. `None` means that its sender had
    none, or that nothing is sent."""
    proof: str | None = None
    """The digest that must be stored for a report to count: that of `nonce`, or for the loop's own
    reports the one that it read."""
    permit: str | None = field(default=None, repr=False)
    """The secret of the pending work item, by which the worker makes the start itself [WP-28].
    `None` means that the loop has made it."""
    trace: TraceContext | None = None
    """As `Spec.trace`."""
    sent_at: EpochMs | None = None
    """Time at which the loop sent the start, for its span. `None` means that nothing is traced."""
    stored: WorkItem | None = field(default=None, repr=False)
    """The work item as read for this report. `None` means that it was not read, or that this is a
    message."""

    @property
    def is_exclusive(self) -> bool:
        """True if a worker must write to the work item before user code runs: its claim or start."""
        return self.claimed or self.permit is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTicket:
    """Ticket by which a handler acknowledges a callback (`_workpool` in its event)."""

    table: str
    pool: str
    work_id: WorkId
    retention_s: int | None
    job: str | None = None
    """The handler to call, in a function of many. `None` means that no name led to it."""
    nonce: str | None = field(default=None, repr=False)
    """The secret of this callback [WP-28]. `None` means that version 0.1 sent it, or wrote the end
    of the work item."""
    trace: TraceContext | None = None
    """The span that sent it. `None` means that its sender does not trace."""


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
    """`None` means that the target does not acknowledge, and its event is exactly the documented
    one."""
    trace: TraceContext | None = None
    """The span that sends it. `None` means that its sender does not trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRequest:
    """Asks a loop Lambda to run a pool.

    A `generation` of `None` means a far wake, which grants no right to run.
    """

    table: str
    pool: str
    generation: int | None


class ReportKind(StrEnum):
    """Kinds of reports about a start."""

    SUCCESS = "success"
    FAILED = "failed"
    NEVER_DELIVERED = "never_delivered"
    """No user code ran. The start is requeued, and no attempt is spent."""
    SNOOZED = "snoozed"
    """Its code asked to run again later, and no attempt is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Report of one start, as its reporter saw it.

    `result` is JSON, for a success. With `retryable` False no attempt follows, whatever the policy.
    `delay_ms` is the worker's own choice of delay; `None` means the policy's, or for a snooze that
    of a requeue. `claim` is the token that the reporter holds; `None` means that it holds none
    (`core/report/complete.py`).
    """

    kind: ReportKind
    result: str | None = None
    error: str | None = None
    error_type: str | None = None
    retryable: bool = True
    delay_ms: int | None = None
    claim: str | None = None
    ran_ms: int | None = None
    """Time that user code took; `None` means that it is not known."""

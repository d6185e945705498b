"""Owns what travels between Lambdas: a worker's assignment and report, a loop's order. `adapters/wire.py` spells them as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.work import Kind

__all__ = ["Assignment", "LoopOrder", "Report", "ReportKind"]


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
    """The loop promised to stay up until then, so a completion before it need not read the status; None: no promise."""
    args_chunks: int | None = None
    """How many chunks hold the arguments: whoever finishes the work lets them expire; None: they are in the work's item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOrder:
    """Asks a loop Lambda to run a pool. `generation` None: a wake-up that carries no authority (a schedule's)."""

    table: str
    pool: str
    generation: int | None


class ReportKind(StrEnum):
    """What one start came to."""

    SUCCESS = "success"
    FAILED = "failed"
    NEVER_DELIVERED = "never_delivered"
    """No user code ran: put it back, no attempt is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one start came to, as its reporter saw it.

    `result` is JSON, for a success. `retryable` False: no further attempt, whatever the policy. `delay_ms`: the worker's own choice of
    delay; None: the policy's. `claim`: the token the reporter holds; None: it holds none (see core/complete).
    """

    kind: ReportKind
    result: str | None = None
    error: str | None = None
    error_type: str | None = None
    retryable: bool = True
    delay_ms: int | None = None
    claim: str | None = None

"""Decides what differs for a mutation: it is never claimed, and ends by its own transaction [WP-15]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.error_text import kept_text
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.spec import Kind
from workpool_aws.model.writes import All, Condition, Is, Update
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.messages import Assignment
    from workpool_aws.model.retry import RetryPolicy

__all__ = ["report_conflict", "retry_allowed", "retry_guard", "unclaimed_end"]


def unclaimed_end(write: Update) -> Update:
    """Returns the end of a start as a part of its mutation's transaction.

    Its condition also fails if a function that claims runs this start.
    """
    conditions = (
        (Is("claim", None),) if write.condition is None else (write.condition, Is("claim", None))
    )
    return replace(write, condition=All(conditions))


def retry_allowed(a: Assignment, *claims: str | None) -> RetryPolicy | None:
    """Returns the policy by which a failed start is retried; `None` means none.

    A mutation whose start is claimed runs in a function that was decorated as something else, and
    its effect may have happened [WP-5].
    """
    stored = None if a.stored is None else a.stored.claim
    is_claimed = any(claim is not None for claim in (stored, *claims))
    return None if a.kind is Kind.MUTATION and is_claimed else a.retry


def retry_guard(a: Assignment) -> tuple[Condition, ...]:
    """Returns the further condition of a retry: of a mutation, that nothing claimed its start."""
    return (Is("claim", None),) if a.kind is Kind.MUTATION else ()


def report_conflict(error: Exception) -> Report:
    """Returns the failure of an attempt whose transaction lost to others in every run."""
    return Report(kind=ReportKind.FAILED, error=kept_text(str(error)), error_type="conflict")

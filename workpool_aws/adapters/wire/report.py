"""The report of a worker that could not write it and hands it to its destination."""

from __future__ import annotations

from typing import Final

from workpool_aws.adapters.sealed import seal, unseal_any
from workpool_aws.adapters.wire.fields import VERSION, WORKPOOL_KEY, Fields, compact
from workpool_aws.core import limits
from workpool_aws.core.error_text import kept_text, kept_type
from workpool_aws.core.payload import encode_result
from workpool_aws.core.splice import decoded
from workpool_aws.model.messages import Assignment, Report, ReportKind

__all__ = ["CARRIED_MARKER", "REPORTED", "carried_outcome", "read_carried"]


REPORTED: Final[dict[str, dict[str, bool]]] = {WORKPOOL_KEY: {"reported": True}}
"""Return value of a decorated handler that reported by itself or refused a delivery. Its destination
record requires no action."""
CARRIED_MARKER: Final = "workpool report "
"""Beginning of the text of an exception that carries a report."""
_SEALED_MARKER: Final = "sealed "
_CARRIED_MAX: Final = 2
"""Reports in one message, at most: of a start of a run that ended, and of the next one."""
_CARRIED_BYTES_MAX: Final = 2 * limits.PAYLOAD_BYTES_MAX + 64 * 1024
"""About a result with every character escaped twice, and an error."""


def carried_outcome(report: Report, assignment: Assignment) -> str:
    """Returns the message of the exception that carries a report to the destination.

    It is ASCII, and sealed with the start's nonce since Lambda logs it. A start without a nonce
    comes from a loop of version 0.1, whose completion function reads unsealed text.
    """
    fields = compact(
        {
            "version": VERSION,
            "work_id": assignment.work_id,
            "start": assignment.start,
            "kind": report.kind.value,
            "result": report.result,
            "error": None if report.error is None else kept_text(report.error),
            "error_type": report.error_type,
            "retryable": report.retryable,
            "delay_ms": report.delay_ms,
            "claim": report.claim,
        }
    )
    if assignment.nonce is None:
        return CARRIED_MARKER + fields
    return CARRIED_MARKER + _SEALED_MARKER + seal(assignment.nonce, fields)


def read_carried(text: str, assignment: Assignment) -> Report | None:
    """Reads the report of this start in an exception's message, which has one on each line.

    `None` means that the message does not prove that this start's worker wrote it [WP-28]. Values
    are bounded and encoded again, since a proven message can still be damaged.
    """
    lines, marker = text.split("\n")[:_CARRIED_MAX], CARRIED_MARKER + _SEALED_MARKER
    sealed = [line.removeprefix(marker) for line in lines if line.startswith(marker)]
    opened = unseal_any(assignment.nonce, sealed, bytes_max=_CARRIED_BYTES_MAX)
    if opened is None:
        return None
    try:
        # The nonce belongs to one start, and proves the writer. The name of the start is compared as
        # well, since it is the subject of the report.
        fields = Fields(decoded(opened))
        work_id, start = fields.work_id("work_id"), fields.integer("start", at_least=1)
        if fields.integer("version") != VERSION or (work_id, start) != (
            assignment.work_id,
            assignment.start,
        ):
            return None
        delay_ms = fields.optional_integer("delay_ms", at_least=0, at_most=None)
        error, error_type = fields.optional_text("error"), fields.optional_text("error_type")
        kind = ReportKind(fields.text("kind"))
        result = None
        if kind is ReportKind.SUCCESS:
            result = encode_result(decoded(fields.text("result")), limits.PAYLOAD_BYTES_MAX)
        return Report(
            kind=kind,
            result=result,
            error=None if error is None else kept_text(error),
            error_type=None if error_type is None else kept_type(error_type),
            retryable=fields.flag("retryable"),
            delay_ms=None if delay_ms is None else min(delay_ms, limits.DELAY_MS_MAX),
            claim=fields.optional_text("claim"),
        )
    except ValueError:
        return None

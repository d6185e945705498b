"""Keeps the last five attempts of a work item, in entries short enough for every write.

The move that ends an attempt writes its entry. A start that was requeued or snoozed spent no
attempt. It has the entry of the attempt that it would have been, until that is made. The last
attempt is described by the item's own outcome and error, so no entry repeats it, and a work item
that succeeds at once carries no entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, PastAttempt, State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.messages import Report

__all__ = ["attempts_of", "last_error_of", "with_attempt"]

_ENDS: Final = {Outcome.SUCCESS: AttemptEnd.SUCCESS, Outcome.FAILED: AttemptEnd.FAILED}
_TROUBLE: Final = frozenset({AttemptEnd.FAILED, AttemptEnd.CANCELED, AttemptEnd.NEVER_DELIVERED})
_CUT: Final = "…"


def with_attempt(
    work: WorkItem | None, report: Report, ended: AttemptEnd, *, now: EpochMs
) -> dict[str, tuple[PastAttempt, ...]]:
    """Returns the change that adds the entry of the running attempt.

    The change is empty where the stored work item was not read.
    """
    if work is None:
        return {}
    entry = PastAttempt(
        number=work.attempts_made + 1,
        started_at=work.started_at or now,
        ended_at=max(now, work.started_at or now),
        outcome=ended,
        error_type=_cut(report.error_type, limits.ATTEMPT_TYPE_BYTES),
        error=_cut(report.error, limits.ATTEMPT_ERROR_BYTES),
    )
    earlier = [each for each in work.history if each.number < entry.number][
        -(limits.ATTEMPTS_KEPT - 1) :
    ]
    # Cut again, since a stored text may come from another program.
    shortened = (
        replace(
            each,
            error_type=_cut(each.error_type, limits.ATTEMPT_TYPE_BYTES),
            error=_cut(each.error, limits.ATTEMPT_OLD_ERROR_BYTES),
        )
        for each in earlier
    )
    return {"history": (*shortened, entry)}


def attempts_of(work: WorkItem) -> tuple[PastAttempt, ...]:
    """Returns the last five attempts that ended, the latest last."""
    if work.state is not State.FINISHED or work.outcome is None or work.finished_at is None:
        return work.history
    ended = _ENDS.get(work.outcome)
    if ended is None:
        return work.history
    last = PastAttempt(
        number=max(1, work.attempts_made),
        started_at=work.started_at or work.finished_at,
        ended_at=work.finished_at,
        outcome=ended,
        error_type=work.error_type,
        error=work.error,
    )
    earlier = (each for each in work.history if each.number < last.number)
    return (*earlier, last)[-limits.ATTEMPTS_KEPT :]


def last_error_of(work: WorkItem) -> str | None:
    """Returns the error of the latest attempt that had one; `None` means that none had."""
    for attempt in reversed(attempts_of(work)):
        if attempt.outcome in _TROUBLE and (attempt.error or attempt.error_type):
            return attempt.error or attempt.error_type
    return None


def _cut(text: str | None, bytes_max: int) -> str | None:
    """Returns at most `bytes_max` bytes of UTF-8, with a mark where it was cut."""
    if not text:
        return None
    raw = text.encode(errors="replace")
    if len(raw) <= bytes_max:
        return raw.decode()
    return raw[: bytes_max - len(_CUT.encode())].decode(errors="ignore") + _CUT

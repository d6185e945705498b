"""Answer to the question why a work item does not run: `Why`, made of `WhyReason`s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workpool_aws.core import limits
from workpool_aws.core.views.instants import instant
from workpool_aws.model.names import FUNCTION_ARN
from workpool_aws.text import as_line

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.loop import Config, Deployment, Ledger, LoopStatus
    from workpool_aws.model.refs import Unreadable
    from workpool_aws.model.spec import Spec

__all__ = [
    "PoolRecords",
    "Why",
    "WhyCode",
    "WhyReason",
    "WhyVerdict",
    "error_text",
    "label_of",
    "reason",
    "short_name",
]

WhyVerdict = Literal["running", "waiting", "blocked", "finished", "unknown"]
WhyCode = Literal[
    "called_off",
    "callback_dead",
    "callback_pending",
    "callback_sent",
    "cancel_requested",
    "canceled",
    "canceling",
    "chosen",
    "config_damaged",
    "damaged",
    "expires",
    "failed",
    "function_refused",
    "ledger_damaged",
    "loop_overdue",
    "loop_resting",
    "loop_running",
    "no_loop",
    "no_slot",
    "not_claimed",
    "not_deployed",
    "not_due",
    "not_reported",
    "out_of_sight",
    "past_retention",
    "paused",
    "rate_limited",
    "redriven",
    "running",
    "slots_taken",
    "status_damaged",
    "succeeded",
    "suspected",
    "unknown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyReason:
    """One reason for which a work item is where it is."""

    code: WhyCode
    """For programs. `docs/why.md` lists the codes."""
    text: str
    """A sentence for people, with times in UTC. Foreign text in it is plain and cut."""
    change: str
    """The event or the act that would end the reason, as a sentence."""
    since: datetime | None = None
    """The time since which the reason holds. `None` means that no record has it."""
    until: datetime | None = None
    """The time at which the reason ends by itself. `None` means that none is known."""
    blocks: bool = False
    """True if the reason does not end by itself: a person, or a repair, has to act."""
    work_ids: tuple[WorkId, ...] = ()
    """Work items behind the reason, as some of those that hold the slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The reasons for which a work item does not run now, or the state that makes the question moot.

    The reads behind it are strong and not one snapshot, so it describes the moment of the call.
    """

    work_id: str
    verdict: WhyVerdict
    """`running` has a start that has not reported. `waiting` starts by itself, once its reasons
    have ended. `blocked` does not, since one of its reasons `blocks`. `unknown` was never enqueued
    in this pool, is past its retention, or is damaged."""
    reasons: tuple[WhyReason, ...]
    """In the order in which the loop meets them. The first one decides. There is at least one."""
    since: datetime | None
    """The time since which it runs, has finished, is due or waits to be due. `None` means an
    unknown work item."""
    next_look: datetime | None
    """The time by which the loop or the watchdog looks at it next. `None` means that neither does,
    as at a finished work item or in a paused pool."""
    group: str | None = None
    """Id of the group of which it is a member, or which it stands for; `None` means none."""
    unique_key: str | None = None
    """Its unique key; `None` means that it has none."""
    key_holder: WorkId | None = None
    """The work item that holds its key now, itself or another. `None` means that the key is free,
    that there is none, or that many were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecords:
    """The records of a pool that decide about its work items. `None` means that there is none."""

    config: Config | Unreadable | None = None
    status: LoopStatus | Unreadable | None = None
    ledger: Ledger | Unreadable | None = None
    deployment: Deployment | Unreadable | None = None
    loop_is_known: bool = False
    """True if the environment of the caller names the loop's function."""


def reason(
    code: WhyCode,
    text: str,
    change: str,
    *,
    since: EpochMs | None = None,
    until: EpochMs | None = None,
    blocks: bool = False,
    work_ids: tuple[WorkId, ...] = (),
) -> WhyReason:
    """Returns a reason with times as people read them."""
    return WhyReason(
        code=code,
        text=text,
        change=change,
        since=None if since is None else instant(since),
        until=None if until is None else instant(until),
        blocks=blocks,
        work_ids=work_ids,
    )


def label_of(spec: Spec) -> str:
    """Returns the job of a work item, or else the name of its function."""
    return spec.job or short_name(spec.target)


def short_name(target: str) -> str:
    """Returns the name of a function, without the rest of its ARN."""
    arn = FUNCTION_ARN.fullmatch(target)
    return as_line(target if arn is None else arn["name"])


def error_text(error_type: str | None, error: str | None) -> str:
    """Returns an error on one short line, with a colon before it; nothing for no error."""
    parts = [as_line(each, limit=limits.WHY_ERROR_MAX) for each in (error_type, error) if each]
    return f": {': '.join(parts)}" if parts else ""

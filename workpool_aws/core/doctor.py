"""Findings of `doctor`: what is wrong with a deployment or a pool, and the remedy of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workpool_aws.core import limits
from workpool_aws.core.views.instants import stamp
from workpool_aws.core.views.status import config_of
from workpool_aws.core.views.why.answer import short_name
from workpool_aws.core.views.why.waits import last_error
from workpool_aws.model.ids import EpochMs
from workpool_aws.text import as_line, many

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.model.inspection import FunctionFacts, RoleFacts, TableFacts
    from workpool_aws.model.loop import Config, Deployment, Heartbeat
    from workpool_aws.model.work import WorkItem

__all__ = [
    "Finding",
    "FindingCode",
    "findings_of_function",
    "findings_of_heartbeat",
    "findings_of_role",
    "findings_of_table",
    "forgotten",
    "not_examined",
    "refused",
    "stuck",
    "wake_missing",
    "wakes_unknown",
]

FindingCode = Literal[
    "config_damaged",
    "destination_wrong",
    "function_inactive",
    "function_missing",
    "function_refused",
    "function_throttled",
    "function_unfit",
    "index_missing",
    "keys_wrong",
    "not_deployed",
    "not_examined",
    "pool_forgotten",
    "pool_stuck",
    "recursion_stopped",
    "retries_on",
    "table_inactive",
    "table_missing",
    "ttl_off",
    "wake_missing",
    "wake_refused",
    "watchdog_silent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or that could not be examined."""

    code: FindingCode
    """For programs. `docs/doctor.md` lists the codes."""
    subject: str
    """The table, the function or the pool."""
    text: str
    """A sentence for people."""
    remedy: str
    """The act that would mend it."""


def not_examined(subject: str, error: str) -> Finding:
    """Returns the finding for a question that AWS refused to answer."""
    return Finding(
        code="not_examined",
        subject=subject,
        text=f"It could not be examined: {as_line(error)}.",
        remedy="Allow what the error names. `docs/doctor.md` lists the permissions.",
    )


def findings_of_table(table: str, facts: TableFacts | None) -> list[Finding]:
    """Returns the findings of a table; `None` means that there is no such table."""
    if facts is None:
        text, remedy = "There is no such table.", "Check the name, the region and the account."
        return [Finding(code="table_missing", subject=table, text=text, remedy=remedy)]
    checks: tuple[tuple[bool, FindingCode, str, str], ...] = (
        (
            facts.is_active,
            "table_inactive",
            "The table is not active.",
            "Wait until it is, or restore it.",
        ),
        (
            facts.has_keys,
            "keys_wrong",
            "The table has other keys than the library uses.",
            "Deploy a table with the construct or the plain template.",
        ),
        (
            facts.has_dead_letters,
            "index_missing",
            "The index of dead letters is missing or has another shape.",
            "Deploy the stack again. Without it dead letters are neither listed nor redriven.",
        ),
        (
            facts.has_ttl,
            "ttl_off",
            "Time to live is off, so finished work items stay and are paid for.",
            "Deploy the stack again, or enable it for the attribute that the stack names.",
        ),
    )
    return [
        Finding(code=code, subject=table, text=text, remedy=remedy)
        for holds, code, text, remedy in checks
        if not holds
    ]


def findings_of_function(
    target: str, facts: FunctionFacts | None, deployment: Deployment
) -> list[Finding]:
    """Returns the findings of a function that a table's pools use; `None` means it does not exist."""
    subject = short_name(target)
    if facts is None:
        text = f"{as_line(target)} does not exist, and the deployment or work items name it."
        remedy = "Deploy the function. Or deploy the stack, or enqueue, without it."
        return [Finding(code="function_missing", subject=subject, text=text, remedy=remedy)]
    found = []
    if not facts.is_active:
        text, remedy = "It is not active.", "See its state and its reason in Lambda."
        found.append(Finding(code="function_inactive", subject=subject, text=text, remedy=remedy))
    if not facts.may_recurse:
        text = "Lambda stops chains of its invocations, so some starts would be dropped."
        remedy = "Set its recursive loop detection to Allow, as the construct does."
        found.append(Finding(code="recursion_stopped", subject=subject, text=text, remedy=remedy))
    if facts.reserved == 0:
        text = "Its reserved concurrency is 0, so Lambda throttles every event until it is too old."
        remedy = "Raise its reserved concurrency in Lambda, or remove it."
        found.append(Finding(code="function_throttled", subject=subject, text=text, remedy=remedy))
    if facts.unfit is not None:
        text = f"It cannot run work items: {facts.unfit}."
        remedy = "Use a function of another kind, or a plain one in front of it."
        found.append(Finding(code="function_unfit", subject=subject, text=text, remedy=remedy))
    if target == deployment.completion_arn:
        return found
    if facts.retries:
        text = f"Lambda itself tries a failed event {many(facts.retries, 'more time')}."
        remedy = "Set its retry attempts to 0: the pool retries, by the policy of each work item."
        found.append(Finding(code="retries_on", subject=subject, text=text, remedy=remedy))
    if target != deployment.loop_arn:
        found += _destinations(subject, facts, deployment)
    return found


def _destinations(subject: str, facts: FunctionFacts, deployment: Deployment) -> Iterable[Finding]:
    """Yields a finding unless the ends of its starts lead to the completion function."""
    wanted = deployment.completion_arn
    if wanted is None:
        return
    successes = None if facts.decorated else wanted
    if (facts.on_success, facts.on_failure) == (successes, wanted):
        return
    kind = "decorated" if facts.decorated else "undecorated"
    leads = "its failures alone" if facts.decorated else "its results and its failures"
    yield Finding(
        code="destination_wrong",
        subject=subject,
        text=f"It is {kind}, so {leads} should lead to the completion function, and they do not.",
        remedy="Add it to the pool by add_action or add_on_complete, with `decorated` as it is.",
    )


def findings_of_heartbeat(table: str, seen: Heartbeat | None, now: EpochMs) -> list[Finding]:
    """Returns the finding of a watchdog that was not seen for long.

    Nothing is known of one that has left no heartbeat yet, as that of an earlier version.
    """
    if seen is None or now - seen.at <= limits.HEARTBEAT_LATE_MS:
        return []
    text = f"The watchdog was last seen at {stamp(seen.at)}. It leaves a sign of life every five minutes."
    remedy = (
        "Enable its schedule, and see the errors of its function. Until it runs, a lost loop or "
        "wake is not replaced, and deployed limits are not written."
    )
    return [Finding(code="watchdog_silent", subject=table, text=text, remedy=remedy)]


def findings_of_role(arn: str, facts: RoleFacts | None, loop_arn: str) -> list[Finding]:
    """Returns the finding of a role in which no far wake reaches the loop.

    `None` means that it does not exist.
    """
    match facts:
        case None:
            fault = "the role in which it should wake a loop does not exist"
        case _ if not facts.trusts_scheduler:
            fault = "it may not assume the role in which it should wake a loop"
        case _ if not facts.may_invoke:
            fault = f"the policies of its role do not let it invoke {short_name(loop_arn)}"
        case _:
            return []
    return [
        Finding(
            code="wake_refused",
            subject=as_line(arn.rpartition("/")[2]),
            text=f"EventBridge Scheduler wakes no loop, as {fault}. Work items that are due later "
            "start up to a minute late, by the watchdog alone.",
            remedy="Deploy the stack again. The role needs lambda:InvokeFunction on the loop's "
            "function, and scheduler.amazonaws.com in its trust policy.",
        )
    ]


def wakes_unknown(table: str) -> Finding:
    """Returns the finding of a deployment that cannot order far wakes."""
    return Finding(
        code="wake_missing",
        subject=table,
        text="The deployment names no schedule group or no role for EventBridge Scheduler, so work "
        "items that are due later start up to a minute late, by the watchdog alone.",
        remedy="Deploy the stack again, with WORKPOOL_SCHEDULE_GROUP and WORKPOOL_SCHEDULER_ROLE_ARN.",
    )


def wake_missing(pool: str, at: EpochMs) -> Finding:
    """Returns the finding of a resting loop that no schedule wakes."""
    return Finding(
        code="wake_missing",
        subject=pool,
        text=f"Its loop rests, and the schedule that should wake it at {stamp(at)} does not exist. "
        "The watchdog wakes it, up to a minute late.",
        remedy="See `timer_failed` in the loop's log. Its role needs scheduler:CreateSchedule on the "
        "group and iam:PassRole on the scheduler's role.",
    )


def refused(works: Iterable[WorkItem]) -> list[Finding]:
    """Returns a finding for each function that Lambda refuses to invoke for a work item."""
    found: dict[str, WorkItem] = {}
    for work in works:
        if work.refused_since is not None:
            found.setdefault(work.spec.target, work)
    return [
        Finding(
            code="function_refused",
            subject=short_name(target),
            text=f"Lambda refuses to invoke it for pool {work.pool} since "
            f"{stamp(work.refused_since or EpochMs(0))}{last_error(work)}.",
            remedy="Deploy it, or allow the loop's role lambda:InvokeFunction on it, as add_action "
            "does. After two minutes of refusals its work items fail as not_invocable.",
        )
        for target, work in found.items()
    ]


def stuck(pool: str, reason: str) -> Finding:
    """Returns the finding for a pool that needs a loop, by the watchdog's rules of ticks ago."""
    return Finding(
        code="pool_stuck",
        subject=pool,
        text=f"It needs a loop and has none: {reason}.",
        remedy="If it stays so for a minute, check that the watchdog's schedule is enabled, that "
        "its function runs without errors, and that it may invoke the loop. An enqueue in the pool "
        "starts a loop, too.",
    )


def forgotten(pool: str, config: Config) -> Finding:
    """Returns the finding for a pool that lets nothing start although work items are due."""
    limit = config_of(config, max_parallelism_default=limits.PARALLELISM_DEFAULT)
    source = limit.override or limit.base
    when = "" if source.at is None else f" since {source.at:%Y-%m-%d %H:%M:%SZ}"
    return Finding(
        code="pool_forgotten",
        subject=pool,
        text=f"Its limit is 0{when}, set by {as_line(source.by or 'no known caller')}, and work "
        "items are due.",
        remedy="`workpool resume` or `workpool limit N`, or `workpool cancel --all`.",
    )

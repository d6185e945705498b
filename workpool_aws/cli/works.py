"""Commands about work items: ls, show, cancel, redrive."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.cli.codes import DECLINED, UNFIT
from workpool_aws.cli.output import cell, note
from workpool_aws.cli.target import Target, confirmed, target_of
from workpool_aws.cli.work_texts import (
    WORK_HEADER,
    retry_as_json,
    work_as_json,
    work_fields,
    work_row,
)
from workpool_aws.errors import AlreadyEnqueued, NotFound, UsageError
from workpool_aws.insights.answers import WorkFilter
from workpool_aws.insights.insights import Insights
from workpool_aws.insights.moments import moment_of
from workpool_aws.text import NOTHING, Words, counted, many

if TYPE_CHECKING:
    import argparse

    from workpool_aws.core.payload import JsonValue

__all__ = ["run_cancel", "run_ls", "run_redrive", "run_show"]


def run_ls(options: argparse.Namespace) -> int:
    """`workpool ls`."""
    target = target_of(options)
    insights = Insights(target.pool.table, ports=target.ports)
    now = insights.now
    wanted = WorkFilter(
        state=options.state,
        fn=options.fn,
        error=options.error,
        args=options.contains,
        group=options.group,
        since=None if options.since is None else moment_of("--since", options.since, now),
        before=None if options.before is None else moment_of("--before", options.before, now),
        order="newest" if options.newest else "oldest",
        limit=options.limit,
    )
    page = insights.works(target.pool.name, wanted, options.after, why=False).value
    items = [row.work for row in page.rows]
    if target.output.as_json:
        target.output.json({"items": [work_as_json(work) for work in items], "next": page.next})
        return 0
    target.output.table(WORK_HEADER, [work_row(work, wide=options.wide) for work in items])
    if page.next is not None:
        note(f"more: --after {page.next}")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """`workpool show ID`."""
    target = target_of(options)
    try:
        work = target.pool.show(None, options.id, args=options.args, result=options.result)
    except NotFound:
        note(f"workpool: no work item {cell(options.id)} is known in {target}")
        return UNFIT
    if target.output.as_json:
        secrets: dict[str, JsonValue] = {}
        if options.args:
            secrets["args"] = work.args.json
        if options.result:
            secrets["result"] = None if work.result is None else work.result.json
        target.output.json(
            {
                **work_as_json(work.status),
                "retry": retry_as_json(work.retry),
                "group": work.group,
                "unique_key": work.unique_key,
                "key_holder": work.key_holder,
                "link": work.link,
                "trace_id": work.trace_id,
                **secrets,
            }
        )
        return 0
    group = [] if work.group is None else [("group", work.group)]
    target.output.fields([*work_fields(work), *group])
    return 0


def run_cancel(options: argparse.Namespace) -> int:
    """`workpool cancel ID... | --all`."""
    if bool(options.ids) == options.all:
        raise UsageError("ID", Words("both") if options.all else NOTHING, "given, or else --all")
    target = target_of(options)
    if options.all:
        return _All(target, options.yes).cancel()
    found = Counter(status.state for status in target.pool.status_batch(None, options.ids))
    states = ", ".join(f"{count} {state}" for state, count in found.items())
    question = f"Cancel {many(len(options.ids), 'work item')} ({states}) in {target}?"
    if not confirmed(question, yes=options.yes):
        return DECLINED
    answers: dict[str, JsonValue] = {
        work_id: str(target.pool.cancel(None, work_id)) for work_id in options.ids
    }
    _answer(target, answers)
    return UNFIT if {"unknown", "finished"} & set(map(str, answers.values())) else 0


def run_redrive(options: argparse.Namespace) -> int:
    """`workpool redrive ID... | --all`."""
    if bool(options.ids) == options.all:
        raise UsageError("ID", Words("both") if options.all else NOTHING, "given, or else --all")
    if options.fn is not None and not options.all:
        raise UsageError("--job", options.fn, "given together with --all, or left out")
    target = target_of(options)
    if options.all:
        return _All(target, options.yes).redrive(options.fn)
    if not confirmed(
        f"Redrive {many(len(options.ids), 'work item')} in {target}?", yes=options.yes
    ):
        return DECLINED
    answers: dict[str, JsonValue] = {}
    unfit = False
    for work_id in options.ids:
        try:
            answers[work_id] = target.pool.redrive(None, work_id)
        except (AlreadyEnqueued, NotFound, UsageError) as error:
            answers[work_id] = None
            unfit = True
            note(f"workpool redrive: {error}")
    _answer(target, answers)
    return UNFIT if unfit else 0


@dataclass(frozen=True, slots=True)
class _All:
    """The acts of `--all` on the pool, after a question."""

    target: Target
    yes: bool

    def cancel(self) -> int:
        """Cancel all that waits, and ask the running ones to stop."""
        target = self.target
        stats = target.pool.stats(None)
        due = counted(stats.pending, more=stats.pending_at_least)
        later = counted(stats.scheduled, more=stats.scheduled_at_least)
        waiting = f"{due} due and {later} later"
        if not confirmed(
            f"Cancel all that waits ({waiting}) and ask the {stats.running} running in {target}?",
            yes=self.yes,
        ):
            return DECLINED
        target.pool.cancel_all(None)
        if target.output.as_json:
            target.output.json(
                {
                    "pending": stats.pending,
                    "scheduled": stats.scheduled,
                    "at_least": stats.at_least,
                    "running": stats.running,
                }
            )
        else:
            target.output.line(
                f"canceled: {waiting}; asked: {stats.running} running. "
                "The loop goes through them one by one."
            )
        return 0

    def redrive(self, fn: str | None) -> int:
        """Redrive every dead letter, or those of one job or function."""
        target = self.target
        count = target.pool.count_dead_letters(None, fn)
        if count and not confirmed(
            f"Redrive {many(count, 'work item')} that failed for good, "
            f"or whose callback is dead, in {target}?",
            yes=self.yes,
        ):
            return DECLINED
        made = target.pool.redrive_all(None, fn) if count else 0
        if target.output.as_json:
            target.output.json({"redriven": made})
        else:
            target.output.line(f"{many(made, 'work item')} redriven")
        return 0


def _answer(target: Target, answers: dict[str, JsonValue]) -> None:
    if target.output.as_json:
        target.output.json(answers)
        return
    for work_id, answer in answers.items():
        target.output.line(f"{cell(work_id)}  {'-' if answer is None else answer}")

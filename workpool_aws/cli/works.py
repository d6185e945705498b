"""Commands about work items: ls, show, cancel, redrive."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from workpool_aws.cli.codes import DECLINED, UNFIT
from workpool_aws.cli.output import cell, iso, moment, note
from workpool_aws.cli.target import Target, confirmed, target_of
from workpool_aws.core import limits
from workpool_aws.errors import NotFound, UsageError
from workpool_aws.model.names import FUNCTION_ARN
from workpool_aws.model.work import Outcome
from workpool_aws.text import NOTHING, Words, as_line

if TYPE_CHECKING:
    import argparse

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.details import StoredPayload, WorkDetails
    from workpool_aws.core.views.listing import ListedWork, ListState
    from workpool_aws.core.views.status import Attempt
    from workpool_aws.model.retry import RetryPolicy

__all__ = ["run_cancel", "run_ls", "run_redrive", "run_show"]

_GONE: Final = "gone or damaged"
_HEADER: Final = ("id", "state", "attempts", "when", "function", "error")
_OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)
_PAGES_MAX: Final = 20


def run_ls(options: argparse.Namespace) -> int:
    """`workpool ls`."""
    target = target_of(options)
    items, after = _page_of(target, options)
    if target.output.as_json:
        target.output.json({"items": [_as_json(work) for work in items], "next": after})
        return 0
    target.output.table(_HEADER, [_row(work, wide=options.wide) for work in items])
    if after is not None:
        note(f"more: --after {after}")
    return 0


def _page_of(target: Target, options: argparse.Namespace) -> tuple[list[ListedWork], str | None]:
    """The work items to show, and the `after` of the next page.

    One outcome may take several pages of finished ones, to a bound.
    """
    outcome = options.state if options.state in _OUTCOMES else None
    state: ListState | None = "finished" if outcome else options.state
    order: Final = "newest" if options.newest else "oldest"
    items: list[ListedWork] = []
    after: str | None = options.after
    for _ in range(_PAGES_MAX):
        page = target.pool.list(
            None,
            state=state,
            fn=options.fn,
            order=order,
            limit=options.limit - len(items),
            after=after,
        )
        items += [work for work in page.items if outcome is None or work.outcome == outcome]
        after = page.next
        if outcome is None or after is None or len(items) == options.limit:
            break
    return items, after


def run_show(options: argparse.Namespace) -> int:
    """`workpool show ID`."""
    target = target_of(options)
    try:
        work = target.pool.show(None, options.id, args=options.args, result=options.result)
    except NotFound:
        note(f"workpool: no work {cell(options.id)} is known in {target}")
        return UNFIT
    if target.output.as_json:
        secrets: dict[str, JsonValue] = {}
        if options.args:
            secrets["args"] = work.args.json
        if options.result:
            secrets["result"] = None if work.result is None else work.result.json
        target.output.json(
            {**_as_json(work.status), "retry": _policy(work.retry), "link": work.link, **secrets}
        )
        return 0
    target.output.fields(_details(work))
    return 0


def run_cancel(options: argparse.Namespace) -> int:
    """`workpool cancel ID... | --all`."""
    if bool(options.ids) == options.all:
        raise UsageError("ID", Words("both") if options.all else NOTHING, "given, or else --all")
    target = target_of(options)
    if options.all:
        return _cancel_all(target, yes=options.yes)
    found = Counter(status.state for status in target.pool.status_batch(None, options.ids))
    states = ", ".join(f"{count} {state}" for state, count in found.items())
    if not confirmed(
        f"Cancel {_many(len(options.ids), 'work')} ({states}) in {target}?", yes=options.yes
    ):
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
        raise UsageError("--fn", options.fn, "given together with --all, or left out")
    target = target_of(options)
    if options.all:
        return _redrive_all(target, options.fn, yes=options.yes)
    if not confirmed(f"Redrive {_many(len(options.ids), 'work')} in {target}?", yes=options.yes):
        return DECLINED
    answers: dict[str, JsonValue] = {}
    unfit = False
    for work_id in options.ids:
        try:
            answers[work_id] = target.pool.redrive(None, work_id)
        except (NotFound, UsageError) as error:
            answers[work_id] = None
            unfit = True
            note(f"workpool redrive: {error}")
    _answer(target, answers)
    return UNFIT if unfit else 0


def _cancel_all(target: Target, *, yes: bool) -> int:
    stats = target.pool.stats(None)
    least = "at least " if stats.at_least else ""
    waiting = f"{least}{stats.pending} due and {stats.scheduled} later"
    if not confirmed(
        f"Cancel all that waits ({waiting}) and ask the {stats.running} running in {target}?",
        yes=yes,
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


def _redrive_all(target: Target, fn: str | None, *, yes: bool) -> int:
    count = target.pool.count_dead_letters(None, fn)
    if count and not confirmed(
        f"Redrive {_many(count, 'work')} that failed for good, "
        f"or whose callback is dead, in {target}?",
        yes=yes,
    ):
        return DECLINED
    made = target.pool.redrive_all(None, fn) if count else 0
    if target.output.as_json:
        target.output.json({"redriven": made})
    else:
        target.output.line(f"{_many(made, 'work')} redriven")
    return 0


def _answer(target: Target, answers: dict[str, JsonValue]) -> None:
    if target.output.as_json:
        target.output.json(answers)
        return
    for work_id, answer in answers.items():
        target.output.line(f"{cell(work_id)}  {'-' if answer is None else answer}")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _row(work: ListedWork, *, wide: bool) -> tuple[str, ...]:
    when = work.finished_at or (work.started_at if work.state == "running" else work.next_run_at)
    error = _trouble_of(work)
    if work.callback == "dead":
        error = "its callback is dead" if error is None else f"its callback is dead; {error}"
    # A name with its version or alias, for terminals too narrow for an ARN.
    arn = FUNCTION_ARN.fullmatch(work.target)
    function = (
        work.target
        if wide
        else cell(work.target if arn is None else f"{arn['name']}{arn['qualifier'] or ''}")
    )
    return (
        work.work_id,
        _state_of(work),
        str(_attempts(work)),
        moment(when),
        function,
        error or "-" if wide else cell(error),
    )


def _trouble_of(work: ListedWork) -> str | None:
    """The error that ended the work item, or else that of its latest attempt."""
    if work.error_type is not None:
        return f"{work.error_type}: {work.error}"
    last = work.attempts[-1] if work.attempts and work.outcome is None else None
    if last is None or (last.error_type is None and last.error is None):
        return None
    return f"attempt {last.number} {_end_of(last)}"


def _end_of(attempt: Attempt) -> str:
    said = ": ".join(as_line(part) for part in (attempt.error_type, attempt.error) if part)
    outcome = attempt.outcome.replace("_", " ")
    return f"{outcome}: {said}" if said else outcome


def _state_of(work: ListedWork) -> str:
    state = work.outcome or work.state
    return f"{state}, cancel requested" if work.cancel_requested and work.outcome is None else state


def _attempts(work: ListedWork) -> int:
    return work.previous_attempts + (0 if work.state == "pending" or work.started_at is None else 1)


def _payload(payload: StoredPayload | None, hint: str) -> str:
    if payload is None:
        return "-"
    if payload.missing:
        return _GONE
    if payload.json is not None:
        return payload.json
    if payload.size_bytes is not None:
        return f"{payload.size_bytes} bytes ({hint})"
    return f"{_many(payload.chunks, 'chunk')} of at most {limits.CHUNK_BYTES // 1024} KB ({hint})"


def _details(work: WorkDetails) -> list[tuple[str, str]]:
    shown = work.status
    return [
        ("id", shown.work_id),
        ("state", _state_of(shown) if shown.outcome is None else shown.state),
        ("outcome", shown.outcome or "-"),
        ("function", shown.target),
        ("kind", shown.kind),
        ("attempts", str(_attempts(shown))),
        ("enqueued", moment(shown.enqueued_at)),
        ("due", moment(shown.next_run_at)),
        ("started", moment(shown.started_at)),
        ("finished", moment(shown.finished_at)),
        ("cancel requested", "yes" if shown.cancel_requested else "no"),
        ("callback", shown.callback or "-"),
        ("retry", "-" if work.retry is None else f"at most {work.retry.max_attempts} attempts"),
        ("redrive of", shown.redrive_of or "-"),
        ("redriven as", shown.redriven_as or "-"),
        ("asked for by", cell(work.link)),
        (
            "error",
            "-"
            if shown.error_type is None
            else f"{as_line(shown.error_type)}: {shown.error or ''}",
        ),
        *(
            (f"attempt {each.number}", f"{moment(each.started_at)}, {_end_of(each)}")
            for each in shown.attempts
        ),
        ("arguments", _payload(work.args, "--args shows them; they may be secret")),
        ("result", _payload(work.result, "--result shows it")),
    ]


def _as_json(work: ListedWork) -> dict[str, JsonValue]:
    return {
        "work_id": work.work_id,
        "state": work.state,
        "outcome": work.outcome,
        "target": work.target,
        "kind": work.kind,
        "previous_attempts": work.previous_attempts,
        "enqueued_at": iso(work.enqueued_at),
        "next_run_at": iso(work.next_run_at),
        "started_at": iso(work.started_at),
        "finished_at": iso(work.finished_at),
        "cancel_requested": work.cancel_requested,
        "callback": work.callback,
        "error": work.error,
        "error_type": work.error_type,
        "redrive_of": work.redrive_of,
        "redriven_as": work.redriven_as,
        "last_error": work.last_error,
        "attempts": [
            {
                "number": each.number,
                "started_at": iso(each.started_at),
                "ended_at": iso(each.ended_at),
                "outcome": each.outcome,
                "error_type": each.error_type,
                "error": each.error,
            }
            for each in work.attempts
        ],
    }


def _policy(retry: RetryPolicy | None) -> JsonValue:
    if retry is None:
        return None
    return {
        "max_attempts": retry.max_attempts,
        "initial_backoff_s": retry.initial_backoff.total_seconds(),
        "base": retry.base,
        "max_backoff_s": None if retry.max_backoff is None else retry.max_backoff.total_seconds(),
        "jitter": retry.jitter,
    }

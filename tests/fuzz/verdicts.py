"""Judges a random program from outside of the library: by its calls, its user code and the last answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.fuzz.cast import CALLBACK
from tests.fuzz.history import Body, History, Wish
from workpool_aws import Status, Workpool
from workpool_aws.local import LocalCloud

__all__ = ["Judged", "judge"]

TROUBLES = (
    "LoopEnded",
    "NoProgress",
    "PassFailed",
    "SetAside",
    "ControlRepaired",
    "RecordUnreadable",
)
"""Events of a library that met what it does not expect."""
CERTAIN = frozenset(
    {"succeeds", "fails once", "exits once", "snoozes once", "comes later once", "naps"}
)
"""Behaviours that succeed, given attempts enough."""
TWICE = frozenset({"fails once", "exits once", "comes later once"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A program that was played to its end."""

    cloud: LocalCloud
    history: History
    pools: Sequence[Workpool]
    is_calm: bool
    """No call, process or event was lost."""
    counts_all: bool
    """No second delivery could fail before it began [WP-1]."""
    is_deployed_once: bool
    """Its function stayed as it was."""


def judge(judged: Judged) -> list[str]:
    """Returns all that is wrong, each with the rule that it breaks."""
    statuses = _statuses(judged)
    return [
        *_over_the_limit(judged),
        *_ran_too_often(judged),
        *_ran_though_canceled(judged.history),
        *_ran_though_replaced(judged.history),
        *_ran_though_rolled_back(judged.history),
        *_ended_wrongly(judged, statuses),
        *_ended_twice(judged),
        *_was_not_told(judged, statuses),
        *_spawned_wrongly(judged, statuses),
        *_groups_left(judged),
        *_troubles(judged),
    ]


def _statuses(judged: Judged) -> dict[str, Status]:
    """Returns the final status of each work item that was acknowledged or that ran."""
    by_pool: dict[str, list[str]] = defaultdict(list)
    for work_id, asked in judged.history.named.items():
        if asked:
            by_pool[asked[0][1].pool].append(work_id)
    for spawning, spawned in judged.history.spawned.items():
        by_pool[judged.history.runs_of(spawning)[0].wish.pool] += spawned
    pools = {pool.name: pool for pool in judged.pools}
    return {
        work_id: status
        for name, ids in by_pool.items()
        for work_id, status in zip(ids, pools[name].status_batch(None, ids), strict=True)
    }


def _over_the_limit(judged: Judged) -> Iterator[str]:
    """[WP-1] User code of claimed work items, and all of it where no second delivery fails."""
    history, ends = judged.history, defaultdict[str, int](int)
    since: list[tuple[Body, int]] = []
    for body in history.bodies:
        since.append((body, max(body.wish.asked_at, ends[body.work_id])))
        ends[body.work_id] = round(min(body.ended_at, history.now))
    for body, _ in since:
        beside = [
            (other, at)
            for other, at in since
            if other.wish.pool == body.wish.pool
            and other.began_at <= body.began_at < other.ended_at
            and (judged.counts_all or _is_claimed(other.wish))
        ]
        limit = history.limit_within(
            body.wish.pool, min((at for _, at in beside), default=0), body.began_at
        )
        if len(beside) > limit:
            yield f"[WP-1] {len(beside)} at limit {limit} at {body.began_at}: {[each.work_id for each, _ in beside]}"
            return


def _is_claimed(wish: Wish) -> bool:
    return wish.attempts_max == 1 and "mutation" not in wish.options


def _ran_too_often(judged: Judged) -> Iterator[str]:
    """[WP-5] No more runs than attempts, but for those that ended in a snooze."""
    by_id: dict[str, list[Body]] = defaultdict(list)
    for body in judged.history.bodies:
        by_id[body.work_id].append(body)
    for work_id, bodies in by_id.items():
        if "mutation" in bodies[0].wish.options and not judged.is_calm:
            continue  # a second delivery may run it, and one of the two commits
        asked = judged.history.named.get(work_id)
        most = max(
            wish.attempts_max
            for wish in [body.wish for body in bodies] + [w for _, w in asked or ()]
        )
        spent = sum(body.course != "snoozed" for body in bodies)
        if spent > most:
            yield f"[WP-5] {work_id} spent {spent} of {most} attempts: {[(b.began_at, b.course) for b in bodies]}"


def _ran_though_canceled(history: History) -> Iterator[str]:
    """[WP-7] Nothing begins after a cancel, and one start that was made after a request."""
    for work_id, answer, at in history.canceled:
        later = [body for body in history.runs_of(work_id) if body.began_at > at]
        if len(later) > (1 if answer == "requested" else 0) and answer != "finished":
            yield f"[WP-7] {work_id} began {len(later)} times after cancel answered {answer!r} at {at}"


def _ran_though_replaced(history: History) -> Iterator[str]:
    """[WP-16] What begins has the arguments of the last replacement that was acknowledged."""
    for work_id, asked in history.named.items():
        if len(asked) < 2:
            continue
        for body in history.runs_of(work_id):
            # Of two enqueues at one time, either is the last.
            before = [wish for at, wish in asked if at < body.began_at]
            newest = before[-1] if before else asked[0][1]
            if body.wish.asked_at < newest.asked_at and body.wish.number != newest.number:
                yield f"[WP-16] {work_id} ran #{body.wish.number} at {body.began_at}, after #{newest.number}"


def _ran_though_rolled_back(history: History) -> Iterator[str]:
    """[WP-9]"""
    for body in history.bodies:
        if body.wish.number in history.rolled_back:
            yield f"[WP-9] {body.work_id} ran #{body.wish.number} of a transaction that was not applied"


def _ended_wrongly(judged: Judged, statuses: dict[str, Status]) -> Iterator[str]:
    """[WP-3, WP-5] Each work item is finished, by what its user code came to."""
    history = judged.history
    for work_id, asked in history.named.items():
        if not asked:
            continue
        status, bodies = statuses[work_id], history.runs_of(work_id)
        if status.state != "finished":
            yield f"[WP-3] {work_id} is {status.state}: {asked[0][1]}"
            continue
        returned = any(body.course == "returned" for body in bodies)
        if status.outcome == "success" and not returned and judged.is_deployed_once:
            yield f"[WP-4] {work_id} succeeded without a run that did"
        if status.outcome == "canceled" and "cancel" not in history.touched[work_id]:
            yield f"[WP-7] {work_id} is canceled, and nobody asked for it"
        if judged.is_calm and judged.is_deployed_once and not history.touched[work_id]:
            yield from _ended_unexpectedly(work_id, asked[0][1], status, bodies)


def _ended_unexpectedly(
    work_id: str, wish: Wish, status: Status, bodies: list[Body]
) -> Iterator[str]:
    """[WP-5] Where nothing goes wrong and nothing else is asked, a behaviour has one end."""
    if {"timeout", "expires_after"} & wish.options.keys() or wish.does == "hangs":
        return
    good = wish.does in CERTAIN and (wish.does not in TWICE or wish.attempts_max > 1)
    if good != (status.outcome == "success"):
        yield f"[WP-5] {work_id} #{wish.number} {wish.does!r} ended as {status.outcome}: {status.last_error}"
    if good and len(bodies) != 1 + (wish.does in TWICE or wish.does == "snoozes once"):
        yield f"[WP-5] {work_id} #{wish.number} {wish.does!r} ran {len(bodies)} times"


def _ended_twice(judged: Judged) -> Iterator[str]:
    """[WP-4]"""
    for work_id, count in judged.history.completions().items():
        if count > 1:
            yield f"[WP-4] {work_id} ended {count} times"


def _was_not_told(judged: Judged, statuses: dict[str, Status]) -> Iterator[str]:
    """[WP-8] A callback is delivered at least once, with the outcome, or it is dead."""
    heard: dict[str, set[str]] = defaultdict(set)
    for each in judged.history.received:
        heard[each.work_id].add(each.kind)
    for work_id, asked in judged.history.named.items():
        if not asked or asked[0][1].options.get("on_complete") != CALLBACK:
            continue
        status = statuses[work_id]
        if status.state != "finished" or status.callback == "dead":
            continue
        if heard[work_id] != {status.outcome}:
            yield f"[WP-8] {work_id} ended as {status.outcome}, and its callback heard {heard[work_id] or 'nothing'}"


def _spawned_wrongly(judged: Judged, statuses: dict[str, Status]) -> Iterator[str]:
    """[WP-15] A mutation that succeeded has put one work item, and another one none."""
    for work_id, spawned in judged.history.spawned.items():
        if work_id not in statuses:
            continue
        known = sum(statuses[each].state != "unknown" for each in spawned)
        if known != (1 if statuses[work_id].outcome == "success" else 0):
            yield f"[WP-15] {work_id} ended as {statuses[work_id].outcome}, and put {known} work items"
        if any(statuses[each].state not in ("finished", "unknown") for each in spawned):
            yield f"[WP-3] what {work_id} put is not finished: {[statuses[each].state for each in spawned]}"


def _groups_left(judged: Judged) -> Iterator[str]:
    """[WP-43] Each member counts once."""
    pools = {pool.name: pool for pool in judged.pools}
    for name, group_id, count in judged.history.groups:
        group = pools[name].group(None, group_id)
        ended = group.succeeded + group.failed + group.canceled
        if ended != count:
            yield f"[WP-43] group {group_id} of {count} has {group}"


def _troubles(judged: Judged) -> Iterator[str]:
    """[WP-22] Nothing that the library itself calls wrong."""
    for event in judged.cloud.events:
        name = type(event).__name__
        if name == "NoProgress" or (
            judged.is_calm and judged.is_deployed_once and name in TROUBLES
        ):
            yield f"[WP-22] {event}"[:300]
            return

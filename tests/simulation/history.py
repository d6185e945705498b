"""The outsider's verdict, from public calls, their answers and the runs of user code alone.

It knows no item, no ledger and no write. Any user with a diary could reach the same verdict. So it
agrees with the judge of writes only where both are right. As docs/protocol.md says, unclaimed and
undecorated work items may run twice, or late, where deliveries are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "Began",
    "Breach",
    "CallOffAnswered",
    "CallOffAsked",
    "CancelAnswered",
    "CancelAsked",
    "Ended",
    "Enqueued",
    "Event",
    "Heard",
    "LimitAnswered",
    "LimitAsked",
    "Looked",
    "Redriven",
    "Terms",
    "breaches",
]

_CLOCKS_MS: Final = 4_000
"""By so much the clocks of a caller and a loop may differ."""
_KEPT_MS: Final = 24 * 3_600_000
"""The least time for which a finished work item is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """An enqueue returned, or said that it may have stored this work (`acknowledged` False)."""

    at: int
    work_id: str
    pool: str
    asked_at: int
    """When the call began; `at` is when it returned."""
    due_at: int
    attempts: int
    claimed: bool
    """It is not to run twice, and its function can see to that."""
    decorated: bool
    wants: frozenset[str] = frozenset()
    """The outcomes with a callback."""
    acknowledged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """User code began to run. `run` distinguishes one run from all others."""

    at: int
    run: int
    pool: str
    work_id: str
    start: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It ended: by itself, or because its process was killed."""

    at: int
    run: int
    ending: Literal["ok", "failed", "snoozed", "killed"]
    seen_until: int | None = None
    """Nothing was seen of it later, since its process stood still; `None` means that it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffAsked:
    """`cancel_all` is called. `call` distinguishes one from all others."""

    at: int
    pool: str
    call: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffAnswered:
    """It returned."""

    at: int
    pool: str
    call: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """`cancel` is called."""

    at: int
    work_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswered:
    """The answer of `cancel`."""

    at: int
    work_id: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAsked:
    """`configure`, or the constructor, is about to set a limit; from now on it may be in force.

    `limit` 0: paused.
    """

    at: int
    pool: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitAnswered:
    """`configure` returned: this limit is in force."""

    at: int
    pool: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An `on_complete` target received the callback of a work item."""

    at: int
    work_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The answer of `status`, and of a success the start that `result` names as its own.

    `None` means that `result` was not asked.
    """

    at: int
    work_id: str
    asked_at: int
    """When the call began: the answer is the truth of some moment between the two."""
    state: str
    outcome: str | None = None
    result_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """`redrive` returned a new work."""

    at: int
    work_id: str
    new_id: str


Event = (
    Enqueued
    | Began
    | Ended
    | CallOffAsked
    | CallOffAnswered
    | CancelAsked
    | CancelAnswered
    | LimitAsked
    | LimitAnswered
    | Heard
    | Looked
    | Redriven
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that the history shows to be broken."""

    rule: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what circumstances the history came about."""

    once: bool = False
    """No event was delivered twice."""
    in_time: bool = False
    """True if no delivery was late, and no process stood still."""
    settled: bool = False
    """Faults had stopped long before its end, and the last thing that happened is a look at every
    work."""
    starts_a_slot: int = 1
    """Starts that a slot may have been committed for at one time: those of a run."""
    excused: frozenset[str] = frozenset()
    """Work items that lost payloads by hand, and so need no callback."""


def breaches(history: Sequence[Event], terms: Terms) -> list[Breach]:
    """Every promise that this history, in order of time, shows to be broken."""
    works = {each.work_id: each for each in history if isinstance(each, Enqueued)}
    found: list[Breach] = []
    for rule in (
        _limits,
        _pauses,
        _runs,
        _attempts,
        _cancels,
        _called_off,
        _spared,
        _looks,
        _results,
        _callbacks,
        _redrives,
        _dues,
    ):
        found += rule(history, works, terms)
    return found


def _limits(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """Claimed work items run within the highest limit; all do, where nothing is doubled or late."""
    allowed: defaultdict[str, int] = defaultdict(int)
    live: dict[int, Began] = {}
    # A killed process may note its end after another begins in the same instant.
    ends = {
        each.run: each.at if each.seen_until is None else each.seen_until
        for each in history
        if isinstance(each, Ended) and (each.ending == "killed" or each.seen_until is not None)
    }
    for event in history:
        if isinstance(event, LimitAsked):
            allowed[event.pool] = max(allowed[event.pool], event.limit)
        elif isinstance(event, Ended):
            live.pop(event.run, None)
        elif isinstance(event, Began) and (
            _is_claimed(event, works) or (terms.once and terms.in_time)
        ):
            live[event.run] = event
            beside = [
                each
                for each in live.values()
                if each.pool == event.pool and event.at < ends.get(each.run, event.at + 1)
            ]
            if len(beside) > allowed[event.pool]:
                yield Breach(
                    "WP-1",
                    f"{len(beside)} works of {event.pool} run at one time, where {allowed[event.pool]} were ever allowed",
                )


def _pauses(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """After a pause was answered, no more begins than could have been committed before: one for each slot there ever was."""
    allowed: defaultdict[str, int] = defaultdict(int)
    begun: set[tuple[str, int]] = set()
    since: dict[str, list[Began]] = {}
    for event in history:
        if isinstance(event, LimitAsked):
            allowed[event.pool] = max(allowed[event.pool], event.limit)
            if event.limit:
                since.pop(event.pool, None)
        elif isinstance(event, LimitAnswered) and event.limit == 0:
            since.setdefault(event.pool, [])
        elif isinstance(event, Began):
            key = (event.work_id, event.start)
            held = since.get(event.pool)
            if held is not None and key not in begun:
                held.append(event)
                again = sum(each.work_id == event.work_id for each in held) > 1
                if again or len(held) > allowed[event.pool] * terms.starts_a_slot:
                    yield Breach(
                        "WP-13",
                        f"{event.work_id}/{event.start} begins in a pause, as the {len(held)}. start",
                    )
            begun.add(key)


def _runs(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """Claimed work runs once, and once more after each snooze; where no event is doubled, every start runs once."""
    starts: set[tuple[str, int]] = set()
    ran: defaultdict[str, list[Began]] = defaultdict(list)
    snoozed = {each.run for each in history if isinstance(each, Ended) and each.ending == "snoozed"}
    for event in history:
        if not isinstance(event, Began):
            continue
        before = ran[event.work_id]
        if _is_claimed(event, works) and any(
            each.run not in snoozed or each.start == event.start for each in before
        ):
            yield Breach("WP-5", f"claimed {event.work_id} runs again, in start {event.start}")
        if terms.once and (event.work_id, event.start) in starts:
            yield Breach(
                "WP-4", f"{event.work_id}/{event.start} runs twice, although no event was doubled"
            )
        before.append(event)
        starts.add((event.work_id, event.start))


def _attempts(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """No attempt beyond the policy, and a later start is no earlier attempt."""
    latest: dict[str, Began] = {}
    for event in history:
        if not isinstance(event, Began):
            continue
        work = works.get(event.work_id)
        if work is not None and event.attempt > work.attempts:
            yield Breach(
                "WP-5", f"{event.work_id} runs as attempt {event.attempt} of {work.attempts}"
            )
        last = latest.setdefault(event.work_id, event)
        if event.start > last.start:
            if event.attempt < last.attempt:
                yield Breach(
                    "WP-5",
                    f"{event.work_id} runs as attempt {event.attempt} after attempt {last.attempt}",
                )
            latest[event.work_id] = event


def _cancels(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """After "canceled" no start, after "requested" no further one: at most the one that was on its way."""
    answers: dict[str, str] = {}
    begun: set[tuple[str, int]] = set()
    after: defaultdict[str, set[int]] = defaultdict(set)
    for event in history:
        if isinstance(event, CancelAnswered):
            answers.setdefault(event.work_id, event.answer)
            if event.answer == "canceled":
                answers[event.work_id] = "canceled"
        elif isinstance(event, Began):
            key = (event.work_id, event.start)
            work, answer = works.get(event.work_id), answers.get(event.work_id)
            # An undecorated function cannot see that its event is late.
            if (
                key not in begun
                and answer is not None
                and (terms.in_time or (work is not None and work.decorated))
            ):
                after[event.work_id].add(event.start)
                if answer == "canceled" or (
                    answer == "requested" and len(after[event.work_id]) > 1
                ):
                    yield Breach(
                        "WP-7",
                        f"{event.work_id}/{event.start} begins after its cancel was answered with {answer}",
                    )
            begun.add(key)


def _called_off(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """After `cancel_all` was answered, of what it meant no more begins than could have been committed before: one for each slot."""
    allowed: defaultdict[str, int] = defaultdict(int)
    known: defaultdict[str, set[str]] = defaultdict(set)
    meant: dict[int, frozenset[str]] = {}
    off: dict[str, int] = {}
    begun: set[tuple[str, int]] = set()
    late: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for event in history:
        if isinstance(event, LimitAsked):
            allowed[event.pool] = max(allowed[event.pool], event.limit)
        elif isinstance(event, Enqueued) and event.acknowledged:
            known[event.pool].add(event.work_id)
        elif isinstance(event, CallOffAsked):
            meant[event.call] = frozenset(known[event.pool])
        elif isinstance(event, CallOffAnswered):
            off = {**dict.fromkeys(meant[event.call], event.at), **off}
        elif isinstance(event, Began):
            key = (event.work_id, event.start)
            if event.work_id in off and key not in begun:
                late[event.pool].add(key)
                again = sum(each == event.work_id for each, _ in late[event.pool]) > 1
                far = works[event.work_id].due_at > off[event.work_id] + _CLOCKS_MS
                if (
                    again
                    or far
                    or len(late[event.pool]) > allowed[event.pool] * terms.starts_a_slot
                ):
                    yield Breach(
                        "WP-13",
                        f"{event.work_id}/{event.start} begins after cancel_all, as the {len(late[event.pool])}. start",
                    )
            begun.add(key)


def _spared(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """An enqueue after the answer of every `cancel_all` is spared; work far ahead then is canceled."""
    calls = [(each, _answer(history, each)) for each in history if isinstance(each, CallOffAsked)]
    asked = {each.work_id for each in history if isinstance(each, CancelAsked)}
    ends = {
        each.work_id: each.outcome
        for each in history
        if isinstance(each, Looked) and each.state == "finished"
    }
    for work_id, outcome in ends.items():
        work = works.get(work_id)
        if work is None or not work.acknowledged:
            continue
        mine = [(call, answer) for call, answer in calls if call.pool == work.pool]
        if (
            outcome == "canceled"
            and work_id not in asked
            and all(answer is not None and answer < work.asked_at for _, answer in mine)
        ):
            yield Breach("WP-3", f"{work_id} was enqueued after every cancel_all, and is canceled")
        for call, answer in mine:
            if (
                answer is not None
                and work.at < call.at
                and answer + _CLOCKS_MS < work.due_at
                and outcome != "canceled"
            ):
                yield Breach(
                    "WP-13",
                    f"{work_id} was called off long before it was due, and ended as {outcome}",
                )


def _answer(history: Sequence[Event], call: CallOffAsked) -> int | None:
    return next(
        (
            each.at
            for each in history
            if isinstance(each, CallOffAnswered) and each.call == call.call
        ),
        None,
    )


def _looks(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """Acknowledged work items are known while they are kept, finish in the end, and then stay as they are."""
    ends: dict[str, Looked] = {}
    last: dict[str, Looked] = {}
    acknowledged = _acknowledged(history)
    for event in (each for each in history if isinstance(each, Looked)):
        since = acknowledged.get(event.work_id)
        if event.state == "unknown" and since is not None:
            if event.asked_at > since + _KEPT_MS:
                acknowledged.pop(event.work_id)
            elif event.asked_at >= since:
                yield Breach("WP-3", f"acknowledged {event.work_id} is unknown")
            continue
        last[event.work_id] = event
        end = ends.get(event.work_id)
        if (
            end is not None
            and end.at <= event.asked_at
            and (event.state, event.outcome) != (end.state, end.outcome)
        ):
            yield Breach(
                "WP-6",
                f"{event.work_id} was {end.state} {end.outcome}, and is {event.state} {event.outcome}",
            )
        if event.state == "finished":
            ends[event.work_id] = event
    for work_id in sorted(acknowledged) if terms.settled else ():
        if work_id not in last or last[work_id].state != "finished":
            yield Breach("WP-3", f"acknowledged {work_id} is not finished in the end")


def _acknowledged(history: Sequence[Event]) -> dict[str, int]:
    """The acknowledged work items, and the times of their acknowledgements."""
    enqueued = {
        each.work_id: each.at
        for each in history
        if isinstance(each, Enqueued) and each.acknowledged
    }
    return enqueued | {each.new_id: each.at for each in history if isinstance(each, Redriven)}


def _results(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """A success is the return value of some run, and every report of an end is true."""
    returned: set[tuple[str, int]] = set()
    runs: dict[int, Began] = {}
    for event in history:
        if isinstance(event, Began):
            runs[event.run] = event
        elif isinstance(event, Ended) and event.ending == "ok" and event.run in runs:
            returned.add((runs[event.run].work_id, runs[event.run].start))
        elif (
            isinstance(event, Looked)
            and event.result_of is not None
            and (event.work_id, event.result_of) not in returned
        ):
            yield Breach(
                "WP-4",
                f"{event.work_id} succeeded in start {event.result_of}, which never returned",
            )


def _callbacks(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """Each wanted end has at least one callback, no other has one, and each is true."""
    heard: defaultdict[str, set[str]] = defaultdict(set)
    ends: dict[str, str | None] = {}
    for event in history:
        if isinstance(event, Heard):
            heard[event.work_id].add(event.kind)
        elif isinstance(event, Looked) and event.state == "finished":
            ends[event.work_id] = event.outcome
    for work_id, kinds in heard.items():
        work = works.get(work_id)
        if work is not None and not kinds <= work.wants:
            yield Breach(
                "WP-8", f"{work_id} told of {sorted(kinds)}, and wants {sorted(work.wants)}"
            )
        if work_id in ends and kinds != {ends[work_id]}:
            yield Breach("WP-8", f"{work_id} told of {sorted(kinds)}, and ended as {ends[work_id]}")
    for work_id, work in works.items() if terms.settled else ():
        if ends.get(work_id) in work.wants and not heard[work_id] and work_id not in terms.excused:
            yield Breach("WP-8", f"nobody was told that {work_id} ended as {ends[work_id]}")


def _redrives(
    history: Sequence[Event], works: dict[str, Enqueued], terms: Terms
) -> Iterator[Breach]:
    """A failure is redriven once, as a work item of its own, and nothing but a failure is."""
    made: dict[str, str] = {}
    ends = {
        each.work_id: each.outcome
        for each in history
        if isinstance(each, Looked) and each.state == "finished"
    }
    for event in history:
        if isinstance(event, Redriven):
            if (
                made.setdefault(event.work_id, event.new_id) != event.new_id
                or event.new_id == event.work_id
            ):
                yield Breach(
                    "WP-6",
                    f"{event.work_id} was redriven as {made[event.work_id]} and as {event.new_id}",
                )
            if ends.get(event.work_id, "failed") != "failed":
                yield Breach(
                    "WP-6", f"{event.work_id} was redriven, and ended as {ends[event.work_id]}"
                )


def _dues(history: Sequence[Event], works: dict[str, Enqueued], terms: Terms) -> Iterator[Breach]:
    """Nothing begins before it is due."""
    for event in _begun(history):
        work = works.get(event.work_id)
        if work is not None and event.at < work.due_at - _CLOCKS_MS:
            yield Breach(
                "WP-20", f"{event.work_id} begins {work.due_at - event.at} ms before it is due"
            )


def _begun(history: Iterable[Event]) -> Iterator[Began]:
    return (each for each in history if isinstance(each, Began))


def _is_claimed(event: Began, works: dict[str, Enqueued]) -> bool:
    work = works.get(event.work_id)
    return work is not None and work.claimed

"""The unique keys and request ids of a simulated run, and the verdict on them [WP-16] [WP-17]."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

from workpool_aws import AlreadyEnqueued, NotFound, RetryPolicy, StoreUnavailable, Workpool
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.payload import inline_text
from workpool_aws.model.record import Record
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

__all__ = ["FIRST_KEYED", "KeyCall", "KeyJudge", "KeyPlan", "keys_of", "play_call", "redrive_one"]

FIRST_KEYED: Final = 1_000
"""Numbers of work items that are enqueued by keys. All others are lower."""
_FAMILIES: Final = (2, 6)
_KEYS: Final = ("k1", "k2")

OnConflict = Literal["return", "raise", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCall:
    """A call by a process of its own. `number`: of the work item that it wants."""

    at_ms: int
    number: int
    key: str
    on_conflict: OnConflict
    delay_ms: int
    max_wait_ms: int | None
    request: str | None
    retried: bool

    @property
    def asked_number(self) -> int:
        """The number in its arguments. The same request asks for the same, by any caller."""
        return self.number if self.request is None else FIRST_KEYED + 500 + int(self.request[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """The keyed calls to one pool, and what people do beside them."""

    pool: int
    until: Literal["finished", "started"]
    calls: tuple[KeyCall, ...]
    redrives_ms: tuple[int, ...]
    call_offs_ms: tuple[int, ...]
    status_ttl_s: int

    @property
    def ends_ms(self) -> int:
        """When the last of them has begun."""
        moments = [each.at_ms for each in self.calls]
        return max(*moments, *self.redrives_ms, *self.call_offs_ms, 0)


def keys_of(seed: int, pools: int) -> KeyPlan | None:
    """In every eighth scenario: drawn apart, so that the others stay what they were."""
    chance = random.Random(f"keys {seed}")
    if seed % 8 not in _FAMILIES or chance.random() < 0.5:
        return None
    spread_ms = chance.choice((2_000, 20_000, 60_000))
    requests = chance.random() < 0.5
    conflicts: tuple[OnConflict, ...] = chance.choice(
        (("return", "return", "raise"), ("return", "replace"), ("replace",))
    )
    wait_ms = chance.choice((None, 4_000, 30_000))
    moments = sorted(chance.randrange(spread_ms) for _ in range(chance.randint(4, 9)))
    calls = tuple(
        KeyCall(
            at_ms=at_ms,
            number=FIRST_KEYED + n,
            key=chance.choice(_KEYS),
            on_conflict=chance.choice(conflicts),
            delay_ms=chance.choice((0, 0, 1_000, 6_000)),
            max_wait_ms=wait_ms,
            request=f"r{chance.randrange(4)}" if requests and chance.random() < 0.6 else None,
            retried=chance.random() < 0.5,
        )
        for n, at_ms in enumerate(moments)
    )
    late = [chance.randrange(1_000, spread_ms + 40_000) for _ in range(6)]
    return KeyPlan(
        pool=chance.randrange(pools),
        until=chance.choice(("finished", "finished", "started")),
        calls=calls,
        redrives_ms=tuple(late[: chance.choice((0, 2, 4))]),
        call_offs_ms=tuple(late[4 : 4 + chance.choice((0, 0, 1, 2))]),
        status_ttl_s=chance.choice((20, 86_400)),
    )


@dataclass(slots=True)
class KeyJudge:
    """Watches who holds which key, by the writes that were applied and by its own reading of them."""

    now: Callable[[], EpochMs]
    fail: Callable[[str, str], None]
    holders: defaultdict[tuple[str, str], set[WorkId]] = field(
        default_factory=lambda: defaultdict(set)
    )
    over_at: dict[WorkId, EpochMs] = field(default_factory=dict)
    numbers: dict[WorkId, int] = field(default_factory=dict)
    """Numbers with which work items were stored first."""
    answers: dict[str, WorkId] = field(default_factory=dict)
    """The answer to a request."""
    calls: dict[int, list[tuple[EpochMs, EpochMs | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """From when until when calls with a number were made."""
    replaced: dict[WorkId, list[tuple[int, EpochMs]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Of each work, the numbers that its acknowledged calls asked for, and when these were asked."""

    def seen(self, before: Record | None, after: Record | None) -> None:
        """A write was applied."""
        if not isinstance(after, WorkItem) or after.spec.unique is None:
            return
        if before is None:
            self.numbers[after.id] = number_of(after)
        elif isinstance(before, WorkItem) and before.starts == 0 and after.starts == 1:
            self._started(after)
        holders = self.holders[after.pool, after.spec.unique.key]
        begun = after.spec.unique.until_started and after.starts > 0
        if after.state is State.FINISHED or begun:
            if after.id in holders:
                self.over_at[after.id] = self.now()
            holders.discard(after.id)
            return
        holders.add(after.id)
        if len(holders) > 1:
            self.fail("WP-16", f"{sorted(holders)} hold key {after.spec.unique.key} together")

    def asked(self, call: KeyCall) -> Callable[[], None]:
        """A caller begins. Call the result when that is over, whatever came of it."""
        calls = self.calls[call.asked_number]
        calls.append((self.now(), None))
        place = len(calls) - 1

        def over() -> None:
            calls[place] = (calls[place][0], self.now())

        return over

    def ran(self, work: WorkItem, number: int) -> None:
        """User code of a work item runs with this number."""
        if work.spec.unique is None:
            return
        if number != number_of(work):
            self.fail("WP-16", f"{work.id} runs with {number}, and has {number_of(work)}")

    def _started(self, work: WorkItem) -> None:
        """The first start of a work item: with the arguments of its last acknowledged replacement, or of a later or concurrent call."""
        if self.now() < work.due_at - 2_000:
            self.fail("WP-16", f"{work.id} starts {work.due_at - self.now()} ms before it is due")
        number = number_of(work)
        ended = [until for _, until in self.calls[number]]
        for told, asked_at in self.replaced[work.id]:
            if told != number and all(until is not None and until < asked_at for until in ended):
                self.fail("WP-16", f"{work.id} starts with {number}, and {told} was acknowledged")

    def answered(self, call: KeyCall, work_id: WorkId, *, asked_at: EpochMs) -> bool:
        """A caller got the id of a work item. True if it is that of this very call."""
        if call.request is not None:
            told = self.answers.setdefault(call.request, work_id)
            if told != work_id:
                self.fail("WP-17", f"request {call.request} was answered {told}, then {work_id}")
            return self.numbers.get(work_id) == call.asked_number
        if work_id not in self.numbers:
            self.fail("WP-16", f"{work_id} was the answer, and does not exist")
        if call.on_conflict == "replace":
            self.replaced[work_id].append((call.number, asked_at))
        if self.over_at.get(work_id, asked_at) < asked_at:
            self.fail("WP-16", f"{work_id} was the answer, and had not held its key since before")
        return self.numbers.get(work_id) == call.number


def number_of(work: WorkItem) -> int:
    """The number in a work item's arguments."""
    return int(json.loads(inline_text(work.spec.args) or "{}").get("number", 0))


def play_call(
    pool: Workpool,
    plan: KeyPlan,
    call: KeyCall,
    fn: str,
    judge: KeyJudge,
    acknowledged: Callable[[Sequence[WorkId]], None],
) -> None:
    """A process that enqueues by a key, once."""
    asked_at = judge.now()
    options: dict[str, Any] = {
        "unique_key": call.key,
        "unique_until": plan.until,
        "on_conflict": call.on_conflict,
        "run_after": timedelta(milliseconds=call.delay_ms),
        "request_id": call.request,
    }
    # A request asks for one function, too.
    if call.on_conflict == "replace" and call.max_wait_ms is not None:
        options["max_wait"] = timedelta(milliseconds=call.max_wait_ms)
    if call.retried and call.request is None:
        options["retry"] = RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1))
    over = judge.asked(call)
    try:
        work_id = pool.enqueue_action(None, fn, {"number": call.asked_number}, **options)
    except (AlreadyEnqueued, StoreUnavailable):
        return
    finally:
        over()
    if judge.answered(call, work_id, asked_at=asked_at):
        acknowledged([work_id])


def redrive_one(pool: Workpool, works: Sequence[WorkItem], which: int) -> None:
    """A person redrives one of the failed work items that had a key."""
    failed = sorted(
        work.id
        for work in works
        if work.spec.unique is not None
        and work.outcome is Outcome.FAILED
        and work.pool == pool.name
    )
    if not failed:
        return
    try:
        pool.redrive(None, failed[which % len(failed)])
    except (AlreadyEnqueued, NotFound, StoreUnavailable):
        return

"""The course of a simulated run, apart from the library: enqueues, durations and faults.

Everything follows from one number. Every eighth scenario has no faults at all, so that timing can
be judged strictly there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal

from tests.simulation.grouping import GroupPlan, groups_of
from tests.simulation.keyed import KeyPlan, keys_of
from tests.simulation.rates import RateChange, rate_changes_of, rate_of
from tests.simulation.recurring import SchedulePlan, schedules_of
from workpool_aws import RateLimit
from workpool_aws.local.faults.faults import Fault

__all__ = [
    "SHARDS_SEEN_MAX",
    "Act",
    "CallOff",
    "Change",
    "Ending",
    "Execution",
    "Mode",
    "PoolPlan",
    "Redeployment",
    "Scenario",
    "Submission",
    "Told",
    "Upheaval",
    "ending_of",
    "expiry_of",
    "is_short",
    "long_ending_of",
    "one_submission",
    "ordinary_scenario",
    "scenario_of",
    "shards_seen",
    "small_scenario",
    "snoozes",
    "timeout_of",
]

TIMEOUT_MS: Final = 20_000
"""Of every worker, but for those that send heartbeats."""
BEATING_TIMEOUT_MS: Final = 150_000
HEARTBEAT_MS: Final = 30_000
_BEATING_RATE: Final = 0.15
SHARDS_SEEN_MAX: Final = 4
_SNOOZERS: Final = 2
_MIXED_RATE: Final = 0.15
_SHARDED_RATE: Final = 0.2
_PAGED_RATE: Final = 0.25
_QUICK_RATE: Final = 0.25
_MOSTLY: Final = 0.7
_QUICK_AIMS: Final = ("update LedgerRef", "update StatusRef", "invoke", "get ConfigRef")
_PAGED_LIMIT: Final = 4
_PAGE_AIM: Final = "put LedgerPage"
_FORGERS: Final = 1
_HURRIED: Final = (3, 7)
_SNOOZE_RATE: Final = 0.25
_SHORT_RATE: Final = 0.08
_SHORT_MS: Final = (*(100,) * 30, 300, 300, 2_000, 15_000, 40_000)
_SHORT_ENDINGS: Final = (
    "ok",
    "ok",
    "ok",
    "ok",
    "ok",
    "ok",
    "ok",
    "large",
    "fails",
    "fails for good",
)
_ENDINGS: Final = ("ok", "ok", "large", "fails", "fails", "fails for good")


_AT_CALLS: Final = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.FROZEN,
    Fault.THROTTLED,
    Fault.SERVER_ERROR,
    Fault.CONFLICT,
    Fault.WRITE_LOST,
    Fault.WRITE_LATE,
    Fault.ANSWER_LOST,
)
_OF_LEASES: Final = (Fault.STANDS_STILL, Fault.CUT_OFF)
"""Those of processes that send heartbeats, in half of their scenarios."""
_DRAWN: Final = [kind for kind in Fault if kind not in _OF_LEASES]
_LEASES_RATE: Final = 0.5
_AIMS: Final = (
    "put WorkItem",
    "put WorkItem",
    "put Notice",
    "call back",
    "transact",
    "update WorkRef",
    "update WorkRef",
    "update LedgerRef",
    "update StatusRef",
    "get StatusRef",
    "get ConfigRef",
    "update ConfigRef",
    "query",
    "invoke",
    "invoke",
    "schedule",
)
"""Labels of calls, weighted by how much depends on them."""
_LATE_WRITERS: Final = 5
_LATE_AIMS: Final = ("put WorkItem", "put Notice", "transact", "update WorkRef")


class Mode(StrEnum):
    """The kind of function that a work item runs."""

    CLAIMED = "claimed"
    """Decorated, not retried."""
    RETRIED = "retried"
    """Decorated, with a retry policy: not claimed."""
    PLAIN = "plain"
    """Undecorated, not retried."""
    PLAIN_RETRIED = "plainretried"
    BEATING = "beating"
    """Decorated, not retried, long, and sends heartbeats."""
    BEATING_RETRIED = "beatingretried"
    UNDELIVERED = "undelivered"
    """Decorated; Lambda never finds room for it, so its events grow too old."""


class Told(StrEnum):
    """The kind of target that `on_complete` names.

    Every second of them wants successes only.
    """

    HANDLER = "handler"
    """Decorated: it acknowledges."""
    LISTENER = "listener"
    """Undecorated. Its callback is delivered when it has accepted."""
    FLAKY = "flaky"
    """Decorated, and fails on the first callback of a work item."""
    QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"
    TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"


_MODES: Final = (Mode.CLAIMED, Mode.RETRIED, Mode.PLAIN, Mode.PLAIN_RETRIED)
_DECORATED: Final = {Mode.PLAIN: Mode.CLAIMED, Mode.PLAIN_RETRIED: Mode.RETRIED}
_MIXES: Final = (
    (Mode.CLAIMED,),
    (Mode.CLAIMED,),
    (Mode.RETRIED,),
    (Mode.PLAIN, Mode.PLAIN_RETRIED),
    _MODES,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One call of enqueue, by a process of its own. `first`: the number of its first work."""

    at_ms: int
    pool: int
    first: int
    count: int
    mode: Mode
    attempts: int
    delay_ms: int
    backoff_ms: int
    told: Told | None
    """The callback target of its work items; `None` means none."""
    large: bool = False
    """Its arguments and context are too large for the work items' own items."""


@dataclass(frozen=True, slots=True)
class Act:
    """Cancel, or redrive, some work: the `which`-th of those that exist, or have failed, then."""

    at_ms: int
    which: int


@dataclass(frozen=True, slots=True)
class CallOff:
    """Cancel everything that a pool has."""

    at_ms: int
    pool: int


@dataclass(frozen=True, slots=True)
class Change:
    """Change a pool's limits."""

    at_ms: int
    pool: int
    max_parallelism: int | None
    paused: bool | None


@dataclass(frozen=True, slots=True)
class Redeployment:
    """The deployment gives a pool another limit; `None` means none any more.

    The watchdog carries it to the table.
    """

    at_ms: int
    pool: int
    max_parallelism: int | None


@dataclass(frozen=True, slots=True)
class Upheaval:
    """A change of deployment or table by hand: a function goes or comes back, or chunks are removed."""

    at_ms: int
    kind: Literal["target goes", "target returns", "chunks go"]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool and its limit."""

    name: str
    limit: int


Ending = Literal["ok", "large", "fails", "fails for good"]


@dataclass(frozen=True, slots=True)
class Execution:
    """The course of one run of user code."""

    takes_ms: int
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One simulated run."""

    seed: int
    pools: tuple[PoolPlan, ...]
    submissions: tuple[Submission, ...]
    cancels: tuple[Act, ...]
    call_offs: tuple[CallOff, ...]
    changes: tuple[Change, ...]
    redrives: tuple[Act, ...]
    redeployments: tuple[Redeployment, ...]
    upheavals: tuple[Upheaval, ...]
    looks_at_ms: tuple[int, ...]
    """Times at which a caller asks for the status of all acknowledged work items."""
    rates: Mapping[Fault, float]
    aim: str
    budget: int
    calm_after: timedelta
    """No fault strikes later."""
    skewed_clocks: bool
    torn_batches: bool
    jitter_ms: int
    latency_ms: int
    page_items: int | None
    precision: Literal["exact", "aws"]
    loop_timeout: timedelta
    """Of the loop's function: a short one makes it hand over again and again."""
    schedules: tuple[SchedulePlan, ...] = ()
    """Recurring work, and what people do with it."""
    keys: KeyPlan | None = None
    """Work by unique keys, and what people do with it."""
    groups: tuple[GroupPlan, ...] = ()
    """Groups, and the calls that enqueue and cancel them."""
    forgeries: tuple[Act, ...] = ()
    """Times at which a forger sends a destination record of some work item's start, which it was not
    sent."""
    rate: RateLimit | None = None
    """Rate limit that the programs give each pool."""
    rate_changes: tuple[RateChange, ...] = ()
    hourly_look: bool
    """The watchdog's hourly audit happens at the end. Then even work items without an acknowledgement
    must be finished."""
    two_versions: bool = False
    """Some callers, loops and workers run version 0.1."""
    sharded: bool = False
    """Few starts are enough for a further shard, and callers go by old numbers of shards."""
    paged: bool = False
    """A ledger of two slots goes into a page, and three pages are written as one."""
    quick: bool = False
    """Callers start their own work items where the pool is at rest."""
    short: bool = False
    """Many work items of one job, whose code takes 100 ms but for a few: the loop makes runs of them."""

    @property
    def works(self) -> int:
        grouped = sum(each.total for each in self.groups)
        return grouped + sum(each.count for each in self.submissions)

    @property
    def asks(self) -> int:
        """Calls of the public interface but for enqueues, and deployments."""
        acts = (
            self.cancels,
            self.call_offs,
            self.changes,
            self.redrives,
            self.redeployments,
            self.looks_at_ms,
        )
        return sum(map(len, acts))

    @property
    def takes_days(self) -> bool:
        """True if some work item is requeued again and again, for about a day."""
        return self.undelivered > 0

    @property
    def undelivered(self) -> int:
        """The number of such work items."""
        return sum(each.count for each in self.submissions if each.mode is Mode.UNDELIVERED)

    @property
    def is_calm(self) -> bool:
        """Nothing goes wrong: timing is exact."""
        return not (self.budget or self.skewed_clocks)

    @property
    def doubles_events(self) -> bool:
        """An event may be delivered twice."""
        return Fault.EVENT_TWICE in self.rates

    @property
    def delays_starts(self) -> bool:
        """A worker may begin so late that it outlives its deadline."""
        return not self.rates.keys().isdisjoint(
            {Fault.EVENT_TWICE, Fault.EVENT_LATE, Fault.WRITE_LATE, Fault.FROZEN}
        )

    @property
    def over_after(self) -> timedelta:
        """When nothing of it is left: the last late write lands 90 s after the last fault, and the last caller has had its say."""
        acts: tuple[
            Submission | Act | CallOff | Change | RateChange | Redeployment | Upheaval, ...
        ] = (
            *self.submissions,
            *self.cancels,
            *self.call_offs,
            *self.changes,
            *self.redrives,
            *self.redeployments,
            *self.upheavals,
            *self.rate_changes,
        )
        keyed = [] if self.keys is None else [self.keys.ends_ms]
        scheduled = [max(each.ends_ms, each.acts[-1].at_ms) for each in self.schedules]
        grouped = [each.ends_ms for each in self.groups]
        last_ms = max([each.at_ms for each in acts] + scheduled + keyed + grouped)
        return max(self.calm_after, timedelta(milliseconds=last_ms)) + timedelta(seconds=100)

    def __str__(self) -> str:
        rates = ", ".join(f"{kind} {rate}" for kind, rate in self.rates.items()) or "none"
        pools = ", ".join(f"{pool.name} (limit {pool.limit})" for pool in self.pools)
        lines = [
            f"seed {self.seed}: pools {pools}; hourly look {self.hourly_look}, skewed clocks {self.skewed_clocks}",
            f"two versions {self.two_versions}, sharded {self.sharded}, paged {self.paged}, quick {self.quick}",
            f"rate limit {self.rate}, then {', '.join(map(str, self.rate_changes)) or 'as it is'}",
            f"calls of {self.latency_ms} + {self.jitter_ms} ms, pages of {self.page_items}, schedules {self.precision}",
            f"loop timeout {self.loop_timeout}",
            f"faults: at most {self.budget} in {self.calm_after}, at calls {self.aim or 'of any kind'!r}: {rates}",
        ]
        acts = (
            *self.submissions,
            *self.cancels,
            *self.call_offs,
            *self.changes,
            *self.redrives,
            *self.redeployments,
            *self.upheavals,
            *self.schedules,
            *(() if self.keys is None else (self.keys,)),
            *self.groups,
        )
        return "\n".join([*lines, *map(str, acts)])


def ending_of(seed: int, number: int, attempt: int) -> Execution:
    """The course of user code in an attempt, which is the same in every run of it."""
    chance = random.Random(f"{seed}/{number}/{attempt}")
    if is_short(seed):
        return Execution(chance.choice(_SHORT_MS), chance.choice(_SHORT_ENDINGS))
    return Execution(
        chance.choice((100, 100, 2_000, 2_000, 15_000, 40_000)), chance.choice(_ENDINGS)
    )


def long_ending_of(seed: int, number: int, attempt: int) -> Execution:
    """The course of user code that sends heartbeats."""
    chance = random.Random(f"long {seed}/{number}/{attempt}")
    return Execution(chance.choice((100, 15_000, 50_000, 110_000)), chance.choice(_ENDINGS))


def snoozes(seed: int, number: int, start: int) -> int | None:
    """Milliseconds after which the code of a decorated worker asks to be run again, in this start; `None` means that it does not ask.

    In every fourth scenario a quarter of the starts do.
    """
    if seed % 4 != _SNOOZERS:
        return None
    chance = random.Random(f"snooze {seed}/{number}/{start}")
    return chance.choice((0, 500, 5_000, 70_000)) if chance.random() < _SNOOZE_RATE else None


def expiry_of(seed: int, first: int) -> int | None:
    """Milliseconds after which the work items of a submission may not start; `None` means never.

    In every fourth scenario; `first`: the number of its first work item.
    """
    if seed % 8 not in _HURRIED:
        return None
    return random.Random(f"expiry {seed}/{first}").choice((None, 1, 500, 3_000, 3_000, 40_000))


def shards_seen(seed: int, first: int) -> int:
    """The number of shards that the caller of a submission has seen, however long ago."""
    return random.Random(f"shards seen {seed}/{first}").randint(1, SHARDS_SEEN_MAX)


def is_short(seed: int) -> bool:
    """True if the scenario of a seed has runs, as one of twelve does."""
    return random.Random(f"short {seed}").random() < _SHORT_RATE


def small_scenario(
    *submissions: Submission,
    cancels: tuple[Act, ...] = (),
    call_offs: tuple[CallOff, ...] = (),
    rates: Mapping[Fault, float] | None = None,
    aim: str = "",
    budget: int = 0,
    limit: int = 1,
    latency_ms: int = 5,
    hourly_look: bool = False,
) -> Scenario:
    """A case for a search: one pool, nothing left to chance but what is asked for."""
    return Scenario(
        seed=686,
        pools=(PoolPlan("a", limit),),
        submissions=submissions,
        cancels=cancels,
        call_offs=call_offs,
        changes=(),
        redrives=(),
        redeployments=(),
        upheavals=(),
        looks_at_ms=(),
        rates=rates or {},
        aim=aim,
        budget=budget,
        calm_after=timedelta(seconds=150),
        skewed_clocks=False,
        torn_batches=False,
        jitter_ms=0,
        latency_ms=latency_ms,
        page_items=None,
        precision="exact",
        loop_timeout=timedelta(seconds=900),
        hourly_look=hourly_look,
    )


def one_submission(
    at_ms: int, number: int, mode: Mode = Mode.CLAIMED, told: Told | None = None
) -> Submission:
    """One work, due at once."""
    return Submission(
        at_ms=at_ms,
        pool=0,
        first=number,
        count=1,
        mode=mode,
        attempts=2,
        delay_ms=0,
        backoff_ms=250,
        told=told,
    )


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed: in eight seeds one without faults, three whose faults are aimed at one kind of call, four with any.

    In every sixteenth, writers stand still on their way to the table, while others keep the loop
    going.
    """
    found = _any_scenario(seed)
    mixed = not found.is_calm and random.Random(f"versions {seed}").random() < _MIXED_RATE
    sharded = not mixed and random.Random(f"shards {seed}").random() < _SHARDED_RATE
    found = replace(found, two_versions=mixed, sharded=sharded)
    if not mixed and random.Random(f"paged {seed}").random() < _PAGED_RATE:
        found = _with_pages(found)
    if random.Random(f"quick {seed}").random() < _QUICK_RATE:
        found = _of_quick_starts(found)
    found = found if mixed else _of_beating(found)  # a worker of version 0.1 sends no heartbeat
    if not mixed and not is_short(seed):
        found = _with_keys(found)
    if seed % 16 == _LATE_WRITERS:
        return _of_late_writers(found)
    return _of_short_ones(found) if is_short(seed) else found


def ordinary_scenario(seed: int) -> Scenario:
    """The scenario of a seed without rates, heartbeats, keys, groups, shards or a second version."""
    found = replace(_any_scenario(seed), rate=None, rate_changes=(), groups=())
    return _of_late_writers(found) if seed % 16 == _LATE_WRITERS else found


def _of_short_ones(scenario: Scenario) -> Scenario:
    """A backlog of short work items: the first ones show how short they are, and runs take the others."""
    chance = random.Random(f"runs {scenario.seed}")
    mode, told = (
        chance.choice((Mode.CLAIMED, Mode.RETRIED)),
        chance.choice((None, None, Told.HANDLER)),
    )
    counts = [chance.randint(8, 14) for _ in range(chance.choice((2, 3)))]
    return replace(
        scenario,
        pools=(PoolPlan("a", chance.choice((1, 1, 2, 3))),),
        submissions=tuple(
            Submission(
                at_ms=chance.choice((0, 0, 700, 3_000)),
                pool=0,
                first=sum(counts[:number]),
                count=count,
                mode=mode,
                attempts=2,
                delay_ms=0,
                backoff_ms=chance.choice((0, 250)),
                told=told,
            )
            for number, count in enumerate(counts)
        ),
        call_offs=tuple(replace(each, pool=0) for each in scenario.call_offs),
        changes=tuple(replace(each, pool=0) for each in scenario.changes),
        redeployments=tuple(replace(each, pool=0) for each in scenario.redeployments),
        latency_ms=chance.choice((0, 5, 20)),
        jitter_ms=chance.choice((0, 10, 40)),
        loop_timeout=timedelta(seconds=chance.choice((900, 900, 30))),
        schedules=(),
        upheavals=(),
        groups=(),  # they may be of a second pool
        short=True,
        rate=None,
        rate_changes=(),
    )


def _with_pages(scenario: Scenario) -> Scenario:
    """The same with a ledger in pages; of those with an aim, half of it goes to the pages."""
    chance = random.Random(f"pages {scenario.seed}")
    aim = chance.choice((scenario.aim, _PAGE_AIM)) if scenario.aim else ""
    pools = tuple(replace(pool, limit=max(pool.limit, _PAGED_LIMIT)) for pool in scenario.pools)
    return replace(scenario, paged=True, pools=pools, aim=aim)


def _of_quick_starts(scenario: Scenario) -> Scenario:
    """The same in pools that rest at first, and again between two calls if these are far apart."""
    chance = random.Random(f"quick starts {scenario.seed}")
    gap_ms = chance.choice((0, 0, 300, 2_500, 6_000))
    aim = chance.choice((scenario.aim, *_QUICK_AIMS)) if scenario.aim else ""
    modes = _DECORATED if chance.random() < _MOSTLY else {}
    submissions = tuple(
        replace(
            each,
            at_ms=each.at_ms + number * gap_ms,
            mode=modes.get(each.mode, each.mode),
            delay_ms=chance.choice((0, each.delay_ms)),
        )
        for number, each in enumerate(scenario.submissions)
    )
    if chance.random() < _MOSTLY:
        scenario = replace(scenario, rate=None, rate_changes=())
    return replace(scenario, quick=True, submissions=submissions, aim=aim)


def _with_keys(scenario: Scenario) -> Scenario:
    """Callers that meet each other on keys, with faults at their transactions."""
    keys = keys_of(scenario.seed, len(scenario.pools))
    if keys is None:
        return scenario
    chance = random.Random(f"key faults {scenario.seed}")
    more = tuple(CallOff(at_ms, keys.pool) for at_ms in keys.call_offs_ms)
    return replace(
        scenario,
        keys=keys,
        call_offs=(*scenario.call_offs, *more),
        aim=chance.choice((scenario.aim, "transact", "transact", "update WorkRef")),
        rates={Fault.WRITE_LATE: 0.2, **scenario.rates},
        looks_at_ms=(),
    )


def _of_beating(scenario: Scenario) -> Scenario:
    """In some scenarios decorated workers run for long, and send heartbeats."""
    if random.Random(f"beats {scenario.seed}").random() >= _BEATING_RATE:
        return scenario
    beating = {Mode.CLAIMED: Mode.BEATING, Mode.RETRIED: Mode.BEATING_RETRIED}
    submissions = tuple(
        replace(each, mode=beating.get(each.mode, each.mode)) for each in scenario.submissions
    )
    chance = random.Random(f"leases {scenario.seed}")
    if scenario.is_calm or chance.random() >= _LEASES_RATE:
        return replace(scenario, submissions=submissions)
    return replace(
        scenario,
        submissions=submissions,
        rates={
            **scenario.rates,
            **{kind: chance.choice((0.0, 0.1, 0.3)) for kind in _OF_LEASES},
        },
        aim=chance.choice(("", "update WorkRef", "update WorkRef", "update WorkRef")),
    )


def timeout_of(seed: int, first: int) -> int | None:
    """Milliseconds that an attempt of a long submission may take; `None` means as its function."""
    return random.Random(f"timeout {seed}/{first}").choice((None, None, 45_000))


def _of_late_writers(scenario: Scenario) -> Scenario:
    """Keys that are old when they become visible: what the late rule is for.

    The hourly look would repair what is lost.
    """
    chance = random.Random(f"late {scenario.seed}")
    moments = sorted(chance.randrange(60_000) for _ in range(8))
    delays, told = (
        chance.choice(((0,), (0, 4_000), (30_000,))),
        chance.choice(((None,), (Told.HANDLER, Told.QUEUE))),
    )
    return replace(
        scenario,
        submissions=tuple(
            Submission(
                at_ms=at_ms,
                pool=0,
                first=number,
                count=1,
                mode=chance.choice(_MODES),
                attempts=3,
                delay_ms=chance.choice(delays),
                backoff_ms=chance.choice((250, 5_000)),
                told=chance.choice(told),
            )
            for number, at_ms in enumerate(moments)
        ),
        cancels=tuple(
            Act(at_ms + chance.randrange(4_000), chance.randrange(8)) for at_ms in moments[::2]
        ),
        changes=(),
        call_offs=(),
        redrives=tuple(
            Act(45_000 + chance.randrange(30_000), chance.randrange(4)) for _ in range(2)
        ),
        rate=None,
        rate_changes=(),
        rates={Fault.FROZEN: chance.choice((0.2, 0.5))},
        aim=chance.choice(_LATE_AIMS),
        budget=chance.choice((2, 5)),
        hourly_look=False,
    )


def _any_scenario(seed: int) -> Scenario:
    chance = random.Random(seed * 7919 + 13)
    family = seed % 8
    calm, aimed = family == 7, family in {1, 3, 5}
    pools = tuple(
        PoolPlan(name, chance.choice((1, 1, 2, 3)))
        for name in ("a", "b")[: chance.choice((1, 1, 1, 2))]
    )
    near_the_rest = calm and chance.random() < 0.6
    submissions = tuple(
        _near_the_rest(chance) if near_the_rest else _submissions(chance, len(pools))
    )
    return Scenario(
        seed=seed,
        pools=pools,
        submissions=submissions,
        cancels=tuple(
            Act(_moment(chance), chance.randrange(8))
            for _ in range(0 if calm else chance.choice((0, 0, 1, 2, 4)))
        ),
        call_offs=tuple(_call_offs(seed, submissions, len(pools))),
        changes=tuple(_changes(chance, pools)),
        redrives=tuple(
            Act(_late_moment(chance), chance.randrange(4))
            for _ in range(0 if calm else chance.choice((0, 0, 0, 2, 3)))
        ),
        redeployments=() if calm else tuple(_redeployments(seed, len(pools))),
        upheavals=() if calm else _upheavals(chance),
        looks_at_ms=() if calm else chance.choice(((), (), (), (2_000, 60_000))),
        rates={} if calm else _rates(chance, aimed=aimed),
        aim=chance.choice(_AIMS) if aimed else "",
        budget=0 if calm else chance.choice((1, 2, 3, 5, 8, 13)),
        calm_after=timedelta(seconds=chance.choice((150, 400))),
        skewed_clocks=not calm and chance.random() < 0.5,
        torn_batches=chance.random() < 0.3,
        # Calls that all take the same time keep their order: only unequal ones overtake each other.
        jitter_ms=chance.choice((10, 200, 400) if near_the_rest else (0, 0, 10, 40, 400)),
        latency_ms=chance.choice((0, 0, 5, 20)),
        page_items=chance.choice((None, 1, 2, 3)),
        precision=chance.choice(("exact", "aws")),
        loop_timeout=timedelta(seconds=chance.choice((900, 900, 60, 30))),
        hourly_look=seed // 8 % 2 == 1,
        forgeries=() if calm else tuple(_forgeries(seed)),
        schedules=schedules_of(seed, len(pools)),
        groups=groups_of(seed, len(pools)),
        rate=rate_of(seed),
        rate_changes=rate_changes_of(seed, len(pools)),
    )


def _forgeries(seed: int) -> list[Act]:
    """Drawn apart, so that scenarios stay what they were. In every fourth."""
    chance = random.Random(f"forger {seed}")
    times = chance.choice((1, 2, 4, 8)) if seed % 4 == _FORGERS else 0
    return [
        Act(_moment(chance) + chance.randrange(15_000), chance.randrange(8)) for _ in range(times)
    ]


def _rates(chance: random.Random, *, aimed: bool) -> dict[Fault, float]:
    if aimed:
        others = [kind for kind in _DRAWN if kind not in _AT_CALLS]
        kinds = [
            *chance.sample(_AT_CALLS, chance.choice((1, 1, 2))),
            *chance.sample(others, chance.choice((0, 1, 2))),
        ]
        return dict.fromkeys(kinds, chance.choice((0.05, 0.2, 0.5)))
    rate = chance.choice((0.003, 0.01, 0.03, 0.08))
    # Hundreds of calls in a run, and a few events.
    return {
        kind: rate if kind in _AT_CALLS else min(0.5, 10 * rate)
        for kind in chance.sample(_DRAWN, chance.randint(1, 8))
    }


def _moment(chance: random.Random) -> int:
    return chance.choice((0, 100, 1_000, 2_000, 3_000, 15_000, 25_000)) + chance.choice(
        (0, 1, 7, 150)
    )


def _late_moment(chance: random.Random) -> int:
    return chance.choice((3_000, 20_000, 45_000, 120_000)) + chance.choice((0, 1, 7, 150))


def _call_offs(seed: int, submissions: Sequence[Submission], pools: int) -> list[CallOff]:
    """In every fourth scenario or so: by several callers, some at the time of an enqueue, some while works run or wait."""
    chance = random.Random(f"call off {seed}")
    if chance.random() < 0.7:
        return []
    moments = [each.at_ms + chance.choice((0, 1, 20, 300, 2_000, 15_000)) for each in submissions]
    return [
        CallOff(chance.choice(moments), chance.randrange(pools))
        for _ in range(chance.choice((1, 1, 2, 3)))
    ]


def _redeployments(seed: int, pools: int) -> list[Redeployment]:
    """In every sixth scenario or so: another limit, and later a third, or none."""
    chance = random.Random(f"deploy {seed}")
    if chance.random() < 0.85:
        return []
    pool, first = chance.randrange(pools), chance.randint(1, 4)
    moments = (chance.choice((0, 2_000, 50_000)), chance.choice((65_000, 110_000)))
    return [
        Redeployment(moments[0], pool, first),
        Redeployment(moments[1], pool, chance.choice((None, 1, 3))),
    ]


def _upheavals(chance: random.Random) -> tuple[Upheaval, ...]:
    kind = chance.random()
    at_ms = chance.choice((0, 500, 3_000, 20_000))
    if kind < 0.06:
        return (
            Upheaval(at_ms, "target goes"),
            Upheaval(at_ms + chance.choice((5_000, 60_000, 200_000)), "target returns"),
        )
    if kind < 0.12:
        return (Upheaval(at_ms, "chunks go"), Upheaval(at_ms + 2_000, "chunks go"))
    return ()


def _near_the_rest(chance: random.Random) -> list[Submission]:
    """One after the other, each about when the loop has done the one before and goes to rest; the last one may be due later only."""
    found, at_ms = [], 0
    last = chance.randint(1, 3)
    for number in range(last + 1):
        mode, delay_ms = (
            chance.choice(_MODES),
            chance.choice((0, 30_000, 130_000)) if number == last else 0,
        )
        found.append(
            Submission(
                at_ms=at_ms,
                pool=0,
                first=number,
                count=1,
                mode=mode,
                attempts=2,
                delay_ms=delay_ms,
                backoff_ms=250,
                told=None,
            )
        )
        at_ms += chance.choice((100, 2_000)) + chance.randrange(700, 2_000)
    return found


def _submissions(chance: random.Random, pools: int) -> list[Submission]:
    modes = chance.choice(_MIXES)
    spread_ms = chance.choice((1, 1_000, 3_000, 30_000))
    delays = chance.choice(((0,), (0, 0, 3_000), (0, 4_000, 30_000, 200_000)))
    attempts = chance.choice((2, 3))
    told = chance.choice(((None,), (None,), (None, *Told), tuple(Told), (Told.HANDLER,)))
    large = chance.choice((0.05, 0.05, 0.6))
    if chance.random() < 0.01:
        modes = (*modes, Mode.UNDELIVERED)
    left, made = chance.randint(1, 8), 0
    found = []
    while left:
        count = min(left, chance.choice((1, 1, 1, 2, 3)))
        found.append(
            Submission(
                at_ms=chance.randrange(spread_ms),
                pool=chance.randrange(pools),
                first=made,
                count=count,
                mode=chance.choice(modes),
                attempts=attempts,
                delay_ms=chance.choice(delays),
                backoff_ms=chance.choice((0, 250, 5_000)),
                told=chance.choice(told),
                large=chance.random() < large,
            )
        )
        left, made = left - count, made + count
    return found


def _changes(chance: random.Random, pools: Sequence[PoolPlan]) -> list[Change]:
    kind = chance.random()
    pool, at_ms = chance.randrange(len(pools)), chance.choice((0, 500, 3_000, 12_000))
    steps = [
        chance.choice((500, 2_000, 5_000, 40_000, 130_000)) + chance.randrange(500)
        for _ in range(3)
    ]
    if kind < 0.15:
        return [
            Change(at_ms, pool, None, paused=True),
            Change(at_ms + steps[0], pool, None, paused=False),
        ]
    if kind < 0.3:
        return [
            Change(at_ms + sum(steps[:n]), pool, limit, None)
            for n, limit in enumerate(chance.sample((0, 1, 2, 3), 3))
        ]
    return []

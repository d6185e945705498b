"""Random programs of public calls on a `LocalCloud`: drawn from a seed, played, and made smaller.

A program is a world (the time that user code takes, the limit, faults) and a list of steps. Each
step has dice of its own, so one that is left out changes none of the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from tests.fuzz.cast import FUNCTION, Cast
from tests.fuzz.history import History
from tests.fuzz.steps import DEPLOYMENTS, DRAWN_INSIDE, KINDS, ROUGH, Steps, ms, seconds
from tests.fuzz.verdicts import Judged, judge
from workpool_aws import RetryPolicy, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults
from workpool_aws.local.kernel.kernel import LocalCloudError

__all__ = ["Played", "Program", "drawn", "play", "shrunk"]

CALM_SHARE: Final = 0.55
"""Share of the programs whose calls all are answered, and whose events all arrive once."""
KINDS_SHARE: Final = 0.6
"""Share of the kinds of steps that one program has."""
FAULTS: Final = tuple(Fault)
IDLE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its kind, and its place in the program as it was drawn."""

    kind: str
    place: int
    inside: int | None = None
    """The number of the enqueue whose user code makes it; `None` means that the program does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program, which the same seed draws again."""

    seed: int
    steps: tuple[Step, ...]
    limit: int
    second_pool: bool
    all_quick: bool
    takes: timedelta
    latency: timedelta
    doubled: float
    """Share of the events that are delivered twice."""
    faults: Faults | None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its steps."""
        return frozenset(step.kind for step in self.steps)

    @property
    def is_calm(self) -> bool:
        """True if no call, process or event is lost."""
        return self.faults is None and not self.kinds & ROUGH

    @property
    def counts_all(self) -> bool:
        """True if no second delivery can fail before it begins, which would end a start that runs."""
        rates = {} if self.faults is None else self.faults.rates
        doubles = self.doubled or Fault.EVENT_TWICE in rates or "deliver_badly" in self.kinds
        return not doubles or not (rates or self.kinds & ROUGH)

    @property
    def is_deployed_once(self) -> bool:
        """True if its function stays as it is."""
        return not self.kinds & DEPLOYMENTS


@dataclass(frozen=True, slots=True)
class Played:
    """Result of a program: broken promises, and lines for people."""

    program: Program
    problems: tuple[str, ...]
    log: tuple[str, ...]
    runs: int
    """Number of the events that were runs of several starts."""


def drawn(
    seed: int, *, most: int = 25, calm: bool | None = None, only: Collection[str] = ()
) -> Program:
    """Returns the program of a seed, of at most so many steps.

    `calm`: True leaves out faults and crashes; `None` draws that, too. `only`: the kinds of its steps;
    none means that they are drawn.
    """
    dice = random.Random(seed)
    is_calm = dice.random() < CALM_SHARE if calm is None else calm
    kinds = {kind: share for kind, share in KINDS.items() if dice.random() < KINDS_SHARE}
    kinds |= {"backlog": KINDS["backlog"], "batch": KINDS["batch"]}
    if is_calm:
        kinds = {kind: share for kind, share in kinds.items() if kind not in ROUGH}
    count = min(most, dice.choice([6, 12, 25]))
    kinds = {kind: KINDS[kind] for kind in only} or kinds
    steps = [Step(dice.choices([*kinds], [*kinds.values()])[0], place) for place in range(count)]
    within = [kind for kind in kinds if kind in DRAWN_INSIDE]
    for _ in range(dice.choice([0, 2, 6])):
        if within:
            steps.append(Step(dice.choice(within), len(steps), inside=dice.randrange(8, 150)))
    return Program(
        seed=seed,
        steps=tuple(steps),
        limit=dice.choice([1, 1, 2, 3]),
        second_pool=dice.random() < 0.3,
        all_quick=dice.random() < 0.3,
        takes=ms(dice.choice([6, 20, 100, 100, 250])),
        latency=ms(dice.choice([0, 5, 5, 20])),
        doubled=0 if is_calm else dice.choice([0, 0, 0.1]),
        faults=None if is_calm else _drawn_faults(dice),
    )


def _drawn_faults(dice: random.Random) -> Faults:
    kinds = dice.sample(FAULTS, dice.choice([1, 2, 4]))
    return Faults(
        rates={kind: dice.choice([0.005, 0.02, 0.05]) for kind in kinds},
        aim=dice.choice(["", "workpool-loop", FUNCTION]),
        budget=dice.choice([0, 3, 10, 30]),
        until=timedelta(minutes=2),
        skewed_clocks=dice.random() < 0.2,
    )


def play(program: Program) -> Played:
    """Plays a program to its end and through an idle hour, and judges it."""
    with LocalCloud(
        seed=program.seed,
        call_latency=program.latency,
        duplicate_deliveries=program.doubled,
        faults=program.faults,
    ) as cloud:
        history = History(cloud)
        stage = _Stage.made(program, cloud, history)
        try:
            stage.play()
        except LocalCloudError as error:
            history.problems.append(f"[WP-3] {error}"[:1_000])
        judged = Judged(
            cloud=cloud,
            history=history,
            pools=stage.steps.pools,
            is_calm=program.is_calm,
            counts_all=program.counts_all,
            is_deployed_once=program.is_deployed_once,
        )
        problems = (*history.problems, *judge(judged))
        return Played(program, problems, tuple(history.log), stage.cast.runs)


@dataclass(frozen=True, slots=True)
class _Stage:
    """One play of a program."""

    program: Program
    cloud: LocalCloud
    history: History
    steps: Steps
    cast: Cast

    @staticmethod
    def made(program: Program, cloud: LocalCloud, history: History) -> _Stage:
        """Returns the play, with its functions deployed."""
        cast = Cast(cloud, history, program.takes)
        cast.enter(random.Random(program.seed))
        quick = cloud.workpool("first", max_parallelism=program.limit, quick_start=True)
        first = (
            quick if program.all_quick else cloud.workpool("first", max_parallelism=program.limit)
        )
        history.limit(first.name, program.limit)
        pools = [first]
        if program.second_pool:
            pools.append(cloud.workpool("second", max_parallelism=1))
            history.limit("second", 1)
        meddling = program.kinds & (ROUGH | DEPLOYMENTS)
        steps = Steps(cloud, cast, history, pools, quick, random.Random(program.seed), meddling)
        return _Stage(program, cloud, history, steps, cast)

    def play(self) -> None:
        """Warms the pools up, takes the steps, restores what they changed, and waits."""
        chance = random.Random(self.program.seed)
        for pool in self.steps.pools:
            self.steps._put(None, pool, 8, {"retry": True}, does="succeeds", target=FUNCTION)
        self.cloud.advance(seconds(chance.choice([1, 2, 3])))
        for step in self.program.steps:
            if step.inside is not None:
                self.cast.inside[step.inside] = partial(self._take, step)
        self.steps._put(
            None, self.steps.pools[0], 30, {"retry": True}, does="succeeds", target=FUNCTION
        )
        for step in self.program.steps:
            if step.inside is None:
                self._take(step)
                self.history.watch()
                if self._dice(step, "pause").random() < 0.6:
                    pauses = [1, 30, 100, 300, 700, 1500, 5000]
                    self.cloud.advance(ms(self._dice(step, "how long").choice(pauses)))
        self.end()

    def _dice(self, step: Step, what: str = "") -> random.Random:
        return random.Random(f"{self.program.seed} {step.place} {what}")

    def _take(self, step: Step) -> None:
        self.steps.take(step.kind, self._dice(step))

    def end(self) -> None:
        """Restores what steps changed, waits until all is done, and for an idle hour; fills the slots once."""
        self.history.note("the last step is taken")
        self.cast.is_over = True
        self.cloud.deliver_badly()
        self.cast.restore()
        self.cast.throttle(None)
        for pool in self.steps.pools:
            pool.configure(None, reset=True)
            self.history.limit(pool.name, self.program.limit if pool.name == "first" else 1)
            for schedule in pool.schedules(None):
                pool.unschedule(None, schedule.name)
        if self.program.is_calm and self.program.is_deployed_once:
            self.cloud.run_until_idle(timedelta(minutes=15))
        self.cloud.run_until_idle(timedelta(hours=8))
        self.history.watch()
        self._rest()
        for pool in self.steps.pools:
            self._fill(pool)
        self.history.watch()

    def _rest(self) -> None:
        """An hour in which nothing is to do."""
        self.cloud.advance(timedelta(minutes=10))  # what was put in a doubt is looked at
        loops, spent = len(self.cloud.invocations(self.cloud.loop_arn)), self.cloud.capacity
        self.cloud.advance(IDLE)
        loops = len(self.cloud.invocations(self.cloud.loop_arn)) - loops
        requests = self.cloud.capacity.requests - spent.requests
        if loops or requests:
            self.history.problems.append(
                f"[WP-22] {loops} loops, {requests} requests in an idle hour"
            )

    def _fill(self, pool: Workpool) -> None:
        """Takes all slots of a pool at one time: none is kept by what is over."""
        limit = self.history.limits[pool.name][-1][1]
        once = {"retry": RetryPolicy(max_attempts=1)}
        ids = self.steps._put(None, pool, limit + 1, once, does="naps", target=FUNCTION)
        self.cloud.run_until_idle(timedelta(minutes=15))
        bodies = [body for body in self.history.bodies if body.work_id in ids]
        began = max((each.began_at for each in bodies[:limit]), default=0)
        at_once = sum(each.began_at <= began < each.ended_at for each in bodies)
        if at_once != limit:
            self.history.problems.append(
                f"[WP-20] {at_once} ran at a time of {limit} slots of {pool.name}"
            )


def shrunk(program: Program, plays: Callable[[Program], Played] = play) -> Played:
    """Returns the smallest program found that goes wrong in the same way, played."""
    best = plays(program)
    kinds = _rules(best)
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(best.program):
            played = plays(candidate)
            if _rules(played) & kinds:
                best, smaller = played, True
                break
    return best


def _rules(played: Played) -> set[str]:
    return {problem.partition("]")[0] for problem in played.problems}


def _smaller(program: Program) -> Iterator[Program]:
    """Yields programs that lack halves, quarters and single steps of this one."""
    steps, size = program.steps, len(program.steps) // 2
    while size:
        for first in range(0, len(steps), size):
            yield replace(program, steps=steps[:first] + steps[first + size :])
        size //= 2

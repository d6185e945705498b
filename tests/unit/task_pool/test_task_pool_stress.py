"""Many threads do everything at once, in random order: each run prints its seed, and `WORKPOOL_STRESS_SEED=n` repeats it."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from functools import partial

import pytest

from tests.kit.gates import Caller
from tests.kit.seeds import fresh_seed
from workpool_aws import TaskPool, TasksFailed
from workpool_aws.errors import TaskPoolClosed

GIVEN = os.environ.get("WORKPOOL_STRESS_SEED")
NUMBERS = [int(GIVEN)] if GIVEN else [*range(12), fresh_seed()]
SEEDS = [pytest.param(number, id=f"storm-{number}") for number in NUMBERS]
THREADS = 4
STEPS = 60


@pytest.fixture
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Refuses(ValueError):
    """An error on which nothing can be set: no note, above all."""

    def __setattr__(self, name, value):
        raise TypeError(name)


ERRORS = (ValueError, OSError, Refuses)


class Scene:
    """A pool, and a record of all that happened to it."""

    def __init__(self, chance: random.Random) -> None:
        self.limit = chance.randint(1, 5)
        self.told: list[object] = []
        self.tells = chance.random() < 0.3
        self.told_raises = chance.random() < 0.5
        idle = chance.choice([0, 0.001, None])
        self.pool = TaskPool(
            max_workers=self.limit,
            idle_timeout=idle,
            on_error=self.on_error if self.tells else None,
        )
        self.lock = threading.Lock()
        self.running = 0
        self.most = 0
        self.ended: dict[object, int] = {}
        self.failing: set[object] = set()
        self.raised: list[str] = []

    def on_error(self, failure) -> None:
        with self.lock:
            self.raised.append(str(failure.error))
        if self.told_raises:
            raise Refuses(str(failure.error))

    def begin(self) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)

    def end(self, key) -> None:
        with self.lock:
            self.running -= 1
            self.ended[key] = self.ended.get(key, 0) + 1

    def task(self, key: str, *, children: int, fails: bool) -> None:
        self.begin()
        for child in range(children):
            self.pool.add(partial(self.task, f"{key}.{child}", children=children - 1, fails=False))
        self.end(key)
        if fails:
            raise random.Random(key).choice(ERRORS)(key)

    async def coroutine(self, key: str) -> None:
        self.begin()
        await asyncio.sleep(0)
        self.end(key)

    def drain(self, wait) -> None:
        try:
            wait()
        except TasksFailed as failed:
            with self.lock:
                self.raised += [str(error) for error in failed.exceptions]


def family(key: str, children: int) -> list[str]:
    return [key] + [
        name for child in range(children) for name in family(f"{key}.{child}", children - 1)
    ]


def act(scene: Scene, number: int, chance: random.Random) -> list[str]:
    """One thread's part: adds, and after each drain checks that all of its own is over.

    Returns the keys that it added.
    """
    mine: list[str] = []
    for step in range(STEPS):
        key = f"{number}/{step}"
        match chance.choice(["one", "one", "many", "family", "coroutine", "failing", "drain"]):
            case "one":
                scene.pool.add(partial(scene.task, key, children=0, fails=False))
                mine.append(key)
            case "many":
                names = [f"{key}-{n}" for n in range(chance.randint(2, 9))]
                scene.pool.add(
                    *[partial(scene.task, name, children=0, fails=False) for name in names]
                )
                mine += names
            case "family":
                scene.pool.add(partial(scene.task, key, children=2, fails=False))
                mine += family(key, 2)
            case "coroutine":
                scene.pool.add(partial(scene.coroutine, key))
                mine.append(key)
            case "failing":
                with scene.lock:
                    scene.failing.add(key)
                scene.pool.add(partial(scene.task, key, children=0, fails=True))
                mine.append(key)
            case "drain":
                scene.drain(scene.pool.drain)
                with scene.lock:
                    assert [name for name in mine if name not in scene.ended] == []
    return mine


@pytest.mark.peer("TP01", "TP03", "TP04", "TP05", "TP06")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("switching_often")
def test_tasks_are_neither_lost_nor_doubled_under_threads(seed):
    print(f"WORKPOOL_STRESS_SEED={seed}")  # noqa: T201 - shown when it fails
    chance = random.Random(seed)
    scene = Scene(chance)
    added: list[list[str]] = []
    parts = [
        partial(act, scene, number, random.Random(chance.random())) for number in range(THREADS)
    ]
    callers = [Caller(lambda part=part: added.append(part())) for part in parts]
    assert [caller.result() for caller in callers] == [None] * THREADS

    closers = [Caller(lambda: scene.drain(scene.pool.done)) for _ in range(2)]
    assert [caller.result() for caller in closers] == [None, None]

    keys = [key for mine in added for key in mine]
    assert scene.ended == dict.fromkeys(keys, 1)
    assert set(scene.raised) == scene.failing
    assert scene.most <= scene.limit
    stats = scene.pool.stats()
    assert (stats.completed + stats.failed, stats.failed) == (len(keys), len(scene.failing))
    assert (stats.queued, stats.running, stats.workers) == (0, 0, 0)
    with pytest.raises(TaskPoolClosed):
        scene.pool.add(int)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("switching_often")
def test_task_added_while_pool_closes_is_refused_or_run(seed):
    print(f"WORKPOOL_STRESS_SEED={seed}")  # noqa: T201 - shown when it fails
    chance = random.Random(seed)
    pool = TaskPool(max_workers=chance.randint(1, 4), idle_timeout=chance.choice([0, None]))
    ran: list[int] = []
    accepted: list[int] = []

    def add(start):
        try:
            for n in range(start, start + 200):
                pool.add(partial(ran.append, n))
                accepted.append(n)
        except TaskPoolClosed:
            pass

    callers = [Caller(partial(add, 1_000 * number)) for number in range(3)]
    while len(accepted) < chance.randint(1, 300):
        os.sched_yield()
    pool.done()
    assert [caller.result() for caller in callers] == [None] * 3
    assert sorted(ran) == sorted(accepted)
    assert pool.stats().workers == 0

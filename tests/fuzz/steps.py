"""Calls of which random programs are made: each method of `Steps` is one kind of step."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tests.fuzz.cast import CALLBACK, FUNCTION, MUTATION, PLAIN_CALLBACK, WAYS, Cast
from tests.fuzz.history import History, Wish
from workpool_aws import RateLimit, RetryPolicy, StoreUnavailable, Workpool, WorkpoolError
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import LedgerRef, readable

__all__ = ["DEPLOYMENTS", "DRAWN_INSIDE", "KINDS", "ROUGH", "Steps", "ms", "seconds"]


def ms(count: float) -> timedelta:
    """Returns so many milliseconds."""
    return timedelta(milliseconds=count)


def seconds(count: float) -> timedelta:
    """Returns so many seconds."""
    return timedelta(seconds=count)


class _GivenUp(Exception):
    """Ends a transaction that is not to be applied."""


@dataclass(slots=True)
class Steps:
    """The calls of one program. `dice` is set anew for each step, so that leaving one out changes no other."""

    cloud: LocalCloud
    cast: Cast
    history: History
    pools: Sequence[Workpool]
    quick: Workpool
    """The first pool, by a program that starts work at once."""
    dice: random.Random
    meddling: frozenset[str]
    """Kinds of steps beyond calls that happen to a run in flight."""

    def take(self, kind: str, dice: random.Random) -> None:
        """Makes one step. A call that is refused, or has no answer, is part of the program."""
        self.dice = dice
        self.history.note(kind)
        try:
            getattr(self, kind)()
        except StoreUnavailable as error:
            self.history.doubts += 1
            self.history.note(f"  no answer: {error}"[:160])
        except WorkpoolError as error:
            self.history.note(f"  refused: {type(error).__name__}: {error}"[:160])

    # What is drawn.

    def _pool(self) -> Workpool:
        return self.dice.choice(self.pools)

    def _target(self) -> str:
        return self.dice.choice([FUNCTION, FUNCTION, "other"])

    def _way(self) -> str:
        return self.dice.choices([*WAYS], [*WAYS.values()])[0]

    def _options(self) -> dict[str, Any]:
        dice, options = self.dice, dict[str, Any]()
        policies = [
            RetryPolicy(max_attempts=3, initial_backoff=ms(backoff), jitter=False)
            for backoff in (20, 250, 3000)
        ]
        short = RetryPolicy(max_attempts=2, initial_backoff=ms(1), jitter=False)
        options["retry"] = dice.choice([*policies, short, True]) if dice.random() < 0.75 else False
        rarely: Mapping[str, tuple[float, Sequence[object]]] = {
            "expires_after": (0.1, [ms(100), ms(800), ms(3000), ms(20_000)]),
            "timeout": (0.05, [seconds(1), seconds(5), seconds(25)]),
            "heartbeat_timeout": (0.05, [seconds(30)]),
            "on_complete": (0.2, [CALLBACK, CALLBACK, PLAIN_CALLBACK]),
            "run_after": (0.12, [ms(1), ms(200), ms(1500), ms(4000), ms(15_000)]),
        }
        for name, (probability, values) in rarely.items():
            if dice.random() < probability:
                options[name] = dice.choice(values)
        return options

    def _some(self) -> str | None:
        """Returns a work item, of the latest ones most often."""
        known = [*self.history.named]
        latest = known[-40:] if self.dice.random() < 0.85 else known
        return self.dice.choice(latest) if latest else None

    # What is enqueued.

    def _asked(
        self, pool: Workpool, options: Mapping[str, Any], does: str | None = None
    ) -> tuple[Wish, dict[str, Any]]:
        """Returns a new wish, and the arguments that state it."""
        wish = self.history.wish(pool.name, self._way() if does is None else does, options)
        args: dict[str, Any] = {"number": wish.number}
        if wish.does != "succeeds":
            args["does"] = wish.does
        if self.dice.random() < 0.01:
            args["pad"] = "x" * self.dice.choice([2_000, 300_000])
        return wish, args

    def _put(
        self,
        ctx: Any,
        pool: Workpool,
        count: int,
        options: Mapping[str, Any],
        *,
        does: str | None = None,
        target: str | None = None,
    ) -> list[str]:
        """Enqueues so many work items by one call."""
        asked = [self._asked(pool, options, does) for _ in range(count)]
        to = self._target() if target is None else target
        ids = pool.enqueue_action_batch(ctx, to, [args for _, args in asked], **options)
        for work_id, (wish, _) in zip(ids, asked, strict=True):
            self.history.acknowledge(str(work_id), wish)
        return [str(each) for each in ids]

    def batch(self) -> None:
        """A batch of any behaviour."""
        self._put(None, self._pool(), self.dice.choice([1, 2, 3, 5, 12, 30]), self._options())

    def backlog(self) -> None:
        """A batch that runs are made of."""
        self._put(
            None,
            self._pool(),
            self.dice.choice([10, 20, 30]),
            {"retry": True},
            does="succeeds",
            target=FUNCTION,
        )

    def quickly(self) -> None:
        """Work items that their enqueue starts."""
        for _ in range(self.dice.choice([1, 3, 6])):
            options = self._options()
            if self.dice.random() < 0.3:
                options |= {"unique_key": self.dice.choice("ab"), "on_conflict": "replace"}
            self._put_one(self.quick, options, self._target())

    def _put_one(
        self,
        pool: Workpool,
        options: Mapping[str, Any],
        target: str = FUNCTION,
        does: str | None = None,
    ) -> str:
        """Enqueues one work item, or replaces it."""
        wish, args = self._asked(pool, options, does)
        work_id = str(pool.enqueue_action(None, target, args, **options))
        if self.history.named[work_id] or "on_conflict" in options or "debounce" in options:
            self.history.touched[work_id].add("replace")
        # What is returned by another enqueue has the arguments of that one.
        if options.get("on_conflict") != "return" or not self.history.named[work_id]:
            self.history.acknowledge(work_id, wish)
        return work_id

    def keyed(self) -> None:
        """A work item with a key."""
        options = self._options()
        options |= {
            "unique_key": self.dice.choice("abc"),
            "on_conflict": self.dice.choice(["replace", "replace", "return"]),
        }
        if self.dice.random() < 0.3:
            options["unique_until"] = "started"
        if self.dice.random() < 0.2 and options["on_conflict"] == "replace":
            options["max_wait"] = seconds(self.dice.choice([1, 5]))
        self._put_one(self._pool(), options)

    def run_in_flight(self) -> None:
        """A run that is committed, whose event may wait, and what is done to its work items meanwhile."""
        pool, dice = self.pools[0], self.dice
        waits = dice.random() < 0.5
        keys = self._backlog_with_keys(pool)
        if waits:
            self.cast.throttle(dice.choice([0, 0, 1]))
        self._pass_until_run(pool)
        for _ in range(dice.choice([1, 2, 3])):
            self._meddle(pool, keys)
            self.cloud.advance(ms(dice.choice([1, 5, 30, 100, 400, 2_000])))
        if waits:
            self.cloud.advance(ms(dice.choice([1, 500, 3_000, 7_000, 70_000])))
            self.cast.throttle(None)

    def _backlog_with_keys(self, pool: Workpool) -> list[dict[str, Any]]:
        """Enqueues what a run is made of, with replaceable work items before, among and after. Returns the options of these."""
        dice, keys = self.dice, list[dict[str, Any]]()
        for count in (0, *dice.sample([2, 4, 8, 24], 2)):
            if count:
                self._put(None, pool, count, {"retry": True}, does="succeeds", target=FUNCTION)
            if dice.random() < 0.6:
                key = f"in run {len(self.history.wishes)}"
                keys.append(
                    {"unique_key": key, "on_conflict": "replace", "retry": dice.random() < 0.7}
                )
                if dice.random() < 0.2:
                    keys[-1]["expires_after"] = ms(dice.choice([300, 3_000]))
                self._put_one(pool, keys[-1], does="succeeds")
        return keys

    def _pass_until_run(self, pool: Workpool) -> None:
        """Lets time pass until a loop has committed a run, or a second is over."""
        store, step = self.cloud._engine_open.quiet(self.cloud.table), self.dice.choice([1, 2, 7])
        for _ in range(1_000 // step):
            ledger = readable(store.get(LedgerRef(pool.name)))
            if ledger is not None and any(entry.run for entry in ledger.entries.values()):
                return
            self.cloud.advance(ms(step))

    def _meddle(self, pool: Workpool, keys: Sequence[Mapping[str, Any]]) -> None:
        """Does something to the work items of a run, or to its slot."""
        dice = self.dice
        if keys and dice.random() < 0.6:
            later = {"run_after": ms(dice.choice([50, 400, 2_000]))} if dice.random() < 0.3 else {}
            self._put_one(
                pool, {**dice.choice(keys), **later}, does=dice.choice(["succeeds", "naps"])
            )
            if dice.random() < 0.5:  # a slot for what leaves its run, and more that waits for one
                self._set_limit(pool, self.history.limits[pool.name][-1][1] + 1)
                self._put(None, pool, 6, {"retry": False}, does="succeeds", target=FUNCTION)
            return
        kinds = [
            "cancel",
            "cancel",
            "limit",
            "pause",
            "resume",
            "cancel_all",
            "batch",
            *sorted(self.meddling),
        ]
        getattr(self, dice.choice(kinds))()

    def debounced(self) -> None:
        """A work item that waits for the last call of its key."""
        options = self._options()
        options.pop("run_after", None)
        options |= {
            "unique_key": self.dice.choice("de"),
            "debounce": ms(self.dice.choice([100, 1000, 3000])),
        }
        if self.dice.random() < 0.5:
            options["debounce_max"] = seconds(5)
        self._put_one(self._pool(), options)

    def requested(self) -> None:
        """A batch by the name of its request, perhaps once more."""
        pool, count = self._pool(), self.dice.choice([1, 4])
        options = {**self._options(), "request_id": f"{self.dice.choice('xyz')}{count}"}
        asked = [self._asked(pool, options) for _ in range(count)]
        ids = pool.enqueue_action_batch(None, FUNCTION, [args for _, args in asked], **options)
        for work_id, (wish, _) in zip(ids, asked, strict=True):
            if not self.history.named[str(work_id)]:
                self.history.acknowledge(str(work_id), wish)

    def transaction(self) -> None:
        """Enqueues and a cancel that are applied together."""
        pool, options, dice = self._pool(), self._options(), self.dice
        put: list[str] = []
        try:
            with pool.transaction(None) as tx:
                if dice.random() < 0.7:
                    put = self._put(tx, pool, dice.choice([1, 4]), options)
                work_id = self._some()
                if dice.random() < 0.7 and work_id is not None:
                    self.history.touched[work_id].add("cancel")
                    pool.cancel(tx, work_id)
        except WorkpoolError as error:
            numbers = self.history.forget(put)
            if not isinstance(error, StoreUnavailable):
                self.history.rolled_back |= numbers
            raise

    def transaction_given_up(self) -> None:
        """Enqueues of a transaction that is not applied."""
        pool, put = self._pool(), list[str]()
        with suppress(_GivenUp), pool.transaction(None) as tx:
            put = self._put(tx, pool, 2, {"retry": True})
            raise _GivenUp
        self.history.rolled_back |= self.history.forget(put)

    def mutation(self) -> None:
        """Mutations, each of which enqueues."""
        pool, dice = self._pool(), self.dice
        for _ in range(dice.choice([1, 3])):
            does = dice.choice(
                ["succeeds", "succeeds", "fails once", "exits once", "snoozes once", "fails"]
            )
            policy = RetryPolicy(max_attempts=3, initial_backoff=ms(20), jitter=False)
            wish = self.history.wish(pool.name, does, {"retry": policy, "mutation": True})
            args = {"number": wish.number, "does": does}
            work_id = pool.enqueue_mutation(None, MUTATION, args, retry=policy)
            self.history.acknowledge(str(work_id), wish)

    def group(self) -> None:
        """A group of work items."""
        pool, options, count = self._pool(), self._options(), self.dice.choice([3, 12])
        options.pop("on_complete", None)
        asked = [self._asked(pool, options) for _ in range(count)]
        ended = self.dice.choice([None, CALLBACK])
        group = pool.enqueue_group(
            None, FUNCTION, [args for _, args in asked], on_complete=ended, **options
        )
        self.history.groups.append((pool.name, str(group), count))

    def schedule(self) -> None:
        """A schedule, under one of two names."""
        pool = self._pool()
        wish, args = self._asked(pool, {"retry": False}, "succeeds")
        every = self.dice.choice([seconds(60), timedelta(hours=1)])
        pool.schedule(None, self.dice.choice(["s1", "s2"]), FUNCTION, args, every=every)
        del wish

    # What is done to it.

    def run_now(self) -> None:
        """An occurrence of a schedule now."""
        self._pool().run_now(None, self.dice.choice(["s1", "s2"]))

    def cancel(self) -> None:
        """Cancels a few work items."""
        for _ in range(self.dice.choice([1, 1, 3, 8])):
            work_id = self._some()
            if work_id is not None:
                self.history.touched[work_id].add("cancel")
                answer = self._pool_of(work_id).cancel(None, work_id)
                self.history.canceled.append((work_id, answer, self.history.now))

    def _pool_of(self, work_id: str) -> Workpool:
        name = self.history.named[work_id][0][1].pool
        return next(each for each in self.pools if each.name == name)

    def cancel_all(self) -> None:
        """Cancels all of a pool."""
        pool = self._pool()
        self._touch_all(pool, "cancel")
        pool.cancel_all(None)

    def _touch_all(self, pool: Workpool, by: str) -> None:
        for work_id, asked in self.history.named.items():
            if asked and asked[0][1].pool == pool.name:
                self.history.touched[work_id].add(by)

    def cancel_group(self) -> None:
        """Cancels a group."""
        if self.history.groups:
            name, group, _ = self.dice.choice(self.history.groups)
            next(each for each in self.pools if each.name == name).cancel_group(None, group)

    def redrive(self) -> None:
        """Enqueues a failed work item again."""
        failed = [each for each, outcome in self.history.ended.items() if outcome == "failed"]
        known = [each for each in failed if each in self.history.named]
        work_id = self.dice.choice(known) if known and self.dice.random() < 0.9 else self._some()
        if work_id is not None:
            again = str(self._pool_of(work_id).redrive(None, work_id))
            self.history.touched[work_id].add("redrive")
            if not self.history.named[again]:
                self.history.touched[again].add("redrive")
                self.history.acknowledge(again, self.history.named[work_id][-1][1])

    def redrive_all(self) -> None:
        """Enqueues all failed work items again."""
        pool = self._pool()
        self._touch_all(pool, "redrive")
        pool.redrive_all(None)

    # What is done to pools and functions.

    def pause(self) -> None:
        """Pauses a pool."""
        self._pool().configure(None, paused=True)

    def resume(self) -> None:
        """Resumes a pool."""
        self._pool().configure(None, paused=False)

    def limit(self) -> None:
        """Changes the limit of a pool."""
        self._set_limit(self._pool(), self.dice.choice([0, 1, 1, 2, 3]))

    def _set_limit(self, pool: Workpool, limit: int) -> None:
        before = self.history.limits[pool.name][-1][1]
        self.history.limit(pool.name, max(before, limit))  # in force as soon as it is written
        pool.configure(None, max_parallelism=limit)
        self.history.limit(pool.name, limit)

    def rate(self) -> None:
        """Changes the rate limit of a pool."""
        rates = [
            None,
            RateLimit(20, per=seconds(1)),
            RateLimit(5, per=seconds(1)),
            RateLimit(60, per=seconds(10), burst=30),
        ]
        self._pool().configure(None, rate_limit=self.dice.choice(rates))

    def crash_loop(self) -> None:
        """Ends the loops that run."""
        self.cloud.crash(self.cloud.loop_arn)

    def crash_function(self) -> None:
        """Ends the workers that run."""
        if self.cast._function is None:
            self.cloud.crash(FUNCTION)

    def throttle(self) -> None:
        """Leaves the function few runs at a time, or none."""
        self.cast.throttle(self.dice.choice([None, None, 1, 0]))

    def undecorate(self) -> None:
        """Deploys the function without its decorator, or with it again."""
        if self.cast._function is None:
            self.cast.undecorate()
        else:
            self.cast.restore()

    def remove(self) -> None:
        """Deletes the function, or deploys it again."""
        if self.cast._function is None:
            self.cast.remove()
        else:
            self.cast.restore()

    def deliver_badly(self) -> None:
        """Changes what becomes of deliveries."""
        dice = self.dice
        self.cloud.deliver_badly(
            duplicate_deliveries=dice.choice([0, 0.3]),
            lost_deliveries=dice.choice([0, 0, 0.1]),
            lost_destinations=dice.choice([0, 0.2]),
            crash_rate=dice.choice([0, 0, 0.05]),
        )

    def rest(self) -> None:
        """Lets time pass."""
        self.cloud.advance(seconds(self.dice.choice([15, 40, 100])))


KINDS: Final[Mapping[str, float]] = {
    "batch": 5,
    "backlog": 8,
    "quickly": 3,
    "keyed": 4,
    "run_in_flight": 6,
    "debounced": 2,
    "requested": 2,
    "transaction": 2,
    "transaction_given_up": 1,
    "mutation": 2,
    "group": 2,
    "schedule": 0.5,
    "run_now": 1,
    "cancel": 5,
    "cancel_all": 1,
    "cancel_group": 1,
    "redrive": 2,
    "redrive_all": 0.5,
    "pause": 1.5,
    "resume": 2,
    "limit": 2,
    "rate": 1.5,
    "crash_loop": 1,
    "crash_function": 1,
    "throttle": 0.5,
    "undecorate": 0.3,
    "remove": 0.2,
    "deliver_badly": 0.5,
    "rest": 2,
}
"""Each kind of step, and how often it is drawn."""
DRAWN_INSIDE: Final = frozenset(KINDS) - {
    "run_in_flight",
    "rest",
    "crash_loop",
    "crash_function",
    "throttle",
    "undecorate",
    "remove",
    "deliver_badly",
}
"""Those that user code makes, too."""
DEPLOYMENTS: Final = frozenset({"undecorate", "remove"})
ROUGH: Final = frozenset({"crash_loop", "crash_function", "deliver_badly"})

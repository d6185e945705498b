"""The groups of a simulated run: their callers, and the verdict on them [WP-19] [WP-27]."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from workpool_aws import NotFound, RetryPolicy, StoreUnavailable, Workpool
from workpool_aws.core.group.members import member_ids
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.receipt import Void
from workpool_aws.model.record import Record
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem

__all__ = ["FIRST_MEMBER", "GroupJudge", "GroupPlan", "enqueue", "groups_of", "stop"]

FIRST_MEMBER: Final = 1_000
"""Numbers of members; those of submissions and schedules are lower."""
_FAMILIES: Final = (2, 5, 6)
_CALM: Final = 7
_BITS: Final = {1: Outcome.SUCCESS, 2: Outcome.FAILED, 3: Outcome.CANCELED}
_OPEN: Final = (CallbackState.PENDING, CallbackState.SENT)
Told = Literal["handler", "listener", "flaky", "queue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """A group, the calls that enqueue it, and those that cancel it. Each is a process of its own."""

    name: str
    pool: int
    number: int
    """Of its first member."""
    total: int
    retried: bool
    decorated: bool
    delay_ms: int
    told: Told | None
    calls_ms: tuple[int, ...]
    cancels_ms: tuple[int, ...]

    @property
    def ends_ms(self) -> int:
        """When its last caller begins."""
        return max((*self.calls_ms, *self.cancels_ms))


def groups_of(seed: int, pools: int) -> tuple[GroupPlan, ...]:
    """In every fourth scenario or so: drawn apart, so that scenarios stay what they were."""
    chance = random.Random(f"groups {seed}")
    rate = {_CALM: 0.4}.get(seed % 8, 0.6 if seed % 8 in _FAMILIES else 0.0)
    if chance.random() >= rate:
        return ()
    calm = seed % 8 == _CALM
    plans = []
    for n in range(chance.choice((1, 1, 2))):
        first = chance.choice((0, 100, 2_000))
        calls = [first, *(first + chance.choice((1, 300, 20_000, 60_000)) for _ in range(2))]
        cancels = () if calm else chance.choice(((), (), (300,), (3_000,), (0, 45_000)))
        plans.append(
            GroupPlan(
                name=f"g{n}",
                pool=chance.randrange(pools),
                number=FIRST_MEMBER + 50 * n,
                total=chance.choice((1, 2, 3, 5, 9)),
                retried=chance.random() < 0.5,
                decorated=chance.random() < 0.7,
                delay_ms=0 if calm else chance.choice((0, 0, 4_000, 140_000)),
                told=chance.choice(("handler", "handler", "listener", "flaky", "queue", None)),
                calls_ms=tuple(calls[: chance.choice((1, 1, 2, 3))]),
                cancels_ms=tuple(first + each for each in cancels),
            )
        )
    return tuple(plans)


@dataclass(slots=True)
class _Account:
    """One group, from the put of its item on."""

    item: GroupItem
    members: dict[WorkId, WorkItem] = field(default_factory=dict)
    voids: set[WorkId] = field(default_factory=set)
    follow_ups: list[WorkItem] = field(default_factory=list)
    over_at: EpochMs = EpochMs(0)
    """When the last of its members ended."""
    unstarted: set[WorkId] = field(default_factory=set)
    """Members that ended while they were pending."""
    owed: bool = False
    """A call that enqueues it was answered, so it must come to its end."""


@dataclass(slots=True)
class GroupJudge:
    """Holds counts and follow-ups against the members that it has seen end."""

    now: Callable[[], EpochMs]
    fail: Callable[[str, str], None]
    lags_ms: list[int]
    accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)

    def seen(self, before: Record | None, after: Record | None) -> None:
        """A write was applied."""
        if isinstance(after, GroupItem):
            self._item(after)
        elif isinstance(after, Void):
            for account in self.accounts.values():
                if account.item.pool == after.pool:
                    account.voids.add(after.id)
        elif isinstance(after, WorkItem) and after.spec.group is not None:
            self._of_group(before, after, after.spec.group)

    def _of_group(self, before: Record | None, after: WorkItem, group: str) -> None:
        account = self.accounts.get((after.pool, group))
        if account is None:
            self.fail("WP-19", f"{after.id} is of group {group}, which is not there")
        elif before is None and after.state is State.FINISHED:
            self._follow_up(account, after)
        elif after.id not in {each.id for each in account.follow_ups}:
            self._member(account, before if isinstance(before, WorkItem) else None, after)

    def answered(self, pool: str, name: str) -> None:
        """A call that enqueues a group returned: all members are stored, and it comes to its end."""
        account = self.accounts.get((pool, name))
        if account is None:
            self.fail("WP-19", f"group {name} was acknowledged, and is not there")
            return
        account.owed = True
        places = len(account.members) + len(account.voids)
        if places < account.item.total:
            self.fail("WP-3", f"group {name} was acknowledged with {places} of its members")

    def told(self, work: WorkItem) -> None:
        """An `on_complete` target received a callback."""
        account = self.accounts.get((work.pool, work.spec.group or ""))
        of_group = account is not None and work.id in {each.id for each in account.follow_ups}
        # A handler that fails the first time is called again after a second or two.
        if account is not None and of_group and "flaky" not in str(work.spec.callback_target):
            self.lags_ms.append(self.now() - account.over_at)

    def _item(self, item: GroupItem) -> None:
        account = self.accounts.setdefault((item.pool, item.id), _Account(item))
        old, account.item = account.item, item
        if old.born != item.born:
            self.fail("WP-19", f"group {item.id} was made twice")
        if item.outcomes != old.outcomes:
            self._counted(account, old, item)
        if old.finished_at is not None and item.finished_at != old.finished_at:
            self.fail("WP-19", f"group {item.id} was finished twice")
        if item.finished_at is not None and len(_counted(item)) < item.total:
            self.fail("WP-19", f"group {item.id} is finished with {_counted(item)}")

    def _counted(self, account: _Account, old: GroupItem, new: GroupItem) -> None:
        if new.version != old.version + 1:
            self.fail("WP-19", f"group {new.id} went from version {old.version} to {new.version}")
        before, after = _counted(old), _counted(new)
        if before.items() - after.items():
            self.fail("WP-19", f"group {new.id} lost an outcome: {before} to {after}")
        places = {_place(account, each): each for each in (*account.members, *account.voids)}
        for place, outcome in after.items() - before.items():
            found = places.get(place)
            work = None if found is None else account.members.get(found)
            if work is None and not (found in account.voids and outcome is Outcome.CANCELED):
                self.fail("WP-19", f"group {new.id} counts {outcome} at {place}, where nothing is")
            if work is not None and work.outcome is not outcome:
                self.fail("WP-19", f"{work.id} is {work.state} {work.outcome}, counted {outcome}")

    def _follow_up(self, account: _Account, work: WorkItem) -> None:
        account.follow_ups.append(work)
        if len(account.follow_ups) > 1:
            self.fail("WP-19", f"group {account.item.id} was followed twice")
        for each in account.members.values():
            if each.state is not State.FINISHED:
                self.fail(
                    "WP-19", f"{account.item.id} was followed while {each.id} is {each.state}"
                )
        if len(account.members) + len(account.voids) < account.item.total:
            self.fail("WP-19", f"{account.item.id} was followed before all members were there")

    def _member(self, account: _Account, before: WorkItem | None, after: WorkItem) -> None:
        if before is None and after.id in account.voids:
            self.fail("WP-19", f"{after.id} was stored, although its place was given up")
        account.members[after.id] = after
        if after.state is State.FINISHED and (before is None or before.state is not after.state):
            account.over_at = self.now()
            if before is not None and before.state is State.PENDING:
                account.unstarted.add(after.id)

    def judge(self, *, hourly_look: bool) -> None:
        """In the end: each group that was acknowledged is finished, and followed if it wants that."""
        for (_, name), account in sorted(self.accounts.items()):
            item = account.item
            if item.finished_at is None and account.owed:
                left = set(range(item.total)) - _counted(item).keys()
                # What ended a pending member without an answer may have landed late.
                excused = not hourly_look and (account.unstarted or account.voids)
                if not excused:
                    self.fail(
                        "WP-27",
                        f"group {name} is not finished: {sorted(left)} of {item.total} are not counted",
                    )
            wanted = item.finished_at is not None and item.spec.callback is not None
            if wanted is not bool(account.follow_ups):
                self.fail(
                    "WP-19",
                    f"group {name}: finished {item.finished_at}, followed {account.follow_ups}",
                )


def _counted(item: GroupItem) -> dict[int, Outcome]:
    """The outcome at each place, read by the judge's own rule."""
    bits = int.from_bytes(item.outcomes, "little")
    codes = {n: bits >> 2 * n & 3 for n in range(item.total)}
    return {n: _BITS[code] for n, code in codes.items() if code}


def _place(account: _Account, work_id: WorkId) -> int:
    """By the numbers of ids, which follow each other in a group: by the judge's own rule."""
    return _number(work_id) - _number(member_ids(account.item, 1)[0])


def _number(ulid: str) -> int:
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for letter in ulid[:-1]:
        number = number * 32 + digits.index(letter)
    return number


def enqueue(
    pool: Workpool, plan: GroupPlan, fn: str, on_complete: str | None, judge: GroupJudge
) -> None:
    """One call that enqueues a group."""
    retry = RetryPolicy(max_attempts=3, initial_backoff=timedelta(milliseconds=250))
    try:
        pool.enqueue_group(
            None,
            fn,
            [{"number": plan.number + n} for n in range(plan.total)],
            on_complete=on_complete,
            context=None if on_complete is None else [plan.number, ""],
            group_id=plan.name,
            retry=retry if plan.retried else False,
            run_after=timedelta(milliseconds=plan.delay_ms),
        )
    except StoreUnavailable:
        return
    judge.answered(pool.name, plan.name)


def stop(pool: Workpool, plan: GroupPlan) -> None:
    """One call that cancels a group."""
    try:
        pool.cancel_group(None, plan.name)
    except (StoreUnavailable, NotFound):
        return

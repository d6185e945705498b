"""The schedules of a simulated run: their changes, and the verdict on them [WP-18] [WP-26]."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from workpool_aws import NotFound, StoreUnavailable, Workpool
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import Record
from workpool_aws.model.schedule import ScheduleItem
from workpool_aws.model.work import WorkItem

__all__ = ["FIRST_NUMBER", "ScheduleAct", "ScheduleJudge", "SchedulePlan", "play", "schedules_of"]

FIRST_NUMBER: Final = 900
"""Numbers of work items that schedules enqueue. Those of submissions are lower."""
_FAMILIES: Final = (0, 4)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Kind = Literal["define", "pause", "resume", "remove"]


@dataclass(frozen=True, slots=True)
class ScheduleAct:
    """A change by a person or program."""

    at_ms: int
    kind: Kind
    every_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """A schedule, and what people do with it."""

    name: str
    pool: int
    number: int
    ends_ms: int
    catch_up: Literal["latest", "all", "none"]
    overlap: Literal["allow", "skip", "queue_one"]
    acts: tuple[ScheduleAct, ...]


def schedules_of(seed: int, pools: int) -> tuple[SchedulePlan, ...]:
    """In every eighth scenario: drawn apart, so that scenarios stay what they were."""
    chance = random.Random(f"schedules {seed}")
    if seed % 8 not in _FAMILIES or chance.random() < 0.5:
        return ()
    plans = []
    for n in range(chance.choice((1, 1, 2))):
        kinds: tuple[Kind, ...] = ("define", "define", "pause", "resume", "remove")
        first = ScheduleAct(
            chance.choice((0, 500, 3_000)), "define", chance.choice((5_000, 20_000))
        )
        moments = sorted(_moment(chance, first) for _ in range(chance.choice((0, 1, 3, 5))))
        later = [
            ScheduleAct(at_ms, chance.choice(kinds), chance.choice((7_000, 20_000, 45_000)))
            for at_ms in moments
        ]
        plans.append(
            SchedulePlan(
                name=f"s{n}",
                pool=chance.randrange(pools),
                number=FIRST_NUMBER + n,
                ends_ms=chance.choice((60_000, 130_000)),
                catch_up=chance.choice(("latest", "all", "none")),
                overlap=chance.choice(("allow", "skip", "queue_one")),
                acts=(first, *later),
            )
        )
    return tuple(plans)


def _moment(chance: random.Random, first: ScheduleAct) -> int:
    """Of a change: any, or that of an occurrence, where it meets the loop that enqueues it."""
    if chance.random() < 0.3:
        return chance.randrange(90_000)
    return first.at_ms + first.every_ms * chance.randrange(1, 5) + chance.randrange(180)


@dataclass(slots=True)
class _Account:
    """The occurrences of one schedule, from its birth to its removal."""

    passed: int = 0
    """Those that its next occurrence has moved past, or that fell due before a change dropped them."""
    enqueued: int = 0
    item: ScheduleItem | None = None
    changes: int = 0
    """Changes of which each may count one that was not due yet."""
    doubtful: int = 0
    """Occurrences that an unanswered change may have dropped uncounted."""


@dataclass(slots=True)
class ScheduleJudge:
    """Counts occurrences from the writes that were applied, by a clockwork of its own."""

    now: Callable[[], EpochMs]
    fail: Callable[[str, str], None]
    accounts: defaultdict[tuple[str, str, str], _Account] = field(
        default_factory=lambda: defaultdict(_Account)
    )
    unanswered: Counter[str] = field(default_factory=Counter)
    """Changes without an answer, by schedule."""
    _births: dict[tuple[str, str], str] = field(default_factory=dict)

    def seen(self, before: Record | None, after: Record | None) -> None:
        """A write was applied to a schedule, or to a work item of one."""
        if isinstance(after, ScheduleItem):
            self._births[after.pool, after.name] = after.born
            account = self.accounts[after.pool, after.name, after.born]
            old, account.item = account.item, after
            if old is not None:
                self._moved(account, old, after)
        elif isinstance(before, ScheduleItem) and after is None:
            account = self.accounts[before.pool, before.name, before.born]
            account.item = None
        elif isinstance(after, WorkItem) and after.spec.schedule and before is None:
            self._enqueued(after, after.spec.schedule)

    def _enqueued(self, work: WorkItem, name: str) -> None:
        if work.redrive_of is not None:
            return  # a person's doing
        born = self._births.get((work.pool, name), "")
        self.accounts[work.pool, name, born].enqueued += 1

    def _moved(self, account: _Account, old: ScheduleItem, new: ScheduleItem) -> None:
        if old.next_at is None:
            return
        if new.version == old.version:
            account.passed += _between(old, old.next_at, new.next_at)
            return
        account.changes += 1
        if old.paused:
            return
        due_by = EpochMs(self.now() + 1)
        if new.paused or new.next_at != old.next_at:
            fell_due = _between(old, old.next_at, due_by)
            if not new.paused and new.next_at is not None and new.next_at < due_by:
                fell_due -= 1  # it stays, as the latest of those that are due
        elif new.timing != old.timing:
            fell_due = max(0, _between(old, old.next_at, due_by) - 1)
        else:
            fell_due = 0
        account.passed += fell_due
        account.doubtful += fell_due

    def judge(self, *, hourly_look: bool) -> None:
        """In the end: each occurrence was enqueued at most once, and each that fell due was enqueued or counted."""
        for (_, name, _), account in sorted(self.accounts.items()):
            item = account.item
            if item is None:
                continue
            known = account.enqueued + item.missed + item.skipped + (item.waiting is not None)
            excused = account.doubtful if self.unanswered[name] else 0
            if not account.passed - excused <= known <= account.passed + account.changes:
                self.fail(
                    "WP-18",
                    f"schedule {name}: {account.passed} occurrences passed, {account.enqueued} were enqueued, "
                    f"{item.missed} missed, {item.skipped} skipped",
                )
            if hourly_look and not item.paused and item.next_at is not None:
                self.fail("WP-26", f"schedule {name} stands still before {item.next_at}")


def _between(item: ScheduleItem, low: EpochMs, high: EpochMs | None) -> int:
    """Occurrences from `low`, which is one, to before `high`; `None` means to the schedule's end."""
    every = item.timing.every_ms or 1
    ends_at = item.timing.ends_at or low
    last = ends_at if high is None else min(ends_at, high - 1)
    return max(0, (last - low) // every + 1)


def play(
    pool: Workpool,
    plan: SchedulePlan,
    fn: str,
    judge: ScheduleJudge,
    *,
    began: EpochMs,
    sleep_to: Callable[[int], None],
) -> None:
    """A process that makes a schedule, and changes it."""
    end = _EPOCH + timedelta(milliseconds=began + plan.ends_ms)
    for act in plan.acts:
        sleep_to(began + act.at_ms)
        judge.unanswered[plan.name] += 1  # as long as this process lives to hear of it
        try:
            match act.kind:
                case "define":
                    pool.schedule(
                        None,
                        plan.name,
                        fn,
                        {"number": plan.number},
                        every=timedelta(milliseconds=act.every_ms),
                        end=end,
                        catch_up=plan.catch_up,
                        overlap=plan.overlap,
                    )
                case "pause":
                    pool.pause_schedule(None, plan.name)
                case "resume":
                    pool.resume_schedule(None, plan.name)
                case "remove":
                    pool.unschedule(None, plan.name)
        except StoreUnavailable:
            continue
        except NotFound:
            pass
        judge.unanswered[plan.name] -= 1

"""Plans a pass: one commit, the effects that follow it, and what the holder remembers.

The plan is a value made of the findings of the stages before it. `flow/loop/run_pass.py` has the
line of stages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import limit_of
from workpool_aws.core.loop.ahead import ahead_after
from workpool_aws.core.loop.choose import marks_after
from workpool_aws.core.loop.effects import Cancel, EndExpired, Forget, Results, Start, Tidy
from workpool_aws.core.loop.pace import PassResult
from workpool_aws.core.loop.rate import Tokens, tokens_of
from workpool_aws.core.loop.runs import SentRun, runs_after, turnover_ms
from workpool_aws.core.loop.settle import slots_taken
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.rate import RateSpent
from workpool_aws.model.refs import NoticeRef
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from workpool_aws.core.loop.ahead import Ahead
    from workpool_aws.core.loop.callbacks import CallbackPlan
    from workpool_aws.core.loop.choose import Choice
    from workpool_aws.core.loop.memory import Inputs, Memory
    from workpool_aws.core.loop.recover import Checked, Recover
    from workpool_aws.core.loop.settle import Settled
    from workpool_aws.model.loop import Entry, EntryKey, Ledger, Notice
    from workpool_aws.model.schedule import Tick

__all__ = [
    "Findings",
    "PassPlan",
    "plan_pass",
    "refused_result",
    "remembered",
    "result_of",
    "runs_among",
    "spent_pointers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPlan:
    """Plan of a pass. Its effects may only be made once its ledger is committed [WP-2]."""

    ledger: Ledger
    """The ledger to commit, but for its tally and the fence."""
    changes_ledger: bool
    """True if the ledger must be committed. Otherwise only deadlines and cursors moved, which stay in
    memory."""
    limit: int
    choice: Choice
    starts: tuple[Start, ...]
    recovers: tuple[Recover, ...]
    callbacks: CallbackPlan
    forgets: tuple[Forget, ...]
    """Notices that this pass takes over: their callbacks are in the ledger, their ends counted."""
    cancels: tuple[Cancel, ...]
    expired: tuple[EndExpired, ...]
    ticks: tuple[Tick, ...]
    """Schedules to look at, after the commit. A tick stays until its schedule was looked at."""
    understood: frozenset[EntryKey]
    asked: Mapping[EntryKey, str]
    """Requests for a check that this pass serves: the key of the notice, by entry."""
    notices: tuple[Notice, ...]
    """Notices that freed a slot, one each."""
    lags_ms: tuple[int, ...]
    """Time from due to start of each chosen work item."""
    moved: int
    """Slots freed, and slots filled."""
    promise_until: EpochMs | None
    """Time until which its workers may rely on the loop; `None` means that they may not."""
    progress: bool
    """True if it frees or fills a slot, moves a callback, ends something, or
    looks at a schedule."""
    config_version: int
    token_at: EpochMs | None
    """Time of the next token, for which due work items wait; `None` means that none does."""
    runs: Mapping[EntryKey, SentRun]
    """Runs in flight once it is carried out, as far as this holder knows them."""
    ahead: Ahead | None
    """Due work items that it has read, or an earlier pass, and that found no slot."""

    @property
    def is_quiet(self) -> bool:
        """True if its commit is followed by no start, recovery, delivery or spent pointer."""
        sends = self.callbacks.sends or self.callbacks.gives_up
        return not (self.starts or self.recovers or sends or self.choice.stale)

    def leaves_crowded(self, memory: Memory) -> bool:
        """True if the last pass that read due work items left some that found no slot."""
        left = self.choice.left or (self.choice.ahead is not None and self.choice.more)
        return bool(left) if self.choice.has_read else memory.crowded

    def is_news_to(self, memory: Memory) -> bool:
        """True if the holder has to remember more of it than its ledger."""
        met = bool(self.understood or self.asked or self.changes_ledger)
        learns = self.runs != memory.runs or self.leaves_crowded(memory) != memory.crowded
        return met or learns or self.ahead != memory.ahead


@dataclass(frozen=True, slots=True)
class Findings:
    """Results of the stages of a pass, from which it is planned."""

    memory: Memory
    inputs: Inputs
    settled: Settled
    checked: Checked
    choice: Choice
    callbacks: CallbackPlan
    deadlines: Mapping[EntryKey, Entry]
    """The entries of the chosen work items."""
    counted: tuple[str, ...] = ()
    """Keys of notices that had nothing but the ends of groups' members, which are counted."""

    @property
    def moved(self) -> int:
        """Slots freed, and slots filled. Those that a guest filled count in the pass that follows."""
        dropped = len(self.settled.entries) - len(self.checked.entries)
        filled = len(self.choice.chosen) + len(self.memory.lags_ms)
        return len(self.settled.gone) + dropped + filled

    def ends_something(self) -> bool:
        """True if work items are canceled or expire, ends are counted, or a schedule is looked at."""
        choice = self.choice
        at_once = choice.bulk_canceled or choice.expired or choice.ticks or self.counted
        return self.inputs.bulk_cancel is not None or bool(at_once)

    def forgets(self) -> tuple[Forget, ...]:
        """Returns the notices to delete after the commit."""
        pool = self.memory.ledger.pool
        return (*self.callbacks.forgets, *(Forget(NoticeRef(pool, at)) for at in self.counted))

    def ledger_after(self) -> Ledger:
        """Returns the ledger to commit, but for its tally and the fence."""
        before, read = self.memory.ledger, self.memory.marks
        marks = marks_after(
            read,
            self.choice,
            back_to=self.settled.back_to,
            done_keys=[each.keys for each in self.inputs.notices],
            no_room_at=self.callbacks.blocked,
            deep=self.inputs.deep,
            now=self.inputs.now,
        )
        entries = {**self.checked.entries, **self.deadlines}
        beat = any(one.work.spec.heartbeat_ms is not None for one in self.choice.chosen)
        return replace(
            before,
            entries=entries,
            beats=bool(entries) and (before.beats or beat),
            shards=(*marks, *before.shards[len(read) :]),
            callbacks=self.callbacks.owed,
            epoch=self._epoch_after(),
            rate=self._rate_after(),
        )

    @property
    def tokens(self) -> Tokens | None:
        """Tokens of the rate limit before the starts of this pass; `None` means no rate limit."""
        config = self.inputs.config
        rate = None if config is None else config.rate
        return tokens_of(rate, self.memory.spent, self.inputs.now)

    def _rate_after(self) -> RateSpent | None:
        """Returns the spent tokens with those of the new starts, which the commit pays [WP-33]."""
        count, before = len(self.choice.chosen), self.memory.ledger
        tokens = self.tokens if count else None
        if tokens is None:
            return before.rate
        spent_us = tokens.after(count).spent_until_us
        return RateSpent(spent_us, count, tokens.limit.step_us, before.generation)

    def token_at(self) -> EpochMs | None:
        """Returns the time of the next token, if due work items wait for one."""
        tokens = self.tokens if self.choice.starved else None
        if tokens is None:
            return None
        return tokens.after(len(self.choice.chosen)).next_at

    def _epoch_after(self) -> int:
        """Returns the epoch of a bulk cancel that has ended, and until then the ledger's own."""
        bulk_cancel = self.inputs.bulk_cancel
        if bulk_cancel is None or bulk_cancel.next_shard is not None:
            return self.memory.ledger.epoch
        return bulk_cancel.epoch

    def promise(self, entries: int, ends_at: EpochMs) -> EpochMs | None:
        """Returns the time until which a loop with so many entries surely runs, if it is busy.

        The promise saves each of its workers a read. `None` means that the loop is not busy, or is
        near its end.
        """
        until = EpochMs(self.inputs.now + limits.PROMISE_MS)
        busy = bool(self.choice.left) or entries >= limits.PROMISE_ENTRIES_MIN
        return until if busy and until < ends_at else None

    def starts(self, promise: EpochMs | None) -> tuple[Start, ...]:
        """Returns the starts to make: those committed before that were not made, and new ones."""
        new = [(one.start, one.work) for one in self.choice.chosen]
        entries = {**self.checked.entries, **self.deadlines}
        return tuple(
            Start(key, work, promise, entries[key].run)
            for key, work in (*self.checked.begins, *new)
        )


def plan_pass(found: Findings, *, ends_at: EpochMs) -> PassPlan:
    """Returns the plan of a pass. `ends_at`: time at which the loop hands over."""
    inputs, choice, checked = found.inputs, found.choice, found.checked
    before, ledger = found.memory.ledger, found.ledger_after()
    callbacks_moved = ledger.callbacks != before.callbacks
    # What was replaced may leave its run, and start alone under the same key in the same pass.
    left_run = any(one.start in before.entries for one in choice.chosen)
    slots_moved = left_run or ledger.entries.keys() != before.entries.keys()
    promise = found.promise(len(ledger.entries), ends_at)
    starts = found.starts(promise)
    cancels = tuple(Cancel(work) for work in choice.bulk_canceled)
    expired = tuple(EndExpired(work) for work in choice.expired)
    return PassPlan(
        ledger=ledger,
        changes_ledger=slots_moved or callbacks_moved or ledger.epoch != before.epoch,
        limit=limit_of(inputs.config),
        config_version=0 if inputs.config is None else inputs.config.version,
        choice=choice,
        starts=starts,
        recovers=checked.recovers[: limits.RECOVERIES_MAX],
        callbacks=found.callbacks,
        forgets=found.forgets(),
        cancels=cancels,
        expired=expired,
        ticks=tuple(choice.ticks),
        understood=checked.understood,
        asked=found.settled.asked,
        notices=found.settled.records,
        lags_ms=tuple(inputs.now - one.work.due_at for one in choice.chosen),
        moved=found.moved,
        promise_until=promise if starts else None,
        progress=found.moved > 0 or callbacks_moved or found.ends_something(),
        token_at=found.token_at(),
        runs=runs_after(found.memory, choice, inputs.now),
        ahead=ahead_after(found.memory, choice, inputs.now),
    )


def runs_among(starts: Sequence[Start]) -> list[list[Start]]:
    """Returns the starts that are sent together, each run in the order in which it is made.

    That is the order of their keys, whoever sends them: of two deliveries, each meets the starts that
    the other has made, and stops [WP-30].
    """
    found: dict[EntryKey, list[Start]] = {}
    for start in sorted(starts, key=lambda each: each.key):
        if start.run is not None:
            found.setdefault(start.run, []).append(start)
    return list(found.values())


def spent_pointers(plan: PassPlan, sent: Collection[EntryKey]) -> tuple[Tidy, ...]:
    """Returns the pointers that lead to nothing: stale ones, and those to starts that were sent."""
    used = [ref for found in plan.choice.chosen if found.start in sent for ref in found.pointers]
    return tuple(Tidy(ref) for ref in dict.fromkeys([*used, *plan.choice.stale]))


def remembered(memory: Memory, plan: PassPlan, results: Results) -> Memory:
    """Returns the holder's memory after the effects of a committed plan.

    A start without a certain answer stays unconfirmed, so its entry is kept and checked [WP-1].
    """
    if results.are_none and not plan.is_news_to(memory):
        return memory
    entries = dict(plan.ledger.entries)
    ledger = memory.ledger
    moved = {**results.doubted(entries), **results.running, **results.recovered}
    if moved:
        for key, entry in moved.items():
            entries[key] = replace(entry, run=entries[key].run if key in entries else None)
        ledger = replace(ledger, entries=entries)
    known = (memory.unconfirmed - plan.understood).intersection(entries)
    asked = {**memory.checked, **plan.asked}
    owed = [results.callbacks.get(each.work_id, each) for each in memory.callbacks]
    return replace(
        memory,
        ledger=ledger,
        unconfirmed=(known - results.sent) | results.unsent,
        checked={key: at for key, at in asked.items() if key in entries},
        sent=((memory.sent - results.unsent) | results.sent).intersection(entries),
        callbacks=tuple(each for each in owed if each is not None),
        crowded=plan.leaves_crowded(memory),
        runs=plan.runs,
        ahead=plan.ahead,
    )


def result_of(plan: PassPlan, memory: Memory, now: EpochMs) -> PassResult:
    """Returns the result of a pass of this time whose plan was carried out, for the pace of the next."""
    doubts = memory.unconfirmed or plan.recovers
    delivered = memory.callbacks != memory.ledger.callbacks
    free = plan.limit - slots_taken(plan.ledger.entries)
    return PassResult(
        free=free,
        next_due=plan.choice.next_due,
        progress=plan.progress,
        busy=plan.progress or bool(doubts) or delivered,
        config_version=plan.config_version,
        changes=max(1, plan.moved) if plan.changes_ledger else 0,
        promise_until=plan.promise_until,
        cut=plan.choice.cut,
        turnover_ms=turnover_ms(memory, free=free, now=now),
        token_at=plan.token_at,
    )


def refused_result(plan: PassPlan) -> PassResult:
    """Returns the result of a pass whose commit was refused: it must be made again."""
    return PassResult(
        free=plan.limit - slots_taken(plan.ledger.entries),
        next_due=plan.choice.next_due,
        progress=False,
        busy=True,
        config_version=plan.config_version,
    )

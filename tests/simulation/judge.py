"""The verdict on a simulated run, by the promises of docs/protocol.md.

The judge checks every applied write and every run of user code. It knows the records, not the code.
It sees the table before and after each write, the times of runs, and the answers to callers. It
keeps its findings and never interferes. Rules [WP-1] to [WP-14] are judged as they happen, the
others by `world`, at the end of a run.

As the protocol says, unclaimed and undecorated work items may run twice, and beyond the limit,
when a delivery is doubled or late.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from tests.simulation.forger import MARK
from tests.simulation.grouping import GroupJudge
from tests.simulation.guests import GuestJudge
from tests.simulation.keyed import KeyJudge
from tests.simulation.rates import RateJudge
from tests.simulation.recurring import ScheduleJudge
from tests.simulation.slots import Slots
from workpool_aws.core import limits
from workpool_aws.core.work.end import CancelAnswer
from workpool_aws.model.error_marks import ErrorMarks
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import (
    Config,
    Deployment,
    EntryKey,
    Heartbeat,
    Ledger,
    LoopStatus,
    MinuteReport,
    Notice,
    Registration,
)
from workpool_aws.model.messages import Assignment
from workpool_aws.model.pages import LedgerPage
from workpool_aws.model.payload import Chunk, Inline
from workpool_aws.model.receipt import Receipt, Void
from workpool_aws.model.record import Record
from workpool_aws.model.schedule import ScheduleItem, Tick
from workpool_aws.model.spec import Outcome
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.work import CallbackState, Pointer, State, WorkItem

__all__ = ["Execution", "Judge", "Violation"]

# The protocol's numbers, not the code's: a judge that asked the code would believe it.
_SKEW_MS: Final = 2_000
_MARGIN_MS: Final = 2 * _SKEW_MS + 2_000
_PARALLELISM_DEFAULT: Final = 10
_SNOOZES_MAX: Final = 100
_PAGE_LASTS_MS: Final = 24 * 3_600_000
_RUN_MAX: Final = 25
_RUN_PATIENCE_MS: Final = 4_000
_KEPT: Final = (CallbackState.PENDING, CallbackState.SENT, CallbackState.DEAD)
"""A work item whose callback is here does not expire."""
_SETTLED: Final = (CallbackState.DELIVERED, CallbackState.DEAD)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise. `lines`: how many lines the trace had then."""

    rule: str
    what: str
    at: EpochMs
    lines: int

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(eq=False, slots=True)
class Execution:
    """One run of user code."""

    assignment: Assignment
    claimed: bool
    decorated: bool
    killed_at: EpochMs
    """When Lambda ends it, if it has not ended: its thread may hear of that a little later in the
    same instant."""
    still_until: Callable[[], EpochMs] = lambda: EpochMs(0)
    """Until when its process stands still as a whole, or stood last."""
    over: bool = False

    @property
    def key(self) -> EntryKey:
        return EntryKey(self.assignment.work_id, self.assignment.start)


@dataclass(eq=False, slots=True)
class _CallOff:
    """A `cancel_all`. `before`: the work items that were acknowledged when it was called."""

    before: frozenset[WorkId]
    answered: bool = False
    free_to_end: frozenset[WorkId] = frozenset()
    """Those of them that were over, running, committed or past their expiry when it was answered:
    the others are canceled. A pass that ends an expired one may have been committed before."""
    known_by: EpochMs = EpochMs(0)
    """Time by which every loop has read the config since. Until then one that expires may end as that."""


@dataclass(slots=True)
class _Pool:
    """The state of a pool, as the judge knows it."""

    ledger: Ledger | None = None
    status: LoopStatus | None = None
    allowed: set[int] = field(default_factory=lambda: {_PARALLELISM_DEFAULT})
    """Limits that a pass may go by: the one in force, and those of changes that were not
    acknowledged."""
    config: Config | None = None
    most_allowed: int = 0
    changed_at: EpochMs = EpochMs(0)
    """When a change of the limits was answered last."""
    call_offs: list[_CallOff] = field(default_factory=list)
    runs: dict[EntryKey, EntryKey] = field(default_factory=dict)
    """The first start of the run that each start was committed with; its own, if it was alone."""
    mates: defaultdict[EntryKey, set[EntryKey]] = field(default_factory=lambda: defaultdict(set))
    """The starts of each run, by its first one."""
    slots: Slots = field(default_factory=Slots)

    def joins(self, key: EntryKey, run: EntryKey) -> None:
        """A start was committed with this run."""
        self.mates[self.runs.get(key, key)].discard(key)
        self.runs[key] = run
        self.mates[run].add(key)

    def free_since(self, now: EpochMs) -> EpochMs:
        """Since when there was a free slot all the time."""
        limit = _PARALLELISM_DEFAULT if self.config is None else self.config.limit
        return self.slots.free_since(limit, self.changed_at, now)


class Judge:
    """Watches one run.

    `now` and `lines` are the cloud's time and the length of its trace, `writer` names whose call is
    being applied (a write that lands after its writer gave up is nobody's: "-"); `decorated`: the
    names of functions that claim.

    `once`: no event is ever doubled, so no start runs twice, whatever kind of function it is.
    `in_time`: no worker begins late either, so the limit holds for every kind.
    """

    def __init__(
        self,
        now: Callable[[], EpochMs],
        lines: Callable[[], int],
        writer: Callable[[], str],
        *,
        decorated: Collection[str],
        once: bool,
        in_time: bool,
    ) -> None:
        self.violations: list[Violation] = []
        self.schedules = ScheduleJudge(now, self.fail)
        self.keys = KeyJudge(now, self.fail)
        self.lags_ms: list[int] = []
        """Of each start: since it was due and a slot was free. Of each settled entry: since its
        user code was over. Of each group's callback: since its last member was over."""
        self.groups = GroupJudge(now, self.fail, self.lags_ms)
        self.rates = RateJudge(now, self.fail)
        self.guests = GuestJudge(now, writer, self.fail, decorated)
        self.works: dict[WorkId, WorkItem] = {}
        self.acknowledged: list[WorkId] = []
        self.executions: list[Execution] = []
        self._of_work: defaultdict[WorkId, list[Execution]] = defaultdict(list)
        self._alive: list[Execution] = []
        """Those that were not over when it was asked for last, and later ones."""
        self.robbed: set[WorkId] = set()
        """Work items of whose payloads chunks were removed by hand."""
        self.handled: set[WorkId] = set()
        """Works whose decorated `on_complete` handler ran to its end."""
        self._now = now
        self._lines = lines
        self._writer = writer
        self._decorated = decorated
        self._once = once
        self._in_time = in_time
        self._recovered: set[EntryKey] = set()
        self._snoozes: set[EntryKey] = set()
        """Starts that are over by a snooze: even claimed code runs again after them."""
        self._pools: defaultdict[str, _Pool] = defaultdict(_Pool)
        self._pages: dict[tuple[str, str], LedgerPage] = {}
        self._canceled: set[WorkId] = set()
        self._canceled_unstarted: set[WorkId] = set()
        """Work items that ended while they were pending. Their callback is owed by a notice, and no
        entry stands for it."""
        self._redrive_asked: set[WorkId] = set()
        self._redrives_unanswered: Counter[WorkId] = Counter()
        self._cancel_asked: set[WorkId] = set()
        """Work items that a caller wanted to cancel, whatever came of it."""
        self._spared: set[WorkId] = set()
        """Work items that were enqueued after every `cancel_all` of their pool, or before every one.
        Only the latter may be meant by one."""
        self._asked: dict[WorkId, int] = {}
        """Works whose cancel was answered as requested, and the start that ran then."""

    def fail(self, rule: str, what: str) -> None:
        self.violations.append(Violation(rule, what, self._now(), self._lines()))

    def seen(self, before: Record | None, after: Record | None) -> None:
        """A write was applied."""
        self.schedules.seen(before, after)
        self.keys.seen(before, after)
        self.groups.seen(before, after)
        match after:
            case None:
                self._deleted(before)
            case WorkItem():
                self._work(before if isinstance(before, WorkItem) else None, after)
            case Ledger():
                self._ledger(before if isinstance(before, Ledger) else None, after)
            case LedgerPage():
                self._page(before, after)
            case LoopStatus():
                self._status(before if isinstance(before, LoopStatus) else None, after)
            case Config():
                self._config(after)
            case Chunk():
                self._chunk(after)
            case ScheduleItem() | Tick() | UniqueLock() | RequestMark() | Void() | Receipt():
                pass
            case (
                Pointer()
                | Notice()
                | MinuteReport()
                | Registration()
                | Deployment()
                | Heartbeat()
                | ErrorMarks()
                | GroupItem()
            ):
                pass
            case _:
                assert_never(after)

    def _deleted(self, before: Record | None) -> None:
        if isinstance(before, WorkItem):
            self.fail("WP-3", f"work {before.id} was deleted")
        if isinstance(before, LedgerPage):
            self.fail("WP-43", f"page {before.token} was deleted")

    def _config(self, config: Config) -> None:
        self.rates.config(config)
        pool = self._pools[config.pool]
        if pool.config is None:
            pool.allowed.clear()  # no pass can have gone by the default: no work item was there yet
        if pool.config is None or pool.config.limit != config.limit:
            pool.changed_at = (
                self._now()
            )  # there is no answer yet, but no slot of the new limit was free before
        pool.config = config
        pool.allowed.add(config.limit)
        pool.most_allowed = max(pool.most_allowed, config.limit)

    def _chunk(self, chunk: Chunk) -> None:
        work = self.works.get(chunk.work_id)
        kept = work is None or work.state is not State.FINISHED or work.callback in _KEPT
        if chunk.expires_at is not None and kept:
            self.fail(
                "WP-10", f"a chunk of {chunk.work_id} carries a time to live before its work does"
            )

    def config_answered(self, pool: str) -> None:
        """`configure` returned: from now on only the limit in force counts [WP-13]."""
        known = self._pools[pool]
        known.allowed = {_PARALLELISM_DEFAULT if known.config is None else known.config.limit}
        known.changed_at = self._now()

    def enqueue_asked(self, pool: str) -> Callable[[Sequence[WorkId]], None]:
        """A caller begins to enqueue, or to redrive. Call the result with the acknowledged work items.

        If no `cancel_all` is under way, or called before the acknowledgement, the work items are to
        run [WP-3].
        """
        call_offs = self._pools[pool].call_offs
        asked = len(call_offs)
        over = all(each.answered for each in call_offs)
        known = frozenset(self.works)

        def acknowledged(ids: Sequence[WorkId]) -> None:
            self.acknowledged += ids
            if over and len(call_offs) == asked:
                self._spared.update(
                    set(ids) - known
                )  # a second redrive is answered with the work of the first one

        return acknowledged

    def cancel_all_asked(self, pool: str) -> Callable[[], None]:
        """A caller calls `cancel_all`. Call the result when it is answered [WP-13]."""
        known = self._pools[pool]
        this = _CallOff(
            frozenset(each for each in self.acknowledged if self.works[each].pool == pool)
        )
        known.call_offs.append(this)

        def answered() -> None:
            committed = () if known.ledger is None else known.ledger.entries
            in_flight = {key.work_id for key in committed}
            this.free_to_end = frozenset(
                each
                for each in this.before
                if each in in_flight
                or self.works[each].state is not State.PENDING
                or self._has_expired(each)
            )
            this.answered = True
            this.known_by = EpochMs(self._now() + limits.CONFIG_QUIET_EVERY_MS + limits.POLL_MAX_MS)

        return answered

    def _has_expired(self, work_id: WorkId) -> bool:
        expiry = self.works[work_id].start_before
        return expiry is not None and self._now() >= expiry

    def judge_call_offs(self) -> None:
        """In the end: what was called off is canceled, and what came later is not."""
        for pool in self._pools.values():
            for call in pool.call_offs:
                for work_id in sorted(call.before - call.free_to_end if call.answered else ()):
                    self._was_called_off(self.works[work_id], call)
        for work_id in sorted(self._spared - self._cancel_asked):
            work = self.works[work_id]
            later = any(work_id in call.before for call in self._pools[work.pool].call_offs)
            if work.outcome is Outcome.CANCELED and not later:
                self.fail(
                    "WP-3", f"{work_id} was enqueued after all of cancel_all, and canceled with it"
                )

    def _was_called_off(self, work: WorkItem, call: _CallOff) -> None:
        expired_at = work.finished_at if work.error_type == "expired" else None
        has_expired = expired_at is not None and expired_at <= call.known_by
        if work.outcome is not Outcome.CANCELED and not has_expired:
            self.fail("WP-13", f"{work.id} was called off, and ended as {work.outcome}")

    def redrive_asked(self, work_id: WorkId) -> None:
        """A caller calls `redrive`. A dead callback of this work item may be owed again."""
        self._redrive_asked.add(work_id)
        self._redrives_unanswered[work_id] += 1

    def redrive_answered(self, work_id: WorkId) -> None:
        """`redrive` returned: what it owes, it has said in time."""
        self._redrives_unanswered[work_id] -= 1

    def cancel_asked(self, work_id: WorkId) -> None:
        """A caller calls `cancel`."""
        self._cancel_asked.add(work_id)

    def is_excused(self, work_id: WorkId) -> bool:
        """True if its callback may be owed until the hourly audit.

        The call that ended it, or made the callback owed again, had no answer.
        """
        bulk_canceled = any(
            work_id in call.before for pool in self._pools.values() for call in pool.call_offs
        )
        asked = bulk_canceled or work_id in self._cancel_asked
        canceled = asked and work_id in self._canceled_unstarted and work_id not in self._canceled
        return canceled or self._redrives_unanswered[work_id] > 0

    def cancel_answered(self, work_id: WorkId, answer: CancelAnswer) -> None:
        """A caller got the answer to its cancel [WP-7]."""
        work = self.works[work_id]
        if answer is CancelAnswer.CANCELED:
            self._canceled.add(work_id)
            if work.outcome is not Outcome.CANCELED:
                self.fail(
                    "WP-7", f"{work_id} was said to be canceled, and is {work.state} {work.outcome}"
                )
        elif answer is CancelAnswer.REQUESTED:
            self._asked[work_id] = work.starts
        elif answer is CancelAnswer.UNKNOWN and not self._is_past(work):
            self.fail("WP-3", f"{work_id} was said to be unknown, and is {work.state}")

    def _is_past(self, work: WorkItem) -> bool:
        """True if its retention may be over, by clocks that differ."""
        return work.expires_at is not None and self._now() > work.expires_at * 1000 - _SKEW_MS

    def begins(
        self,
        assignment: Assignment,
        target: str,
        timeout_ms: int,
        still_until: Callable[[], EpochMs] = lambda: EpochMs(0),
    ) -> Execution:
        """User code begins to run, in an invocation that has so long at most.

        `still_until`: as of an `Execution`.
        """
        decorated = target.rpartition(":")[2] in self._decorated
        killed_at = EpochMs(self._now() + timeout_ms)
        this = Execution(
            assignment,
            claimed=self.works[assignment.work_id].spec.claimed and decorated,
            decorated=decorated,
            killed_at=killed_at,
            still_until=still_until,
        )
        work = self.works[assignment.work_id]
        attempts = 1 if assignment.retry is None else assignment.retry.max_attempts
        if assignment.attempts_made + 1 > attempts:
            self.fail(
                "WP-5", f"{this.key} runs as attempt {assignment.attempts_made + 1} of {attempts}"
            )
        if this.claimed:
            self._claimed_begins(this, work)
        over_at = work.start_before
        # Its start was made in time, but its process may have stood still before its code began.
        late = over_at is not None and max(over_at, still_until()) + _SKEW_MS < self._now()
        if decorated and over_at is not None and late:
            self.fail("WP-25", f"{this.key} runs {self._now() - over_at} ms after it expired")
        if decorated and assignment.is_exclusive:
            self._taken_begins(this, work)
        if MARK in (assignment.nonce or ""):
            self.fail("WP-28", f"{this.key} runs for an event that somebody forged")
        if self._once and any(each.key == this.key for each in self._of_work[work.id]):
            self.fail("WP-4", f"{this.key} runs twice, although no event was doubled")
        if decorated and this.key in self._recovered:
            self.fail("WP-14", f"{this.key} begins to run after it was recovered")
        self._check_run(this)
        self._check_limit(this)
        self.executions.append(this)
        self._of_work[work.id].append(this)
        self._alive.append(this)
        return this

    def told(self, work_id: WorkId, kind: str) -> None:
        """An `on_complete` target received the callback of a work item."""
        work = self.works[work_id]
        self.groups.told(work)
        if (
            work.state is not State.FINISHED
            or work.outcome != kind
            or work.outcome not in work.spec.callback_outcomes
        ):
            self.fail(
                "WP-8",
                f"{work_id} was told to be {kind}, is {work.state} {work.outcome}, and wants {work.spec.callback_outcomes}",
            )

    def heard(self, work_id: WorkId) -> None:
        """A decorated `on_complete` handler ran to its end."""
        self.handled.add(work_id)

    def ends(self, execution: Execution, *, by_itself: bool) -> None:
        """User code is over.

        Who was killed after its claim cannot say so: its slot is freed when the claim's time is
        over for certain.
        """
        execution.over = True
        waits = execution.claimed and not by_itself
        over_at = EpochMs(self._now() + (_MARGIN_MS if waits else 0))
        self._pools[execution.assignment.pool].slots.ends(execution.key, over_at, self._now())

    def _check_run(self, this: Execution) -> None:
        """Of the starts that share a slot, one runs at a time [WP-30]."""
        runs = self._pools[this.assignment.pool].runs
        beside = [
            each.key
            for each in self._live()
            if each.key != this.key and runs.get(each.key) == runs.get(this.key, this.key)
        ]
        if beside:
            self.fail("WP-30", f"{this.key} runs beside {beside} of its own run")

    def _check_limit(self, this: Execution) -> None:
        pool = self._pools[this.assignment.pool]
        counted = [
            each
            for each in self._live()
            if each.assignment.pool == this.assignment.pool
            and (each.claimed or self._in_time)
            and not self._outlived(each)
        ]
        if (this.claimed or self._in_time) and len(counted) + 1 > pool.most_allowed:
            beside = [each.key for each in counted]
            self.fail(
                "WP-1",
                f"{this.key} runs beside {beside}, where at most {pool.most_allowed} were ever allowed",
            )

    def _claimed_begins(self, this: Execution, work: WorkItem) -> None:
        earlier = [each for each in self._of_work[work.id] if each.claimed]
        if any(each.key not in self._snoozes for each in earlier):
            self.fail("WP-5", f"claimed {work.id} runs again, in start {this.key.start}")
        if work.state is not State.RUNNING or work.starts != this.key.start:
            self.fail(
                "WP-5",
                f"claimed {this.key} runs, while the work is {work.state} in start {work.starts}",
            )
        if work.id in self._canceled:
            self.fail("WP-7", f"{work.id} runs after its cancel was answered")

    def _taken_begins(self, this: Execution, work: WorkItem) -> None:
        if any(each.key == this.key for each in self._of_work[work.id]):
            self.fail("WP-29", f"{this.key} of a decorated function runs twice")
        if work.state is not State.RUNNING or work.starts != this.key.start or work.claim is None:
            self.fail(
                "WP-29", f"{this.key} runs, while {work.id} is {work.state} in start {work.starts}"
            )

    def _live(self) -> list[Execution]:
        now = self._now()
        self._alive = [each for each in self._alive if not each.over and each.killed_at > now]
        return self._alive

    def _outlived(self, each: Execution) -> bool:
        """True if a process that sends heartbeats stands still as a whole, or goes on this instant.

        No act of it can be seen meanwhile, and its lease may be over.
        """
        return each.assignment.heartbeat_ms is not None and each.still_until() >= self._now()

    def _work(self, before: WorkItem | None, after: WorkItem) -> None:
        self.works[after.id] = after
        self.guests.stored(after.id)
        failed = (
            after.state is State.FINISHED
            and after.outcome is Outcome.FAILED
            and after.redriven_as is None
        )
        if (after.dead is not None) is not (failed or after.callback is CallbackState.DEAD):
            self.fail(
                "WP-8",
                f"{after.id} is {after.outcome}, its callback {after.callback}, and among the dead letters: {after.dead}",
            )
        if after.expires_at is not None and (
            after.state is not State.FINISHED or after.callback in _KEPT
        ):
            self.fail(
                "WP-10",
                f"{after.id} is {after.state}, its callback {after.callback}, and carries a time to live",
            )
        attempts = 1 if after.spec.retry is None else after.spec.retry.max_attempts
        if after.attempts_made > attempts:
            self.fail("WP-5", f"{after.id} has spent {after.attempts_made} of {attempts} attempts")
        self._proven(after)
        if before is None:
            return
        if before.state is State.FINISHED:
            self._finished(before, after)
        self._expired(before, after)
        self._callback(before, after)
        if after.attempts_made < before.attempts_made or after.starts < before.starts:
            self.fail(
                "WP-4",
                f"{after.id} counts back: {before.attempts_made}, {before.starts} to {after.attempts_made}, {after.starts}",
            )
        if before.state is State.PENDING and after.state is State.RUNNING:
            self._started(before, after)
        elif after.starts != before.starts:
            self.fail(
                "WP-4",
                f"{after.id} went from start {before.starts} to {after.starts} without having been pending",
            )
        if before.state is State.RUNNING and after.state is not State.RUNNING:
            self._recorded(before, after)

    def _proven(self, after: WorkItem) -> None:
        if MARK in repr(
            (
                after.result,
                after.error,
                after.error_type,
                after.suspected_type,
                after.suspected_error,
                after.history,
            )
        ):
            self.fail(
                "WP-28",
                f"{after.id} has what somebody forged: {after.result} {after.error_type} {after.history}",
            )

    def _finished(self, before: WorkItem, after: WorkItem) -> None:
        marked = (
            before.outcome is Outcome.FAILED
            and before.redriven_as is None
            and after.redriven_as is not None
        )
        told = replace(
            before, callback=after.callback, expires_at=after.expires_at, dead=after.dead
        )
        if after != (replace(told, redriven_as=after.redriven_as, dead=None) if marked else told):
            self.fail("WP-6", f"finished {after.id} changed: {before} to {after}")

    def _callback(self, before: WorkItem, after: WorkItem) -> None:
        if before.state is State.PENDING and after.state is State.FINISHED:
            self._canceled_unstarted.add(after.id)
        again = (
            before.callback is CallbackState.DEAD
            and after.callback is CallbackState.PENDING
            and after.id in self._redrive_asked
        )
        if before.callback in _SETTLED and after.callback is not before.callback and not again:
            self.fail(
                "WP-8",
                f"the callback of {after.id} went from {before.callback} to {after.callback}",
            )
        wanted = after.state is State.FINISHED and after.outcome in after.spec.callback_outcomes
        if wanted is not (after.callback is not None):
            self.fail(
                "WP-8",
                f"{after.id} is {after.state} {after.outcome}, wants {after.spec.callback_outcomes}; its callback is {after.callback}",
            )

    def _started(self, before: WorkItem, after: WorkItem) -> None:
        if after.starts != before.starts + 1:
            self.fail("WP-4", f"{after.id} was started as {after.starts} after {before.starts}")
        ledger = self._pools[after.pool].ledger
        if ledger is None or EntryKey(after.id, after.starts) not in ledger.entries:
            self.fail(
                "WP-2", f"{after.id}/{after.starts} was started and stands in no committed ledger"
            )
        if after.id in self._canceled:
            self.fail("WP-7", f"{after.id} was started after its cancel was answered")
        if self._asked.get(after.id, after.starts) < after.starts:
            self.fail(
                "WP-7",
                f"{after.id}/{after.starts} was started after a cancel was requested in start {self._asked[after.id]}",
            )
        pool = self._pools[after.pool]
        free_at = max(pool.free_since(self._now()), self.rates.changed_at(after.pool))
        lag_ms = self._now() - max(before.due_at, free_at)
        key = EntryKey(after.id, after.starts)
        if len(pool.mates[pool.runs.get(key, key)]) > 1:
            lag_ms -= _RUN_PATIENCE_MS  # its turn comes when the ones before it are over
        if not self.rates.is_rated(after.pool):
            self.lags_ms.append(lag_ms)
        pool.slots.begins(key, self._now())

    def _recorded(self, before: WorkItem, after: WorkItem) -> None:
        key = EntryKey(before.id, before.starts)
        slots = self._pools[before.pool].slots
        if slots.over_at(key) is None:
            # Its user code never ran, or was not seen to end: a slot that stayed full would excuse
            # every wait after it.
            slots.ends(key, self._now(), self._now())
        if after.snoozes > before.snoozes:
            self._snoozed(before, after)
        recovered = after.error_type in {"no_report", "heartbeat_lost"} and (
            after.error or ""
        ).startswith(("no report arrived", "no heartbeat arrived"))
        if recovered:
            self._recovered.add(key)
        if (
            after.outcome is Outcome.SUCCESS
            and isinstance(after.result, Inline)
            and json.loads(after.result.text)["start"] != before.starts
        ):
            self.fail("WP-4", f"{key} succeeded with the result of another start: {after.result}")
        alive = [each for each in self._live() if each.key == key]
        if recovered:
            alive = [each for each in alive if not self._outlived(each)]
        if any(each.claimed for each in alive) or (
            recovered and any(each.decorated for each in alive)
        ):
            self.fail(
                "WP-14",
                f"{key} was recorded as {after.state} {after.outcome} {after.error_type} while its user code runs",
            )
        # Two clocks, of which each may be 2 s off, but one margin: the judge's own clock is right.
        earliest = (before.deadline or 0) + _MARGIN_MS - _SKEW_MS
        if recovered and self._now() <= earliest:
            self.fail("WP-14", f"{key} was recovered {earliest - self._now()} ms too early")

    def _expired(self, before: WorkItem, after: WorkItem) -> None:
        """A pending work item may end as expired, and only once its time is over [WP-25]."""
        if after.error_type != "expired" or before.state is State.FINISHED:
            return
        over_at = after.start_before
        if before.state is not State.PENDING or after.outcome is not Outcome.FAILED:
            self.fail("WP-25", f"{after.id} expired while it was {before.state}")
        if over_at is None or self._now() < over_at - _SKEW_MS:
            self.fail("WP-25", f"{after.id} expired before its time was over at {over_at}")

    def _snoozed(self, before: WorkItem, after: WorkItem) -> None:
        key = EntryKey(before.id, before.starts)
        self._snoozes.add(key)
        if after.attempts_made != before.attempts_made:
            self.fail("WP-5", f"{key} snoozed, and spent an attempt")
        if after.snoozes > _SNOOZES_MAX:
            self.fail("WP-5", f"{key} snoozed {after.snoozes} times in a row")

    def _page(self, before: Record | None, after: LedgerPage) -> None:
        if before is not None and before != after:
            self.fail("WP-43", f"page {after.token} was changed")
        self._pages[after.pool, after.token] = after

    def _whole(self, ledger: Ledger) -> Ledger:
        """The ledger with the slots of its pages, as each reader must find them [WP-43]."""
        entries = dict(ledger.entries)
        for page in ledger.pages:
            item = self._pages.get((ledger.pool, page.token))
            if item is None or len(item.entries) != page.count:
                self.fail("WP-43", f"page {page.token} is named, and is {item}")
                continue
            if item.expires_at * 1_000 < self._now() + _PAGE_LASTS_MS:
                self.fail("WP-43", f"page {page.token} is named, and expires at {item.expires_at}")
            for place, (key, entry) in enumerate(sorted(item.entries.items())):
                if page.gone >> place & 1:
                    continue
                if key in entries:
                    self.fail("WP-43", f"{key} has two slots")
                entries[key] = entry
        return replace(ledger, entries=entries)

    def _ledger(self, before: Ledger | None, after: Ledger) -> None:
        before = None if before is None else self._whole(before)
        after = self._whole(after)
        self.rates.ledger(before, after)
        pool = self._pools[after.pool]
        pool.ledger = after
        if pool.status is not None and after.generation > pool.status.generation:
            self.fail(
                "WP-2",
                f"generation {after.generation} wrote the ledger, and nobody had asked for it: {pool.status}",
            )
        if before is None:
            return
        if after.version != before.version + 1:
            self.fail("WP-2", f"the ledger went from version {before.version} to {after.version}")
        if after.generation < before.generation:
            self.fail(
                "WP-2",
                f"generation {after.generation} wrote the ledger of generation {before.generation}",
            )
        if after.generation == before.generation and after.holder != before.holder:
            self.fail("WP-2", f"generation {after.generation} has two holders")
        self._entries(pool, before, after)
        self.guests.ledger(before, after, self.works, is_rated=self.rates.is_rated(after.pool))

    def _entries(self, pool: _Pool, before: Ledger, after: Ledger) -> None:
        added = after.entries.keys() - before.entries.keys()
        off = {each for call in pool.call_offs if call.answered for each in call.before}
        for key in sorted(key for key in added if key.work_id in off):
            self.fail("WP-13", f"{key} was committed after cancel_all was answered")
        if added and after.committed_by == before.committed_by:
            self.fail("WP-2", f"{sorted(added)} entered the ledger without a commit")
        for key in added:
            pool.joins(key, after.entries[key].run or key)
        # What has left its run and starts alone has the name of the run, and a slot of its own.
        slots = {(pool.runs.get(key, key), each.run is None) for key, each in after.entries.items()}
        if added and len(slots) > max(pool.allowed):
            self.fail("WP-1", f"{len(slots)} slots where {sorted(pool.allowed)} are allowed")
        self._run_kinds(pool, added)
        for key in sorted(before.entries.keys() - after.entries.keys()):
            work = self.works.get(key.work_id)
            if work is not None and work.state is State.RUNNING and work.starts == key.start:
                self.fail("WP-1", f"the slot of {key} was freed while it runs")
            over_at = pool.slots.over_at(key)
            mates = pool.mates[pool.runs.get(key, key)] - {key}
            shared = any(each in pool.slots or each in after.entries for each in mates)
            if over_at is not None and not shared:
                self.lags_ms.append(self._now() - over_at)

    def _run_kinds(self, pool: _Pool, added: Collection[EntryKey]) -> None:
        """A run is of one target and job, and no longer than it may be."""
        for run in {pool.runs[key] for key in added}:
            mates = pool.mates[run]
            specs = [self.works[key.work_id].spec for key in mates if key.work_id in self.works]
            if len({(spec.target, spec.job) for spec in specs}) > 1 or len(mates) > _RUN_MAX:
                self.fail(
                    "WP-30", f"the run of {run} has {len(mates)} starts, of {len(specs)} works"
                )

    def _status(self, before: LoopStatus | None, after: LoopStatus) -> None:
        self._pools[after.pool].status = after
        if before is not None and after.generation < before.generation:
            self.fail(
                "WP-2",
                f"the status went from generation {before.generation} back to {after.generation}",
            )

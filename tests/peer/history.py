"""The history of a simulated run: applied writes with their writers, runs, answers to cancels.

The judge of the simulation keeps faults. A history keeps everything, so that tests can ask for
events and their numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple
from unittest.mock import patch

from tests.simulation.judge import Execution, Judge
from tests.simulation.scenario import Act, Mode, Scenario, Told, ordinary_scenario
from tests.simulation.world import Run, simulate
from workpool_aws.core import limits
from workpool_aws.core.work.end import CancelAnswer
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model.events import Event
from workpool_aws.model.ids import EpochMs, WorkId, time_of
from workpool_aws.model.loop import EntryKey, Ledger, LoopStatus, Notice
from workpool_aws.model.messages import Assignment
from workpool_aws.model.record import Record
from workpool_aws.model.work import Pointer, State, WorkItem

__all__ = ["SEEDS", "SKEW_MS", "Change", "History", "WorkChange", "history_of"]

SEEDS: Final = (*range(7_050, 7_069), 7_088)
"""Other ones than those of the sweep: in twenty every case of the properties occurs."""
SKEW_MS: Final = 2_000


class Change(NamedTuple):
    """An applied write. `writer`: the process, as the trace names it."""

    index: int
    at: EpochMs
    writer: str
    before: Record | None
    after: Record | None


class WorkChange(NamedTuple):
    """An applied write of a work item that was there before."""

    index: int
    at: EpochMs
    writer: str
    before: WorkItem
    after: WorkItem

    @property
    def key(self) -> EntryKey:
        """The start that it belongs to."""
        return EntryKey(self.after.id, self.after.starts)

    def moves(self, before: State, after: State) -> bool:
        return self.before.state is before and self.after.state is after


class RecordingJudge(Judge):
    """Judges, and remembers."""

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
        super().__init__(now, lines, writer, decorated=decorated, once=once, in_time=in_time)
        self.writes: list[tuple[EpochMs, str, Record | None, Record | None]] = []
        self.runs: list[tuple[EpochMs, int, EntryKey]] = []
        self.answers: list[tuple[int, WorkId, CancelAnswer]] = []
        self.tellings: list[tuple[int, WorkId]] = []

    def seen(self, before: Record | None, after: Record | None) -> None:
        super().seen(before, after)
        self.writes.append((self._now(), self._writer(), before, after))

    def begins(
        self,
        assignment: Assignment,
        target: str,
        timeout_ms: int,
        still_until: Callable[[], EpochMs] = lambda: EpochMs(0),
    ) -> Execution:
        self.runs.append(
            (self._now(), len(self.writes), EntryKey(assignment.work_id, assignment.start))
        )
        return super().begins(assignment, target, timeout_ms, still_until)

    def cancel_answered(self, work_id: WorkId, answer: CancelAnswer) -> None:
        super().cancel_answered(work_id, answer)
        self.answers.append((len(self.writes), work_id, answer))

    def told(self, work_id: WorkId, kind: str) -> None:
        super().told(work_id, kind)
        self.tellings.append((len(self.writes), work_id))


@dataclass(frozen=True)
class History:
    """One run. Indices count its applied writes."""

    run: Run
    judge: RecordingJudge
    changes: tuple[Change, ...]

    @property
    def facts(self) -> tuple[Event, ...]:
        return self.run.facts

    @cached_property
    def works(self) -> tuple[WorkChange, ...]:
        """The changes of work items, in order, without their enqueueing."""
        return tuple(
            WorkChange(*each)
            for each in self.changes
            if isinstance(each.before, WorkItem) and isinstance(each.after, WorkItem)
        )

    @cached_property
    def ledgers(self) -> tuple[tuple[Change, Ledger, Ledger], ...]:
        """The changes of ledgers: (change, before, after)."""
        return tuple(
            (each, each.before, each.after)
            for each in self.changes
            if isinstance(each.before, Ledger) and isinstance(each.after, Ledger)
        )

    @cached_property
    def statuses(self) -> tuple[tuple[Change, LoopStatus, LoopStatus], ...]:
        return tuple(
            (each, each.before, each.after)
            for each in self.changes
            if isinstance(each.before, LoopStatus) and isinstance(each.after, LoopStatus)
        )

    @cached_property
    def dones(self) -> tuple[tuple[Change, Notice], ...]:
        """The done records that were put."""
        return tuple((each, each.after) for each in self.changes if isinstance(each.after, Notice))

    @property
    def starts(self) -> Iterator[WorkChange]:
        return (each for each in self.works if each.moves(State.PENDING, State.RUNNING))

    @property
    def ends(self) -> Iterator[WorkChange]:
        return (
            each
            for each in self.works
            if each.before.state is not State.FINISHED and each.after.state is State.FINISHED
        )

    @property
    def retries(self) -> Iterator[WorkChange]:
        """A failed attempt, another one to follow."""
        return (
            each
            for each in self.works
            if each.moves(State.RUNNING, State.PENDING)
            and each.after.attempts_made == each.before.attempts_made + 1
        )

    def of(self, work_id: str, *, after: int = -1) -> list[WorkChange]:
        """Return the changes of a work item after a write."""
        return [each for each in self.works if each.after.id == work_id and each.index > after]

    def final(self, work_id: str) -> WorkItem:
        return self.judge.works[WorkId(work_id)]

    def ledger_before(self, index: int, pool: str) -> Ledger | None:
        """As it stood when that write was applied."""
        earlier = (each.after for each in reversed(self.changes[:index]))
        return next(
            (record for record in earlier if isinstance(record, Ledger) and record.pool == pool),
            None,
        )

    def left_ledger(self, key: EntryKey) -> list[int]:
        """When this entry was removed."""
        return [
            change.index
            for change, before, after in self.ledgers
            if key in before.entries and key not in after.entries
        ]

    @cached_property
    def pointers_left(self) -> set[str]:
        """Return keys of pointers that remain, but for those that the audit could not have seen.

        It comes once in a run, at the first whole hour. A pool that rests for hours before it recovers
        a start writes pointers after it, and the next audit removes what is left of them.
        """
        audited = (self.run.began // limits.WATCHDOG_DEEP_MS + 1) * limits.WATCHDOG_DEEP_MS
        left: dict[str, WorkId] = {}
        for each in self.changes:
            if isinstance(each.after, Pointer):
                left[each.after.at] = each.after.work_id
            elif isinstance(each.before, Pointer):
                left.pop(each.before.at, None)
        return {
            at
            for at, work_id in left.items()
            if time_of(at) < audited
            and (self.final(work_id).finished_at or 0) < time_of(at) + limits.WATCHDOG_DEEP_MS
        }

    def __str__(self) -> str:
        return self.run.report(whole=True)


def scenario_for(seed: int) -> Scenario:
    """The sweep's scenario of a seed; of every fourth one with its messages doubled, of every fourth one with many cancels and losses."""
    scenario, chance = ordinary_scenario(seed), random.Random(seed)
    match seed % 4:
        case 2:
            rates = dict.fromkeys((Fault.RECORD_TWICE, Fault.RECORD_LATE, Fault.EVENT_TWICE), 0.5)
            modes = (Mode.PLAIN_RETRIED, Mode.RETRIED)
            submissions = [
                replace(each, at_ms=0, mode=chance.choice(modes), backoff_ms=250)
                for each in scenario.submissions
            ]
            pools = tuple(replace(each, limit=4) for each in scenario.pools)
            return replace(
                scenario,
                pools=pools,
                submissions=tuple(submissions),
                rates=rates,
                aim="",
                budget=12,
                changes=(),
            )
        case 3:
            rates = {Fault.EVENT_LOST: 0.7, Fault.RECORD_LOST: 0.1, Fault.CRASH_BEFORE: 0.02}
            modes = (Mode.RETRIED, Mode.RETRIED, Mode.PLAIN)
            submissions = [
                replace(
                    each,
                    mode=chance.choice(modes),
                    told=chance.choice(list(Told)),
                    backoff_ms=9_000,
                )
                for each in scenario.submissions
            ]
            cancels = tuple(
                Act(chance.randrange(2_000, 20_000), chance.randrange(8))
                for _ in range(4 if seed % 8 == 3 else 0)
            )
            return replace(
                scenario,
                submissions=tuple(submissions),
                cancels=cancels,
                call_offs=(),
                rates=rates,
                aim="",
                budget=10,
            )
        case _:
            return scenario


def history_of(seed: int) -> History:
    # Peers have no runs: each start of theirs has a notice and a slot of its own.
    with patch.object(limits, "RUN_SHORT_MS", 0):
        run = simulate(scenario_for(seed), judging=RecordingJudge)
    judge = run.judge
    assert isinstance(judge, RecordingJudge)
    changes = tuple(Change(index, *write) for index, write in enumerate(judge.writes))
    return History(run, judge, changes)

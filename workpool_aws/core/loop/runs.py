"""Decides which work items share an invocation as a run, by what the holder has seen of their jobs.

A run saves the turn-over of a slot between short work items. Its starts are made one after the other,
so they take one slot.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey, NoticeKind
from workpool_aws.model.payload import Inline
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.core.loop.choose import Choice, Found
    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.core.loop.settle import Settled
    from workpool_aws.model.loop import Entry
    from workpool_aws.model.work import WorkItem

__all__ = [
    "JobPace",
    "SentRun",
    "fill_runs",
    "learned",
    "longest_run_ms",
    "may_share",
    "patience_over_at",
    "rows_of",
    "rows_wanted",
    "run_ms",
    "runs_after",
    "runs_ending",
    "share_of_slots",
    "spare_starts",
    "starts_left",
    "starts_of_run",
    "turnover_ms",
]

_NEWEST_SHARE: Final = 8
"""Weight of a new end against the mean of the ones before."""
_BETWEEN_MS: Final = 10
"""Time that an invocation spends between two starts of its run, about."""
_LOST_PROCESS: Final = frozenset({"timeout", "crashed", "no_report", "heartbeat_lost"})


@dataclass(frozen=True, slots=True)
class JobPace:
    """Pace of one job, as a holder has seen it."""

    mean_ms: float = 0.0
    """Mean time of its user code, the latest ends weighted most."""
    spread_ms: float = 0.0
    """Mean distance of an end from that mean."""
    ends: int = 0
    is_known: bool = False
    """True once as many of its ends were seen as slots were taken: the first ends of many starts are
    those of the shortest."""
    quiet_until: EpochMs = EpochMs(0)
    """Time until which no run of it is made."""

    @property
    def about_ms(self) -> float:
        """Time that most of its ends take at most."""
        return self.mean_ms + self.spread_ms

    def after_end(self, ran_ms: int) -> JobPace:
        """Returns the pace after an end whose user code took so long."""
        ends = self.ends + 1
        weight = 1 / min(ends, _NEWEST_SHARE)
        mean_ms = self.mean_ms + (ran_ms - self.mean_ms) * weight
        spread_ms = self.spread_ms + (abs(ran_ms - mean_ms) - self.spread_ms) * weight
        return replace(self, mean_ms=mean_ms, spread_ms=spread_ms, ends=ends)

    def beside(self, slots: int) -> JobPace:
        """Returns the pace after a pass that leaves so many slots taken."""
        if self.is_known or self.ends < max(slots, limits.RUN_LEARNED):
            return self
        return replace(self, is_known=True)


@dataclass(frozen=True, slots=True)
class SentRun:
    """A run that this holder has committed, as it was then."""

    at: EpochMs
    starts: int
    each_ms: float
    """Time from one of its starts to the next, as its job's pace was."""

    def left(self, now: EpochMs) -> int:
        """Returns the number of starts that it has not ended by now, about; at least 1.

        Its ends are noticed up to `RUN_NOTICE_MS` late, several together.
        """
        return max(1, self.starts - int((now - self.at) / self.each_ms))

    def ends_soon(self, now: EpochMs) -> bool:
        """True if its last start ends about now: within a quarter of its time at most."""
        takes_ms = self.starts * self.each_ms
        return abs(self.at + takes_ms - now) <= min(limits.RUN_ENDS_SOON_MS, takes_ms / 4)


def learned(
    paces: Mapping[str, JobPace], settled: Settled, entries: Mapping[EntryKey, Entry], now: EpochMs
) -> Mapping[str, JobPace]:
    """Returns the paces of jobs after these notices. `entries`: those of before them.

    Only workers that take runs say how long their code took. A start of a run that comes back shows that
    its function does not take them, or that its work items are not short.
    """
    found = dict(paces)
    for notice in settled.records:
        if notice.job is None:
            continue
        entry = entries.get(EntryKey(notice.work_id, notice.start))
        if notice.kind is NoticeKind.FINISHED and notice.ran_ms is not None:
            found[notice.job] = found.get(notice.job, JobPace()).after_end(notice.ran_ms)
        elif notice.kind is NoticeKind.PUT_BACK and entry is not None and entry.run is not None:
            quiet_until = EpochMs(now + limits.RUN_QUIET_MS)
            found[notice.job] = replace(found.get(notice.job, JobPace()), quiet_until=quiet_until)
    found = {job: pace.beside(settled.slots) for job, pace in found.items()}
    if found == paces:
        return paces
    return found if len(found) <= limits.TARGETS_KEPT_MAX else {}


def run_ms(timeout_ms: int) -> int:
    """Returns the time that a run of a function with this timeout is to take.

    Each start of it keeps most of the timeout, as it would have alone.
    """
    return min(limits.RUN_MS, timeout_ms // limits.RUN_TIMEOUT_SHARE)


def longest_run_ms(timeout_ms: int) -> int:
    """Returns the time after which an invocation begins no further start of its run."""
    return int(run_ms(timeout_ms) * limits.RUN_OVERTIME)


def starts_of_run(pace: JobPace | None, timeout_ms: int, now: EpochMs) -> int:
    """Returns the number of starts that a run of this job has at most; 1 means no run.

    `pace`: `None` means that none of its ends was seen.
    """
    if pace is None or not pace.is_known or now < pace.quiet_until:
        return 1
    if pace.about_ms >= limits.RUN_SHORT_MS:
        return 1
    fitting = int(run_ms(timeout_ms) / (pace.about_ms + _BETWEEN_MS))
    return max(1, min(limits.RUN_STARTS_MAX, fitting))


def rows_wanted(memory: Memory, slots: int, now: EpochMs, *, limit: int, in_flight: int) -> int:
    """Returns the number of due work items that runs can use in a pass with so many free slots.

    `limit`: slots of the pool. `in_flight`: starts whose ends are still to come, about. A pass reads as
    many as fill all of its slots, within `RUN_FILLING_ROWS`, so that `share_of_slots` knows the end of a
    backlog. The next passes start the others.
    """
    taken = rows_of(memory, slots, now)
    if taken == slots:
        return slots
    filling = limit * taken // slots - in_flight
    return max(taken, min(filling, limits.RUN_FILLING_ROWS // len(memory.marks)))


def rows_of(memory: Memory, slots: int, now: EpochMs) -> int:
    """Returns the most due work items that so many slots take."""
    endless = limits.RUN_MS * limits.RUN_TIMEOUT_SHARE
    most = max((starts_of_run(pace, endless, now) for pace in memory.paces.values()), default=1)
    return max(slots, min(slots * most, limits.RUN_ROWS_MAX))


def spare_starts(wanted: int, entries: int, slots: int) -> int:
    """Returns the number of due work items that may share the slots of others in this pass.

    `wanted`: as `rows_wanted` returned it. One that was read stays unchosen wherever there are more,
    since the cursor stops before it [WP-3].
    """
    return max(0, min(wanted - slots, limits.LEDGER_STARTS_MAX - entries - slots))


def turnover_ms(memory: Memory, *, free: int, now: EpochMs) -> int | None:
    """Returns the interval of polls while slots are free again soon; `None` means that they are not.

    Runs are in flight, or short starts have taken all slots. Entries do not name their jobs, so one job
    that is not short speaks against it. While runs that this holder has sent take all slots, it knows
    about when they end.
    """
    runs = _in_runs(memory.entries)
    if runs:
        alone = len(memory.entries) - sum(runs.values())
        if free > 0 or alone or not runs.keys() <= memory.runs.keys():
            return limits.PASS_EAGER_MS
        if not runs_ending(memory, memory.entries, now):
            return limits.POLL_SATURATED_MS
        # Of many, one ends at almost any time.
        return limits.RUN_END_POLL_MS if len(runs) <= limits.RUN_ENDS_FEW else limits.PASS_EAGER_MS
    paces = memory.paces.values()
    short = all(pace.is_known and pace.about_ms < limits.RUN_SHORT_MS for pace in paces)
    return limits.PASS_EAGER_MS if paces and short and free <= 0 else None


def runs_after(memory: Memory, choice: Choice, now: EpochMs) -> Mapping[EntryKey, SentRun]:
    """Returns the runs that the holder knows after a pass, by their first start."""
    starts: dict[EntryKey, int] = {}
    for first in choice.runs.values():
        starts[first] = starts.get(first, 0) + 1
    still = _in_runs(memory.entries) if memory.runs else {}
    found = {key: sent for key, sent in memory.runs.items() if key in still}
    for one in choice.chosen:
        if one.start in starts:
            pace = memory.paces.get(one.work.spec.label, JobPace())
            found[one.start] = SentRun(now, starts[one.start], pace.mean_ms + _BETWEEN_MS)
    return found


def _in_runs(entries: Mapping[EntryKey, Entry]) -> Mapping[EntryKey, int]:
    """Returns the number of entries of each run, by its first start."""
    return Counter(entry.run for entry in entries.values() if entry.run is not None)


def runs_ending(memory: Memory, entries: Mapping[EntryKey, Entry], now: EpochMs) -> int:
    """Returns the number of runs among these starts that end about now."""
    return sum(key in memory.runs and memory.runs[key].ends_soon(now) for key in _in_runs(entries))


def starts_left(memory: Memory, entries: Mapping[EntryKey, Entry], now: EpochMs) -> int:
    """Returns the number of these starts whose ends are still to come, about.

    Those of a run that an earlier holder has sent all count. More may seem left of a run than have
    entries: a notice came early, or the clock stepped back.
    """
    in_runs = _in_runs(entries) if memory.runs else {}
    known = {key: memory.runs[key].left(now) for key in in_runs.keys() & memory.runs.keys()}
    ended = sum(max(0, in_runs[key] - left) for key, left in known.items())
    return len(entries) - ended


def share_of_slots(slots: int, due: int, in_flight: int, *, limit: int, more: bool) -> int:
    """Returns the most starts that so many free slots take of so many due work items.

    The last ones of a backlog are shared so that all slots of the pool end at one time, with what is in
    flight in the others. `more`: true if further ones wait, which sets no bound.
    """
    return slots * limits.RUN_STARTS_MAX if more else -(-slots * (due + in_flight) // limit)


def may_share(work: WorkItem) -> bool:
    """True if a work item may be in a run, as far as it alone decides.

    Its arguments must be in its own item. One whose last attempt ended with its process runs alone,
    and so does one that may end its process by a timeout or a heartbeat that fails.
    """
    last = work.history[-1].error_type if work.history else None
    is_bounded = work.spec.timeout_ms is not None or work.spec.heartbeat_ms is not None
    return isinstance(work.spec.args, Inline) and last not in _LOST_PROCESS and not is_bounded


def fill_runs(
    chosen: Sequence[Found],
    left: Sequence[Found],
    *,
    most_of: Callable[[WorkItem], int],
    spare: int,
) -> list[list[Found]]:
    """Returns the runs that begin with chosen work items, filled up evenly from those that are left.

    `left` in order of due time. `most_of`: the most starts of a run with this work item; 1 means that it
    is alone. `spare`: number of work items that may be added in all. A run of one is none.
    """
    runs = [[found] for found in chosen]
    unfilled: dict[tuple[str, str | None], deque[list[Found]]] = {}
    for run in runs if spare > 0 else ():
        if most_of(run[0].work) > 1:
            unfilled.setdefault(_kind(run[0].work), deque()).append(run)
    for found in left:
        waiting = unfilled.get(_kind(found.work))
        if waiting and spare > 0 and (most := most_of(found.work)) > 1:
            run, spare = waiting.popleft(), spare - 1
            run.append(found)
            waiting.extend([run] if len(run) < most else ())
    return [run for run in runs if len(run) > 1]


def patience_over_at(now: EpochMs) -> EpochMs:
    """Returns the deadline of an entry for a start that its run has not reached.

    The margin of recovery comes on top. Nothing depends on it: what the loop takes back, it first
    starts in place of the worker.
    """
    return EpochMs(now + limits.RUN_PATIENCE_MS - limits.RECOVERY_MARGIN_MS)


def _kind(work: WorkItem) -> tuple[str, str | None]:
    return work.spec.target, work.spec.job

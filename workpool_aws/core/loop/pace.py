"""Decides when the next pass begins, when the loop slows down, and when it rests.

A pass that changes the ledger writes all of it, so the ledger's cost per action depends on the
number of such passes. A small ledger is committed as often as the floor allows. A large one waits
until a commit is worth its size, but never so long that due work items with a free slot start late
[WP-20]. Under a heavy load many changes come together soon, and passes are as short as with a small
ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import next_at
from workpool_aws.core.loop.rest import decide_rest
from workpool_aws.model.ids import EpochMs
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.core.loop.memory import Memory

__all__ = [
    "Pace",
    "PassResult",
    "Pause",
    "after_failure",
    "commit_units",
    "decide_pause",
    "next_poll_ms",
    "pass_length_ms",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Memory of past passes, which decides when the next one begins."""

    active_at: EpochMs
    """Time at which a pass last freed or filled a slot, or the loop took the ledger."""
    changed_at: EpochMs
    """Time at which the last pass that wrote the ledger began."""
    promise_until: EpochMs = EpochMs(0)
    """Time until which workers were promised that the loop stays up."""
    poll_ms: int = limits.POLL_MIN_MS
    stalled: int = 0
    """Passes in a row that found something to do and achieved nothing."""
    failures: int = 0
    """Passes in a row that got no answer."""
    gap_ms: int = limits.POLL_MAX_MS
    """Time from one slot that was freed or filled to the next, the latest ones weighted most."""

    def after(self, done: PassResult, began: EpochMs) -> Pace:
        """Returns the pace after a pass that began then, before anything is known of the next."""
        promise_until = self.promise_until if done.promise_until is None else done.promise_until
        gap_ms = min(began - self.active_at, limits.POLL_MAX_MS) // max(1, done.changes)
        return Pace(
            active_at=began if done.progress else self.active_at,
            changed_at=began if done.changes else self.changed_at,
            promise_until=promise_until,
            poll_ms=limits.POLL_MIN_MS if done.busy else self.poll_ms,
            stalled=0 if done.progress else self.stalled + done.busy,
            failures=0,
            gap_ms=(3 * self.gap_ms + gap_ms) // 4 if done.progress else self.gap_ms,
        )

    def is_eager(self, done: PassResult, now: EpochMs) -> bool:
        """True if work items with a free slot, or the ends of runs, are to be expected at any time.

        Where more than one change comes in an eager interval, longer passes commit several at once.
        """
        since_ms = now - self.active_at
        # The event of a run may wait for hours at a throttled function.
        turns_over = done.turnover_ms is not None and since_ms <= limits.ACTIVE_FOR_MS
        is_brisk = limits.PASS_EAGER_MS <= self.gap_ms <= limits.BRISK_MS
        lately = since_ms <= 2 * limits.BRISK_MS
        return turns_over or (lately and is_brisk and done.free > 0)

    def least_ms(self, done: PassResult, units: int, began: EpochMs) -> int:
        """Returns the least length of a pass whose commit costs so many units, if it made one."""
        dear = 1 if done.turnover_ms is None else limits.RUN_EAGER_UNITS
        if units <= dear and self.is_eager(done, began):
            return done.eager_ms
        if not done.changes:
            return limits.PASS_FLOOR_MS
        return pass_length_ms(units, done.changes, since_ms=began - self.changed_at)

    def wait_ms(self, done: PassResult, callback_at: EpochMs | None, now: EpochMs) -> int:
        """Returns the time until the next poll, after a pass with nothing to do.

        The loop is awake in time for what is due, since a due time holds to a second.
        """
        due = None if done.free <= 0 else done.next_start
        poll_ms = done.eager_ms if self.is_eager(done, now) else self.poll_ms
        poll_ms = min(poll_ms, self._slowest_ms(done, now))
        first_ms = min((at - now for at in (callback_at, due) if at is not None), default=None)
        if first_ms is not None and first_ms < poll_ms + limits.PASS_FLOOR_MS:
            # The pass before it must lie a floor ahead, or it would put off the one at its time.
            ahead_ms = first_ms - limits.PASS_FLOOR_MS
            poll_ms = (
                ahead_ms if poll_ms < first_ms and ahead_ms >= limits.PASS_FLOOR_MS else first_ms
            )
        return max(1, poll_ms)

    def _slowest_ms(self, done: PassResult, now: EpochMs) -> int:
        if done.free <= 0:
            return limits.POLL_SATURATED_MS
        is_active = now - self.active_at <= limits.ACTIVE_FOR_MS
        return limits.POLL_ACTIVE_MAX_MS if is_active else limits.POLL_MAX_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """Result of a pass.

    `progress`: a slot was freed or filled, or a callback moved. `busy`: it found something to do,
    or to repeat.
    """

    free: int
    next_due: EpochMs | None
    progress: bool
    busy: bool
    config_version: int
    changes: int = 0
    """Slots freed and slots filled, if it wrote the ledger; at least 1 then, since it may have
    written something else."""
    promise_until: EpochMs | None = None
    """End of its promise to its workers; `None` means that it made none."""
    cut: bool = False
    """True if later rows were not all read: `next_due` may be of a work item that is over."""
    turnover_ms: int | None = None
    """Interval of polls while slots are free again soon (`core.loop.runs.turnover_ms`)."""
    token_at: EpochMs | None = None
    """Time of the next token of the rate limit, for which due work items wait. `None` means that
    none does."""

    @property
    def eager_ms(self) -> int:
        """The floor of passes, and the interval of polls, while something is to be expected."""
        return limits.PASS_EAGER_MS if self.turnover_ms is None else self.turnover_ms

    @property
    def next_start(self) -> EpochMs | None:
        """Time from which the next work item that does not start now may start."""
        return self.token_at or self.next_due


@dataclass(frozen=True, slots=True)
class Pause:
    """`wait_ms`: time until the next pass; `None` means nothing to do, so rest.

    `slowed`: it waits because many passes achieved nothing.
    """

    pace: Pace
    wait_ms: int | None
    slowed: bool = False


def decide_pause(
    pace: Pace, done: PassResult, memory: Memory, *, began: EpochMs, now: EpochMs
) -> Pause:
    """Returns the time to wait after a pass that began at `began`, and the pace from here on."""
    callback_at = next_at(memory.callbacks)
    units = commit_units(
        memory.ledger.head_slots, len(memory.callbacks), pages=len(memory.ledger.pages)
    )
    least_ms = pace.least_ms(done, units, began)
    pace = pace.after(done, began)
    if done.busy:
        slowed = pace.stalled >= limits.STALLED_PASSES
        wait_ms = limits.STALLED_SLEEP_MS if slowed else 0
        return Pause(pace, max(wait_ms, least_ms - (now - began), 1), slowed)
    lingers = now < max(pace.promise_until, pace.active_at + limits.LINGER_MS)
    rest = decide_rest(
        memory.entries,
        done.next_start,
        free=done.free,
        now=now,
        callback_at=callback_at,
        starved=done.token_at is not None,
    )
    if not lingers and rest is not None:
        return Pause(pace, None)
    wait_ms = pace.wait_ms(done, callback_at, now)
    return Pause(
        pace if pace.is_eager(done, now) else replace(pace, poll_ms=next_poll_ms(pace.poll_ms)),
        max(wait_ms, least_ms - (now - began), 1),
    )


def after_failure(pace: Pace) -> Pause:
    """Returns the pace after a pass that got no answer.

    A `wait_ms` of `None` means too many in a row: give up.
    """
    failures = pace.failures + 1
    wait_ms = None if failures >= limits.FAILED_PASSES_MAX else limits.POLL_MIN_MS << failures
    return Pause(replace(pace, failures=failures), wait_ms)


def next_poll_ms(poll_ms: int) -> int:
    """Returns the next interval between polls, which grows up to a second.

    Due work items must start within that.
    """
    return min(limits.POLL_MAX_MS, round(poll_ms * limits.POLL_GROWTH))


def commit_units(entries: int, owed: int, *, pages: int = 0) -> int:
    """Estimates the write units of a commit of a ledger's own item.

    It has so many entries and owed callbacks, and names so many pages.
    """
    size = (
        limits.LEDGER_BYTES_MIN
        + entries * limits.LEDGER_SLOT_BYTES
        + owed * limits.LEDGER_OWED_BYTES
        + pages * limits.LEDGER_PAGE_BYTES
    )
    return -(-size // 1024)


def pass_length_ms(units: int, changes: int, *, since_ms: int) -> int:
    """Returns the least time from the beginning of a pass that wrote the ledger to the next one.

    `changes` is the number of slots that the pass freed and filled, of those that came in the
    `since_ms` before it. At that rate the next commit carries so many actions (two changes each)
    that its size costs each of them `LEDGER_UNITS_AN_ACTION` above the one unit of any write.
    """
    # After a quiet time everything may have come at its end; a rate that is taken for too small is
    # mended a pass later.
    since_ms = min(max(since_ms, limits.PASS_FLOOR_MS), limits.PASS_LENGTH_MS_MAX)
    worth_ms = 2 * (units - 1) * since_ms / (limits.LEDGER_UNITS_AN_ACTION * changes)
    return max(limits.PASS_FLOOR_MS, min(limits.PASS_LENGTH_MS_MAX, round(worth_ms)))

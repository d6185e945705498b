"""Computes the occurrences of a schedule: cron expressions by cronsim, intervals by themselves.

An expression means what Debian's cron means. With a fixed minute and hour an occurrence in a gap of
the clock comes at the end of the gap, and one in a repeated hour comes once. With `*` in the minute
or hour the expression is an interval of real time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from workpool_aws.model.schedule import Timing

__all__ = [
    "ALIASES",
    "DueTimes",
    "count_until",
    "due_until",
    "first_after",
    "spelled",
    "words_of",
    "zone_of",
]

ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = 5
_STEP: Final = re.compile("/([0-9]+)")
_STEPS_MAX: Final = (60, 24, 31, 12, 7)
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "factory"})
"""Files among the time zones that mean another time on each machine, or none."""
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


@dataclass(frozen=True, slots=True)
class DueTimes:
    """The occurrences up to a time.

    `earlier`: the number of those before `times`. `following`: the one after them; `None` means
    that none follows. `complete`: no further one is due by that time.
    """

    earlier: int
    times: tuple[EpochMs, ...]
    following: EpochMs | None
    complete: bool


def spelled(cron: str) -> str:
    """Returns a cron expression in five fields, single spaces between them.

    Raises ValueError for anything else, and for one that is never due. A hostile one is refused
    within milliseconds.
    """
    text = ALIASES.get(cron.strip().lower(), cron)
    if len(cron) > limits.CRON_LENGTH_MAX:
        raise ValueError(f"at most {limits.CRON_LENGTH_MAX} characters expected")
    fields = text.split()
    if len(fields) != _FIELDS:
        raise ValueError("five fields expected: minute, hour, day of month, month, day of week")
    for field, most in zip(fields, _STEPS_MAX, strict=True):
        if any(int(step) > most for step in _STEP.findall(field)):
            raise ValueError(f"a step of at most {most} expected, not {field}")
    expression = " ".join(fields)
    try:
        next(_simulated(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise ValueError("it is never due") from None
    return expression


def zone_of(name: str) -> tzinfo:
    """Returns a time zone by its IANA name. Raises ValueError for an unknown one."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        zone = None if name.lower() in _NO_ZONES else ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        zone = None
    if zone is None:
        raise ValueError(f"no time zone {name[:60]!r}")
    return zone


@lru_cache(maxsize=64)
def words_of(timing: Timing) -> str:
    """Returns a timing in English words."""
    if timing.every_ms is not None:
        left, parts = timing.every_ms, list[str]()
        for unit, size in _UNITS:
            count, left = divmod(left, size)
            parts += [f"{count} {unit}"] if count else []
        return f"Every {' '.join(parts)}"
    words = CronSim(timing.cron or "", datetime(2026, 1, 1, tzinfo=UTC)).explain()
    return words if timing.timezone == "UTC" else f"{words} ({timing.timezone})"


def first_after(timing: Timing, after: EpochMs) -> EpochMs | None:
    """Returns the first occurrence after a time; `None` means that none follows."""
    return next(_occurrences(timing, after), None)


def due_until(timing: Timing, first: EpochMs, now: EpochMs) -> DueTimes:
    """Returns the occurrences from `first`, which is one, up to `now`, at most a step of them.

    Of an interval these are the last ones, and the others are counted. Of a cron expression they
    are the first ones.
    """
    times: list[EpochMs] = []
    earlier = 0
    if timing.every_ms is not None:
        earlier = max(0, count_until(timing, first, now) - limits.OCCURRENCES_A_STEP)
    if timing.every_ms is not None and earlier:
        steps = _steps(timing.every_ms, timing.anchor, first) + earlier - 1
        first = EpochMs(timing.anchor + steps * timing.every_ms)
    later = None
    for at in islice(_from(timing, first), limits.OCCURRENCES_A_STEP + 1):
        if at > now or len(times) == limits.OCCURRENCES_A_STEP:
            later = at
            break
        times.append(at)
    return DueTimes(earlier, tuple(times), later, complete=later is None or later > now)


def count_until(timing: Timing, first: EpochMs, until: EpochMs) -> int:
    """Returns the number of occurrences from `first`, which is one, up to a time.

    A cron expression costs some 30 ms for a thousand of them.
    """
    if first > until:
        return 0
    if timing.every_ms is None:
        return sum(1 for _ in takewhile(lambda at: at <= until, _from(timing, first)))
    end = until if timing.ends_at is None else min(until, timing.ends_at)
    passed = _steps(timing.every_ms, timing.anchor, first)
    return 1 + max(0, _steps(timing.every_ms, timing.anchor, end) - passed)


def _steps(every_ms: int, anchor: EpochMs, after: EpochMs) -> int:
    """Returns the number of the first interval that ends after a time."""
    return max(0, (after - anchor) // every_ms + 1)


def _from(timing: Timing, first: EpochMs) -> Iterator[EpochMs]:
    yield first
    yield from _occurrences(timing, first)


def _occurrences(timing: Timing, after: EpochMs) -> Iterator[EpochMs]:
    for at in _unending(timing, after):
        if timing.ends_at is not None and at > timing.ends_at:
            return
        yield at


def _unending(timing: Timing, after: EpochMs) -> Iterator[EpochMs]:
    if timing.every_ms is not None:
        steps = _steps(timing.every_ms, timing.anchor, after)
        while True:
            yield EpochMs(timing.anchor + steps * timing.every_ms)
            steps += 1
    since = max(after, timing.anchor - 1)
    began = datetime.fromtimestamp(since / 1000, zone_of(timing.timezone))
    for found in _simulated(timing.cron or "", began):
        yield EpochMs(round(found.timestamp() * 1000))


def _simulated(expression: str, after: datetime) -> Iterator[datetime]:
    """Yields the occurrences after a time. Raises ValueError for what is no expression."""
    try:
        yield from CronSim(expression, after)
    except OverflowError:
        return  # the calendar ends
    except (CronSimError, AssertionError) as error:
        raise ValueError(str(error) or "not a cron expression") from None

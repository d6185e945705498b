"""Simulates a year of schedules in four time zones, with crashes and edits across both clock changes [WP-18].

    python -m tests.simulation.year --days 365

The expected instants are counted out minute by minute from the zones' own data, apart from the
library that the product uses. The exit code is 1 if an occurrence was lost, doubled or moved.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from workpool_aws import Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import WorkId, time_of

__all__ = ["CHANGES", "Recurring", "expected", "main", "simulated"]

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_QUARTER: Final = 15
_MINUTES_A_DAY: Final = 24 * 60
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FAR: Final = timedelta(minutes=6)
"""Times are changed only where no occurrence is as near: those stay, or are counted as missed."""
CHANGES: Final = {
    "Europe/London": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Africa/Cairo": (date(2026, 4, 24), date(2026, 10, 30)),
}


@dataclass(frozen=True, slots=True)
class Recurring:
    """An expression in a zone, as hours and minutes. `hours` of `None` are all: an interval."""

    zone: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...] | None

    @property
    def cron(self) -> str:
        minutes = ",".join(map(str, self.minutes))
        return f"{minutes} {'*' if self.hours is None else ','.join(map(str, self.hours))} * * *"

    @property
    def name(self) -> str:
        kind = "hourly" if self.hours is None else f"at-{self.hours[0]}-{self.minutes[0]}"
        return f"{self.zone.rpartition('/')[2]}-{kind}"


def of_zone(zone: str) -> tuple[Recurring, ...]:
    """A fixed time in the hour that a change skips or repeats, one after it, and an interval."""
    midnight = zone == "Africa/Cairo"
    lost = 0 if midnight else 1 if zone == "Europe/London" else 2
    if zone == "America/New_York":
        repeated = Recurring(zone, (30,), (1,))
        return Recurring(zone, (30,), (2,)), repeated, Recurring(zone, (20,), None)
    first = Recurring(zone, (15,), (lost,))
    return first, Recurring(zone, (45,), (1 if lost != 1 else 3,)), Recurring(zone, (20,), None)


@cache
def _ahead(zone: str, quarter: int) -> int:
    """By how many minutes a zone's clock is ahead in this quarter of an hour since 1970.

    No clock of these zones changes within one.
    """
    at = datetime.fromtimestamp(quarter * _QUARTER * 60, UTC)
    ahead = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return ahead // _MINUTE


@cache
def expected(each: Recurring, since: datetime, until: datetime) -> Sequence[datetime]:
    """The instants of an expression after `since` and before `until`, by Debian's rule.

    An interval follows the clock on the wall. A fixed time comes once a day: when it is there for
    the first time, or when the clock has jumped over it.
    """
    found, times = [], set[int]()
    first = int(since.timestamp()) // 60
    before = first - 1 + _ahead(each.zone, (first - 1) // _QUARTER)
    for at in range(first, -(-int(until.timestamp()) // 60)):
        wall = at + _ahead(each.zone, at // _QUARTER)
        if each.hours is None:
            due = wall % 60 in each.minutes
        else:
            today = wall - wall % _MINUTES_A_DAY
            wanted = {today + 60 * hour + each.minutes[0] for hour in each.hours}
            due = any(before < time <= wall for time in wanted - times)
            times.update(time for time in wanted if before < time <= wall)
        if due and at * 60 > since.timestamp():
            found.append(datetime.fromtimestamp(at * 60, UTC))
        before = wall
    return found


def simulated(zones: Sequence[str], since: datetime, until: datetime, *, seed: int) -> list[str]:
    """Runs the schedules of some zones, and returns what differs from what is expected.

    Every third day, and ten minutes before and after each change of the clock, all schedules get
    other arguments. Their times are changed, and changed back, where no occurrence is near.
    """
    plans = [each for zone in zones for each in of_zone(zone)]
    due = {each: expected(each, since, until) for each in plans}
    with LocalCloud(seed=seed, crash_rate=0.02) as cloud:
        pool = cloud.workpool(status_ttl=timedelta(days=800))
        fn = cloud.function(lambda event, context: None)
        cloud.advance(since - cloud.now)
        _define(pool, plans, fn, version=0)
        for version, at in enumerate(_edits(zones, since, until), 1):
            cloud.advance(at - cloud.now)
            _define(pool, plans, fn, version=version)
            far = [each for each in plans if all(abs(one - at) > _FAR for one in due[each])]
            for each in far:
                pool.schedule(
                    None, each.name, fn, {"version": version}, cron="7 3 29 2 *", catch_up="all"
                )
            cloud.advance(_MINUTE)
            _define(pool, far, fn, version=version)
        cloud.advance(until - cloud.now)
        for each in plans:
            pool.pause_schedule(None, each.name)
        cloud.run_until_idle()
        seen = _seen(pool)
    return [
        f"{each.name}: {kind} {at:%Y-%m-%d %H:%M}Z"
        for each in plans
        for kind, times in _differences(due[each], seen.get(each.name, []))
        for at in times
    ]


def _edits(zones: Sequence[str], since: datetime, until: datetime) -> list[datetime]:
    moments = [since + 3 * _DAY * n + timedelta(hours=13) for n in range((until - since) // _DAY)]
    quarters = range(
        int(since.timestamp()) // 60 // _QUARTER, int(until.timestamp()) // 60 // _QUARTER
    )
    for zone in zones:
        for quarter in quarters:
            if _ahead(zone, quarter) != _ahead(zone, quarter + 1):
                at = datetime.fromtimestamp((quarter + 1) * _QUARTER * 60, UTC)
                moments += [at - 11 * _MINUTE, at + 10 * _MINUTE]
    return sorted(at for at in moments if since < at < until - _DAY / 24)


def _define(pool: Workpool, plans: Sequence[Recurring], fn: str, *, version: int) -> None:
    for each in plans:
        args = {"version": version}
        pool.schedule(None, each.name, fn, args, cron=each.cron, timezone=each.zone, catch_up="all")


def _seen(pool: Workpool) -> dict[str, list[datetime]]:
    """The due times of all occurrences, by schedule."""
    found: dict[str, list[datetime]] = {}
    for work_id in _ids(pool):
        name = pool.show(None, work_id).schedule
        assert name is not None
        due = datetime.fromtimestamp(time_of(WorkId(work_id)) / 1000, UTC)
        found.setdefault(name, []).append(due)
    return found


def _ids(pool: Workpool) -> Iterator[str]:
    after = None
    while True:
        page = pool.list(None, limit=1_000, after=after)
        yield from (each.work_id for each in page.items)
        after = page.next
        if after is None:
            return


def _differences(
    due: Sequence[datetime], seen: Sequence[datetime]
) -> tuple[tuple[str, list[datetime]], ...]:
    doubled = [at for at in sorted(set(seen)) if seen.count(at) > 1]
    return (
        ("lost", sorted(set(due) - set(seen))),
        ("unexpected", sorted(set(seen) - set(due))),
        ("doubled", doubled),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, and say what differs."""
    parser = argparse.ArgumentParser(prog="year", description="A year of schedules in four zones.")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=17)
    asked = parser.parse_args(argv)
    until = _BEGAN + asked.days * _DAY
    wrong = simulated(list(CHANGES), _BEGAN, until, seed=asked.seed)
    count = sum(len(expected(each, _BEGAN, until)) for zone in CHANGES for each in of_zone(zone))
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    sys.stdout.write(
        f"{asked.days} days: {count} occurrences expected, {len(wrong)} lost, doubled or moved\n"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

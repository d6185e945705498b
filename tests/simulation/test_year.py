"""Schedules across both clock changes of four zones, with crashes and edits, against instants counted out by hand."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.simulation.year import CHANGES, expected, of_zone, simulated

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize("number", range(4), ids=list(CHANGES))
def test_no_occurrence_is_lost_or_doubled_across_clock_change(number: int) -> None:
    """[WP-18] One change of each zone; `python -m tests.simulation.year` goes through all."""
    zone = list(CHANGES)[number]
    [at] = clock_changes(zone, datetime.combine(CHANGES[zone][number % 2], time(), UTC))

    assert simulated([zone], at - 3 * HOUR, at + 4 * HOUR, seed=number) == []


def clock_changes(zone: str, day: datetime) -> list[datetime]:
    hours = (day + n * HOUR / 2 for n in range(-48, 48))
    return [at for at in hours if offset(zone, at - HOUR / 2) != offset(zone, at)]


def offset(zone: str, at: datetime) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()


def test_expected_instants_follow_debians_rule() -> None:
    fixed, _, interval = of_zone("Europe/London")
    spring = datetime(2026, 3, 29, tzinfo=UTC)
    autumn = datetime(2026, 10, 25, tzinfo=UTC)

    assert expected(fixed, spring, spring + DAY / 2) == [spring.replace(hour=1)]
    assert expected(fixed, autumn - DAY / 24, autumn + DAY / 2) == [autumn + timedelta(minutes=15)]
    assert len(expected(interval, autumn, autumn + DAY)) == 24

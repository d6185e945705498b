"""Draws a week of readings as SVG, without scripts and styles: the page's stylesheet colours it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from openweather import HOUR, Reading
from readings import WEEK

LOCAL: Final = ZoneInfo("Europe/London")

WHO: Final = {"pm2_5": 15, "pm10": 45}
"""WHO global air quality guidelines (2021): means of 24 hours, in micrograms per cubic metre."""
NAMES: Final = {"pm2_5": "PM2.5", "pm10": "PM10"}
_LEAST_TOP: Final = 60
_STEPS: Final = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
_LINES_MAX: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a chart, and the form of the days below it."""

    name: str
    width: int
    height: int
    day: str


WIDE: Final = Size(name="wide", width=960, height=340, day="%a %-d %b")
NARROW: Final = Size(name="narrow", width=400, height=320, day="%a")
_LEFT: Final = 40
_RIGHT: Final = 12
_TOP: Final = 30
_BOTTOM: Final = 28


@dataclass(frozen=True, slots=True)
class _Scale:
    size: Size
    until: datetime
    top: float

    def x(self, at: datetime) -> float:
        share = (at - (self.until - WEEK)) / WEEK
        return round(_LEFT + share * (self.size.width - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        height = self.size.height - _TOP - _BOTTOM
        return round(_TOP + (1 - value / self.top) * height, 1)


def draw(readings: Sequence[Reading], *, until: datetime, since: datetime, size: Size) -> str:
    """Return the chart of the week up to `until`. Hours from `since` on without a value are gaps."""
    values = [value for each in readings for value in (each.pm2_5, each.pm10) if value is not None]
    step = _step(max([_LEAST_TOP, *values]))
    top = step * math.ceil(max([_LEAST_TOP, *values]) / step)
    scale = _Scale(size, until, top)
    missing = gaps(readings, since=max(since, until - WEEK + HOUR), until=until)
    label = (
        f"PM2.5 and PM10 of each hour, {len(readings)} hours measured, {len(missing)} missing. "
        "The table below has the numbers."
    )
    parts = [
        f'<svg class="chart {size.name}" viewBox="0 0 {size.width} {size.height}" role="img"',
        f' aria-label="{escape(label)}">',
        *_grid(scale, step),
        *_days(scale),
        *_gap_marks(scale, missing),
    ]
    for measure in ("pm10", "pm2_5"):
        parts += _series(scale, readings, measure)
    return "".join([*parts, *_guidelines(scale), "</svg>"])


def gaps(readings: Sequence[Reading], *, since: datetime, until: datetime) -> list[datetime]:
    """Return the hours of a span that have no reading, or an empty one."""
    measured = {each.hour for each in readings if (each.pm2_5, each.pm10) != (None, None)}
    first = since.replace(minute=0, second=0, microsecond=0)
    if first < since:
        first += HOUR
    count = max(0, (until - first) // HOUR + 1)
    return [hour for hour in (first + n * HOUR for n in range(count)) if hour not in measured]


def _step(highest: float) -> int:
    return next((each for each in _STEPS if highest / each <= _LINES_MAX), _STEPS[-1])


def _grid(scale: _Scale, step: int) -> Iterator[str]:
    right = scale.size.width - _RIGHT
    for value in range(0, int(scale.top) + 1, step):
        y = scale.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="axis" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value}</text>'
    yield '<text class="axis" x="0" y="12">µg/m³</text>'


def _days(scale: _Scale) -> Iterator[str]:
    """Mark each midnight of London, and name each day at its noon."""
    foot = scale.size.height - _BOTTOM
    first = (scale.until - WEEK).astimezone(LOCAL).date()
    for day in (first + timedelta(days=n) for n in range(9)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=LOCAL).astimezone(UTC)
        noon = midnight + timedelta(hours=12)
        if scale.until - WEEK <= midnight <= scale.until:
            x = scale.x(midnight)
            yield f'<line class="day" x1="{x}" x2="{x}" y1="{_TOP}" y2="{foot}"/>'
        if scale.until - WEEK + 5 * HOUR <= noon <= scale.until - 5 * HOUR:
            yield f'<text class="axis" x="{scale.x(noon)}" y="{foot + 18}" text-anchor="middle">'
            yield f"{noon.astimezone(LOCAL):{scale.size.day}}</text>"


def _gap_marks(scale: _Scale, missing: Sequence[datetime]) -> Iterator[str]:
    foot = scale.size.height - _BOTTOM
    for first, last in _runs(missing):
        left, right = scale.x(first - HOUR), scale.x(last)
        words = f"No data from {_clock(first - HOUR)} to {_clock(last)}"
        yield f'<rect class="gap" x="{left}" y="{_TOP}" width="{max(2, right - left):.1f}"'
        yield f' height="{foot - _TOP}"><title>{words}</title></rect>'


def _runs(hours: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the first and last hour of each run of hours that follow one another."""
    for _, numbered in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0] * HOUR):
        run = [hour for _, hour in numbered]
        yield run[0], run[-1]


def _guidelines(scale: _Scale) -> Iterator[str]:
    right = scale.size.width - _RIGHT
    for measure, value in WHO.items():
        y = scale.y(value)
        yield f'<line class="guideline {measure}" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="guideline-name {measure}" x="{right}" y="{y - 5}" text-anchor="end">'
        yield f"WHO {NAMES[measure]} {value}</text>"


def _series(scale: _Scale, readings: Sequence[Reading], measure: str) -> Iterator[str]:
    """Draw a line through hours that follow one another, and a dot for an hour alone."""
    found = {each.hour: value for each in readings if (value := getattr(each, measure)) is not None}
    for first, last in _runs(sorted(found)):
        hours = [first + n * HOUR for n in range((last - first) // HOUR + 1)]
        points = [(scale.x(hour), scale.y(found[hour])) for hour in hours]
        if len(points) == 1:
            [(x, y)] = points
            yield f'<circle class="dot {measure}" cx="{x}" cy="{y}" r="2"/>'
        else:
            path = " ".join(f"{x},{y}" for x, y in points)
            yield f'<polyline class="series {measure}" points="{path}"/>'


def _clock(at: datetime) -> str:
    return f"{at.astimezone(LOCAL):%a %H:%M}"

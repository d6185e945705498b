"""Writes the page's HTML. Every text that is not the page's own is escaped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from chart import LOCAL, NAMES, NARROW, WHO, WIDE, draw, gaps
from openweather import HOUR, Reading

from workpool_aws import ListedWork, Schedule, Stats

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_ERROR_LENGTH_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that the page shows."""

    place: str
    now: datetime
    readings: Sequence[Reading]
    schedule: Schedule | None
    """`None` means that the deployment's first tick has not declared it yet."""
    stats: Stats
    recent: Sequence[ListedWork]
    """Work items, the newest first."""
    buttons: bool
    refresh_s: int = 30


def render(view: View) -> str:
    """Return the page."""
    return "".join(
        (
            '<!doctype html><html lang="en-GB"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="refresh" content="{view.refresh_s}">',
            f"<title>Air in {escape(view.place)}</title>",
            '<link rel="stylesheet" href="/style.css"></head><body><main>',
            *_head(view),
            *_week(view),
            *_schedule(view),
            *_queue(view),
            *_numbers(view.readings),
            "<footer>Readings by OpenWeather. Guidelines by the WHO (2021), for means of 24 hours. ",
            f"Times are those of London. The page reads again every {view.refresh_s} seconds.",
            "</footer>",
            "</main></body></html>",
        )
    )


def _head(view: View) -> Iterator[str]:
    yield f"<header><h1>Air in {escape(view.place)}</h1>"
    yield "<p>Particulates in each hour of the last seven days, in µg/m³.</p></header>"
    if any(each.synthetic for each in view.readings):
        yield '<p class="note">These readings are synthetic. A stand-in on this machine made them '
        yield "up, and it misbehaves on purpose.</p>"


def _week(view: View) -> Iterator[str]:
    yield '<section class="week"><h2>The last seven days</h2><dl class="figures">'
    for measure, name in NAMES.items():
        values = [value for each in view.readings if (value := getattr(each, measure)) is not None]
        day = [
            value
            for each in view.readings
            if each.hour > view.now - timedelta(days=1)
            and (value := getattr(each, measure)) is not None
        ]
        mean = f"mean of 24 hours {sum(day) / len(day):.0f}" if day else "no mean yet"
        yield f'<div class="{measure}"><dt>{name}</dt>'
        yield f"<dd>{values[-1]:.1f}</dd>" if values else "<dd>–</dd>"
        yield f"<dd>{mean}, guideline {WHO[measure]}</dd></div>"
    yield "</dl>"
    if view.readings:
        first = view.readings[0].hour
        until = _due_until(view)
        yield "<figure>"
        for size in (WIDE, NARROW):
            yield draw(view.readings, until=until, since=first, size=size)
        missing = gaps(view.readings, since=first, until=until)
        yield '<figcaption><span class="key pm2_5">PM2.5</span> '
        yield '<span class="key pm10">PM10</span> '
        yield '<span class="key dashed">WHO guideline</span> '
        yield f'<span class="key gap">no data: {_hours(len(missing))}</span></figcaption></figure>'
    else:
        yield '<p class="empty">No hour has been fetched yet.</p>'
    yield "</section>"


def _due_until(view: View) -> datetime:
    """Return the last hour that could have been fetched by now, so that one under way is no gap."""
    latest = view.readings[-1].hour
    last_due = None if view.schedule is None else view.schedule.last_due
    finished = view.schedule is not None and view.schedule.last_outcome is not None
    if last_due is None or not finished:
        return latest
    return max(latest, last_due.replace(minute=0, second=0, microsecond=0))


def _schedule(view: View) -> Iterator[str]:
    yield '<section><h2>The schedule</h2><dl class="facts">'
    found = view.schedule
    if found is None:
        yield "<div><dt>Next run</dt><dd>The schedule is not there yet.</dd></div></dl></section>"
        return
    facts = [
        ("Next run", _next(found, view.now)),
        ("Times", found.words),
        ("Last run", _last(found)),
        ("Exactness", _exactness(found)),
        ("Left out", f"{found.missed} missed, {found.skipped} skipped"),
    ]
    for name, words in facts:
        yield f"<div><dt>{name}</dt><dd>{escape(words)}</dd></div>"
    yield "</dl>"
    if view.buttons:
        acts = [("run", "Run now")]
        acts.append(("resume", "Resume") if found.paused else ("pause", "Pause"))
        yield '<div class="acts">'
        for act, words in acts:
            yield f'<form method="post" action="/{act}"><button>{words}</button></form>'
        yield "</div>"
    yield "</section>"


def _next(schedule: Schedule, now: datetime) -> str:
    if schedule.paused:
        return "paused"
    if schedule.next_due is None:
        return "none follows"
    wait = schedule.next_due - now
    return f"{_clock(schedule.next_due)}, " + (
        "is due now" if wait <= timedelta(0) else f"in {_span(wait)}"
    )


def _last(schedule: Schedule) -> str:
    if schedule.last_due is None:
        return "none yet"
    return f"{_clock(schedule.last_due)}, {schedule.last_outcome or 'under way'}"


def _exactness(schedule: Schedule) -> str:
    if schedule.lateness_p50 is None or schedule.lateness_max is None:
        return "no start has been measured yet"
    return (
        f"the last ten started {_span(schedule.lateness_p50)} after their time (median), "
        f"{_span(schedule.lateness_max)} at most"
    )


def _queue(view: View) -> Iterator[str]:
    stats = view.stats
    yield '<section><h2>The queue</h2><dl class="figures small">'
    for name, count in (
        ("due", stats.pending),
        ("later", stats.scheduled),
        ("running", stats.running),
    ):
        yield f"<div><dt>{name}</dt><dd>{count}</dd></div>"
    yield "</dl>"
    if view.recent:
        yield '<div class="scroll"><table><thead><tr><th>Time</th><th>State</th>'
        yield "<th>Attempts</th><th>Last error</th></tr></thead><tbody>"
        for work in view.recent:
            state = work.outcome or work.state
            yield f'<tr class="{escape(state)}"><td>{_time(work)}</td><td>{escape(state)}</td>'
            yield f"<td>{work.previous_attempts + (work.state != 'pending')}</td>"
            yield f"<td>{escape((work.last_error or '')[:_ERROR_LENGTH_MAX])}</td></tr>"
        yield "</tbody></table></div>"
    yield "</section>"


def _time(work: ListedWork) -> str:
    """Return the time at which a pending one is due, and another one started last."""
    at = work.next_run_at or work.started_at or work.finished_at
    return "–" if at is None else _clock(at)


def _numbers(readings: Sequence[Reading]) -> Iterator[str]:
    yield "<details><summary>All numbers</summary><table><thead><tr><th>Hour</th>"
    yield "".join(f"<th>{name}</th>" for name in NAMES.values()) + "</tr></thead><tbody>"
    for each in reversed(readings):
        yield f"<tr><td>{_clock(each.hour)}</td>"
        for value in (each.pm2_5, each.pm10):
            yield "<td>–</td>" if value is None else f"<td>{value:.1f}</td>"
        yield "</tr>"
    yield "</tbody></table></details>"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(LOCAL):%a %-d %b %H:%M}"


def _span(span: timedelta) -> str:
    if span < _SECOND:
        return f"{span // timedelta(milliseconds=1)} ms"
    if span < _MINUTE:
        return f"{span / _SECOND:.1f} s"
    hours, rest = divmod(span, HOUR)
    minutes = rest // _MINUTE
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _hours(count: int) -> str:
    return f"{count} hour" if count == 1 else f"{count} hours"

"""The dashboard reads addresses and words its answers, one value at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tests.kit.records import a_work
from workpool_aws.core.views.listing import listed
from workpool_aws.dashboard import texts
from workpool_aws.dashboard.events import refreshes
from workpool_aws.dashboard.filters import filter_of, sorted_rows
from workpool_aws.errors import UsageError
from workpool_aws.insights.answers import WorkFilter, WorkRow
from workpool_aws.model.ids import WorkId

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "every_s"),
    [("2", 2), ("5", 5), ("15", 15), ("60", 60), ("", 5), ("1", 5), ("14", 5), ("x", 5)],
)
def test_refreshes_come_as_often_as_page_may_ask_and_end(
    monkeypatch: pytest.MonkeyPatch, asked: str, every_s: int
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def told(of: AsyncIterable[object]) -> list[object]:
        return [each async for each in of]

    monkeypatch.setattr("workpool_aws.dashboard.events.asyncio.sleep", sleep)
    scope = {"type": "http", "query_string": f"every={asked}".encode(), "headers": []}
    answer = asyncio.run(refreshes(Request(scope)))
    assert isinstance(answer, StreamingResponse)

    assert asyncio.run(told(answer.body_iterator)) == [
        "retry: 2000\n\n",
        *["event: refresh\ndata:\n\n"] * 120,
    ]
    assert (slept, answer.media_type) == ([every_s] * 120, "text/event-stream")


def test_filter_is_that_of_its_query_and_empty_values_are_none() -> None:
    texts_of = {"state": "failed", "fn": "f", "error": "e", "args": "a", "group": "g"}
    times = {"since": "2026-05-04", "before": "1h"}

    found = filter_of({**texts_of, **times, "order": "oldest", "limit": "200"}, NOW)

    assert found == WorkFilter(
        state="failed",
        fn="f",
        error="e",
        args="a",
        group="g",
        since=datetime(2026, 5, 4, tzinfo=UTC),
        before=NOW - timedelta(hours=1),
        order="oldest",
        limit=200,
    )
    assert filter_of(dict.fromkeys([*texts_of, *times, "order", "limit"], ""), NOW) == WorkFilter()
    assert filter_of({"limit": "1", "order": "other"}, NOW) == WorkFilter(limit=1)


@pytest.mark.parametrize(
    "query", [{"state": "bad"}, {"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"limit": "-1"}]
)
def test_filter_that_is_none_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(query))} must be"):
        filter_of(query, NOW)


def test_rows_are_sorted_by_column_that_is_asked_for() -> None:
    first = listed(a_work())
    works = {
        "a": replace(first, work_id=WorkId("3"), state="finished", outcome="failed", job="b"),
        "b": replace(first, work_id=WorkId("2"), state="running", job=None, target="a"),
        "c": replace(first, work_id=WorkId("1"), state="finished", outcome="canceled", job="c"),
    }
    errors = {"a": ("B", "x", 2), "b": ("B", None, 10), "c": (None, None, 0)}
    rows = [
        WorkRow(
            why=None,
            work=replace(work, error_type=kind, error=text, previous_attempts=attempts),
        )
        for work, (kind, text, attempts) in zip(works.values(), errors.values(), strict=True)
    ]

    def order(sort: str | None) -> str:
        return "".join(row.work.work_id for row in sorted_rows(rows, sort))

    assert order("id") == "123"
    assert order("state") == "132"
    assert order("job") == "231"
    assert order("attempts") == "231"
    assert order("error") == "231"
    assert order(None) == order("other") == "321"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.1234, "0.123 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_799, "48 h"),
        (172_800, "2 d"),
        (-7_200, "-2 h"),
        (timedelta(minutes=3), "3 min"),
    ],
)
def test_span_is_shown_in_largest_unit_that_it_has_two_of(
    seconds: timedelta | float | None, shown: str
) -> None:
    assert texts.span(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "now"), (0.4, "now"), (1, "in 1 s"), (-1, "1 s ago"), (240, "in 4 min")],
)
def test_moment_is_shown_by_its_distance(seconds: float, shown: str) -> None:
    assert texts.moment(NOW + timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, None),
        ({"done": "<b>", "count": "1"}, None),
        ({"done": "redriven"}, "Redriven."),
        ({"done": "redriven", "count": "7"}, "Redriven: 7."),
        ({"done": "redriven", "count": "<b>"}, "Redriven."),
    ],
)
def test_notice_repeats_known_words_and_numbers_alone(
    query: dict[str, str], shown: str | None
) -> None:
    assert texts.notice(query) == shown


def test_every_act_has_its_notice() -> None:
    acts = [
        "canceled",
        "redriven",
        "limit",
        "rate",
        "reset",
        "paused",
        "resumed",
        "error_resolved",
        "error_ignored",
        "error_opened",
        "called_off",
        "enqueued",
        "schedule_paused",
        "schedule_resumed",
        "skipped",
        "failing",
        "killed",
        "misbehaving",
    ]

    assert None not in [texts.notice({"done": act}) for act in acts]


def test_price_and_share_and_time_are_shown_to_their_last_digit() -> None:
    assert texts.dollars(8e12) == "$1000000.00"
    assert (texts.dollars(0), texts.dollars(8)) == ("$0", "$0.0000010")
    assert (texts.share(None), texts.share(0.1234)) == ("–", "12.3%")
    assert (texts.stamp(None), texts.stamp(NOW)) == ("–", "2026-05-04 12:00:00")
    assert texts.pieces("set `a`\nor `b`") == ["set ", "a", " or ", "b", ""]

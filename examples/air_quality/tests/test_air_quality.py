"""The parts of the example, one at a time, and a day of them in a LocalCloud."""

import base64
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import air
import boto3
import chart
import openweather
import page
import plan
import pytest
import readings
import standin
from openweather import HOUR, LONDON, Reading

from workpool_aws import NonRetryableError, RetryLater
from workpool_aws.local import LocalCloud

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[standin.StandIn]:
    openweather.key.cache_clear()
    monkeypatch.setenv("OPENWEATHER_KEY", standin.KEY)
    monkeypatch.setenv("OPENWEATHER_TIMEOUT_S", "0.5")
    with standin.running(first=datetime(2026, 1, 1, tzinfo=UTC)) as server:
        monkeypatch.setenv("OPENWEATHER_URL", server.url)
        yield server


@pytest.fixture
def cloud(workpool_cloud: LocalCloud, source: standin.StandIn) -> LocalCloud:
    boto3.resource("dynamodb").create_table(
        TableName="air-readings",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "place", "KeyType": "HASH"},
            {"AttributeName": "hour", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "place", "AttributeType": "S"},
            {"AttributeName": "hour", "AttributeType": "S"},
        ],
    )
    workpool_cloud.function(air.handler, name="fetch-hour")
    air.pool.schedule(None, plan.NAME, air.fetch_hour, {}, **plan.HOURLY)
    return workpool_cloud


def asked(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """An answer of the page, with its body as text."""
    event = {
        "rawPath": path,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": {
            "http": {"method": method},
            "timeEpoch": int((NOON + timedelta(minutes=30)).timestamp() * 1000),
        },
    }
    answer = page.handler(event, None)
    return {**answer, "body": base64.b64decode(answer["body"]).decode()}


def test_reading_of_an_hour_is_that_of_its_end(source: standin.StandIn) -> None:
    made_up = standin.components(int(NOON.timestamp()) // 3600)

    found = openweather.fetch(LONDON, NOON)

    assert (found.hour, found.synthetic) == (NOON, True)
    assert (found.pm2_5, found.pm10) == (made_up["pm2_5"], made_up["pm10"])


def test_request_to_wait_is_honoured(source: standin.StandIn) -> None:
    with pytest.raises(RetryLater) as asks:
        openweather.fetch(LONDON, datetime(2026, 1, 1, 7, tzinfo=UTC))
    assert asks.value.delay == timedelta(seconds=standin.RETRY_AFTER_S)


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("120", timedelta(seconds=120)),
        (" 0 ", timedelta(0)),
        ("Thu, 01 Jan 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Thu, 01 Jan 2026 11:00:00 GMT", timedelta(0)),
        ("9" * 400, timedelta(hours=1)),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_has_two_forms(text: str | None, pause: timedelta | None) -> None:
    assert openweather.asked_to_wait(text, NOON) == pause


@pytest.mark.parametrize(("hour", "words"), [(5, "answered 500"), (11, "ReadTimeoutError")])
def test_trouble_of_source_is_worth_another_attempt(
    source: standin.StandIn, hour: int, words: str
) -> None:
    at = datetime(2026, 1, 1, hour, tzinfo=UTC)
    with pytest.raises(openweather.SourceDown, match=words):
        openweather.fetch(LONDON, at)
    assert openweather.fetch(LONDON, at).hour == at


def test_key_that_is_refused_is_not_tried_again(
    source: standin.StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENWEATHER_KEY", "another")
    with pytest.raises(NonRetryableError, match="refuses the key"):
        openweather.fetch(LONDON, NOON)


def test_key_is_in_no_log_and_no_error(
    source: standin.StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    openweather.fetch(LONDON, NOON)
    errors = []
    for url in (source.url, "http://127.0.0.1:9", "http://["):
        monkeypatch.setenv("OPENWEATHER_URL", url)
        with pytest.raises(openweather.SourceDown) as down:
            openweather.fetch(LONDON, datetime(2026, 1, 1, 5, tzinfo=UTC))
        errors.append(f"{down.value!r} {down.value.__cause__!r}")
        assert down.value.__suppress_context__ or down.value.__context__ is None

    assert standin.KEY not in "".join((*errors, caplog.text))


def test_key_comes_from_parameter_store(
    source: standin.StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENWEATHER_KEY")
    monkeypatch.setenv("OPENWEATHER_KEY_PARAMETER", "/air/key")
    asked_for: list[dict[str, object]] = []

    class Ssm:
        def get_parameter(self, **request: object) -> dict[str, dict[str, str]]:
            asked_for.append(request)
            return {"Parameter": {"Value": standin.KEY}}

    monkeypatch.setattr(boto3, "client", lambda service: Ssm())
    openweather.fetch(LONDON, NOON)
    openweather.fetch(LONDON, NOON)
    assert asked_for == [{"Name": "/air/key", "WithDecryption": True}]


@pytest.mark.parametrize("value", [None, "12", True, -9999, -0.1, float("nan"), float("inf"), 1e9])
def test_value_that_is_no_concentration_is_missing(
    monkeypatch: pytest.MonkeyPatch, source: standin.StandIn, value: object
) -> None:
    monkeypatch.setattr(standin, "components", lambda hour: {"pm2_5": value, "pm10": 7})
    found = openweather.fetch(LONDON, NOON)
    assert (found.pm2_5, found.pm10) == (None, 7)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"list": [1]}', b'{"list": [{"dt": 1e99}]}'])
def test_answer_that_cannot_be_read_is_trouble(
    monkeypatch: pytest.MonkeyPatch, source: standin.StandIn, body: bytes
) -> None:
    monkeypatch.setattr(openweather, "_get", lambda path: (200, {}, body))
    with pytest.raises(openweather.SourceDown, match="cannot be read"):
        openweather.fetch(LONDON, NOON)


def test_hour_that_source_has_not_is_asked_for_later(
    monkeypatch: pytest.MonkeyPatch, source: standin.StandIn
) -> None:
    monkeypatch.setattr(openweather, "_get", lambda path: (200, {}, b'{"list": []}'))
    with pytest.raises(RetryLater, match="no reading of 12:00 yet"):
        openweather.fetch(LONDON, NOON)


def test_second_reading_of_an_hour_replaces_first(cloud: LocalCloud) -> None:
    readings.keep("Paris", Reading(hour=NOON, pm2_5=1.5, pm10=None))
    readings.keep("Paris", Reading(hour=NOON, pm2_5=2.5, pm10=3))
    readings.keep("Paris", Reading(hour=NOON - readings.WEEK - HOUR, pm2_5=9, pm10=9))

    assert readings.week("Paris", NOON) == [Reading(hour=NOON, pm2_5=2.5, pm10=3)]
    items: list[dict[str, Any]] = list(
        boto3.resource("dynamodb").Table("air-readings").scan()["Items"]
    )
    kept = {int(item["expires_at"]) - int(NOON.timestamp()) for item in items}
    assert kept == {8 * 86400, 8 * 86400 - 169 * 3600}


def test_every_hour_of_a_day_is_fetched_once_its_time_has_come(
    cloud: LocalCloud, source: standin.StandIn
) -> None:
    cloud.advance(timedelta(days=1))

    kept = readings.week("London", cloud.now)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    assert [each.hour for each in kept] == [first + n * HOUR for n in range(24)]
    # An error, a request to wait and no answer were each met, and are past.
    assert {source.asked[source.first + nth] for nth in (5, 7, 11)} == {2}


def test_hours_missed_in_downtime_are_fetched_after_it(
    cloud: LocalCloud, source: standin.StandIn
) -> None:
    cloud.advance(timedelta(hours=2))
    air.pool.configure(None, paused=True)
    cloud.advance(timedelta(hours=4))
    assert len(readings.week("London", cloud.now)) == 2
    air.pool.configure(None, paused=False)
    cloud.advance(timedelta(minutes=10))

    assert len(readings.week("London", cloud.now)) == 7


def test_line_ends_at_a_gap_and_goes_on_after_it() -> None:
    hours = [NOON + n * HOUR for n in (0, 1, 2, 5, 7, 8)]
    week = [Reading(hour=hour, pm2_5=10 + n, pm10=20) for n, hour in enumerate(hours)]

    drawn = chart.draw(week, until=NOON + 9 * HOUR, since=NOON, size=chart.WIDE)

    assert drawn.count('<polyline class="series pm2_5"') == 2
    assert drawn.count('<circle class="dot pm2_5"') == 1
    assert chart.gaps(week, since=NOON, until=NOON + 9 * HOUR) == [
        NOON + n * HOUR for n in (3, 4, 6, 9)
    ]
    assert "No data from Thu 14:00 to Thu 16:00" in drawn
    assert drawn.count('class="gap"') == 3
    assert [f"WHO {words}" in drawn for words in ("PM2.5 15", "PM10 45")] == [True, True]


@pytest.mark.parametrize("highest", [0.0, 61, 300, 99_999])
def test_chart_holds_every_value(highest: float) -> None:
    week = [Reading(hour=NOON + n * HOUR, pm2_5=0, pm10=highest) for n in range(2)]
    drawn = chart.draw(week, until=NOON + HOUR, since=NOON, size=chart.NARROW)
    heights = [
        float(point.split(",")[1])
        for line in drawn.split('points="')[1:]
        for point in line.split('"')[0].split()
    ]
    assert len(heights) == 4
    assert all(0 <= height <= chart.NARROW.height for height in heights)
    assert drawn.count('class="grid"') <= 8


def test_page_shows_week_schedule_and_queue(cloud: LocalCloud) -> None:
    assert "No hour has been fetched yet" in asked("/")["body"]
    cloud.advance(timedelta(hours=12, minutes=30))

    answer = asked("/")
    assert answer["statusCode"] == 200
    assert "Thu 1 Jan 13:05, in 35 min" in answer["body"]
    assert "At minute 5 of every hour" in answer["body"]
    assert "after their time (median)" in answer["body"]
    assert "synthetic" in answer["body"]
    assert answer["body"].count("<svg") == 2
    assert not {"<script", "style=", "<style", "onclick"} & set(answer["body"].split(">"))
    assert "script-src" not in answer["headers"]["content-security-policy"]
    assert "default-src 'none'" in answer["headers"]["content-security-policy"]


def test_buttons_run_pause_and_resume(cloud: LocalCloud) -> None:
    assert asked("/pause", "POST", **OWN)["statusCode"] == 303
    assert "paused" in asked("/")["body"]
    cloud.advance(timedelta(hours=3))
    assert readings.week("London", cloud.now) == []

    assert asked("/run", "POST", **OWN)["headers"]["location"] == "/"
    cloud.advance(timedelta(minutes=1))
    assert len(readings.week("London", cloud.now)) == 1

    asked("/resume", "POST", **OWN)
    cloud.advance(timedelta(hours=1, minutes=10))
    assert [each.paused for each in air.pool.schedules(None)] == [False]
    assert len(readings.week("London", cloud.now)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example", "host": "air.example"},
        {"origin": "null", "host": ""},
    ],
)
def test_post_of_another_site_does_nothing(cloud: LocalCloud, headers: dict[str, str]) -> None:
    assert asked("/pause", "POST", **headers)["statusCode"] == 403
    assert [each.paused for each in air.pool.schedules(None)] == [False]


def test_post_with_own_origin_is_done(cloud: LocalCloud) -> None:
    answer = asked("/pause", "POST", origin="https://air.example", host="air.example")
    assert answer["statusCode"] == 303


def test_page_that_only_shows_has_no_buttons(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIR_READ_ONLY", "1")
    assert "<form" not in asked("/")["body"]
    assert asked("/pause", "POST", **OWN)["statusCode"] == 403


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/style.css", "GET", 200),
        ("/favicon.ico", "GET", 404),
        ("/run", "GET", 404),
        ("/", "POST", 405),
        ("/", "DELETE", 405),
    ],
)
def test_other_requests(path: str, method: str, status: int) -> None:
    assert asked(path, method, **OWN)["statusCode"] == status


def test_error_of_a_work_item_is_text(cloud: LocalCloud) -> None:
    cloud.fail_next(air.fetch_hour, NonRetryableError("<script>alert(1)</script>"))
    air.pool.run_now(None, plan.NAME)
    cloud.run_until_idle()

    assert "&lt;script&gt;alert(1)" in asked("/")["body"]

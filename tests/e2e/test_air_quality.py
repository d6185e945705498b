"""The air quality example, deployed: its schedule is there, an hour is fetched, and the page shows it."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from tests.e2e import deployment
from tests.e2e.waiting import once
from tests.emulator.server import ROOT, MiniStack
from workpool_aws import Workpool

EXAMPLE = ROOT / "examples" / "air_quality"


@pytest.fixture(scope="module")
def source() -> Iterator[Any]:
    sys.path.insert(0, str(EXAMPLE))
    import standin  # noqa: PLC0415 - the example's own

    # Far from the hours in which it misbehaves.
    with standin.running(first=datetime.fromtimestamp(0, UTC)) as server:
        yield server
    sys.path.remove(str(EXAMPLE))


@pytest.fixture
def air(cloud: MiniStack, source: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in deployment.account(cloud).items():
        monkeypatch.setenv(name, value)
    key = "a-key-of-nobody"
    boto3.client("ssm").put_parameter(
        Name="/air-quality/openweather-key", Value=key, Type="SecureString", Overwrite=True
    )
    return deployment.deploy_project(
        cloud, EXAMPLE, "AirQuality", context={"air:source": source.url}
    )


def ask(page: str, path: str, method: str = "GET") -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp() * 1000)
    event = {
        "rawPath": path,
        "headers": {"sec-fetch-site": "same-origin"},
        "requestContext": {"http": {"method": method}, "timeEpoch": now},
    }
    answer = boto3.client("lambda").invoke(FunctionName=page, Payload=json.dumps(event).encode())
    said: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    return {**said, "body": base64.b64decode(said["body"]).decode()}


def test_declared_schedule_runs_and_its_page_shows_it(air: dict[str, str]) -> None:
    pool, page = Workpool(air["Table"], "air"), air["PageFunction"]
    # The watchdog's first ticks bring the job's name, and the schedule.
    [schedule] = once(lambda: pool.schedules(None))
    assert (schedule.name, schedule.owner, schedule.cron) == ("hourly", "deployment", "5 * * * *")
    assert "At minute 5 of every hour" in ask(page, "/")["body"]

    assert ask(page, "/run", "POST")["statusCode"] == 303
    once(lambda: "<polyline" in ask(page, "/")["body"] or "<circle" in ask(page, "/")["body"])
    [work] = pool.list(None).items
    assert (work.job, work.outcome) == ("fetch_hour", "success")

    assert ask(page, "/pause", "POST")["statusCode"] == 303
    assert [each.paused for each in pool.schedules(None)] == [True]

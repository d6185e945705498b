"""Events as metrics, and the times at which a line is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest

from tests.kit.clocks import ManualClock
from workpool_aws.adapters.aws.clients import aws_ports
from workpool_aws.adapters.metrics import (
    MINUTE_MS,
    TABLE_METRICS,
    Metric,
    MetricsTelemetry,
    units_of,
)
from workpool_aws.adapters.telemetry import ListTelemetry
from workpool_aws.errors import UsageError
from workpool_aws.model import events
from workpool_aws.settings import Settings, read_settings

RESTED = events.LoopRested(
    pool="email",
    generation=1,
    state="idle",
    wake_in_ms=None,
    saturated=False,
    passes=3,
    set_aside=0,
)


class Log(ListTelemetry):
    """A log that keeps its lines."""

    def at_level(self, level: int) -> ListTelemetry:
        return ListTelemetry(level)


class World:
    def __init__(self, capsys: pytest.CaptureFixture[str], scope: Any = "pools") -> None:
        self.clock = ManualClock()
        self.log = Log()
        self.telemetry = MetricsTelemetry(self.log, self.clock, table="jobs", scope=scope)
        self._capsys = capsys

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    return World(capsys)


def a_pass(**counts: int) -> events.PassReport:
    return events.PassReport(
        pool="email", generation=1, settled=1, started=1, in_flight=1, limit=3, **counts
    )


def test_counts_are_written_when_loop_rests(world: World) -> None:
    world.telemetry.emit(events.LoopTook(pool="email", generation=1, in_flight=0))
    world.telemetry.emit(a_pass(succeeded=6, failed=2, retried=2))
    world.telemetry.emit(events.Started(pool="email", work_id="01", attempt=1, lag_ms=40))
    world.telemetry.emit(events.Started(pool="email", work_id="02", attempt=1, lag_ms=90))
    assert world.lines() == []
    world.telemetry.emit(RESTED)

    (line,) = world.lines()
    assert {name: line[name] for name in get_args(Metric) if name in line} == {
        "DeadLetters": 2,
        "Failed": 2,
        "FailureRate": 25.0,
        "Generations": 1,
        "Retried": 2,
        "RetryRate": 20.0,
        "StartLag": [40, 90],
        "Started": 2,
        "Succeeded": 6,
        "SuccessRate": 75.0,
    }
    assert (line["Table"], line["Pool"], line["StartLagMax"]) == ("jobs", "email", 90)
    assert line["_aws"]["Timestamp"] == world.clock.now()


def test_set_of_dimensions_has_only_metrics_that_line_has(world: World) -> None:
    world.telemetry.emit(events.LoopTook(pool="email", generation=1, in_flight=0))
    world.telemetry.emit(events.Started(pool="email", work_id="01", attempt=1, lag_ms=40))
    world.telemetry.emit(RESTED)

    (line,) = world.lines()
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Workpool",
            "Dimensions": [["Table"]],
            "Metrics": [{"Name": "Generations", "Unit": "Count"}],
        },
        {
            "Namespace": "Workpool",
            "Dimensions": [["Table", "Pool"]],
            "Metrics": [
                {"Name": "Generations", "Unit": "Count"},
                {"Name": "StartLag", "Unit": "Milliseconds"},
                {"Name": "Started", "Unit": "Count"},
            ],
        },
    ]


def test_for_table_alone_only_what_alarms_look_at_is_metric(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(capsys, "table")
    world.telemetry.emit(a_pass(succeeded=1, failed=1))
    world.telemetry.emit(events.NoProgress(pool="email", generation=1, passes=10))
    world.telemetry.emit(RESTED)

    (line,) = world.lines()
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Table"]]
    assert [each["Name"] for each in directive["Metrics"]] == [
        "DeadLetters",
        "FailureRate",
        "NoProgress",
    ]


def test_busy_loop_writes_once_minute(world: World) -> None:
    for _ in range(180):
        world.telemetry.emit(a_pass(succeeded=1))
        world.clock.at += 1_000

    lines = world.lines()
    assert [line["Succeeded"] for line in lines] == [1 + MINUTE_MS // 1000] * 2
    world.telemetry.emit(RESTED)
    assert sum(line["Succeeded"] for line in [*lines, *world.lines()]) == 180


def test_line_never_has_more_lags_than_cloudwatch_takes(world: World) -> None:
    for number in range(250):
        world.telemetry.emit(
            events.Started(pool="email", work_id=str(number), attempt=1, lag_ms=number)
        )
    world.telemetry.emit(RESTED)

    assert [len(line["StartLag"]) for line in world.lines()] == [100, 100, 50]


def test_each_job_has_line_that_is_no_metric(world: World) -> None:
    for job, lag_ms in (("crawl", 40), ("crawl", 90), ("mail.send", 7)):
        world.telemetry.emit(
            events.Started(pool="email", work_id="01", job=job, attempt=1, lag_ms=lag_ms)
        )
    ended = {"crawl": {"failed": 1, "retried": 2}, "mail.send": {"succeeded": 3}}
    world.telemetry.emit(replace(a_pass(succeeded=3, failed=1, retried=2), by_job=ended))
    world.telemetry.emit(RESTED)

    own = {"Table": "jobs", "Pool": "email"}
    assert world.lines()[1:] == [
        {**own, "Job": "crawl", "Started": 2, "Failed": 1, "Retried": 2, "StartLagMax": 90},
        {**own, "Job": "mail.send", "Started": 1, "Succeeded": 3, "StartLagMax": 7},
    ]


def test_jobs_are_not_distinguished_for_table_alone(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(capsys, "table")
    world.telemetry.emit(replace(a_pass(failed=1), by_job={"crawl": {"failed": 1}}))
    world.telemetry.emit(RESTED)

    assert len(world.lines()) == 1


def test_pools_are_counted_apart(world: World) -> None:
    world.telemetry.emit(events.LoopTook(pool="email", generation=1, in_flight=0))
    world.telemetry.emit(events.WatchdogActed(pool="reports", reason="the loop's lease ran out"))
    world.telemetry.emit(RESTED)

    assert [
        (line["Pool"], line.get("Generations"), line.get("WatchdogActed")) for line in world.lines()
    ] == [
        ("reports", None, 1),
        ("email", 1, None),
    ]


@pytest.mark.parametrize(
    ("limit", "oldest", "shown"),
    [
        (3, 12.5, {"Backlog": 4, "InFlight": 3, "Limit": 3, "OldestDue": 12.5}),
        (3, None, {"Backlog": 4, "InFlight": 3, "Limit": 3}),
        (0, 12.5, {"Backlog": 4, "InFlight": 3, "Limit": 0}),
    ],
)
def test_survey_is_written_at_once_and_paused_pool_is_not_late(
    world: World, limit: int, oldest: float | None, shown: Any
) -> None:
    world.telemetry.emit(
        events.Surveyed(pool="email", pending=4, running=3, limit=limit, oldest_pending_s=oldest)
    )

    (line,) = world.lines()
    assert {name: line[name] for name in get_args(Metric) if name in line} == shown


def test_callback_that_was_given_up_is_dead_letter(world: World) -> None:
    world.telemetry.emit(events.CallbackDead(pool="email", work_id="01", target="x", reason="gone"))
    world.telemetry.emit(RESTED)

    assert [line["DeadLetters"] for line in world.lines()] == [1]


def test_loop_that_did_nothing_writes_nothing(world: World) -> None:
    world.telemetry.emit(RESTED)

    assert world.lines() == []


def test_counted_events_are_logged_as_ever(world: World) -> None:
    world.telemetry.emit(RESTED)

    assert world.log.events == [RESTED]


def test_another_level_counts_together_with_first(world: World) -> None:
    world.telemetry.emit(events.LoopTook(pool="email", generation=1, in_flight=0))
    louder = world.telemetry.at_level(10)
    louder.emit(events.LoopTook(pool="email", generation=2, in_flight=0))
    louder.emit(RESTED)

    assert [line["Generations"] for line in world.lines()] == [2]
    assert len(world.log.events) == 1


def test_alarms_metrics_are_known_and_have_units() -> None:
    assert {
        "DeadLetters",
        "FailureRate",
        "Generations",
        "NoProgress",
        "OldestDue",
        "WatchdogActed",
    } == TABLE_METRICS
    assert set(get_args(Metric)) > TABLE_METRICS
    units = {
        "OldestDue": "Seconds",
        "StartLag": "Milliseconds",
        **dict.fromkeys(("FailureRate", "RetryRate", "SuccessRate"), "Percent"),
    }
    assert {name: units_of(name) for name in get_args(Metric)} == {
        name: units.get(name, "Count") for name in get_args(Metric)
    }


@pytest.mark.parametrize(
    "last",
    [
        RESTED,
        events.HandedOver(pool="email", generation=1),
        events.LoopFenced(pool="email", generation=1),
        events.LoopEnded(pool="email", generation=1, error="x"),
        events.WatchdogActed(pool="email", reason="x"),
        events.Surveyed(pool="email", pending=0, running=0, limit=1, oldest_pending_s=None),
    ],
    ids=lambda event: event.name,
)
def test_event_that_ends_invocation_has_counts_written(world: World, last: events.Event) -> None:
    world.telemetry.emit(a_pass(canceled=3, succeeded=1, retried=1))
    assert world.lines() == []
    world.telemetry.emit(last)

    (line,) = world.lines()
    assert (line["Canceled"], line["SuccessRate"], line["FailureRate"], line["RetryRate"]) == (
        3,
        25.0,
        0.0,
        20.0,
    )
    world.telemetry.emit(RESTED)
    assert world.lines() == []


def test_ports_count_where_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/jobs"
    counting = aws_ports(
        arn, settings=Settings(region="us-east-1", metrics="table"), clock=ManualClock()
    ).telemetry
    silent = aws_ports(arn, settings=Settings(region="us-east-1"), clock=ManualClock()).telemetry

    assert isinstance(counting, MetricsTelemetry)
    assert counting._table == "jobs"
    assert not isinstance(silent, MetricsTelemetry)


@pytest.mark.parametrize(("said", "read"), [("table", "table"), ("pools", "pools"), ("", None)])
def test_environment_says_what_is_counted(said: str, read: str | None) -> None:
    assert read_settings({"WORKPOOL_METRICS": said}).metrics == read


def test_unknown_scope_is_refused() -> None:
    with pytest.raises(UsageError, match="WORKPOOL_METRICS"):
        read_settings({"WORKPOOL_METRICS": "all"})

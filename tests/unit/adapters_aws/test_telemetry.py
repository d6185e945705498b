"""Facts as log lines and as a list, and the table of facts in the documentation."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
from pathlib import Path

import pytest

from workpool_aws.adapters.telemetry import ListTelemetry, LoggerTelemetry, _Loggers
from workpool_aws.model import events
from workpool_aws.model.events import Event, Kicked, LoopEnded, SetAside, Started, WatchdogActed

EVENTS_MD = Path(__file__).parents[3] / "docs" / "events.md"
ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<level>[A-Z]+) \| (?P<when>[^|]+) \| (?P<fields>[^|]+) \|$",
    re.MULTILINE,
)
FIELD = re.compile(r"`(\w+)` \(([^)]+)\)")
CLASSES = [
    each
    for each in (getattr(events, name) for name in dir(events))
    if isinstance(each, type) and issubclass(each, Event) and not each.__subclasses__()
]

ONE_OF_EACH_LEVEL = [
    Kicked(pool="p", reason="enqueue", generation=3),
    Started(pool="p", work_id="01", attempt=1, lag_ms=40),
    WatchdogActed(pool="p", reason="lease ran out"),
    LoopEnded(pool="p", generation=3, error="no answer"),
]


@pytest.fixture
def logged():
    """The records that the logger lets through."""
    records = []
    watcher = logging.Handler()
    watcher.emit = records.append
    logger = logging.getLogger("workpool")
    logger.addHandler(watcher)
    yield records
    logger.removeHandler(watcher)


@pytest.mark.parametrize(
    ("level", "names"),
    [
        (logging.DEBUG, ["kicked", "started", "watchdog_acted", "loop_ended"]),
        (logging.INFO, ["started", "watchdog_acted", "loop_ended"]),
        (logging.WARNING, ["watchdog_acted", "loop_ended"]),
        (logging.ERROR, ["loop_ended"]),
        (logging.CRITICAL, []),
        (25, ["watchdog_acted", "loop_ended"]),
    ],
)
def test_pool_logs_from_its_own_level_on(logged, level, names):
    # What another pool asks for must not change this one's level.
    LoggerTelemetry(logging.DEBUG).emit(ONE_OF_EACH_LEVEL[0])
    logged.clear()
    telemetry = LoggerTelemetry(level)
    for fact in ONE_OF_EACH_LEVEL:
        telemetry.emit(fact)
    assert [record.getMessage() for record in logged] == names
    assert [record.levelno for record in logged] == [
        fact.level for fact in ONE_OF_EACH_LEVEL if fact.name in names
    ]


def test_pool_that_asks_for_more_gets_it_and_keeps_it(logged, monkeypatch):
    monkeypatch.setattr("workpool_aws.adapters.telemetry._loggers", _Loggers())
    for level in (logging.ERROR, logging.DEBUG, logging.ERROR):
        LoggerTelemetry(level).emit(ONE_OF_EACH_LEVEL[3])
    LoggerTelemetry(logging.DEBUG).emit(ONE_OF_EACH_LEVEL[0])
    assert [record.getMessage() for record in logged] == [
        "loop_ended",
        "loop_ended",
        "loop_ended",
        "kicked",
    ]


def test_level_of_logger_is_lowest_that_was_asked_for(monkeypatch):
    monkeypatch.setattr("workpool_aws.adapters.telemetry._loggers", _Loggers())
    levels = []
    for level in (logging.ERROR, logging.WARNING, 25, logging.DEBUG, 5, logging.ERROR):
        LoggerTelemetry(level).emit(ONE_OF_EACH_LEVEL[3])
        levels.append(logging.getLogger("workpool").level)
    assert levels == [40, 30, 20, 10, 10, 10]


def test_line_that_its_caller_asked_for_is_logged_at_any_level(logged):
    kinds = [each for each in CLASSES if each.always_logged]
    assert {kind.level for kind in kinds} == {logging.INFO}
    for kind in kinds:
        LoggerTelemetry(logging.CRITICAL).emit(filled(kind))
    assert sorted(record.getMessage() for record in logged) == ["job_stats", "stats"]


def test_another_level_is_another_telemetry(logged):
    quiet = LoggerTelemetry(logging.ERROR)
    loud = quiet.at_level(logging.INFO)
    for telemetry in (quiet, loud):
        telemetry.emit(ONE_OF_EACH_LEVEL[1])
    assert [record.getMessage() for record in logged] == ["started"]


@pytest.mark.parametrize("fact", ONE_OF_EACH_LEVEL, ids=lambda fact: fact.name)
def test_fields_of_fact_of_any_level_are_keys_of_its_line(fact, logged):
    LoggerTelemetry(logging.DEBUG).emit(fact)
    (record,) = logged
    fields = {item.name: getattr(fact, item.name) for item in dataclasses.fields(fact)}
    assert {name: getattr(record, name) for name in fields} == fields


def test_fields_of_fact_are_keys_of_its_line(logged):
    LoggerTelemetry(logging.INFO).emit(Started(pool="email", work_id="01ABC", attempt=2, lag_ms=40))
    assert [(r.getMessage(), r.pool, r.work_id, r.attempt, r.lag_ms) for r in logged] == [
        ("started", "email", "01ABC", 2, 40)
    ]


def test_line_is_json_under_our_service():
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter  # noqa: PLC0415 - only here

    record = logging.LogRecord("workpool", logging.INFO, __file__, 1, "started", None, None)
    record.pool = "email"
    line = json.loads(LambdaPowertoolsFormatter(service="workpool").format(record))
    assert (line["message"], line["pool"], line["service"]) == ("started", "email", "workpool")


def test_fields_do_not_replace_logs_own():
    own = set(vars(logging.LogRecord("x", 10, "x", 1, "x", None, None))) | {
        "message",
        "asctime",
        "service",
        "level",
        "location",
        "timestamp",
    }
    assert {item.name for kind in CLASSES for item in dataclasses.fields(kind)} & own == set()


def test_failing_logger_fails_no_caller(monkeypatch):
    def broken(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("workpool_aws.adapters.telemetry._Loggers.at", broken)
    assert LoggerTelemetry(logging.DEBUG).emit(ONE_OF_EACH_LEVEL[3]) is None


def test_unwritable_line_fails_no_caller_and_is_reported_as_logging_does(monkeypatch, capsys):
    class Closed(io.StringIO):
        def write(self, text):
            raise OSError("no room")

    monkeypatch.setattr("sys.stdout", Closed())
    LoggerTelemetry(logging.ERROR).emit(LoopEnded(pool="p", generation=3, error="no answer"))

    assert "OSError: no room" in capsys.readouterr().err


def test_list_keeps_what_was_told():
    telemetry = ListTelemetry()
    for fact in ONE_OF_EACH_LEVEL:
        telemetry.emit(fact)
    assert telemetry.events == ONE_OF_EACH_LEVEL
    assert telemetry.of(Started) == [ONE_OF_EACH_LEVEL[1]]
    telemetry.clear()
    assert telemetry.events == []


def test_list_forgets_oldest():
    telemetry = ListTelemetry(limit=2)
    told = [SetAside(pool="p", partition="a", sort=str(n), reason="bad") for n in range(5)]
    for fact in told:
        telemetry.emit(fact)
    assert telemetry.events == told[3:]


def test_list_keeps_hundred_thousand_unless_another_limit_is_given():
    telemetry = ListTelemetry()
    for _ in range(100_001):
        telemetry.emit(ONE_OF_EACH_LEVEL[0])
    assert len(telemetry.events) == 100_000


def test_documentation_names_every_fact_with_its_level_and_fields():
    documented = {
        row["name"]: (row["level"], [name for name, _ in FIELD.findall(row["fields"])])
        for row in ROW.finditer(EVENTS_MD.read_text())
    }
    declared = {
        kind.name: (logging.getLevelName(kind.level), [f.name for f in dataclasses.fields(kind)])
        for kind in CLASSES
    }
    assert documented == declared


def test_documentation_gives_every_field_its_unit_and_every_fact_its_time():
    rows = list(ROW.finditer(EVENTS_MD.read_text()))
    units = {
        (row["name"], name): unit for row in rows for name, unit in FIELD.findall(row["fields"])
    }
    assert {
        key for key, unit in units.items() if key[1].endswith("_ms") != unit.startswith("ms")
    } == set()
    assert [row["name"] for row in rows if not row["when"].strip().endswith(".")] == []


def test_facts_have_names_of_their_own():
    assert len({kind.name for kind in CLASSES}) == len(CLASSES) > 40


HOSTILE = "\x1b[31m\u202eevil\u2066 \x9b one\ntwo \u2028 \ud800 \U000e0041"


def written(fact, capsys, monkeypatch):
    """The line that is written for a fact."""
    monkeypatch.setattr("workpool_aws.adapters.telemetry._loggers", _Loggers())
    LoggerTelemetry(logging.DEBUG).emit(fact)
    return capsys.readouterr().out.splitlines()


def test_record_claims_no_location(capsys, monkeypatch):
    for fact in ONE_OF_EACH_LEVEL:
        (line,) = written(fact, capsys, monkeypatch)
        assert "location" not in json.loads(line)
        assert "tell" not in line


def filled(kind):
    """A fact whose every text is hostile."""
    values = {}
    for item in dataclasses.fields(kind):
        if not item.init:
            continue
        values[item.name] = HOSTILE if "str" in str(item.type) else 1
    return kind(**values)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_hostile_text_is_logged_as_text(kind, capsys, monkeypatch):
    (line,) = written(filled(kind), capsys, monkeypatch)
    assert line.isprintable()
    for value in json.loads(line).values():
        if isinstance(value, str):
            assert all(one.isprintable() or one == "\n" for one in value)


def test_text_in_record_is_bounded(capsys, monkeypatch):
    (line,) = written(LoopEnded(pool="p", generation=3, error="x" * 10**6), capsys, monkeypatch)
    assert len(line) < 20_000
    assert json.loads(line)["error"].endswith("x…")

"""The completion function takes records of its own table alone, whatever they describe."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.kit.records import an_assignment, an_id
from workpool_aws import UsageError
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.report import CARRIED_MARKER
from workpool_aws.handlers import completion
from workpool_aws.handlers.completion import RecordRejected
from workpool_aws.model.events import Event, RecordUnreadable, ReportUnproven

REPORT = assignment_to_wire(an_assignment())
TICKET = {
    "version": 1,
    "callback": True,
    "table": REPORT["table"],
    "pool": "email",
    "work_id": an_id(),
    "retention_s": None,
}


def record(own: object) -> dict[str, Any]:
    return {
        "requestContext": {"functionArn": "send", "condition": "RetriesExhausted"},
        "requestPayload": {"_workpool": own},
        "responsePayload": None,
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose ports were asked for."""
    tables: list[str] = []

    def ports_for(table: str) -> object:
        tables.append(table)
        raise LookupError(table)

    monkeypatch.setattr(completion, "ports_for", ports_for)
    return tables


RECORDS = pytest.mark.parametrize(
    "own",
    [REPORT, TICKET, {**REPORT, "version": 99}],
    ids=["report", "lost callback", "unreadable"],
)


@RECORDS
def test_completion_refuses_record_of_another_table(
    own: object, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKPOOL_TABLE", "another")

    with pytest.raises(UsageError, match=r"^table must be 'another'"):
        completion.handler(record(own), cast("Any", None))

    assert asked == []


@RECORDS
def test_completion_takes_record_of_its_own_table(
    own: object, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKPOOL_TABLE", str(REPORT["table"]))

    with pytest.raises(LookupError):
        completion.handler(record(own), cast("Any", None))

    assert asked == [REPORT["table"]]


def test_completion_passes_records_of_other_systems_by(asked: list[str]) -> None:
    completion.handler({"Records": []}, cast("Any", None))

    assert asked == []


class Told:
    """Ports of which nothing but telemetry is asked."""

    def __init__(self) -> None:
        self.telemetry = self
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that the function emits."""
    ports = Told()
    monkeypatch.setattr(completion, "ports_for", lambda _: ports)
    return ports.events


@pytest.mark.parametrize("known", [True, False])
def test_unreadable_record_is_told_of_with_the_work_it_names(
    known: bool, told: list[Event]
) -> None:
    unknown = {} if known else {"pool": 1, "work_id": 1}

    with pytest.raises(RecordRejected) as raised:
        completion.handler(record({**REPORT, "version": 99, **unknown}), cast("Any", None))

    pool, work_id = (REPORT["pool"], REPORT["work_id"]) if known else (None, None)
    (event,) = told
    assert isinstance(event, RecordUnreadable)
    assert (event.pool, event.work_id) == (pool or "", work_id or "")
    assert str(raised.value) == (
        f"{event.reason} (table {REPORT['table']}, pool {pool}, work {work_id})"
    )


def test_record_that_proves_nothing_names_its_work_item(told: list[Event]) -> None:
    forged = {"errorType": "ReportNotWritten", "errorMessage": f"{CARRIED_MARKER}forged"}

    completion.handler({**record(REPORT), "responsePayload": forged}, cast("Any", None))

    assert told == [
        ReportUnproven(pool=str(REPORT["pool"]), work_id=str(REPORT["work_id"]), by="destination")
    ]

"""The completion function takes records of its own table alone, whatever they tell of."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.kit.records import an_assignment, an_id
from workpool_aws import UsageError
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.handlers import completion

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

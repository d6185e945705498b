"""Destination records by kind: ends of starts, lost callbacks, unreadable and foreign records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.records import an_assignment, an_id
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.destination import (
    CallbackLost,
    DestinationReport,
    UnreadableRecord,
    read_record,
)
from workpool_aws.adapters.wire.report import REPORTED
from workpool_aws.model.messages import CallbackTicket

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:told:$LATEST"
OURS = assignment_to_wire(an_assignment())
TICKET = {
    "version": 1,
    "callback": True,
    "table": "tab",
    "pool": "email",
    "work_id": an_id(),
    "retention_s": None,
}
SECRET = "card 4111"


def record(
    own: object, condition: object = "RetriesExhausted", answer: object = None
) -> dict[str, Any]:
    request = {"to": SECRET} if own is None else {"to": SECRET, "_workpool": own}
    return {
        "requestContext": {"functionArn": FUNCTION, "condition": condition},
        "requestPayload": request,
        "responsePayload": answer,
    }


def test_end_of_start_is_report() -> None:
    assert isinstance(read_record(record(OURS)), DestinationReport)


@pytest.mark.parametrize(
    ("condition", "answer", "reason"),
    [
        (
            "RetriesExhausted",
            {"errorType": "ConnectionError", "errorMessage": SECRET},
            "RetriesExhausted: ConnectionError",
        ),
        ("RetriesExhausted", SECRET, "RetriesExhausted"),
        ("EventAgeExceeded", None, "EventAgeExceeded"),
    ],
)
def test_handler_that_failed_lost_its_callback(condition: str, answer: object, reason: str) -> None:
    """Its text may quote the callback, so it is not kept."""
    ticket = CallbackTicket(table="tab", pool="email", work_id=an_id(), retention_s=None)

    assert read_record(record(TICKET, condition, answer)) == CallbackLost(
        ticket=ticket, target=FUNCTION, reason=reason
    )


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        "text",
        {},
        record(None),
        record(OURS, "Success", REPORTED),
        record(TICKET, "Success", None),
        {"Records": [{"eventSource": "aws:sqs"}]},
        {"requestPayload": "text", "requestContext": {"condition": "Success"}},
    ],
)
def test_record_that_is_not_ours_or_has_reported_is_nothing(nothing: object) -> None:
    assert read_record(nothing) is None


@pytest.mark.parametrize(
    ("own", "condition", "named"),
    [
        ({**OURS, "version": 2}, "RetriesExhausted", ("tab-1", "email", an_id())),
        ({**OURS, "version": 2}, "Success", ("tab-1", "email", an_id())),
        ({**OURS, "work_id": "w" * 256}, "RetriesExhausted", ("tab-1", "email", "w" * 256)),
        ({**OURS, "work_id": "w" * 257}, "RetriesExhausted", ("tab-1", "email", "w" * 256)),
        ({**OURS, "start": "one"}, "RetriesExhausted", ("tab-1", "email", an_id())),
        ({**TICKET, "version": 2}, "RetriesExhausted", ("tab", "email", an_id())),
        (OURS, None, ("tab-1", "email", an_id())),
        (OURS, 5, ("tab-1", "email", an_id())),
        ({"table": "no table", "pool": "a#b", "work_id": 5}, "Success", (None, None, None)),
        ("text", "Success", (None, None, None)),
    ],
)
def test_record_with_our_mark_that_cannot_be_read_is_rejected(
    own: object, condition: object, named: tuple[str | None, ...]
) -> None:
    own = {**own, "table": "tab-1"} if isinstance(own, dict) and own.get("table") == "t" else own
    found = read_record(record(own, condition, {"errorMessage": SECRET}))

    assert isinstance(found, UnreadableRecord)
    assert (found.table, found.pool, found.work_id) == named
    assert SECRET not in repr(found)


@pytest.mark.parametrize("own", [OURS, TICKET])
@pytest.mark.parametrize("condition", [None, "", 5])
def test_record_without_condition_tells_of_no_end(own: object, condition: object) -> None:
    found = read_record(record(own, condition, {"errorMessage": SECRET}))

    assert isinstance(found, UnreadableRecord)
    assert "condition" in found.reason


def test_damaged_assignment_is_reported_although_its_worker_has_reported() -> None:
    """A copy of the answer, as JSON brings it: nothing compares by identity here."""
    answer = json.loads(json.dumps(REPORTED))

    assert isinstance(
        read_record(record({**OURS, "version": 2}, "Success", answer)), UnreadableRecord
    )
    assert read_record(record(OURS, "Success", answer)) is None


def test_lost_callback_names_no_more_than_record_says_and_that_within_bounds() -> None:
    nameless = record(TICKET)
    del nameless["requestContext"]["functionArn"]
    long = record(TICKET, "c" * 250, {"errorType": "E" * 300})
    long["requestContext"]["functionArn"] = "f" * 300

    lost, bounded = read_record(nameless), read_record(long)

    assert isinstance(lost, CallbackLost)
    assert lost.target == ""
    assert isinstance(bounded, CallbackLost)
    assert (bounded.target, bounded.reason) == ("f" * 256, "c" * 250 + ": EEEE")


def test_event_that_came_as_text_is_not_taken_for_another_systems() -> None:
    found = read_record(
        {
            "requestPayload": '{"to":"card 4111","_workpool":{',
            "requestContext": {"condition": "RetriesExhausted"},
        }
    )

    assert isinstance(found, UnreadableRecord)
    assert SECRET not in repr(found)

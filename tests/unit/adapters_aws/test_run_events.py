"""Events and records of runs, and the ledger's format for them [WP-30]."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.kit.records import NOW, an_assignment, an_id
from workpool_aws.adapters.items.ledger_packing import pack, unpack
from workpool_aws.adapters.items.reported_ends import REPORTED_ENDS
from workpool_aws.adapters.wire.assignment import (
    assignment_from_wire,
    run_event,
    run_from_wire,
    worker_event,
)
from workpool_aws.adapters.wire.destination import DestinationReport, read_record, records_of
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.report import REPORTED, carried_outcome
from workpool_aws.core import limits
from workpool_aws.core.proof import digest_of
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, ReportedEnd
from workpool_aws.model.messages import Assignment, Report, ReportKind
from workpool_aws.model.pages import Slots
from workpool_aws.model.spec import Outcome


def a_start(number: int, **changes: Any) -> Assignment:
    made = an_assignment(work_id=an_id(n=number))
    sent = {"permit": f"permit-{number}", "nonce": f"nonce-{number}"}
    return replace(made, **{**sent, "proof": digest_of(sent["nonce"]), **changes})


def run_of(*starts: Assignment) -> Any:
    return json.loads(run_event([(each, f'{{"n": 1.{n}0}}') for n, each in enumerate(starts)]))


STARTS = (a_start(1), a_start(2), a_start(3))


def test_run_has_event_of_each_start_as_it_would_be_alone() -> None:
    event = run_of(*STARTS)
    events = run_from_wire(event[WORKPOOL_KEY])

    assert events is not None
    assert events == tuple(
        json.loads(worker_event(f'{{"n": 1.{n}0}}', each)) for n, each in enumerate(STARTS)
    )
    assert b'"n": 1.10' in run_event([(STARTS[0], '{"n": 1.10}')])


def test_worker_that_knows_no_runs_reads_no_assignment_in_one() -> None:
    """[WP-30] It refuses the event before user code runs."""
    assert assignment_from_wire(run_of(*STARTS)[WORKPOOL_KEY]) is None
    assert run_from_wire(json.loads(worker_event("{}", STARTS[0]))[WORKPOOL_KEY]) is None


@pytest.mark.parametrize(
    "starts",
    [
        (STARTS[0], a_start(2, permit=None)),
        (STARTS[0], a_start(2, pool="another")),
        (STARTS[0], a_start(2, table="another")),
        (STARTS[0], a_start(2, job="another")),
        tuple(a_start(number) for number in range(1, limits.RUN_STARTS_MAX + 2)),
    ],
    ids=["made by the loop", "pool", "table", "job", "too many"],
)
def test_run_of_unlike_starts_is_damaged(starts: tuple[Assignment, ...]) -> None:
    """[WP-12]"""
    assert run_from_wire(run_of(*starts)[WORKPOOL_KEY]) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"run": []},
        {"run": "a text"},
        {"run": [1]},
        {"run": [{WORKPOOL_KEY: 1}]},
        {"run": [*run_of(*STARTS)[WORKPOOL_KEY]["run"], {}]},
    ],
)
def test_damaged_run_is_none(damage: dict[str, object]) -> None:
    """[WP-12]"""
    assert run_from_wire({**run_of(*STARTS)[WORKPOOL_KEY], **damage}) is None


def record_of(condition: str, answer: object, **changes: object) -> dict[str, object]:
    return {
        "version": "1.0",
        "requestContext": {"condition": condition, "functionArn": "arn:f:$LATEST"},
        "requestPayload": run_of(*STARTS),
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": answer,
        **changes,
    }


def reports_of(record: object) -> list[tuple[str, ReportKind]]:
    read = [read_record(each) for each in records_of(record)]
    return [
        (each.assignment.work_id, each.report.kind)
        for each in read
        if isinstance(each, DestinationReport) and each.report is not None
    ]


def test_record_of_run_that_failed_is_of_each_start() -> None:
    """[WP-30] Completion judges each by its own work item."""
    crashed = {"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}

    assert reports_of(record_of("RetriesExhausted", crashed)) == [
        (each.work_id, ReportKind.FAILED) for each in STARTS
    ]
    assert reports_of(record_of("Success", REPORTED)) == []


def test_success_of_run_that_no_worker_reported_is_of_no_start() -> None:
    """[WP-29] A function that is marked as decorated by mistake has run none of them."""
    assert reports_of(record_of("Success", {"some": "answer"})) == [
        (each.work_id, ReportKind.NEVER_DELIVERED) for each in STARTS
    ]


def test_record_of_single_start_or_of_others_stays_as_it_is() -> None:
    single = record_of("Success", 1, requestPayload=json.loads(worker_event("{}", STARTS[0])))

    assert records_of(single) == (single,)
    assert records_of("a text") == ("a text",)


LEAD = EntryKey(an_id(n=1), 1)
ALONE = EntryKey(an_id(n=5), 7)
ENTRIES = {
    LEAD: Entry(EpochMs(NOW + 90_000), confirmed=True, run=LEAD),
    EntryKey(an_id(n=2), 3): Entry(EpochMs(NOW - 3_000), run=LEAD),
    ALONE: Entry(EpochMs(NOW + 90_000)),
    # The first start of this run is over.
    EntryKey(an_id(n=9), 1): Entry(EpochMs(NOW), confirmed=True, run=EntryKey(an_id(n=3), 400)),
}


def test_error_of_run_gives_each_start_its_own_report() -> None:
    """[WP-30] [WP-28] The end of one, and that the next will not run. Others find none in it."""
    reports = (
        Report(kind=ReportKind.SUCCESS, result='"done"', claim="c"),
        Report(kind=ReportKind.NEVER_DELIVERED, error="cut short", claim="c"),
    )
    texts = [carried_outcome(*each) for each in zip(reports, STARTS[:2], strict=True)]
    record = {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": run_of(*STARTS),
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {
            "errorType": "ReportNotWritten",
            "errorMessage": "\n".join(reversed(texts)),
        },
    }
    read = [read_record(each) for each in records_of(record)]

    assert [each.report for each in read if isinstance(each, DestinationReport)] == [*reports, None]


def test_ledger_with_runs_comes_back_as_it_was() -> None:
    packed = pack(Slots(ENTRIES))

    assert unpack(packed) == Slots(ENTRIES)
    assert packed[0] == 3


def test_ledger_without_runs_is_packed_as_before() -> None:
    assert pack(Slots({ALONE: ENTRIES[ALONE]}))[0] == 2


@pytest.mark.parametrize("length", range(1, len(pack(Slots(ENTRIES)))))
def test_ledger_with_runs_that_is_cut_off_is_damaged(length: int) -> None:
    """[WP-12]"""
    packed = pack(Slots(ENTRIES))[:length]
    try:
        found = unpack(packed).head
    except ValueError:
        return
    # A cut between two entries looks whole, as in format 2.
    assert set(found) < set(ENTRIES)


@pytest.mark.parametrize(("at", "value"), [(1, 0), (1, 0x7E), (-1, 2)])
def test_ledger_with_impossible_run_is_damaged(at: int, value: int) -> None:
    """[WP-12] No runs, more than there are, or a place of none."""
    packed = bytearray(pack(Slots({LEAD: ENTRIES[LEAD]})))
    packed[at] = value
    with pytest.raises(ValueError, match=r"run|cut off|no id"):
        unpack(bytes(packed))


def test_ends_of_notice_come_back_as_they_were() -> None:
    ends = tuple(
        ReportedEnd(an_id(n=number), number, outcome)
        for number, outcome in enumerate((*Outcome, None), 1)
    )

    assert REPORTED_ENDS.decode(REPORTED_ENDS.encode(ends)) == ends


@pytest.mark.parametrize(
    "value",
    [
        "a text",
        [1],
        ["x"],
        [f"{an_id()}:1:x"],
        [f"{an_id()}:1"],
        [f"{an_id()}:{limits.STORED_STARTS_BELOW}:s"],
        [f"{an_id(n=n)}:1:s" for n in range(limits.RUN_STARTS_MAX)],
    ],
)
def test_damaged_ends_are_refused(value: object) -> None:
    """[WP-12]"""
    with pytest.raises(ValueError, match=r".+"):
        REPORTED_ENDS.decode(value)

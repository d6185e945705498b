"""Messages between Lambdas come back as they were, and no foreign or damaged one is taken for ours."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workpool_aws.adapters.sealed import seal, unseal
from workpool_aws.adapters.wire.assignment import (
    assignment_from_wire,
    assignment_to_wire,
    retry_from_wire,
    retry_to_wire,
    worker_event,
)
from workpool_aws.adapters.wire.callback import callback_event, ticket_from_wire, ticket_to_wire
from workpool_aws.adapters.wire.destination import read_destination
from workpool_aws.adapters.wire.loop import request_from_wire, request_to_wire
from workpool_aws.adapters.wire.report import REPORTED, carried_outcome, read_carried
from workpool_aws.core import limits
from workpool_aws.core.payload import encode_result
from workpool_aws.core.proof import digest_of
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.messages import (
    Assignment,
    CallbackMessage,
    CallbackTicket,
    LoopRequest,
    Report,
    ReportKind,
)
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Kind, Outcome
from workpool_aws.model.trace import TraceContext

ID = WorkId(make_id(EpochMs(1_700_000_000_000), random_bits=7))
OTHER_ID = WorkId(make_id(EpochMs(1_700_000_000_001), random_bits=8))
ASSIGNMENT = Assignment(
    table="t-1",
    pool="email",
    work_id=ID,
    start=3,
    attempts_made=2,
    kind=Kind.ACTION,
    retry=RetryPolicy(max_attempts=4, base=1.5, max_backoff=timedelta(seconds=9)),
    claimed=True,
    retention_s=86_400,
    start_by=EpochMs(1_700_000_100_000),
    loop_until=EpochMs(1_700_000_005_000),
    args_chunks=3,
    nonce="a-nonce",
    proof=digest_of("a-nonce"),
)
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:send:live"

TIMES = st.integers(0, limits.STORED_WORK_MS_BELOW - 1).map(EpochMs)
BACKOFFS = st.timedeltas(timedelta(0), timedelta(days=366))
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 1000),
    initial_backoff=BACKOFFS,
    base=st.floats(1, 100) | st.integers(1, 100),
    max_backoff=st.none() | BACKOFFS,
    jitter=st.booleans(),
)
ASSIGNMENTS = st.builds(
    Assignment,
    table=st.text("abcXYZ019_.-", min_size=3, max_size=40),
    pool=st.text("abcXYZ019_-", min_size=1, max_size=40),
    work_id=st.builds(
        make_id, TIMES, random_bits=st.integers(0, 2**75 - 1), shard=st.integers(0, 31)
    ).map(WorkId),
    start=st.integers(1, 10**6 - 1),
    attempts_made=st.integers(0, 1000),
    kind=st.sampled_from(Kind),
    retry=st.none() | POLICIES,
    claimed=st.booleans(),
    retention_s=st.none() | st.integers(0, limits.RETENTION_S_MAX),
    start_by=TIMES,
    loop_until=st.none() | TIMES,
    args_chunks=st.none() | st.integers(1, 3),
    nonce=st.none() | st.text("abcXYZ019_-", min_size=1, max_size=64),
).map(lambda made: replace(made, proof=None if made.nonce is None else digest_of(made.nonce)))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=8,
)
REPORTS = st.builds(
    Report,
    kind=st.just(ReportKind.SUCCESS),
    result=JSON_VALUES.map(lambda value: encode_result(value, limits.PAYLOAD_BYTES_MAX)),
    claim=st.none() | st.text("abc_-9", min_size=16, max_size=16),
) | st.builds(
    Report,
    kind=st.sampled_from([ReportKind.FAILED, ReportKind.NEVER_DELIVERED]),
    error=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    error_type=st.none() | st.just("ValueError"),
    retryable=st.booleans(),
    delay_ms=st.none() | st.integers(0, limits.DELAY_MS_MAX),
    claim=st.none() | st.just("token"),
)


def record(condition="Success", *, assignment=ASSIGNMENT, **changes):
    """A destination record as Lambda writes it."""
    made = {
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "requestContext": {
            "requestId": "r",
            "functionArn": FUNCTION,
            "condition": condition,
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"to": "a@example.com", "_workpool": assignment_to_wire(assignment)},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": None,
    }
    if condition != "Success":
        made["responseContext"]["functionError"] = "Unhandled"
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def failed(message, error_type):
    return read_destination(
        record(
            "RetriesExhausted", responsePayload={"errorMessage": message, "errorType": error_type}
        )
    ).report


@settings(deadline=None)
@given(ASSIGNMENTS)
def test_assignments_come_back_as_they_were(assignment):
    assert (
        assignment_from_wire(json.loads(json.dumps(assignment_to_wire(assignment)))) == assignment
    )


@pytest.mark.peer("LP22")
def test_assignments_of_later_writer_may_have_more_fields():
    assert assignment_from_wire({**assignment_to_wire(ASSIGNMENT), "color": "red"}) == ASSIGNMENT


@pytest.mark.peer("LP22")
def test_assignments_may_lack_what_may_be_none():
    wire = assignment_to_wire(
        replace(ASSIGNMENT, retry=None, retention_s=None, loop_until=None, args_chunks=None)
    )
    for name in ("retry", "retention_s", "loop_until", "args_chunks"):
        del wire[name]
    assert assignment_from_wire(wire) == replace(
        ASSIGNMENT, retry=None, retention_s=None, loop_until=None, args_chunks=None
    )


@pytest.mark.parametrize(
    "value",
    [None, "x", 7, [], {}, REPORTED, {"version": 1}, {"_workpool": assignment_to_wire(ASSIGNMENT)}],
)
def test_assignments_of_others_are_none(value):
    assert assignment_from_wire(value) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 2),
        ("version", True),
        ("version", None),
        ("table", ""),
        ("table", 5),
        ("pool", "a b"),
        ("pool", "p" * 41),
        ("work_id", "01"),
        ("work_id", ID.lower()),
        ("work_id", make_id(EpochMs(limits.STORED_WORK_MS_BELOW), random_bits=1)),
        ("start", 0),
        ("start", True),
        ("start", "3"),
        ("start", 3.5),
        ("attempts_made", -1),
        ("kind", "chore"),
        ("claimed", 1),
        ("claimed", None),
        ("retention_s", -1),
        ("start_by", None),
        ("loop_until", "soon"),
        ("args_chunks", 0),
        ("retry", 5),
        (
            "retry",
            {
                "max_attempts": 0,
                "initial_backoff_us": 0,
                "base": 1,
                "max_backoff_us": None,
                "jitter": True,
            },
        ),
        (
            "retry",
            {
                "max_attempts": 2,
                "initial_backoff_us": 10**30,
                "base": 1,
                "max_backoff_us": None,
                "jitter": True,
            },
        ),
        (
            "retry",
            {
                "max_attempts": 2,
                "initial_backoff_us": 1,
                "base": "2",
                "max_backoff_us": None,
                "jitter": True,
            },
        ),
    ],
)
def test_assignments_with_one_bad_field_are_none(name, value):
    assert assignment_from_wire({**assignment_to_wire(ASSIGNMENT), name: value}) is None


ARGUMENT_NAMES = st.text(st.characters(exclude_categories=["Cs"])).filter(
    lambda name: name != "_workpool"
)
"""Enqueueing refuses the reserved name."""


@settings(deadline=None)
@given(st.dictionaries(ARGUMENT_NAMES, JSON_VALUES, max_size=5), st.booleans())
def test_worker_events_are_arguments_and_assignment(args, ascii_only):
    text = json.dumps(args, ensure_ascii=ascii_only)
    event = json.loads(worker_event(text, ASSIGNMENT))
    assert assignment_from_wire(event.pop("_workpool")) == ASSIGNMENT
    assert event == args
    assert list(event) == list(args)


def test_worker_events_keep_spelling_of_every_number_and_order_of_keys():
    event = worker_event('{"z":1.0,"a":1e400,"m":0.1000,"n":12345678901234567890123}', ASSIGNMENT)
    assert event.startswith(
        b'{"z":1.0,"a":1e400,"m":0.1000,"n":12345678901234567890123,"_workpool":{'
    )


def test_event_of_largest_arguments_fits():
    """[WP-11] With the longest names there are; what one reading of Lambda's 1 MB allows."""
    largest = replace(
        ASSIGNMENT,
        table="t" * 255,
        pool="p" * 40,
        retry=RetryPolicy(max_backoff=timedelta(days=366)),
    )

    event = worker_event('{"x":"' + "a" * (limits.PAYLOAD_BYTES_MAX - 8) + '"}', largest)

    assert len(event) <= limits.PAYLOAD_BYTES_MAX + limits.ASSIGNMENT_BYTES_MAX <= 1_000_000


@pytest.mark.parametrize(
    "args",
    [
        '{"_workpool":{}}',
        '{"a":1,"_workpool":null,"b":2}',
        '{"_workpool":1,"_workpool":2}',
        '{"\\u005fworkpool":{}}',
        '{"_work\\u0070ool":{"version":1}}',
        '{"a":1},"_workpool":{}',
        '{"a":1}{"b":2}',
        '{"a":1},{"b":2}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1,}',
        '{"a":"\x01"}',
        "{'a':1}",
        '\ufeff{"a":1}',
        '\u00a0{"a":1}',
        '{"a":' + "[" * 100_000 + "}",
        "",
        "[]",
        "null",
        "{",
        "}",
        '"{}"',
        '{"a":1}]',
        '{"a":"\ud800"}',
    ],
    ids=lambda args: ascii(args)[:30],
)
def test_worker_events_are_made_of_exactly_one_object_without_our_key(args):
    """[WP-28] Nothing is spliced that was not parsed."""
    with pytest.raises(ValueError):  # noqa: PT011 - two kinds of ValueError, one meaning
        worker_event(args, ASSIGNMENT)


@pytest.mark.parametrize(
    "args",
    [
        '{"a":{"_workpool":1}}',
        '{"_workpool2":1}',
        ' {"a":1} ',
        "{}",
        '{"a":1,"a":2}',
        '{"n":' + "9" * 5_000 + "}",
    ],
)
def test_worker_events_take_any_other_object_as_it_is_spelled(args):
    event = worker_event(args, ASSIGNMENT).decode()
    assert event.startswith(args.strip()[:-1])
    assert event.endswith("}}")


SMUGGLED = [
    'null,"_workpool":{"version":1}',
    "null,",
    "1 2",
    "{}{}",
    "NaN",
    "",
    " ",
    "[1",
    "'x'",
    '"\x02"',
    '"\ud800"',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", SMUGGLED, ids=lambda text: ascii(text)[:30])
def test_callbacks_are_made_of_single_values(text):
    """[WP-28] [WP-8] What is stored as context or result adds no key to the event."""
    with pytest.raises(ValueError, match="cannot be sent"):
        callback_event(a_message(context=text))
    with pytest.raises(ValueError, match="cannot be sent"):
        callback_event(a_message(result=text))


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "1",
        "1e400",
        "-0.0",
        "12345678901234567890123",
        "9" * 5_000,
        '{"a": 1, "a":2}',
        " [1 , 2] ",
    ],
)
def test_callbacks_keep_numbers_as_they_are_spelled(text):
    event = callback_event(a_message(context=text, result=text))
    assert (
        f'"context":{text.strip()},"result":{{"kind":"success","return_value":{text.strip()}}}}}'
        in event
    )


@settings(deadline=None)
@given(
    st.builds(
        LoopRequest,
        table=st.just("t.1"),
        pool=st.text("ab_-9", min_size=1, max_size=40),
        generation=st.none() | st.integers(0, 2**53),
    )
)
def test_loop_orders_come_back_as_they_were(order):
    assert request_from_wire(json.loads(json.dumps(request_to_wire(order)))) == order


def test_loop_orders_stand_under_one_key():
    assert request_to_wire(LoopRequest(table="t", pool="p", generation=4)) == {
        "workpool_loop": {"version": 1, "table": "t", "pool": "p", "generation": 4}
    }


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"workpool_loop": None},
        {"workpool_loop": {"version": 2, "table": "t", "pool": "p", "generation": 4}},
        {"workpool_loop": {"version": 1, "table": "t", "generation": 4}},
        {"workpool_loop": {"version": 1, "table": "t", "pool": "p", "generation": -4}},
        {"workpool_loop": {"version": 1, "table": "t", "pool": "p", "generation": "4"}},
        {"version": 1, "table": "t", "pool": "p", "generation": 4},
    ],
)
def test_loop_orders_of_others_are_none(event):
    assert request_from_wire(event) is None


@settings(deadline=None)
@given(REPORTS)
def test_carried_reports_come_back_as_they_were(report):
    assert read_carried(carried_outcome(report, ASSIGNMENT), ASSIGNMENT) == report


@settings(deadline=None)
@given(REPORTS)
def test_carried_reports_survive_way_through_destination(report):
    payload = {"errorMessage": carried_outcome(report, ASSIGNMENT), "errorType": "ReportNotWritten"}
    told = read_destination(
        json.loads(json.dumps(record("RetriesExhausted", responsePayload=payload)))
    )
    assert told.report == report


def test_carried_reports_are_plain_ascii_so_that_any_runtime_passes_them_on():
    assert carried_outcome(Report(kind=ReportKind.FAILED, error="\ud800 ü"), ASSIGNMENT).isascii()


def test_answer_of_worker_that_reported_is_as_every_version_reads_it():
    assert REPORTED == {"_workpool": {"reported": True}}


def test_carried_reports_of_another_start_or_work_are_not_taken():
    text = carried_outcome(Report(kind=ReportKind.SUCCESS, result="1"), ASSIGNMENT)
    assert read_carried(text, replace(ASSIGNMENT, start=4)) is None
    assert read_carried(text, replace(ASSIGNMENT, work_id=OTHER_ID)) is None


def sealed(fields, nonce="a-nonce"):
    """A report as a worker that knows this nonce could write it."""
    return "workpool report sealed " + seal(
        nonce, fields if isinstance(fields, str) else json.dumps(fields)
    )


CARRIED = {
    "version": 1,
    "work_id": ID,
    "start": 3,
    "kind": "success",
    "result": "1",
    "error": None,
    "error_type": None,
    "retryable": True,
    "delay_ms": None,
    "claim": None,
}


@pytest.mark.parametrize("change", [{"version": 2}, {"kind": "canceled"}, {"kind": None}, {"result": None}, {"result": "{"}, {"result": 1},
                                    {"retryable": 1}, {"delay_ms": -1}, {"start": 0}, {"start": 4}, {"work_id": "x"}, {"work_id": OTHER_ID},
                                    {"claim": 5}, {"result": "NaN"}, {"result": "[Infinity]"}, {"result": "1 2"}, {"result": '"\\ud800"'},
                                    {"result": "[" * 101 + "]" * 101}, {"result": "[" * 100_000}, {"result": "9" * 5_000},
                                    {"result": '"' + "x" * limits.PAYLOAD_BYTES_MAX + '"'}])  # fmt: skip
def test_carried_reports_with_one_bad_field_are_none(change):
    """[WP-28] A report that proves its origin may be damaged, or of a user's own code, all the same."""
    assert read_carried(sealed(CARRIED), ASSIGNMENT) == Report(kind=ReportKind.SUCCESS, result="1")
    assert read_carried(sealed({**CARRIED, **change}), ASSIGNMENT) is None


@pytest.mark.parametrize(
    ("said", "kept"), [(10**18, limits.DELAY_MS_MAX), (10**400, limits.DELAY_MS_MAX), (5, 5)]
)
def test_delay_of_carried_report_is_year_at_most(said, kept):
    report = read_carried(sealed({**CARRIED, "kind": "failed", "delay_ms": said}), ASSIGNMENT)
    assert report is not None
    assert report.delay_ms == kept


def test_texts_of_carried_report_are_cut_and_storable():
    report = read_carried(
        sealed(
            {**CARRIED, "kind": "failed", "error": "\ud800" + "x" * 9_999, "error_type": "T" * 999}
        ),
        ASSIGNMENT,
    )
    assert report is not None
    assert (len(report.error), len(report.error_type)) == (limits.ERROR_TEXT_MAX, 256)
    report.error.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "boom",
        "workpool report ",
        "workpool report {",
        "workpool report " + json.dumps(CARRIED),
        "workpool report sealed ",
        "workpool report sealed " + json.dumps(CARRIED),
        sealed(CARRIED, "another nonce"),
        sealed(CARRIED)[:-1],
        sealed(CARRIED) + "0",
        "x" + sealed(CARRIED),
        seal("a-nonce", json.dumps(CARRIED)),
        sealed(CARRIED, "another nonce") + "\n" + seal("a-nonce", json.dumps(CARRIED)),
        sealed("{"),
        sealed("[]"),
        sealed(CARRIED).replace("sealed ", "sealed \N{SNOWMAN}"),
    ],
    ids=lambda text: text[:30],
)
def test_carried_reports_that_prove_nothing_are_none(text):
    """[WP-28] A text is a report only by the nonce of its start; what version 0.1 carried has none."""
    assert read_carried(text, ASSIGNMENT) is None


@given(text=st.text(max_size=60), at=st.integers(0, 10**6), bit=st.integers(0, 6))
def test_seal_that_was_changed_opens_nothing(text, at, bit):
    """[WP-28] Whatever is changed, also where only the text's own bytes are."""
    whole = seal("a-nonce", text)
    assert unseal("a-nonce", whole, bytes_max=1_000) == text
    raw = bytearray(base64.b85decode(whole))
    raw[at % len(raw)] ^= 1 << bit
    assert unseal("a-nonce", base64.b85encode(bytes(raw)).decode(), bytes_max=1_000) is None


def test_seal_that_unfolds_without_end_is_not_unfolded():
    bomb = seal("a-nonce", "x" * 50_000_000)

    assert len(bomb) < 100_000
    assert unseal("a-nonce", bomb, bytes_max=1_000) is None


def test_carried_report_shows_neither_result_nor_token_nor_nonce():
    """Lambda logs it."""
    report = Report(kind=ReportKind.SUCCESS, result='"top secret"', claim="claim-token-123456")

    text = carried_outcome(report, ASSIGNMENT)

    assert not any(secret in text for secret in ("secret", "claim-token", "a-nonce", "success"))


def test_start_of_0_1_is_reported_in_its_words():
    """Its completion function, too, may be of 0.1."""
    text = carried_outcome(
        Report(kind=ReportKind.SUCCESS, result="1"), replace(ASSIGNMENT, nonce=None, proof=None)
    )

    assert json.loads(text.removeprefix("workpool report ")) == CARRIED


@pytest.mark.parametrize(
    "text",
    [
        sealed(CARRIED, "another"),
        "workpool report " + json.dumps(CARRIED),
        sealed({**CARRIED, "result": "NaN"}),
    ],
    ids=["forged", "0.1", "NaN"],
)
def test_destination_records_of_worker_whose_report_proves_nothing_have_none(text):
    """[WP-28] It is not known what that start came to, a success maybe: recovery ends it."""
    told = read_destination(
        record(
            "RetriesExhausted",
            responsePayload={"errorMessage": text, "errorType": "ReportNotWritten"},
        )
    )
    assert told is not None
    assert told.report is None


@pytest.mark.parametrize(
    "error_type", ["RuntimeError", "", "ReportNotWrittenError", "Runtime.ExitError"]
)
@pytest.mark.parametrize(
    "text",
    [sealed(CARRIED), "workpool report " + json.dumps({**CARRIED, "kind": "never_delivered"})],
    ids=["ours", "0.1"],
)
def test_error_of_another_class_is_failure_whatever_its_text(text, error_type):
    """[WP-28] `raise RuntimeError(response.text)`: the text is the remote's."""
    report = failed(text, error_type)
    assert report is not None
    assert (report.kind, report.error) == (ReportKind.FAILED, text)


def test_text_of_ours_under_our_class_without_nonce_in_record_is_no_report():
    old = replace(ASSIGNMENT, nonce=None, proof=None)
    text = carried_outcome(Report(kind=ReportKind.SUCCESS, result="1"), old)
    payload = {"errorMessage": text, "errorType": "ReportNotWritten"}
    told = read_destination(record("RetriesExhausted", assignment=old, responsePayload=payload))
    assert told is not None
    assert told.report is None


def test_destination_records_of_success_give_result_as_compact_json():
    told = read_destination(record(responsePayload={"n": 1, "t": "ü", "l": [None, 1.5]}))
    assert told.report == Report(kind=ReportKind.SUCCESS, result='{"n":1,"t":"ü","l":[null,1.5]}')
    assert (told.assignment, told.function_arn) == (ASSIGNMENT, FUNCTION)


@pytest.mark.parametrize("payload", [None, ...], ids=["null", "missing"])
def test_destination_records_of_success_without_value_give_null(payload):
    assert read_destination(record(responsePayload=payload)).report == Report(
        kind=ReportKind.SUCCESS, result="null"
    )


def test_destination_records_of_success_that_is_too_large_fail_for_good():
    most = "x" * (limits.PAYLOAD_BYTES_MAX - 2)
    assert read_destination(record(responsePayload=most)).report.kind is ReportKind.SUCCESS
    report = read_destination(record(responsePayload=most + "x")).report
    assert (report.kind, report.error_type, report.retryable) == (
        ReportKind.FAILED,
        "invalid_result",
        False,
    )
    assert str(limits.PAYLOAD_BYTES_MAX) in report.error


def test_destination_records_of_success_that_is_not_json_fail_for_good():
    report = read_destination(record(responsePayload=[float("nan")])).report
    assert (report.kind, report.error_type, report.retryable) == (
        ReportKind.FAILED,
        "invalid_result",
        False,
    )


def test_destination_records_of_worker_that_has_reported_ask_for_nothing():
    assert read_destination(record(responsePayload=json.loads(json.dumps(REPORTED)))) is None


@pytest.mark.parametrize(
    "payload",
    [
        {"_workpool": {"reported": False}},
        {**REPORTED, "n": 1},
        {"_workpool": {"reported": True, "n": 1}},
    ],
)
def test_destination_records_of_worker_that_returns_something_like_it_are_results(payload):
    assert read_destination(record(responsePayload=payload)).report == Report(
        kind=ReportKind.SUCCESS, result=json.dumps(payload, separators=(",", ":"))
    )


def test_destination_records_of_worker_that_returns_its_event_keep_assignment_out():
    event = {"n": 1, "_workpool": assignment_to_wire(ASSIGNMENT)}
    payload = [event, {"event": event, "_workpool": "its own"}]

    report = read_destination(record(responsePayload=payload)).report

    assert report.result == '[{"n":1},{"event":{"n":1},"_workpool":"its own"}]'


@pytest.mark.parametrize(
    ("message", "given_type", "error_type"),
    [
        ("no such user", "KeyError", "KeyError"),
        ("x", "com.example.OddException", "com.example.OddException"),
        ("2026-01-01T00:00:00Z 1-2-3 Task timed out after 3.00 seconds", "", "timeout"),
        ("RequestId: 1 Error: Task timed out after 5.00 seconds", "Sandbox.Timedout", "timeout"),
        (
            "RequestId: 1 Error: Runtime exited with error: signal: killed",
            "Runtime.ExitError",
            "crashed",
        ),
        ("RequestId: 1 Error: Runtime exited", "Runtime.OutOfMemory", "crashed"),
        ("RequestId: 1 Process exited before completing request", "", "crashed"),
        ("Worker process died", "Runtime.HandlerError", "crashed"),
        ("No module named 'x'", "Runtime.ImportModuleError", "Runtime.ImportModuleError"),
        ("upstream said: Task timed out after 3 s", "UpstreamError", "UpstreamError"),
        ("child: signal: killed, out of memory", "CalledProcessError", "CalledProcessError"),
        ("boom", "", "Error"),
        ("", "", "no_report"),
    ],
)
@pytest.mark.peer("RC06")
def test_destination_records_of_failure_name_its_type(message, given_type, error_type):
    assert failed(message, given_type) == Report(
        kind=ReportKind.FAILED, error=message or None, error_type=error_type
    )


@given(POLICIES)
def test_retry_policy_keeps_every_microsecond_in_messages(policy: RetryPolicy) -> None:
    assert retry_from_wire(json.loads(json.dumps(retry_to_wire(policy)))) == policy


@pytest.mark.parametrize(
    ("given_type", "error_type"),
    [
        ("NonRetryableError", "NonRetryableError"),
        ("Runtime.MarshalError", "invalid_result"),
        ("Function.ResponseSizeTooLarge", "invalid_result"),
    ],
)
@pytest.mark.peer("ER02")
def test_destination_records_of_failure_that_no_retry_can_heal_say_so(given_type, error_type):
    assert failed("no", given_type) == Report(
        kind=ReportKind.FAILED, error="no", error_type=error_type, retryable=False
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"errorMessage": "boom", "errorType": "KeyError"}',
        {"errorMessage": "boom", "errorType": "KeyError"},
    ],
)
def test_destination_records_of_failure_may_have_their_payload_as_text(text):
    report = read_destination(record("RetriesExhausted", responsePayload=text)).report
    assert report == Report(kind=ReportKind.FAILED, error="boom", error_type="KeyError")


@pytest.mark.parametrize("text", ["boom", "[1]", "{"])
def test_destination_records_of_failure_with_plain_text_keep_text(text):
    report = read_destination(record("RetriesExhausted", responsePayload=text)).report
    assert report == Report(kind=ReportKind.FAILED, error=text, error_type="Error")


@pytest.mark.parametrize("payload", [..., None, "", 7, [1]])
@pytest.mark.parametrize("context", [..., None, {"statusCode": 200, "functionError": "Unhandled"}])
def test_destination_records_of_failure_without_answer_have_no_report(payload, context):
    report = read_destination(
        record("RetriesExhausted", responsePayload=payload, responseContext=context)
    ).report
    assert (report.kind, report.error_type, report.retryable) == (
        ReportKind.FAILED,
        "no_report",
        True,
    )


@pytest.mark.parametrize(
    "condition", ["EventAgeExceeded", "ZeroReservedConcurrency", "SomethingNew"]
)
def test_destination_records_of_event_that_never_ran_are_no_failure(condition):
    report = read_destination(record(condition, responsePayload=..., responseContext=...)).report
    assert report == Report(
        kind=ReportKind.NEVER_DELIVERED, error=f"Lambda gave the event up: {condition}"
    )


@pytest.mark.parametrize("status", [400, 429, 500])
def test_destination_records_of_event_that_lambda_itself_refused_are_no_failure(status):
    refused = record(
        "RetriesExhausted",
        responseContext={"statusCode": status},
        responsePayload={"errorMessage": "Rate Exceeded."},
    )
    assert read_destination(refused).report.kind is ReportKind.NEVER_DELIVERED


def test_destination_records_of_event_that_grew_too_old_after_user_code_failed_are_failure():
    report = read_destination(
        record(
            "EventAgeExceeded", responsePayload={"errorMessage": "boom", "errorType": "KeyError"}
        )
    ).report
    assert report == Report(kind=ReportKind.FAILED, error="boom", error_type="KeyError")


def test_destination_records_cut_long_error_texts():
    error = failed("x" * 10_000, "KeyError").error
    assert (len(error), error[-2:]) == (limits.ERROR_TEXT_MAX, "x…")
    assert failed("x" * limits.ERROR_TEXT_MAX, "KeyError").error == "x" * limits.ERROR_TEXT_MAX


def test_destination_records_make_error_texts_storable():
    assert failed("half \ud800 pair", "Key\udfffError") == Report(
        kind=ReportKind.FAILED, error="half \\ud800 pair", error_type="Key\\udfffError"
    )


def test_destination_records_of_emulator_may_lack_version_and_request_id():
    reduced = record(
        "RetriesExhausted",
        version=...,
        timestamp=...,
        requestContext={
            "functionArn": FUNCTION,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        responseContext={"statusCode": 200, "functionError": "Unhandled"},
        responsePayload={
            "errorMessage": "Task timed out after 5.00 seconds",
            "errorType": "Sandbox.Timedout",
        },
    )
    assert read_destination(reduced).report.error_type == "timeout"


def test_destination_records_without_function_say_none():
    assert read_destination(record(requestContext={"condition": "Success"})).function_arn is None


def test_destination_records_with_forged_report_of_another_start_stay_failure():
    forged = carried_outcome(
        Report(kind=ReportKind.SUCCESS, result='"paid"'), replace(ASSIGNMENT, start=2)
    )
    assert failed(forged, "ValueError").kind is ReportKind.FAILED


@pytest.mark.parametrize(
    "foreign",
    [
        None,
        "text",
        [],
        {},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        record(requestPayload=...),
        record(requestPayload="text"),
        record(requestPayload={"to": "a@example.com"}),
        record(requestPayload={"_workpool": {"version": 1}}),
        record(requestPayload={"_workpool": {**assignment_to_wire(ASSIGNMENT), "version": 2}}),
        record(requestContext=...),
        record(requestContext="Success"),
        record(requestContext={"functionArn": FUNCTION}),
        record(requestContext={"functionArn": FUNCTION, "condition": 5}),
        {"requestContext": {"condition": "Success"}, "requestPayload": [], "responsePayload": 1},
    ],
)
def test_destination_records_of_others_are_nothing(foreign):
    assert read_destination(foreign) is None


@settings(deadline=None)
@given(st.recursive(JSON_VALUES, lambda inner: st.fixed_dictionaries({
    "requestContext": inner | st.just({"condition": "RetriesExhausted"}),
    "requestPayload": inner | st.just({"_workpool": assignment_to_wire(ASSIGNMENT)}),
    "responseContext": inner,
    "responsePayload": inner,
}), max_leaves=10))  # fmt: skip
def test_destination_records_never_raise_whatever_they_are(anything):
    told = read_destination(anything)
    assert told is None or told.assignment == ASSIGNMENT


def test_reading_wire_does_not_load_boto3():
    code = "import sys, workpool_aws.adapters.wire.destination; print([m for m in ('boto3', 'botocore', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def a_message(**changes: Any) -> CallbackMessage:
    ended = CallbackMessage(
        work_id=ID,
        context=None,
        outcome=Outcome.SUCCESS,
        result=None,
        error=None,
        error_type=None,
        ticket=None,
    )
    return replace(ended, **changes)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]))
    | st.text(st.sampled_from('\ufffd\ufffe\uffff\U0001fffe\U0010ffff\x7f\x85\\"\n'))
)
@settings(max_examples=40, deadline=None)
def test_every_body_has_only_characters_that_sqs_and_sns_take_and_says_same(text: str) -> None:
    """SendMessage takes #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."""
    told = json.dumps({text: [text]}, ensure_ascii=False)
    for event in (
        callback_event(a_message(context=told, result=told)),
        callback_event(
            a_message(outcome=Outcome.FAILED, context=told, error=text, error_type=text)
        ),
    ):
        refused = [
            each
            for each in event
            if not (
                each in "\t\n\r"
                or " " <= each <= "\ud7ff"
                or "\ue000" <= each <= "\ufffd"
                or each > "\uffff"
            )
        ]
        assert refused == []
        assert json.loads(event)["context"] == {text: [text]}
        assert text in (
            json.loads(event)["result"].get("error", text),
            *json.loads(event)["result"].get("return_value", {}),
        )


@pytest.mark.parametrize(
    "nonce", ["", "é", "\ud800", "x" * (limits.NONCE_LENGTH_MAX + 1), 7, ["x"]]
)
def test_assignment_whose_nonce_cannot_be_one_is_none(nonce):
    """[WP-28]"""
    sent = assignment_to_wire(ASSIGNMENT)

    assert assignment_from_wire({**sent, "nonce": "x" * limits.NONCE_LENGTH_MAX}) is not None
    assert assignment_from_wire({**sent, "nonce": nonce}) is None


def test_carried_report_of_largest_result_comes_back_though_each_character_is_escaped():
    result = json.dumps('"' * (limits.PAYLOAD_BYTES_MAX // 2 - 1))
    report = Report(kind=ReportKind.SUCCESS, result=result, claim="claim-token-123456")

    assert len(result) == limits.PAYLOAD_BYTES_MAX
    assert read_carried(carried_outcome(report, ASSIGNMENT), ASSIGNMENT) == report


def test_assignment_and_ticket_of_which_everything_is_known_come_back_as_they_were():
    trace = TraceContext(parent=f"00-{'a' * 32}-{'b' * 16}-01", state="vendor=1", linked=True)
    assignment = replace(
        ASSIGNMENT,
        start=7,
        attempts_made=3,
        kind=Kind.QUERY,
        retry=RetryPolicy(max_attempts=4),
        claimed=True,
        loop_until=EpochMs(5),
        args_chunks=1,
        context_chunks=2,
        callback_outcomes=(Outcome.FAILED,),
        awaited=True,
        unique=True,
        grouped=True,
        timeout_ms=limits.TIMEOUT_MS_MAX,
        heartbeat_ms=limits.HEARTBEAT_MS_MIN,
        job="mail.send",
        label="mail.send",
        nonce="n" * 16,
        proof=digest_of("n" * 16),
        permit="p" * 16,
        trace=trace,
        sent_at=EpochMs(6),
    )
    ticket = CallbackTicket(
        table=assignment.table,
        pool=assignment.pool,
        work_id=assignment.work_id,
        retention_s=7,
        job="mail.sent",
        nonce="n" * 16,
        trace=trace,
    )

    assert (
        assignment_from_wire(json.loads(json.dumps(assignment_to_wire(assignment)))) == assignment
    )
    assert ticket_from_wire(json.loads(json.dumps(ticket_to_wire(ticket)))) == ticket


def test_job_travels_with_assignment_and_ticket():
    assignment = replace(ASSIGNMENT, job="mail.send")
    sent = json.loads(json.dumps(assignment_to_wire(assignment)))

    assert assignment_from_wire(sent).job == "mail.send"
    assert "job" not in assignment_to_wire(ASSIGNMENT)
    assert assignment_from_wire(assignment_to_wire(ASSIGNMENT)).job is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("table", "a b"), ("table", "t" * 256), ("label", "a b"), ("label", "x" * 141)],
)
def test_assignment_of_names_that_cannot_be_is_none(name, value):
    assert assignment_from_wire({**assignment_to_wire(ASSIGNMENT), name: value}) is None


@pytest.mark.parametrize("job", ["", "a b", "x" * 65, ["send"], 5])
def test_assignment_of_what_no_job_is_called_is_none(job):
    assert assignment_from_wire({**assignment_to_wire(ASSIGNMENT), "job": job}) is None


def test_label_is_that_of_job_or_its_own():
    jobless = replace(ASSIGNMENT, label="send_email")
    of_a_job = replace(ASSIGNMENT, job="mail.send", label="mail.send")

    assert assignment_from_wire(assignment_to_wire(jobless)) == jobless
    assert assignment_from_wire(assignment_to_wire(of_a_job)) == of_a_job


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("start", 1, limits.STORED_STARTS_BELOW - 1),
        ("attempts_made", 0, limits.STORED_STARTS_BELOW - 1),
        ("retention_s", 0, limits.RETENTION_S_MAX),
        ("start_by", 0, limits.STORED_MS_BELOW - 1),
        ("loop_until", 0, limits.STORED_MS_BELOW - 1),
        ("args_chunks", 1, limits.CHUNKS_MAX),
        ("context_chunks", 1, limits.CHUNKS_MAX),
    ],
)
def test_numbers_of_assignment_have_bounds(name, least, most):
    sent = assignment_to_wire(ASSIGNMENT)

    read = {
        value: assignment_from_wire({**sent, name: value}) is not None
        for value in (least - 1, least, most, most + 1)
    }

    assert list(read.values()) == [False, True, True, False]

"""A field's form reads nothing that cannot be meant, and writes nothing that it would not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.adapters.items import deployed_jobs, forms
from workpool_aws.adapters.items.codec import decode, encode
from workpool_aws.adapters.items.error_marks import ERROR_MARKS
from workpool_aws.adapters.items.group import GROUP_END, MEMBER_OUTCOMES
from workpool_aws.adapters.items.job_tallies import JOB_TALLIES
from workpool_aws.adapters.items.ledger_forms import DEPLOYED_LIMITS, GUEST_STARTS, TALLY
from workpool_aws.adapters.items.rates import DEPLOYED_RATES
from workpool_aws.adapters.items.reported_ends import REPORTED_ENDS
from workpool_aws.adapters.items.row_filters import NOT_STARTED
from workpool_aws.adapters.items.schedule import PAST
from workpool_aws.adapters.items.work import HISTORY
from workpool_aws.adapters.memory.evaluate import holds
from workpool_aws.core import limits
from workpool_aws.model.error_marks import ErrorMark, MarkKind
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import (
    DeployedJob,
    DeployedLimit,
    DeployedRate,
    GuestStarts,
    MinuteTally,
    ReportedEnd,
)
from workpool_aws.model.rate import RateLimit
from workpool_aws.model.record import Record
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.schedule import PastRun, ScheduleItem, Timing
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, GroupEnd, PastAttempt, State, WorkItem

ID = an_id()
LATE = limits.STORED_MS_BELOW
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f"
JOB = forms.FieldCodec("a job", deployed_jobs.encode, deployed_jobs.decode)
MARK = ErrorMark("0" * 16, MarkKind.RESOLVED, EpochMs(1), EpochMs(LATE - 1), "ann: a\nb")
RATE = RateLimit.parse("5/1m")
ATTEMPT = PastAttempt(
    number=1,
    started_at=NOW,
    ended_at=NOW,
    outcome=AttemptEnd.FAILED,
    error_type="E",
    error="x",
)
READ: list[tuple[forms.FieldCodec, object, object]] = [
    (GROUP_END, "s:g-1", GroupEnd("g-1", Outcome.SUCCESS)),
    (
        MEMBER_OUTCOMES,
        b"x" * limits.GROUP_OUTCOMES_BYTES_MAX,
        b"x" * limits.GROUP_OUTCOMES_BYTES_MAX,
    ),
    (ERROR_MARKS, [f"{'0' * 16}:resolved:1:{LATE - 1}:ann: a\nb"], (MARK,)),
    (JOB, f"send={ARN}", DeployedJob("send", ARN)),
    (DEPLOYED_RATES, ["p=5/1m"], (DeployedRate("p", RATE),)),
    (DEPLOYED_LIMITS, ["p:0"], (DeployedLimit("p", 0),)),
    (GUEST_STARTS, "7:0", GuestStarts(7, EpochMs(0))),
    (PAST, ["1:2:s", "1::"], (PastRun(EpochMs(1), 2, Outcome.SUCCESS), PastRun(EpochMs(1), None, None))),
    (
        REPORTED_ENDS,
        [f"{ID}:1:s", f"{ID}:2:"],
        (ReportedEnd(ID, 1, Outcome.SUCCESS), ReportedEnd(ID, 2, None)),
    ),
]  # fmt: skip
NOT_READ: list[tuple[forms.FieldCodec, list[object]]] = [
    (GROUP_END, ["", "s", "s:", "x:g", ":g", "s:a b", 7, None, "success:g"]),
    (MEMBER_OUTCOMES, ["x", b"x" * (limits.GROUP_OUTCOMES_BYTES_MAX + 1), None]),
    (
        ERROR_MARKS,
        [
            "x",
            [7],
            [f"{'0' * 15}:resolved:1:1:a"],
            [f"{'0' * 16}:open:1:1:a"],
            [f"{'0' * 16}:resolved:1:1:"],
            [f"{'0' * 16}:resolved:{LATE}:1:a"],
            [f"{'0' * 16}:resolved:1:{LATE}:a"],
            [f"{'0' * 16}:resolved:1:1:{'a' * (limits.MARK_AUTHOR_MAX + 1)}"],
            [f"{'0' * 16}:resolved:1:1:a"] * (limits.ERROR_MARKS_MAX + 1),
        ],
    ),
    (JOB, ["", "send", "send=", f"={ARN}", f"a b={ARN}", "send=f", 7, f"send={ARN}\n"]),
    (DEPLOYED_RATES, ["p=5/1m", [7], ["p"], ["p="], ["=5/1m"]]),
    (DEPLOYED_LIMITS, [["p"], ["p:"], ["p:-1"], [f"p:{limits.PARALLELISM_MAX + 1}"], [":1"]]),
    (GUEST_STARTS, ["", "1", "1:", ":1", "-1:1", "1:zzzzzzzzzzzz", f"{10**12}:1", 7]),
    (PAST, ["x", [7], ["1:2"], ["1:2:x"], ["1:2:S"], ["-1:2:s"], ["1::"] * 11]),
    (
        REPORTED_ENDS,
        [
            "",
            7,
            (),
            [7],
            [f"{ID}:1"],
            [f"{ID}:1:x"],
            [f"{ID}:{limits.STORED_STARTS_BELOW}:s"],
            [f"{'Z' * 26}:1:s"],
            [f"{ID}:1:s"] * limits.RUN_STARTS_MAX,
        ],
    ),
    (JOB_TALLIES, ["", "1", "1:", "1:a", "1:a=1.1.1", "1:a=1.1.1.1.1", "x:a=1.1.1.1", 7]),
    (JOB_TALLIES, ["1:a b=1.1.1.1", "1:=1.1.1.1", f"1:a={10**9}.0.0.0", f"1:a=0.0.0.{10**9}"]),
    (JOB_TALLIES, ["1:" + ",".join(["a=1.1.1.1"] * (limits.TALLY_JOBS_MAX + 1))]),
]
NOT_WRITTEN: list[tuple[forms.FieldCodec, object]] = [
    (GROUP_END, GroupEnd("a b", Outcome.SUCCESS)),
    (ERROR_MARKS, [MARK._replace(by="")]),
    (ERROR_MARKS, [MARK._replace(seen=EpochMs(LATE))]),
    (JOB, DeployedJob("a b", ARN)),
    (JOB, DeployedJob("send", "f")),
    (DEPLOYED_RATES, [DeployedRate("a b", RATE)]),
    (DEPLOYED_RATES, [DeployedRate("", RATE)]),
    (DEPLOYED_LIMITS, [DeployedLimit("a b", 1)]),
    (DEPLOYED_LIMITS, [DeployedLimit("p", -1)]),
    (GUEST_STARTS, GuestStarts(10**12, EpochMs(0))),
    (GUEST_STARTS, GuestStarts(0, EpochMs(-1))),
    (GUEST_STARTS, GuestStarts(0, EpochMs(LATE))),
    (REPORTED_ENDS, (ReportedEnd(WorkId("x"), 1, None),)),
    (REPORTED_ENDS, (ReportedEnd(ID, limits.STORED_STARTS_BELOW, None),)),
    (TALLY, "text"),
    (
        TALLY,
        MinuteTally(
            since=EpochMs(0), succeeded=10**12, failed=0, retried=0, canceled=0, lags=()
        ),
    ),
    (HISTORY, (ATTEMPT,) * (limits.ATTEMPTS_KEPT + 1)),
    (HISTORY, (replace(ATTEMPT, error="x" * (limits.ATTEMPTS_BYTES_MAX // 2)),) * 2),
    (HISTORY, (replace(ATTEMPT, number=limits.STORED_STARTS_BELOW + 1),)),
    (HISTORY, (replace(ATTEMPT, started_at=EpochMs(-1)),)),
]  # fmt: skip


def is_refused(act: Any, value: object) -> bool:
    try:
        act(value)
    except (ValueError, AttributeError, TypeError) as error:
        return isinstance(error, ValueError) or act.__name__ == "encode"
    return False


def test_forms_read_what_they_wrote() -> None:
    assert [
        (codec.name, stored)
        for codec, stored, meant in READ
        if codec.decode(stored) != meant or codec.encode(meant) != stored
    ] == []


def test_forms_refuse_to_read_what_cannot_be_meant() -> None:
    assert [
        (codec.name, value)
        for codec, values in NOT_READ
        for value in values
        if not is_refused(codec.decode, value)
    ] == []


def test_forms_refuse_to_write_what_they_would_not_read() -> None:
    assert [
        (codec.name, value) for codec, value in NOT_WRITTEN if not is_refused(codec.encode, value)
    ] == []


SCHEDULE = ScheduleItem(
    pool="email", name="s", spec=a_work().spec, timing=Timing(every_ms=60_000, anchor=NOW), born="b"
)
GROUP = GroupItem(
    pool="email",
    id=GroupId("g"),
    spec=a_work().spec,
    total=limits.GROUP_MAX,
    born="b",
    digest="d",
    created_at=NOW,
    due_at=NOW,
)
CHANGES: list[tuple[Record, Mapping[str, object]]] = [
    (GROUP, {"n": limits.GROUP_MAX + 1}),
    (GROUP, {"o": "text"}),
    (GROUP, {"a": None, "ac": 1}),
    (SCHEDULE, {"a": None, "ac": 1}),
    (SCHEDULE, {"ev": None}),
    (SCHEDULE, {"cr": "0 9 * * *"}),
    (SCHEDULE, {"ev": None, "cr": "0 9 * *"}),
    (SCHEDULE, {"ev": None, "cr": "0  9 * * *"}),
    (SCHEDULE, {"ev": limits.EVERY_MS_MIN - 1}),
    (SCHEDULE, {"ji": limits.DELAY_MS_MAX + 1}),
    (SCHEDULE, {"sp": limits.DELAY_MS_MAX + 1}),
    (SCHEDULE, {"tz": "Nowhere/Else"}),
    (SCHEDULE, {"pa": ["x"]}),
    (SCHEDULE, {"ov": "x"}),
]


def test_record_that_cannot_be_meant_is_unreadable() -> None:
    def stored(record: Record, changes: Mapping[str, object]) -> Any:
        item = {**encode(record), **changes}
        return decode({name: value for name, value in item.items() if value is not None})

    assert [stored(each, {}) for each in (GROUP, SCHEDULE)] == [GROUP, SCHEDULE]
    least = {"ev": limits.EVERY_MS_MIN, "ji": limits.DELAY_MS_MAX, "sp": limits.DELAY_MS_MAX}
    assert stored(SCHEDULE, least).timing.every_ms == limits.EVERY_MS_MIN
    assert [
        (type(record).__name__, changes)
        for record, changes in CHANGES
        if not isinstance(stored(record, changes), Unreadable)
    ] == []


def test_rows_that_have_started_are_left_out_and_others_are_not() -> None:
    def is_kept(state: State) -> bool:
        return holds(NOT_STARTED, WorkItem, {"s": state.value})

    assert [state for state in State if is_kept(state)] == [State.PENDING]
    assert holds(NOT_STARTED, WorkItem, {})

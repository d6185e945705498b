"""Schedules, groups and errors as the commands show them: every field, each with a value of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.records import an_id
from workpool_aws import Workpool
from workpool_aws.cli.main import main
from workpool_aws.core.views.groups import Group, GroupPage
from workpool_aws.core.views.schedules import CatchUpPreview, Schedule
from workpool_aws.insights import Costed, ErrorGroup, ErrorGroups, Insights, ReadCost, WorkRows
from workpool_aws.local import LocalCloud

IDS = tuple(an_id(n=each) for each in (1, 2, 3))
Shown = Callable[..., str]


def at(minute: int) -> datetime:
    return datetime(2026, 1, 2, 3, minute, tzinfo=UTC)


def iso(minute: int) -> str:
    return f"2026-01-02T03:{minute:02}:00+00:00"


SCHEDULE = Schedule(
    name="report",
    words="At the start of every hour",
    cron="0 * * * *",
    every=timedelta(seconds=1.5),
    timezone="Europe/London",
    target="arn:of:report",
    paused=False,
    next_due=at(1),
    last_due=at(2),
    last_work_id=IDS[0],
    last_outcome="failed",
    lateness_p50=timedelta(seconds=2.25),
    lateness_max=timedelta(seconds=7),
    missed=3,
    skipped=4,
    waiting=at(5),
    upcoming=(at(6), at(7)),
    catch_up=CatchUpPreview(enqueues=8, missed=9, skipped=10),
    owner="shop",
)
SCHEDULE_JSON = {
    "name": "report",
    "words": "At the start of every hour",
    "cron": "0 * * * *",
    "every_s": 1.5,
    "timezone": "Europe/London",
    "target": "arn:of:report",
    "paused": False,
    "next_due": iso(1),
    "last_due": iso(2),
    "last_work_id": IDS[0],
    "last_outcome": "failed",
    "lateness_p50_s": 2.25,
    "lateness_max_s": 7.0,
    "missed": 3,
    "skipped": 4,
    "waiting": iso(5),
    "upcoming": [iso(6), iso(7)],
    "catch_up": {"enqueues": 8, "missed": 9, "skipped": 10},
    "owner": "shop",
}
NEVER_DUE = replace(
    SCHEDULE,
    every=None,
    paused=True,
    last_due=None,
    last_outcome=None,
    lateness_p50=None,
    lateness_max=None,
    catch_up=None,
)
GROUP = Group(
    group_id="nightly",
    state="finished",
    total=9,
    enqueued=8,
    succeeded=1,
    failed=2,
    canceled=3,
    target="arn:aws:lambda:us-east-1:1:function:report",
    job="job",
    created_at=at(4),
    finished_at=at(5),
    follow_up=IDS[1],
    callback="delivered",
)
GROUP_JSON = {
    "group_id": "nightly",
    "state": "finished",
    "target": "arn:aws:lambda:us-east-1:1:function:report",
    "job": "job",
    "total": 9,
    "enqueued": 8,
    "succeeded": 1,
    "failed": 2,
    "canceled": 3,
    "created_at": iso(4),
    "finished_at": iso(5),
    "follow_up": IDS[1],
    "callback": "delivered",
}
ERROR = ErrorGroup(
    fingerprint="0123456789abcdef",
    label="send",
    error_type="KeyError",
    error="'to'",
    work_ids=IDS,
    first_at=at(1),
    last_at=at(2),
    state="open",
    marked_at=at(3),
    marked_by="ann",
    since=2,
)
ERROR_JSON = {
    "fingerprint": "0123456789abcdef",
    "state": "open",
    "count": 3,
    "label": "send",
    "error_type": "KeyError",
    "error": "'to'",
    "work_ids": [*IDS],
    "first_at": iso(1),
    "last_at": iso(2),
    "marked_at": iso(3),
    "marked_by": "ann",
    "since": 2,
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Runs a command against answers that are given by the methods' names; the two outputs in one."""

    def run(line: str, owner: type, **answers: object) -> str:
        for name, answer in answers.items():
            monkeypatch.setattr(owner, name, lambda *_, answer=answer, **__: answer)
        with LocalCloud() as cloud:
            cloud.workpool().configure(None, paused=True)  # and so the table knows it
            assert main([*line.split(), "--table", cloud.table]) == 0
        out, err = capsys.readouterr()
        return f"{out}{err}"

    return run


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, with the header."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in text.splitlines()]


def test_records_here_leave_no_field_out() -> None:
    for record, as_json in ((SCHEDULE, SCHEDULE_JSON), (GROUP, GROUP_JSON), (ERROR, ERROR_JSON)):
        names = {each.removesuffix("_s") for each in as_json} - {"count"}
        assert names == {each.name for each in fields(record)}
        values = list(map(str, as_json.values()))
        assert len({*values}) == len(values)


def test_list_asks_for_no_reasons(monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
    asked: list[dict[str, object]] = []

    def works(*_: object, **named: object) -> Costed[WorkRows]:
        asked.append(named)
        return Costed(WorkRows(rows=(), next=None), ReadCost(requests=1, read_units=1))

    monkeypatch.setattr(Insights, "works", works)

    assert rows(shown("ls", Insights))[1:] == []
    assert asked == [{"why": False}]


def test_schedule_is_shown_with_every_field(shown: Shown) -> None:
    answer = json.loads(shown("schedules --json", Workpool, schedules=(SCHEDULE, NEVER_DUE)))
    table = rows(shown("schedules", Workpool, schedules=(SCHEDULE, NEVER_DUE)))

    assert answer["schedules"][0] == SCHEDULE_JSON
    nothing = dict.fromkeys(
        ("every_s", "last_due", "last_outcome", "lateness_p50_s", "lateness_max_s", "catch_up")
    )
    assert answer["schedules"][1] == SCHEDULE_JSON | nothing | {"paused": True}
    words = ["report", "At the start of every hour"]
    assert table == [
        ["name", "when", "next due", "last due", "outcome", "late", "missed", "skipped"],
        [*words, "2026-01-02 03:01:00Z", "2026-01-02 03:02:00Z", "failed", "2.2 s", "3", "4"],
        [*words, "paused", "-", "-", "-", "3", "4"],
    ]


def test_group_is_shown_with_every_field(shown: Shown) -> None:
    nameless = replace(GROUP, group_id="other", job=None)
    page = GroupPage(items=(GROUP, nameless), next="other")
    answer = json.loads(shown("groups --json", Workpool, groups=page))
    table = rows(shown("groups", Workpool, groups=page))
    one = rows(shown("group nightly", Workpool, group=GROUP))
    last = shown("groups", Workpool, groups=replace(page, next=None))

    assert answer == {"groups": [GROUP_JSON, {**GROUP_JSON, "group_id": "other", "job": None}], "next": "other"}  # fmt: skip
    counts = ["9", "1", "2", "3", "2026-01-02 03:04:00Z"]
    assert table == [
        ["group", "state", "function", "total", "succeeded", "failed", "canceled", "made"],
        ["nightly", "finished", "job", *counts],
        ["other", "finished", "report", *counts],
        ["workpool: more: --after other"],
    ]
    assert "--after" not in last
    assert one == [
        ["group", "nightly"],
        ["state", "finished"],
        ["function", "job"],
        ["members", "9, of which 8 are stored"],
        ["succeeded", "1"],
        ["failed", "2"],
        ["canceled", "3"],
        ["made", "2026-01-02 03:04:00Z"],
        ["finished", "2026-01-02 03:05:00Z"],
        ["callback", "delivered"],
        ["followed by", IDS[1]],
    ]


def test_error_is_shown_with_every_field(shown: Shown) -> None:
    quiet = [replace(ERROR, fingerprint=each * 16, state="ignored") for each in "ab"]
    unseen = replace(ERROR, fingerprint="c" * 16, work_ids=(), marked_at=None)
    found = ErrorGroups(groups=(ERROR, unseen, *quiet), at_least=True)
    costed = Costed(found, ReadCost(requests=1, read_units=1))
    answer = json.loads(shown("errors --json", Insights, errors=costed))
    table = rows(shown("errors", Insights, errors=costed))
    whole = rows(shown("errors --all", Insights, errors=replace(costed, value=replace(found, at_least=False))))  # fmt: skip

    assert answer["errors"][0] == ERROR_JSON
    assert (len(answer["errors"]), answer["at_least"]) == (2, True)
    seen = ["2026-01-02 03:02:00Z", "send", "KeyError: 'to'"]
    header = ["error", "count", "state", "last", "function", "text"]
    some = [
        header,
        ["0123456789abcdef", "3", "open, 2 since resolved", *seen],
        ["c" * 16, "0", "open", seen[0], "-", "-"],
    ]
    assert table == [*some, ["2 more errors resolved or ignored: --all"], ["older dead letters were not read"]]  # fmt: skip
    assert whole == [*some, *([each * 16, "3", "ignored", *seen] for each in "ab")]

"""Errors are grouped by their texts without what varies, and marked by people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.records import NOW, a_work
from workpool_aws.core import limits
from workpool_aws.core.views.error_marks import check_mark, marked, state_under
from workpool_aws.core.views.listing import ListedWork, listed
from workpool_aws.errors import UsageError
from workpool_aws.insights.errors import fingerprint_of, gone, grouped
from workpool_aws.model.error_marks import ErrorMark, ErrorMarks, MarkKind
from workpool_aws.model.ids import EpochMs, WorkId

AT = datetime.fromtimestamp(NOW / 1000, UTC)
SEEN = EpochMs(NOW)


def dead(number: int, *, seconds: int | None = 0, **changes: Any) -> ListedWork:
    at = None if seconds is None else AT + timedelta(seconds=seconds)
    failed: dict[str, Any] = {"job": "send", "outcome": "failed", "error_type": "E"}
    failed |= {"work_id": WorkId(str(number)), "dead_at": at, "error": "no room"}
    return replace(listed(a_work()), **(failed | changes))


def mark(work: ListedWork, kind: MarkKind, seen: int = NOW) -> ErrorMark:
    fingerprint = grouped([work], None)[0].fingerprint
    return ErrorMark(fingerprint, kind, EpochMs(NOW + 7), EpochMs(seen), "ann")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("key 'a' is gone", "key 'b, c' is gone"),
        ('key "a" is gone', 'key "" is gone'),
        ("order 7 of 9", "order 12 of x3"),
        ("id 0a1b2c3d-0000-4444-8888-0123456789ab", "id aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),
        ("x" * limits.FINGERPRINT_CHARACTERS + "a", "x" * limits.FINGERPRINT_CHARACTERS + "b"),
    ],
)
def test_fingerprint_is_same_for_errors_that_differ_in_values(one: str, other: str) -> None:
    found = fingerprint_of("send", "E", one)

    assert found == fingerprint_of("send", "E", other)
    assert check_mark(found, "open") == (found, "open")


def test_fingerprint_differs_by_job_type_and_words() -> None:
    last = "x" * (limits.FINGERPRINT_CHARACTERS - 1)
    errors = [("a", "E", "t"), ("b", "E", "t"), ("a", "F", "t"), ("a", "E", "u"), ("a", "t", "E")]
    errors += [("a", "E", last + "a"), ("a", "E", last + "b")]

    assert len({fingerprint_of(*each) for each in errors}) == len(errors)


def test_group_has_its_members_and_texts_of_newest() -> None:
    works = [
        dead(1, seconds=9, error="room 2"),
        dead(2, seconds=None, error="room 3"),
        dead(3, seconds=4, error="room 4"),
    ]

    (group,) = grouped(works, None)

    assert (group.label, group.error_type, group.error) == ("send", "E", "room 2")
    assert (group.work_ids, group.count) == (("1", "2", "3"), 3)
    assert (group.first_at, group.last_at) == (
        AT + timedelta(seconds=4),
        AT + timedelta(seconds=9),
    )
    assert (group.state, group.marked_at, group.marked_by, group.since) == ("open", None, None, 0)


@pytest.mark.parametrize(
    "changes",
    [{"error_type": None}, {"outcome": "success"}, {"redriven_as": WorkId("9")}],
    ids=["no error", "success", "redriven"],
)
def test_work_item_that_did_not_fail_is_dead_for_its_callback(changes: dict[str, Any]) -> None:
    (group,) = grouped(
        [dead(1, job=None, target="arn:aws:lambda:eu-west-1:123456789012:function:f", **changes)],
        None,
    )

    assert (group.label, group.error_type, group.error) == (
        "f",
        "callback",
        "Its callback was given up.",
    )


def test_group_of_error_without_text_has_none() -> None:
    assert grouped([dead(1, error=None)], None)[0].error == ""


def test_groups_are_listed_open_and_large_ones_first() -> None:
    few, many, over = dead(1, error="few"), dead(2, error="many"), dead(4, error="over")
    marks = ErrorMarks(pool="p", version=1, marks=(mark(over, MarkKind.IGNORED),))
    works = [over, replace(over, work_id=WorkId("5")), replace(over, work_id=WorkId("6"))]

    found = grouped([*works, few, many, replace(many, work_id=WorkId("3"))], marks)

    assert [(each.error, each.count, each.state) for each in found] == [
        ("many", 2, "open"),
        ("few", 1, "open"),
        ("over", 3, "ignored"),
    ]
    assert (found[2].marked_at, found[2].marked_by) == (AT + timedelta(milliseconds=7), "ann")


@pytest.mark.parametrize(
    ("kind", "seconds", "state", "since"),
    [
        (MarkKind.RESOLVED, 0, "resolved", 0),
        (MarkKind.RESOLVED, 1, "open", 1),
        (MarkKind.IGNORED, 1, "ignored", 1),
    ],
)
def test_resolved_error_is_open_again_by_later_dead_letter(
    kind: MarkKind, seconds: int, state: str, since: int
) -> None:
    marks = ErrorMarks(pool="p", version=1, marks=(mark(dead(1), kind),))

    (group,) = grouped([dead(1, seconds=seconds), dead(2, seconds=-1)], marks)

    assert (group.state, group.since) == (state, since)


def test_error_without_dead_letters_is_open_and_empty() -> None:
    group = gone("0" * 16)

    assert (group.state, group.count, group.since, group.error) == ("open", 0, 0, "")
    assert state_under(None, 0) == state_under(None, 1) == "open"


def test_mark_replaces_that_of_its_error_and_oldest_goes() -> None:
    def change(
        old: ErrorMarks | None, number: int, state: str = "ignored", by: str = "ann"
    ) -> ErrorMarks:
        fingerprint, known = check_mark(f"{number:016x}", state)
        return marked(old, "p", fingerprint, known, by=by, now=EpochMs(NOW + number), seen=SEEN)

    first = change(None, 1, by="a" * limits.MARK_AUTHOR_MAX + "b")
    assert first.marks == (
        ErrorMark(
            f"{1:016x}", MarkKind.IGNORED, EpochMs(NOW + 1), SEEN, "a" * limits.MARK_AUTHOR_MAX
        ),
    )
    assert (first.pool, first.version) == ("p", 1)
    assert change(first, 2, by="").marks[-1].by == "unknown"
    assert change(change(first, 2), 1, "open").marks == change(None, 2).marks

    full = first
    for number in range(2, limits.ERROR_MARKS_MAX + 2):
        full = change(full, number)
    assert full.version == limits.ERROR_MARKS_MAX + 1
    assert [int(each.fingerprint, 16) for each in full.marks] == [
        *range(2, limits.ERROR_MARKS_MAX + 2)
    ]


@pytest.mark.parametrize(
    ("fingerprint", "state", "field"),
    [
        ("0" * 15, "open", "fingerprint"),
        ("0" * 17, "open", "fingerprint"),
        ("A" * 16, "open", "fingerprint"),
        (7, "open", "fingerprint"),
        ("0" * 16, "closed", "state"),
        ("0" * 16, None, "state"),
    ],
)
def test_mark_that_cannot_be_is_refused(fingerprint: object, state: object, field: str) -> None:
    with pytest.raises(UsageError, match=f"^{field} must be"):
        check_mark(fingerprint, state)

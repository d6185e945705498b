"""Conditions of one enqueue: counted by invocation, named by request, and refused for schedules."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.records import NOW, a_work
from workpool_aws.api.caller import Caller
from workpool_aws.api.conditions import (
    InvocationCounts,
    counts_of,
    read_conditions,
    refuse_conditions,
)
from workpool_aws.api.schedule_options import read_schedule_options
from workpool_aws.api.targets import located
from workpool_aws.core import limits
from workpool_aws.core.work.unique import OnConflict
from workpool_aws.errors import UnknownOption, UsageError

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:send"
MINUTE = timedelta(minutes=1)


def test_enqueues_of_target_are_counted_from_zero_and_copies_apart() -> None:
    counts = InvocationCounts()
    one, other = ("email", "send"), ("email", "crawl")

    assert [counts.take(one), counts.take(one), counts.take(other)] == [0, 1, 0]
    copy = counts.copy()
    assert [copy.take(one), copy.take(one), counts.take(one)] == [2, 3, 2]
    counts.follow(copy)
    assert [counts.take(one), counts.take(other)] == [4, 1]


def test_counts_are_those_of_last_sixty_four_invocations() -> None:
    contexts = [SimpleNamespace() for _ in range(65)]
    first = counts_of(contexts[0])
    assert first is not None
    assert (counts_of(None), counts_of(contexts[0]) is first) == (None, True)

    kept = [counts_of(each) for each in contexts[1:64]]
    assert counts_of(contexts[0]) is first
    counts_of(contexts[64])

    assert counts_of(contexts[0]) is not first
    assert counts_of(contexts[63]) is kept[-1]


def requests(options: dict[str, Any], number: int, **caller: Any) -> list[str | None]:
    conditions = read_conditions(options)
    assert conditions is not None
    counts = InvocationCounts() if caller else None
    works = tuple(a_work(job="send") for _ in range(number))
    wanted = conditions.wanted(works, caller=Caller(**caller), counts=counts)
    return [None if each.request is None else each.request.id for each in wanted]


def test_request_is_named_by_caller_or_by_invocation() -> None:
    assert requests({"unique_key": "k"}, 1) == [None]
    assert requests({"request_id": "r"}, 1) == ["r"]
    assert requests({"request_id": "r"}, 2) == ["r/0", "r/1"]
    assert requests({"dedupe": "invocation"}, 2, request_id="i") == ["i/0/send", "i/1/send"]
    with pytest.raises(UsageError, match="dedupe must be None outside Lambda"):
        requests({"dedupe": "invocation"}, 1)


def test_conditions_are_those_of_options() -> None:
    given = {"unique_key": "k", "on_conflict": "replace", "max_wait": MINUTE}
    found = read_conditions(given)

    assert found is not None
    assert (found.on_conflict, found.max_wait_ms) == (OnConflict.REPLACE, 60_000)
    assert (found.request_id, found.by_invocation) == (None, False)
    named = read_conditions({"request_id": "r"})
    assert named is not None
    assert (named.on_conflict, named.max_wait_ms) == (OnConflict.RETURN, None)
    assert read_conditions({}) is read_conditions({"on_conflict": "return"}) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"request_id": ""}, "request_id must be a str of 1 to"),
        ({"request_id": "x" * (limits.REQUEST_ID_BYTES_MAX + 1)}, "request_id must be a str of 1"),
        ({"request_id": 7}, "request_id must be a str of 1 to"),
        ({"dedupe": "always"}, "dedupe must be 'invocation' without a request_id"),
        ({"dedupe": "invocation", "request_id": "r"}, "dedupe must be 'invocation' without"),
        ({"on_conflict": "keep"}, "on_conflict must be 'return'"),
        ({"on_conflict": ""}, "on_conflict must be 'return'"),
        ({"max_wait": MINUTE}, "max_wait must be None unless on_conflict is 'replace'"),
        ({"max_wait": 60, "on_conflict": "replace"}, "max_wait must be a timedelta above 0"),
        ({"max_wait": 0 * MINUTE, "on_conflict": "replace"}, "max_wait must be a timedelta above"),
    ],
)
def test_conditions_that_are_none_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        read_conditions(options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(
            ({name: "x"}, f"{name} must be None, since it is meant for one enqueue")
            for name in ("request_id", "dedupe", "debounce", "debounce_max", "max_wait")
        ),
        ({"on_conflict": "replace"}, "on_conflict must be None, since an occurrence"),
        ({"run_after": MINUTE}, "run_after must be None, since the schedule says when"),
        ({"run_at": NOW}, "run_at must be None, since the schedule says when"),
    ],
)
def test_schedule_refuses_conditions_of_single_enqueue(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        read_schedule_options({"cron": "0 9 * * *", **options})


def test_schedule_has_options_of_its_times_and_those_of_enqueue() -> None:
    nothing = dict.fromkeys(("run_after", "request_id", "max_wait"))
    timing, others = read_schedule_options(
        {"every": MINUTE, "retry": True, "on_conflict": "return", **nothing}
    )

    assert timing == {"every": MINUTE}
    assert others == {"retry": True, "on_conflict": "return", **nothing}
    refuse_conditions({"on_conflict": OnConflict.RETURN, "unique_key": "k"})
    with pytest.raises(UnknownOption, match="cronn"):
        read_schedule_options({"cronn": "0 9 * * *"})


def test_target_is_located_by_job_name_or_not_at_all() -> None:
    def find(name: str, *, field: str, decorated: bool) -> str | None:
        assert (field, decorated) == ("fn", False)
        return ARN if name == "send" else None

    assert located("send", "fn", find) == ("send", ARN)
    assert located("other", "fn", find) == (None, None)
    assert located("a b", "fn", find) == (None, None)
    assert located(7, "fn", find) == (None, None)

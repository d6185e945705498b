"""Figures of the views: windows of statistics, their event, sizes of payloads, and names of functions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.records import NOW, a_work, an_id
from workpool_aws import UsageError
from workpool_aws.core import limits
from workpool_aws.core.views.details import StoredPayload, details_of
from workpool_aws.core.views.groups import group_view, unknown_group
from workpool_aws.core.views.instants import instant, moment_in
from workpool_aws.core.views.job_stats import JobStats, job_stats_event
from workpool_aws.core.views.last_seen import loop_seen_at
from workpool_aws.core.views.listing import JobFilter
from workpool_aws.core.views.stats import Queued, check_by_job, check_window, stats_event, stats_of
from workpool_aws.insights.answers import PoolInsight
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Ledger, ShardCursors
from workpool_aws.model.payload import Part

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:send"


@pytest.mark.parametrize(
    ("window", "window_ms"),
    [(timedelta(minutes=1), 60_000), (timedelta(minutes=1, milliseconds=1), 60_001), (timedelta(days=7), 604_800_000)],
)  # fmt: skip
def test_window_is_in_milliseconds(window: timedelta, window_ms: int) -> None:
    assert check_window(window) == window_ms


@pytest.mark.parametrize(
    "window",
    [timedelta(seconds=59, milliseconds=999), timedelta(days=7, milliseconds=1), timedelta(0), 60, None],
)  # fmt: skip
def test_window_out_of_bounds_is_refused(window: object) -> None:
    with pytest.raises(UsageError, match=r"^window must be a timedelta from a minute to 7 days"):
        check_window(window)


def test_stats_event_has_every_figure() -> None:
    queued = Queued(
        pending=3, scheduled=4, pending_capped=False, scheduled_capped=True, oldest_at=NOW
    )
    stats = stats_of(queued, [], running=5, window_ms=60_000, now=NOW)

    event = asdict(stats_event("email", stats, window_ms=60_000))

    figures = {
        name: value
        for name, value in asdict(stats).items()
        if name
        not in {"minutes", "jobs", "next_token_at", "pending_at_least", "scheduled_at_least"}
    }
    assert {name: event[name] for name in figures} == figures
    assert (event["pool"], event["window_ms"]) == ("email", 60_000)
    assert (stats.at_least, stats.pending_at_least, stats.scheduled_at_least) == (True, False, True)


def test_job_stats_event_has_every_figure() -> None:
    stats = JobStats(
        pending=1,
        scheduled=2,
        running=3,
        oldest_pending_s=4.5,
        executions=5,
        error_rate=0.6,
        permanent_failure_rate=0.7,
    )

    event = asdict(job_stats_event("email", "send", stats, window_ms=60_000))

    figures = {name: value for name, value in asdict(stats).items() if name in event}
    assert len(figures) == 7
    assert {name: event[name] for name in figures} == figures
    assert (event["pool"], event["job"], event["window_ms"]) == ("email", "send", 60_000)


@pytest.mark.parametrize("by_job", [None, 1, "yes"])
def test_by_job_is_flag(by_job: object) -> None:
    assert (check_by_job(by_job=True), check_by_job(by_job=False)) == (True, False)
    with pytest.raises(UsageError, match="by_job must be True or False"):
        check_by_job(by_job)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (None, None),
        (datetime(1970, 1, 1, 0, 0, 0, 1_000, UTC), 1),
        (datetime(9997, 12, 31, 23, 59, 59, 999_999, UTC), limits.STORED_WORK_MS_BELOW - 1),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(minutes=59))), 60_000),
    ],
)
def test_moment_of_caller_is_in_milliseconds(value: datetime | None, at: int | None) -> None:
    assert moment_in("since", value) == at


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2026-01-01", "a timezone-aware datetime, or None"),
        (datetime(2026, 1, 1), "a timezone-aware datetime, or None"),  # noqa: DTZ001 - naive on purpose
        (datetime(1970, 1, 1, tzinfo=UTC), "between 1970 and 9998"),
        (datetime(1969, 12, 31, tzinfo=UTC), "between 1970 and 9998"),
        (datetime(9998, 1, 1, tzinfo=UTC), "between 1970 and 9998"),
    ],
)
def test_moment_of_caller_that_is_none_is_refused(value: object, said: str) -> None:
    with pytest.raises(UsageError, match=f"^since must be {said}"):
        moment_in("since", value)


def test_inline_payload_has_a_size_in_bytes_and_no_chunks() -> None:
    details = details_of(a_work(args='{"a":"é"}'), {})

    assert details.args == StoredPayload(size_bytes=10, chunks=0, json=None, missing=False)


def test_payload_that_was_asked_for_and_is_gone_is_missing() -> None:
    details = details_of(a_work(args='{"a":1}'), {Part.ARGS: None})

    assert details.args.missing


@pytest.mark.parametrize(
    ("fn", "target", "named"),
    [
        (ARN, ARN, True),
        (ARN, f"{ARN}:live", False),
        (f"{ARN}:live", ARN, False),
        ("send", ARN, True),
        ("send", f"{ARN}:live", True),
        ("send:live", f"{ARN}:live", True),
        ("send:live", ARN, False),
        ("live", f"{ARN}:live", False),
        ("sen", ARN, False),
        ("send", "send", True),
        ("send", "send:live", True),
    ],
)
def test_function_is_named_by_its_arn_or_its_name(fn: str, target: str, named: bool) -> None:
    wanted = JobFilter(job=fn, function=fn, whole=True)

    assert wanted.admits(a_work(target=target).spec) is named


@pytest.mark.parametrize(
    ("running", "slots", "fill"), [(0, 4, 0.0), (1, 4, 0.25), (6, 4, 1.5), (0, 0, 0.0), (2, 0, 1.0)]
)
def test_fill_is_share_of_slots_in_use(running: int, slots: int, fill: float) -> None:
    seen: Any = SimpleNamespace(running=running)
    config: Any = SimpleNamespace(max_parallelism=slots)

    assert PoolInsight(name="email", config=config, loop="idle", stats=seen).fill == fill


def test_loop_was_seen_at_this_very_moment_and_not_later() -> None:
    def seen(at: int) -> EpochMs | None:
        mark = ShardCursors(deep_at=EpochMs(at))
        ledger = Ledger(pool="p", holder="h", generation=1, version=1, shards=(mark,))
        return loop_seen_at(None, ledger, now=NOW)

    assert [seen(at) for at in (0, 1, NOW, NOW + 1)] == [None, 1, NOW, None]


def test_group_is_shown_with_what_its_item_says() -> None:
    item = GroupItem(
        pool="p",
        id=GroupId("g"),
        spec=a_work(job="send").spec,
        total=4,
        born="b",
        digest="d",
        created_at=NOW,
        due_at=NOW,
        follow_up=an_id(),
        finished_at=EpochMs(NOW + 1),
    )

    found = group_view(item, enqueued=3, follow_up=None)

    assert (found.group_id, found.state, found.total, found.enqueued) == ("g", "finished", 4, 3)
    assert (found.target, found.job, found.follow_up) == (item.spec.target, "send", an_id())
    assert (found.created_at, found.finished_at) == (instant(NOW), instant(EpochMs(NOW + 1)))
    assert (found.succeeded, found.failed, found.canceled, found.callback) == (0, 0, 0, None)


def test_group_that_is_not_there_has_counts_of_zero() -> None:
    group = unknown_group(GroupId("never"))

    assert (group.total, group.enqueued, group.over) == (0, 0, 0)
    assert (group.succeeded, group.failed, group.canceled) == (0, 0, 0)

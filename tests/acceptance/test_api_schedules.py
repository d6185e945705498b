"""Recurring work: schedules, what they enqueue, and what becomes of it after downtime."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.kit.functions import echo
from workpool_aws import NotFound, Result, Transaction, UnknownOption, UsageError, Work, Workpool
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import Collection, KeyRange, TickRef

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECONDS = timedelta(seconds=5)


def started(cloud: LocalCloud, fn: str) -> list[datetime]:
    return [each.started_at for each in cloud.invocations(fn)]


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
@pytest.mark.parametrize("overlap", ["allow", "skip"])
def test_preview_of_catch_up_is_what_the_loop_then_does(
    cloud: LocalCloud, catch_up: Any, overlap: Any
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "hourly", fn, {}, cron="0 * * * *", catch_up=catch_up, overlap=overlap)
    cloud.advance(HOUR + SECONDS)
    assert pool.schedules(None)[0].catch_up is None
    pool.configure(None, paused=True)
    cloud.advance(5 * HOUR + 10 * MINUTE)
    (before,) = pool.schedules(None)
    ran = len(started(cloud, fn))

    pool.configure(None, reset=True)
    cloud.advance(MINUTE)

    (after,) = pool.schedules(None)
    many = {"latest": 1, "all": 5, "none": 0}[catch_up]
    assert before.catch_up is not None
    assert before.catch_up.enqueues == min(many, 5 if overlap == "allow" else 1)
    assert len(started(cloud, fn)) - ran == before.catch_up.enqueues
    assert after.missed == before.catch_up.missed
    assert after.skipped == before.catch_up.skipped
    assert after.catch_up is None


def test_upcoming_occurrences_are_those_that_follow(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    end = cloud.now + 2 * HOUR
    made = pool.schedule(None, "hourly", fn, {}, cron="0 * * * *")
    ending = pool.schedule(None, "ending", fn, {}, every=HOUR, end=end)
    began = cloud.now.replace(minute=0, second=0, microsecond=0)

    assert made.upcoming == tuple(began + n * HOUR for n in (1, 2, 3))
    assert made.upcoming[0] == made.next_due
    assert ending.upcoming[-1] <= end
    assert len(ending.upcoming) < 3
    paused = pool.pause_schedule(None, "hourly")
    cloud.advance(5 * HOUR)
    assert (paused.next_due, paused.catch_up) == (None, None)
    by_name = {each.name: each for each in pool.schedules(None)}
    assert by_name["hourly"].upcoming == tuple(began + n * HOUR for n in (6, 7, 8))
    assert by_name["ending"].upcoming == ()


@both_engines
def test_schedule_enqueues_each_hour(cloud: LocalCloud) -> None:
    """[WP-18] [WP-26]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    made = pool.schedule(None, "hourly", fn, {"n": 1}, cron="0 * * * *")
    cloud.advance(5 * HOUR + SECONDS)
    (shown,) = pool.schedules(None)

    times = started(cloud, fn)
    assert (made.words, made.cron, made.last_due) == (
        "At the start of every hour",
        "0 * * * *",
        None,
    )
    assert len(times) == 5
    assert all(each.minute == 0 and each.second <= 1 for each in times)
    assert shown.last_outcome == "success"
    assert shown.last_due == times[-1].replace(second=0, microsecond=0)
    assert shown.next_due == shown.last_due + HOUR
    assert (shown.missed, shown.skipped) == (0, 0)
    assert shown.lateness_max is not None
    assert shown.lateness_max < timedelta(seconds=1)


def test_interval_counts_from_first_call_and_repeating_it_changes_nothing(
    cloud: LocalCloud,
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    began = cloud.now
    for _ in range(3):
        pool.schedule(None, "often", fn, {}, every=timedelta(minutes=7))
        cloud.advance(timedelta(minutes=5))

    assert [(each - began) // MINUTE for each in started(cloud, fn)] == [7, 14]


def test_run_until_idle_does_not_wait_for_occurrences(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    began = cloud.now
    pool.schedule(None, "often", fn, {}, every=timedelta(seconds=30))
    pool.schedule(None, "hourly", fn, {}, cron="@hourly")
    work_id = pool.enqueue_action(None, fn, {"n": 1})

    cloud.run_until_idle()

    assert pool.status(None, work_id).outcome == "success"
    assert cloud.now - began < timedelta(seconds=30)


def test_idle_pool_with_schedule_rests_between_occurrences(cloud: LocalCloud) -> None:
    """[WP-22]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "daily", fn, {}, cron="@daily")
    cloud.advance(MINUTE)
    before = len(cloud.invocations(cloud.loop_arn))
    cloud.advance(23 * HOUR)

    assert len(cloud.invocations(cloud.loop_arn)) == before
    cloud.advance(2 * HOUR)
    assert len(started(cloud, fn)) == 1
    assert len(cloud.invocations(cloud.loop_arn)) <= before + 2


@pytest.mark.parametrize(
    ("catch_up", "enqueued", "missed"),
    [("latest", 1, 4), ("all", 5, 0), ("none", 0, 5), ("spread", 5, 0)],
)
def test_what_was_missed_in_pause_of_pool_is_caught_up_as_asked(
    cloud: LocalCloud, catch_up: Any, enqueued: int, missed: int
) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    spread = HOUR if catch_up == "spread" else None
    pool.schedule(None, "hourly", fn, {}, cron="@hourly", catch_up=catch_up, spread=spread)
    pool.configure(None, paused=True)
    cloud.advance(5 * HOUR + 10 * MINUTE)
    pool.configure(None, paused=False)
    cloud.advance(SECONDS)
    at_once = len(started(cloud, fn))
    cloud.advance(49 * MINUTE)
    (shown,) = pool.schedules(None)

    assert at_once == (1 if catch_up == "spread" else enqueued)
    assert (len(started(cloud, fn)), shown.missed) == (enqueued, missed)


@pytest.mark.parametrize("timing", [{"every": MINUTE}, {"cron": "* * * * *"}])
def test_last_ninety_are_caught_up_however_many_were_missed(cloud: LocalCloud, timing: Any) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "often", fn, {}, catch_up="all", **timing)
    pool.configure(None, paused=True)
    cloud.advance(1_005.5 * MINUTE)
    pool.configure(None, paused=False)
    cloud.advance(SECONDS)

    # Three are in time.
    assert len(started(cloud, fn)) == 93
    assert pool.schedules(None)[0].missed == 1_005 - 93


@pytest.mark.parametrize("catch_up", ["all", "spread"])
@pytest.mark.parametrize("overlap", ["skip", "queue_one"])
def test_catch_up_without_overlap_enqueues_one(
    cloud: LocalCloud, overlap: Any, catch_up: Any
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    spread = MINUTE if catch_up == "spread" else None
    pool.schedule(
        None, "often", fn, {}, every=MINUTE, catch_up=catch_up, spread=spread, overlap=overlap
    )
    pool.configure(None, paused=True)
    cloud.advance(100.5 * MINUTE)
    pool.configure(None, paused=False)
    cloud.advance(SECONDS)
    (shown,) = pool.schedules(None)

    assert (len(started(cloud, fn)), shown.missed, shown.skipped) == (1, 99, 0)


def test_pause_and_edit_count_all_that_fell_due_in_down_time(cloud: LocalCloud) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "paused", fn, {}, every=MINUTE)
    pool.schedule(None, "edited", fn, {}, every=HOUR)
    pool.configure(None, paused=True)
    cloud.advance(3 * DAY + MINUTE / 2)
    pool.pause_schedule(None, "paused")
    pool.schedule(None, "edited", fn, {}, every=timedelta(seconds=1))
    pool.configure(None, paused=False)
    cloud.advance(3 * SECONDS)
    edited, paused = pool.schedules(None)

    assert (paused.missed, edited.missed) == (3 * 24 * 60, 3 * 24)
    assert 13 <= len(started(cloud, fn)) <= 15


@pytest.mark.parametrize("overlap", ["allow", "skip"])
def test_occurrence_that_waits_is_counted_by_change_of_overlap(
    cloud: LocalCloud, overlap: Any
) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    slow = cloud.function(echo, takes=150 * timedelta(seconds=1), timeout=5 * MINUTE)
    pool.schedule(None, "often", slow, {}, every=MINUTE, overlap="queue_one")
    cloud.advance(2.5 * MINUTE)
    before = pool.schedules(None)[0]
    after = pool.schedule(None, "often", slow, {}, every=MINUTE, overlap=overlap)

    assert before.waiting is not None
    assert (before.skipped, after.skipped, after.waiting) == (0, 1, None)


def test_decorated_function_keeps_its_kind_and_retries_in_schedule(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    def look() -> None:
        raise ConnectionError

    def move(tx: Transaction) -> None:
        raise ConnectionError

    for job in (pool.query(look), pool.mutation(move)):
        cloud.function(job, name=job.job.name)
        pool.schedule(None, job.job.name, job, {}, cron="@hourly")
    cloud.advance(2 * HOUR - MINUTE)
    looked, moved = (pool.show(None, each.last_work_id or "") for each in pool.schedules(None))

    assert (looked.status.kind, moved.status.kind) == ("query", "mutation")
    assert (len(looked.status.attempts), len(moved.status.attempts)) == (5, 5)


@pytest.mark.parametrize(
    ("overlap", "ends_of_runs", "skipped"),
    [("allow", 4, 0), ("skip", 2, 2), ("queue_one", 2, 1)],
)
def test_occurrences_overlap_as_asked(
    cloud: LocalCloud, overlap: Any, ends_of_runs: int, skipped: int
) -> None:
    pool = cloud.workpool()
    slow = cloud.function(echo, takes=150 * timedelta(seconds=1), timeout=5 * MINUTE)
    pool.schedule(None, "often", slow, {}, every=MINUTE, overlap=overlap)
    cloud.advance(4 * MINUTE + SECONDS)
    (shown,) = pool.schedules(None)
    times = started(cloud, slow)

    assert (len(times), shown.skipped) == (ends_of_runs, skipped)
    if overlap == "queue_one":
        assert timedelta(seconds=150) <= times[1] - times[0] < timedelta(seconds=152)
        assert shown.waiting is not None


def test_paused_schedule_enqueues_nothing_until_it_is_resumed(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "often", fn, {}, every=10 * MINUTE)
    cloud.advance(15 * MINUTE)
    paused = pool.pause_schedule(None, "often")
    cloud.advance(HOUR)
    during = len(started(cloud, fn))
    resumed = pool.resume_schedule(None, "often")
    cloud.advance(10 * MINUTE)

    assert (paused.paused, paused.next_due, during) == (True, None, 1)
    assert resumed.next_due is not None
    assert len(started(cloud, fn)) == 2
    assert pool.schedules(None)[0].missed == 0


def test_schedule_without_its_tick_is_repaired_within_hour(cloud: LocalCloud) -> None:
    """[WP-26]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "often", fn, {}, every=30 * MINUTE)
    store = cloud._engine_open.quiet(cloud.table)
    for row in store.query(KeyRange(collection=Collection.WORK, pool=pool.name)).rows:
        store.delete(TickRef(pool.name, row.sort))
    cloud.advance(2 * HOUR)
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
    cloud.advance(MINUTE)

    assert len(started(cloud, fn)) >= 1


def test_run_now_is_besides_occurrences(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    made = pool.schedule(None, "daily", fn, {"n": 7}, cron="@daily")
    work_id = pool.run_now(None, "daily")
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == 7
    assert pool.schedules(None)[0].next_due == made.next_due
    with pytest.raises(NotFound):
        pool.run_now(None, "weekly")


def test_repeated_request_to_run_now_enqueues_once(cloud: LocalCloud) -> None:
    """[WP-17]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "daily", fn, {"n": 7}, cron="@daily")
    first = pool.run_now(None, "daily", request_id="click 1")
    pool.schedule(None, "daily", fn, {"n": 8}, cron="@daily")
    again = pool.run_now(None, "daily", request_id="click 1")
    other = pool.run_now(None, "daily", request_id="click 2")
    cloud.run_until_idle()

    assert first == again != other
    assert [each.event["n"] for each in cloud.invocations(fn)] == [7, 8]
    with pytest.raises(UsageError, match="request_id must be"):
        pool.run_now(None, "daily", request_id="")


def test_request_of_one_schedule_is_no_request_of_another_or_of_an_enqueue(
    cloud: LocalCloud,
) -> None:
    """[WP-17]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "daily", fn, {"n": 7}, cron="@daily")
    pool.schedule(None, "weekly", fn, {"n": 8}, cron="@weekly")
    pool.run_now(None, "daily", request_id="click 1")

    with pytest.raises(UsageError, match="request_id"):
        pool.run_now(None, "weekly", request_id="click 1")
    with pytest.raises(UsageError, match="request_id"):
        pool.enqueue_action(None, fn, {"n": 7}, request_id="click 1")
    cloud.run_until_idle()

    assert [each.event["n"] for each in cloud.invocations(fn)] == [7]


@pytest.mark.parametrize("removed", [False, True])
def test_removal_cancels_all_that_has_not_started(cloud: LocalCloud, removed: bool) -> None:
    pool = cloud.workpool(max_parallelism=1)

    @pool.action
    def slow(work: Work) -> None:
        work.sleep(10 * MINUTE)

    fn = cloud.function(slow, timeout=15 * MINUTE)
    pool.schedule(None, "job", fn, {}, every=4 * SECONDS)
    other = pool.enqueue_action(None, fn, {}, run_after=DAY)
    pool.configure(None, paused=True)
    cloud.advance(2 * MINUTE)
    pool.configure(None, paused=False)
    cloud.advance(SECONDS)
    waiting = [each.work_id for each in pool.list(None, state="pending").items]
    if removed:
        pool.unschedule(None, "job")
    assert pool.unschedule(None, "job", cancel_pending=True) is not removed
    cloud.advance(MINUTE)

    assert len(waiting) > 4
    outcomes = {each: pool.status(None, each).outcome for each in waiting}
    assert outcomes == {each: None if each == other else "canceled" for each in waiting}


def test_change_of_timing_keeps_latest_of_those_due_and_counts_others(cloud: LocalCloud) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "job", fn, {}, every=4 * SECONDS)
    pool.configure(None, paused=True)
    cloud.advance(14 * SECONDS)
    pool.schedule(None, "job", fn, {}, every=HOUR)
    pool.configure(None, paused=False)
    cloud.advance(MINUTE)

    shown = pool.schedules(None)[0]
    assert (len(started(cloud, fn)), shown.missed) == (1, 2)
    assert shown.next_due == datetime(2026, 1, 1, 1, 1, tzinfo=UTC)


def test_edit_and_removal_hold_for_next_occurrence(cloud: LocalCloud) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "job", fn, {"v": 1}, cron="0 * * * *")
    cloud.advance(HOUR + SECONDS)
    pool.schedule(None, "job", fn, {"v": 2}, cron="30 * * * *")
    cloud.advance(HOUR)
    removed = pool.unschedule(None, "job"), pool.unschedule(None, "job")
    cloud.advance(5 * HOUR)

    assert [each.event["v"] for each in cloud.invocations(fn)] == [1, 2]
    assert [each.minute for each in started(cloud, fn)] == [0, 30]
    assert removed == (True, False)
    assert pool.schedules(None) == []


def test_change_leaves_what_is_due_within_two_minutes(cloud: LocalCloud) -> None:
    """[WP-18]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "job", fn, {}, cron="0 * * * *")
    cloud.advance(59 * MINUTE)
    pool.schedule(None, "job", fn, {}, cron="@daily")
    cloud.advance(5 * MINUTE)

    assert len(started(cloud, fn)) == 1
    assert pool.schedules(None)[0].next_due == datetime(2026, 1, 2, tzinfo=UTC)


def test_clock_changes_lose_and_double_nothing(cloud: LocalCloud) -> None:
    """[WP-18] London's clock goes forward on 29 March and back on 25 October 2026."""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    zone = ZoneInfo("Europe/London")
    pool.schedule(
        None,
        "nightly",
        fn,
        {},
        cron="30 1 * * *",
        timezone="Europe/London",
        start=datetime(2026, 3, 28, tzinfo=zone),
        end=datetime(2026, 3, 31, tzinfo=zone),
    )
    cloud.advance(100 * DAY)

    local = [each.astimezone(zone) for each in started(cloud, fn)]
    assert [(each.day, each.hour, each.minute) for each in local] == [
        (28, 1, 30),
        (29, 2, 0),
        (30, 1, 30),
    ]
    assert pool.schedules(None)[0].next_due is None


def test_owner_declares_its_schedules_and_no_others(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "by-hand", fn, {}, cron="@daily")
    pool.sync_schedules(
        None,
        [{"name": "a", "fn": fn, "cron": "@daily"}, {"name": "b", "fn": fn, "every": HOUR}],
        owner="stack",
    )
    found = pool.sync_schedules(None, [{"name": "b", "fn": fn, "every": HOUR}], owner="stack")

    assert [(each.name, each.owner) for each in found] == [("b", "stack")]
    assert [each.name for each in pool.schedules(None)] == ["b", "by-hand"]


def test_schedule_of_occurrence_can_be_seen(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    pool.schedule(None, "often", fn, {}, every=MINUTE, expires_after=HOUR)
    cloud.advance(MINUTE + SECONDS)
    last = pool.schedules(None)[0].last_work_id

    assert last is not None
    shown = pool.show(None, last)
    assert (shown.schedule, shown.expires_after) == ("often", HOUR)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("cron", {"cron": "61 * * * *"}),
        ("cron", {"cron": "* * * * * *"}),
        ("cron", {"cron": "0 0 30 2 *"}),
        ("cron", {"cron": "0," * 5_000 + "0 * * * *"}),
        ("cron", {"cron": "15W * * * *"}),
        ("cron", {"cron": "@reboot"}),
        ("cron", {"cron": "*/61 * * * *"}),
        ("timezone", {"cron": "@daily", "timezone": "localtime"}),
        ("timezone", {"cron": "@daily", "timezone": "Factory"}),
        ("tz", {"cron": "@daily", "tz": "UTC"}),
        ("cron", {"cron": None}),
        ("cron", {"cron": "@daily", "every": HOUR}),
        ("every", {"every": timedelta(milliseconds=999)}),
        ("timezone", {"cron": "@daily", "timezone": "../../etc/passwd"}),
        ("start", {"cron": "@daily", "start": datetime(2026, 1, 1)}),  # noqa: DTZ001 - refused
        (
            "end",
            {
                "cron": "@daily",
                "start": datetime(2026, 2, 1, tzinfo=UTC),
                "end": datetime(2026, 1, 1, tzinfo=UTC),
            },
        ),
        ("catch_up", {"cron": "@daily", "catch_up": "some"}),
        ("spread", {"cron": "@daily", "catch_up": "spread"}),
        ("overlap", {"cron": "@daily", "overlap": "maybe"}),
        ("jitter", {"cron": "@daily", "jitter": timedelta(0)}),
        ("run_after", {"cron": "@daily", "run_after": HOUR}),
    ],
)
def test_schedule_that_is_not_allowed_is_refused(
    cloud: LocalCloud, field: str, options: Any
) -> None:
    pool = cloud.workpool()
    with pytest.raises(UsageError, match=f"^{field} must be "):
        pool.schedule(None, "job", "fn", {}, **options)
    assert pool.schedules(None) == []


def test_name_and_size_of_schedule_are_bounded(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    with pytest.raises(UsageError, match=r"^name must be a str of 1 to 64"):
        pool.schedule(None, "a#b", "fn", {}, cron="@daily")
    with pytest.raises(UsageError, match=r"^args must be at most 4096 bytes"):
        pool.schedule(None, "job", "fn", {"x": "y" * 5_000}, cron="@daily")


@pytest.mark.parametrize(
    ("field", "definitions"),
    [
        ("definitions", None),
        ("definitions", 5),
        ("definitions", "ab"),
        ("definitions", {"name": "a"}),
        (r"definitions\[0\]", [5]),
        (r"definitions\[1\]", [{"name": "a", "fn": "fn", "cron": "@daily"}, {1: 2}]),
        ("bogus", [{"name": "a", "fn": "fn", "cron": "@daily", "bogus": 1}]),
    ],
)
def test_declaration_that_is_not_allowed_is_refused(
    cloud: LocalCloud, field: str, definitions: Any
) -> None:
    pool = cloud.workpool()
    with pytest.raises(UsageError, match=f"^{field} must be "):
        pool.sync_schedules(None, definitions, owner="stack")
    with pytest.raises(UsageError, match=r"^owner must be a str of 1 to 64"):
        pool.sync_schedules(None, [], owner="a b")
    assert pool.schedules(None) == []


def test_unknown_option_is_refused_with_options_of_schedules(cloud: LocalCloud) -> None:
    pool: Any = cloud.workpool()
    with pytest.raises(UnknownOption, match=r"cron, .* \(did you mean timezone\?\)"):
        pool.schedule(None, "job", "fn", {}, cron="@daily", time_zone="UTC")


def test_unknown_schedule_is_named(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    for call in (pool.run_now, pool.pause_schedule, pool.resume_schedule):
        with pytest.raises(NotFound, match=r"^no schedule 'weekly' is known in pool 'default'$"):
            call(None, "weekly")


def test_expression_ends_with_calendar(cloud: LocalCloud) -> None:
    late = datetime(9997, 12, 31, tzinfo=UTC)
    made = cloud.workpool().schedule(None, "job", "fn", {}, cron="0 0 29 2 *", start=late)

    assert made.next_due is None

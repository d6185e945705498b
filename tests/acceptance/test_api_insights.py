"""`Insights`: questions about all pools of a table, and what each of them costs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.functions import echo
from workpool_aws import NotFound, UsageError, Workpool
from workpool_aws.insights import Insights, WorkFilter
from workpool_aws.insights.moments import moment_of
from workpool_aws.local import LocalCloud

NOON = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)  # half an hour after the cloud's time begins

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)


def refuse(event: dict[str, int], _: object) -> None:
    raise PermissionError(f"user '{event['n']}' of order {event['n']} may not")


def crash(event: dict[str, int], _: object) -> None:
    raise MemoryError(f"no room for {event['n']} bytes" if event["n"] % 2 else "no room at all")


@pytest.fixture
def pool(cloud: LocalCloud) -> Workpool:
    """A pool with a success, five failures of three kinds, and a work item for later."""
    pool = cloud.workpool("email", max_parallelism=4)
    good, late = cloud.function(echo, name="good"), cloud.function(echo, name="late")
    bad, worse = cloud.function(refuse, name="bad"), cloud.function(crash, name="worse")
    pool.enqueue_action(None, good, {"n": 1})
    pool.enqueue_action_batch(None, bad, [{"n": n} for n in range(3)])
    pool.enqueue_action_batch(None, worse, [{"n": n} for n in (1, 2)])
    cloud.run_until_idle()
    pool.enqueue_action(None, late, {"n": 2}, run_after=timedelta(hours=1))
    return pool


@both_engines
def test_insights_cost_what_table_was_asked(cloud: LocalCloud, pool: Workpool) -> None:
    insights = Insights(cloud.table)
    work_id = pool.list(None).items[0].work_id
    pool.enqueue_group(None, "good", [{}] * 3, group_id="album")
    for question in (
        insights.pools,
        lambda: insights.pool("email"),
        lambda: insights.works("email", WorkFilter()),
        lambda: insights.work("email", work_id, args=True),
        lambda: insights.errors("email"),
        lambda: insights.groups("email"),
        lambda: insights.group("email", "album"),
        lambda: insights.works("email", WorkFilter(group="album")),
    ):
        before = cloud.capacity

        cost = question().cost

        after = cloud.capacity
        assert cost.read_units == after.read_units - before.read_units
        assert cost.requests == after.requests - before.requests


def test_pools_have_limits_and_figures(cloud: LocalCloud, pool: Workpool) -> None:
    cloud.workpool("paused").configure(None, paused=True)
    cloud.workpool("paused").enqueue_action(None, "echo", {})

    email, paused = Insights(cloud.table).pools().value

    assert (email.name, email.fill, email.config.max_parallelism) == ("email", 0, 4)
    assert (email.stats.scheduled, email.stats.executions) == (1, 6)
    assert [(each.succeeded, each.failed, each.started) for each in email.stats.minutes] == [
        (1, 5, 6)
    ]
    assert (paused.name, paused.config.paused, paused.stats.pending) == ("paused", True, 1)
    alone = Insights(cloud.table).pool("email").value
    assert alone is not None
    assert sorted(alone.stats.jobs) == ["bad", "good", "late", "worse"]
    assert replace(alone, stats=replace(alone.stats, jobs={})) == email
    assert Insights(cloud.table).pool("nothing").value is None


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (WorkFilter(), 7),
        (WorkFilter(state="failed"), 5),
        (WorkFilter(state="success"), 1),
        (WorkFilter(state="finished"), 6),
        (WorkFilter(state="dead", error="NO ROOM"), 2),
        (WorkFilter(error="permissionerror"), 3),
        (WorkFilter(fn="bad"), 3),
        (WorkFilter(fn="none"), 0),
        (WorkFilter(args='"N":2'), 3),
        (WorkFilter(args='"n":2', state="failed"), 2),
        (WorkFilter(args="nowhere"), 0),
        (WorkFilter(since=NOON), 1),
        (WorkFilter(before=NOON), 6),
        (WorkFilter(before=NOON, order="oldest", limit=3), 3),
        (WorkFilter(state="dead", since=NOON - timedelta(hours=1)), 5),
        (WorkFilter(state="dead", since=NOON), 0),
        (WorkFilter(state="pending", before=NOON), 0),
    ],
)
def test_works_admits_by_every_condition(
    cloud: LocalCloud, pool: Workpool, wanted: WorkFilter, count: int
) -> None:
    assert len(Insights(cloud.table).works("email", wanted).value.rows) == count


def test_works_are_paged_and_open_ones_have_reasons(cloud: LocalCloud, pool: Workpool) -> None:
    insights = Insights(cloud.table)

    first = insights.works("email", WorkFilter(limit=3)).value
    second = insights.works("email", WorkFilter(limit=4), first.next).value

    assert second.next is None
    rows = [*first.rows, *second.rows]
    assert [row.work.work_id for row in rows] == [
        each.work_id for each in pool.list(None, order="newest").items
    ]
    assert [row.why and row.why.verdict for row in rows] == ["waiting", *[None] * 6]


def test_work_has_details_and_reasons(cloud: LocalCloud, pool: Workpool) -> None:
    work_id = pool.list(None, state="pending").items[0].work_id

    closed = Insights(cloud.table).work("email", work_id).value
    opened = Insights(cloud.table).work("email", work_id, args=True).value

    assert (closed.details.args.json, opened.details.args.json) == (None, '{"n":2}')
    assert closed.why.reasons[0].code == "not_due"
    with pytest.raises(NotFound):
        Insights(cloud.table).work("email", "nonsense")


def test_work_has_the_wanted_payloads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(Workpool, "show", lambda *_, **wanted: asked.append(wanted))
    monkeypatch.setattr(Workpool, "why", lambda *_: None)
    names = ("args", "context", "result")
    with LocalCloud() as cloud:
        for wanted in ({}, *({each: True} for each in names)):
            Insights(cloud.table).work("email", "id", **wanted)

    none = dict.fromkeys(names, False)
    assert asked == [none, *(none | {each: True} for each in names)]


def test_groups_are_paged_and_their_members_listed(cloud: LocalCloud, pool: Workpool) -> None:
    insights = Insights(cloud.table)
    for n in range(51):
        pool.enqueue_group(None, "good", [{"n": n}], group_id=f"g{n:02}")

    first = insights.groups("email").value
    second = insights.groups("email", first.next).value
    members = insights.works("email", WorkFilter(group="g07")).value.rows

    assert [each.group_id for each in (*first.items, *second.items)] == [
        f"g{n:02}" for n in reversed(range(51))
    ]
    assert insights.group("email", "g07").value in second.items + first.items
    assert [pool.show(None, row.work.work_id, args=True).args.value for row in members] == [
        {"n": 7}
    ]
    assert insights.group("email", "none").value.state == "unknown"


def test_errors_are_grouped_without_their_values(cloud: LocalCloud, pool: Workpool) -> None:
    answer = Insights(cloud.table).errors("email").value

    assert [(each.label, each.error_type, each.count) for each in answer.groups] == [
        ("bad", "PermissionError", 3),
        *sorted([("worse", "MemoryError", 1), ("worse", "MemoryError", 1)]),
    ]
    assert not answer.at_least
    assert len({each.fingerprint for each in answer.groups}) == 3
    assert answer.groups[0].error.startswith("user '")


def by_state(insights: Insights) -> dict[str, list[str]]:
    """Return the types of the errors in each state."""
    found: dict[str, list[str]] = {}
    for group in insights.errors("email").value.groups:
        found.setdefault(group.state, []).append(group.error_type)
    return found


@both_engines
def test_resolved_error_is_open_again_once_it_comes_again(
    cloud: LocalCloud, pool: Workpool
) -> None:
    insights = Insights(cloud.table)
    first = insights.errors("email").value.groups[0]
    marked = insights.mark_error("email", first.fingerprint, "resolved").value
    resolved, dead = by_state(insights), pool.count_dead_letters(None)
    shown = insights.errors("email").value.of("resolved")
    cloud.advance(timedelta(minutes=1))
    pool.enqueue_action(None, "bad", {"n": 7})
    cloud.advance(timedelta(minutes=1))
    again = insights.errors("email").value.groups[0]

    assert (first.error_type, first.state, first.marked_at) == ("PermissionError", "open", None)
    assert (marked.state, marked.marked_by, marked.since) == (
        "resolved",
        "a caller outside Lambda",
        0,
    )
    assert shown == (marked,)
    assert (resolved, dead) == (
        {"open": ["MemoryError", "MemoryError"], "resolved": ["PermissionError"]},
        5,
    )
    assert (again.state, again.count, again.since) == ("open", 4, 1)
    assert again.marked_at == marked.marked_at


def test_ignored_error_stays_so_until_it_is_opened(cloud: LocalCloud, pool: Workpool) -> None:
    insights = Insights(cloud.table)
    first = insights.errors("email").value.groups[0]
    insights.mark_error("email", first.fingerprint, "ignored")
    cloud.advance(timedelta(minutes=1))
    pool.enqueue_action(None, "bad", {"n": 7})
    cloud.advance(timedelta(minutes=1))
    ignored = insights.errors("email").value.groups[-1]
    opened = insights.mark_error("email", first.fingerprint, "open").value

    assert (ignored.state, ignored.since) == ("ignored", 1)
    assert (opened.state, opened.marked_at) == ("open", None)
    assert by_state(insights).keys() == {"open"}


@both_engines
def test_ignored_error_without_dead_letters_is_opened(cloud: LocalCloud, pool: Workpool) -> None:
    """Else failures that come later are hidden from the start."""
    insights = Insights(cloud.table)
    first = insights.errors("email").value.groups[0]
    insights.mark_error("email", first.fingerprint, "ignored")
    pool.redrive_all(None)
    gone = insights.errors("email").value.groups
    opened = insights.mark_error("email", first.fingerprint, "open").value
    cloud.advance(timedelta(minutes=1))

    assert gone == ()
    assert (opened.state, opened.count) == ("open", 0)
    assert first.fingerprint in {
        each.fingerprint for each in insights.errors("email").value.of("open")
    }


@both_engines
def test_resolved_callback_error_is_open_again_once_it_is_given_up_again(cloud: LocalCloud) -> None:
    """A work item ends long before its callback is given up."""
    pool, insights = cloud.workpool("told"), Insights(cloud.table)
    pool.enqueue_action(None, cloud.function(echo), {}, on_complete="nobody")
    cloud.run_until_idle(timedelta(hours=3))
    (group,) = insights.errors("told").value.groups
    insights.mark_error("told", group.fingerprint, "resolved")
    resolved = insights.errors("told").value.of("resolved")
    pool.redrive_all(None)
    cloud.run_until_idle(timedelta(hours=3))
    (again,) = insights.errors("told").value.groups

    assert (group.error_type, len(resolved)) == ("callback", 1)
    assert (again.state, again.since) == ("open", 1)
    assert group.last_at is not None
    assert again.last_at is not None
    assert again.last_at > group.last_at


def test_mark_of_error_is_checked_before_anything_is_stored(
    cloud: LocalCloud, pool: Workpool
) -> None:
    insights, before = Insights(cloud.table), cloud.capacity.write_units

    for fingerprint, state, said in (
        ("0" * 15, "resolved", "fingerprint must be 16 hexadecimal digits"),
        ("0" * 16, "gone", "state must be one of open, resolved, ignored"),
    ):
        with pytest.raises(UsageError, match=said):
            insights.mark_error("email", fingerprint, state)  # type: ignore[arg-type]
    with pytest.raises(
        NotFound, match="no dead letter of pool 'email' has error '0000000000000000'"
    ):
        insights.mark_error("email", "0" * 16, "resolved")
    assert cloud.capacity.write_units == before


def test_name_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^table must be "):
        Insights("a b")


@both_engines
def test_list_between_times_is_paged_both_ways(cloud: LocalCloud, pool: Workpool) -> None:
    for order in ("newest", "oldest"):
        found, after = list[str](), None
        while True:
            page = pool.list(None, order=order, limit=2, after=after, between=(None, NOON))  # type: ignore[arg-type]
            found += [each.work_id for each in page.items]
            after = page.next
            if after is None:
                break
        every = [each.work_id for each in pool.list(None, order=order).items]  # type: ignore[arg-type]
        assert found == [each for each in every if each != max(every)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"between": ("2026", None)}, "between must be a timezone-aware datetime"),
        ({"between": (None, NOON.replace(tzinfo=None))}, "between must be a timezone-aware"),
        ({"between": (NOON - timedelta(days=30_000), None)}, "between must be between 1970"),
        ({"between": NOON}, "between must be None, or a tuple of two times"),
        ({"between": (NOON,)}, "between must be None, or a tuple of two times"),
        ({"args_contain": ""}, "args_contain must be None, or 1 to 1000 characters"),
        ({"args_contain": "x" * 1_001}, "args_contain must be"),
        ({"args_contain": 7}, "args_contain must be"),
    ],
)
def test_bad_bounds_of_list_are_refused(
    cloud: LocalCloud, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        cloud.workpool().list(None, **options)


def test_large_arguments_never_match_text(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    pool.enqueue_action(None, "echo", {"text": "needle" + "x" * 5_000})
    small = pool.enqueue_action(None, "echo", {"text": "NEEDLE ß"})

    found = [pool.list(None, args_contain=text).items for text in ("needle", "SS")]

    assert [[each.work_id for each in items] for items in found] == [[small], [small]]


@pytest.mark.parametrize(
    "text", ["", "2", "2w", "-2h", "99999999d", "999999d", "yesterday", "2026-13-01"]
)
def test_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^since must be an ISO time, or a span"):
        moment_of("since", text, NOON)


def test_matching_takes_all_pages_up_to_its_bound(cloud: LocalCloud, pool: Workpool) -> None:
    insights = Insights(cloud.table)
    every = insights.matching("email", WorkFilter(state="dead", limit=1), 100).value
    some = insights.matching("email", WorkFilter(), 3).value

    assert (len(every.work_ids), every.states, every.at_least) == (5, {"failed": 5}, False)
    assert (len(some.work_ids), some.at_least) == (3, True)

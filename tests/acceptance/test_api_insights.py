"""`Insights`: questions about all pools of a table, and what each of them costs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.functions import echo
from workpool_aws import NotFound, UsageError, Workpool
from workpool_aws.insights import Insights, WorkFilter
from workpool_aws.local import LocalCloud

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
    for question in (
        insights.pools,
        lambda: insights.pool("email"),
        lambda: insights.works("email", WorkFilter()),
        lambda: insights.work("email", work_id, args=True),
        lambda: insights.errors("email"),
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


def test_errors_are_grouped_without_their_values(cloud: LocalCloud, pool: Workpool) -> None:
    answer = Insights(cloud.table).errors("email").value

    assert [(each.label, each.error_type, each.count) for each in answer.groups] == [
        ("bad", "PermissionError", 3),
        *sorted([("worse", "MemoryError", 1), ("worse", "MemoryError", 1)]),
    ]
    assert not answer.at_least
    assert len({each.fingerprint for each in answer.groups}) == 3
    assert answer.groups[0].error.startswith("user '")


def test_name_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^table must be "):
        Insights("a b")

"""Lists through the public face: what is pending, running, finished and dead, page by page."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import boom, echo
from workpool_aws import RetryPolicy, UsageError, WorkId, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

SEND = "arn:aws:lambda:us-east-1:123456789012:function:send"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def every_page(pool: Workpool, **question: Any) -> list[WorkId]:
    """The ids of all pages, in order."""
    ids: list[WorkId] = []
    after = None
    for _ in range(50):
        page = pool.list(None, after=after, **question)
        ids += [each.work_id for each in page.items]
        after = page.next
        if after is None:
            return ids
    raise AssertionError(f"the pages do not end: {ids}")


@both_engines
def test_every_state_lists_its_works(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)
    good, bad = (
        pool.enqueue_action(None, cloud.function(echo), {"n": 1}),
        pool.enqueue_action(None, cloud.function(boom), {"n": 2}),
    )
    cloud.run_until_idle()
    slow = cloud.function(
        lambda event, _: None,
        name="slow",
        takes=timedelta(minutes=5),
        timeout=timedelta(minutes=10),
    )
    started = pool.enqueue_action_batch(None, slow, [{}, {}])
    cloud.advance(2 * SECOND)
    waiting = pool.enqueue_action(None, slow, {})
    later = pool.enqueue_action(None, slow, {}, run_after=DAY)
    cloud.advance(2 * SECOND)

    listed = {
        state: every_page(pool, state=state)
        for state in (None, "pending", "running", "finished", "dead")
    }

    assert listed == {
        None: [good, bad, *started, waiting, later],
        "pending": [waiting, later],
        "running": started,
        "finished": [good, bad],
        "dead": [bad],
    }


def test_listed_work_tells_what_it_is(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(boom)
    work_id = pool.enqueue_query(None, fn, {"n": 7}, retry=False)
    enqueued = cloud.now
    cloud.run_until_idle()

    (work,) = pool.list(None, state="dead").items

    assert (work.work_id, work.target, work.kind, work.enqueued_at) == (
        work_id,
        fn,
        "query",
        enqueued,
    )
    assert (work.state, work.outcome, work.error, work.error_type) == (
        "finished",
        "failed",
        "boom 7",
        "ValueError",
    )
    assert (work.redrive_of, work.redriven_as) == (None, None)
    assert work.finished_at == pool.status(None, work_id).finished_at


@pytest.mark.parametrize("state", [None, "finished", "dead", "pending", "running"])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_join_in_either_order(cloud: LocalCloud, state: Any, limit: int) -> None:
    pool = cloud.workpool(max_parallelism=50)
    takes = timedelta(minutes=10) if state == "running" else timedelta(0)
    fn = cloud.function(boom, takes=takes, timeout=timedelta(minutes=15))
    ids = pool.enqueue_action_batch(
        None, fn, [{"n": n} for n in range(7)], run_after=DAY if state == "pending" else None
    )
    cloud.advance(10 * SECOND)

    assert sorted(every_page(pool, state=state, limit=limit)) == sorted(ids)
    assert (
        every_page(pool, state=state, limit=limit, order="newest")
        == every_page(pool, state=state, limit=limit)[::-1]
    )


def test_page_that_holds_all_names_no_next(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    ids = pool.enqueue_action_batch(None, cloud.function(echo), [{}, {}], run_after=DAY)

    page = pool.list(None, limit=2)

    assert [each.work_id for each in page.items] == ids
    assert page.next is None
    assert pool.list(None, limit=1).next is not None


def test_work_that_backs_off_is_listed_once_by_time_it_is_due(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    policy = RetryPolicy(max_attempts=3, initial_backoff=timedelta(minutes=30), jitter=False)
    retried = pool.enqueue_action(None, cloud.function(boom), {"n": 1}, retry=policy)
    cloud.advance(10 * SECOND)
    sooner = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(minutes=10))
    later = pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(minutes=50))

    assert every_page(pool, state="pending", limit=1) == [sooner, retried, later]
    assert every_page(pool, state="pending", order="newest", limit=1) == [later, retried, sooner]


def test_list_of_one_function(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    good, bad = cloud.function(echo, name="good"), cloud.function(boom, name="bad")
    wanted = pool.enqueue_action(None, bad, {"n": 1})
    pool.enqueue_action(None, good, {})
    cloud.run_until_idle()

    assert every_page(pool, fn="bad") == every_page(pool, fn=bad) == [wanted]
    assert every_page(pool, fn="ba") == every_page(pool, fn=f"{bad}:1") == []


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("send", ["plain", "live"]),
        ("send:live", ["live"]),
        ("live", []),
        ("sen", []),
        (f"{SEND}:live", ["live"]),
        (SEND, ["plain"]),
        (f"{SEND}:other", []),
    ],
)
def test_function_is_asked_for_by_name_or_by_very_arn(
    cloud: LocalCloud, asked: str, finds: list[str]
) -> None:
    pool = cloud.workpool(max_parallelism=0)
    names = {
        pool.enqueue_action(None, target, {}): name
        for name, target in (("plain", SEND), ("live", f"{SEND}:live"))
    }

    assert [names[each] for each in every_page(pool, fn=asked)] == finds


def test_pools_list_their_own(cloud: LocalCloud) -> None:
    mine, other = cloud.workpool("mine"), cloud.workpool("other")
    work_id = mine.enqueue_action(None, cloud.function(boom), {"n": 1})
    cloud.run_until_idle()

    assert every_page(mine) == every_page(mine, state="dead") == [work_id]
    assert every_page(other) == every_page(other, state="dead") == []


def test_list_leaves_out_work_past_its_retention(cloud: LocalCloud) -> None:
    pool = Workpool(cloud.table, "short", status_ttl=timedelta(seconds=30))
    pool.enqueue_action(None, cloud.function(boom), {"n": 1})
    cloud.run_until_idle()
    assert len(pool.list(None, state="dead").items) == 1
    cloud.advance(timedelta(minutes=1))

    assert every_page(pool) == every_page(pool, state="dead") == []
    assert pool.redrive_all(None) == 0


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (
            {"state": "done"},
            "state must be None (all) or one of pending, running, finished, dead; got 'done'",
        ),
        ({"order": "random"}, "order must be one of oldest, newest; got 'random'"),
        ({"limit": 0}, "limit must be an int from 1 to 1000; got 0"),
        ({"limit": True}, "limit must be an int from 1 to 1000; got True"),
        ({"fn": ""}, "fn must be"),
        (
            {"after": "%"},
            "after must be None, or the `next` of a page of the same state and order; got '%'",
        ),
        ({"after": 5}, "after must be"),
    ],
)
def test_list_refuses_unknown_filters(
    cloud: LocalCloud, question: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        cloud.workpool().list(None, **question)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("state", "order", "said"),
    [
        (None, "oldest", "all:oldest:"),
        (None, "newest", "all:newest:"),
        ("pending", "newest", "pending:newest:"),
    ],
)
def test_cursor_outlives_version_that_made_it(
    cloud: LocalCloud, state: Any, order: Any, said: str
) -> None:
    """A page may be asked for by a deployment that is newer than the one that made the page before."""
    pool = cloud.workpool()
    ids = pool.enqueue_action_batch(None, cloud.function(echo), [{}, {}, {}], run_after=DAY)
    first, second, _ = ids if order == "oldest" else ids[::-1]
    cursor = base64.urlsafe_b64encode(f"{said}{first}".encode()).decode().rstrip("=")

    page = pool.list(None, state=state, order=order, limit=1)

    assert page.next == cursor
    assert [
        work.work_id
        for work in pool.list(None, state=state, order=order, limit=1, after=cursor).items
    ] == [second]


def test_cursor_is_good_for_its_own_question_only(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    pool.enqueue_action_batch(None, cloud.function(echo), [{}, {}], run_after=DAY)
    cursor = pool.list(None, limit=1).next

    with pytest.raises(UsageError, match="same state and order"):
        pool.list(None, order="newest", after=cursor)
    with pytest.raises(UsageError, match="same state and order"):
        pool.list(None, state="pending", after=cursor)

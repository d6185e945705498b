"""Groups: many work items, one callback when all are over, and what becomes of them under cancels and faults."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import boom, echo
from workpool_aws import (
    NonRetryableError,
    NotFound,
    OnCompleteEvent,
    PayloadTooLarge,
    RetryPolicy,
    Transaction,
    UnknownOption,
    UsageError,
)
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import GroupCanceled

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

HOUR = timedelta(hours=1)
QUEUE = "arn:aws:sqs:us-east-1:123456789012:joined"


def numbers(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


@both_engines
def test_group_calls_back_once_when_all_members_are_over(cloud: LocalCloud) -> None:
    """[WP-19] [WP-27]"""
    pool = cloud.workpool("images", max_parallelism=4)
    told: list[tuple[Any, Any, timedelta]] = []

    @pool.action(retry=False)
    def resize(n: int) -> int:
        if n == 3:
            raise NonRetryableError("not an image")
        return n

    @pool.on_complete
    def joined(event: OnCompleteEvent) -> None:
        ends = [each.ended_at for each in cloud.invocations(resize_arn) if each.ended_at]
        told.append((event.context, event.result.return_value, cloud.now - max(ends)))

    resize_arn = cloud.function(resize, takes=timedelta(milliseconds=200))
    cloud.function(joined)
    group_id = pool.enqueue_group(
        None, resize, numbers(10), on_complete=joined, context={"album": 7}
    )
    before = pool.group(None, group_id)
    cloud.run_until_idle()
    group = pool.group(None, group_id)

    assert (before.state, before.total, before.enqueued, before.over) == ("running", 10, 10, 0)
    ((context, summary, lag),) = told
    assert context == {"album": 7}
    assert summary == {
        "group_id": group_id,
        "total": 10,
        "succeeded": 9,
        "failed": 1,
        "canceled": 0,
    }
    assert lag < timedelta(seconds=1)
    assert (group.state, group.succeeded, group.failed, group.canceled) == ("finished", 9, 1, 0)
    assert (group.job, group.callback) == ("resize", "delivered")


@pytest.mark.parametrize("target", ["queue", "function"])
def test_undecorated_target_receives_documented_event(cloud: LocalCloud, target: str) -> None:
    pool = cloud.workpool()
    events: list[Any] = []
    listener = cloud.function(lambda event, _: events.append(event), name="listener")
    on_complete = QUEUE if target == "queue" else listener
    group_id = pool.enqueue_group(
        None, cloud.function(echo), numbers(3), on_complete=on_complete, context=[1]
    )
    cloud.run_until_idle()
    (event,) = list(cloud.messages(QUEUE)) if target == "queue" else events
    group = pool.group(None, group_id)

    assert event == {
        "work_id": group.follow_up,
        "context": [1],
        "result": {
            "kind": "success",
            "return_value": {
                "group_id": group_id,
                "total": 3,
                "succeeded": 3,
                "failed": 0,
                "canceled": 0,
            },
        },
    }


def test_group_without_callback_only_counts(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    group_id = pool.enqueue_group(None, cloud.function(boom), numbers(2), retry=False)
    cloud.run_until_idle()
    group = pool.group(None, group_id)

    assert (group.state, group.failed, group.follow_up, group.callback) == (
        "finished",
        2,
        None,
        None,
    )


def test_same_call_with_same_id_stores_nothing_twice(cloud: LocalCloud) -> None:
    """[WP-19]"""
    pool = cloud.workpool()
    fn = cloud.function(echo)
    ids = {
        pool.enqueue_group(None, fn, numbers(5), on_complete=QUEUE, group_id="nightly")
        for _ in range(2)
    }
    cloud.run_until_idle()
    ids.add(pool.enqueue_group(None, fn, numbers(5), on_complete=QUEUE, group_id="nightly"))
    cloud.run_until_idle()

    assert ids == {"nightly"}
    assert Counter(each.event["n"] for each in cloud.invocations(fn)) == Counter(range(5))
    assert len(list(cloud.messages(QUEUE))) == 1


@pytest.mark.parametrize("other", ["arguments", "number", "function"])
def test_id_of_another_request_is_refused(cloud: LocalCloud, other: str) -> None:
    pool = cloud.workpool()
    fn, another = cloud.function(echo), cloud.function(boom)
    pool.enqueue_group(None, fn, numbers(3), group_id="nightly")
    target = another if other == "function" else fn
    args = {"arguments": [{"n": 7}, {"n": 1}, {"n": 2}], "number": numbers(4)}.get(
        other, numbers(3)
    )
    with pytest.raises(UsageError, match="group_id must be new, or that of a group of the same"):
        pool.enqueue_group(None, target, args, group_id="nightly")
    cloud.run_until_idle()

    assert len(cloud.invocations(fn)) == 3
    assert cloud.invocations(another) == []


@both_engines
def test_canceled_group_ends_with_what_runs(cloud: LocalCloud) -> None:
    """[WP-19] [WP-7]"""
    pool = cloud.workpool("images", max_parallelism=2)
    told: list[dict[str, Any]] = []
    fn = cloud.function(echo, takes=timedelta(seconds=30), timeout=timedelta(minutes=1))
    listener = cloud.function(lambda event, _: told.append(event), name="listener")
    group_id = pool.enqueue_group(None, fn, numbers(6), on_complete=listener)
    cloud.advance(timedelta(seconds=10))
    ended = pool.cancel_group(None, group_id)
    again = pool.cancel_group(None, group_id)
    halfway = pool.group(None, group_id)
    cloud.run_until_idle()
    group = pool.group(None, group_id)

    assert (ended, again, halfway.state) == (4, 0, "running")
    assert (group.state, group.succeeded, group.canceled) == ("finished", 2, 4)
    assert len(cloud.invocations(fn)) == 2
    assert [event["result"]["return_value"]["canceled"] for event in told] == [4]


def test_cancel_of_group_reports_its_steps_and_ends_at_an_error(cloud: LocalCloud) -> None:
    """[WP-19]"""
    pool = cloud.workpool("images", max_parallelism=2)
    fn = cloud.function(echo, takes=timedelta(seconds=30), timeout=timedelta(minutes=1))
    group_id = pool.enqueue_group(None, fn, numbers(230))
    cloud.advance(timedelta(seconds=10))
    steps: list[tuple[int, int]] = []

    def stop(reached: int, changed: int) -> None:
        raise KeyError(f"{reached} {changed}")

    with pytest.raises(UsageError, match="on_step must be None, or a callable; got 5"):
        pool.cancel_group(None, group_id, on_step=5)  # type: ignore[arg-type]
    untouched = pool.group(None, group_id).canceled
    with pytest.raises(KeyError, match="100 100"):
        pool.cancel_group(None, group_id, on_step=stop)
    cloud.advance(timedelta(seconds=1))
    halfway = pool.group(None, group_id)
    ended = pool.cancel_group(
        None, group_id, on_step=lambda reached, changed: steps.append((reached, changed))
    )
    cloud.run_until_idle()

    # Two of the first hundred run: they were asked to stop, and asked again.
    assert (untouched, halfway.canceled, ended) == (0, 98, 130)
    told = [fact.canceled for fact in cloud.facts if isinstance(fact, GroupCanceled)]
    assert told == [98, 130]
    assert steps == [(100, 100), (32, 32)]
    assert pool.group(None, group_id).canceled == 228


def test_members_that_end_while_they_are_pending_are_counted(cloud: LocalCloud) -> None:
    """[WP-19] By a cancel, by cancel_all, and because they expired."""
    pool = cloud.workpool("images")
    fn = cloud.function(echo)
    one = pool.enqueue_group(None, fn, numbers(2), group_id="one", run_after=HOUR)
    all_of_them = pool.enqueue_group(None, fn, numbers(2), group_id="all", run_after=2 * HOUR)
    late = pool.enqueue_group(
        None, fn, numbers(2), group_id="late", run_after=HOUR, expires_after=timedelta(minutes=1)
    )
    members = [each.work_id for each in pool.list(None, state="pending").items]
    of_one = [each for each in members if pool.show(None, each).group == one]
    pool.cancel(None, of_one[0])
    cloud.advance(HOUR / 2)
    pool.configure(None, paused=True)
    cloud.advance(HOUR)
    pool.configure(None, paused=False)
    cloud.advance(timedelta(seconds=10))
    pool.cancel_all(None)
    cloud.run_until_idle()
    seen = {name: pool.group(None, name) for name in (one, all_of_them, late)}

    assert {name: (g.state, g.succeeded, g.failed, g.canceled) for name, g in seen.items()} == {
        "one": ("finished", 1, 0, 1),
        "all": ("finished", 0, 0, 2),
        "late": ("finished", 0, 2, 0),
    }


def test_group_that_is_not_there_counts_nothing(cloud: LocalCloud) -> None:
    group = cloud.workpool().group(None, "never")

    counts = (group.total, group.enqueued, group.over)
    assert (group.state, counts) == ("unknown", (0, 0, 0))
    assert (group.succeeded, group.failed, group.canceled) == (0, 0, 0)
    assert (group.target, group.created_at, group.finished_at, group.callback) == (None,) * 4


def test_redriven_member_is_not_counted_again(cloud: LocalCloud) -> None:
    """[WP-19]"""
    pool = cloud.workpool()
    cloud.fail_next(fn := cloud.function(echo), ValueError("once"))
    group_id = pool.enqueue_group(None, fn, numbers(1), on_complete=QUEUE, retry=False)
    cloud.run_until_idle()
    (dead,) = pool.list(None, state="dead").items
    redriven = pool.redrive(None, dead.work_id)
    cloud.run_until_idle()
    group = pool.group(None, group_id)

    assert pool.status(None, redriven).outcome == "success"
    assert (group.succeeded, group.failed) == (0, 1)
    assert pool.show(None, redriven).group is None
    assert len(list(cloud.messages(QUEUE))) == 1


def test_effect_of_callback_with_transaction_happens_once(cloud: LocalCloud) -> None:
    """[WP-15] [WP-19]"""
    import boto3  # noqa: PLC0415 - inside the cloud, as a user's module would

    client = boto3.resource("dynamodb")
    sums = client.create_table(
        TableName="sums",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    pool = cloud.workpool()

    @pool.on_complete
    def joined(event: OnCompleteEvent, tx: Transaction) -> None:
        summary = event.result.return_value
        assert isinstance(summary, dict)
        tx.update("sums", {"id": "x"}, add={"calls": 1, "members": summary["succeeded"]})

    cloud.function(joined)
    pool.enqueue_group(None, cloud.function(echo), numbers(4), on_complete=joined)
    cloud.run_until_idle()
    item = sums.get_item(Key={"id": "x"})["Item"]

    assert (int(item["calls"]), int(item["members"])) == (1, 4)


def test_job_enqueues_groups_with_its_options(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action(retry=True)
    def resize(n: int) -> int:
        return n

    cloud.function(resize)
    later = resize.with_options(run_after=HOUR / 2)
    group_id = later.enqueue_group(None, numbers(2), on_complete=QUEUE, group_id="later")
    due = cloud.now + HOUR / 2
    members = [each.work_id for each in pool.list(None, state="pending").items]
    shown = pool.show(None, members[0])
    times = {each.next_run_at for each in pool.status_batch(None, members)}
    with pytest.raises(UsageError, match=r"args\[1\]"):
        resize.enqueue_group(None, [{"n": 1}, {"m": 1}])
    cloud.run_until_idle()

    assert (group_id, shown.group, shown.retry is not None) == ("later", "later", True)
    assert (len(members), times) == (2, {due})
    assert pool.group(None, group_id).succeeded == 2


def test_callback_of_job_is_that_of_each_member(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    each_of_them = QUEUE.replace("joined", "each")

    @pool.action(on_complete=each_of_them)
    def resize(n: int) -> int:
        return n

    cloud.function(resize)
    pool.enqueue_group(None, resize, numbers(3), on_complete=QUEUE)
    cloud.run_until_idle()

    assert (len(list(cloud.messages(each_of_them))), len(list(cloud.messages(QUEUE)))) == (3, 1)


def test_groups_are_listed_by_id_in_pages(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    made = [pool.enqueue_group(None, fn, numbers(n)) for n in (1, 2, 3)]
    first = pool.groups(None, limit=2)
    second = pool.groups(None, limit=2, after=first.next)

    assert [each.group_id for each in (*first.items, *second.items)] == sorted(made)
    assert {each.total for each in (*first.items, *second.items)} == {1, 2, 3}
    assert (first.next, second.next) == (first.items[-1].group_id, None)
    newest = pool.groups(None, order="newest", limit=2)
    last = pool.groups(None, order="newest", limit=2, after=newest.next)
    assert [each.group_id for each in (*newest.items, *last.items)] == sorted(made, reverse=True)
    assert last.next is None
    with pytest.raises(UsageError, match="order must be one of oldest, newest"):
        pool.groups(None, order="name")  # type: ignore[arg-type]


def test_members_are_listed_alone_in_every_state(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=2)
    later = timedelta(minutes=1)

    def resize(event: dict[str, int], _: object) -> None:
        if event["n"] < 2:
            raise OSError("again")

    fn = cloud.function(
        resize,
        timeout=timedelta(minutes=15),
        takes=lambda event: timedelta(minutes=10 if event["n"] == 3 else 0),
    )
    retry = RetryPolicy(max_attempts=2, initial_backoff=timedelta(hours=2), jitter=False)
    others = pool.enqueue_action_batch(None, fn, numbers(2), retry=False)
    pool.enqueue_group(None, fn, [{"n": 0}, {"n": 2}, {"n": 3}], group_id="a", retry=retry)
    pool.enqueue_group(None, fn, numbers(2), group_id="b", retry=False, run_after=later)
    others += pool.enqueue_action_batch(None, fn, numbers(2), run_after=HOUR)
    cloud.advance(timedelta(minutes=2))

    def listed(group: str, state: Any, order: Any = "oldest") -> list[str]:
        page = pool.list(None, state=state, order=order, group=group)
        assert page.next is None
        return [each.work_id for each in page.items]

    first, second, third = listed("a", None)
    assert {first, second, third}.isdisjoint(others)
    assert listed("a", None, "newest") == [third, second, first]
    assert (listed("a", "pending"), listed("a", "running")) == ([first], [third])
    assert (listed("a", "finished"), listed("a", "dead")) == ([second], [])
    assert listed("b", "dead") == listed("b", "finished") == listed("b", None)
    assert (len(listed("b", None)), listed("b", "pending")) == (2, [])
    page = pool.list(None, group="a", limit=2)
    assert [each.work_id for each in page.items] == [first, second]
    rest = pool.list(None, group="a", limit=2, after=page.next)
    assert [each.work_id for each in rest.items] == [third]
    assert len(pool.list(None, group="a", between=(None, cloud.now - HOUR)).items) == 0
    with pytest.raises(NotFound, match="no group 'never' is known in pool 'default'"):
        pool.list(None, group="never")
    with pytest.raises(UsageError, match="group must be a str of 1 to 64"):
        pool.list(None, group="")


def test_unknown_group_is_unknown(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    assert pool.group(None, "never").state == "unknown"
    with pytest.raises(NotFound, match="no group 'never' is known in pool 'default'"):
        pool.cancel_group(None, "never")


def test_group_expires_with_its_members(cloud: LocalCloud) -> None:
    pool = cloud.workpool("short", status_ttl=timedelta(minutes=1))
    fn = cloud.function(echo)
    group_id = pool.enqueue_group(None, fn, numbers(1))
    cloud.run_until_idle()
    cloud.advance(timedelta(hours=23))
    kept = pool.group(None, group_id).state
    cloud.advance(timedelta(hours=2))

    assert (kept, pool.group(None, group_id).state) == ("finished", "unknown")


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"args": {"n": 1}}, UsageError, "args must be a list of JSON objects"),
        ({"args": [{"n": {1}}]}, UsageError, r"args\[0\]"),
        ({"args": []}, UsageError, "args must be a list of 1 to 10000"),
        ({"args": [{}] * 10_001}, UsageError, "args must be a list of 1 to 10000"),
        ({"args": [{"n": "x" * 950_000}]}, PayloadTooLarge, r"args\[0\]"),
        ({"group_id": "a b"}, UsageError, "group_id must be a str of 1 to 64"),
        ({"group_id": 7}, UsageError, "group_id must be a str of 1 to 64"),
        ({"context": 1}, UsageError, "context must be None without on_complete"),
        ({"on_complete": QUEUE, "context": "x" * 5_000}, UsageError, "at most 4096 bytes"),
        ({"on_complete": 7}, UsageError, "on_complete must be"),
        ({"on_complete_exclude": ["failed"]}, UnknownOption, "on_complete_exclude must be one of"),
        ({"retry": 3}, UsageError, "retry must be"),
        ({"run_after": 3}, UsageError, "run_after must be a timedelta"),
    ],
)
def test_bad_input_is_refused_before_anything_is_stored(
    cloud: LocalCloud, given: dict[str, Any], error: type[Exception], named: str
) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    with pytest.raises(error, match=named):
        pool.enqueue_group(None, fn, **{"args": numbers(1), **given})

    assert pool.groups(None).items == ()
    assert pool.list(None).items == ()


def test_group_is_no_part_of_transaction(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(echo)
    with pool.transaction(None) as tx, pytest.raises(UsageError, match="ctx must be"):
        pool.enqueue_group(tx, fn, numbers(1))  # type: ignore[arg-type]
    for limit in (0, 101, True, "x"):
        with pytest.raises(UsageError, match="limit must be an int from 1 to 100"):
            pool.groups(None, limit=limit)  # type: ignore[arg-type]

    assert pool.groups(None).items == ()


@pytest.mark.parametrize(
    "faults",
    [
        {"crash_rate": 0.2},
        {"lost_deliveries": 0.3},
        {"duplicate_deliveries": 0.5},
        {"crash_rate": 0.1, "lost_deliveries": 0.1, "lost_destinations": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [1])
def test_group_is_followed_once_under_faults(faults: dict[str, float], seed: int) -> None:
    """[WP-19]"""
    with LocalCloud(seed=seed, call_latency=timedelta(milliseconds=5), **faults) as cloud:
        pool = cloud.workpool("images", max_parallelism=10)

        @pool.action(retry=True)
        def resize(n: int) -> int:
            return n

        cloud.function(resize)
        group_id = pool.enqueue_group(None, resize, numbers(40), on_complete=QUEUE)
        cloud.run_until_idle(timeout=timedelta(hours=12))
        group = pool.group(None, group_id)
        finished = pool.list(None, state="finished", limit=1000).items
        follow_ups = [each for each in finished if each.work_id == group.follow_up]

    assert (group.state, group.over, group.callback) == ("finished", 40, "delivered"), seed
    assert len(follow_ups) == 1, seed
    assert len(finished) == 41, seed

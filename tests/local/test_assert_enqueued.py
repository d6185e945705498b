"""`assert_enqueued` and `refute_enqueued`, as tests of an application use them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from unittest.mock import ANY

import pytest

from workpool_aws import RetryPolicy, UsageError, Workpool
from workpool_aws.local import LocalCloud, LocalCloudError
from workpool_aws.testing import EnqueuedWork, assert_enqueued, refute_enqueued

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
pool = Workpool("workpool-local", "email", default_retry=RetryPolicy(max_attempts=3))


@pool.action
def send_email(to: str, template: str = "welcome") -> None: ...


@pool.action
def crawl(url: str) -> None: ...


@dataclass(frozen=True)
class Price:
    cents: int


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        raise RuntimeError("shown")


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        cloud.function(send_email)
        cloud.function(crawl)
        yield cloud


def enqueue(**args: object) -> str:
    return pool.enqueue_action(None, "send_email", args)


def refusal(target: object = send_email, **args: object) -> str:
    with pytest.raises(AssertionError) as refused:
        assert_enqueued(target, **args)
    return str(refused.value)


def test_assert_enqueued_returns_work_item(cloud: LocalCloud) -> None:
    work_id = pool.enqueue_action(
        None,
        "send_email",
        {"to": "a@example.com"},
        retry=True,
        run_after=timedelta(minutes=5),
        on_complete="crawl",
        context={"user": 7},
    )

    assert assert_enqueued(send_email, to="a@example.com") == EnqueuedWork(
        work_id=work_id,
        pool="email",
        target=f"{ARN}send_email",
        job="send_email",
        args={"to": "a@example.com"},
        kind="action",
        state="pending",
        run_at=cloud.now + timedelta(minutes=5),
        retry=RetryPolicy(max_attempts=3),
        on_complete=f"{ARN}crawl",
        context={"user": 7},
    )


@pytest.mark.parametrize(
    "target",
    [
        send_email,
        "send_email",
        "send_email:live",
        "arn:aws:lambda:us-east-1:123456789012:function:send_email",
        "arn:aws:lambda:us-east-1:123456789012:function:send_email:live",
    ],
)
@pytest.mark.parametrize(
    "enqueued", ["send_email", "arn:aws:lambda:us-east-1:123456789012:function:send_email:3"]
)
def test_assert_enqueued_takes_workers_names_and_arns(
    cloud: LocalCloud, target: object, enqueued: str
) -> None:
    work_id = pool.enqueue_action(None, enqueued, {"to": "a@example.com"})

    assert assert_enqueued(target).work_id == work_id
    refute_enqueued(crawl)


def test_assert_enqueued_finds_handler_that_runs_in_two_functions(cloud: LocalCloud) -> None:
    slow_arn = cloud.function(send_email, name="send_email_slowly")
    pool.enqueue_action(None, f"{ARN}send_email", {"to": "a@example.com"})
    pool.enqueue_action(None, slow_arn, {"to": "b@example.com"})

    assert assert_enqueued(send_email, to="a@example.com").target == f"{ARN}send_email"
    assert assert_enqueued(send_email, to="b@example.com").target == slow_arn


def test_assert_enqueued_finds_jobs_by_name_handle_and_wrapper(cloud: LocalCloud) -> None:
    @pool.action(name="mail.send")
    def send(to: str) -> None: ...

    @wraps(send)
    def wrapped(event: object, context: object) -> object:
        return send(event, context)

    cloud.function(wrapped, name="mailer")
    work_id = send.with_options(retry=True).enqueue(None, to="a@example.com")

    for target in ("mail.send", "mailer", send, wrapped, send.with_options(retry=False)):
        assert assert_enqueued(target, to="a@example.com").work_id == work_id
    refute_enqueued(send_email)


def test_assert_enqueued_counts_work_items_of_every_pool_that_have_run(cloud: LocalCloud) -> None:
    other = cloud.workpool("other")
    work_id = other.enqueue_action(None, "crawl", {"url": "example.com"})
    cloud.run_until_idle()

    found = assert_enqueued(crawl, url="example.com")

    assert (found.work_id, found.pool, found.state) == (work_id, "other", "finished")


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ([1, 2], (1, 2)),
        (1, 1.0),
        ({"cents": 5}, Price(5)),
        ({"id": 1, "at": "now"}, {"id": 1, "at": ANY}),
        (True, ANY),
        (0.1 + 0.2, pytest.approx(0.3)),
        (None, None),
    ],
)
def test_assert_enqueued_compares_values_after_json(
    cloud: LocalCloud, stored: object, asked: object
) -> None:
    enqueue(value=stored)

    assert assert_enqueued(send_email, value=asked).args == {"value": stored}


@pytest.mark.parametrize(
    ("stored", "asked"),
    [(1, True), (True, 1), (False, 0.0), ([1], [True]), ([1], [1, 2]), ({"a": 1}, {}), (1, "1")],
)
def test_refute_enqueued_tells_unlike_values_apart(
    cloud: LocalCloud, stored: object, asked: object
) -> None:
    enqueue(value=stored)

    refute_enqueued(send_email, value=asked)


def test_assert_enqueued_takes_arguments_of_any_name(cloud: LocalCloud) -> None:
    enqueue(target="x", cloud="y", args="z", self="s")

    assert_enqueued(send_email, target="x", cloud="y", args="z", self="s")
    refute_enqueued(send_email, target="y")


def test_assert_enqueued_shows_nearest_first_with_its_differences(cloud: LocalCloud) -> None:
    ids = [
        pool.enqueue_action(None, "crawl", {"to": "b@example.com"}),
        enqueue(to="c@example.com", template="bye"),
        enqueue(to="a@example.com", template="welcome"),
    ]

    assert refusal(to="b@example.com", template="welcome").splitlines() == [
        "no work item matches send_email(to='b@example.com', template='welcome'); 3 enqueued, the nearest first:",
        f"  send_email(to='a@example.com', template='welcome') pending, pool email, {ids[2]}",
        "      to: 'a@example.com', expected 'b@example.com'",
        f"  send_email(to='c@example.com', template='bye') pending, pool email, {ids[1]}",
        "      to: 'c@example.com', expected 'b@example.com'",
        "      template: 'bye', expected 'welcome'",
        f"  crawl(to='b@example.com') pending, pool email, {ids[0]}",
        "      another function",
        "      template: absent, expected 'welcome'",
    ]


def test_assert_enqueued_says_that_nothing_is_enqueued(cloud: LocalCloud) -> None:
    assert refusal(to="a") == "no work item matches send_email(to='a'); none enqueued"


def test_assert_enqueued_refuses_two_matches(cloud: LocalCloud) -> None:
    ids = [enqueue(to="a"), enqueue(to="a", template="bye")]
    enqueue(to="b")

    assert refusal(to="a").splitlines() == [
        "2 work items match send_email(to='a'); expected one:",
        f"  send_email(to='a') pending, pool email, {ids[0]}",
        f"  send_email(to='a', template='bye') pending, pool email, {ids[1]}",
    ]


def test_assert_enqueued_shows_ten_work_items_at_most(cloud: LocalCloud) -> None:
    pool.enqueue_action_batch(None, "send_email", [{"to": str(n)} for n in range(12)])

    lines = refusal(to="b").splitlines()

    assert len(lines) == 1 + 10 * 2 + 1
    assert lines[-1] == "  and 2 more"


def test_assert_enqueued_survives_hostile_values(cloud: LocalCloud) -> None:
    enqueue(to="\x1b[2J\n  send_email(to='forged')")

    shown = refusal(to=Hostile()).splitlines()

    assert "to=<Hostile whose repr raises RuntimeError>" in shown[0]
    assert len(shown) == 3
    assert "\x1b" not in "".join(shown)


def test_refute_enqueued_shows_matches(cloud: LocalCloud) -> None:
    work_id = enqueue(to="a")
    enqueue(to="b")

    with pytest.raises(AssertionError) as refused:
        refute_enqueued(send_email, to="a")

    assert str(refused.value).splitlines() == [
        "1 work item matches send_email(to='a'); expected none:",
        f"  send_email(to='a') pending, pool email, {work_id}",
    ]


@pytest.mark.parametrize("look", [assert_enqueued, refute_enqueued])
def test_function_that_cloud_has_not_is_refused(cloud: LocalCloud, look) -> None:
    for target in ("send_emial", lambda event, context: None, None, 3):
        with pytest.raises(UsageError, match="a function of this cloud"):
            look(target, to="a")


@pytest.mark.parametrize("look", [assert_enqueued, refute_enqueued])
def test_outside_of_cloud_fixture_is_named(look) -> None:
    with pytest.raises(LocalCloudError, match="workpool_cloud"):
        look("send_email")


def test_innermost_cloud_is_looked_in(cloud: LocalCloud) -> None:
    enqueue(to="outer")
    with LocalCloud() as inner:
        inner.function(send_email)
        refute_enqueued(send_email, to="outer")

    assert_enqueued(send_email, to="outer")


def test_large_arguments_are_read_from_their_chunks(cloud: LocalCloud) -> None:
    enqueue(to="a", text="x" * 500_000)

    assert len(str(assert_enqueued(send_email, to="a").args["text"])) == 500_000


def test_looking_costs_neither_time_nor_units() -> None:
    with LocalCloud(call_latency=timedelta(seconds=1)) as cloud:
        cloud.function(send_email)
        enqueue(to="a")
        before = cloud.now, cloud.capacity, len(cloud.trace)

        assert_enqueued(send_email, to="a")

        assert (cloud.now, cloud.capacity, len(cloud.trace)) == before

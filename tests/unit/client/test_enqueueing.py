"""The records that an enqueue stores, and its refusals before anything is stored."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.records import NOW, TARGET, a_work
from tests.kit.stores import every, lost_after, lost_before, puts
from tests.kit.world import World
from workpool_aws import (
    OnCompleteEvent,
    PayloadTooLarge,
    RetryPolicy,
    StoreUnavailable,
    UsageError,
    Workpool,
)
from workpool_aws.model.ids import time_of
from workpool_aws.model.payload import Chunked, Inline
from workpool_aws.model.spec import Kind
from workpool_aws.model.work import State, WorkItem

AT = datetime(2026, 1, 1, tzinfo=UTC)
TARGETS = (
    "the ARN of a Lambda function, version or alias, or a function name ('name' or 'name:alias')"
)
RETRIES = "None (the pool's default), False, True (the pool's default policy) or a RetryPolicy"
YEAR = timedelta(days=366)
OTHER = RetryPolicy(max_attempts=2)


def enqueue(pool: Workpool, kind: str = "action", **options: Any) -> str:
    asked = {"ctx": None, "target": "send", "args": {}, **options}
    return getattr(pool, f"enqueue_{kind}")(
        asked.pop("ctx"), asked.pop("target"), asked.pop("args"), **asked
    )


def test_action_is_stored_as_it_was_asked_for(world: World) -> None:
    work_id = world.pool().enqueue_action(None, TARGET, {"to": "a@example.com"})

    assert world.work(work_id) == a_work(
        id=work_id,
        permit=world.work(work_id).permit,
        target=TARGET,
        args=Inline('{"to":"a@example.com"}'),
        kind=Kind.ACTION,
        retry=None,
        claimed=True,
        state=State.PENDING,
        due_at=NOW,
        enqueued_at=NOW,
        retention_s=86_400,
    )
    assert [order.pool for order in world.invoker.loops] == ["email"]


@pytest.mark.parametrize(
    ("kind", "retry", "by_default", "policy", "claimed"),
    [
        ("action", None, False, None, True),
        ("action", None, True, RetryPolicy(), False),
        ("action", False, True, None, True),
        ("action", True, False, RetryPolicy(), False),
        ("action", OTHER, False, OTHER, False),
        ("action", RetryPolicy(max_attempts=1), False, RetryPolicy(max_attempts=1), True),
        ("query", None, False, RetryPolicy(), False),
        ("query", False, False, None, False),
        ("query", OTHER, False, OTHER, False),
        ("mutation", None, False, RetryPolicy(), True),
        ("mutation", False, True, None, True),
        ("mutation", OTHER, False, OTHER, True),
    ],
)
def test_kind_and_its_retry_say_whether_it_may_run_twice(
    world: World,
    kind: str,
    retry: object,
    by_default: bool,
    policy: RetryPolicy | None,
    claimed: bool,
) -> None:
    pool = Workpool(
        world.ports.table, "email", retry_actions_by_default=by_default, ports=world.ports
    )

    stored = world.work(enqueue(pool, kind, retry=retry))

    assert (stored.spec.kind, stored.spec.retry, stored.spec.claimed) == (kind, policy, claimed)


@pytest.mark.parametrize(
    ("when", "due_at"),
    [
        ({}, NOW),
        ({"run_after": timedelta(minutes=5)}, NOW + 300_000),
        ({"run_after": timedelta(microseconds=1)}, NOW + 1),
        ({"run_after": timedelta(days=-1)}, NOW),
        ({"run_after": timedelta.min}, NOW),
        ({"run_after": YEAR}, NOW + 366 * 86_400_000),
        ({"run_at": AT + timedelta(seconds=90)}, NOW + 90_000),
        ({"run_at": AT + timedelta(microseconds=1500)}, NOW + 2),
        ({"run_at": datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))}, NOW + 3_600_000),
        ({"run_at": datetime.min.replace(tzinfo=UTC)}, NOW),
        ({"run_at": AT + YEAR}, NOW + 366 * 86_400_000),
    ],
)
def test_due_time_is_that_of_options(world: World, when: dict[str, object], due_at: int) -> None:
    work_id = enqueue(world.pool(), **when)

    assert world.work(work_id).due_at == due_at
    assert time_of(work_id) == due_at


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"target": 5}, f"target must be {TARGETS}; got 5"),
        ({"target": ""}, f"target must be {TARGETS}; got ''"),
        ({"target": "a b"}, f"target must be {TARGETS}; got 'a b'"),
        ({"target": "send\n"}, f"target must be {TARGETS}; got 'send\\n'"),
        ({"target": "n" * 65}, f"target must be {TARGETS}; got '{'n' * 65}'"),
        (
            {"target": "arn:aws:sqs:us-east-1:123456789012:q"},
            f"target must be {TARGETS}; got 'arn:aws:sqs:us-east-1:123456789012:q'",
        ),
        (
            {"target": "send:$LATEST.PUBLISHED"},
            "target must be a function outside of Lambda Managed Instances, which do not end code at the function's timeout; got "
            + repr("send:$LATEST.PUBLISHED"),
        ),
        (
            {"target": "123456789012:function:send"},
            f"target must be {TARGETS}; got '123456789012:function:send'",
        ),
        (
            {"ctx": {}},
            "ctx must be the context that Lambda gave to the handler, or None outside of Lambda; got a value of type dict",
        ),
        ({"retry": 3}, f"retry must be {RETRIES}; got 3"),
        ({"retry": 1}, f"retry must be {RETRIES}; got 1"),
        ({"run_after": 5}, "run_after must be a timedelta; got 5"),
        (
            {"run_after": YEAR + timedelta(microseconds=1)},
            f"run_after must be a timedelta of at most 366 days; got {YEAR + timedelta(microseconds=1)!r}",
        ),
        ({"run_at": "2026-01-01"}, "run_at must be a timezone-aware datetime; got '2026-01-01'"),
        (
            {"run_at": AT.replace(tzinfo=None)},
            f"run_at must be timezone-aware; got {AT.replace(tzinfo=None)!r}",
        ),
        (
            {"run_at": AT + YEAR + timedelta(seconds=1)},
            f"run_at must be at most 366 days ahead; got {AT + YEAR + timedelta(seconds=1)!r}",
        ),
        (
            {"run_at": AT, "run_after": YEAR},
            f"run_at must be None where run_after is given; got {AT!r}",
        ),
        (
            {"args": [1]},
            "args must be a JSON object: a dict with str keys; got a value of type list",
        ),
        ({"args": {"x": float("inf")}}, "args.x must be a finite number; got inf"),
    ],
)
@pytest.mark.parametrize("kind", ["action", "query"])
def test_enqueue_refuses_bad_options_and_stores_nothing(
    world: World, kind: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        enqueue(world.pool(), kind, **asked)

    assert str(caught.value) == message
    assert world.requests == 0


def test_arguments_of_900_kilobytes_fit_and_one_byte_more_does_not(world: World) -> None:
    full = {"x": "a" * (900 * 1024 - len('{"x":""}'))}
    work_id = enqueue(world.pool(), args=full)

    assert world.work(work_id).spec.args == Chunked(3)
    with pytest.raises(
        PayloadTooLarge, match=r"^args must be at most 921600 bytes as JSON; got 921601 bytes$"
    ):
        enqueue(world.pool(), args={"x": full["x"] + "a"})


@pytest.mark.parametrize(
    ("target", "stored"),
    [
        ("send", "arn:aws:lambda:us-east-1:123456789012:function:send"),
        ("send:live", "arn:aws:lambda:us-east-1:123456789012:function:send:live"),
        ("send:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:send:$LATEST"),
        (
            "arn:aws-us-gov:lambda:us-gov-west-1:210987654321:function:send:7",
            "arn:aws-us-gov:lambda:us-gov-west-1:210987654321:function:send:7",
        ),
    ],
)
def test_context_completes_short_name(world: World, target: str, stored: str) -> None:
    assert (
        world.work(enqueue(world.pool(), ctx=LambdaContext(), target=target)).spec.target == stored
    )


def test_short_name_without_place_is_stored_as_it_is(world: World) -> None:
    assert world.work(enqueue(world.pool(), target="send:live")).spec.target == "send:live"
    assert (
        world.work(
            enqueue(world.pool(), ctx=LambdaContext(invoked_function_arn="odd"), target="send")
        ).spec.target
        == "send"
    )


def test_context_leaves_link_to_who_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "_X_AMZN_TRACE_ID",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    )

    assert (
        world.work(enqueue(world.pool(), ctx=LambdaContext())).spec.origin
        == "request=8f2c-1 trace=1-5759e988-bd862e3fe1be46a994272793"
    )
    assert world.work(enqueue(world.pool())).spec.origin is None


def test_batch_keeps_its_order(world: World) -> None:
    ids = world.pool().enqueue_action_batch(
        None, "send", [{"n": n} for n in range(40)], run_after=timedelta(seconds=1)
    )

    assert sorted(ids) == ids
    assert [world.work(one).spec.args for one in ids] == [Inline(f'{{"n":{n}}}') for n in range(40)]
    assert len(world.invoker.loops) == 1


def test_works_enqueued_in_one_millisecond_keep_their_order(world: World) -> None:
    pool = world.pool()
    ids: list[str] = []
    for n in range(10):
        ids.append(enqueue(pool, args={"n": n}))
        enqueue(pool, run_after=timedelta(hours=n))
        ids += pool.enqueue_query_batch(None, "send", [{}, {}])

    assert sorted(ids) == ids
    assert len(set(ids)) == 30


@pytest.mark.parametrize("kind", ["action", "query", "mutation"])
def test_empty_batch_is_no_work_and_no_request(world: World, kind: str) -> None:
    pool = Workpool(world.ports.table, "email", max_parallelism=3, ports=world.ports)

    assert getattr(pool, f"enqueue_{kind}_batch")(None, "send", []) == []
    assert world.requests == 0


@pytest.mark.parametrize("kind", ["action", "query", "mutation"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"x": 1}, "args must be a list of JSON objects; got a value of type dict"),
        ("[]", "args must be a list of JSON objects; got a value of type str"),
        ([{}, None], "args[1] must be a JSON object: a dict with str keys; got None"),
        ([{}, {}, {}, {"x": float("nan")}], "args[3].x must be a finite number; got nan"),
    ],
)
def test_bad_batch_stores_nothing(
    world: World, kind: str, args: list[Mapping[str, object]], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(world.pool(), f"enqueue_{kind}_batch")(None, "send", args)

    assert str(caught.value) == message
    assert world.requests == 0


def test_options_of_empty_batch_are_checked_all_same(world: World) -> None:
    with pytest.raises(UsageError, match=r"^retry must be .*; got 'yes'$"):
        enqueue(world.pool(), "action_batch", args=[], retry="yes")


def test_unanswered_put_names_what_may_be_stored(world: World) -> None:
    world.store.plan(puts(WorkItem), lost_after, times=None)

    with pytest.raises(StoreUnavailable) as caught:
        enqueue(world.pool())

    [maybe] = caught.value.maybe_enqueued
    assert world.work(maybe).state is State.PENDING


def test_unanswered_limit_stores_no_work_and_is_said_again(world: World) -> None:
    pool = Workpool(world.ports.table, "email", max_parallelism=3, ports=world.ports)
    world.store.plan(every, lost_before, times=None)
    with pytest.raises(StoreUnavailable) as caught:
        enqueue(pool)
    world.store.heal()

    enqueue(pool)

    assert caught.value.maybe_enqueued == ()
    assert pool.config(None).base.max_parallelism == 3


def test_decorated_function_that_is_not_deployed_is_refused(world: World) -> None:
    pool = world.pool()

    @pool.action
    def send_email() -> None: ...

    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None:
        assert event

    for handler in (
        send_email,
        send_email.handler,
        functools.wraps(send_email)(lambda event, context: (event, context)),
    ):
        with pytest.raises(UsageError) as caught:
            pool.enqueue_action(None, handler, {})
        assert str(caught.value).startswith("target must be a job that is deployed: none is")
        assert str(caught.value).endswith("got the job 'send_email'")
    with pytest.raises(UsageError) as caught:
        pool.enqueue_action(None, "send", {}, on_complete=email_sent)
    assert str(caught.value).startswith("on_complete must be a job that is deployed: none is")
    with pytest.raises(UsageError, match=r"^fn must be None \(any\), a decorated function, "):
        pool.list(None, fn=email_sent)
    with pytest.raises(UsageError, match=r"^target must be the ARN"):
        pool.enqueue_action(None, print, {})
    assert world.requests == 0


def unanswered(name: str) -> dict[str, str]:
    raise StoreUnavailable(f"no answer about {name}")


def test_name_of_function_needs_no_answer_about_jobs(world: World) -> None:
    pool = Workpool(world.ports.table, "email", ports=replace(world.ports, jobs=unanswered))

    assert world.work(pool.enqueue_action(None, "send", {})).spec.target == "send"


def test_job_needs_an_answer_about_jobs(world: World) -> None:
    pool = Workpool(world.ports.table, "email", ports=replace(world.ports, jobs=unanswered))

    with pytest.raises(StoreUnavailable, match="no answer about send_email"):
        pool.action(name="send_email")(lambda: None).enqueue(None)
    assert world.requests == 0

"""The answers to a caller about a work item, and about the pool's limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.records import NOW, TARGET, a_running_work, a_work, an_id
from tests.kit.world import World
from workpool_aws import NotFound, PoolConfig, Result, Status, UsageError, Workpool
from workpool_aws.core.views.status import BaseLimit, LimitOverride
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.payload import Chunked
from workpool_aws.model.refs import StatusRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

AT = datetime(2026, 1, 1, tzinfo=UTC)
UNKNOWN = Status(
    state="unknown",
    previous_attempts=0,
    next_run_at=None,
    started_at=None,
    finished_at=None,
    outcome=None,
    cancel_requested=False,
)


def a_finished_work(**changes: object) -> WorkItem:
    over = {
        "state": State.FINISHED,
        "starts": 3,
        "attempts_made": 3,
        "started_at": NOW,
        "finished_at": EpochMs(NOW + 1500),
    }
    return a_work(**{**over, **changes})


def test_pending_work_tells_when_it_is_due(world: World) -> None:
    work = world.put(a_work(due_at=NOW + 250, attempts_made=2))

    assert world.pool().status(None, work.id) == Status(
        state="pending",
        previous_attempts=2,
        next_run_at=AT + timedelta(milliseconds=250),
        started_at=None,
        finished_at=None,
        outcome=None,
        cancel_requested=False,
    )


def test_running_work_tells_when_it_started(world: World) -> None:
    work = world.put(a_running_work(attempts_made=1, starts=2, cancel_requested=True))

    assert world.pool().status(LambdaContext(), work.id) == Status(
        state="running",
        previous_attempts=1,
        next_run_at=None,
        started_at=AT,
        finished_at=None,
        outcome=None,
        cancel_requested=True,
    )


@pytest.mark.parametrize("outcome", ["success", "failed", "canceled"])
def test_finished_work_tells_how_it_ended(world: World, outcome: str) -> None:
    work = world.put(
        a_finished_work(outcome=Outcome(outcome), cancel_requested=outcome == "canceled")
    )

    told = world.pool().status(None, work.id)

    assert replace(told, attempts=(), last_error=None) == Status(
        state="finished",
        previous_attempts=2,
        next_run_at=None,
        started_at=AT,
        finished_at=AT + timedelta(milliseconds=1500),
        outcome=Outcome(outcome).value,
        cancel_requested=outcome == "canceled",
    )
    assert [each.outcome for each in told.attempts] == ([] if outcome == "canceled" else [outcome])


@pytest.mark.parametrize("work_id", ["", "nonsense", "0" * 25 + "u", "é" * 26, "0" * 27])
def test_text_that_is_no_id_is_unknown_and_asks_nothing(world: World, work_id: str) -> None:
    assert world.pool().status(None, work_id) == UNKNOWN
    assert world.pool().status_batch(None, [work_id, work_id]) == [UNKNOWN, UNKNOWN]
    with pytest.raises(NotFound) as caught:
        world.pool().result(None, work_id)
    assert caught.value.work_id == work_id
    assert world.requests == 0


def test_work_of_another_pool_or_past_its_retention_is_unknown(world: World) -> None:
    work = world.put(a_finished_work(outcome=Outcome.SUCCESS, expires_at=NOW // 1000 + 10))

    assert world.pool("other").status(None, work.id) == UNKNOWN
    assert world.pool().status(None, work.id).state == "finished"
    world.clock.at += 10_000
    assert world.pool().status(None, work.id) == UNKNOWN
    with pytest.raises(NotFound):
        world.pool().result(None, work.id)


def test_batch_of_statuses_keeps_order_of_its_ids(world: World) -> None:
    world.put(a_work(id=an_id(n=1)))
    world.put(a_running_work(id=an_id(n=2)))

    states = [
        one.state
        for one in world.pool().status_batch(
            None, iter([an_id(n=2), an_id(n=3), "x", an_id(n=1), an_id(n=2)])
        )
    ]

    assert states == ["running", "unknown", "unknown", "pending", "running"]
    assert world.pool().status_batch(None, []) == []


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("status", (None, 5), "work_id must be a work id: the str that enqueueing returned; got 5"),
        (
            "result",
            (None, None),
            "work_id must be a work id: the str that enqueueing returned; got None",
        ),
        (
            "status_batch",
            (None, ["a", b"b"]),
            "ids[1] must be a work id: the str that enqueueing returned; got b'b'",
        ),
        ("status_batch", (None, "abc"), "ids must be a list of work ids; got 'abc'"),
        ("status_batch", (None, 5), "ids must be a list of work ids; got 5"),
        (
            "status",
            ("an id", "an id"),
            "ctx must be the context that Lambda gave to the handler, or None outside of Lambda; got a value of type str",
        ),
    ],
)
def test_queries_refuse_what_cannot_be_asked(
    world: World, method: str, given: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(world.pool(), method)(*given)

    assert str(caught.value) == message
    assert world.requests == 0


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (a_work(), None),
        (a_running_work(), None),
        (
            a_finished_work(outcome=Outcome.SUCCESS, result='{"n":[1]}'),
            Result(kind="success", return_value={"n": [1]}),
        ),
        (
            a_finished_work(outcome=Outcome.SUCCESS, result="null"),
            Result(kind="success", return_value=None),
        ),
        (
            a_finished_work(outcome=Outcome.FAILED, error="boom", error_type="ValueError"),
            Result(kind="failed", error="boom", error_type="ValueError"),
        ),
        (a_finished_work(outcome=Outcome.CANCELED), Result(kind="canceled")),
    ],
)
def test_result_says_how_work_ended(world: World, work: WorkItem, result: Result | None) -> None:
    world.put(work)

    assert world.pool().result(None, work.id) == result


def test_unconfigured_pool_has_limit_of_its_program(world: World) -> None:
    pool = Workpool(world.ports.table, "email", max_parallelism=0, ports=world.ports)

    assert world.pool().config(None) == PoolConfig(
        max_parallelism=10,
        paused=False,
        base=BaseLimit(max_parallelism=10, by=None, at=None),
        override=None,
    )
    assert (pool.config(None).max_parallelism, pool.config(None).paused) == (0, True)


def test_override_wins_until_it_is_reset(world: World) -> None:
    pool = Workpool(world.ports.table, "email", max_parallelism=7, ports=world.ports)
    pool.enqueue_action(LambdaContext(), "send", {})
    base = BaseLimit(max_parallelism=7, by=TARGET, at=AT)
    world.clock.at += 1000
    later = AT + timedelta(seconds=1)

    limited = pool.configure(LambdaContext(), max_parallelism=3)
    paused = pool.configure(None, paused=True)
    resumed = pool.configure(LambdaContext(), paused=False)
    reset = pool.configure(None, reset=True)

    assert limited == PoolConfig(
        max_parallelism=3,
        paused=False,
        base=base,
        override=LimitOverride(max_parallelism=3, paused=False, by=TARGET, at=later),
    )
    assert (paused.max_parallelism, paused.paused) == (0, True)
    assert paused.override == LimitOverride(
        max_parallelism=3, paused=True, by="a caller outside Lambda", at=later
    )
    assert resumed == limited
    assert (
        reset
        == pool.config(None)
        == PoolConfig(max_parallelism=7, paused=False, base=base, override=None)
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "max_parallelism must be given, or else rate_limit, paused or reset; got nothing"),
        ({"max_parallelism": True}, "max_parallelism must be an int from 0 to 10000; got True"),
        ({"max_parallelism": 10_001}, "max_parallelism must be an int from 0 to 10000; got 10001"),
        ({"paused": 1}, "paused must be True, False, or None (as it is); got 1"),
        ({"reset": "yes"}, "reset must be True or False; got 'yes'"),
    ],
)
def test_configure_refuses_what_cannot_be_set(
    world: World, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        world.pool().configure(None, **asked)

    assert str(caught.value) == message
    assert world.requests == 0


def test_configuring_wakes_resting_loop(world: World) -> None:
    world.pool().configure(None, max_parallelism=3)

    status = world.memory.peek(StatusRef("email"))
    assert isinstance(status, LoopStatus)
    assert (status.state, len(world.invoker.loops)) == (LoopState.RUNNING, 1)


def test_id_is_plain_text(world: World) -> None:
    work_id = world.pool().enqueue_action(None, "send", {})

    assert world.pool().status(None, str(work_id)) == world.pool().status(None, WorkId(work_id))
    assert len(work_id) == 26


def test_show_says_which_payload_is_missing(world: World) -> None:
    work = world.put(a_work(args=Chunked(1)))

    shown = world.pool().show(None, work.id, args=True)

    assert (shown.args.missing, shown.args.json, shown.args.size_bytes, shown.args.chunks) == (
        True,
        None,
        None,
        1,
    )

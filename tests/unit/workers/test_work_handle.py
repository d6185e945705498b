"""The attempt, as the `Work` handle shows it to a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.lambdas import TIME_LEFT_MS, LambdaContext, event_of
from tests.kit.records import NOW, a_work
from tests.kit.world import TABLE, World
from workpool_aws import (
    RetryPolicy,
    StoreUnavailable,
    UsageError,
    Work,
    WorkId,
    Workpool,
    invocation,
)
from workpool_aws.model.events import OptionsUnknown
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.writes import Update

OTHER = WorkId("01KDV8XQ0000000000000000ZZ")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def run(
    world: World, body: Callable[[Work], object], *, pool: str = "email", **changes: object
) -> object:
    """Return the value of `body` for its handle, in an attempt of a work item with these fields."""
    kept: list[object] = []

    def with_handle(work: Work) -> None:
        kept.append(body(work))

    assignment = world.start(a_work(pool=pool, **changes))
    world.pool().action(with_handle)(event_of(assignment), LambdaContext())

    assert world.work(assignment.work_id, pool).outcome is Outcome.SUCCESS
    [value] = kept
    return value


def test_handle_names_work_and_attempt(world: World) -> None:
    assert run(world, lambda work: (work.work_id, work.attempt), attempts_made=2, starts=4) == (
        a_work().id,
        3,
    )


def test_handle_knows_when_invocation_ends(world: World) -> None:
    deadline, remaining = (
        AT + timedelta(milliseconds=TIME_LEFT_MS),
        timedelta(milliseconds=TIME_LEFT_MS),
    )

    assert run(world, lambda work: (work.deadline, work.remaining)) == (deadline, remaining)


def test_handle_sees_request_to_cancel_that_comes_meanwhile(world: World) -> None:
    def look_twice(work: Work) -> list[bool]:
        before = work.cancel_requested()
        world.memory.write(
            Update(ref=WorkRef("email", work.work_id), set={"cancel_requested": True})
        )
        return [before, work.cancel_requested()]

    assert run(world, look_twice) == [False, True]


def test_pool_is_one_that_decorated_if_it_is_same(world: World) -> None:
    kept: list[Workpool] = []
    pool = world.pool()
    assignment = world.start(a_work())

    def keep(work: Work) -> None:
        kept.append(work.pool)

    pool.action(keep)(event_of(assignment), LambdaContext())

    assert kept == [pool]


def test_handle_reaches_another_pool_of_event(world: World) -> None:
    def enqueue_more(work: Work) -> object:
        return (work.pool.table, work.pool.name, work.pool.enqueue_action(None, "next", {}))

    told = run(world, enqueue_more, pool="newsletter")

    assert isinstance(told, tuple)
    table, name, work_id = told
    assert (table, name) == (world.ports.table, "newsletter")
    assert world.work(work_id, "newsletter").spec.target == "next"


HOURLY = RetryPolicy(max_attempts=7, initial_backoff=timedelta(hours=1))


def enqueue_each(work: Work) -> list[WorkId]:
    return [
        work.pool.enqueue_action(None, "next", {}),
        work.pool.enqueue_action(None, "next", {}, retry=True),
        work.pool.enqueue_query(None, "next", {}),
        work.pool.enqueue_mutation(None, "next", {}),
    ]


def test_handles_other_pool_has_options_of_this_program(world: World) -> None:
    elsewhere = World()
    made = [
        Workpool(TABLE, "newsletter", ports=world.ports),
        Workpool(
            TABLE,
            "newsletter",
            default_retry=HOURLY,
            retry_actions_by_default=True,
            status_ttl=None,
            ports=world.ports,
        ),
        Workpool(TABLE, "newsletter", ports=elsewhere.ports),
        Workpool(TABLE, "other", ports=world.ports),
    ]

    ids: Any = run(world, enqueue_each, pool="newsletter")

    works = [world.work(work_id, "newsletter") for work_id in ids]
    assert [work.spec.retry for work in works] == [HOURLY, HOURLY, HOURLY, HOURLY]
    assert [work.spec.retention_s for work in works] == [None] * 4
    assert world.telemetry.of(OptionsUnknown) == []
    assert len(made) == 4


def test_pool_that_made_handle_is_not_taken_for_one_that_program_made(world: World) -> None:
    kept: list[Workpool] = []
    run(world, lambda work: kept.append(work.pool), pool="forgotten", retention_s=60)

    (work_id,) = [
        run(
            world,
            lambda work: work.pool.enqueue_mutation(None, "next", {}),
            pool="forgotten",
            retention_s=7_200,
            id=OTHER,
        )
    ]

    assert world.work(str(work_id), "forgotten").spec.retention_s == 7_200
    assert len(kept) == 1


def test_pool_of_which_nothing_is_known_keeps_works_as_long_and_says_that_its_policy_is_librarys(
    world: World,
) -> None:
    ids: Any = run(world, enqueue_each, pool="unknown-to-this-program", retention_s=3_600)

    works = [world.work(work_id, "unknown-to-this-program") for work_id in ids]
    assert [work.spec.retry for work in works] == [
        None,
        RetryPolicy(),
        RetryPolicy(),
        RetryPolicy(),
    ]
    assert [work.spec.retention_s for work in works] == [3_600] * 4
    assert world.telemetry.of(OptionsUnknown) == [OptionsUnknown(pool="unknown-to-this-program")]


def test_handle_says_nothing_where_no_default_is_used(world: World) -> None:
    def enqueue(work: Work) -> None:
        work.pool.enqueue_mutation(None, "next", {}, retry=False)
        work.pool.enqueue_action(None, "next", {}, retry=False)
        work.pool.enqueue_query(None, "next", {}, retry=HOURLY)

    run(world, enqueue, pool="unknown-as-well")

    assert world.telemetry.of(OptionsUnknown) == []


@pytest.mark.parametrize(
    ("duration", "slept_ms"),
    [(timedelta(milliseconds=1500), 1500), (0.25, 250), (2, 2000), (0, 0), (1e-9, 1)],
)
def test_handle_sleeps_by_clock_of_its_ports(
    world: World, duration: timedelta | float, slept_ms: int
) -> None:
    run(world, lambda work: work.sleep(duration))

    assert world.clock.slept_ms == [slept_ms]
    assert world.clock.at == NOW + slept_ms


def test_handle_sleeps_as_its_surroundings_say(world: World) -> None:
    slept_s: list[float] = []
    token = invocation.sleeper.set(slept_s.append)

    run(world, lambda work: work.sleep(timedelta(milliseconds=1500)))
    invocation.sleeper.reset(token)

    assert slept_s == [1.5]
    assert world.clock.slept_ms == []


@pytest.mark.parametrize(
    "duration", [-1, timedelta(seconds=-1), float("nan"), float("inf"), True, "5", None]
)
def test_handle_refuses_what_it_cannot_sleep(world: World, duration: Any) -> None:
    def sleep(work: Work) -> str:
        with pytest.raises(UsageError) as caught:
            work.sleep(duration)
        return str(caught.value)

    message = run(world, sleep)

    assert (
        message
        == f"duration must be a timedelta or a number of seconds, not negative; got {duration!r}"
    )


def test_unanswered_read_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(ref: object) -> object:
        raise StoreUnavailable(f"no answer about {ref}")

    def look(work: Work) -> str:
        with monkeypatch.context() as broken:
            broken.setattr(world.store, "get", no_answer)
            with pytest.raises(StoreUnavailable) as caught:
                work.cancel_requested()
        return str(caught.value)

    assert "no answer about" in str(run(world, look))


@pytest.mark.parametrize(
    ("name", "options"),
    [("unsaid", {}), ("none", {"retry": None}), ("true", {"retry": True})],
)
def test_each_use_of_unknown_default_is_logged(
    world: World, name: str, options: dict[str, Any]
) -> None:
    run(world, lambda work: work.pool.enqueue_action(None, "next", {}, **options), pool=name)

    assert world.telemetry.of(OptionsUnknown) == [OptionsUnknown(pool=name)]


def test_handle_is_known_by_what_it_shows(world: World) -> None:
    def looked_at(work: Work) -> tuple[str, bool]:
        other: Any = replace(work, _ports=None, _remaining_ms=int)
        return repr(work), work == other

    shown, is_same = run(world, looked_at)

    assert is_same
    assert "_ports" not in shown
    assert "_remaining_ms" not in shown

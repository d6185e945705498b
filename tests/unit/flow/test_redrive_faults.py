"""A redrive that lost an answer or died half way is made good by the next one."""

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, changed
from tests.kit.stores import every, lost_before
from tests.kit.world import World
from workpool_aws import NotFound, StoreUnavailable
from workpool_aws.flow.work.redrive import dead_letters
from workpool_aws.model.events import Redriven
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopStatus
from workpool_aws.model.refs import Collection, KeyRange
from workpool_aws.model.work import Outcome, Pointer, State, WorkItem, dead_key
from workpool_aws.model.writes import Put, Write


def a_failure(world: World) -> WorkItem:
    work = a_work(
        state=State.FINISHED, outcome=Outcome.FAILED, attempts_made=1, starts=1, finished_at=NOW
    )
    return world.put(
        a_work(
            **{name: getattr(work, name) for name in ("state", "outcome", "finished_at")},
            dead=dead_key(NOW, work.id),
        )
    )


def rows(world: World) -> list[object]:
    return [
        row.record for row in world.memory.query(KeyRange(shelf=Collection.WORK, pool="email")).rows
    ]


def test_a_transaction_without_an_answer_is_asked_again(world: World) -> None:
    old = a_failure(world)
    world.store.plan(every, lost_before, times=None)
    with pytest.raises(StoreUnavailable):
        world.pool().redrive(None, old.id)
    world.store.heal()

    new = world.pool().redrive(None, old.id)

    assert world.work(old.id).redriven_as == new
    assert len(rows(world)) == 2
    assert len(world.telemetry.of(Redriven)) == 1


def test_a_second_call_makes_up_for_a_kick_that_was_lost(world: World) -> None:
    old = a_failure(world)

    def is_status(write: Write) -> bool:
        return isinstance(write, Put) and isinstance(write.record, LoopStatus)

    world.store.plan(is_status, lost_before, times=None)
    with pytest.raises(StoreUnavailable):
        world.pool().redrive(None, old.id)
    made = world.work(old.id).redriven_as
    world.store.heal()
    world.clock.at += 60_000

    again = world.pool().redrive(None, old.id)

    assert again == made
    assert len(world.invoker.loops) == 1
    (pointer,) = [record for record in rows(world) if isinstance(record, Pointer)]
    assert pointer.work_id == made


def test_a_late_write_is_pointed_at_anew(world: World) -> None:
    old = a_failure(world)
    transact = world.store.transact

    def slowly(writes):
        world.clock.at += 20_000
        return transact(writes)

    world.store.transact = slowly

    new = world.pool().redrive(None, old.id)

    (pointer,) = [record for record in rows(world) if isinstance(record, Pointer)]
    assert pointer.work_id == new
    assert world.work(new).due_at == EpochMs(NOW)


def test_whoever_is_faster_makes_the_only_one(world: World) -> None:
    old = a_failure(world)
    transact = world.store.transact
    others: list[str] = []

    def beaten(writes):
        world.store.transact = transact
        others.append(world.pool().redrive(None, old.id))
        return transact(writes)

    world.store.transact = beaten

    assert world.pool().redrive(None, old.id) == others[0]
    assert sum(isinstance(record, WorkItem) for record in rows(world)) == 2


def test_all_at_once_kick_as_well(world: World) -> None:
    """[WP-24]"""
    a_failure(world)

    assert world.pool().redrive_all(None) == 1
    assert len(world.invoker.loops) == 1


def test_dead_letters_whose_time_is_over_are_none(world: World) -> None:
    """DynamoDB removes them days late."""
    old = a_failure(world)
    world.put(replace(old, expires_at=NOW // 1000 + 60))
    before = dead_letters(world.ports, "email", lambda _: True)
    world.clock.at += 60_000

    assert (before, dead_letters(world.ports, "email", lambda _: True)) == ([old.id], [])


def test_a_failure_whose_context_was_removed_by_hand_is_not_run_without_it(world: World) -> None:
    old = a_failure(world)
    world.put(changed(old, on_complete="done", context_chunks=2))
    with pytest.raises(NotFound, match="context"):
        world.pool().redrive(None, old.id)

    assert len(rows(world)) == 1
    assert world.work(old.id).redriven_as is None


def test_no_pointer_is_put_to_a_redriven_work_that_was_canceled(world: World) -> None:
    """It would lie there for ever."""
    old = a_failure(world)
    new = world.pool().redrive(None, old.id)
    world.pool().cancel(None, new)

    assert world.pool().redrive(None, old.id) == new
    assert [record for record in rows(world) if isinstance(record, Pointer)] == []

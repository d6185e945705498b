"""A redrive: its lost answers are made good by the next one, and what it must leave alone."""

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id, changed
from tests.kit.stores import every, lost_before
from tests.kit.world import World
from workpool_aws import NotFound, StoreUnavailable
from workpool_aws.core.chunks import packed
from workpool_aws.flow.work.redrive import dead_letters, redrive_each
from workpool_aws.model.events import Redriven
from workpool_aws.model.ids import EpochMs, WorkId, make_id, time_of
from workpool_aws.model.loop import LoopStatus
from workpool_aws.model.payload import Chunked, Part
from workpool_aws.model.refs import (
    ChunkRef,
    Collection,
    KeyRange,
    Row,
    RowPage,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import Pointer, State, WorkItem, dead_key
from workpool_aws.model.writes import Put, Write


def everything(_: WorkItem) -> bool:
    return True


def a_failure(world: World, n: int = 1, **changes: object) -> WorkItem:
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.FAILED,
        "attempts_made": 1,
        "starts": 1,
        "finished_at": NOW,
    }
    work_id = an_id(n=n)
    return world.put(a_work(**{**ended, "id": work_id, "dead": dead_key(NOW, work_id), **changes}))


def test_transaction_without_answer_is_asked_again(world: World) -> None:
    old = a_failure(world)
    world.store.plan(every, lost_before, times=None)
    with pytest.raises(StoreUnavailable):
        world.pool().redrive(None, old.id)
    world.store.heal()

    new = world.pool().redrive(None, old.id)

    assert world.work(old.id).redriven_as == new
    assert len([*world.works(), *world.pointers()]) == 2
    assert len(world.telemetry.of(Redriven)) == 1


def test_second_call_makes_up_for_kick_that_was_lost(world: World) -> None:
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
    (pointer,) = world.pointers()
    assert pointer.work_id == made


def test_late_write_is_pointed_at_anew(world: World) -> None:
    old = a_failure(world)
    transact = world.store.transact

    def slowly(writes):
        world.clock.at += 20_000
        return transact(writes)

    world.store.transact = slowly

    new = world.pool().redrive(None, old.id)

    (pointer,) = world.pointers()
    assert pointer.work_id == new
    assert world.work(new).due_at == EpochMs(NOW)


def test_redrives_at_one_time_make_one_work(world: World) -> None:
    old = a_failure(world)
    transact = world.store.transact
    others: list[str] = []

    def beaten(writes):
        world.store.transact = transact
        others.append(world.pool().redrive(None, old.id))
        return transact(writes)

    world.store.transact = beaten

    assert world.pool().redrive(None, old.id) == others[0]
    assert len(world.works()) == 2


def test_redrive_all_kicks_as_well(world: World) -> None:
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


def test_failure_whose_context_was_removed_by_hand_is_not_run_without_it(world: World) -> None:
    old = a_failure(world)
    world.put(changed(old, on_complete="done", context=Chunked(2)))
    with pytest.raises(NotFound, match="context"):
        world.pool().redrive(None, old.id)

    assert len([*world.works(), *world.pointers()]) == 1
    assert world.work(old.id).redriven_as is None


def test_redriven_work_that_was_canceled_gets_no_pointer(world: World) -> None:
    """It would lie there for ever."""
    old = a_failure(world)
    new = world.pool().redrive(None, old.id)
    world.pool().cancel(None, new)

    assert world.pool().redrive(None, old.id) == new
    assert world.pointers() == []


def test_work_redriven_or_removed_meanwhile_counts_as_nothing(world: World) -> None:
    """The index that the ids came from lags behind."""
    mine, theirs = a_failure(world, 1), a_failure(world, 2)
    world.pool().redrive(None, theirs.id)

    count = redrive_each(world.ports, "email", [mine.id, theirs.id, an_id(n=3)], origin=None)

    assert count == 1
    assert len(world.works()) == 4


def test_redriving_many_wakes_loop_once(world: World) -> None:
    ids = [a_failure(world, n).id for n in (1, 2, 3)]

    assert redrive_each(world.ports, "email", ids, origin=None) == 3
    assert len(world.invoker.loops) == 1


def test_work_that_did_not_fail_after_all_counts_as_nothing(world: World) -> None:
    success = a_failure(world, outcome=Outcome.SUCCESS)

    assert redrive_each(world.ports, "email", [success.id], origin=None) == 0
    assert world.works() == [success]


def test_dead_letters_past_their_retention_or_not_asked_for_are_none(world: World) -> None:
    kept, waits, over = (
        a_failure(world, n, expires_at=at)
        for n, at in ((1, None), (2, NOW // 1000 + 1), (3, NOW // 1000))
    )

    assert dead_letters(world.ports, "email", everything) == [kept.id, waits.id]
    assert dead_letters(world.ports, "email", lambda work: work.id == waits.id) == [waits.id]
    assert world.work(over.id) == over


def test_damaged_dead_letter_hides_no_other(world: World) -> None:
    """[WP-12]"""
    sound = a_failure(world)
    page = world.memory.query(KeyRange(collection=Collection.DEAD, pool="email"))
    damaged = Row("0", Unreadable("email#work#0", "0", "changed by hand"))
    world.store.query = lambda _: RowPage((damaged, *page.rows), page.next_low)

    assert dead_letters(world.ports, "email", everything) == [sound.id]


def test_id_that_is_taken_is_not_written_over(world: World) -> None:
    old = a_failure(world)
    stranger = world.put(a_work(id=WorkId(make_id(EpochMs(NOW), random_bits=5))))
    draws = iter([5, 6, 7])
    world.ports.entropy.bits = lambda _: next(draws)

    made = world.pool().redrive(None, old.id)

    assert made == make_id(EpochMs(NOW), random_bits=6)
    assert world.work(stranger.id) == stranger


@pytest.mark.parametrize("part", [Part.ARGS, Part.CONTEXT])
def test_failure_whose_inputs_were_removed_is_not_redriven(world: World, part: Part) -> None:
    whole = changed(
        a_failure(world), args='{"pad":"' + "a" * 5_000 + '"}', context='"' + "c" * 5_000 + '"'
    )
    stored, chunks = packed(whole)
    for write in (Put(stored), *chunks):
        world.memory.write(write)
    world.memory.delete(ChunkRef("email", stored.id, part, 0))

    with pytest.raises(NotFound):
        world.pool().redrive(None, stored.id)

    assert world.work(stored.id) == stored
    assert world.works() == [stored]


def test_second_call_points_at_what_waits_from_now_on(world: World) -> None:
    old = a_failure(world)
    made = world.pool().redrive(None, old.id)
    world.clock.at += 60_000

    assert world.pool().redrive(None, old.id) == made

    (pointer,) = world.pointers()
    assert isinstance(pointer, Pointer)
    assert (pointer.work_id, time_of(pointer.at)) == (made, NOW + 60_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.FINISHED, "outcome": Outcome.CANCELED},
        {"state": State.RUNNING, "starts": 1},
        {"state": State.PENDING, "starts": 1, "attempts_made": 1},
    ],
)
def test_second_call_points_at_nothing_that_was_started_or_is_over(
    world: World, changes: dict[str, object]
) -> None:
    old = a_failure(world)
    made = world.pool().redrive(None, old.id)
    world.put(changed(world.work(made), **changes))

    assert world.pool().redrive(None, old.id) == made
    assert world.pointers() == []


def test_second_call_answers_although_first_ones_work_is_gone(world: World) -> None:
    old = a_failure(world)
    made = world.pool().redrive(None, old.id)
    world.memory.delete(WorkRef("email", made))

    assert world.pool().redrive(None, old.id) == made
    assert world.pointers() == []

"""Work items that were stored with a move of another one are found, though its writer died [WP-20]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_running_work, a_work, an_id
from tests.kit.stage import SUCCESS, Stage
from tests.kit.world import TABLE, World
from workpool_aws.adapters.items.codec import decode, encode
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.work.spawned import show_spawned
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import Spawned, State, WorkItem
from workpool_aws.model.writes import Put

LONG_AGO = EpochMs(NOW - limits.LATE_MS - 1)


def a_child(world: World, at: int = LONG_AGO, **changes: object) -> WorkItem:
    child = a_work(id=make_id(EpochMs(at), random_bits=7), due_at=EpochMs(at))
    return world.put(replace(child, **changes))


def pointed_at(world: World) -> list[str]:
    return [pointer.work_id for pointer in world.pointers()]


@pytest.mark.parametrize(
    ("changes", "is_pointed_at"),
    [
        ({}, True),
        ({"due_at": NOW + 60_000}, True),
        ({"at": NOW - limits.LATE_MS}, False),
        ({"starts": 1}, False),
        ({"state": State.RUNNING, "starts": 1}, False),
        ({"state": State.FINISHED}, False),
    ],
)
def test_only_what_waits_and_may_be_out_of_sight_is_pointed_at(
    changes: dict[str, object], is_pointed_at: bool
) -> None:
    world = World()
    child = a_child(world, **changes)
    gone = an_id(n=99)

    show_spawned(world.ports, a_work(spawned=(Spawned(POOL, (child.id, gone)),)))

    assert pointed_at(world) == ([child.id] if is_pointed_at else [])


def test_all_of_as_many_as_a_transaction_stores_are_pointed_at() -> None:
    world = World()
    ids = [
        world.put(a_work(id=make_id(EpochMs(LONG_AGO), random_bits=n), due_at=LONG_AGO)).id
        for n in range(limits.TRANSACTION_ITEMS_MAX)
    ]

    show_spawned(world.ports, a_work(spawned=(Spawned(POOL, tuple(ids)),)))

    assert sorted(pointed_at(world)) == sorted(ids)


@pytest.mark.parametrize("numbers", [range(limits.TRANSACTION_ITEMS_MAX + 1), (1, 1)])
def test_item_that_names_more_than_a_transaction_stores_is_damaged(numbers: Sequence[int]) -> None:
    """[WP-12] Each of them would be looked for."""
    ids = "".join(an_id(n=n) for n in numbers)
    item = {**encode(a_work(starts=1, state=State.FINISHED)), "sp": [f"{POOL}:{ids}"]}

    found = decode(item)

    assert isinstance(found, Unreadable)
    assert "spawned" in found.reason


def test_second_report_points_at_what_the_end_has_stored() -> None:
    stage = Stage()
    child, work = a_child(stage), a_running_work()
    ended = replace(
        work,
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        finished_at=NOW,
        spawned=(Spawned(POOL, (child.id,)),),
    )
    stage.memory.write(Put(ended))

    stage.complete(assignment_of(work, TABLE), SUCCESS, by="destination")

    assert pointed_at(stage) == [child.id]
    assert len(stage.dones()) == 1

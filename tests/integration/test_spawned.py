"""Work items that were stored with a move of another one are found, though its writer died [WP-20]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, POOL, a_running_work, a_work, an_id
from tests.kit.stage import SUCCESS, Stage
from tests.kit.world import TABLE, World
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.work.spawned import show_spawned
from workpool_aws.model.ids import EpochMs, make_id
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

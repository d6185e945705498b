"""Faults that the sweep found in the library, each in its smallest form."""

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_id
from tests.kit.world import World
from tests.simulation.scenario import one_submission, small_scenario
from tests.simulation.world import simulate
from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled
from workpool_aws.flow.loop.choose import read_works
from workpool_aws.flow.reading import work_range
from workpool_aws.flow.watchdog.watch import would_act
from workpool_aws.flow.work.cancel import cancel_called_off
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import (
    Config,
    Ledger,
    LoopState,
    LoopStatus,
    Registration,
    ShardCursors,
)
from workpool_aws.model.refs import PointerRef, WorkRef
from workpool_aws.model.work import Pointer, State
from workpool_aws.model.writes import Put

BEFORE_ITS_KICK = small_scenario(
    one_submission(0, 0),
    rates={Fault.CRASH_AFTER: 1.0},
    aim="put WorkItem",
    budget=1,
    hourly_look=True,
)
DEEP_AT = EpochMs(NOW - 60_000)
MARK = ShardCursors(
    work_cursor=id_floor(EpochMs(DEEP_AT - limits.CURSOR_OVERLAP_MS)), deep_at=DEEP_AT
)


@pytest.fixture
def world() -> World:
    """An idle pool whose loop read back over the buffer at DEEP_AT, for the last time."""
    world = World()
    for record in (
        Registration(pool="email", registered_at=NOW),
        LoopStatus(pool="email", state=LoopState.IDLE, generation=1, lease_until=EpochMs(0)),
        Ledger(pool="email", holder="loop-1", generation=1, version=1, shards=(MARK,)),
    ):
        world.memory.write(Put(record))
    return world


@pytest.mark.parametrize(
    ("due_at", "seen"),
    [
        (EpochMs(DEEP_AT - limits.BUFFER_MS), True),
        (EpochMs(DEEP_AT - limits.BUFFER_MS - 1), False),
    ],
)
def test_watchdog_sees_due_work_just_where_new_loop_begins_to_read(
    world: World, due_at: EpochMs, seen: bool
) -> None:
    """Seed 976: an unacknowledged write landed 45 s late, 15.1 s behind the last deep read.

    The watchdog looked back from the cursor, a quarter of a second further than the loop did. So it
    started a loop that saw nothing, once a minute, for ever [WP-22]."""
    work = world.put(a_work(due_at=due_at, id=an_id(due_at)))

    assert would_act(world.memory, world.telemetry, EpochMs(NOW)) is seen
    assert (work.id >= deep_low(MARK.work_cursor, MARK.deep_at)) is seen


def test_work_of_caller_whose_clock_is_fast_is_canceled_by_one_whose_clock_is_slow() -> None:
    """Seed 205: acknowledged half a second before the `cancel_all`, and enqueued 3.3 s after it by the clocks of the two [WP-13]."""
    epoch_at = EpochMs(NOW - limits.SKEW_MS)
    config = Config(
        pool="email",
        version=1,
        max_parallelism=1,
        base_by="x",
        base_at=NOW,
        epoch=1,
        epoch_at=epoch_at,
    )

    assert is_bulk_canceled(a_work(enqueued_at=EpochMs(NOW - 500 + limits.SKEW_MS)), config)


def test_work_that_its_caller_has_just_moved_into_epoch_is_not_canceled(world: World) -> None:
    """Seeds 3183 and 4551, without any fault: the loop had read it before, and canceled it after it was acknowledged [WP-3]."""
    as_read = world.put(a_work(due_at=NOW, id=an_id(NOW)))
    world.put(replace(as_read, epoch=1))

    config = Config(
        pool="email", version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=1, epoch_at=NOW
    )

    assert not cancel_called_off(world.ports, as_read, config)
    assert world.memory.get(WorkRef("email", as_read.id)) == replace(as_read, epoch=1)


def test_retry_that_is_met_by_its_own_key_leaves_no_pointer(world: World) -> None:
    """Seed 7140: a deep read saw the work item's own row first, and the pointer, without a TTL, stayed."""
    due_at = EpochMs(NOW - 100)
    work = world.put(a_work(due_at=due_at, id=an_id(due_at - 1_000), starts=1))
    first, again = an_id(due_at, n=7), an_id(EpochMs(due_at + 50), n=8)
    for at in (first, again):
        world.memory.write(Put(Pointer(pool="email", at=at, work_id=work.id)))

    read = read_works(
        world.memory,
        world.telemetry,
        work_range("email", 0, ""),
        free=1,
        taken=Taken((), ()),
        now=NOW,
    )

    assert [found.work.id for found in read.due] == [work.id]
    assert read.due[0].pointers == (PointerRef("email", first), PointerRef("email", again))


@pytest.mark.parametrize(("state", "left"), [(State.PENDING, 1), (State.RUNNING, 0)])
def test_second_pointer_of_work_that_runs_is_spent(world: World, state: State, left: int) -> None:
    """Seed 7148: the pass that started it by its first pointer read no further, and the second stayed."""
    due_at = EpochMs(NOW - 100)
    work = world.put(replace(a_running_work(id=an_id(due_at - 60_000)), state=state))
    second, far = an_id(due_at, n=8), an_id(EpochMs(NOW + 5_000), n=9)
    for at in (second, far):
        world.memory.write(Put(Pointer(pool="email", at=at, work_id=work.id)))

    low = an_id(EpochMs(due_at - 1), n=1)
    read = read_works(
        world.memory,
        world.telemetry,
        work_range("email", 0, low),
        free=1,
        taken=Taken((), ()),
        now=NOW,
    )

    assert read.stale == (() if left else (PointerRef("email", second),))


def test_pointer_before_works_own_row_does_not_name_that_row() -> None:
    """A row named as a pointer is deleted after the start. The work item itself never may be."""
    world = World()
    work = world.put(a_work(due_at=NOW, id=an_id(NOW)))
    world.memory.write(
        Put(Pointer(pool="email", at=an_id(EpochMs(NOW - 1_000), n=7), work_id=work.id))
    )

    read = read_works(
        world.memory,
        world.telemetry,
        work_range("email", 0, ""),
        free=1,
        taken=Taken((), ()),
        now=NOW,
    )

    assert read.due[0].pointers == (PointerRef("email", an_id(EpochMs(NOW - 1_000), n=7)),)


def test_work_of_first_caller_that_died_before_its_kick_runs() -> None:
    """Seed 509: without a kick the watchdog did not know the pool, and never looked at it [WP-3]."""
    run = simulate(BEFORE_ITS_KICK)

    assert run.violation is None, run.report()
    assert run.executions == 1
    assert run.coverage.faults == {"crash after": 1}

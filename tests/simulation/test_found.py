"""What the sweep has found in the library, each in its smallest form."""

import pytest

from builders import NOW, a_work, an_id
from pool_world import World
from tests.simulation.scenario import one_submission, small_scenario
from tests.simulation.world import simulate
from workpool_aws.core import limits
from workpool_aws.core.settle import deep_low
from workpool_aws.flow.watch import would_act
from workpool_aws.local.faults import Fault
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Ledger, LoopState, Registration, ShardMark, Status
from workpool_aws.model.writes import Put

BEFORE_ITS_KICK = small_scenario(one_submission(0, 0), rates={Fault.CRASH_AFTER: 1.0}, aim="put Work", budget=1, hourly_look=True)
DEEP_AT = EpochMs(NOW - 60_000)
MARK = ShardMark(work_cursor=id_floor(EpochMs(DEEP_AT - limits.CURSOR_OVERLAP_MS)), deep_at=DEEP_AT)


@pytest.fixture
def world() -> World:
    """An idle pool whose loop read back over the buffer at DEEP_AT, for the last time."""
    world = World()
    for record in (
        Registration(pool="email", registered_at=NOW),
        Status(pool="email", state=LoopState.IDLE, generation=1, lease_until=EpochMs(0)),
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
def test_the_watchdog_sees_due_work_just_where_a_new_loop_begins_to_read(world: World, due_at: EpochMs, seen: bool) -> None:
    """Seed 976: an unacknowledged write landed 45 s late, 15.1 s behind the last deep read. The watchdog looked back from the cursor, a
    quarter of a second further than the loop did. So it started a loop that saw nothing, once a minute, for ever [WP-22]."""
    work = world.put(a_work(due_at=due_at, id=an_id(due_at)))

    assert would_act(world.memory, world.telemetry, EpochMs(NOW)) is seen
    assert (work.id >= deep_low(MARK.work_cursor, MARK.deep_at)) is seen


def test_the_work_of_a_first_caller_that_died_before_its_kick_runs() -> None:
    """Seed 509: nobody had kicked the pool, so the watchdog did not know it, and nobody ever looked at its works [WP-3]."""
    run = simulate(BEFORE_ITS_KICK)

    assert run.violation is None, run.report()
    assert run.executions == 1
    assert run.coverage.faults == {"crash after": 1}

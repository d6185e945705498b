"""Pending work items are found from the loop's cursor on, wherever their rows lie."""

from tests.kit.records import NOW, a_running_work, a_work, an_id
from tests.kit.world import World
from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Entry, EntryKey, Ledger, ShardCursors
from workpool_aws.model.work import Pointer, State
from workpool_aws.model.writes import Put

CURSOR = EpochMs(NOW + 3_600_000)


def put_ledger(world: World, **entries: Entry) -> None:
    keys = {EntryKey(an_id(n=int(name[1:])), 1): entry for name, entry in entries.items()}
    mark = ShardCursors(id_floor(CURSOR), "", CURSOR)
    world.memory.write(
        Put(Ledger(pool="email", holder="h", generation=1, version=1, entries=keys, shards=(mark,)))
    )


def pending(world: World) -> list[str]:
    return [work.work_id for work in world.pool().list(None, state="pending").items]


def test_history_before_cursor_is_not_read(world: World) -> None:
    put_ledger(world)
    for n in range(500):
        world.put(a_work(id=an_id(n=n + 1), state=State.FINISHED))
    work = world.put(a_work(due_at=CURSOR))
    before = world.memory.meter.snapshot().read_units

    found = pending(world)

    assert found == [work.id]
    assert world.memory.meter.snapshot().read_units - before <= 3


def test_work_behind_cursor_is_found_by_what_points_at_it(world: World) -> None:
    put_ledger(world)
    late = world.put(a_work())
    world.memory.write(Put(Pointer(pool="email", at=an_id(at=CURSOR + 5), work_id=late.id)))

    assert pending(world) == [late.id]


def test_work_with_two_rows_in_sight_is_listed_once(world: World) -> None:
    put_ledger(world)
    work = world.put(a_work(due_at=CURSOR + 1))
    for n in (1, 700_000):
        world.memory.write(
            Put(Pointer(pool="email", at=an_id(at=CURSOR + n, n=9), work_id=work.id))
        )

    assert pending(world) == [work.id]
    first = world.pool().list(None, state="pending", limit=1)
    assert first.next is None


def test_work_that_is_about_to_start_is_still_pending(world: World) -> None:
    put_ledger(world, n1=Entry(CURSOR), n2=Entry(CURSOR, confirmed=True))
    about = world.put(a_work(id=an_id(n=1)))
    world.put(a_running_work(id=an_id(n=2)))

    assert pending(world) == [about.id]
    assert [work.work_id for work in world.pool().list(None, state="running").items] == [an_id(n=2)]


def test_page_reads_bounded_number_of_rows(world: World) -> None:
    for n in range(limits.LIST_ROWS_MAX + 10):
        world.put(a_work(id=an_id(n=n + 1), state=State.FINISHED))
    wanted = world.put(
        a_work(id=an_id(n=limits.LIST_ROWS_MAX + 100), target="other", state=State.FINISHED)
    )

    first = world.pool().list(None, fn="other")
    second = world.pool().list(None, fn="other", after=first.next)

    assert first.items == ()
    assert [work.work_id for work in second.items] == [wanted.id]
    assert second.next is None

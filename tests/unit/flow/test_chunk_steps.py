"""Chunks are written and read as a whole, and a missing one holds no other process up [WP-12]."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, a_running_work, an_assignment, an_id, changed
from tests.kit.world import World
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core.chunks import input_expiries, lay_out
from workpool_aws.flow.chunks import read_payload, with_payloads, write_with
from workpool_aws.model.events import SetAside
from workpool_aws.model.payload import Chunk, Chunked, Inline, Part
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import ChunkRef, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Is, Update
from workpool_aws.ports import ConditionFailed

OWNER = WorkRef("email", an_id())
EXPIRY = NOW // 1000 + 60
FINISH = Update(
    ref=OWNER,
    set={"state": State.FINISHED, "outcome": Outcome.SUCCESS},
    condition=Is("state", State.RUNNING),
)


def ref_of(part: Part, number: int) -> ChunkRef:
    return ChunkRef("email", an_id(), part, number)


def expiry(part: Part, number: int) -> Update:
    return Update(ref=ref_of(part, number), set={"expires_at": EXPIRY})


def put_payload(world: World, part: Part, text: str) -> int:
    puts = lay_out(text, OWNER, part).puts
    for put in puts:
        world.memory.write(put)
    return len(puts)


def expires_at(world: World, ref: Ref) -> int | None:
    chunk = world.memory.peek(ref)
    assert isinstance(chunk, Chunk)
    return chunk.expires_at


def test_chunk_that_is_gone_is_left_out_and_others_are_written(world: World) -> None:
    world.put(a_running_work())
    put_payload(world, Part.ARGS, "a" * 800_000)
    world.memory.delete(ref_of(Part.ARGS, 1))

    write_with(world.ports.store, FINISH, [expiry(Part.ARGS, number) for number in range(3)])

    assert world.work(an_id()).state is State.FINISHED
    assert [expires_at(world, ref_of(Part.ARGS, number)) for number in (0, 2)] == [EXPIRY, EXPIRY]
    assert world.memory.peek(ref_of(Part.ARGS, 1)) is None


def test_work_whose_chunks_are_gone_ends_all_same(world: World) -> None:
    world.put(a_running_work())

    write_with(world.ports.store, FINISH, [expiry(Part.ARGS, 0)])

    assert world.work(an_id()).state is State.FINISHED


def test_work_with_failed_condition_is_reported_and_no_chunk_is_written(world: World) -> None:
    pending = world.put(changed(a_running_work(), state=State.PENDING))
    put_payload(world, Part.ARGS, "a" * 5_000)

    with pytest.raises(ConditionFailed) as met:
        write_with(world.ports.store, FINISH, [expiry(Part.ARGS, 0), expiry(Part.ARGS, 1)])

    assert met.value.current == pending
    assert expires_at(world, ref_of(Part.ARGS, 0)) is None


def a_finished_work(world: World) -> WorkItem:
    return changed(
        a_running_work(),
        state=State.FINISHED,
        outcome=Outcome.SUCCESS,
        context=Chunked(put_payload(world, Part.CONTEXT, "c" * 400_000)),
        result=Chunked(put_payload(world, Part.RESULT, "r" * 400_000)),
    )


def test_payload_in_chunks_is_read_whole(world: World) -> None:
    whole = with_payloads(world.ports, a_finished_work(world))

    assert whole is not None
    assert (whole.spec.context, whole.result) == (Inline("c" * 400_000), Inline("r" * 400_000))


@pytest.mark.parametrize("part", [Part.CONTEXT, Part.RESULT])
def test_payload_with_hole_is_not_read_in_part(world: World, part: Part) -> None:
    work = a_finished_work(world)
    world.memory.delete(ref_of(part, 1))

    assert with_payloads(world.ports, work) is None


def test_damaged_chunk_is_reported_and_is_hole(world: World) -> None:
    count = put_payload(world, Part.ARGS, "a" * 400_000)
    key = key_of(ref_of(Part.ARGS, 1))
    world.memory.inject(key.pk, key.sk, {"kind": "no such thing"})

    assert read_payload(world.ports, OWNER, Part.ARGS, Chunked(count)) is None
    assert [(event.partition, event.sort) for event in world.telemetry.of(SetAside)] == [
        (key.pk, key.sk)
    ]


@pytest.mark.parametrize(
    "of",
    [
        an_assignment(args_chunks=1, context_chunks=2),
        a_running_work(args=Chunked(1), context=Chunked(2)),
    ],
)
def test_chunks_of_enqueue_expire_with_their_work(of: WorkItem) -> None:
    assert [write.ref for write in input_expiries(of, expires_at=EXPIRY)] == [
        ref_of(Part.ARGS, 0),
        ref_of(Part.CONTEXT, 0),
        ref_of(Part.CONTEXT, 1),
    ]

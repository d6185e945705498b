"""Chunks on each engine: written with their work item or not at all, and read in one request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import a_work, an_id, changed
from workpool_aws.adapters.items.codec import decode
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.core.chunks import chunk_refs, joined, packed
from workpool_aws.flow.chunks import write_with
from workpool_aws.model.payload import Chunk, Part, chunk_count, inline_text
from workpool_aws.model.refs import ChunkRef, Collection, KeyRange, Unreadable, WorkRef
from workpool_aws.model.work import State
from workpool_aws.model.writes import Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed

CHUNK = Chunk(
    pool="email", work_id=an_id(), part=Part.RESULT, number=1, text="Größe ✓ 𝄞", expires_at=7
)
LARGE = a_work(args='{"x":"' + "é" * 460_000 + '"}')
OWNER = WorkRef(LARGE.pool, LARGE.id)


def test_chunk_comes_back_as_it_was_put(store):
    store.write(Put(CHUNK))

    assert store.get(ref_of(CHUNK)) == CHUNK
    assert store.get(ChunkRef("email", an_id(), Part.ARGS, 1)) is None
    assert store.get(ChunkRef("other", an_id(), Part.RESULT, 1)) is None


def test_nine_hundred_kilobytes_are_stored_with_their_work_and_read_at_once(store):
    stored, chunks = packed(LARGE)

    write_with(store, Put(stored, IsAbsent()), chunks)

    refs = chunk_refs(OWNER, Part.ARGS, chunk_count(stored.spec.args) or 0)
    assert len(refs) == 3
    assert joined(refs, store.get_many(refs)) == inline_text(LARGE.spec.args)
    assert store.get(OWNER) == stored


def test_work_that_exists_keeps_its_chunks(store):
    stored, chunks = packed(LARGE)
    write_with(store, Put(stored, IsAbsent()), chunks)
    other, theirs = packed(changed(LARGE, args='{"y":"' + "b" * 10_000 + '"}'))

    with pytest.raises(ConditionFailed) as refused:
        write_with(store, Put(other, IsAbsent()), theirs)

    assert refused.value.current == stored
    refs = chunk_refs(OWNER, Part.ARGS, chunk_count(stored.spec.args) or 0)
    assert joined(refs, store.get_many(refs)) == inline_text(LARGE.spec.args)


def test_late_result_leaves_nothing_behind(store):
    store.write(Put(a_work(state=State.FINISHED)))
    end = Update(ref=OWNER, set={"result_chunks": 2}, condition=Is("state", State.RUNNING))

    with pytest.raises(ConditionFailed):
        write_with(store, end, [Put(CHUNK)])

    assert store.get(ref_of(CHUNK)) is None


def test_chunk_that_is_gone_does_not_keep_its_work_from_ending(store):
    stored, chunks = packed(LARGE)
    write_with(store, Put(stored, IsAbsent()), chunks)
    refs = chunk_refs(OWNER, Part.ARGS, 3)
    store.delete(refs[1])

    end = Update(ref=OWNER, set={"state": State.FINISHED}, condition=Is("state", State.PENDING))
    write_with(store, end, [Update(ref=ref, set={"expires_at": 9}) for ref in refs])

    kept = [store.get(ref) for ref in refs]
    assert store.get(OWNER) == replace(stored, state=State.FINISHED)
    assert [None if chunk is None else chunk.expires_at for chunk in kept] == [9, None, 9]


def test_transaction_tells_which_chunk_is_gone(store):
    store.write(Put(a_work()))
    writes = [
        Update(ref=OWNER, set={"origin": "l"}),
        Update(ref=ref_of(CHUNK), set={"expires_at": 9}),
    ]

    with pytest.raises(TransactionFailed) as refused:
        store.transact(writes)

    assert (refused.value.failed, refused.value.current) == ((False, True), (None, None))
    assert store.get(OWNER) == a_work()


@pytest.mark.parametrize(
    "sort",
    ["args", "args/", "args/01", "args/-1", "epilogue/0", "args/0/0", "result/10000", "result/1\n"],
)
def test_key_that_no_chunk_has_is_set_aside(engine, sort):
    engine.inject(f"email#payload#{an_id()}", sort, {"x": "text"})

    (item,) = engine.dump().values()

    assert isinstance(decode(item), Unreadable)


def test_damaged_chunk_is_reported(engine):
    engine.inject(f"email#payload#{an_id()}", "result/1", {"x": 5})

    damaged = engine.store.get(ref_of(CHUNK))

    assert isinstance(damaged, Unreadable)
    assert damaged.reason == "x (text): not a text"


@pytest.mark.parametrize("item", [{}, {"a": "{}", "ac": 1}])
def test_work_without_arguments_or_with_two_is_damaged(engine, item):
    engine.store.write(Put(a_work()))
    stored = engine.dump()[f"email#work#{0}", an_id()]
    engine.inject(
        f"email#work#{0}",
        an_id(),
        {name: value for name, value in stored.items() if name != "a"} | item,
    )

    (row,) = engine.store.query(KeyRange(collection=Collection.WORK, pool="email")).rows

    assert isinstance(row.record, Unreadable)
    assert row.record.reason.startswith("a (args): ")

"""The store in memory beyond the contract: figures, hooks for tests, speed with many items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.kit.records import a_work, an_id
from workpool_aws.adapters.items.capacity import Meter, Units, item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.metered import MeteredStore
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import Collection, KeyRange, StatusRef, Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, dead_key
from workpool_aws.model.writes import Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed

T0 = EpochMs(1_800_000_000_000)


def work_id(n):
    return an_id(T0 + n, 0)


def make_work(n=0, **changes):
    times = {"due_at": T0, "enqueued_at": T0, "retention_s": None}
    return a_work(**{"pool": "p", "id": work_id(n), "target": "f", **times, **changes})


def make_store(**options):
    return MemoryStore(lambda: EpochMs(T0 + 1_999), **options)


STATUS = LoopStatus(pool="p", state=LoopState.IDLE, generation=1, lease_until=T0)


def test_servers_clock_is_rounded_down_to_seconds():
    assert make_store().write(Put(STATUS)).server_time == T0 + 1_000


def test_each_kind_of_step_is_metered():
    meter = Meter()
    store = make_store(meter=meter)
    store.write(Put(make_work(1)))
    store.write(Put(make_work(2, args="x" * 3_000)))
    store.write(Put(make_work(2)))
    with pytest.raises(ConditionFailed):
        store.write(Put(make_work(2, args="x" * 3_000), IsAbsent()))
    store.write(Update(ref=WorkRef("p", work_id(1)), set={"result": "y" * 5_000}))
    with pytest.raises(ConditionFailed):
        store.write(
            Update(ref=WorkRef("p", work_id(1)), set={"result": None}, condition=Is("starts", 9))
        )
    store.get(StatusRef("p"))
    store.get(WorkRef("p", work_id(1)))
    store.get_many([WorkRef("p", work_id(n)) for n in range(150)])
    store.query(KeyRange(collection=Collection.WORK, pool="p"))
    store.query(KeyRange(collection=Collection.DONE, pool="p"))
    store.transact([Put(STATUS), Put(make_work(3))])
    with pytest.raises(TransactionFailed):
        store.transact([Put(STATUS, IsAbsent()), Put(make_work(4, args="x" * 1_500))])
    store.delete(WorkRef("p", work_id(1)))
    store.delete(WorkRef("p", work_id(1)))
    store.peek(StatusRef("p"))
    list(store.scan())

    assert meter.snapshot().by_label == {
        "work.put": Units(1 + 4 + 4 + 1, 0, 4),
        "work.update": Units(5 + 5, 0, 2),
        "status.get": Units(0, 1, 1),
        "work.get": Units(0, 2, 1),
        "work.get_many": Units(0, 148 + 2 + 1, 2),
        "work.query": Units(0, 2, 1),
        "done.query": Units(0, 1, 1),
        "tx": Units((2 + 2) + (2 + 4), 0, 2),
        "work.delete": Units(5 + 1, 0, 2),
    }


def test_range_that_can_hold_nothing_makes_no_request():
    store = make_store()

    store.query(KeyRange(collection=Collection.WORK, pool="p", low="b", high="a"))

    assert store.meter.snapshot().requests == 0


def test_page_ends_where_its_bytes_end_but_holds_at_least_one_item():
    store = make_store(page_bytes=2_500)
    for n, size in enumerate([1_000, 1_000, 1_000, 5_000, 10]):
        store.write(Put(make_work(n, args="x" * size)))
    key_range, pages = KeyRange(collection=Collection.WORK, pool="p"), []

    while True:
        page = store.query(key_range)
        pages.append([row.sort for row in page.rows])
        if page.next_low is None:
            break
        key_range = replace(key_range, low=page.next_low)

    assert pages == [[work_id(0), work_id(1)], [work_id(2)], [work_id(3)], [work_id(4)]]


def test_peek_sees_what_get_sees():
    store = make_store()
    store.write(Put(STATUS))

    assert store.peek(StatusRef("p")) == STATUS
    assert store.peek(WorkRef("p", work_id(1))) is None
    assert store.meter.snapshot().by_label == {"status.put": Units(1, 0, 1)}


def test_items_are_copies_in_key_order():
    store = make_store()
    for record in (make_work(2), make_work(1), STATUS, make_work(1, pool="q")):
        store.write(Put(record))

    for item in store.scan():
        item["s"] = "broken"

    assert [(item["pk"], item["sk"]) for item in store.scan()] == [
        ("p#control", "status"),
        ("p#work#0", work_id(1)),
        ("p#work#0", work_id(2)),
        ("q#work#0", work_id(1)),
    ]
    assert [item["sk"] for item in store.items("p#work#")] == [work_id(1), work_id(2)]
    assert store.get(StatusRef("p")) == STATUS


def test_injected_item_is_found():
    store = make_store()

    store.inject("p#work#0", work_id(1), {"t": "w"})

    assert isinstance(store.get(WorkRef("p", work_id(1))), Unreadable)


def test_expiry_removes_what_is_past_its_time_and_nothing_else():
    store = make_store()
    due_s = T0 // 1_000
    for record in (
        make_work(1, expires_at=due_s),
        make_work(2, expires_at=due_s + 1),
        make_work(3),
    ):
        store.write(Put(record))
    store.inject("p#work#0", "odd", {"expires_at": "soon"})
    store.inject("p#work#0", "true", {"expires_at": True})

    assert store.expire(EpochMs(T0 - 1)) == 0
    assert store.expire(T0) == 1
    assert store.expire(EpochMs(T0 + 999)) == 0

    assert [item["sk"] for item in store.scan()] == [work_id(2), work_id(3), "odd", "true"]


def test_adding_to_what_is_no_number_is_refused_and_changes_nothing():
    store = make_store()
    store.inject("p#control", "status", {"g": "three"})

    for attempt in (store.write, lambda write: store.transact([Put(make_work(1)), write])):
        with pytest.raises(ValueError, match="number"):
            attempt(Update(ref=StatusRef("p"), set={"wake_at": 1}, add={"generation": 1}))

    assert list(store.scan()) == [{"pk": "p#control", "sk": "status", "g": "three"}]


def test_flag_is_never_equal_to_number():
    store = make_store()
    store.inject("p#control", "status", {"s": "idle", "g": True, "l": 0})

    with pytest.raises(ConditionFailed):
        store.write(Update(ref=StatusRef("p"), set={"wake_at": 1}, condition=Is("generation", 1)))


def test_threads_lose_no_update():
    store = make_store()
    store.write(Put(STATUS))

    def add(_):
        for _ in range(100):
            store.write(Update(ref=StatusRef("p"), add={"generation": 1}))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))

    assert store.get(StatusRef("p")) == replace(STATUS, generation=801)


def test_put_if_absent_is_won_by_one_thread():
    store = make_store()

    def put(n):
        try:
            store.write(Put(make_work(1, origin=str(n)), IsAbsent()))
        except ConditionFailed:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(64))) == 1


def test_page_out_of_many_items_reads_only_that_page():
    store = make_store()
    for n in range(20_000):
        store.inject("p#work#0", work_id(n), {"t": "x"})

    page = store.query(KeyRange(collection=Collection.WORK, pool="p", low=work_id(15_000), limit=3))

    assert [row.sort for row in page.rows] == [work_id(15_000), work_id(15_001), work_id(15_002)]
    assert store.meter.snapshot().read_units == 1


def test_deleted_item_can_be_put_again():
    store = make_store()
    for _ in range(2):
        store.write(Put(make_work(1), IsAbsent()))
        store.delete(ref_of(make_work(1)))

    assert list(store.scan()) == []


def size_of(record):
    return item_size(encode(record))


def of_size(n, size_bytes):
    """A work item that is stored in so many bytes."""
    return make_work(n, args="x" * (size_bytes - size_of(make_work(n, args=""))))


def test_item_and_transaction_may_be_as_large_as_dynamodb_takes_them():
    store = make_store()
    most = [of_size(n, 400 * 1024) for n in range(10)]
    rest = 4 * 1024 * 1024 - 10 * 400 * 1024

    store.transact([Put(each) for each in [*most, of_size(10, rest)]])
    with pytest.raises(ValueError, match="a transaction of more than 4194304 bytes"):
        store.transact([Put(each) for each in [*most, of_size(11, rest + 1)]])
    with pytest.raises(ValueError, match="an item of 409601 bytes is not allowed; at most 409600"):
        store.write(Put(of_size(12, 400 * 1024 + 1)))

    assert len(list(store.scan())) == 11


def test_page_may_be_filled_to_its_last_byte():
    records = [of_size(n, 1_000) for n in range(3)]
    key_range, found = KeyRange(collection=Collection.WORK, pool="p"), []

    for page_bytes in (2_000, 1_999):
        store = make_store(page_bytes=page_bytes)
        for record in records:
            store.write(Put(record))
        found.append(len(store.query(key_range).rows))

    assert found == [2, 1]


def test_places_are_asked_for_by_hundred():
    store = make_store()
    for count in (100, 101):
        store.get_many([WorkRef("p", work_id(n)) for n in range(count)])
    store.get_many([])

    assert store.meter.snapshot().by_label == {"work.get_many": Units(0, 201, 1 + 2)}


def test_transaction_that_moves_dead_letter_pays_for_index_apart():
    store = make_store()
    ended = {"state": State.FINISHED, "outcome": Outcome.FAILED, "finished_at": T0}
    dead = make_work(1, **ended, dead=dead_key(T0, work_id(1)))

    store.transact([Put(dead), Put(make_work(2))])

    assert store.meter.snapshot().by_label == {"tx": Units(2 + 2 + 1, 0, 1)}
    assert [
        row.record for row in store.query(KeyRange(collection=Collection.DEAD, pool="p")).rows
    ] == [dead]
    store.delete(ref_of(dead))
    assert store.query(KeyRange(collection=Collection.DEAD, pool="p")).rows == ()


def test_store_has_meter_of_its_own_and_pages_of_megabyte():
    store = make_store()
    for n in range(4):
        store.write(Put(of_size(n, 300 * 1024)))

    assert len(store.query(KeyRange(collection=Collection.WORK, pool="p")).rows) == 3
    assert make_store().meter.snapshot().requests == 0


def test_metered_store_counts_reads_by_size():
    meter = Meter()
    store = MeteredStore(make_store(), meter)
    store.write(Put(make_work(1, args="x" * 9_000)))
    read = []
    for ask in (
        lambda: store.get(StatusRef("p")),
        lambda: store.get(WorkRef("p", work_id(1))),
        lambda: store.query(KeyRange(collection=Collection.WORK, pool="p")),
        lambda: store.query(KeyRange(collection=Collection.DEAD, pool="p")),
    ):
        before = meter.snapshot().read_units
        ask()
        read.append(meter.snapshot().read_units - before)

    assert read == [1, 3, 3, 1]

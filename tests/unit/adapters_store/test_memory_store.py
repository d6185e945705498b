"""What the store in memory adds to the contract: figures, tests' ways round it, speed with many items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.kit.records import a_work, an_id
from workpool_aws.adapters.items.capacity import Meter, Units
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, LoopStatus
from workpool_aws.model.refs import Collection, KeyRange, StatusRef, Unreadable, WorkRef
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


def test_the_servers_clock_is_rounded_down_to_seconds():
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
    store.query(KeyRange(shelf=Collection.WORK, pool="p"))
    store.query(KeyRange(shelf=Collection.DONE, pool="p"))
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


def test_a_range_that_can_hold_nothing_makes_no_request():
    store = make_store()

    store.query(KeyRange(shelf=Collection.WORK, pool="p", low="b", high="a"))

    assert store.meter.snapshot().requests == 0


def test_a_page_ends_where_its_bytes_end_but_holds_at_least_one_item():
    store = make_store(page_bytes=2_500)
    for n, size in enumerate([1_000, 1_000, 1_000, 5_000, 10]):
        store.write(Put(make_work(n, args="x" * size)))
    span, pages = KeyRange(shelf=Collection.WORK, pool="p"), []

    while True:
        page = store.query(span)
        pages.append([row.sort for row in page.rows])
        if page.next_low is None:
            break
        span = replace(span, low=page.next_low)

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


def test_what_is_injected_is_found():
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

    assert store.expire(EpochMs(T0 - 1)) == 0
    assert store.expire(EpochMs(T0 + 999)) == 1

    assert [item["sk"] for item in store.scan()] == [work_id(2), work_id(3), "odd"]


def test_adding_to_what_is_no_number_is_refused_and_changes_nothing():
    store = make_store()
    store.inject("p#control", "status", {"g": "three"})

    for attempt in (store.write, lambda write: store.transact([Put(make_work(1)), write])):
        with pytest.raises(ValueError, match="number"):
            attempt(Update(ref=StatusRef("p"), set={"wake_at": 1}, add={"generation": 1}))

    assert list(store.scan()) == [{"pk": "p#control", "sk": "status", "g": "three"}]


def test_a_flag_is_never_equal_to_a_number():
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


def test_of_threads_that_put_if_absent_one_wins():
    store = make_store()

    def put(n):
        try:
            store.write(Put(make_work(1, link=str(n)), IsAbsent()))
        except ConditionFailed:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(64))) == 1


def test_a_page_out_of_many_items_reads_only_that_page():
    store = make_store()
    for n in range(20_000):
        store.inject("p#work#0", work_id(n), {"t": "x"})

    page = store.query(KeyRange(shelf=Collection.WORK, pool="p", low=work_id(15_000), limit=3))

    assert [row.sort for row in page.rows] == [work_id(15_000), work_id(15_001), work_id(15_002)]
    assert store.meter.snapshot().read_units == 1


def test_a_deleted_item_can_be_put_again():
    store = make_store()
    for _ in range(2):
        store.write(Put(make_work(1), IsAbsent()))
        store.delete(ref_of(make_work(1)))

    assert list(store.scan()) == []

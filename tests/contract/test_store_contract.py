"""The contract of `ports.Store` on each engine.

The same tests run on each; deviations stand in the conftest.

Among them: requests stay inside DynamoDB's limits [WP-11], and a damaged item hides no other
[WP-12].
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.kit.records import a_work, an_id, changed
from workpool_aws.adapters.items.capacity import ITEM_BYTES_MAX, item_size
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.core.limits import STORED_ITEM_BYTES_MAX
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.actions import Check, Delete
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import (
    Config,
    DeployedJob,
    DeployedLimit,
    Deployment,
    Entry,
    EntryKey,
    Heartbeat,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteReport,
    MinuteTally,
    Notice,
    NoticeKind,
    PendingCallback,
    Registration,
    ShardCursors,
)
from workpool_aws.model.pages import Slots
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    DeploymentRef,
    KeyRange,
    LedgerRef,
    PointerRef,
    Row,
    StatusRef,
    Unreadable,
    WorkRef,
)
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Pointer, State, WorkItem, dead_key
from workpool_aws.model.writes import Above, All, Below, Either, Is, IsAbsent, IsNot, Put, Update
from workpool_aws.ports import ConditionFailed, TransactionFailed

T0 = EpochMs(1_800_000_000_000)
POOL = "email"


def work_id(n: int, shard: int = 0) -> WorkId:
    return an_id(T0 + n, n, shard=shard)


def make_work(n: int = 0, **changes: object) -> WorkItem:
    """Return a work item that is due `n` ms after `T0`."""
    due = {"id": work_id(n), "due_at": EpochMs(T0 + n), "enqueued_at": T0, "claimed": False}
    return a_work(**{**due, "args": '{"to":"a@example.com"}', **changes})


def make_status(**changes: object) -> LoopStatus:
    return replace(
        LoopStatus(pool=POOL, state=LoopState.RUNNING, generation=3, lease_until=T0), **changes
    )


RECORDS = [
    make_work(
        retry=RetryPolicy(),
        claimed=True,
        claim="c",
        error="Größe ✓",
        outcome=Outcome.FAILED,
        expires_at=1_800_000_000,
    ),
    Pointer(pool=POOL, at=work_id(5), work_id=work_id(1)),
    Notice(
        pool=POOL,
        at=work_id(6),
        work_id=work_id(1),
        start=2,
        kind=NoticeKind.RETRY,
        pointer=work_id(5),
        expires_at=7,
    ),
    Notice(
        pool=POOL,
        at=work_id(6),
        work_id=work_id(1),
        start=2,
        kind=NoticeKind.FINISHED,
        outcome=Outcome.FAILED,
    ),
    MinuteReport(
        pool=POOL,
        at=work_id(8),
        tally=MinuteTally(since=T0, succeeded=3, failed=2, retried=1, canceled=4),
        expires_at=7,
    ),
    make_work(dead=dead_key(T0, work_id(0)), redrive_of=work_id(1), redriven_as=work_id(2)),
    make_status(wake_at=T0, saturated=True, written_by="t"),
    Ledger(
        pool=POOL,
        holder="h",
        generation=2,
        version=9,
        entries={
            EntryKey(work_id(2), 1): Entry(T0),
            EntryKey(work_id(1), 3): Entry(EpochMs(0), confirmed=True),
        },
        shards=(ShardCursors(work_id(1), "", T0), ShardCursors()),
        callbacks=(
            PendingCallback(work_id(4), T0, tries=2),
            PendingCallback(work_id(3), EpochMs(T0 + 1), looks=1),
        ),
        tally=MinuteTally(since=T0, retried=1, lags=((0, 3), (28, 1))),
    ),
    make_work(
        2,
        on_complete="done",
        context='{"user":7}',
        callback_outcomes=(Outcome.FAILED, Outcome.CANCELED),
        callback=CallbackState.SENT,
    ),
    Notice(
        pool=POOL,
        at=work_id(8),
        work_id=work_id(2),
        start=0,
        kind=NoticeKind.FINISHED,
        callback=CallbackState.PENDING,
    ),
    Config(
        pool=POOL,
        version=1,
        max_parallelism=10,
        base_by="me",
        base_at=T0,
        override_parallelism=0,
        override_paused=True,
    ),
    Registration(pool=POOL, registered_at=T0),
    Heartbeat(at=T0),
    Deployment(loop_arn="arn:loop", schedule_group="g"),
    Deployment(
        loop_arn="arn:loop",
        acknowledging=("a", "b"),
        limits=(DeployedLimit("email", 0), DeployedLimit("p-1", 500)),
        jobs=(
            DeployedJob("crawl", "arn:aws:lambda:eu-west-1:123456789012:function:app:live"),
            DeployedJob("mail.send", "arn:aws:lambda:eu-west-1:123456789012:function:app"),
        ),
    ),
    Config(
        pool=POOL,
        version=2,
        max_parallelism=10,
        base_by="me",
        base_at=T0,
        deployed_parallelism=0,
        deployed_at=T0,
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_comes_back_as_it_was_put(store, record):
    written = store.write(Put(record))

    assert written.record == record
    assert store.get(ref_of(record)) == record


def test_get_of_absent_record_is_none(store):
    assert store.get(WorkRef(POOL, work_id(1))) is None
    assert store.get(LedgerRef(POOL)) is None
    assert store.get(DeploymentRef()) is None


def test_pools_do_not_see_each_other(store):
    store.write(Put(make_work(1)))

    assert store.get(WorkRef("other", work_id(1))) is None
    assert store.query(KeyRange(collection=Collection.WORK, pool="other")).rows == ()


def test_put_takes_place_of_whole_record(store):
    store.write(Put(make_work(1, claim="old", deadline=T0)))

    store.write(Put(make_work(1)))

    assert store.get(WorkRef(POOL, work_id(1))) == make_work(1)


def test_put_if_absent_fails_on_present_item_and_returns_it(store):
    mine = make_status(written_by="mine")
    store.write(Put(mine, IsAbsent()))

    with pytest.raises(ConditionFailed) as refused:
        store.write(Put(make_status(written_by="other"), IsAbsent()))

    assert refused.value.current == mine
    assert store.get(StatusRef(POOL)) == mine


def test_failed_condition_on_nothing_returns_none(store):
    with pytest.raises(ConditionFailed) as refused:
        store.write(Put(make_status(), Is("generation", 3)))

    assert refused.value.current is None
    assert store.get(StatusRef(POOL)) is None


def test_answer_carries_servers_clock_in_whole_seconds(store):
    put = store.write(Put(make_work(1)))
    updated = store.write(Update(ref=WorkRef(POOL, work_id(1)), set={"starts": 1}))
    transacted = store.transact([Put(make_work(2))])

    times = [put.server_time, updated.server_time, transacted.server_time]
    assert all(time is not None and time > 0 and time % 1_000 == 0 for time in times)


CONDITIONS = [
    ("the value", Is("starts", 2), True),
    ("another value", Is("starts", 3), False),
    ("a text", Is("started_by", "token"), True),
    ("another text", Is("started_by", "Token"), False),
    ("an enumeration", Is("state", State.RUNNING), True),
    ("its plain value", Is("state", "running"), True),
    ("another member", Is("state", State.PENDING), False),
    ("true", Is("claimed", True), True),
    ("true where absent", Is("cancel_requested", True), False),
    ("false is absence", Is("cancel_requested", False), True),
    ("false where true", Is("claimed", False), False),
    ("none is absence", Is("claim", None), True),
    ("none where present", Is("started_by", None), False),
    ("a value where absent", Is("claim", "token"), False),
    ("zero is a value", Is("attempts_made", 0), True),
    ("zero is not absence", Is("attempts_made", None), False),
    ("another number", IsNot("starts", 3), True),
    ("not another number", IsNot("starts", 2), False),
    ("absence is another value", IsNot("claim", "token"), True),
    ("another value in all", All((IsNot("claim", "token"), Is("starts", 2))), True),
    ("another value in either", Either((Is("starts", 9), IsNot("starts", 9))), True),
    ("below", Below("starts", 3), True),
    ("not below the same", Below("starts", 2), False),
    ("below where absent", Below("finished_at", 10**15), False),
    ("above", Above("starts", 1), True),
    ("not above the same", Above("starts", 2), False),
    ("above where absent", Above("finished_at", -1), False),
    ("a late deadline", Below("deadline", T0 + 1), True),
    ("absent item", IsAbsent(), False),
    ("all", All((Is("starts", 2), Is("claim", None))), True),
    ("not all", All((Is("starts", 2), Is("claim", "x"))), False),
    ("either", Either((Is("starts", 9), Is("claim", None))), True),
    ("neither", Either((Is("starts", 9), Is("claim", "x"))), False),
    (
        "nested",
        All(
            (
                Either((Is("claim", None), Is("claim", "x"))),
                Either((Below("starts", 1), Above("starts", 1))),
            )
        ),
        True,
    ),
    (
        "nested, one false",
        All((Is("starts", 2), Either((All((Is("starts", 2), Is("claim", "x"))), Is("starts", 1))))),
        False,
    ),
    ("all of one", All((Is("starts", 2),)), True),
    ("either of one", All((Either((Is("starts", 2),)), Is("claim", None))), True),
    (
        "either in all of one",
        All((All((Either((Is("starts", 9), Is("claim", None))),)), Is("starts", 2))),
        True,
    ),
    (
        "either in either of one",
        All((Either((Either((Is("starts", 9), Is("starts", 2))),)), Is("claim", "x"))),
        False,
    ),
]


def decided(store, verb, before, condition):
    """Return the answer to a write with this condition, and what is stored then."""
    after = changed(before, origin="changed")
    store.write(Put(before))
    write = (
        Put(after, condition)
        if verb == "put"
        else Update(ref=ref_of(before), set={"origin": "changed"}, condition=condition)
    )
    try:
        store.transact([write]) if verb == "transact" else store.write(write)
        answer = "done"
    except TransactionFailed as cancelled:
        answer = (cancelled.current, cancelled.failed)
    except ConditionFailed as refused:
        answer = refused.current
    return answer, store.get(ref_of(before))


@pytest.mark.parametrize("verb", ["put", "update", "transact"])
def test_condition_decides(store, verb):
    wrong = {}
    for nth, (name, condition, holds) in enumerate(CONDITIONS, start=1):
        running = {"state": State.RUNNING, "starts": 2, "started_by": "token", "deadline": T0}
        before = make_work(nth, **running, claimed=True)
        refused = ((before,), (True,)) if verb == "transact" else before
        wanted = ("done", changed(before, origin="changed")) if holds else (refused, before)
        found = decided(store, verb, before, condition)
        if found != wanted:
            wrong[name] = found

    assert wrong == {}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (IsAbsent(), True),
        (Is("written_by", None), True),
        (Is("saturated", False), True),
        (Either((IsAbsent(), Below("generation", 9))), True),
        (IsNot("generation", 3), True),
        (Is("generation", 0), False),
        (Below("generation", 9), False),
        (Above("generation", -9), False),
    ],
)
def test_condition_on_absent_item_sees_no_fields(store, condition, holds):
    if holds:
        assert store.write(Put(make_status(), condition)).record == make_status()
    else:
        with pytest.raises(ConditionFailed):
            store.write(Put(make_status(), condition))


def test_update_changes_its_fields_and_no_others(store):
    store.write(Put(make_work(1, claim="c", origin="trace")))

    written = store.write(
        Update(
            ref=WorkRef(POOL, work_id(1)),
            set={"state": State.RUNNING, "starts": 1, "deadline": T0 + 5, "claim": None},
        )
    )

    expected = make_work(1, state=State.RUNNING, starts=1, deadline=EpochMs(T0 + 5), origin="trace")
    assert written.record == expected
    assert store.get(WorkRef(POOL, work_id(1))) == expected


def test_update_to_none_or_false_removes_what_may_be_absent_already(store):
    store.write(Put(make_work(1, cancel_requested=True)))
    change = Update(ref=WorkRef(POOL, work_id(1)), set={"cancel_requested": False, "claim": None})

    store.write(change)
    again = store.write(change)

    assert again.record == make_work(1)


def test_update_sets_composite_fields(store):
    entries = {EntryKey(work_id(4), 2): Entry(T0, confirmed=True)}
    store.write(Put(Ledger(pool=POOL, holder="h", generation=1, version=1)))

    written = store.write(
        Update(
            ref=LedgerRef(POOL),
            set={"entries": Slots(entries), "shards": (ShardCursors(work_id(1)),)},
            add={"version": 1},
        )
    )

    assert written.record == Ledger(
        pool=POOL,
        holder="h",
        generation=1,
        version=2,
        entries=entries,
        shards=(ShardCursors(work_id(1)),),
    )


def test_slots_of_format_before_are_read_and_written_anew(engine):
    stored = encode(Ledger(pool=POOL, holder="h", generation=1, version=1))
    engine.inject(
        f"{POOL}#control",
        "ledger",
        {**stored, "en": [f"{work_id(4)}:2:mjuohs0a:c", f"{work_id(5)}:1:zz"]},
    )
    deadline = EpochMs(int("mjuohs0a", 36))
    entries = {
        EntryKey(work_id(4), 2): Entry(deadline, confirmed=True),
        EntryKey(work_id(5), 1): Entry(EpochMs(1295)),
    }

    taken = engine.store.write(
        Update(ref=LedgerRef(POOL), set={"generation": 2}, add={"version": 1})
    )
    engine.store.write(
        Update(ref=LedgerRef(POOL), set={"entries": Slots(entries)}, condition=Is("version", 2))
    )

    assert taken.record == Ledger(pool=POOL, holder="h", generation=2, version=2, entries=entries)
    assert engine.store.get(LedgerRef(POOL)) == taken.record
    assert isinstance(engine.dump()[f"{POOL}#control", "ledger"]["en"], bytes)


def test_update_adds_to_numbers(store):
    store.write(Put(make_work(1, starts=3)))

    written = store.write(
        Update(
            ref=WorkRef(POOL, work_id(1)), add={"starts": 2, "undelivered": 1}, set={"origin": "x"}
        )
    )

    assert written.record == make_work(1, starts=5, undelivered=1, origin="x")


def test_adding_to_absent_number_begins_at_zero(store):
    store.write(Put(make_work(1)))

    written = store.write(Update(ref=WorkRef(POOL, work_id(1)), add={"refused_since": 7}))

    assert written.record == make_work(1, refused_since=7)


@pytest.mark.parametrize(
    "condition", [None, Is("claim", None), IsAbsent(), Either((IsAbsent(), Is("starts", 1)))]
)
def test_update_never_creates(store, condition):
    with pytest.raises(ConditionFailed) as refused:
        store.write(Update(ref=WorkRef(POOL, work_id(1)), set={"starts": 1}, condition=condition))

    assert refused.value.current is None
    assert store.get(WorkRef(POOL, work_id(1))) is None


def test_repeated_write_tells_its_own_token(store):
    store.write(Put(make_status(generation=3)))
    kick = Update(
        ref=StatusRef(POOL),
        set={"generation": 4, "written_by": "me"},
        condition=Is("generation", 3),
    )
    store.write(kick)

    with pytest.raises(ConditionFailed) as repeated:
        store.write(kick)

    assert repeated.value.current == make_status(generation=4, written_by="me")


def test_transaction_applies_all_of_it(store):
    store.write(Put(make_work(1, state=State.RUNNING, starts=1)))
    pointer = Pointer(pool=POOL, at=work_id(9), work_id=work_id(1))
    done = Notice(
        pool=POOL,
        at=work_id(8),
        work_id=work_id(1),
        start=1,
        kind=NoticeKind.RETRY,
        pointer=pointer.at,
    )
    back = Update(
        ref=WorkRef(POOL, work_id(1)),
        set={"state": State.PENDING},
        add={"attempts_made": 1},
        condition=Is("starts", 1),
    )

    written = store.transact([back, Put(pointer, IsAbsent()), Put(done)])

    assert written.record is None
    assert store.get(WorkRef(POOL, work_id(1))) == make_work(1, starts=1, attempts_made=1)
    assert store.get(ref_of(pointer)) == pointer
    assert store.get(ref_of(done)) == done


def test_refused_transaction_applies_none_of_it_and_tells_which_conditions_failed(store):
    store.write(Put(make_work(1)))
    store.write(Put(make_status(generation=7)))
    writes = [
        Put(make_work(2)),
        Update(ref=WorkRef(POOL, work_id(1)), set={"starts": 1}, condition=Is("starts", 0)),
        Update(ref=StatusRef(POOL), set={"generation": 9}, condition=Is("generation", 8)),
        Update(ref=WorkRef(POOL, work_id(3)), set={"starts": 1}),
    ]

    with pytest.raises(TransactionFailed) as cancelled:
        store.transact(writes)

    assert cancelled.value.failed == (False, False, True, True)
    assert cancelled.value.current == (None, None, make_status(generation=7), None)
    assert store.get(WorkRef(POOL, work_id(1))) == make_work(1)
    assert store.get(WorkRef(POOL, work_id(2))) is None
    assert store.get(StatusRef(POOL)) == make_status(generation=7)


def test_check_of_transaction_changes_nothing_and_can_refuse(store):
    store.write(Put(make_work(1)))
    put, ref = Put(make_work(2)), WorkRef(POOL, work_id(1))

    store.transact([Check(ref=ref, condition=Is("starts", 0)), put])
    with pytest.raises(TransactionFailed) as refused:
        store.transact([Check(ref=ref, condition=Is("starts", 1)), Put(make_work(3))])

    assert refused.value.failed == (True, False)
    assert refused.value.current == (make_work(1), None)
    assert store.get(ref) == make_work(1)
    assert store.get(WorkRef(POOL, work_id(2))) == put.record
    assert store.get(WorkRef(POOL, work_id(3))) is None


def test_delete_of_transaction_removes_item_that_is_as_expected(store):
    store.write(Put(make_work(1)))
    ref, gone = WorkRef(POOL, work_id(1)), WorkRef(POOL, work_id(9))

    with pytest.raises(TransactionFailed):
        store.transact([Delete(ref=ref, condition=Is("starts", 1)), Put(make_work(2))])
    assert store.get(ref) == make_work(1)
    store.transact([Delete(ref=ref, condition=Is("starts", 0)), Delete(ref=gone)])

    assert store.get(ref) is None
    assert store.get(WorkRef(POOL, work_id(2))) is None


def test_transaction_with_token_is_applied_once_while_it_is_known(store):
    store.write(Put(make_work(1)))
    step = Update(ref=WorkRef(POOL, work_id(1)), add={"starts": 1})
    token = uuid4().hex

    for _ in range(2):
        store.transact([step], token)

    assert store.get(WorkRef(POOL, work_id(1))) == make_work(1, starts=1)


def test_transaction_takes_hundred_items_and_no_more(store):
    store.transact([Put(make_work(n)) for n in range(100)])

    with pytest.raises(ValueError, match="101"):
        store.transact([Put(make_work(n)) for n in range(200, 301)])

    assert len(store.query(KeyRange(collection=Collection.WORK, pool=POOL)).rows) == 100


@pytest.mark.parametrize(
    "writes", [[], [Put(make_work(1)), Update(ref=WorkRef(POOL, work_id(1)), set={"starts": 1})]]
)
def test_transaction_of_nothing_or_of_one_item_twice_is_mistake(store, writes):
    with pytest.raises(ValueError, match="transaction"):
        store.transact(writes)

    assert store.get(WorkRef(POOL, work_id(1))) is None


def test_transaction_above_four_megabytes_is_refused(store):
    large = "x" * 380_000
    with pytest.raises(ValueError, match="transaction"):
        store.transact([Put(make_work(n, args=large)) for n in range(12)])

    assert store.get(WorkRef(POOL, work_id(0))) is None


def test_get_many_gives_those_that_exist_in_any_number(store):
    refs = [WorkRef(POOL, work_id(n)) for n in range(230)]
    for n in range(0, 230, 2):
        store.write(Put(make_work(n)))
    store.write(Put(make_status()))

    found = store.get_many([*refs, StatusRef(POOL), refs[0], LedgerRef(POOL)])

    assert found == {
        **{refs[n]: make_work(n) for n in range(0, 230, 2)},
        StatusRef(POOL): make_status(),
    }


def test_get_many_of_nothing_is_nothing(store):
    assert store.get_many([]) == {}


def test_name_finds_records_of_its_own_kind_only(store):
    """A work item and a pointer can have the same key: one stands there, and goes by one name."""
    store.write(Put(make_work(1)))
    work, pointer = WorkRef(POOL, work_id(1)), PointerRef(POOL, work_id(1))

    assert (store.get(work), store.get(pointer)) == (make_work(1), None)
    assert store.get_many([work, pointer]) == {work: make_work(1)}


def test_delete_removes_once_and_twice(store):
    store.write(Put(make_work(1)))

    store.delete(WorkRef(POOL, work_id(1)))
    store.delete(WorkRef(POOL, work_id(1)))

    assert store.get(WorkRef(POOL, work_id(1))) is None
    assert store.query(KeyRange(collection=Collection.WORK, pool=POOL)).rows == ()


def fill(store, numbers):
    for n in numbers:
        store.write(Put(make_work(n)))


def sorts(page):
    return [row.sort for row in page.rows]


def test_range_is_in_key_order_whatever_order_of_writing(store):
    fill(store, [7, 1, 5, 3])
    store.write(Put(Pointer(pool=POOL, at=work_id(4), work_id=work_id(1))))

    page = store.query(KeyRange(collection=Collection.WORK, pool=POOL))

    assert page.rows == (
        Row(work_id(1), make_work(1)),
        Row(work_id(3), make_work(3)),
        Row(work_id(4), Pointer(pool=POOL, at=work_id(4), work_id=work_id(1))),
        Row(work_id(5), make_work(5)),
        Row(work_id(7), make_work(7)),
    )
    assert page.next_low is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("", None, [1, 3, 5, 7]),
        (work_id(3), None, [3, 5, 7]),
        (work_id(2), None, [3, 5, 7]),
        ("", work_id(5), [1, 3, 5]),
        ("", work_id(6), [1, 3, 5]),
        (work_id(3), work_id(5), [3, 5]),
        (work_id(3), work_id(3), [3]),
        (work_id(4), work_id(4), []),
        (work_id(5), work_id(3), []),
        ("", "", []),
        (work_id(8), None, []),
    ],
)
def test_range_includes_both_ends(store, low, high, expected):
    fill(store, [1, 3, 5, 7])

    page = store.query(KeyRange(collection=Collection.WORK, pool=POOL, low=low, high=high))

    assert sorts(page) == [work_id(n) for n in expected]
    assert page.next_low is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("high", [None, work_id(5)])
def test_pages_join_without_gap_or_overlap(store, limit, high):
    fill(store, range(7))
    key_range = KeyRange(
        collection=Collection.WORK, pool=POOL, low=work_id(1), high=high, limit=limit
    )
    seen = []

    for _ in range(9):
        page = store.query(key_range)
        assert len(page.rows) <= limit
        seen += sorts(page)
        if page.next_low is None:
            break
        key_range = replace(key_range, low=page.next_low)

    assert seen == [work_id(n) for n in range(1, 7 if high is None else 6)]
    assert page.next_low is None


def test_range_of_pending_rows_leaves_out_what_runs_or_is_over(store):
    states = [State.RUNNING, State.PENDING, State.FINISHED, State.PENDING]
    for n, state in enumerate(states):
        store.write(Put(make_work(n, state=state)))
    store.write(Put(Pointer(pool=POOL, at=work_id(9), work_id=work_id(0))))
    asked = KeyRange(collection=Collection.WORK, pool=POOL, pending_only=True)

    pending = [work_id(1), work_id(3), work_id(9)]
    assert sorts(store.query(asked)) == pending
    first = store.query(replace(asked, limit=1))
    assert (sorts(first), first.next_low is None) == ([], False)
    assert sorts(store.query(replace(asked, low=first.next_low))) == pending


def test_page_that_reached_its_limit_always_names_next_one(store):
    fill(store, [1, 2])

    page = store.query(KeyRange(collection=Collection.WORK, pool=POOL, limit=2))

    assert sorts(page) == [work_id(1), work_id(2)]
    assert page.next_low is not None
    assert (
        store.query(
            KeyRange(collection=Collection.WORK, pool=POOL, low=page.next_low, limit=2)
        ).rows
        == ()
    )


def test_page_that_ends_on_ranges_last_key_is_last(store):
    fill(store, [1, 2, 3])

    page = store.query(KeyRange(collection=Collection.WORK, pool=POOL, high=work_id(2), limit=2))

    assert (sorts(page), page.next_low) == ([work_id(1), work_id(2)], None)


def test_page_without_limit_ends_at_megabyte(store):
    large = "x" * 100_000
    for n in range(15):
        store.write(Put(make_work(n, args=large)))

    first = store.query(KeyRange(collection=Collection.WORK, pool=POOL))
    second = store.query(KeyRange(collection=Collection.WORK, pool=POOL, low=first.next_low or ""))

    assert 8 < len(first.rows) <= 10
    assert sorts(first) + sorts(second) == [work_id(n) for n in range(15)]
    assert second.next_low is None


def test_page_of_less_than_one_item_is_mistake(store):
    with pytest.raises(ValueError, match="limit"):
        store.query(KeyRange(collection=Collection.WORK, pool=POOL, limit=0))


def test_shards_and_shelves_are_ranges_of_their_own(store):
    there = make_work(1, id=work_id(1, shard=31))
    done = Notice(
        pool=POOL, at=work_id(2, shard=31), work_id=there.id, start=1, kind=NoticeKind.FINISHED
    )
    store.write(Put(there))
    store.write(Put(done))

    assert store.query(KeyRange(collection=Collection.WORK, pool=POOL)).rows == ()
    assert store.query(KeyRange(collection=Collection.WORK, pool=POOL, shard=31)).rows == (
        Row(there.id, there),
    )
    assert store.query(KeyRange(collection=Collection.DONE, pool=POOL, shard=31)).rows == (
        Row(done.at, done),
    )


def test_registry_lists_pools_by_name(store):
    for name in ["b", "a", "C", "_"]:
        store.write(Put(Registration(pool=name, registered_at=T0)))

    page = store.query(KeyRange(collection=Collection.REGISTRY, low="C"))

    assert [row.record.pool for row in page.rows] == ["C", "_", "a", "b"]


@pytest.mark.parametrize(
    ("low", "high"),
    [("", None), (work_id(1), work_id(5)), (work_id(1), None), ("", work_id(5)), ("", work_id(2))],
)
def test_reverse_range_goes_down_page_by_page(store, low, high):
    fill(store, range(7))
    upwards = sorts(
        store.query(KeyRange(collection=Collection.WORK, pool=POOL, low=low, high=high))
    )

    down = {limit: pages_down(store, low, high, limit) for limit in (1, 2, 3, 7, 8, None)}

    assert down == dict.fromkeys(down, upwards[::-1])


def pages_down(store, low, high, limit):
    key_range = KeyRange(
        collection=Collection.WORK, pool=POOL, low=low, high=high, limit=limit, reverse=True
    )
    seen = []
    for _ in range(9):
        page = store.query(key_range)
        assert page.next_low is None
        assert limit is None or len(page.rows) <= limit
        seen += sorts(page)
        if page.next_high is None:
            return seen
        key_range = replace(key_range, high=page.next_high)
    raise AssertionError(f"limit {limit}: more pages than rows")


def test_range_upwards_names_no_next_high(store):
    fill(store, range(3))

    assert store.query(KeyRange(collection=Collection.WORK, pool=POOL, limit=1)).next_high is None


def make_dead(n, failed_at):
    return make_work(
        n,
        state=State.FINISHED,
        outcome=Outcome.FAILED,
        dead=dead_key(EpochMs(failed_at), work_id(n)),
    )


def test_dead_letters_are_works_that_say_so_by_time_of_failure(store):
    fill(store, range(5))
    dead = [make_dead(9, T0 + 1), make_dead(7, T0 + 2), make_dead(8, T0 + 2)]
    for each in reversed(dead):
        store.write(Put(each))
    store.write(Put(replace(make_dead(1, T0), pool="other")))

    rows = store.query(KeyRange(collection=Collection.DEAD, pool=POOL)).rows

    assert rows == tuple(Row(each.dead, each) for each in dead)
    assert store.query(KeyRange(collection=Collection.DEAD, pool=POOL, shard=1)).rows == ()


def test_dead_letters_are_read_in_pages_either_way(store):
    dead = [make_dead(n, T0 + n // 2) for n in range(5)]
    for each in dead:
        store.write(Put(each))
    up, down = (
        KeyRange(collection=Collection.DEAD, pool=POOL, limit=2),
        KeyRange(collection=Collection.DEAD, pool=POOL, limit=2, reverse=True),
    )
    seen = {False: [], True: []}

    for first in (up, down):
        key_range = first
        while True:
            page = store.query(key_range)
            seen[key_range.reverse] += sorts(page)
            if page.next_low is None and page.next_high is None:
                break
            key_range = (
                replace(key_range, high=page.next_high)
                if key_range.reverse
                else replace(key_range, low=page.next_low)
            )

    assert seen == {False: [each.dead for each in dead], True: [each.dead for each in dead][::-1]}


@pytest.mark.parametrize("way", ["update", "transact", "put", "delete"])
def test_work_that_is_no_dead_letter_any_more_leaves_index(store, way):
    dead = make_dead(1, T0)
    store.write(Put(dead))
    unmark = Update(ref=ref_of(dead), set={"dead": None})

    match way:
        case "update":
            store.write(unmark)
        case "transact":
            store.transact([unmark, Put(make_work(2))])
        case "put":
            store.write(Put(make_work(1)))
        case "delete":
            store.delete(ref_of(dead))

    assert store.query(KeyRange(collection=Collection.DEAD, pool=POOL)).rows == ()


def test_reports_are_read_by_time(store):
    reports = [
        MinuteReport(
            pool=POOL, at=work_id(n), tally=MinuteTally(since=EpochMs(T0 + n), succeeded=n)
        )
        for n in (1, 2, 3)
    ]
    for each in reversed(reports):
        store.write(Put(each))

    rows = store.query(KeyRange(collection=Collection.REPORTS, pool=POOL, low=work_id(2))).rows

    assert [row.record for row in rows] == reports[1:]


def test_damaged_item_is_set_aside_and_hides_no_other(engine):
    fill(engine.store, [1, 3])
    engine.inject(f"{POOL}#work#0", work_id(2), {"t": "w", "fn": "f"})
    engine.inject(f"{POOL}#work#0", "zzz", {"t": "w"})
    engine.inject(f"{POOL}#control", "ledger", {"v": 1})

    page = engine.store.query(KeyRange(collection=Collection.WORK, pool=POOL))

    assert sorts(page) == [work_id(1), work_id(2), work_id(3), "zzz"]
    assert [type(row.record) for row in page.rows] == [WorkItem, Unreadable, WorkItem, Unreadable]
    assert engine.store.get(WorkRef(POOL, work_id(2))) == page.rows[1].record
    assert isinstance(engine.store.get(LedgerRef(POOL)), Unreadable)
    assert engine.store.get_many([WorkRef(POOL, work_id(2))]) == {
        WorkRef(POOL, work_id(2)): page.rows[1].record
    }


def test_damaged_item_counts_in_pages_limit(engine):
    fill(engine.store, [3])
    engine.inject(f"{POOL}#work#0", work_id(2), {"t": "?"})

    page = engine.store.query(KeyRange(collection=Collection.WORK, pool=POOL, limit=1))

    assert (sorts(page), type(page.rows[0].record)) == ([work_id(2)], Unreadable)
    assert sorts(
        engine.store.query(KeyRange(collection=Collection.WORK, pool=POOL, low=page.next_low))
    ) == [work_id(3)]


def test_failed_condition_on_damaged_item_returns_it(engine):
    engine.inject(f"{POOL}#control", "status", {"s": "dancing"})

    with pytest.raises(ConditionFailed) as refused:
        engine.store.write(Put(make_status(), IsAbsent()))
    with pytest.raises(TransactionFailed) as cancelled:
        engine.store.transact([Put(make_status(), IsAbsent())])

    assert isinstance(refused.value.current, Unreadable)
    assert cancelled.value.current == (refused.value.current,)


@contextmanager
def as_the_engine_raised_it():
    """An error of an engine in this process counts as no answer, unlike a deviation."""
    try:
        yield
    except StoreUnavailable as told:
        raise told.__cause__ or told from None


def test_number_and_text_compare_as_false(engine):
    engine.inject(f"{POOL}#control", "status", {"s": "idle", "g": "three", "l": 0})

    for condition in (Below("generation", 9), Above("generation", 0)):
        update = Update(ref=StatusRef(POOL), set={"wake_at": 1}, condition=condition)
        with pytest.raises(ConditionFailed), as_the_engine_raised_it():
            engine.store.write(update)


def test_text_is_not_number_whatever_it_spells(engine):
    engine.inject(f"{POOL}#control", "status", {"s": "idle", "g": "3", "l": 0})

    assert engine.store.write(Put(make_status(), IsNot("generation", 3))).record == make_status()


def padded_to(size):
    return make_work(1, args="x" * (size - item_size(encode(make_work(1, args="")))))


def test_item_of_exactly_limit_is_stored(engine):
    engine.store.write(Put(padded_to(ITEM_BYTES_MAX)))

    assert len(engine.dump()[f"{POOL}#work#0", work_id(1)]["a"]) > 400_000


def test_item_that_no_update_would_fit_is_damage(store):
    """[WP-12]"""
    store.write(Put(padded_to(STORED_ITEM_BYTES_MAX + 1)))

    assert isinstance(store.get(WorkRef(POOL, work_id(1))), Unreadable)


def test_item_above_limit_is_refused(store):
    with pytest.raises(ValueError, match=r"(?i)item"):
        store.write(Put(padded_to(ITEM_BYTES_MAX + 1)))

    assert store.get(WorkRef(POOL, work_id(1))) is None


def test_update_that_grows_item_above_limit_is_refused(store):
    before = padded_to(STORED_ITEM_BYTES_MAX)
    store.write(Put(before))

    with pytest.raises(ValueError, match=r"(?i)item"):
        store.write(
            Update(
                ref=ref_of(before), set={"result": "y" * (ITEM_BYTES_MAX - STORED_ITEM_BYTES_MAX)}
            )
        )

    assert store.get(ref_of(before)) == before


MISTAKES = [
    Put(make_work(1, pool="")),
    Put(make_work(1, pool="a#b")),
    Put(make_work(1, pool="x" * 41)),
    Put(make_work(1, id=WorkId(""))),
    Put(make_work(1, id=WorkId(work_id(1).lower()))),
    Put(make_work(1, state="dancing")),
    Put(make_work(1, starts=True)),
    Put(make_work(1, starts=10**38)),
    Put(make_work(1, target=None)),
    Put(make_work(1, args="\ud800")),
    Put(make_work(1), Is("no_such_field", 1)),
    Put(make_work(1), Is("starts", "2")),
    Put(make_work(1), Is("pool", POOL)),
    Put(make_work(1), Below("state", 2)),
    Put(make_work(1), All(())),
    Put(make_work(1), Either((Is("starts", 1), All(())))),
    Put(Pointer(pool=POOL, at=work_id(1, shard=2), work_id=work_id(1, shard=1))),
    Update(ref=WorkRef(POOL, work_id(1))),
    Update(ref=WorkRef(POOL, work_id(1)), set={"id": work_id(2)}),
    Update(ref=WorkRef(POOL, work_id(1)), set={"state": None}),
    Update(ref=WorkRef(POOL, work_id(1)), set={"generation": 1}),
    Update(ref=WorkRef(POOL, work_id(1)), set={"starts": 1}, add={"starts": 1}),
    Update(ref=WorkRef(POOL, work_id(1)), add={"state": 1}),
    Update(ref=PointerRef(POOL, "x"), set={"work_id": work_id(1)}),
    Update(ref=ConfigRef(""), set={"version": 1}),
]


@pytest.mark.parametrize("write", MISTAKES, ids=range(len(MISTAKES)))
def test_senseless_write_is_mistake_and_writes_nothing(engine, write):
    with pytest.raises(ValueError, match=r"\S"):
        engine.store.write(write)

    assert engine.dump() == {}

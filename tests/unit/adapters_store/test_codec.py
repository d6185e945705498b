"""Records become items and come back. Damaged items are reported, never raised."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.records import a_work, changed
from tests.kit.strategies import records_of
from workpool_aws.adapters.items.capacity import item_size
from workpool_aws.adapters.items.codec import change_of, decode, encode
from workpool_aws.adapters.items.keys import place_of
from workpool_aws.adapters.items.records import (
    RECORDS,
    attribute_of,
    encode_field,
    field_of,
    key_of,
    kind_in,
    ref_of,
)
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import (
    Config,
    Deployment,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteReport,
    MinuteTally,
    Notice,
    NoticeKind,
    Registration,
    ShardCursors,
)
from workpool_aws.model.payload import Chunk, Chunked, Part
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import LedgerRef, Unreadable, WorkRef
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.schedule import ScheduleItem, Timing
from workpool_aws.model.spec import Kind, Outcome, Spec, UniqueSpec
from workpool_aws.model.trace import TraceContext
from workpool_aws.model.work import (
    AttemptEnd,
    CallbackState,
    PastAttempt,
    Pointer,
    Spawned,
    State,
    WorkItem,
)
from workpool_aws.model.writes import Update

T0 = EpochMs(1_800_000_000_000)
ID = WorkId(make_id(T0, random_bits=2**70 + 12345))
OTHER = WorkId(make_id(EpochMs(T0 + 1), random_bits=7))
KINDS = {kind.record.__name__: kind for kind in RECORDS}

WORK = a_work(id=ID, target="f", claimed=False, due_at=T0, enqueued_at=T0, retention_s=None)
DONE = Notice(pool="email", at=OTHER, work_id=ID, start=1, kind=NoticeKind.FINISHED)
STATUS = LoopStatus(pool="email", state=LoopState.IDLE, generation=1, lease_until=T0)
DEPLOYMENT = Deployment(loop_arn="arn:loop")
LEDGER = Ledger(
    pool="email", holder="h", generation=1, version=1, entries={EntryKey(ID, 1): Entry(T0)}
)

records = st.one_of([records_of(kind) for kind in RECORDS])


def test_every_kind_of_record_has_one_row_and_every_name_one_kind():
    # Before a dataclass has slots it is another class of the same name.
    assert sorted(KINDS) == sorted({record.__name__ for record in Record.__subclasses__()})
    assert len(KINDS) == len(RECORDS) == len({kind.ref for kind in RECORDS})
    assert {kind.ref.__name__ for kind in RECORDS} == {ref.__name__ for ref in Ref.__subclasses__()}


NESTED = {
    "WorkItem": {"spec"},
    "ScheduleItem": {"spec", "timing"},
    "GroupItem": {"spec"},
    "Ledger": {"pages"},
}
"""Fields whose own fields stand in the item, and pages, which are items of their own."""
OF_SPEC = {
    "target", "args", "args_chunks", "retry", "claimed", "kind", "job", "schedule", "group", "origin", "awaited",
    "timeout_ms", "expires_after_ms", "heartbeat_ms", "retention_s", "context", "context_chunks",
    "unique_key", "unique_until_started", "unique_for_ms", "trace_parent", "trace_state", "trace_linked",
    "callback_target", "callback_job", "callback_outcomes",
}  # fmt: skip
FLATTENED = {
    "WorkItem": OF_SPEC | {"result_chunks"},
    "ScheduleItem": OF_SPEC | {"cron", "every_ms", "timezone", "anchor", "ends_at"},
    "GroupItem": OF_SPEC,
}
NEVER_ABSENT = {
    "WorkItem": {"attempts_made", "starts", "undelivered"},
    "ScheduleItem": {"catch_up", "overlap", "version"},
    "GroupItem": {"outcomes", "version"},
    "Ledger": {"entries", "shards"},
}
"""Fields that each item has, though the record itself has a default for them."""


@pytest.mark.parametrize("name", KINDS)
def test_every_field_of_a_record_is_stored_under_an_attribute_of_its_own(name):
    kind = KINDS[name]
    own, names = ({each.name for each in fields(each)} for each in (kind.record, kind.ref))
    attributes = [field.attribute for field in kind.fields.values()]

    assert {*kind.fields} == (own - names - NESTED.get(name, set())) | FLATTENED.get(name, set())
    assert len({*attributes}) == len(attributes)


@pytest.mark.parametrize("name", KINDS)
def test_absence_of_an_attribute_stands_for_the_default_of_its_field(name):
    """Items of earlier releases lack what came later."""
    kind = KINDS[name]
    defaults = {
        each.name: each.default
        for each in fields(kind.record)
        if each.name in kind.fields and each.default is not MISSING
    }
    required = {each for each, field in kind.fields.items() if field.required}

    assert required & {*defaults} == NEVER_ABSENT.get(name, set()) & {*defaults}
    assert {each: kind.fields[each].absent for each in defaults if each not in required} == {
        each: default for each, default in defaults.items() if each not in required
    }


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_row_brings_every_record_of_its_kind_back(name, data):
    kind = KINDS[name]
    record = data.draw(records_of(kind))

    item, key = encode(record), key_of(ref_of(record))

    assert decode(item) == record
    assert (item["pk"], item["sk"]) == key
    assert kind_in(place_of(key.pk).partition_kind, key.sk, item) is kind
    assert kind.ref(*kind.key.names(place_of(key.pk), key.sk)) == ref_of(record)


@pytest.mark.parametrize("name", KINDS)
def test_row_has_every_field_of_its_record_once_in_key_or_in_attribute(name):
    kind = KINDS[name]
    attributes = [field.attribute for field in kind.fields.values()]

    names = {each.name for each in fields(kind.record)}
    if kind.record in {WorkItem, ScheduleItem, GroupItem}:
        asked = {each.name for each in fields(Spec)} - {"callback", "trace", "unique"}
        asked |= {"trace_parent", "trace_state", "trace_linked"}
        asked |= {"unique_key", "unique_until_started", "unique_for_ms"}
        of_callback = {"callback_target", "context", "callback_outcomes", "callback_job"}
        parts = Part if kind.record is WorkItem else (Part.ARGS, Part.CONTEXT)
        chunks = {f"{part}_chunks" for part in parts}
        names = names - {"spec"} | asked | of_callback | chunks
    if kind.record is ScheduleItem:
        names = names - {"timing"} | {each.name for each in fields(Timing)}

    if kind.record is Ledger:
        names -= {"pages"}  # they stand with its slots, whose format names them

    assert sorted([*kind.ref.__match_args__, *kind.fields]) == sorted(names)
    assert len(set(attributes)) == len(attributes)
    assert not set(attributes) & {"pk", "sk", "t"}


@pytest.mark.parametrize("name", KINDS)
def test_absence_means_default_of_record(name):
    kind = KINDS[name]
    for f in fields(kind.record):
        if f.name in kind.fields and (f.default is None or f.default is False or f.default == ()):
            assert field_of(kind.record, f.name).absent == f.default, f.name


def test_none_and_false_are_stored_as_absence_and_zero_is_not():
    item = encode(WORK)

    assert attribute_of(WorkItem, "claim") not in item
    assert attribute_of(WorkItem, "cancel_requested") not in item
    assert item[attribute_of(WorkItem, "starts")] == 0


def test_override_that_resumes_is_stored_as_absence():
    config = Config(
        pool="p", version=1, max_parallelism=3, base_by="me", base_at=T0, override_paused=False
    )

    assert decode(encode(config)) == replace(config, override_paused=None)


def test_time_to_live_has_name_that_table_knows():
    assert encode(changed(WORK, expires_at=5))["expires_at"] == 5
    assert encode(replace(DONE, expires_at=6))["expires_at"] == 6


def test_usual_work_costs_one_write_unit_all_its_life():
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{'x' * 50}:live"
    usual = changed(
        WORK,
        pool="default",
        target=arn,
        args="x" * 200,
        retry=RetryPolicy(),
        claimed=True,
        state=State.FINISHED,
        retention_s=86_400,
        attempts_made=1,
        starts=1,
        started_by="t" * 22,
        started_at=T0,
        claim="c" * 22,
        deadline=T0,
        origin="l" * 80,
        outcome=Outcome.SUCCESS,
        result="r" * 200,
        finished_at=T0,
        expires_at=1_800_000_000,
    )

    assert len(arn) >= 100
    assert item_size(encode(usual)) < 950


def without(record, name):
    item = dict(encode(record))
    del item[attribute_of(type(record), name)]
    return item


def having(record, name, value):
    return {**encode(record), attribute_of(type(record), name): value}


DAMAGED = {
    "no key": ({}, "no partition"),
    "a key that is no text": ({"pk": 1, "sk": ["x"]}, "no partition"),
    "foreign partition": ({**encode(WORK), "pk": "other"}, "no partition"),
    "key that is no id": ({**encode(WORK), "sk": "hello"}, "not an id"),
    "lower case id": ({**encode(WORK), "sk": ID.lower()}, "not an id"),
    "id of another shard": ({**encode(WORK), "pk": "email#work#1"}, "another shard"),
    "report of another shard": ({**encode(DONE), "pk": "email#done#1"}, "another shard"),
    "report on a work of another shard": (
        having(
            replace(
                DONE,
                at=make_id(T0, random_bits=1, shard=9),
                work_id=WorkId(make_id(T0, random_bits=2, shard=9)),
            ),
            "work_id",
            make_id(T0, random_bits=1, shard=4),
        ),
        "a shard of neither",
    ),
    "neither work nor pointer": ({**encode(WORK), "t": "x"}, "neither"),
    "no tag": ({k: v for k, v in encode(WORK).items() if k != "t"}, "neither"),
    "missing state": (without(WORK, "state"), "(state): missing"),
    "missing number": (without(WORK, "starts"), "(starts): missing"),
    "missing slots": (without(LEDGER, "entries"), "(entries): missing"),
    "unknown state": (having(WORK, "state", "dancing"), "(state): not one of"),
    "unknown kind of report": (having(DONE, "kind", "lost"), "(kind): not one of"),
    "number for text": (having(WORK, "args", 5), "(args): not a text"),
    "text for number": (having(WORK, "starts", "5"), "(starts): not a whole number"),
    "flag for number": (having(WORK, "starts", True), "(starts): not a whole number"),
    "number for flag": (having(WORK, "claimed", 1), "(claimed): not true or false"),
    "foreign type": (having(WORK, "args", {"M": {}}), "(args): not a text"),
    "bad policy": (having(WORK, "retry", "5:250"), "(retry): not a retry policy"),
    "impossible policy": (having(WORK, "retry", "0:250:2.0::j"), "(retry): not a retry policy"),
    "endless policy": (
        having(WORK, "retry", "5:999999999999999:2.0::j"),
        "(retry): not a retry policy",
    ),
    "slots are text": (having(LEDGER, "entries", "x"), "(entries): not packed slots"),
    "slots of an unknown format": (
        having(LEDGER, "entries", b"\x07"),
        "(entries): not packed slots",
    ),
    "slots cut off": (
        having(LEDGER, "entries", encode(LEDGER)["en"][:-1]),
        "(entries): not packed slots",
    ),
    "a mark of two parts": (
        having(LEDGER, "shards", ["a:b"]),
        "(shards): not a list of shard marks",
    ),
    "unknown control item": ({**encode(STATUS), "sk": "mood"}, "no item of this package"),
    "a deployed limit of no number": (
        having(DEPLOYMENT, "limits", ["email:x"]),
        "(limits): not a list of deployed limits",
    ),
    "a deployed limit of no pool": (
        having(DEPLOYMENT, "limits", ["a b:1"]),
        "(limits): not a list of deployed limits",
    ),
    "a deployed job of no name": (
        having(DEPLOYMENT, "jobs", ["=arn:aws:lambda:eu-west-1:123456789012:function:f"]),
        "(jobs): not a list of deployed jobs",
    ),
    "a deployed job of no ARN": (
        having(DEPLOYMENT, "jobs", ["send=f"]),
        "(jobs): not a list of deployed jobs",
    ),
    "a list of other things": (
        having(DEPLOYMENT, "acknowledging", [5]),
        "(acknowledging): not a list of texts",
    ),
    "unknown deployment item": (
        {**encode(Deployment(loop_arn="a")), "sk": "old"},
        "no item of this package",
    ),
    "registration of no pool": (
        {**encode(Registration(pool="p", registered_at=T0)), "sk": "a b"},
        "pool",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_item_is_reported(name):
    item, reason = DAMAGED[name]

    found = decode(item)

    assert isinstance(found, Unreadable)
    assert reason in found.reason
    assert (found.partition, found.sort) == (item.get("pk"), item.get("sk")) or "key" in name


def test_work_item_with_context_and_outcomes_but_no_target_wants_no_callback():
    """[WP-12]"""
    asked = changed(WORK, on_complete="done", context="1", callback_outcomes=tuple(Outcome))

    found = decode(without(asked, "callback_target"))

    assert isinstance(found, WorkItem)
    assert found.spec == WORK.spec


def test_payload_in_both_places_lies_in_chunks():
    item = {**encode(changed(WORK, result="1")), attribute_of(WorkItem, "result_chunks"): 2}

    found = decode(item)

    assert isinstance(found, WorkItem)
    assert found.result == Chunked(2)


def test_reason_does_not_show_what_stood_there():
    found = decode(having(WORK, "state", "secret"))

    assert isinstance(found, Unreadable)
    assert "secret" not in found.reason


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.binary(max_size=3)
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["S", "N", "M"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(records, st.data())
def test_decode_never_raises(record, data):
    item = dict(encode(record))
    for name in data.draw(st.lists(st.sampled_from(sorted(item)), min_size=1, max_size=3)):
        item[name] = data.draw(values)

    found = decode(item)

    assert isinstance(
        found, Unreadable | type(record) | WorkItem | Pointer | LoopStatus | Ledger | Config
    )


def test_attributes_of_newer_version_are_ignored():
    assert decode({**encode(STATUS), "zz": {"M": {}}}) == STATUS


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (changed(WORK, pool="a#b"), "pool"),
        (changed(WORK, id=WorkId("x")), "id"),
        (changed(WORK, target=None), "WorkItem.target"),
        (changed(WORK, target=False), "WorkItem.target"),
        (changed(WORK, args="\ud800"), "WorkItem.args"),
        (changed(WORK, starts=1.5), "WorkItem.starts"),
        (changed(WORK, retry="5"), "WorkItem.retry"),
        (replace(DONE, at=make_id(T0, random_bits=1, shard=4)), "a shard of neither"),
        (replace(LEDGER, entries={EntryKey(WorkId("x"), 1): Entry(T0)}), "Ledger.entries"),
        (replace(LEDGER, entries={EntryKey(ID, 1): Entry(EpochMs(-1))}), "Ledger.entries"),
        (replace(DONE, work_id=WorkId("")), "Notice.work_id"),
        (replace(LEDGER, shards=(ShardCursors("a:b"),)), "Ledger.shards"),
    ],
)
def test_record_that_could_not_be_read_back_is_not_written(record, message):
    with pytest.raises(ValueError, match=message):
        encode(record)


def test_notice_lies_in_shard_of_its_work_item_or_in_that_of_every_loop():
    work_id = WorkId(make_id(T0, random_bits=2, shard=9))
    notices = [
        replace(DONE, at=make_id(T0, random_bits=1, shard=shard), work_id=work_id)
        for shard in (0, 9)
    ]

    assert [decode(encode(each)) for each in notices] == notices
    for shard in (1, 8):
        with pytest.raises(ValueError, match="a shard of neither"):
            encode(replace(DONE, at=make_id(T0, random_bits=1, shard=shard), work_id=work_id))


def test_change_is_spelled_in_attributes():
    change = change_of(
        Update(
            ref=WorkRef("p", ID),
            set={"state": State.RUNNING, "claim": None, "claimed": False},
            add={"starts": 1},
        )
    )

    assert change.assign == {attribute_of(WorkItem, "state"): "running"}
    assert set(change.remove) == {
        attribute_of(WorkItem, "claim"),
        attribute_of(WorkItem, "claimed"),
    }
    assert change.add == {attribute_of(WorkItem, "starts"): 1}


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (Update(ref=WorkRef("p", ID)), "change something"),
        (Update(ref=WorkRef("p", ID), set={"pool": "q"}), "pool"),
        (Update(ref=WorkRef("p", ID), set={"state": None}), "removed"),
        (Update(ref=LedgerRef("p"), set={"entries": None}), "removed"),
        (Update(ref=WorkRef("p", ID), set={"starts": 1}, add={"starts": 1}), "starts"),
        (Update(ref=WorkRef("p", ID), add={"claimed": 1}), "number"),
        (Update(ref=WorkRef("p", ID), add={"starts": True}), "whole"),
    ],
)
def test_senseless_change_is_mistake(update, message):
    with pytest.raises(ValueError, match=message):
        change_of(update)


def test_field_is_spelled_alone_as_in_its_record():
    assert encode_field(WorkItem, "state", State.RUNNING) == "running"
    assert type(encode_field(WorkItem, "state", State.RUNNING)) is str
    assert encode_field(WorkItem, "cancel_requested", False) is None
    assert encode_field(WorkItem, "claim", None) is None


def test_record_and_its_name_agree():
    assert encode(WORK)["sk"] == ref_of(WORK).id


AS_STORED = [
    (
        WORK,
        {
            "pk": "email#work#0",
            "sk": ID,
            "t": "w",
            "fn": "f",
            "a": "{}",
            "k": "action",
            "s": "pending",
            "due": T0,
            "enq": T0,
        }
        | {"n": 0, "st": 0, "un": 0},
    ),
    (DONE, {"pk": "email#done#0", "sk": OTHER, "w": ID, "st": 1, "k": "finished"}),
    (STATUS, {"pk": "email#control", "sk": "status", "s": "idle", "g": 1, "l": T0}),
    (DEPLOYMENT, {"pk": "#deployment", "sk": "current", "loop": "arn:loop"}),
    (
        Config(pool="email", version=1, max_parallelism=4, base_by="x", base_at=T0),
        {"pk": "email#control", "sk": "config", "v": 1, "max": 4, "bb": "x", "ba": T0},
    ),
    (Registration(pool="email", registered_at=T0), {"pk": "#pools", "sk": "email", "at": T0}),
    (
        Chunk(pool="email", work_id=ID, part=Part.ARGS, number=0, text="x"),
        {"pk": f"email#payload#{ID}", "sk": "args/0", "x": "x"},
    ),
    (
        Pointer(pool="email", at=OTHER, work_id=ID),
        {"pk": "email#work#0", "sk": OTHER, "t": "p", "w": ID},
    ),
    (
        MinuteReport(pool="email", at=OTHER, tally=MinuteTally(since=T0)),
        {"pk": "email#reports", "sk": OTHER, "ta": "mywpiww0:0.0.0.0:"},
    ),
]


@pytest.mark.parametrize(("record", "item"), AS_STORED, ids=lambda value: type(value).__name__)
def test_item_of_version_0_1_is_read_and_written_as_it_was(record, item):
    """Its optional attributes are absent: what they stand for must go without them."""
    assert encode(record) == item
    assert decode(item) == record


def test_ledger_of_version_0_1_is_read():
    item = encode(LEDGER)
    assert set(item) == {"pk", "sk", "h", "g", "v", "en", "sh"}
    assert (item["pk"], item["sk"], item["h"], item["sh"]) == (
        "email#control",
        "ledger",
        "h",
        ["::0"],
    )
    assert decode(item) == LEDGER


FULL = changed(
    WORK,
    args=Chunked(2),
    retry=RetryPolicy(
        max_attempts=3, initial_backoff=timedelta(milliseconds=250), base=2.0, jitter=True
    ),
    claimed=True,
    state=State.FINISHED,
    retention_s=60,
    attempts_made=1,
    starts=2,
    undelivered=1,
    snoozes=4,
    refused_since=T0,
    started_by="loop",
    started_at=T0,
    claim="c",
    deadline=T0,
    cancel_requested=True,
    origin="l",
    on_complete="arn",
    context="1",
    callback_outcomes=(Outcome.SUCCESS, Outcome.FAILED),
    callback=CallbackState.SENT,
    outcome=Outcome.FAILED,
    result="1",
    error="no",
    error_type="E",
    finished_at=T0,
    expires_at=1_900_000_000,
    redrive_of=OTHER,
    redriven_as=OTHER,
    epoch=3,
    kind=Kind.MUTATION,
    job="send",
    schedule="nightly",
    awaited=True,
    group=OTHER,
    unique=UniqueSpec(key="u", until_started=True, for_ms=7),
    expires_after_ms=8,
    timeout_ms=9,
    heartbeat_ms=10,
    trace=TraceContext(parent=f"00-{7:032x}-{7:016x}-01", state="v=1", linked=True),
    callback_job="sent",
    history=(
        PastAttempt(
            number=1,
            started_at=T0,
            ended_at=EpochMs(T0 + 35),
            outcome=AttemptEnd.FAILED,
            error_type="E",
            error="no",
        ),
    ),
    proof="p",
    permit="q",
    beat_at=T0,
    progress=50,
    note="half",
    suspected_type="S",
    suspected_error="maybe",
    callback_nonce="n",
    dead="d",
    rev=11,
    postponed=True,
    spawned=(Spawned("other", (OTHER,)),),
)
FULL_ITEM = {
    "pk": "email#work#0",
    "sk": ID,
    "t": "w",
    "fn": "f",
    "ac": 2,
    "k": "mutation",
    "rp": "3:250:2.0::j",
    "cl": True,
    "s": "finished",
    "due": T0,
    "enq": T0,
    "keep": 60,
    "n": 1,
    "st": 2,
    "un": 1,
    "sn": 4,
    "ref": T0,
    "by": "loop",
    "at": T0,
    "cm": "c",
    "dl": T0,
    "cr": True,
    "ln": "l",
    "oc": "arn",
    "cx": "1",
    "cf": "sf",
    "cb": "sent",
    "o": "failed",
    "r": "1",
    "e": "no",
    "et": "E",
    "fin": T0,
    "expires_at": 1_900_000_000,
    "ro": OTHER,
    "ra": OTHER,
    "ep": 3,
    "j": "send",
    "sc": "nightly",
    "aw": True,
    "g": OTHER,
    "uk": "u",
    "us": True,
    "uf": 7,
    "xa": 8,
    "to": 9,
    "hb": 10,
    "tp": "00-00000000000000000000000000000007-0000000000000007-01",
    "ts": "v=1",
    "tl": True,
    "oj": "sent",
    "h": ["1:mywpiww0:z:f:E:no"],
    "pf": "p",
    "pm": "q",
    "bt": T0,
    "pg": 50,
    "nt": "half",
    "sut": "S",
    "sue": "maybe",
    "cn": "n",
    "dead": "d",
    "rv": 11,
    "po": True,
    "sp": [f"other:{OTHER}"],
}


def test_work_item_that_has_everything_lacks_nothing():
    for record in (FULL, FULL.spec, FULL.spec.callback, FULL.spec.unique, FULL.spec.trace):
        for each in fields(record):
            assert getattr(record, each.name) != each.default, each.name


def test_work_item_that_has_everything_is_stored_under_these_names():
    assert encode(FULL) == FULL_ITEM
    assert decode(encode(FULL)) == FULL

"""The places of records."""

from __future__ import annotations

import pytest

from workpool_aws.adapters.items.keys import (
    Key,
    PartitionKind,
    Place,
    is_empty,
    next_low,
    partition_of,
    place_of,
)
from workpool_aws.adapters.items.records import key_of
from workpool_aws.model.ids import SHARDS_MAX, EpochMs, WorkId, make_id
from workpool_aws.model.payload import Part
from workpool_aws.model.refs import (
    ChunkRef,
    Collection,
    ConfigRef,
    DeploymentRef,
    KeyRange,
    LedgerRef,
    MinuteReportRef,
    NoticeRef,
    PointerRef,
    RegistrationRef,
    StatusRef,
    WorkRef,
)

ULID = WorkId(make_id(EpochMs(1_700_000_000_000), random_bits=5, shard=17))
NAMED = (PartitionKind.RECEIPT, PartitionKind.UNIQUE, PartitionKind.REQUEST)
LONG = "é" * 512


@pytest.mark.parametrize(
    ("ref", "key"),
    [
        (WorkRef("email", ULID), Key("email#work#17", ULID)),
        (PointerRef("email", ULID), Key("email#work#17", ULID)),
        (NoticeRef("email", ULID), Key("email#done#17", ULID)),
        (ChunkRef("email", ULID, Part.ARGS, 0), Key(f"email#payload#{ULID}", "args/0")),
        (StatusRef("email"), Key("email#control", "status")),
        (LedgerRef("email"), Key("email#control", "ledger")),
        (ConfigRef("email"), Key("email#control", "config")),
        (MinuteReportRef("email", ULID), Key("email#reports", ULID)),
        (RegistrationRef("email"), Key("#pools", "email")),
        (DeploymentRef(), Key("#deployment", "current")),
    ],
)
def test_each_record_has_its_place(ref, key):
    assert key_of(ref) == key


@pytest.mark.parametrize("pool", ["", "a#b", "a b", "é", "x" * 41, "email\n"])
def test_pool_name_that_could_break_key_is_refused(pool):
    for ref in (WorkRef(pool, ULID), StatusRef(pool), RegistrationRef(pool)):
        with pytest.raises(ValueError, match="pool"):
            key_of(ref)


@pytest.mark.parametrize("number", [-1, 10_000])
def test_number_that_no_chunk_can_have_is_refused(number):
    with pytest.raises(ValueError, match="chunk"):
        key_of(ChunkRef("email", ULID, Part.ARGS, number))


@pytest.mark.parametrize(
    "ulid", ["", "x", ULID.lower(), ULID[:-1], ULID + "0", ULID[:-1] + "I", "8" + ULID[1:]]
)
def test_id_that_is_no_ulid_is_refused(ulid):
    with pytest.raises(ValueError, match="id"):
        key_of(WorkRef("email", WorkId(ulid)))


@pytest.mark.parametrize(
    ("key_range", "partition"),
    [
        (KeyRange(collection=Collection.WORK, pool="email", shard=0), "email#work#0"),
        (KeyRange(collection=Collection.DONE, pool="email", shard=31), "email#done#31"),
        (KeyRange(collection=Collection.DEAD, pool="email", shard=3), "email#work#3"),
        (KeyRange(collection=Collection.REPORTS, pool="email", shard=3), "email#reports"),
        (KeyRange(collection=Collection.REGISTRY, pool="ignored", shard=99), "#pools"),
    ],
)
def test_range_lies_in_one_partition(key_range, partition):
    assert partition_of(key_range) == partition


@pytest.mark.parametrize("shard", [-1, 32])
def test_shard_that_no_id_can_name_is_refused(shard):
    with pytest.raises(ValueError, match="shard"):
        partition_of(KeyRange(collection=Collection.WORK, pool="email", shard=shard))


@pytest.mark.parametrize(
    ("partition", "place"),
    [
        ("email#work#17", Place(PartitionKind.WORK, "email", 17)),
        ("email#done#0", Place(PartitionKind.DONE, "email", 0)),
        ("email#control", Place(PartitionKind.CONTROL, "email")),
        ("email#reports", Place(PartitionKind.REPORTS, "email")),
        (f"email#payload#{ULID}", Place(PartitionKind.PAYLOAD, "email", work_id=ULID)),
        *((f"email#{kind}#{LONG}", Place(kind, "email", name=LONG)) for kind in NAMED),
        ("#pools", Place(PartitionKind.REGISTRY)),
        ("#deployment", Place(PartitionKind.DEPLOYMENT)),
    ],
)
def test_partition_key_can_be_read_back(partition, place):
    assert place_of(partition) == place


@pytest.mark.parametrize(
    "partition",
    [
        "",
        "email",
        "email#",
        "email#work",
        "email#work#",
        "email#work#32",
        "email#work#07",
        "email#work#1#2",
        "a b#work#1",
        "email#toys#1",
        f"email#toys#{ULID}",
        f"email#work#{ULID}",
        "email#payload#1",
        "email#payload#",
        *(f"email#{kind}#{name}" for kind in NAMED for name in ("", "é" * 512 + "x")),
        f"a b#payload#{ULID}",
        "#x",
    ],
)
def test_foreign_partition_key_is_told(partition):
    with pytest.raises(ValueError, match="no partition"):
        place_of(partition)


def test_next_low_is_very_next_key():
    assert "a" < next_low("a", None) < "a\x01"
    assert next_low("a", "a") is None
    assert next_low("a", "b") == "a\x00"


@pytest.mark.parametrize(
    ("low", "high", "empty"),
    [
        ("", None, False),
        ("", "", True),
        ("a", "a", False),
        ("b", "a", True),
        ("", "a", False),
        ("a", None, False),
    ],
)
def test_range_that_can_hold_no_key_is_told(low, high, empty):
    assert is_empty(KeyRange(collection=Collection.WORK, pool="email", low=low, high=high)) is empty


def test_refused_shard_is_named_with_those_that_there_are():
    key_range = KeyRange(collection=Collection.WORK, pool="p", shard=SHARDS_MAX)
    with pytest.raises(ValueError, match=rf"^shard {SHARDS_MAX} is not in 0\.\.{SHARDS_MAX - 1}$"):
        partition_of(key_range)


def test_refused_pool_name_is_quoted_up_to_sixty_characters():
    with pytest.raises(ValueError, match=rf"^pool: '{'n' * 60}' is not allowed; 1 to 40 "):
        key_of(StatusRef("n" * 61))

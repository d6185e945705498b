"""The ledger's slots are packed small, come back as they were, and are still read as the version before wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.records import NOW
from workpool_aws.adapters.items.ledger_packing import pack, pack_page, unpack, unpack_page
from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, WorkId, make_id, make_ids
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.pages import NamedPage, Slots

FIRST, SECOND = (WorkId(make_id(EpochMs(NOW + n), random_bits=n)) for n in (0, 5))

moments = st.integers(0, limits.STORED_WORK_MS_BELOW - 1) | st.integers(NOW, NOW + 10**6)
ids = st.builds(
    lambda at, bits, shard: WorkId(make_id(EpochMs(at), random_bits=bits, shard=shard)),
    moments,
    st.integers(0, 2**75),
    st.integers(0, 31),
)
keys = st.builds(EntryKey, ids, st.sampled_from([0, 1, 2, 127, 128, limits.STORED_STARTS_BELOW]))
slots = st.dictionaries(keys, st.builds(Entry, moments.map(EpochMs), st.booleans()), max_size=12)
pages_named = st.lists(
    st.integers(1, 40).flatmap(
        lambda count: st.builds(
            NamedPage,
            st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True),
            st.just(count),
            st.integers(0, 2**count - 1),
        )
    ),
    max_size=3,
    unique_by=lambda page: page.token,
).map(tuple)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(slots, pages_named)
def test_slots_come_back(entries: dict[EntryKey, Entry], pages: tuple[NamedPage, ...]) -> None:
    assert unpack(pack(Slots(entries, pages))) == Slots(entries, pages)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(slots)
def test_same_slots_are_same_bytes(entries: dict[EntryKey, Entry]) -> None:
    assert pack(Slots(dict(reversed(entries.items())))) == pack(Slots(entries))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=60), slots, pages_named)
def test_bytes_of_any_other_kind_are_slots_or_refused(
    data: bytes, entries: dict[EntryKey, Entry], pages: tuple[NamedPage, ...]
) -> None:
    whole = pack(Slots(entries, pages))
    for value in (data, b"\x02" + data, b"\x04\x01" + data, whole + data, whole[: len(data)]):
        try:
            found = unpack(value)
        except ValueError:
            continue
        assert unpack(pack(found)) == found


def test_slot_takes_about_14_bytes() -> None:
    """Return entries at the loop's pace of `limits`: one id each 200 ms, started at once.

    Their timeouts are those of a few functions.
    """
    spread = {
        EntryKey(
            WorkId(
                make_id(
                    EpochMs(NOW + 200 * n), random_bits=(n + 1) * 0x9E3779B97F4A7C15F39CC % 2**74
                )
            ),
            1,
        ): Entry(EpochMs(NOW + 200 * n + (60_000, 90_000, 600_000)[n % 3]), confirmed=True)
        for n in range(500)
    }

    each = (len(pack(Slots(spread))) - 1) / 500

    assert limits.LEDGER_SLOT_BYTES - 1 < each <= limits.LEDGER_SLOT_BYTES + 1


def test_ids_that_were_made_together_take_less() -> None:
    made = make_ids(NOW, random_bits=2**73 + 12345)
    batch = {
        EntryKey(WorkId(next(made)), 1): Entry(EpochMs(NOW + 90_000 + n // 16), confirmed=True)
        for n in range(300)
    }

    assert len(pack(Slots(batch))) <= 300 * 5


def test_layout_is_as_it_is_described() -> None:
    """Stored slots stay readable. No change of the package may change these bytes without a new format."""
    entries = {
        EntryKey(FIRST, 1): Entry(NOW, confirmed=True),
        EntryKey(SECOND, 300): Entry(EpochMs(NOW - 1)),
    }

    packed = pack(Slots(entries))

    number = NOW << 80
    step = (5 << 80) + (5 << 5)
    assert packed == b"".join(
        (
            b"\x02",
            bytes([0b1101_1111]) + number.to_bytes(16, "big") + (2 * NOW).to_bytes(7, "big"),
            bytes([0b0010_1011])
            + step.to_bytes(11, "big")
            + bytes([300 & 0x7F | 0x80, 300 >> 7])
            + b"\x01",
        )
    )


def test_layout_with_pages_is_as_it_is_described() -> None:
    """A loop that does not know pages takes it for damage, so that it starts nothing too much."""
    head = {EntryKey(FIRST, 1): Entry(NOW, confirmed=True)}
    pages = (NamedPage("ab", 40, gone=1 << 2 | 1 << 9), NamedPage("c", 9, gone=0b1_0000_0001))

    packed = pack(Slots(head, pages))

    assert packed == b"".join(
        (
            b"\x04\x02",
            b"\x02ab" + bytes([40, 3, 3, 7]),
            b"\x01c" + bytes([9, 0, 0b0000_0001, 1]),
            b"\x00",
            pack(Slots(head))[1:],
        )
    )


def test_page_has_format_2_and_no_slots_of_runs() -> None:
    entries = {EntryKey(FIRST, 1): Entry(NOW), EntryKey(SECOND, 1): Entry(NOW, confirmed=True)}

    assert pack_page(entries) == pack(Slots(entries))
    assert unpack_page(pack_page(entries)) == entries
    for value in (None, [], b"", b"\x04" + pack_page(entries)[1:]):
        with pytest.raises(ValueError, match="page"):
            unpack_page(value)
    with pytest.raises(ValueError, match="runs"):
        pack_page({EntryKey(FIRST, 1): Entry(NOW, run=EntryKey(FIRST, 1))})


def test_format_before_is_still_read() -> None:
    stored = [f"{SECOND}:300:100000000", f"{FIRST}:1:mjuohs0a:c"]

    assert unpack(stored).head == {
        EntryKey(SECOND, 300): Entry(EpochMs(36**8)),
        EntryKey(FIRST, 1): Entry(EpochMs(int("mjuohs0a", 36)), confirmed=True),
    }


GOOD = pack(Slots({EntryKey(FIRST, 1): Entry(NOW), EntryKey(SECOND, 1): Entry(NOW)}))


@pytest.mark.parametrize(
    "value",
    [
        None,
        "x",
        5,
        b"",
        b"\x01",
        b"\x03" + GOOD[1:],
        GOOD[:-1],
        GOOD + b"\xdf",
        GOOD + bytes(2),  # the slot before once more: the deadline differs by nothing
        b"\x02"
        + bytes([0b1100_1111])
        + b"\xff" * 16
        + bytes(7)
        + bytes([0b0000_1111])
        + b"\xff" * 16
        + bytes(1),
        b"\x02\x00\x01",
        b"\x02\x20" + b"\xff" * 8,
        b"\x02\x20" + b"\xff\xff\xff\xff\x7f" + b"\x00",
        b"\x02\xc0" + b"\xff" * 7,
        [5],
        ["x"],
        [f"{FIRST}:1"],
        [f"{'U' * 26}:1:a"],
        [f"{FIRST}:1:a", f"{FIRST}:1:b"],
        [f"{FIRST}:1:zzzzzzzzzzzz"],  # read, it could never be written again
        [f"{FIRST}:1000000000:a"],
        b"\x04\x00\x00",  # no page
        b"\x04" + b"\x01\x01A\x00\x01\x00",  # of no slots
        b"\x04" + b"\x02" + b"\x01A\x08\x01" * 2 + b"\x00",  # one page twice
        b"\x04" + b"\x01\x01A\x08\x02\x09\x00",  # the ninth of eight slots is gone
        b"\x04" + b"\x01\x01A\x08\x02\x00\x00",  # the one before the first is
        b"\x04" + b"\x01\x01A\x07\x00\x80\x00",
        b"\x04" + b"\x01\x01A\x08\x0a\x00",  # nine of eight are
        b"\x04" + b"\x01\x05A",
    ],
)
def test_bytes_that_are_no_slots_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"slot|number|page"):
        unpack(value)


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        (EntryKey(WorkId("x"), 1), Entry(NOW)),
        (EntryKey(FIRST, -1), Entry(NOW)),
        (EntryKey(FIRST, limits.STORED_STARTS_BELOW + 1), Entry(NOW)),
        (EntryKey(FIRST, 1), Entry(EpochMs(-1))),
        (EntryKey(FIRST, 1), Entry(EpochMs(limits.STORED_MS_BELOW))),
    ],
)
def test_slot_that_could_not_be_read_back_is_not_written(key: EntryKey, entry: Entry) -> None:
    with pytest.raises(ValueError, match="slot"):
        pack(Slots({key: entry}))


def test_ledger_has_no_more_slots_than_it_can_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORED_SLOTS_MAX", 3)
    three = {EntryKey(FIRST, start): Entry(NOW) for start in range(3)}

    assert unpack(pack(Slots(three))) == Slots(three)
    with pytest.raises(ValueError, match="more slots than a ledger has"):
        unpack(pack(Slots({**three, EntryKey(FIRST, 3): Entry(NOW)})))

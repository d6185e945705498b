"""An item beyond its bounds is unreadable, and a record of a readable one can be written [WP-12]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_id
from workpool_aws.adapters.items.codec import decode, encode
from workpool_aws.core import limits
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    Notice,
    NoticeKind,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.record import Record
from workpool_aws.model.refs import Unreadable

FAR = make_id(EpochMs(2**48 - 1), random_bits=1)
STATUS = LoopStatus(
    pool="email", state=LoopState.WAITING, generation=3, lease_until=NOW, wake_at=NOW
)
LEDGER = Ledger(pool="email", holder="h", generation=3, version=5)
CONFIG = Config(pool="email", version=1, max_parallelism=5, base_by="b", base_at=NOW)
DONE = Notice(
    pool="email", at=an_id(), work_id=an_id(), start=1, kind=NoticeKind.RETRY, pointer=an_id()
)
YEAR_10000 = 253_402_300_800_000

HOSTILE: list[tuple[Record, Mapping[str, object]]] = [
    *((a_running_work(), {name: 10**9 - 1}) for name in ("st", "n", "un", "keep")),
    *(
        (a_running_work(), {name: value})
        for name in ("due", "enq", "at", "dl")
        for value in (-1, 2**48 - 1, YEAR_10000 - 1, 10**37)
    ),
    (a_work(), {"keep": 0}),
    (a_work(), {"fin": YEAR_10000}),
    *(
        (a_work(), {name: value})
        for name in ("ac", "cc", "rc")
        for value in (0, limits.CHUNKS_MAX + 1, 10**9)
    ),
    (a_work(), {"sk": FAR}),
    (a_work(), {"ro": FAR}),
    (DONE, {"sk": FAR}),
    (DONE, {"p": FAR}),
    (DONE, {"st": 10**9 - 1}),
    *((STATUS, {name: YEAR_10000}) for name in ("l", "wk", "tm")),
    (STATUS, {"g": limits.STORED_GENERATION_BELOW}),
    *((CONFIG, {name: limits.PARALLELISM_MAX + 1}) for name in ("max", "omax", "dmax")),
    (LEDGER, {"sh": []}),
    (LEDGER, {"sh": ["::0"] * 33}),
    (LEDGER, {"sh": ["work:done:0"]}),
    (LEDGER, {"sh": [f"{FAR}::0"]}),
    (LEDGER, {"sh": ["::zzzzzzzzzzzz"]}),
    (LEDGER, {"cb": [f"{an_id()}:0:9999:0"]}),
    (LEDGER, {"cb": [f"{an_id()}:0:0:9999"]}),
    (LEDGER, {"cb": [f"{an_id()}:zzzzzzzzzzzz:0:0"]}),
    (LEDGER, {"cb": [f"{an_id(n=n)}:0:0:0" for n in range(limits.STORED_OWED_MAX + 1)]}),
    (LEDGER, {"en": [f"{an_id()}:{10**9}:0"]}),
    (LEDGER, {"en": [f"{an_id()}:1:zzzzzzzzzz"]}),
    (LEDGER, {"en": [f"{FAR}:1:0"]}),
    (LEDGER, {"en": [f"{an_id(n=n)}:1:0" for n in range(limits.STORED_SLOTS_MAX + 1)]}),
    (LEDGER, {"ta": "0:0.0.0.0:29x1"}),
    (LEDGER, {"ta": "0:0.0.0.0:1x1,"}),
    (LEDGER, {"ta": "0:0.0.0:"}),
    (LEDGER, {"ta": "zzzzzzzzzzzz:0.0.0.0:"}),
    (LEDGER, {"ta": "0:0.0.0.0:" + "111x" * 26 + "!"}),
]


@pytest.mark.parametrize(
    ("record", "changes"),
    HOSTILE,
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_unreadable(record: Record, changes: Mapping[str, object]) -> None:
    found = decode({**encode(record), **changes})

    assert isinstance(found, Unreadable), found


@pytest.mark.parametrize(
    "record",
    [
        a_running_work(
            starts=limits.STORED_STARTS_BELOW - 1, deadline=EpochMs(limits.STORED_WORK_MS_BELOW - 1)
        ),
        replace(
            STATUS,
            generation=limits.STORED_GENERATION_BELOW - 1,
            lease_until=EpochMs(YEAR_10000 - 1),
        ),
        replace(
            LEDGER,
            shards=(ShardCursors(),) * 32,
            callbacks=(PendingCallback(an_id(), NOW, 999, 999),),
        ),
        replace(
            LEDGER,
            entries={
                EntryKey(an_id(), limits.STORED_STARTS_BELOW - 1): Entry(
                    EpochMs(limits.STORED_WORK_MS_BELOW - 1)
                )
            },
        ),
    ],
)
def test_last_that_can_be_meant_is_read(record: Record) -> None:
    assert decode(encode(record)) == record


def test_last_readable_value_can_be_followed_by_written_one() -> None:
    """A loop that meets it goes on: the next number is stored, and is damage from then on."""
    last = limits.STORED_STARTS_BELOW
    late = EpochMs(limits.STORED_WORK_MS_BELOW + limits.DELAY_MS_MAX)
    made: list[Record] = [
        a_running_work(starts=last, deadline=late),
        replace(DONE, start=last),
        replace(STATUS, generation=limits.STORED_GENERATION_BELOW, wake_at=late),
        replace(
            LEDGER,
            generation=limits.STORED_GENERATION_BELOW,
            entries={EntryKey(an_id(), last): Entry(late)},
        ),
    ]
    for record in made:
        assert isinstance(decode(encode(record)), Unreadable)


def test_tally_is_read_no_further_than_it_is_long() -> None:
    """115 bytes took twelve seconds once, and doubled with each group."""
    damaged = {**encode(LEDGER), "ta": "0:0.0.0.0:" + "111x" * 50_000 + "!"}

    assert isinstance(decode(damaged), Unreadable)

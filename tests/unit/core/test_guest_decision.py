"""Work items that their caller may start itself: only what a loop would start now, alone in its pool [WP-44]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import NOW, POOL, a_work, an_id
from workpool_aws import RateLimit
from workpool_aws.core import limits
from workpool_aws.core.loop.guest import guest_commit, may_look, starts_of_guest
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    PendingCallback,
)
from workpool_aws.model.pages import NamedPage
from workpool_aws.model.payload import Inline
from workpool_aws.model.work import WorkItem

EMPTY = Ledger(pool=POOL, holder="before", generation=1, version=1)
CONFIG = Config(pool=POOL, version=1, max_parallelism=3, base_by="t", base_at=NOW)
PERMITTED = a_work(permit="permit")
KEY = EntryKey(PERMITTED.id, 1)
RATE = RateLimit(9, per=timedelta(seconds=1))


def chosen(
    *works: WorkItem,
    ledger: Ledger = EMPTY,
    config: Config | None = CONFIG,
    claims: bool = True,
) -> Sequence[WorkItem]:
    return starts_of_guest(works, ledger, config, shards=1, claims=claims, now=NOW)


def permitted(n: int, **changes: object) -> WorkItem:
    return replace(a_work(permit="permit", **changes), id=an_id(n=n))


def test_due_work_item_of_empty_pool_is_started() -> None:
    assert list(chosen(PERMITTED)) == [PERMITTED]
    assert list(chosen(PERMITTED, config=None)) == [PERMITTED]


@pytest.mark.parametrize(
    "ledger",
    [
        replace(EMPTY, entries={KEY: Entry(EpochMs(NOW))}),
        replace(EMPTY, pages=(NamedPage("page", 1),)),
        replace(EMPTY, callbacks=(PendingCallback(PERMITTED.id, NOW),)),
    ],
    ids=["in flight", "in pages", "callbacks"],
)
def test_pool_with_something_in_hand_is_left_to_its_loop(ledger: Ledger) -> None:
    assert not chosen(PERMITTED, ledger=ledger)


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, max_parallelism=0),
        replace(CONFIG, override_paused=True),
        replace(CONFIG, rate_limit=RATE),
        replace(CONFIG, epoch=1, epoch_at=NOW),
    ],
    ids=["limit of none", "paused", "rate limit", "bulk cancel"],
)
def test_pool_with_closed_gate_is_left_to_its_loop(config: Config) -> None:
    """[WP-13] [WP-33]"""
    assert not chosen(PERMITTED, config=config)


@pytest.mark.parametrize(
    "work",
    [
        replace(PERMITTED, due_at=EpochMs(NOW + 1)),
        replace(PERMITTED, epoch=1),
        replace(PERMITTED, permit=None),
        replace(PERMITTED, id=an_id(shard=1)),
        a_work(permit="permit", args=f'"{"x" * limits.ARGS_INLINE_BYTES_MAX}"'),
        a_work(permit="permit", due_at=EpochMs(NOW - 5), expires_after_ms=5),
    ],
    ids=["later", "of another epoch", "of version 0.1", "of another shard", "large", "expired"],
)
def test_work_item_that_loop_would_not_just_start_is_left_to_it(work: WorkItem) -> None:
    assert not chosen(work)


def test_undecorated_function_is_left_to_loop() -> None:
    """[WP-29] The loop makes its start before the event."""
    assert not chosen(PERMITTED, claims=False)


def test_starts_are_in_order_and_as_many_as_limit_allows() -> None:
    """[WP-1]"""
    works = [permitted(n) for n in range(5)]
    assert list(chosen(*reversed(works))) == works[:3]
    most = chosen(*(permitted(n) for n in range(40)), config=replace(CONFIG, max_parallelism=99))
    assert len(most) == limits.GUEST_STARTS_MAX


def test_nothing_overtakes_work_item_that_loop_is_to_start() -> None:
    large = replace(permitted(2), spec=replace(PERMITTED.spec, args=Inline("x" * 9_999)))
    assert list(chosen(permitted(1), large, permitted(3))) == [permitted(1)]


@pytest.mark.parametrize("state", LoopState)
def test_guest_looks_only_where_loop_was_at_rest(state: LoopState) -> None:
    """A loop whose lease ran out may have left work items that come first."""
    status = LoopStatus(pool=POOL, state=state, generation=1, lease_until=NOW)
    assert may_look(status) == (state is not LoopState.RUNNING)
    assert not may_look(None)


def test_commit_moves_no_cursor_and_names_its_holder() -> None:
    """[WP-2] [WP-3]"""
    write = guest_commit(EMPTY, {KEY: Entry(NOW)}, generation=2, token="guest", beats=False)
    assert write.set["holder"] == write.set["committed_by"] == "guest"
    assert (write.set["generation"], write.set["version"]) == (2, 2)
    assert write.set.keys().isdisjoint({"shards", "callbacks", "rate", "epoch", "tally"})


def test_work_item_that_a_loop_may_have_run_since_is_left_alone() -> None:
    """A caller may stand still between its put and its kick."""
    fresh = permitted(1, enqueued_at=EpochMs(NOW - limits.LINGER_MS + 1))
    old = permitted(2, enqueued_at=EpochMs(NOW - limits.LINGER_MS))

    assert list(chosen(fresh)) == [fresh]
    assert list(chosen(old)) == []

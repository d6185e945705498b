"""Which works a `cancel_all` called off, and how the loop gets through them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.bulk_cancel import BulkCancel, after_read, bulk_cancel_to_make
from workpool_aws.core.loop.classify import Look, Taken, classify
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled, is_settled, shown
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Config, Ledger, ShardCursors
from workpool_aws.model.work import State

CONFIG = Config(
    pool="email", version=3, max_parallelism=10, base_by="x", base_at=NOW, epoch=2, epoch_at=NOW
)
LEDGER = Ledger(
    pool="email",
    holder="loop-1",
    generation=1,
    version=1,
    shards=(ShardCursors(work_cursor=an_id(NOW), deep_at=NOW),),
)


@pytest.mark.parametrize(
    ("epoch", "enqueued_after_ms", "bulk_canceled"),
    [
        (0, -60_000, True),
        (1, -60_000, True),
        (1, limits.CALL_OFF_MARGIN_MS, True),
        (1, limits.CALL_OFF_MARGIN_MS + 1, False),
        (2, -60_000, False),
        (3, -60_000, False),
    ],
)
def test_work_is_called_off_by_its_epoch_unless_it_is_plainly_younger(
    epoch: int, enqueued_after_ms: int, bulk_canceled: bool
) -> None:
    """[WP-13]"""
    work = a_work(epoch=epoch, enqueued_at=EpochMs(NOW + enqueued_after_ms))

    assert is_bulk_canceled(work, CONFIG) is bulk_canceled


@pytest.mark.parametrize("config", [None, replace(CONFIG, epoch=0, epoch_at=None)])
def test_drain_without_request_cancels_nothing(config: Config | None) -> None:
    assert not is_bulk_canceled(a_work(), config)
    assert is_settled(config, None)
    assert bulk_cancel_to_make(None, config, LEDGER) is None


def test_due_work_that_is_called_off_is_never_chosen() -> None:
    work = a_work(enqueued_at=NOW)
    taken = Taken((), frozenset(), CONFIG)

    assert classify(work.id, work, taken=taken, now=NOW) is Look.CALLED_OFF
    assert classify(work.id, replace(work, epoch=2), taken=taken, now=NOW) is Look.DUE
    assert classify(work.id, work, taken=Taken((), frozenset()), now=NOW) is Look.DUE


def test_drain_begins_where_pending_works_can_lie_and_goes_on_where_it_is() -> None:
    begun = bulk_cancel_to_make(None, CONFIG, LEDGER)
    assert begun is not None
    under_way = replace(begun, lows=("further",), seen_running=True)

    assert begun == BulkCancel(
        2,
        (an_id(NOW - limits.BUFFER_MS, n=0)[:10] + begun.lows[0][10:] if begun.lows[0] else None,),
    )
    assert bulk_cancel_to_make(under_way, CONFIG, LEDGER) == under_way
    assert bulk_cancel_to_make(under_way, replace(CONFIG, epoch=3), LEDGER) == replace(
        begun, epoch=3
    )
    assert bulk_cancel_to_make(under_way, CONFIG, replace(LEDGER, epoch=2)) is None


def test_shard_that_is_furthest_behind_is_next() -> None:
    drain = BulkCancel(1, ("b", None, "a"))

    assert drain.next_shard == 2
    assert after_read(drain, 2, "c").next_shard == 0
    assert after_read(after_read(drain, 2, None), 0, None).next_shard is None


def test_starts_wait_until_what_is_due_was_seen() -> None:
    early, late = an_id(NOW - 1), an_id(NOW + 1)

    assert BulkCancel(1, (late, early)).holds_back(NOW)
    assert not BulkCancel(1, (late, None)).holds_back(NOW)
    assert not BulkCancel(1, (None, None)).holds_back(NOW)


def test_people_see_called_off_work_as_asked_to_cancel() -> None:
    work = a_work()
    running = a_work(state=State.RUNNING, starts=1)
    over = a_work(state=State.FINISHED)

    assert shown(work, CONFIG).cancel_requested
    assert shown(running, CONFIG).cancel_requested
    assert shown(over, CONFIG) == over
    assert shown(replace(work, epoch=2), CONFIG) == replace(work, epoch=2)


@pytest.mark.parametrize(("low_at", "held_back"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_drain_holds_starts_while_due_work_may_be_called_off_unseen(
    low_at: int, *, held_back: bool
) -> None:
    """[WP-13] The shard that is furthest behind counts, and one that is through does not."""
    drain = BulkCancel(
        epoch=2, lows=(None, id_floor(EpochMs(NOW + 9_000)), id_floor(EpochMs(low_at)))
    )

    assert drain.holds_back(NOW) is held_back

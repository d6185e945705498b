"""Headroom of a pass: what the limits leave, and the reason where they leave nothing [WP-1]."""

from __future__ import annotations

import pytest

from tests.kit.records import NOW, a_work
from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Reason, Refusal, headroom_of
from workpool_aws.core.loop.bulk_cancel import BulkCancel
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Config

UNSEEN = BulkCancel(1, (id_floor(EpochMs(NOW - 1)),))
SEEN_TO_NOW = BulkCancel(1, (id_floor(EpochMs(NOW + 1)),))


def config(limit: int, *, paused: bool = False) -> Config:
    return Config(
        pool="email",
        version=1,
        max_parallelism=limit,
        base_by="test",
        base_at=NOW,
        override_paused=paused,
    )


def test_headroom_of_pool_without_config_is_default() -> None:
    assert headroom_of(None, in_flight=0, bulk_cancel=None, now=NOW) == Headroom(
        limits.PARALLELISM_DEFAULT
    )


@pytest.mark.parametrize(
    ("in_flight", "answer"),
    [
        (0, Headroom(3)),
        (2, Headroom(1)),
        (3, Refusal(Reason.SLOTS_TAKEN)),
        (4, Refusal(Reason.SLOTS_TAKEN)),
    ],
)
def test_headroom_is_limit_less_starts_in_flight(
    in_flight: int, answer: Headroom | Refusal
) -> None:
    """More than the limit are in flight after the limit was lowered."""
    assert headroom_of(config(3), in_flight=in_flight, bulk_cancel=None, now=NOW) == answer


@pytest.mark.parametrize("limits_of_pool", [config(0), config(3, paused=True)])
def test_headroom_of_paused_pool_is_refused_as_paused(limits_of_pool: Config) -> None:
    refused = headroom_of(limits_of_pool, in_flight=2, bulk_cancel=None, now=NOW)

    assert refused == Refusal(Reason.PAUSED)


@pytest.mark.parametrize(
    ("bulk_cancel", "answer"),
    [(UNSEEN, Refusal(Reason.CANCELING)), (SEEN_TO_NOW, Headroom(3))],
)
def test_headroom_waits_for_bulk_cancel_that_has_not_seen_all_that_is_due(
    bulk_cancel: BulkCancel, answer: Headroom | Refusal
) -> None:
    """[WP-13]"""
    assert headroom_of(config(3), in_flight=0, bulk_cancel=bulk_cancel, now=NOW) == answer


def test_admit_takes_slot_for_each_start_until_none_is_left() -> None:
    work = a_work()
    one_left = Headroom(2).admit(work)

    assert one_left == Headroom(1)
    assert isinstance(one_left, Headroom)
    assert one_left.admit(work) == Headroom(0)
    assert Headroom(0).admit(work) == Refusal(Reason.SLOTS_TAKEN, work.id)

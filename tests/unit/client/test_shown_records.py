"""A record that is printed, as in a user's log, shows none of the secrets that it holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.records import a_running_work, an_assignment, an_id
from workpool_aws.api.prepared import Prepared
from workpool_aws.core.views.stats import Queued, stats_of
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.messages import CallbackTicket

SECRET = "hunter2"


def ticket() -> CallbackTicket:
    return CallbackTicket(
        table="jobs", pool="email", work_id=an_id(), retention_s=None, nonce=SECRET
    )


def prepared() -> Prepared:
    plan: Any = f"plan with {SECRET}"
    return Prepared(ids=(an_id(),), items=[], plain=[], plan=plan)


@pytest.mark.parametrize(
    "record",
    [
        an_assignment(nonce=SECRET),
        an_assignment(permit=SECRET),
        an_assignment(stored=a_running_work(result=SECRET)),
        ticket(),
        prepared(),
    ],
    ids=["nonce", "permit", "stored", "ticket", "prepared"],
)
def test_printed_record_shows_no_secret(record: object) -> None:
    assert SECRET not in repr(record)
    assert an_id() in repr(record)


def test_statistics_can_be_kept_in_sets_though_they_count_by_job() -> None:
    queued = Queued(
        pending=1, scheduled=0, pending_capped=False, scheduled_capped=False, oldest_at=None
    )
    first, second = (stats_of(queued, [], running=0, window_ms=1, now=EpochMs(9)) for _ in "ab")

    assert {first, second} == {first}

"""A claim that failed is decided by what its write met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import a_running_work
from workpool_aws.core.report.claim import assignment_of, why_refused
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import State, WorkItem

CLAIMED = a_running_work(claim="worker-1")


A = assignment_of(CLAIMED, "t")


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (None, "the work item is gone"),
        (Unreadable("p", "s", "damaged"), "the work item is gone"),
        (replace(CLAIMED, state=State.FINISHED), "start 1 is over"),
        (replace(CLAIMED, starts=2), "start 1 is over"),
        (CLAIMED, "another delivery claimed this start"),
        (replace(CLAIMED, claim="mine"), None),
    ],
    ids=["gone", "damaged", "finished", "a later start", "another's", "one's own"],
)
def test_claim_that_failed_is_ones_own_only_with_ones_own_token(
    current: WorkItem | Unreadable | None, why: str | None
) -> None:
    """[WP-5]"""
    assert why_refused(current, A, "mine") == why

"""Decisions about groups: which ends are counted, once each, and what follows the last one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.records import DONE, NOW, POOL, a_work, an_id
from workpool_aws.core import limits
from workpool_aws.core.callback.ending import is_owed
from workpool_aws.core.group.count import (
    counts_in,
    decide_count,
    outcome_at,
    uncounted,
    with_ends,
)
from workpool_aws.core.group.enqueue import digest_of_request, members_of
from workpool_aws.core.group.members import member_ids, place_of
from workpool_aws.core.lifecycle import LEGAL, Move
from workpool_aws.core.loop.groups import by_group, end_is_uncounted, ends_among, of_unknown_group
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Notice, NoticeKind
from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, GroupEnd, State, WorkItem
from workpool_aws.model.writes import Is

G = GroupId("g")
SPEC = a_work(
    on_complete=DONE, callback_outcomes=tuple(Outcome), group=G, context='{"album":7}'
).spec
ITEM = GroupItem(
    pool=POOL,
    id=G,
    spec=SPEC,
    total=3,
    born="b",
    digest="d",
    created_at=NOW,
    due_at=NOW,
)
IDS = member_ids(ITEM)
LATER = EpochMs(NOW + 5_000)
outcomes = st.sampled_from(Outcome)


def counted(item: GroupItem, *ends: tuple[WorkId, Outcome]) -> Any:
    return decide_count(item, ends, nonce="n", now=LATER)


def after(item: GroupItem, decision: Any) -> GroupItem:
    return replace(item, **decision.update.set, version=item.version + 1)


def a_notice(work_id: WorkId, n: int = 1, **changes: Any) -> Notice:
    return Notice(
        **{
            "pool": POOL,
            "at": an_id(NOW, n),
            "work_id": work_id,
            "start": 1,
            "kind": NoticeKind.FINISHED,
            "job": "x",
            "expires_at": 1,
            **changes,
        }
    )


def test_last_end_brings_follow_up_and_names_version_that_it_has_read() -> None:
    """[WP-19]"""
    first = counted(ITEM, (IDS[0], Outcome.SUCCESS), (IDS[2], Outcome.FAILED))
    last = counted(after(ITEM, first), (IDS[1], Outcome.CANCELED))

    assert first.update.condition == Is("version", 1)
    assert (first.finished, first.follow_up) == (False, None)
    assert last.update.condition == Is("version", 2)
    assert last.update.set["finished_at"] == LATER
    assert last.update.set["follow_up"] == last.follow_up.id
    assert last.update.set["expires_at"] == LATER // 1000 + 86_400
    assert (last.counts.succeeded, last.counts.failed, last.counts.canceled) == (1, 1, 1)


def test_follow_up_is_finished_work_item_that_owes_callback_of_group() -> None:
    """[WP-8] [WP-10]"""
    work: WorkItem = counted(replace(ITEM, total=1), (IDS[0], Outcome.FAILED)).follow_up
    assert isinstance(work.result, Inline)

    assert work.state is LEGAL[Move.FOLLOW].after is State.FINISHED
    assert is_owed(work)
    assert (work.callback, work.callback_nonce, work.expires_at) == (
        CallbackState.PENDING,
        "n",
        None,
    )
    assert (work.starts, work.permit, work.outcome) == (0, None, Outcome.SUCCESS)
    assert work.spec.callback_target == DONE
    assert json.loads(work.result.text) == {
        "group_id": "g",
        "total": 1,
        "succeeded": 0,
        "failed": 1,
        "canceled": 0,
    }


def test_group_without_callback_has_no_follow_up() -> None:
    plain = replace(ITEM, spec=replace(SPEC, callback=None), total=1)
    decision = counted(plain, (IDS[0], Outcome.SUCCESS))

    assert (decision.finished, decision.follow_up) == (True, None)


def test_end_that_was_counted_changes_nothing() -> None:
    """[WP-19]"""
    once = after(ITEM, counted(ITEM, (IDS[0], Outcome.FAILED)))

    assert counted(once, (IDS[0], Outcome.FAILED)) is None
    assert counted(once, (IDS[0], Outcome.SUCCESS)) is None
    assert outcome_at(once.outcomes, 0) is Outcome.FAILED


def test_end_that_is_met_again_finishes_nothing() -> None:
    """[WP-19] A counter would take it for another one."""
    once = after(ITEM, counted(ITEM, (IDS[0], Outcome.SUCCESS)))
    decision = counted(once, (IDS[0], Outcome.SUCCESS), (IDS[1], Outcome.SUCCESS))

    assert (decision.finished, decision.counts.over) == (False, 2)


def test_end_of_other_work_item_is_not_counted() -> None:
    strangers = [
        an_id(NOW, 5),
        an_id(NOW + 1, 5),
        member_ids(replace(ITEM, total=4))[3],
        member_ids(replace(ITEM, born="c"))[0],
    ]

    assert counted(ITEM, *((each, Outcome.SUCCESS) for each in strangers)) is None
    assert [place_of(ITEM, each) for each in strangers] == [None] * 4
    assert [place_of(ITEM, each) for each in IDS] == [0, 1, 2]


@given(st.dictionaries(st.integers(0, limits.GROUP_MAX - 1), outcomes, max_size=60))
def test_each_place_keeps_its_own_outcome(ends: dict[int, Outcome]) -> None:
    """[WP-19]"""
    bits = b"\0"
    for place, outcome in ends.items():
        bits = with_ends(bits, {place: outcome})
    counts = counts_in(bits)

    assert bits == with_ends(b"\0", ends) == with_ends(bits, ends)
    assert {place: outcome_at(bits, place) for place in ends} == ends
    assert counts.over == len(ends)
    assert counts.succeeded == sum(each is Outcome.SUCCESS for each in ends.values())
    assert counts.failed == sum(each is Outcome.FAILED for each in ends.values())
    assert len(bits) <= limits.GROUP_OUTCOMES_BYTES_MAX == 2_500


def test_uncounted_places_are_named() -> None:
    item = replace(ITEM, outcomes=with_ends(b"\0", {1: Outcome.SUCCESS}))

    assert uncounted(item) == [0, 2]


def test_second_producer_makes_same_members() -> None:
    """[WP-19]"""
    made = [
        members_of(replace(ITEM, spec=spec), spec, ["{}"] * 3, ["p"] * 3, epoch=0)
        for spec in (SPEC, SPEC)
    ]

    assert made[0] == made[1]
    assert [work.id for work in made[0]] == IDS
    assert {(work.spec.group, work.state, work.enqueued_at) for work in made[0]} == {
        (G, State.PENDING, NOW)
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["{}"], ["{}", "{}"]),
        (['{"a":1}', "{}"], ["{}", '{"a":1}']),
        (["ab", "c"], ["a", "bc"]),
        (["a/1/b"], ["a", "b"]),
    ],
)
def test_digest_tells_requests_apart(one: list[str], other: list[str]) -> None:
    assert digest_of_request(SPEC, one) != digest_of_request(SPEC, other)
    assert digest_of_request(SPEC, one) != digest_of_request(replace(SPEC, job="other"), one)
    assert digest_of_request(SPEC, one) == digest_of_request(replace(SPEC, retention_s=7), one)


def test_pass_counts_what_freed_slot_and_what_awaits_it() -> None:
    """[WP-19]"""
    end = GroupEnd(G, Outcome.SUCCESS)
    settled = a_notice(IDS[0], group=end)
    awaits = a_notice(IDS[1], 2, group=GroupEnd(G, Outcome.CANCELED), expires_at=None)
    owes = replace(awaits, at=an_id(NOW, 3), callback=CallbackState.PENDING)
    old = a_notice(IDS[2], 4, group=end)
    dropped = a_work(id=IDS[2], state=State.FINISHED, outcome=Outcome.FAILED, group=G)
    found = ends_among([settled], [settled, awaits, owes, old], [dropped, a_work()])

    assert found.ends == {
        G: [
            (IDS[0], Outcome.SUCCESS),
            (IDS[1], Outcome.CANCELED),
            (IDS[2], Outcome.FAILED),
        ]
    }
    # The callback of the other keeps it until the ledger has that.
    assert found.spent == (awaits.at,)
    assert end_is_uncounted([old, awaits])
    assert not end_is_uncounted([old, owes, settled])


def test_only_finished_members_have_ends() -> None:
    over = a_work(id=IDS[0], state=State.FINISHED, outcome=Outcome.FAILED, group=G)

    assert by_group([over, a_work(group=G), replace(over, spec=a_work().spec)]) == {
        G: [(IDS[0], Outcome.FAILED)]
    }


def test_notice_of_first_version_says_nothing_about_groups() -> None:
    first_version = a_notice(IDS[0], job=None)
    retried = replace(first_version, kind=NoticeKind.RETRY)
    known = a_notice(IDS[1])

    assert of_unknown_group([first_version, retried, known]) == [(IDS[0], 1)]

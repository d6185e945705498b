"""Each write of a move begins and ends in states of the table. No other write moves a work item."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, PROOF, a_policy, a_running_work, a_work, an_assignment
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.core.lifecycle import LEGAL, Move
from workpool_aws.core.loop.start import start_write
from workpool_aws.core.report.beat import progress_write
from workpool_aws.core.report.claim import claim_write
from workpool_aws.core.report.complete import (
    decide_report,
    decide_requeue,
    decide_snooze,
)
from workpool_aws.core.report.suspect import decide_suspicion
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelWrite
from workpool_aws.core.work.expire import decide_expiry
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Update
from workpool_aws.ports import ConditionFailed


def the_writes() -> dict[Move, Update]:
    failed = Report(kind=ReportKind.FAILED, error="no", error_type="E")
    put_back = decide_requeue(
        an_assignment(), a_running_work(), Report(kind=ReportKind.NEVER_DELIVERED), now=NOW
    )
    assert put_back is not None
    snoozed = decide_snooze(
        an_assignment(), a_running_work(), Report(kind=ReportKind.SNOOZED), now=NOW
    )
    assert snoozed is not None
    canceled, requested = (
        decide_cancel(work, token="k", now=NOW) for work in (a_work(), a_running_work())
    )
    assert isinstance(canceled, CancelWrite)
    assert isinstance(requested, CancelWrite)
    suspected = decide_suspicion(an_assignment(), a_running_work(claim="c"), failed)
    assert suspected is not None
    return {
        Move.START: start_write(
            a_work(), 1, token="t", proof=PROOF, timeout_ms=1, event_age_ms=1, now=NOW
        ),
        Move.CLAIM: claim_write(an_assignment(), token="c", now=NOW, ends_by=NOW),
        Move.FINISH: decide_report(
            an_assignment(), Report(kind=ReportKind.SUCCESS), now=NOW, jitter=0.5
        ).write,
        Move.RETRY: decide_report(
            an_assignment(retry=a_policy(), claimed=False), failed, now=NOW, jitter=0.5
        ).write,
        Move.PUT_BACK: put_back.write,
        Move.SNOOZE: snoozed.write,
        Move.CANCEL: canceled.write,
        Move.EXPIRE: decide_expiry(
            a_work(expires_after_ms=1), token="k", now=NOW, nonce=None
        ).write,
        Move.REQUEST_CANCEL: requested.write,
        Move.SUSPECT: suspected,
        Move.BEAT: progress_write(an_assignment(), 0.5, None),
    }


def the_work(move: Move) -> WorkItem:
    """A work item for the write of this move."""
    claim = "c" if move is Move.SUSPECT else None
    return a_work(
        state=LEGAL[move].before, starts=0 if move is Move.START else 1, claim=claim, proof=PROOF
    )


def moved(before: WorkItem, write: Update) -> WorkItem | None:
    """Return the work item after the write; `None` means that it was refused, and nothing changed."""
    store = MemoryStore(lambda: NOW)
    store.write(Put(before))
    try:
        after = store.write(write).record
    except ConditionFailed:
        assert store.get(ref_of(before)) == before
        return None
    assert isinstance(after, WorkItem)
    return after


def test_every_move_but_first_has_write() -> None:
    assert set(the_writes()) == set(Move) - {Move.ENQUEUE, Move.FOLLOW}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("move", list(the_writes()))
def test_move_happens_exactly_from_state_that_table_names(move: Move, state: State) -> None:
    """[WP-4] [WP-6] Nothing leaves `finished`; each arrow has one beginning and one end."""
    before = replace(the_work(move), state=state)

    after = moved(before, the_writes()[move])

    if state is LEGAL[move].before:
        assert after is not None
        assert after.state is LEGAL[move].after
    else:
        assert after is None


@pytest.mark.parametrize(
    "move", sorted(set(the_writes()) - {Move.CANCEL, Move.EXPIRE, Move.REQUEST_CANCEL})
)
@pytest.mark.peer("SM16", "CP11")
def test_move_of_another_start_changes_nothing(move: Move) -> None:
    """[WP-4] A late or duplicate report finds another start number."""
    before = replace(the_work(move), starts=7)

    assert moved(before, the_writes()[move]) is None


@pytest.mark.parametrize("move", list(the_writes()))
def test_ttl_is_for_finished_works(move: Move) -> None:
    """[WP-10]"""
    after = moved(the_work(move), the_writes()[move])

    assert after is not None
    assert (after.expires_at is not None) == (after.state is State.FINISHED)

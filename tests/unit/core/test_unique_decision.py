"""The holder of a unique key, the answer to a request, and replacements [WP-16] [WP-17]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.kit.records import NOW, PROOF, TARGET, a_work, an_assignment, an_id
from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Look, Taken, classify, is_to_point
from workpool_aws.core.loop.gather import gather
from workpool_aws.core.loop.recover import Begin, Drop, judge_entry
from workpool_aws.core.report.claim import left_unmade, why_refused
from workpool_aws.core.work.replace import decide_replacement, is_own_replacement
from workpool_aws.core.work.unique import (
    Free,
    Held,
    NamedRequest,
    decide_lock,
    decide_request,
    lock_expiries,
    request_digest,
    still_held,
)
from workpool_aws.errors import UsageError
from workpool_aws.model.actions import Check
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, EntryKey
from workpool_aws.model.payload import Chunked
from workpool_aws.model.refs import Row, UniqueRef, WorkRef
from workpool_aws.model.spec import UniqueSpec
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Either, Is, IsAbsent

KEY = UniqueSpec(key="k")
UNTIL_STARTED = UniqueSpec(key="k", until_started=True)
FOR_AN_HOUR = UniqueSpec(key="k", for_ms=3_600_000)
NEW = a_work(id=an_id(n=2), unique=KEY)
HELD = a_work(unique=KEY)
LOCK = UniqueLock(pool="email", key="k", work_id=HELD.id)
OFF = Config(
    pool="email", version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=2, epoch_at=NOW
)
LATER = EpochMs(NOW + 60_000)


def decided(
    lock: UniqueLock | None, holder: WorkItem | None, work: WorkItem = NEW, **more: Any
) -> Free | Held:
    unique = more.pop("unique", work.spec.unique)
    config = more.pop("config", None)
    return decide_lock(lock, holder, config, work=work, unique=unique, now=more.pop("now", NOW))


def test_lock_is_put_only_where_there_is_none() -> None:
    free = decided(None, None)
    assert isinstance(free, Free)
    assert free.put.condition == IsAbsent()
    assert free.put.record == UniqueLock(pool="email", key="k", work_id=NEW.id)


@pytest.mark.parametrize(
    "holder",
    [None, replace(HELD, state=State.FINISHED), a_work(unique=UNTIL_STARTED, starts=1)],
)
def test_lock_of_what_is_over_is_taken_as_it_was_read(holder: WorkItem | None) -> None:
    free = decided(replace(LOCK, expires_at=9), holder)
    assert isinstance(free, Free)
    assert free.put.condition == Is("work_id", HELD.id)
    assert free.put.record == UniqueLock(pool="email", key="k", work_id=NEW.id)


@pytest.mark.parametrize(
    "holder",
    [
        HELD,
        a_work(unique=KEY, starts=1),
        a_work(unique=KEY, starts=1, state=State.RUNNING),
        a_work(unique=UNTIL_STARTED),
    ],
)
def test_key_is_held_by_progress_of_its_work_item(holder: WorkItem) -> None:
    assert decided(LOCK, holder) == Held(LOCK, holder)


@pytest.mark.parametrize("state", list(State))
def test_key_for_a_time_is_held_until_then_whatever_becomes_of_its_work_item(state: State) -> None:
    taken = decided(None, None, a_work(unique=FOR_AN_HOUR))
    assert isinstance(taken, Free)
    lock = taken.put.record
    assert isinstance(lock, UniqueLock)
    assert (lock.until, lock.expires_at) == (
        NOW + 3_600_000,
        (NOW + 3_600_000) // 1000 + limits.LOCK_KEPT_S,
    )
    holder = a_work(unique=FOR_AN_HOUR, state=state)
    assert isinstance(decided(lock, holder, now=EpochMs(NOW + 3_599_999)), Held)
    assert isinstance(decided(lock, holder, now=EpochMs(NOW + 3_600_000)), Free)


def test_holder_that_is_called_off_must_be_canceled_in_the_same_transaction() -> None:
    free = decided(LOCK, HELD, config=OFF)
    assert isinstance(free, Free)
    assert free.called_off == HELD
    assert isinstance(free.only_if, Either)
    running = replace(HELD, state=State.RUNNING, starts=1)
    assert isinstance(decided(LOCK, running, config=OFF), Held)


def test_redrive_takes_over_the_key_of_its_own_failure_alone() -> None:
    again = replace(NEW, redrive_of=HELD.id)
    lock = replace(LOCK, until=LATER)
    assert isinstance(decided(lock, HELD, again), Free)
    assert isinstance(decided(lock, HELD, replace(NEW, redrive_of=an_id(n=7))), Held)


def test_what_relies_on_a_held_key_checks_it() -> None:
    until = replace(LOCK, until=LATER)
    assert still_held(Held(until, HELD)) == Check(
        ref=UniqueRef("email", "k"), condition=Is("work_id", HELD.id)
    )
    check = still_held(Held(LOCK, HELD))
    assert check.ref == WorkRef("email", HELD.id)
    assert check.condition == Either((Is("state", State.PENDING), Is("state", State.RUNNING)))
    assert still_held(Held(LOCK, a_work(unique=UNTIL_STARTED))) != check


def test_lock_expires_two_days_after_its_work_item() -> None:
    (update,) = lock_expiries(HELD, ended_at=NOW)
    assert update.set == {"expires_at": NOW // 1000 + 86_400 + 2 * 86_400}
    assert update.condition == Is("work_id", HELD.id)
    assert lock_expiries(HELD, ended_at=None) == ()
    assert lock_expiries(a_work(unique=FOR_AN_HOUR), ended_at=NOW) == ()
    assert lock_expiries(a_work(unique=KEY, retention_s=None), ended_at=NOW) == ()
    assert lock_expiries(a_work(), ended_at=NOW) == ()


REQUEST = NamedRequest(id="r", digest="d", until=LATER)
MARK = RequestMark(pool="email", request_id="r", work_id=HELD.id, digest="d", until=LATER)


def test_request_is_new_known_or_another_one() -> None:
    assert decide_request(None, REQUEST, now=NOW) == IsAbsent()
    assert decide_request(MARK, REQUEST, now=NOW) is None
    assert decide_request(MARK, REQUEST, now=LATER) == Is("work_id", HELD.id)
    assert decide_request(replace(MARK, digest=None), REQUEST, now=NOW) is None
    assert decide_request(replace(MARK, until=None), REQUEST, now=LATER) is None
    with pytest.raises(UsageError, match="request_id"):
        decide_request(replace(MARK, digest="e"), REQUEST, now=NOW)


@pytest.mark.parametrize(
    "other", [{"args": '{"a":2}'}, {"target": f"{TARGET}2"}, {"job": "j"}, {"kind": "query"}]
)
def test_digest_tells_requests_apart_by_function_and_arguments(other: dict[str, Any]) -> None:
    work = a_work(args='{"a":1,"b":2}')
    assert request_digest(work) == request_digest(a_work(args='{"b": 2, "a": 1}', due_at=LATER))
    assert request_digest(work) != request_digest(a_work(**{"args": '{"a":1,"b":2}', **other}))


def replacement(held: WorkItem, new: WorkItem, max_wait_ms: int | None = None) -> Any:
    return decide_replacement(held, new, max_wait_ms=max_wait_ms, random_bits=1, now=NOW)


PERMITTED = a_work(unique=KEY, permit="permit", rev=3, due_at=LATER)


def test_replacement_changes_arguments_and_due_time_and_voids_the_permit() -> None:
    made = replacement(PERMITTED, a_work(args='{"n":2}', due_at=LATER + 5))
    assert made.write.set == {
        "args": '{"n":2}',
        "args_chunks": None,
        "due_at": LATER + 5,
        "rev": 4,
        "postponed": True,
        "permit": None,
    }
    assert made.actions == (made.write,)


def test_replacement_that_is_due_earlier_puts_a_pointer() -> None:
    made = replacement(PERMITTED, a_work(due_at=NOW))
    assert (made.pointer.work_id, made.due_at) == (PERMITTED.id, NOW)
    assert made.write.set["postponed"] is False
    same = replacement(replace(PERMITTED, postponed=True), a_work(due_at=LATER))
    assert (same.pointer, same.write.set["postponed"]) == (None, True)


@pytest.mark.parametrize(("wait_ms", "due_at"), [(None, NOW + 9), (5, NOW + 5), (1, NOW + 1)])
def test_replacement_waits_no_longer_than_asked_for(wait_ms: int | None, due_at: int) -> None:
    assert replacement(HELD, a_work(due_at=NOW + 9), wait_ms).due_at == due_at


def test_replacement_lets_chunks_expire_that_nothing_names_any_more() -> None:
    held = replace(PERMITTED, spec=replace(PERMITTED.spec, args=Chunked(3)))
    made = replacement(held, a_work(args=f'{{"n":"{"x" * 400_000}"}}', due_at=LATER))
    assert (len(made.chunks), [each.ref.number for each in made.unused]) == (2, [2])


@pytest.mark.parametrize(
    "held",
    [
        a_work(state=State.RUNNING, starts=1),
        a_work(starts=1),
        a_work(state=State.FINISHED),
        a_work(cancel_requested=True),
        a_work(target=f"{TARGET}2"),
        a_work(job="other"),
    ],
)
def test_what_has_started_or_runs_another_function_is_not_replaced(held: WorkItem) -> None:
    assert replacement(held, a_work()) is None


def test_replacement_knows_itself_by_number_arguments_and_due_time() -> None:
    made = replacement(PERMITTED, a_work(args='{"n":2}', due_at=LATER))
    stored = a_work(args='{"n":2}', due_at=LATER, rev=4)
    assert is_own_replacement(stored, made)
    assert not is_own_replacement(replace(stored, rev=5), made)
    assert not is_own_replacement(a_work(args='{"n":3}', due_at=LATER, rev=4), made)


REPLACED = a_work(rev=1, due_at=LATER)
ENTRY = EntryKey(REPLACED.id, 1)


def judged(work: WorkItem, now: int = NOW) -> object:
    return judge_entry(ENTRY, work, deadline=LATER, token="t", sent=True, now=EpochMs(now))


def test_entry_whose_work_item_was_replaced_is_dropped_with_a_pointer_until_it_is_due() -> None:
    assert judged(REPLACED) == Drop(LATER)
    assert judged(REPLACED, LATER) == Begin(REPLACED)


def test_start_of_replaced_work_item_is_left_unmade_and_checked() -> None:
    sent = an_assignment(permit="permit")
    assert left_unmade(REPLACED, sent)
    assert why_refused(REPLACED, sent, "t") == "it was replaced before it began"
    # It was canceled, or has expired, after it was replaced.
    assert left_unmade(replace(REPLACED, state=State.FINISHED), sent)
    # Once it has run, an event that names another start is no event of the loop.
    ran = replace(REPLACED, state=State.FINISHED, starts=1)
    assert not left_unmade(ran, replace(sent, start=2))
    assert not left_unmade(replace(REPLACED, rev=0), sent)
    assert not left_unmade(replace(REPLACED, permit="permit"), sent)
    assert not left_unmade(REPLACED, an_assignment(proof=PROOF))


POSTPONED = replace(REPLACED, postponed=True)


def rows_of(*works: WorkItem) -> list[tuple[Row, WorkItem]]:
    return [(Row(work.id, work), work) for work in works]


def read(*works: WorkItem, now: int) -> Any:
    taken = Taken((), ())
    return gather(rows_of(*works), taken, free=5, now=EpochMs(now), lookahead=None)


def test_row_of_postponed_work_item_asks_for_a_pointer_once_it_is_met() -> None:
    moved = replace(POSTPONED, id=an_id(NOW))
    assert is_to_point(moved.id, moved, NOW)
    found = read(moved, now=NOW)
    assert (found.postponed, found.due, found.is_something) == ((moved,), (), True)
    assert classify(moved.id, moved, taken=Taken((), ()), now=NOW) is Look.SKIP
    assert read(replace(moved, postponed=False), now=NOW).postponed == ()
    assert read(replace(moved, due_at=NOW), now=NOW).postponed == ()


def test_row_of_postponed_work_item_is_waited_for_and_not_its_due_time() -> None:
    moved = replace(POSTPONED, id=an_id(NOW + 10_000))
    assert read(moved, now=NOW).next_due == NOW + 10_000
    assert read(replace(moved, postponed=False), now=NOW).next_due == LATER

"""The message to an `on_complete` target, its repetitions, and the time of giving up [WP-8]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_assignment, an_id
from workpool_aws.core import limits
from workpool_aws.core.callback.delivery import (
    dead_write,
    delivered_write,
    failed_write,
    message_of,
    record_of_failure,
    record_of_redelivery,
    sent_write,
)
from workpool_aws.core.callback.ending import is_owed, record_of_end
from workpool_aws.core.callback.targets import (
    CALLBACK_TARGETS,
    FUNCTION,
    QUEUE,
    TOPIC,
    CallbackTarget,
    nouns_of,
    oversize,
    target_of,
)
from workpool_aws.core.loop.callbacks import (
    CallbackStep,
    Verdict,
    first_owed,
    judge_owed,
    newly_owed,
    next_look,
    next_try,
)
from workpool_aws.core.loop.rest import Rest, decide_rest
from workpool_aws.core.loop.settle import settle
from workpool_aws.core.report.complete import Finish, decide_canceled, decide_report
from workpool_aws.core.watchdog.watch import callback_is_overdue
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelWrite
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import (
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    Notice,
    NoticeKind,
    PendingCallback,
)
from workpool_aws.model.messages import CallbackTicket, Report, ReportKind
from workpool_aws.model.refs import Unreadable, WorkRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem, dead_key
from workpool_aws.model.writes import All, Either, Is

ALL = tuple(Outcome)
WINDOW_MS = 96_000
LATER = EpochMs(NOW + 60_000)


def a_finished_work(
    callback: CallbackState | None = CallbackState.PENDING, **changes: object
) -> WorkItem:
    ended = {
        "state": State.FINISHED,
        "outcome": Outcome.SUCCESS,
        "result": "7",
        "starts": 1,
        "on_complete": "done",
        "callback": callback,
    }
    return a_work(**{**ended, **changes})


def a_record(n: int, callback: CallbackState | None, *, start: int = 1) -> Notice:
    at = make_id(EpochMs(NOW + n), random_bits=n)
    return Notice(
        pool="email",
        at=at,
        work_id=an_id(n=n),
        start=start,
        kind=NoticeKind.FINISHED,
        callback=callback,
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("arn:aws:sqs:eu-west-1:123456789012:done", QUEUE),
        ("arn:aws:sqs:eu-west-1:123456789012:done.fifo", QUEUE),
        ("arn:aws-cn:sns:cn-north-1:123456789012:done", TOPIC),
        ("arn:aws:lambda:eu-west-1:123456789012:function:done", FUNCTION),
        ("sns", FUNCTION),
    ],
)
def test_target_is_known_by_its_arn(target: str, kind: CallbackTarget) -> None:
    assert target_of(target) is kind


def test_nouns_of_lists_every_kind_with_its_article() -> None:
    assert nouns_of((QUEUE, TOPIC)) == "an SQS queue or an SNS topic"
    assert nouns_of(CALLBACK_TARGETS) == "a Lambda function, an SQS queue or an SNS topic"


def test_callback_targets_need_actions_of_their_own_service_alone() -> None:
    assert len({kind.service for kind in CALLBACK_TARGETS}) == len(CALLBACK_TARGETS)
    assert {
        (kind.service, action.partition(":")[0])
        for kind in CALLBACK_TARGETS
        for action in kind.actions
    } == {(kind.service, kind.service) for kind in CALLBACK_TARGETS}


@pytest.mark.parametrize(
    "target",
    ["done", "arn:aws:sqs:eu-west-1:123456789012:done", "arn:aws:sns:eu-west-1:123456789012:done"],
)
def test_message_may_be_as_large_as_its_target_takes_and_not_byte_more(target: str) -> None:
    most = target_of(target).bytes_max

    assert oversize(target, most) is None
    assert oversize(target, most + 1) is not None


@pytest.mark.parametrize(
    ("kind", "wanted", "owed"),
    [
        (ReportKind.SUCCESS, ALL, True),
        (ReportKind.SUCCESS, (Outcome.FAILED,), False),
        (ReportKind.FAILED, (Outcome.FAILED,), True),
        (ReportKind.FAILED, (Outcome.SUCCESS, Outcome.CANCELED), False),
        (ReportKind.SUCCESS, (), False),
    ],
)
def test_finishing_write_owes_callback_or_may_expire_and_never_both(
    kind: ReportKind, wanted: tuple[Outcome, ...], owed: bool
) -> None:
    """[WP-8, WP-10]"""
    decision = decide_report(
        an_assignment(callback_outcomes=wanted), Report(kind=kind), now=NOW, jitter=0.5
    )

    assert isinstance(decision, Finish)
    expiry = None if owed else NOW // 1000 + 86_400
    assert decision.write.set["callback"] is (CallbackState.PENDING if owed else None)
    assert decision.write.set["expires_at"] == expiry


@pytest.mark.parametrize(("wanted", "owed"), [(ALL, True), ((Outcome.FAILED,), False)])
def test_start_that_ends_as_canceled_tells_those_who_want_to_know(
    wanted: tuple[Outcome, ...], owed: bool
) -> None:
    decision = decide_canceled(
        an_assignment(callback_outcomes=wanted), Report(kind=ReportKind.FAILED), now=NOW
    )

    assert decision.write.set["callback"] is (CallbackState.PENDING if owed else None)
    assert (decision.write.set["expires_at"] is None) is owed


@pytest.mark.parametrize(("wanted", "owed"), [(ALL, True), ((Outcome.SUCCESS,), False)])
def test_pending_work_that_is_canceled_owes_its_callback(
    wanted: tuple[Outcome, ...], owed: bool
) -> None:
    decision = decide_cancel(
        a_work(on_complete="done", callback_outcomes=wanted), token="t", now=NOW
    )

    assert isinstance(decision, CancelWrite)
    assert decision.owes_callback is owed
    assert decision.write.set["callback"] is (CallbackState.PENDING if owed else None)
    assert (decision.write.set["expires_at"] is None) is owed


def test_asking_running_work_to_cancel_owes_nothing_yet() -> None:
    decision = decide_cancel(
        a_running_work(on_complete="done", callback_outcomes=ALL), token="t", now=NOW
    )

    assert isinstance(decision, CancelWrite)
    assert decision.owes_callback is False


def test_record_of_end_has_no_time_to_live() -> None:
    """[WP-10]"""
    record = record_of_end(a_work(starts=2), Outcome.CANCELED, now=NOW, random_bits=5)

    assert (record.start, record.callback, record.expires_at) == (2, CallbackState.PENDING, None)


@pytest.mark.parametrize(
    ("work", "owed"),
    [
        (a_finished_work(CallbackState.PENDING), True),
        (a_finished_work(CallbackState.SENT), True),
        (a_finished_work(CallbackState.DELIVERED), False),
        (a_finished_work(CallbackState.DEAD), False),
        (a_finished_work(None), False),
        (a_running_work(on_complete="done", callback_outcomes=ALL), False),
        (a_running_work(on_complete="done", callback=CallbackState.PENDING), False),
        (Unreadable("p", "s", "damaged"), False),
        (None, False),
    ],
)
def test_callback_is_owed_until_delivered_or_given_up(
    work: WorkItem | Unreadable | None, owed: bool
) -> None:
    assert is_owed(work) is owed


def test_ticket_is_for_targets_that_acknowledge() -> None:
    work = a_finished_work(context='{"user":7}')

    told, asked = (
        message_of(work, "t", acknowledges=False),
        message_of(work, "t", acknowledges=True),
    )

    assert (told.context, told.outcome, told.result, told.ticket) == (
        '{"user":7}',
        Outcome.SUCCESS,
        "7",
        None,
    )
    assert asked.ticket == CallbackTicket(
        table="t", pool="email", work_id=work.id, retention_s=86_400
    )


def test_marks_change_callback_alone_and_only_while_it_is_open() -> None:
    """[WP-8]"""
    work = a_finished_work()
    still_open = Either((Is("callback", CallbackState.PENDING), Is("callback", CallbackState.SENT)))

    sent = sent_write(work)
    delivered = delivered_write(replace(a_ticket(work.id), nonce="n"), now=NOW)

    assert (sent.ref, dict(sent.set), sent.condition) == (
        WorkRef("email", work.id),
        {"callback": CallbackState.SENT},
        still_open,
    )
    assert dict(delivered.set) == {
        "callback": CallbackState.DELIVERED,
        "expires_at": NOW // 1000 + 60,
    }
    assert delivered.condition == All((Is("callback_nonce", "n"), still_open))


def test_work_kept_for_ever_does_not_expire_when_delivered() -> None:
    assert (
        delivered_write(replace(a_ticket(an_id()), retention_s=None), now=NOW).set["expires_at"]
        is None
    )


def test_failed_callback_is_tried_after_second_doubling_to_ten_minutes_and_given_up_after_twelve_tries() -> (
    None
):
    """[WP-8]"""
    work, owed, delays = a_finished_work(), first_owed(an_id(), CallbackState.PENDING, NOW), []
    steps = []
    for _ in range(13):
        verdict = judge_owed(owed, work, window_ms=0, now=owed.at)
        assert verdict.owed is not None
        delays.append(verdict.owed.at - owed.at)
        steps.append(verdict.step)
        owed = verdict.owed

    assert steps == [CallbackStep.SEND] * 12 + [CallbackStep.GIVE_UP]
    assert delays[:-1] == [1_000 * 2**n for n in range(10)] + [600_000, 600_000]


def test_sent_callback_is_looked_at_less_and_less_often_until_its_handlers_time_is_over() -> None:
    work, owed, waits = (
        a_finished_work(CallbackState.SENT),
        first_owed(an_id(), CallbackState.SENT, NOW),
        [],
    )
    waits.append(owed.at - NOW)
    while (
        verdict := judge_owed(owed, work, window_ms=WINDOW_MS, now=owed.at)
    ).step is CallbackStep.WAIT:
        assert verdict.owed is not None
        waits.append(verdict.owed.at - owed.at)
        owed = verdict.owed

    assert verdict.step is CallbackStep.SEND
    assert waits == [500, 1_000, 2_000, 4_000, 70_000, 70_000]
    assert sum(waits) > WINDOW_MS


@pytest.mark.parametrize("looks", range(12))
def test_pause_between_looks_is_short_enough_to_stay_up_for_or_long_enough_for_schedule(
    looks: int,
) -> None:
    owed = next_look(PendingCallback(an_id(), NOW, looks=looks), window_ms=22_500_000, now=NOW)

    assert owed is not None
    pause_ms = owed.at - NOW
    assert pause_ms <= limits.CALLBACK_LOOK_STAY_MS or pause_ms > limits.CALLBACK_NEAR_MS


@pytest.mark.parametrize(
    "work", [None, a_finished_work(CallbackState.DELIVERED), a_finished_work(CallbackState.DEAD)]
)
def test_callback_that_is_over_is_forgotten(work: WorkItem | None) -> None:
    assert judge_owed(PendingCallback(an_id(), NOW), work, window_ms=0, now=NOW) == Verdict(
        CallbackStep.FORGET, None
    )


def test_callback_that_was_not_sent_is_sent_for_any_handler_time() -> None:
    assert (
        judge_owed(
            PendingCallback(an_id(), NOW), a_finished_work(), window_ms=WINDOW_MS, now=NOW
        ).step
        is CallbackStep.SEND
    )


def test_try_that_follows_try_counts_it() -> None:
    assert (
        next_try(PendingCallback(an_id(), NOW, tries=limits.CALLBACK_TRIES_MAX), NOW).tries
        == limits.CALLBACK_TRIES_MAX
    )
    assert next_try(PendingCallback(an_id(), NOW, tries=3, looks=4), NOW) == PendingCallback(
        an_id(), EpochMs(NOW + 8_000), tries=4
    )


def test_ledger_takes_over_what_records_owe_and_records_that_owe_are_spent() -> None:
    pending, sent, nothing = (
        a_record(1, CallbackState.PENDING),
        a_record(2, CallbackState.SENT),
        a_record(3, None),
    )

    new = newly_owed([pending, sent, nothing], {}, (), cursor="", room=10, now=NOW)

    assert new.callbacks == (
        PendingCallback(pending.work_id, NOW),
        PendingCallback(sent.work_id, EpochMs(NOW + limits.CALLBACK_LOOK_MS)),
    )
    assert new.spent == (pending.at,)
    assert new.is_something
    assert new.blocked_at is None


def test_record_that_owes_callback_counts_wherever_it_lies() -> None:
    """It landed late, behind the cursor. No loop has seen it, or it would be gone."""
    pending = a_record(1, CallbackState.PENDING)

    assert newly_owed([pending], {}, (), cursor=a_record(2, None).at, room=10, now=NOW).spent == (
        pending.at,
    )


def test_records_of_one_callback_owe_it_once_and_are_all_spent() -> None:
    """Its work item was reported twice.

    A record that is only to be deleted is something to do, or it would lie there for ever.
    """
    first, second = (
        a_record(1, CallbackState.PENDING),
        replace(a_record(2, CallbackState.PENDING), work_id=an_id(n=1)),
    )

    new = newly_owed([first, second], {}, (), cursor="", room=10, now=NOW)
    held = newly_owed(
        [second],
        {second.work_id: PendingCallback(second.work_id, NOW)},
        (),
        cursor="",
        room=10,
        now=NOW,
    )

    assert [owed.work_id for owed in new.callbacks] == [first.work_id]
    assert new.spent == (first.at, second.at)
    assert held.is_something


def test_second_record_of_callback_needs_no_room() -> None:
    first, second = (
        a_record(1, CallbackState.PENDING),
        replace(a_record(2, CallbackState.PENDING), work_id=an_id(n=1)),
    )

    assert newly_owed([first, second], {}, (), cursor="", room=1, now=NOW).blocked_at is None


def test_record_of_sent_callback_behind_cursor_counts_with_its_entry_only() -> None:
    sent = a_record(1, CallbackState.SENT)
    key = EntryKey(sent.work_id, sent.start)

    assert not newly_owed([sent], {}, (), cursor=sent.at, room=10, now=NOW).is_something
    assert newly_owed([sent], {}, {key}, cursor=sent.at, room=10, now=NOW).callbacks != ()


def test_record_of_callback_that_ledger_holds_is_spent_and_adds_nothing() -> None:
    pending = a_record(1, CallbackState.PENDING)

    new = newly_owed(
        [pending],
        {
            pending.work_id: PendingCallback(
                pending.work_id, NOW, tries=limits.CALLBACK_TRIES_MAX - 1
            )
        },
        (),
        cursor="",
        room=0,
        now=NOW,
    )

    assert (new.callbacks, new.spent, new.blocked_at) == ((), (pending.at,), None)


def test_record_without_room_in_ledger_holds_cursor_back() -> None:
    records = [a_record(n, CallbackState.PENDING) for n in range(1, 4)]

    new = newly_owed(records, {}, (), cursor="", room=2, now=NOW)

    assert [owed.work_id for owed in new.callbacks] == [record.work_id for record in records[:2]]
    assert new.blocked_at == records[2].at
    assert not newly_owed(records, {}, (), cursor="", room=0, now=NOW).is_something


def test_callback_that_is_near_keeps_loop_up_and_later_one_orders_wake() -> None:
    near, far = EpochMs(NOW + limits.CALLBACK_NEAR_MS), EpochMs(NOW + limits.CALLBACK_NEAR_MS + 1)

    assert decide_rest({}, None, free=1, now=NOW, callback_at=near) is None
    assert decide_rest({}, None, free=0, now=NOW, callback_at=near) is None
    rest = decide_rest({}, None, free=1, now=NOW, callback_at=far)
    assert rest == Rest(LoopState.WAITING, EpochMs(far + 60_000), saturated=False, timer_at=far)


def test_earlier_of_due_work_and_callback_orders_wake() -> None:
    due = EpochMs(NOW + 600_000)

    early = decide_rest({}, due, free=1, now=NOW, callback_at=EpochMs(NOW + 100_000))
    late = decide_rest({}, due, free=1, now=NOW, callback_at=EpochMs(NOW + 700_000))

    assert early == Rest(
        LoopState.WAITING, EpochMs(NOW + 160_000), saturated=False, timer_at=EpochMs(NOW + 100_000)
    )
    assert late == Rest(
        LoopState.WAITING, due, saturated=False, timer_at=EpochMs(due - limits.FAR_LEAD_MS)
    )


def a_ledger(*owed: PendingCallback) -> Ledger:
    return Ledger(pool="email", holder="h", generation=1, version=1, callbacks=owed)


def test_watchdog_sees_callback_that_no_loop_sees_to() -> None:
    passed = PendingCallback(an_id(), EpochMs(NOW - limits.CALLBACK_LATE_MS - 1))
    full = a_ledger(
        *(PendingCallback(WorkId(an_id(n=n)), NOW) for n in range(limits.CALLBACKS_OWED_MAX))
    )
    records = [a_record(1, CallbackState.PENDING)]

    assert callback_is_overdue(a_ledger(passed), [], NOW)
    assert callback_is_overdue(None, records, NOW)
    assert not callback_is_overdue(
        a_ledger(PendingCallback(an_id(), NOW)), [a_record(1, CallbackState.SENT)], NOW
    )
    assert not callback_is_overdue(full, records, NOW), (
        "what finds no room is not looked for again and again"
    )


def test_record_of_callback_whose_tries_are_used_up_begins_anew() -> None:
    """[WP-8] It was given up and redriven before the ledger forgot it."""
    pending = a_record(1, CallbackState.PENDING)
    used_up = PendingCallback(
        pending.work_id, EpochMs(NOW + 600_000), tries=limits.CALLBACK_TRIES_MAX
    )

    new = newly_owed([pending], {pending.work_id: used_up}, (), cursor="", room=0, now=NOW)

    assert (new.callbacks, new.spent, new.blocked_at) == (
        (PendingCallback(pending.work_id, NOW),),
        (pending.at,),
        None,
    )


def test_dead_callback_is_dead_letter() -> None:
    work = a_finished_work()

    assert dict(dead_write(work, now=LATER).set) == {
        "callback": CallbackState.DEAD,
        "dead": dead_key(LATER, work.id),
    }


def test_record_of_redelivery_is_owed_and_counted_as_nothing() -> None:
    """[WP-10]"""
    record = record_of_redelivery(a_finished_work(CallbackState.DEAD), now=NOW, random_bits=5)

    assert (record.callback, record.expires_at, record.outcome) == (
        CallbackState.PENDING,
        None,
        None,
    )


def a_failure_of(sent: Notice) -> Notice:
    return record_of_failure(a_ticket(sent.work_id), now=EpochMs(NOW + 50), random_bits=7)


def a_ticket(work_id: WorkId) -> CallbackTicket:
    return CallbackTicket(table="t", pool="email", work_id=work_id, retention_s=60)


@pytest.mark.parametrize(
    ("tries", "delay_ms"), [(0, 1_000), (1, 1_000), (2, 2_000), (5, 16_000), (12, 600_000)]
)
def test_next_try_after_failed_handler_waits_as_after_refusal(tries: int, delay_ms: int) -> None:
    """[WP-8] Also where the next look would come sooner, and used up tries stay used up."""
    sent = a_record(1, CallbackState.SENT)
    looked_at = PendingCallback(
        sent.work_id, EpochMs(NOW + limits.CALLBACK_LOOK_MS), tries=tries, looks=3
    )

    new = newly_owed(
        [a_failure_of(sent)], {sent.work_id: looked_at}, (), cursor="", room=0, now=NOW
    )

    assert new.callbacks == (PendingCallback(sent.work_id, EpochMs(NOW + delay_ms), tries=tries),)
    assert new.spent == (a_failure_of(sent).at,)


@pytest.mark.parametrize("order", [1, -1])
def test_failure_that_is_heard_of_together_with_its_report_waits_all_same(order: int) -> None:
    sent = a_record(1, CallbackState.SENT)

    new = newly_owed([sent, a_failure_of(sent)][::order], {}, (), cursor="", room=10, now=NOW)

    assert new.callbacks == (PendingCallback(sent.work_id, EpochMs(NOW + 1_000)),)


def test_failed_handler_is_believed_only_of_what_was_sent() -> None:
    """An acknowledgement, or a dead letter, stands."""
    write = failed_write(a_ticket(an_id()))

    assert (dict(write.set), write.condition) == (
        {"callback": CallbackState.PENDING},
        All((Is("callback_nonce", None), Is("callback", CallbackState.SENT))),
    )


def test_record_of_failed_handler_settles_no_start() -> None:
    """[WP-1] [WP-10]"""
    record = a_failure_of(a_record(1, CallbackState.SENT))
    entries = {EntryKey(record.work_id, n): Entry(NOW) for n in (1, 2)}

    assert (settle(entries, [record]).gone, settle(entries, [record]).asked, record.expires_at) == (
        (),
        {},
        None,
    )

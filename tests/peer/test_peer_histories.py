"""Behaviours of the peer's list, held against simulated histories: whenever the case occurs, it goes as the row says; and it does occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.peer.history import SEEDS, SKEW_MS, Change, History, WorkChange, history_of
from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.work.end import CancelAnswer
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model import events
from workpool_aws.model.loop import Config, EntryKey, Ledger, LoopState, LoopStatus, NoticeKind
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Pointer, State, WorkItem

Property = Callable[[History], int]
"""Asserts something wherever the case occurs in a history; how often it did."""

OCCURS_MIN = 1
"""A property that says nothing about any history shows nothing."""


def due_work_starts_once(h: History) -> int:
    begun: set[EntryKey] = set()
    for each in h.starts:
        ledger = h.ledger_before(each.index, each.after.pool)
        assert ledger is not None
        assert each.key in ledger.entries
        assert each.key not in begun
        assert not each.before.cancel_requested
        assert not [
            done
            for change, done in h.dones
            if EntryKey(done.work_id, done.start) == each.key and change.index < each.index
        ]
        begun.add(each.key)
    return len(begun)


def a_retry_starts_like_new_work(h: History) -> int:
    again = [each for each in h.starts if each.before.attempts_made > 0]
    for each in again:
        assert each.after.attempts_made == each.before.attempts_made
        assert each.after.starts == each.before.starts + 1
        assert each.at >= each.before.due_at - SKEW_MS
    return len(again)


def end_leaves_nothing(h: History, outcome: Outcome) -> int:
    ended = [
        each
        for each in h.ends
        if each.before.state is State.RUNNING and each.after.outcome is outcome
    ]
    for each in ended:
        assert each.after.attempts_made == each.before.attempts_made + 1
        assert [
            later
            for later in h.of(each.after.id, after=each.index)
            if later.after.outcome is not outcome
        ] == []
        assert len(h.left_ledger(each.key)) == 1
        told = [done.kind for _, done in h.dones if (done.work_id, done.start) == each.key]
        assert h.run.faults or [kind for kind in told if kind is not NoticeKind.CHECK] == [
            NoticeKind.FINISHED
        ]
    return len(ended)


def a_success_frees_its_slot_and_stays(h: History) -> int:
    return end_leaves_nothing(h, Outcome.SUCCESS)


def a_failure_frees_its_slot_and_stays(h: History) -> int:
    return end_leaves_nothing(h, Outcome.FAILED)


def a_retry_is_one_step(h: History) -> int:
    found = list(h.retries)
    for each in found:
        beside = [
            change.after
            for change in h.changes
            if change.at == each.at and abs(change.index - each.index) <= 2
        ]
        assert [one for one in beside if isinstance(one, Pointer) and one.work_id == each.after.id]
        assert (
            next(done.kind for _, done in h.dones if (done.work_id, done.start) == each.key)
            is NoticeKind.RETRY
        )
        assert len(h.left_ledger(each.key)) == 1
        assert h.final(each.after.id).state is State.FINISHED
    return len(found)


def a_retry_waits_for_its_time_and_holds_no_slot(h: History) -> int:
    waits = [each for each in h.retries if each.after.due_at > each.at + 1_000]
    for each in waits:
        begun = [
            later
            for later in h.of(each.after.id, after=each.index)
            if later.moves(State.PENDING, State.RUNNING)
        ]
        assert all(later.at >= each.after.due_at - SKEW_MS for later in begun[:1])
    return len(waits)


def canceled_while_pending(h: History) -> list[WorkChange]:
    """The ends of pending work items, but for those whose time to start was over."""
    ends = [each for each in h.ends if each.before.state is State.PENDING]
    return [each for each in ends if each.after.error_type != "expired"]


def a_canceled_pending_work_never_runs(h: History) -> int:
    canceled = canceled_while_pending(h)
    for each in canceled:
        assert each.after.outcome is Outcome.CANCELED
        assert [
            later
            for later in h.of(each.after.id, after=each.index)
            if later.after.state is not State.FINISHED
        ] == []
        assert [
            key
            for _, index, key in h.judge.runs
            if key.work_id == each.after.id and key.start == each.after.starts + 1
        ] == []
        assert all(
            key.work_id != each.after.id
            for pool_ledger in last_ledgers(h)
            for key in pool_ledger.entries
        )
    return len(canceled)


def last_ledgers(h: History) -> list[Ledger]:
    return list(
        {
            each.after.pool: each.after for each in h.changes if isinstance(each.after, Ledger)
        }.values()
    )


def canceling_pending_work_frees_no_slot(h: History) -> int:
    canceled = canceled_while_pending(h)
    for each in canceled:
        told = [
            done
            for _, done in h.dones
            if done.work_id == each.after.id and done.outcome is Outcome.CANCELED
        ]
        assert all(done.callback is CallbackState.PENDING for done in told)
        assert bool(told) is (each.after.callback is not None)
    return len(canceled)


def a_request_leaves_the_work_running(h: History) -> int:
    asked = [
        each for each in h.works if each.after.cancel_requested and not each.before.cancel_requested
    ]
    for each in asked:
        assert each.moves(State.RUNNING, State.RUNNING)
        assert (each.after.starts, each.after.attempts_made) == (
            each.before.starts,
            each.before.attempts_made,
        )
        assert [
            later.after.state
            for later in h.of(each.after.id, after=each.index)
            if later.after.state is State.PENDING
        ] == []
    return len(asked)


def asked_to_cancel_and_failed_is_not_tried_again(h: History) -> int:
    ended = [
        each
        for each in h.ends
        if each.before.cancel_requested and each.after.outcome is Outcome.CANCELED
    ]
    for each in ended:
        assert (
            h.of(each.after.id, after=each.index) == []
            or h.final(each.after.id).starts == each.after.starts
        )
        assert all(
            EntryKey(each.after.id, each.after.starts) not in ledger.entries
            for ledger in last_ledgers(h)
        )
        assert {key.start for _, index, key in h.judge.runs if key.work_id == each.after.id} <= set(
            range(1, each.after.starts + 1)
        )
    return len(ended)


def a_success_after_a_request_is_a_success(h: History) -> int:
    ended = [
        each
        for each in h.ends
        if each.before.cancel_requested and each.after.outcome is Outcome.SUCCESS
    ]
    for each in ended:
        assert h.final(each.after.id).outcome is Outcome.SUCCESS
    return len(ended)


def a_pass_writes_only_what_it_changed(h: History) -> int:
    committed = [
        (before, after)
        for _, before, after in h.ledgers
        if before.holder == after.holder and before.committed_by != after.committed_by
    ]
    for before, after in committed:
        assert (before.entries, before.callbacks, before.tally, before.epoch) != (
            after.entries,
            after.callbacks,
            after.tally,
            after.epoch,
        )
    return len(committed)


def each_start_is_recorded_once(h: History) -> int:
    """However many reports there were: each spends one attempt at most, and the first one counts."""
    recorded = [
        each
        for each in h.works
        if each.before.state is State.RUNNING and each.after.state is not State.RUNNING
    ]
    keys = [EntryKey(each.before.id, each.before.starts) for each in recorded]
    assert len(keys) == len(set(keys))
    for work in h.judge.works.values():
        assert work.attempts_made <= len([key for key in keys if key.work_id == work.id])
    doubled = [
        key
        for key in keys
        if len(
            [
                done
                for _, done in h.dones
                if (done.work_id, done.start) == key and done.kind is NoticeKind.FINISHED
            ]
        )
        > 1
    ]
    return len(doubled) + len(
        [event for event in h.facts if isinstance(event, events.ReportIgnored)]
    )


def a_report_of_an_earlier_start_changes_nothing(h: History) -> int:
    late = [
        event
        for event in h.facts
        if isinstance(event, events.ReportIgnored) and "follow" in event.reason
    ]
    for event in late:
        told = [
            each
            for each in h.works
            if each.after.id == event.work_id
            and each.before.state is State.RUNNING
            and each.before.starts == event.start
        ]
        assert len([each for each in told if each.after.state is not State.RUNNING]) <= 1
    return len(late)


def a_repeated_report_keeps_the_first_end(h: History) -> int:
    """A second report of the last start repeats the notice to the loop, and no write of the work item."""
    counted = 0
    for each in h.ends:
        told = [
            change.index
            for change, done in h.dones
            if (done.work_id, done.start) == each.key and done.kind is NoticeKind.FINISHED
        ]
        if len(told) > 1:
            counted += 1
            final = h.final(each.after.id)
            assert (final.outcome, final.attempts_made, final.error, final.result) == (
                each.after.outcome,
                each.after.attempts_made,
                each.after.error,
                each.after.result,
            )
            assert len(h.left_ledger(each.key)) == 1
    return counted


def two_cancels_are_one(h: History) -> int:
    asked = [work_id for _, work_id, _ in h.judge.answers]
    twice = {work_id for work_id in asked if asked.count(work_id) > 1}
    for work_id in twice:
        flips = [
            each
            for each in h.of(work_id)
            if each.after.cancel_requested and not each.before.cancel_requested
        ]
        ends = [
            each
            for each in h.of(work_id)
            if each.before.state is not State.FINISHED and each.after.state is State.FINISHED
        ]
        assert len(flips) <= 1
        assert len(ends) == 1
    return len(twice)


def a_cancel_after_the_end_changes_nothing(h: History) -> int:
    late = [
        (index, work_id)
        for index, work_id, answer in h.judge.answers
        if answer is CancelAnswer.FINISHED
    ]
    for index, work_id in late:
        end = next(each for each in h.ends if each.after.id == work_id)
        assert end.index < index
        assert (h.final(work_id).outcome, h.final(work_id).cancel_requested) == (
            end.after.outcome,
            end.after.cancel_requested,
        )
    return len(late)


def a_freed_slot_is_taken_in_the_same_pass(h: History) -> int:
    both = [
        (before, after)
        for _, before, after in h.ledgers
        if before.entries.keys() - after.entries.keys()
        and after.entries.keys() - before.entries.keys()
    ]
    for before, after in both:
        added = after.entries.keys() - before.entries.keys()
        assert (
            all(
                any(each.key == key for each in h.starts)
                or h.final(key.work_id).outcome is Outcome.CANCELED
                for key in added
            )
            or h.run.faults
        )
    return len(both)


def several_start_in_one_pass(h: History) -> int:
    return len(
        [
            1
            for _, before, after in h.ledgers
            if len(after.entries.keys() - before.entries.keys()) > 1
        ]
    )


def retries_are_settled_together(h: History) -> int:
    counted = 0
    for _, before, after in h.ledgers:
        gone = before.entries.keys() - after.entries.keys()
        again = [each for each in h.retries if EntryKey(each.before.id, each.before.starts) in gone]
        if len(again) > 1:
            counted += 1
            assert len({each.after.id for each in again}) == len(again)
            assert all(h.final(each.after.id).state is State.FINISHED for each in again)
            assert all(each.after.attempts_made == each.before.attempts_made + 1 for each in again)
    return counted


def the_limit_holds_at_every_commit(h: History) -> int:
    """The judge knows the limits in force; here: it was reached, and what did not fit started later."""
    most = max(plan.limit for plan in h.run.scenario.pools)
    if h.run.scenario.changes or h.run.scenario.redeployments:
        return 0
    full = [change for change, _, after in h.ledgers if len(after.entries) == most]
    assert all(len(after.entries) <= most for _, _, after in h.ledgers)
    waited = [
        each
        for each in h.starts
        for change in full
        if change.index < each.index and change.at > each.before.enqueued_at
    ]
    return len(waited)


def a_lower_limit_starts_and_stops_nothing(h: History) -> int:
    """From the fence of a change on, nothing enters a ledger above the limit.

    The judge sees that no slot is freed while its work runs.
    """
    written: dict[str, int] = {}
    in_force: dict[str, int] = {}
    above = 0
    for each in h.changes:
        if isinstance(each.after, Config):
            written[each.after.pool] = each.after.limit
        elif isinstance(each.before, Ledger) and isinstance(each.after, Ledger):
            pool = each.after.pool
            if (
                each.before.committed_by == each.after.committed_by
                and each.before.holder == each.after.holder
            ):
                in_force[pool] = written.get(pool, limits.PARALLELISM_DEFAULT)
            limit = max(in_force.get(pool, limits.PARALLELISM_DEFAULT), written.get(pool, 0))
            if len(each.before.entries) > limit:
                above += 1
                assert (
                    each.after.entries.keys() <= each.before.entries.keys()
                    or len(each.after.entries) <= limit
                )
    return above


def was_made_to_be_ended(change: WorkChange) -> bool:
    """True of a start that its worker never made, so that recovery made and ended it at once."""
    return change.before.started_at == change.before.deadline == change.at


def recovery_waits_for_the_deadline_and_acts_once(h: History) -> int:
    recovered = [
        EntryKey(event.work_id, event.start)
        for event in h.facts
        if isinstance(event, events.Recovered)
    ]
    for key in recovered:
        told = [
            each
            for each in h.works
            if each.after.id == key.work_id
            and each.before.starts == key.start
            and each.before.state is State.RUNNING
        ]
        over = [each for each in told if each.after.state is not State.RUNNING]
        assert len(over) == 1
        assert over[0].at > (over[0].before.deadline or 0) or was_made_to_be_ended(over[0])
        assert recovered.count(key) == 1
    return len(recovered)


def a_lost_start_with_attempts_left_is_followed_by_another(h: History) -> int:
    recovered = {
        EntryKey(event.work_id, event.start)
        for event in h.facts
        if isinstance(event, events.Recovered)
    }
    again = [
        each for each in h.retries if EntryKey(each.before.id, each.before.starts) in recovered
    ]
    for each in again:
        assert (
            h.final(each.after.id).starts > each.before.starts
            or h.final(each.after.id).outcome is Outcome.CANCELED
        )
    return len(again)


def recovery_leaves_what_reported_alone(h: History) -> int:
    """A start whose report lies there is settled by it, and not recovered afterwards."""
    recovered = {
        EntryKey(event.work_id, event.start)
        for event in h.facts
        if isinstance(event, events.Recovered)
    }
    reported = [
        EntryKey(each.before.id, each.before.starts)
        for each in h.works
        if each.before.state is State.RUNNING
        and each.after.state is not State.RUNNING
        and each.at <= (each.before.deadline or 0)
        and not was_made_to_be_ended(each)
    ]
    assert recovered.isdisjoint(reported)
    return len(reported) if recovered else 0


def a_callback_tells_a_lost_start_once_if_wanted(h: History) -> int:
    lost = [
        each
        for each in h.ends
        if each.after.error_type == "no_report" and each.after.spec.callback_target is not None
    ]
    for each in lost:
        told = [index for index, work_id in h.judge.tellings if work_id == each.after.id]
        wanted = Outcome.FAILED in each.after.spec.callback_outcomes
        assert bool(told) is wanted
        assert all(index > each.index for index in told)
    return len(lost)


def every_pointer_is_spent(h: History) -> int:
    """Also one to a work item in flight, over or canceled. In the end the next loop would see each one."""
    made = {each.after.at for each in h.changes if isinstance(each.after, Pointer)}
    if h.run.scenario.hourly_look or not h.run.faults:
        seen_next = min(
            (
                deep_low(mark.work_cursor, mark.deep_at)
                for ledger in last_ledgers(h)
                for mark in ledger.shards
            ),
            default="",
        )
        assert {at for at in h.pointers_left if at < seen_next} == set(), str(h.run.scenario)
    return len(made)


def a_killed_loop_is_gone_on_from(h: History) -> int:
    killed = sum(h.run.faults[str(kind)] for kind in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER))
    in_loop = [line for line in h.run.trace if " workpool-loop#" in line and "** crash" in line]
    assert len(in_loop) <= killed
    for work_id in h.judge.acknowledged if in_loop else ():
        assert h.final(work_id).state is State.FINISHED
    return len(in_loop)


def a_superseded_loop_changes_nothing(h: History) -> int:
    for _, before, after in h.ledgers:
        assert after.generation >= before.generation
        assert after.generation > before.generation or after.holder == before.holder
        assert after.version == before.version + 1
    return len([event for event in h.facts if isinstance(event, events.LoopFenced)])


def a_pool_ends_idle(h: History) -> int:
    last = {
        change.after.pool: after
        for change, _, after in h.statuses
        if isinstance(change.after, LoopStatus)
    }
    assert all(status.state is LoopState.IDLE for status in last.values())
    return len(last)


def the_watchdog_acts_only_where_nobody_is(h: History) -> int:
    """Never against a live lease, and on one pool no more than once a minute.

    A kick after it has set the deployed limit is no rescue, and may come with each deployment.
    """
    deployed = {
        (event.pool, event.generation)
        for event in h.run.facts
        if isinstance(event, events.Kicked) and event.reason is KickReason.CONFIGURE
    }
    acted: dict[str, list[Change]] = {}
    for change, before, after in h.statuses:
        if (
            change.writer.startswith("workpool-watchdog")
            and after.generation == before.generation + 1
        ):
            assert (
                before.state is not LoopState.RUNNING or before.lease_until <= change.at + SKEW_MS
            )
            if (after.pool, after.generation) not in deployed:
                acted.setdefault(after.pool, []).append(change)
    if not (
        h.run.faults[Fault.FROZEN] or h.run.faults[Fault.WRITE_LATE]
    ):  # which has a tick act late
        for changes in acted.values():
            assert all(later.at - earlier.at >= 55_000 for earlier, later in pairwise(changes))
    return sum(map(len, acted.values()))


def an_earlier_work_ends_a_wait(h: History) -> int:
    """A kick that finds the loop waiting for later takes the next generation."""
    waits = [
        (before, after)
        for change, before, after in h.statuses
        if before.state is LoopState.WAITING
        and after.state is LoopState.RUNNING
        and not change.writer.startswith("workpool-")
    ]
    assert all(after.generation == before.generation + 1 for before, after in waits)
    return len(waits)


def pools_do_not_interfere(h: History) -> int:
    if len(h.run.scenario.pools) < 2:
        return 0
    for ledger in (each.after for each in h.changes if isinstance(each.after, Ledger)):
        assert all(h.judge.works[key.work_id].pool == ledger.pool for key in ledger.entries)
    return len({work.pool for work in h.judge.works.values()}) - 1


def the_watchdog_knows_a_pool_before_its_loop_runs(h: History) -> int:
    counted = 0
    for plan in h.run.scenario.pools:
        first = next(
            (
                each.index
                for each in h.changes
                if isinstance(each.after, LoopStatus) and each.after.pool == plan.name
            ),
            None,
        )
        if first is not None:
            known = [
                each.index
                for each in h.changes
                if type(each.after).__name__ == "Registration"
                and getattr(each.after, "pool", None) == plan.name
            ]
            assert known
            assert known[0] < first
            counted += 1
    return counted


def each_generation_starts_one_loop_at_most(h: History) -> int:
    """However many kick at one time."""
    won = [
        (after.pool, after.generation)
        for _, before, after in h.statuses
        if after.generation > before.generation
    ]
    assert len(won) == len(set(won))
    for _, before, after in h.statuses:
        assert after.generation in {before.generation, before.generation + 1}
    return len(won)


def a_live_loop_is_not_doubled(h: History) -> int:
    """A kick beside a live loop, or beside one that is on its way, changes nothing."""
    kicks = [
        (change, before)
        for change, before, after in h.statuses
        if after.generation > before.generation and not change.writer.startswith("workpool-loop")
    ]
    for change, before in kicks:
        assert before.state is not LoopState.RUNNING or before.lease_until <= change.at + SKEW_MS
    return len(kicks)


def acknowledged_work_was_pending_first(h: History) -> int:
    put = {
        each.after.id: each.after
        for each in h.changes
        if each.before is None and isinstance(each.after, WorkItem)
    }
    for work_id in h.judge.acknowledged:
        work = put[work_id]
        assert (work.state, work.attempts_made, work.starts) == (State.PENDING, 0, 0)
    return len(h.judge.acknowledged)


def the_last_attempt_is_final(h: History) -> int:
    last = [
        each
        for each in h.ends
        if each.before.spec.retry is not None
        and each.after.attempts_made == each.before.spec.retry.max_attempts
    ]
    assert all(
        each.after.outcome is not None and h.final(each.after.id).starts == each.after.starts
        for each in last
    )
    return len([each for each in last if each.after.outcome is Outcome.FAILED])


def a_callback_tells_what_happened(h: History) -> int:
    """The judge compares kind and context. Here it came after the end, and for work items with a target."""
    for index, work_id in h.judge.tellings:
        end = next(each for each in h.ends if each.after.id == work_id)
        assert end.index < index
        assert end.after.outcome in end.after.spec.callback_outcomes
    return len(h.judge.tellings)


SHOWN: list[tuple[Property, tuple[str, ...]]] = [
    (due_work_starts_once, ("SM01", "LP01")),
    (a_retry_starts_like_new_work, ("SM02",)),
    (a_success_frees_its_slot_and_stays, ("SM03", "SM11", "LP02", "CP01")),
    (a_failure_frees_its_slot_and_stays, ("SM04", "SM13", "LP03")),
    (a_retry_is_one_step, ("SM05", "SM12", "LP10")),
    (a_retry_waits_for_its_time_and_holds_no_slot, ("SM40",)),
    (a_canceled_pending_work_never_runs, ("SM06", "SM20", "LP12")),
    (canceling_pending_work_frees_no_slot, ("SM14",)),
    (a_request_leaves_the_work_running, ("SM07", "SM21", "LP13")),
    (asked_to_cancel_and_failed_is_not_tried_again, ("SM08", "LP11")),
    (a_success_after_a_request_is_a_success, ("SM15",)),
    (a_pass_writes_only_what_it_changed, ("SM09",)),
    (each_start_is_recorded_once, ("SM18", "SM34")),
    (a_report_of_an_earlier_start_changes_nothing, ("SM16", "SM19", "CP11")),
    (a_repeated_report_keeps_the_first_end, ("CP12",)),
    (two_cancels_are_one, ("SM24", "SM38", "LB07")),
    (a_cancel_after_the_end_changes_nothing, ("SM39", "LP14")),
    (a_freed_slot_is_taken_in_the_same_pass, ("SM35",)),
    (several_start_in_one_pass, ("LP04",)),
    (retries_are_settled_together, ("SM36",)),
    (the_limit_holds_at_every_commit, ("LP07", "LP08", "OL07")),
    (a_lower_limit_starts_and_stops_nothing, ("LP09",)),
    (recovery_waits_for_the_deadline_and_acts_once, ("RC04", "RC05", "RC09", "LP21")),
    (a_lost_start_with_attempts_left_is_followed_by_another, ("SM30",)),
    (recovery_leaves_what_reported_alone, ("SM26", "RC02", "SM27", "SM31")),
    (a_callback_tells_a_lost_start_once_if_wanted, ("RC01",)),
    (every_pointer_is_spent, ("SM33",)),
    (a_killed_loop_is_gone_on_from, ("SM41",)),
    (a_superseded_loop_changes_nothing, ("BW09", "OL09", "OL10")),
    (a_pool_ends_idle, ("LP15", "OL01", "BW23", "BW16")),
    (the_watchdog_acts_only_where_nobody_is, ("BW15", "BW17", "BW20")),
    (an_earlier_work_ends_a_wait, ("BW10", "OK03")),
    (pools_do_not_interfere, ("BW22",)),
    (the_watchdog_knows_a_pool_before_its_loop_runs, ("BW01",)),
    (each_generation_starts_one_loop_at_most, ("BW14", "OK08", "OK10")),
    (a_live_loop_is_not_doubled, ("BW03", "BW13", "OK02")),
    (acknowledged_work_was_pending_first, ("LB03",)),
    (the_last_attempt_is_final, ("CP05",)),
    (a_callback_tells_what_happened, ("CP09",)),
]


@pytest.mark.peer(*(row for _, rows in SHOWN for row in rows))
def test_properties_hold_in_every_history() -> None:
    """One test: a history is made once for all of them."""
    occurred: Counter[str] = Counter()
    for seed in SEEDS:
        history = history_of(seed)
        assert history.run.violation is None, history.run.report()
        occurred.update({holds.__name__: holds(history) for holds, _ in SHOWN})

    assert [name for name, count in occurred.items() if count < OCCURS_MIN] == []

"""Mutants of groups: each end is counted once, before it is forgotten, and the last one is followed once."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Edit, Mutant, edit

__all__ = ["GROUP_GUARDS"]

_DECISION: Final = "tests/unit/core/test_group_decision.py::"
_COUNTING: Final = "tests/integration/test_counting_groups.py::"
_ACCEPTANCE: Final = "tests/acceptance/test_api_groups.py::"

_AFTER_COMMIT: Final = Edit(
    "flow.loop.run_pass:_Pass.run",
    (
        (
            "groups = count_groups(session, inputs, settled, checked)",
            'groups = __import__("workpool_aws.flow.loop.groups", fromlist=["_"]).GroupsCounted()',
        ),
        (
            "results = apply_after(session, plan)",
            """
late = __import__("workpool_aws.flow.loop.groups", fromlist=["_"])
for work in count_groups(session, inputs, settled, checked).follow_ups:
    late.put_end(ports, work, owes_callback=True)
results = apply_after(session, plan)
""",
        ),
    ),
)


def _guard(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(name=name, rule=rule, edits=(edit(where, old, new),), cases=(case,))


GROUP_GUARDS: Final = (
    Mutant(
        name="count: before the commit",
        rule="WP-19",
        edits=(_AFTER_COMMIT,),
        cases=(f"{_COUNTING}test_end_is_counted_before_commit_that_forgets_it[dies_after]",),
    ),
    _guard(
        "count: by places, no counter",
        "WP-19",
        "core.group.count:decide_count",
        "counts.over >= item.total",
        "counts_in(item.outcomes).over + len(known) >= item.total",
        f"{_DECISION}test_end_that_is_met_again_finishes_nothing",
    ),
    _guard(
        "count: the first outcome of a place stays",
        "WP-19",
        "core.group.count:with_ends",
        "outcome_at(outcomes, place) is None",
        "True",
        f"{_DECISION}test_end_that_was_counted_changes_nothing",
    ),
    _guard(
        "count: the follow-up in one transaction",
        "WP-19",
        "flow.group.count:_Count._write",
        "store.transact([counted.update, Put(follow_up, IsAbsent())])",
        "store.write(counted.update)\nstore.write(Put(follow_up, IsAbsent()))",
        f"{_COUNTING}test_last_ends_and_follow_up_are_one[dies_after]",
    ),
    _guard(
        "count: a finished group is looked at",
        "WP-19",
        "flow.group.count:_Count.carry_out",
        "return self._owed_by(item)",
        "return None",
        f"{_COUNTING}test_last_ends_and_follow_up_are_one[dies_after]",
    ),
    _guard(
        "count: members only",
        "WP-19",
        "core.group.members:place_of",
        "place is not None and place < item.total",
        "place is not None",
        f"{_DECISION}test_end_of_other_work_item_is_not_counted",
    ),
    _guard(
        "count: what a notice tells",
        "WP-19",
        "flow.report.complete:_Completion._after_end",
        "finished.group_end if isinstance(finished, WorkItem) else None",
        "None",
        f"{_ACCEPTANCE}test_group_calls_back_once_when_all_members_are_over[memory]",
    ),
    _guard(
        "count: entries dropped without a notice",
        "WP-19",
        "flow.loop.groups:count_groups",
        "(*checked.dropped, *unknown.values())",
        "(*unknown.values(),)",
        f"{_COUNTING}test_entry_that_is_dropped_without_notice_is_counted",
    ),
    _guard(
        "count: notices of 0.1",
        "WP-19",
        "flow.loop.groups:count_groups",
        "(*checked.dropped, *unknown.values())",
        "(*checked.dropped,)",
        f"{_COUNTING}test_notice_of_first_version_is_looked_up",
    ),
    _guard(
        "count: what ended before a start",
        "WP-19",
        "flow.work.end:refusal",
        "decision.needs_notice",
        "decision.owes_callback",
        f"{_ACCEPTANCE}test_members_that_end_while_they_are_pending_are_counted",
    ),
    _guard(
        "count: such a notice has no TTL",
        "WP-19",
        "core.loop.groups:ends_among",
        "notice.group is not None and notice.awaits_loop",
        "False",
        f"{_DECISION}test_pass_counts_what_freed_slot_and_what_awaits_it",
    ),
    _guard(
        "count: spent notices are deleted",
        "WP-23",
        "core.loop.plan:Findings.forgets",
        "self.counted",
        "()",
        f"{_COUNTING}test_canceler_that_dies_before_its_kick_is_found_by_watchdog",
    ),
    _guard(
        "look after resting: ends of members",
        "WP-24",
        "flow.loop.rest:_Resting._notices_there",
        "end_is_uncounted(notices.records)",
        "False",
        f"{_COUNTING}test_end_that_is_told_while_loop_goes_idle_is_counted",
    ),
    _guard(
        "watchdog: ends of members",
        "WP-27",
        "flow.watchdog.watch:_PoolCheck._left_to_do",
        "end_is_uncounted(reports.records)",
        "False",
        f"{_COUNTING}test_canceler_that_dies_before_its_kick_is_found_by_watchdog",
    ),
    _guard(
        "audit: ends of members",
        "WP-19",
        "flow.watchdog.audit:_Audit.owe_again",
        "row.record.awaits_loop",
        "row.record.callback is not None",
        f"{_COUNTING}test_hourly_look_finds_end_behind_cursor[1767229200000-True]",
    ),
    _guard(
        "rebuilt ledger: ends of members",
        "WP-19",
        "flow.loop.repair:rebuild",
        "by_group(seen)",
        "{}",
        f"{_COUNTING}test_rebuilt_ledger_counts_what_its_notices_told",
    ),
    _guard(
        "follow-up: waits where the ledger is full",
        "WP-8",
        "flow.loop.groups:count_groups",
        "follow_ups[room:]",
        "()",
        f"{_COUNTING}test_callback_that_finds_no_room_waits_in_notice",
    ),
    _guard(
        "redrive: no member again",
        "WP-19",
        "core.work.redrive:decide_redrive",
        "group=None",
        "group=old.spec.group",
        f"{_ACCEPTANCE}test_redriven_member_is_not_counted_again",
    ),
    _guard(
        "members: never under other ids",
        "WP-19",
        "flow.work.enqueue:_Enqueue.run",
        "seen.epoch != works[0].epoch and not self.members",
        "seen.epoch != works[0].epoch",
        f"{_COUNTING}test_members_keep_their_ids_when_cancel_all_overtakes_them",
    ),
    _guard(
        "members: in the epoch of now",
        "WP-3",
        "flow.group.enqueue:_Enqueue.run",
        "epoch_of(ports, asked.pool)",
        "0",
        f"{_COUNTING}test_group_after_cancel_all_is_not_covered_by_it",
    ),
    _guard(
        "members: a late one is pointed at",
        "WP-3",
        "flow.work.enqueue:_is_taken",
        "current.state is not State.PENDING or current.starts > 0",
        "True",
        f"{_COUNTING}test_member_whose_put_was_late_is_pointed_at_by_same_call",
    ),
    _guard(
        "members: a place that was given up stays empty",
        "WP-19",
        "flow.group.cancel:_Cancel._prevent",
        "Put(void, IsAbsent())",
        "Put(self._notice(work_id, Outcome.CANCELED, self.ports.clock.now()))",
        f"{_COUNTING}test_place_that_was_given_up_stays_empty",
    ),
    _guard(
        "members: kept for a day",
        "WP-19",
        "api.groups:PoolGroups._members_of",
        "max(spec.retention_s, limits.GROUP_RETENTION_S_MIN)",
        "spec.retention_s",
        f"{_ACCEPTANCE}test_group_expires_with_its_members",
    ),
    _guard(
        "group: one id, one request",
        "WP-19",
        "flow.group.enqueue:_Enqueue._put",
        "(current.total, current.digest) != (asked.total, asked.digest)",
        "False",
        f"{_ACCEPTANCE}test_id_of_another_request_is_refused[arguments]",
    ),
    _guard(
        "cancel: what was told to no loop",
        "WP-19",
        "flow.group.cancel:_Cancel._end",
        "answer is CancelAnswer.FINISHED and lost is not None",
        "False",
        f"{_COUNTING}test_cancel_counts_member_whose_end_was_told_to_no_loop",
    ),
)

"""Mutants of schedules: no occurrence is lost or doubled."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit

__all__ = ["SCHEDULE_GUARDS"]

_DECISION: Final = "tests/unit/core/test_schedule_decision.py::"
_ACCEPTANCE: Final = "tests/acceptance/test_api_schedules.py::"


def _guard(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(name=name, rule=rule, edits=(edit(where, old, new),), cases=(case,))


SCHEDULE_GUARDS: Final = (
    _guard(
        "fire: one occurrence has one id",
        "WP-18",
        "core.schedule.fire:_digest",
        "item.born",
        "item.name",
        f"{_DECISION}test_same_occurrence_has_same_id_and_another_birth_another",
    ),
    _guard(
        "fire: a paused schedule is left alone",
        "WP-18",
        "core.schedule.fire:decide_fire",
        "if item.paused:",
        "if False:",
        f"{_DECISION}test_fire_names_occurrence_that_it_has_read",
    ),
    _guard(
        "change: what is near stays",
        "WP-18",
        "core.schedule.change:_stays",
        "now - limits.GRACE_MS <= old.next_at <= now + limits.EDIT_MARGIN_MS",
        "False",
        f"{_ACCEPTANCE}test_change_leaves_what_is_due_within_two_minutes",
    ),
    _guard(
        "change: what fell due before it landed is counted",
        "WP-18",
        "core.schedule.change:dropped_by",
        "if not changed or dropped <= 0:",
        "if True:",
        f"{_DECISION}test_what_fell_due_before_change_landed_is_counted",
    ),
    _guard(
        "pause: what is due is counted",
        "WP-18",
        "core.schedule.change:paused",
        "item.missed + _due_and_left(item, now)",
        "item.missed",
        f"{_DECISION}test_pause_counts_what_is_due_and_resume_goes_on_from_now",
    ),
    _guard(
        "fire: the last ones of a step may be worth a catch-up",
        "WP-18",
        "core.schedule.fire:_Occurrences._caught_up",
        "min(len(late), len(due.times) - limits.CATCH_UP_MAX)",
        "len(late)",
        f"{_DECISION}test_so_many_of_expression_are_counted_that_last_ones_stay",
    ),
    _guard(
        "change: one that waits is counted",
        "WP-18",
        "core.schedule.change:defined",
        "old.skipped + 1",
        "old.skipped",
        f"{_ACCEPTANCE}test_occurrence_that_waits_is_counted_by_change_of_overlap[allow]",
    ),
    _guard(
        "change: what the old timing had due is counted",
        "WP-18",
        "core.schedule.change:defined",
        "old.missed + _due_and_left(old, now)",
        "old.missed",
        f"{_ACCEPTANCE}test_pause_and_edit_count_all_that_fell_due_in_down_time",
    ),
    _guard(
        "change: of several that are due the others are counted",
        "WP-18",
        "core.schedule.change:_stays",
        "not near or old.next_at > now",
        "True",
        f"{_ACCEPTANCE}test_change_of_timing_keeps_latest_of_those_due_and_counts_others",
    ),
    _guard(
        "change: what the old timing had due before it landed is counted",
        "WP-18",
        "core.schedule.change:dropped_by",
        "new.timing != old.timing",
        "False",
        f"{_DECISION}test_what_fell_due_before_change_landed_is_counted",
    ),
    _guard(
        "change: an overdue occurrence does not stay",
        "WP-18",
        "core.schedule.change:_stays",
        "now - limits.GRACE_MS <= old.next_at <= now + limits.EDIT_MARGIN_MS",
        "old.next_at <= now + limits.EDIT_MARGIN_MS",
        f"{_ACCEPTANCE}test_pause_and_edit_count_all_that_fell_due_in_down_time",
    ),
    _guard(
        "tick: the next one is in the same transaction",
        "WP-26",
        "flow.schedule.fire:_Firing._transact",
        "if tick is not None:",
        "if False:",
        f"{_ACCEPTANCE}test_schedule_enqueues_each_hour[memory]",
    ),
    _guard(
        "audit: schedules without a tick",
        "WP-26",
        "flow.watchdog.audit:audit_pool",
        "if audit.tick_again():",
        "if False:",
        f"{_ACCEPTANCE}test_schedule_without_its_tick_is_repaired_within_hour",
    ),
    _guard(
        "queue one: the end of a work item is told",
        "WP-26",
        "flow.visibility:notify_schedule",
        "work.state is State.FINISHED",
        "False",
        f"{_ACCEPTANCE}test_occurrences_overlap_as_asked[queue_one-2-1]",
    ),
)

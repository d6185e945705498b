"""Mutants of unique keys and requests [WP-16] [WP-17]."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit

__all__ = ["UNIQUE_GUARDS"]

_DECISION: Final = "unit/core/test_unique_decision.py::"
_ACCEPTANCE: Final = "acceptance/test_api_unique.py::"


def _guard(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(
        name=name, rule=rule, edits=(edit(where, old, new),), cases=(f"tests/{case}",), world="keys"
    )


UNIQUE_GUARDS: Final[tuple[Mutant, ...]] = (
    _guard(
        "key: put if absent",
        "WP-16",
        "core.work.unique:decide_lock",
        "Put(new, IsAbsent())",
        "Put(new)",
        f"{_DECISION}test_lock_is_put_only_where_there_is_none",
    ),
    _guard(
        "key: taken over as it was read",
        "WP-16",
        "core.work.unique:decide_lock",
        'Put(new, Is("work_id", lock.work_id))',
        "Put(new)",
        f"{_ACCEPTANCE}test_transaction_is_stale_when_another_takes_the_key[memory]",
    ),
    _guard(
        "key: a called-off holder is canceled",
        "WP-16",
        "core.work.unique:decide_lock",
        "Free(free.put, called_off=holder, only_if=is_older(config))",
        "free",
        f"{_ACCEPTANCE}test_key_of_called_off_work_item_is_taken_and_that_one_never_starts[memory]",
    ),
    _guard(
        "key: held until its work item is finished",
        "WP-16",
        "core.work.unique:holds",
        "unique.until_started and work.starts > 0",
        "work.starts > 0",
        f"{_DECISION}test_key_is_held_by_progress_of_its_work_item",
    ),
    _guard(
        "key: a takeover keeps no time to live",
        "WP-16",
        "core.work.unique:decide_lock",
        "None if until is None else until // 1000 + limits.LOCK_KEPT_S",
        "1 if until is None else until // 1000 + limits.LOCK_KEPT_S",
        f"{_DECISION}test_lock_of_what_is_over_is_taken_as_it_was_read",
    ),
    _guard(
        "key: a redrive takes it",
        "WP-16",
        "flow.work.redrive:_Redrives._commit",
        "take_key(self.ports, work, self.epoch)",
        "None",
        f"{_ACCEPTANCE}test_redrive_takes_the_key_or_is_refused[memory]",
    ),
    _guard(
        "key: a schedule takes it",
        "WP-16",
        "flow.schedule.fire:_look",
        "None if item.spec.unique is None else 1",
        "None",
        f"{_ACCEPTANCE}test_schedule_with_a_key_catches_up_with_its_latest_occurrence_alone",
    ),
    _guard(
        "key: a transaction checks that it is held",
        "WP-16",
        "flow.work.arrange:_Arranging._at_held_key",
        "(still_held(held),)",
        "()",
        f"{_ACCEPTANCE}test_transaction_is_stale_when_the_key_changes_hands_before_its_commit[memory]",
    ),
    _guard(
        "request: the first answer stands",
        "WP-17",
        "flow.work.arrange:_Arranging.run",
        "Put(mark_of(request, work.pool, arranged.work_id), unanswered)",
        "Put(mark_of(request, work.pool, arranged.work_id))",
        f"{_ACCEPTANCE}test_transaction_is_stale_when_its_request_was_answered[memory]",
    ),
    _guard(
        "request: it asks for the same",
        "WP-17",
        "core.work.unique:decide_request",
        "mark.digest != request.digest",
        "False",
        f"{_DECISION}test_request_is_new_known_or_another_one",
    ),
    _guard(
        "request: a held key is its answer, too",
        "WP-17",
        "flow.work.arrange:_Arranging.run",
        "replace(arranged, locks=(new, *arranged.locks), answered=False)",
        "arranged",
        f"{_ACCEPTANCE}test_request_that_met_a_held_key_stays_with_that_answer[memory]",
    ),
    _guard(
        "replace: no permit is left",
        "WP-16",
        "core.work.replace:_replacing_write",
        '"permit": None,',
        "",
        f"{_DECISION}test_replacement_changes_arguments_and_due_time_and_voids_the_permit",
    ),
    _guard(
        "replace: nothing that runs another function",
        "WP-16",
        "core.work.replace:decide_replacement",
        "or not same",
        "",
        f"{_DECISION}test_what_has_started_or_runs_another_function_is_not_replaced",
    ),
    _guard(
        "replaced: its entry is dropped until it is due",
        "WP-16",
        "core.loop.recover:_judge_pending",
        "if work.rev and work.due_at > now:",
        "if False:",
        f"{_DECISION}test_entry_whose_work_item_was_replaced_is_dropped_with_a_pointer_until_it_is_due",
    ),
    _guard(
        "replaced: its worker asks for a check",
        "WP-21",
        "core.report.claim:left_unmade",
        "ended_unstarted(work, a) or _was_replaced(work, a)",
        "ended_unstarted(work, a)",
        f"{_DECISION}test_start_of_replaced_work_item_is_left_unmade_and_checked",
    ),
    _guard(
        "postponed: a pointer before the cursor passes",
        "WP-16",
        "flow.loop.run_pass:_Pass.run",
        "ports.fan_out(lambda work: point_at_postponed(ports, work), choice.postponed)",
        "None",
        f"{_ACCEPTANCE}test_replacement_runs_in_place_of_the_first_and_not_before_its_time[memory]",
    ),
    _guard(
        "postponed: its row is waited for",
        "WP-20",
        "core.loop.gather:gather",
        "time_of(row.sort) if found.postponed else found.due_at",
        "found.due_at",
        f"{_DECISION}test_row_of_postponed_work_item_is_waited_for_and_not_its_due_time",
    ),
)

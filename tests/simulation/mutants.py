"""Lists all guards, with the seeds or named tests that notice when one is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tests.simulation.beat_guards import BEAT_GUARDS
from tests.simulation.call_off_guards import CALL_OFF_GUARDS
from tests.simulation.caller_guards import CALLER_GUARDS
from tests.simulation.condition_guards import CONDITION_GUARDS
from tests.simulation.expiry_guards import EXPIRY_GUARDS
from tests.simulation.group_guards import GROUP_GUARDS
from tests.simulation.guest_guards import GUEST_GUARDS
from tests.simulation.loop_guards import LOOP_GUARDS
from tests.simulation.mutation import Mutant
from tests.simulation.page_guards import PAGE_GUARDS
from tests.simulation.quiet_guards import QUIET_GUARDS
from tests.simulation.rate_guards import RATE_GUARDS
from tests.simulation.run_guards import RUN_GUARDS
from tests.simulation.schedule_guards import SCHEDULE_GUARDS
from tests.simulation.shard_guards import SHARD_GUARDS
from tests.simulation.transaction_guards import TRANSACTION_GUARDS
from tests.simulation.unique_guards import UNIQUE_GUARDS
from tests.simulation.upkeep_guards import UPKEEP_GUARDS

__all__ = ["MUTANTS"]

_QUICK: Final = frozenset(
    {
        "pages: a free slot is gone",
        "pages: each has a name of its own",
        "pages: written before they are named",
        "shards: a put beyond is announced",
        "shards: a resting pool keeps what others may still use",
        "shards: left without work items",
        "shards: those of starts are read",
        "a refused retry ends as canceled",
        "another holder's start is kept",
        "attempts are bounded",
        "buffer",
        "callback sent: callback",
        "callback: acknowledged after the handler",
        "callback: canceled while pending leaves a record",
        "callback: kinds filter",
        "callback: no TTL at finish",
        "callback: spent records are deleted",
        "callback: the loop keeps what it owes",
        "called off: an older epoch",
        "called off: clocks differ",
        "called off: not the epoch of now",
        "cancel all: felt by the loop",
        "drain: its end is committed",
        "guest: due",
        "guest: no rate limit",
        "guest: nothing in flight",
        "guest: the limit in force",
        "guest: the worker makes the start",
        "enqueue: into the epoch",
        "packed ledger: start numbers",
        "chunks: in one transaction with their work",
        "chunks: of a result not before the callback",
        "claim: before user code",
        "classify: due",
        "commit: version",
        "cursor never past the unchosen",
        "deep read",
        "done records by start number",
        "items: set aside where they cannot be read",
        "kick: a lease that ran out",
        "kick: on a change of limits",
        "kick: on completion",
        "kick: on enqueue",
        "kick: saturated only for an enqueue",
        "ledger before start",
        "limit: free slots",
        "limit: slots of unsettled entries",
        "limits: a bump fences",
        "overdue entries are looked at",
        "own write: commit",
        "pace: polls grow slower",
        "promise: the loop stays up",
        "put Ledger: absent",
        "recovery counts a start that may have run",
        "recovery trusts the item's deadline",
        "recovery: unclaimed and known to claim",
        "rate: a start needs a token",
        "rate: committed with the starts",
        "rate: remembered by its holder",
        "rate: retries are starts",
        "rest: near works",
        "rest: no wake, not idle",
        "rest: wakes for deadlines",
        "retry: cancel_requested",
        "take hold: generation",
        "wake before status",
        "watchdog: leases",
        "watchdog: wake-ups that passed",
    }
)
"""Noticed within the first seeds."""

_BY_SEEDS: Final = frozenset(
    {
        "shards: left only when callers leave them",
        "shards: left without starts in flight",
        "shards: the status is read after the announcement",
        "a failed start keeps its entry",
        "late rule",
        "callback: sent is looked at again",
        "callback: held while sent",
        "no second invoke after no answer",
        "cancel: state",
        "claim: claim",
        "claim: confirmed by an answer",
        "claim: refused does not run",
        "claim: state",
        "drop: the callback is taken over",
        "handed over before Lambda's end",
        "never delivered ends",
        "no answer to a commit: read again",
        "own write: claim is another's",
        "recovery's margin: both",
        "retry: state",
    }
)
"""Noticed by some of the first hundreds of seeds."""

_CASES: Final[dict[str, dict[str, str]]] = {
    "tests/acceptance/test_api_cancel_all.py": {
        "redrive: into the epoch": "test_redriven_failure_is_work_of_after",
    },
    "tests/integration/test_acknowledging.py": {
        "own write: kick": "test_kick_that_sdk_repeated_is_its_own",
        "kick: one invoke a generation": "test_kick_loses_to_loop_that_renewed_its_lease",
    },
    "tests/integration/test_auditing.py": {
        "watchdog: callbacks out of sight": "test_hourly_look_finds_callback_behind_cursor",
        "watchdog: across a full hour": "test_hourly_look_finds_what_landed_late_across_hour_before",
        "watchdog: the hourly look": "test_hourly_look_covers_last_hour",
    },
    "tests/integration/test_callback_faults.py": {
        "callback: the report says that it is owed": "test_owed_callbacks_are_all_settled_at_rest",
        "watchdog: owed callbacks": "test_canceller_that_dies_before_its_kick_is_found_by_watchdog",
        "watchdog: owed callbacks in records": "test_canceller_that_dies_before_its_kick_is_found_by_watchdog",
        "callback: a second report sends it": "test_broken_target_does_not_hold_up_works_or_other_callbacks",
        "callback: held after a try that failed": "test_broken_target_does_not_hold_up_works_or_other_callbacks",
        "look after resting: callbacks": "test_callback_that_is_owed_while_loop_goes_idle_is_sent",
        "callback: no TTL of its record": "test_record_that_owes_callback_carries_no_time_to_live",
    },
    "tests/integration/test_callback_storms.py": {
        "callback: record spent after the commit": "test_callbacks_of_all_works_arrive_in_storm_before_they_expire",
    },
    "tests/integration/test_canceling.py": {
        "own write: cancel": "test_cancel_by_another_caller_is_answered_as_such",
        "late rule: canceled with a callback": "test_record_of_cancel_that_was_late_is_put_again",
        "kick: on cancel": "test_cancel_that_owes_callback_starts_resting_loop",
        "classify: not canceled": "test_pending_work_with_requested_cancel_is_not_begun",
        "begin only what is not canceled": "test_pending_work_with_requested_cancel_is_not_begun",
    },
    "tests/integration/test_canceling_all.py": {
        "called off: not what is plainly younger": "test_young_work_with_old_epoch_runs",
        "called off: canceled when it is due": "test_straggler_is_canceled_when_it_is_due",
        "enqueue: anew if it was canceled": "test_work_that_was_canceled_before_its_caller_was_told_is_enqueued_anew",
        "drain: goes on where it is": "test_loop_that_dies_while_it_drains_is_followed_by_one_that_ends_it",
        "drain: not over before its end": "test_loop_that_dies_while_it_drains_is_followed_by_one_that_ends_it",
        "drain: pointers go, too": "test_works_that_waited_for_far_retry_leave_no_pointer",
        "drain: running works are asked once": "test_works_that_run_are_looked_at_once_however_many_pages_are_canceled",
        "drain: running works are asked": "test_start_committed_before_cancel_all_may_go_out_and_is_asked",
        "watchdog: works to cancel": "test_caller_that_died_on_way_leaves_rest_to_watchdog",
        "cancel all: its time does not go back": "test_cancel_all_by_slow_clock_takes_back_nothing_of_one_before",
    },
    "tests/integration/test_claims.py": {
        "claim: sets the deadline": "test_claim_sets_deadline_to_end_of_its_own_invocation",
        "a second report puts the done record": "test_finish_without_its_report_is_reported_by_next",
        "own write: claim": "test_claim_that_sdk_repeated_is_its_own",
    },
    "tests/integration/test_deploying.py": {
        "deployment: limits before the item": "test_limit_that_was_not_set_is_set_by_next_tick",
        "deployment: a limit is felt by the loop": "test_watchdog_that_died_before_limit_was_felt_is_followed_by_one_that_makes_it_so",
        "deployment: the one that was replaced waits": "test_deployments_of_one_table_do_not_take_turns_each_minute",
        "deployment: over what was read only": "test_limits_in_force_are_those_of_deployment_in_item",
        "deployment: a limit not named any more goes": "test_pool_that_is_not_named_any_more_goes_back_to_its_programs",
        "deployment: overtaken": "test_deployment_that_is_overtaken_leaves_limits_that_item_names",
    },
    "tests/integration/test_enqueueing.py": {
        "own write: enqueue": "test_work_whose_put_was_late_and_repeated_is_pointed_at",
    },
    "tests/integration/test_failed_handlers.py": {
        "callback: the report says that it was sent": "test_handler_that_fails_is_called_again_soon_and_less_and_less_often",
    },
    "tests/integration/test_forged_orders.py": {
        "order: only of the status's generation": "test_order_of_another_generation_changes_nothing_while_loop_runs[1000000]",
        "order: none of a pool that rests": "test_order_of_pool_that_rests_does_not_take_its_ledger_back_either",
        "order: no wake makes a pool": "test_order_of_pool_that_does_not_exist_makes_none[None]",
        "forged generation: taken back": "test_forged_ledger_entries_are_healed_and_reported_once[kick-999999999]",
        "forged generation: by the status's holder only": "test_forged_generation_is_taken_back_by_holder_of_statuss_one_only",
        "forged generation: seen by the watchdog": "test_forged_ledger_entries_are_healed_and_reported_once[watchdog-1000000]",
        "a lease without end is none": "test_lease_without_end_is_none",
        "a row of the registry alone is no pool": "test_rows_of_registry_alone_start_no_loop",
    },
    "tests/integration/test_holding.py": {
        "holder is looked at after a lost commit": "test_commit_names_its_holder",
        "a new holder looks at unconfirmed entries": "test_new_holder_starts_what_was_committed_and_never_started",
        "an adopted ledger is looked at": "test_commit_whose_answer_was_lost_is_its_own",
        "own write: status": "test_status_write_whose_answer_was_lost_is_its_own",
        "own write: status is another's": "test_status_write_of_older_generation_is_fenced_off",
        "own write: take hold": "test_taking_hold_whose_answer_was_lost_is_its_own",
        "take hold: by the first pass, whatever it finds": "test_loop_with_nothing_to_do_takes_hold_all_the_same",
        "take hold: after a first commit that failed": "test_first_commit_that_did_not_land_is_made_by_holder",
        "take hold: once the first commit has landed": "test_first_commit_whose_answer_was_lost_is_its_own",
        "own write: take hold is another's": "test_second_delivery_does_nothing_beside_first",
    },
    "tests/integration/test_hostile_control.py": {
        "rebuilt ledger: what runs": "test_damaged_ledger_is_made_anew_with_all_that_runs",
        "rebuilt ledger: what is owed": "test_damaged_ledger_is_made_anew_with_all_that_runs",
        "damaged ledger: seen by the watchdog": "test_damaged_ledger_of_resting_pool_is_made_anew_by_next_tick",
        "damaged config: nothing starts": "test_pool_whose_config_is_damaged_starts_nothing_and_spins_nowhere",
        "turns: each pool its share": "test_slow_pool_takes_its_share_of_tick_and_no_more",
        "turns: another order each tick": "test_every_pool_comes_first_in_some_tick_before_long",
    },
    "tests/integration/test_large_callbacks.py": {
        "chunks: when the callback was marked": "test_context_and_result_arrive_whole_and_expire_with_their_work",
        "chunks: when the loop forgets a callback": "test_context_and_result_arrive_whole_and_expire_with_their_work",
    },
    "tests/integration/test_large_payloads.py": {
        "chunks: of arguments expire at the end": "test_chunks_expire_with_their_work_and_not_before",
        "chunks: of a canceled end": "test_canceled_attempt_takes_its_arguments_along",
        "chunks: of a canceled work": "test_canceled_work_lets_its_arguments_expire",
        "chunks: missing arguments end the work": "test_removed_arguments_fail_only_their_own_work",
        "chunks: read before they are sent": "test_arguments_of_any_size_arrive_whole",
    },
    "tests/integration/test_late_writes.py": {
        "cursor overlap": "test_cursor_stays_little_behind_clock",
        "cursor back to a retry's pointer": "test_cursor_goes_back_to_pointer_of_retry",
        "deep read from the last one": "test_work_that_landed_late_while_every_slot_was_taken_is_found",
        "deep read moves only when read": "test_work_that_landed_late_while_every_slot_was_taken_is_found",
        "deep read of done records": "test_done_record_that_becomes_visible_late_is_settled",
        "done cursor never past now": "test_done_cursor_never_passes_now",
        "begin only the start number that fits": "test_dropped_entry_whose_work_waits_gets_fresh_pointer",
        "drop: a fresh pointer": "test_dropped_entry_whose_work_waits_gets_fresh_pointer",
        "late rule": "test_work_that_becomes_visible_late_is_started",
        "late rule: works": "test_work_that_becomes_visible_late_is_started",
        "late rule: pointers": "test_retry_whose_transaction_was_late_is_proven_too",
        "late rule: done records": "test_retry_whose_transaction_was_late_is_proven_too",
        "late rule: looks again": "test_pointer_that_is_late_itself_is_written_again",
    },
    "tests/integration/test_ledger_formats.py": {
        "packed ledger: the format before": "test_ledger_of_version_before_still_fills_its_slots",
    },
    "tests/integration/test_limits_in_force.py": {
        "config read again after a bump": "test_pause_between_pass_and_its_commit_is_minded",
        "own write: config": "test_change_that_sdk_repeated_is_its_own",
    },
    "tests/integration/test_lookahead.py": {
        "rest: looks past what is over": "test_pool_does_not_wait_for_works_that_are_over",
    },
    "tests/integration/test_order_of_starts.py": {
        "classify: not by the row that it has left": "test_retried_work_items_hide_none_that_was_due_earlier",
        "order: by due time, not by key": "test_work_item_whose_pointer_was_written_late_keeps_its_turn",
    },
    "tests/integration/test_pacing.py": {
        "pace: without progress it slows down": "test_loop_that_achieves_nothing_slows_down_and_says_so",
        "pace: without answers it gives up": "test_loop_that_gets_no_answer_again_and_again_gives_up",
    },
    "tests/integration/test_payload_crashes.py": {
        "chunks: of a second report": "test_call_that_goes_wrong_loses_nothing_and_leaves_nothing",
    },
    "tests/integration/test_proofs.py": {
        "a repeated report proves itself": "test_repeated_report_of_finished_start_must_prove_itself_too",
        "the stored work item decides": "test_report_is_judged_by_stored_work_item",
    },
    "tests/integration/test_recovering.py": {
        "no second invoke of a sent start": "test_strangers_report_is_used_at_claims_deadline",
        "a foreign failure is kept as a suspicion": "test_strangers_report_is_used_at_claims_deadline",
        "recovery's margin: entries": "test_start_past_its_deadline_is_not_looked_at_before_margin_is_over",
        "holder: looks again at what it read again": "test_strangers_report_survives_change[of limits]",
        "holder: looks again in its next generation": "test_strangers_report_survives_change[of generation]",
        "recovery suspects nothing": "test_recovery_changes_nothing_that_changed_since_it_looked",
    },
    "tests/integration/test_redriving_callbacks.py": {
        "redeliver: a record tells the loop": "test_dead_callback_is_delivered_again_whatever_outcome",
        "redeliver: a failure stays a dead letter": "test_all_dead_letters_are_redriven_and_failure_stays_one_for_its_own_sake",
        "redeliver: its record is in time": "test_record_of_redelivery_that_was_late_is_put_again",
    },
    "tests/integration/test_redriving_works.py": {
        "late rule: redriven works": "test_redriven_work_whose_transaction_was_late_is_pointed_at",
        "late rule: a redrive that was made before": "test_second_redrive_points_at_what_first_one_made",
        "kick: on redrive": "test_redrive_starts_resting_loop",
        "redrive: large inputs are copied": "test_target_is_notified_of_both_ends_with_same_context",
    },
    "tests/integration/test_registering.py": {
        "registration before status": "test_pool_that_was_configured_first_is_known_to_watchdog",
    },
    "tests/integration/test_resting.py": {
        "look after resting": "test_work_stored_while_loop_goes_idle_is_found",
        "look after resting: config": "test_resume_that_is_stored_while_loop_begins_to_wait_is_seen",
        "look after resting: done records": "test_report_that_is_stored_while_loop_begins_to_wait_is_settled",
        "look after resting: looks asked for": "test_look_that_is_asked_for_while_loop_begins_to_wait_is_taken",
        "look after resting: works": "test_work_stored_while_loop_goes_idle_is_found",
        "look after resting: works due later": "test_work_stored_while_loop_goes_idle_is_found",
        "look after resting: back over the buffer": "test_work_stored_while_loop_goes_idle_is_found",
        "a loop gone idle forgets its wake": "test_far_wake_that_is_of_no_use_any_more_is_forgotten",
        "lease renewed": "test_pool_whose_works_are_over_does_nothing_at_all",
        "promise: clocks differ": "test_completion_relies_on_promise_less_clocks_difference",
        "kick: on a report without effect": "test_resting_loop_is_kicked_by_all_that_it_must_know",
    },
    "tests/integration/test_loop_session.py": {
        "take hold: what is in flight first": "test_ledger_is_taken_by_commit_only_if_nothing_is_in_flight",
    },
    "tests/integration/test_starting.py": {
        "own write: start is another's": "test_start_that_another_holder_made_is_not_sent_again",
        "classify: not in the ledger": "test_entry_that_is_not_understood_keeps_its_work_from_being_chosen",
        "classify: not unconfirmed": "test_entry_that_is_not_understood_keeps_its_work_from_being_chosen",
        "own write: start": "test_start_that_sdk_repeated_is_sent_in_same_pass",
        "a start too old is not sent": "test_loop_that_froze_after_start_write_does_not_send_it_late",
        "expired: a start that may have landed is looked at": "test_start_write_without_answer_is_taken_back_once_its_work_expired",
        "expired: not started by a slow pass": "test_loop_that_froze_after_its_commit_starts_nothing_that_expired",
    },
    "tests/integration/test_watching.py": {
        "watchdog: never against a live lease": "test_loop_whose_lease_ran_out_is_replaced",
        "watchdog: resting pools": "test_due_work_is_found_where_slot_is_free",
        "watchdog: due works": "test_due_work_is_found_where_slot_is_free",
        "watchdog: only where one may start": "test_due_work_is_found_where_slot_is_free",
        "watchdog: unsettled reports": "test_unsettled_report_of_entry_is_found",
    },
    "tests/simulation/test_found.py": {
        "watchdog: looks where a loop would": "test_watchdog_sees_due_work_just_where_new_loop_begins_to_read",
        "pointers: one to what runs is spent": "test_second_pointer_of_work_that_runs_is_spent[running-0]",
        "pointers: one to what waits is not": "test_second_pointer_of_work_that_runs_is_spent[pending-1]",
        "pointers: a work's own row is none": "test_pointer_before_works_own_row_does_not_name_that_row",
        "pointers: all that led to a start go": "test_retry_that_is_met_by_its_own_key_leaves_no_pointer",
        "registration before the first work": "test_work_of_first_caller_that_died_before_its_kick_runs",
    },
    "tests/unit/adapters_aws/test_wire.py": {
        "a text is a report under our class": "test_error_of_another_class_is_failure_whatever_its_text",
        "a seal is checked": "test_seal_that_was_changed_opens_nothing",
        "an event has no second assignment": "test_worker_events_are_made_of_exactly_one_object_without_our_key",
        "what is spliced was parsed": "test_callbacks_are_made_of_single_values",
    },
    "tests/unit/adapters_store/test_slots.py": {
        "packed ledger: what was confirmed": "test_slots_come_back",
    },
    "tests/unit/core/test_callback_decision.py": {
        "redeliver: tries begin anew": "test_record_of_callback_whose_tries_are_used_up_begins_anew",
        "rest: callbacks that are near": "test_callback_that_is_near_keeps_loop_up_and_later_one_orders_wake",
        "callback: sent waits for its handler": "test_sent_callback_is_looked_at_less_and_less_often_until_its_handlers_time_is_over",
        "callback: only what is owed": "test_callback_that_is_over_is_forgotten",
        "callback: sent counts beyond the cursor": "test_ledger_takes_over_what_records_owe_and_records_that_owe_are_spent",
        "callback: sent counts with its entry": "test_record_of_sent_callback_behind_cursor_counts_with_its_entry_only",
    },
    "tests/unit/core/test_check_of_entries.py": {
        "drop: chunks expire": "test_entry_of_finished_work_item_is_dropped_after_its_chunks_may_expire",
    },
    "tests/unit/core/test_choose_decision.py": {
        "called off: the cursor waits for it": "test_called_off_work_keeps_cursor_until_it_is_canceled",
    },
    "tests/unit/core/test_chunks_decision.py": {
        "chunks: expire with their work only": "test_unfinished_work_has_no_expiry",
    },
    "tests/unit/core/test_drain_decision.py": {
        "drain: begins anew for the next": "test_drain_begins_where_pending_works_can_lie_and_goes_on_where_it_is",
        "classify: called off": "test_due_work_that_is_called_off_is_never_chosen",
        "drain: due works before any start": "test_starts_wait_until_what_is_due_was_seen",
        "drain: from where pending works can lie": "test_drain_begins_where_pending_works_can_lie_and_goes_on_where_it_is",
    },
    "tests/unit/core/test_expiry_decision.py": {
        "classify: expired": "test_due_work_is_chosen_until_its_time_is_over",
        "expired: the cursor waits for it": "test_expired_work_keeps_cursor_until_it_is_ended",
        "expired: not begun by its worker": "test_worker_may_not_begin_after_expiry",
        "expired: no retry is waited for": "test_retry_that_would_be_late_ends_with_its_own_error",
    },
    "tests/unit/core/test_kick_decision.py": {
        "kick: not while a loop runs": "test_kick_starts_no_second_loop_beside_live_one",
        "kick: due before the wake": "test_enqueue_leaves_waiting_loop_alone_only_if_far_wake_comes_in_time",
        "kick: a wake that is over": "test_enqueue_leaves_waiting_loop_alone_only_if_far_wake_comes_in_time",
    },
    "tests/unit/core/test_loop_callbacks.py": {
        "callback: pending always counts": "test_pending_callback_that_landed_behind_cursor_counts",
    },
    "tests/unit/core/test_pace_decision.py": {
        "pace: awake for what is due": "test_poll_is_awake_for_what_comes",
        "pace: no pass so long that due work waits": "test_ledger_of_any_length_keeps_no_due_work_waiting",
        "pace: passes begin a floor apart": "test_commit_waits_until_it_is_worth_its_size",
    },
    "tests/unit/core/test_recover_decision.py": {
        "recovery's margin": "test_recovery_waits_for_deadline_and_margin_and_names_what_it_judged",
    },
    "tests/unit/core/test_redrive_decision.py": {
        "redrive: failures only": "test_work_that_did_not_fail_is_left_alone",
        "redrive: once": "test_failure_is_redriven_once",
    },
    "tests/unit/core/test_rest_decision.py": {
        "rest: a deadline that is near": "test_recovery_due_soon_keeps_loop_up",
        "rest: saturated is no rest for good": "test_due_work_without_free_slot_does_not_keep_loop_up",
    },
    "tests/unit/core/test_retry_decision.py": {
        "not retryable ends": "test_workers_delay_beats_policy_but_not_its_attempts",
    },
    "tests/unit/core/test_snooze_decision.py": {
        "snoozes are bounded": "test_hundred_in_row_are_most",
        "a snooze spends nothing": "test_snooze_is_pending_again_and_spends_nothing",
        "too many snoozes end for good": "test_snooze_beyond_last_is_final_failure_that_says_so",
    },
    "tests/integration/test_ledger_pages.py": {
        "pages: a start has one slot": "test_ledger_whose_page_is_not_there_is_made_anew_from_work_items[_twice]",
        "pages: no take by commit beside them": "test_ledger_is_not_taken_by_commit_where_pages_have_its_slots",
        "pages: one that is missing is damage": "test_ledger_whose_page_is_not_there_is_made_anew_from_work_items[_missing]",
        "pages: read after another's write": "test_commit_that_met_change_of_limits_is_made_again_with_slots_of_pages",
        "pages: read by the next holder": "test_next_holder_counts_slots_of_pages",
        "pages: read by the watchdog": "test_watchdog_counts_slots_of_pages",
    },
    "tests/unit/core/test_ledger_pages.py": {
        "pages: a slot with another deadline is gone": "test_freed_slot_and_moved_deadline_are_gone_from_their_page",
        "pages: written again before they expire": "test_page_is_written_again_long_before_its_item_expires",
    },
    "tests/unit/workers/test_worker_steps.py": {
        "a late worker does not run": "test_start_that_begins_too_late_is_put_back_without_run",
        "a worker whose start was answered late does not run": "test_start_whose_claim_is_answered_too_late_is_put_back_without_run",
        "a failed report is carried": "test_report_that_cannot_be_written_is_carried_by_exception",
    },
}
"""Test files, and for each guard that is gone the test there that fails. No seed of the first 64
did."""


def _all() -> Iterator[Mutant]:
    cases = {
        name: (f"{file}::{test}",) for file, tests in _CASES.items() for name, test in tests.items()
    }
    for each in (
        *CONDITION_GUARDS,
        *LOOP_GUARDS,
        *CALLER_GUARDS,
        *CALL_OFF_GUARDS,
        *EXPIRY_GUARDS,
        *RUN_GUARDS,
        *RATE_GUARDS,
        *BEAT_GUARDS,
        *SCHEDULE_GUARDS,
        *SHARD_GUARDS,
        *PAGE_GUARDS,
        *GROUP_GUARDS,
        *GUEST_GUARDS,
        *TRANSACTION_GUARDS,
        *UNIQUE_GUARDS,
        *UPKEEP_GUARDS,
        *QUIET_GUARDS,
    ):
        yield replace(
            each,
            quick=each.name in _QUICK,
            by_seeds=each.name in _BY_SEEDS,
            cases=each.cases or cases.get(each.name, ()),
        )


MUTANTS: Final = tuple(_all())

"""Mutants of guards that no seed notices.

Each of these guards only saves requests, or hides behind another guard, and has a test of its own.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit

__all__ = ["QUIET_GUARDS"]


def _quiet(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(name=name, rule=rule, edits=(edit(where, old, new),), cases=(f"tests/{case}",))


_STARTING = "integration/test_starting.py::"
_COMPLETING = "integration/test_completing.py::"
_SESSION = "integration/test_loop_session.py::"
_DAMAGE = "integration/test_damage.py::"
_HOLDING = "integration/test_holding.py::"
_LATE = "integration/test_late_writes.py::"
_PACING = "integration/test_pacing.py::"
_RESTING = "integration/test_resting.py::"
_SLEEP = (
    "unit/core/test_kick_decision.py::test_far_wake_sleeps_until_second_before_first_thing_to_do"
)
_RECOVERING = "integration/test_recovering.py::"
_LOOKAHEAD = "integration/test_lookahead.py::"
_WATCHING = "integration/test_watching.py::"
_KICKING = "integration/test_kicking.py::"
_ENQUEUEING = "integration/test_enqueueing.py::"
_CANCELING = "integration/test_canceling.py::"
_COLLECTING = "unit/flow/test_collecting.py::"
_TARGETS = "integration/test_targets.py::"

_UNMADE: Final = "integration/test_unmade_starts.py::"
_UNMADE_STARTS: Final = (
    _quiet(
        "unmade start: spent before its entry goes",
        "WP-29",
        "core.loop.recover:_judge_pending",
        "return Recover(work, None)",
        "return Drop(max(now, work.due_at))",
        f"{_UNMADE}test_start_whose_event_never_came_is_spent_before_its_entry_goes",
    ),
    _quiet(
        "unmade start: the loop makes the next",
        "WP-25",
        "core.loop.start:is_made_by_worker",
        " and work.undelivered == 0",
        "",
        f"{_UNMADE}test_failure_before_start_spends_no_attempt_and_loop_makes_next",
    ),
    _quiet(
        "unmade start: a failure before it spends nothing",
        "WP-5",
        "flow.report.complete:_Completion._unmade",
        "replace(self.report, kind=ReportKind.NEVER_DELIVERED)",
        "self.report",
        f"{_UNMADE}test_failure_before_start_spends_no_attempt_and_loop_makes_next",
    ),
    _quiet(
        "unmade start: canceled, and the loop is told",
        "WP-21",
        "flow.report.complete:_Completion._pass_over",
        "left_unmade(current, self.a)",
        "False",
        f"{_UNMADE}test_cancel_before_worker_begins_is_true_and_frees_slot",
    ),
    _quiet(
        "unmade start: canceled, and its worker tells",
        "WP-21",
        "flow.report.claim:take",
        "left_unmade(current, assignment)",
        "False",
        f"{_UNMADE}test_cancel_before_worker_begins_is_true_and_frees_slot",
    ),
    _quiet(
        "unmade start: canceled as one of all",
        "WP-21",
        "flow.loop.bulk_cancel:cancel_next_page",
        "session.memory.unconfirmed | over",
        "session.memory.unconfirmed",
        f"{_UNMADE}test_cancel_all_frees_slots_of_what_no_worker_began",
    ),
    _quiet(
        "unmade start: sent again without an answer",
        "WP-20",
        "flow.loop.start:_send_unmade",
        "return Begun(start.key, until if answered else None, sent=answered)",
        "return Begun(start.key, until, sent=True)",
        f"{_UNMADE}test_event_without_answer_is_sent_again",
    ),
    _quiet(
        "decorated workers claim what the loop made",
        "WP-29",
        "core.loop.start:assignment_for",
        "work.spec.claimed or target_claims",
        "work.spec.claimed",
        f"{_UNMADE}test_failure_before_start_spends_no_attempt_and_loop_makes_next",
    ),
)

_STARTS: Final = (
    _quiet(
        "start: arguments that cannot be read",
        "WP-25",
        "flow.loop.start:_Sender.send",
        '        self.requeue(f"its arguments could not be read: {error}")\n        return True\n',
        "        raise\n",
        f"{_STARTING}test_arguments_that_cannot_be_read_just_now_put_start_back",
    ),
    _quiet(
        "start: a throttled invoke waits",
        "WP-23",
        "flow.loop.start:_with_patience",
        "ports.clock.sleep(limits.INVOKE_RETRY_MS)",
        "pass",
        f"{_STARTING}test_throttled_invoke_waits_before_it_is_tried_again",
    ),
    _quiet(
        "own write: start runs still",
        "WP-4",
        "flow.loop.start:_StartWrite._own",
        "current.state is State.RUNNING and ",
        "",
        f"{_STARTING}test_start_write_that_met_anything_but_its_own_start_sends_nothing",
    ),
    _quiet(
        "own write: start is this very start",
        "WP-4",
        "flow.loop.start:_StartWrite._own",
        "current.starts == self.start.key.start and ",
        "",
        f"{_STARTING}test_start_write_that_met_anything_but_its_own_start_sends_nothing",
    ),
    _quiet(
        "done records: kept for two weeks",
        "WP-21",
        "flow.report.notices:_expiry",
        "at // 1000 + limits.DONE_RETENTION_S",
        "at // 1000",
        f"{_COMPLETING}test_record_that_owes_nothing_is_kept_for_two_weeks",
    ),
    _quiet(
        "callback: a second report sends nothing",
        "WP-8",
        "flow.report.complete:_Completion._call_back",
        "if finished.callback is CallbackState.PENDING",
        "if True",
        f"{_COMPLETING}test_second_report_does_not_call_back_again",
    ),
    _quiet(
        "a suspicion is of failures only",
        "WP-5",
        "core.report.suspect:decide_suspicion",
        "report.kind is not ReportKind.FAILED or ",
        "",
        "unit/core/test_complete_decision.py::test_suspicion_takes_strangers_failure_of_claimed_running_start",
    ),
)
_HOLDS: Final = (
    _quiet(
        "an adopted ledger's callbacks",
        "WP-8",
        "core.loop.memory:Memory.adopting",
        "callbacks=ledger.callbacks",
        "",
        f"{_SESSION}test_ledger_that_is_read_again_is_trusted_in_every_part",
    ),
    _quiet(
        "no answer to a pass: read again",
        "WP-21",
        "flow.loop.iterate:_Run.until_end",
        "                session.reload()\n",
        "                pass\n",
        f"{_SESSION}test_commit_without_answer_is_looked_at_although_nothing_is_left_to_do",
    ),
    _quiet(
        "damage is told once",
        "WP-12",
        "flow.loop.session:ReportsOnce.emit",
        "item in self._reported or ",
        "",
        f"{_DAMAGE}test_damaged_item_is_reported_once_and_only_up_to_bound",
    ),
    _quiet(
        "lease renewed once",
        "WP-23",
        "flow.loop.session:LoopSession.renew_lease",
        "    self.lease_until = lease_until",
        "    pass",
        f"{_SESSION}test_lease_is_renewed_when_less_than_half_of_it_is_left_and_then_not_again",
    ),
    _quiet(
        "hand over: nothing more is done",
        "WP-2",
        "flow.loop.iterate:_Run.until_end",
        "            hand_over(session)\n            return\n",
        "            hand_over(session)\n",
        f"{_HOLDING}test_loop_that_has_handed_over_does_nothing_more",
    ),
    _quiet(
        "hand over: a whole lease",
        "WP-20",
        "flow.loop.rest:write_next",
        "ports.clock.now() + limits.LEASE_MS",
        "ports.clock.now()",
        f"{_HOLDING}test_next_generation_gets_whole_lease",
    ),
    _quiet(
        "take back: a whole lease",
        "WP-20",
        "flow.loop.rest:_Resting._take_back",
        "session.ports.clock.now() + limits.LEASE_MS",
        "session.ports.clock.now()",
        f"{_HOLDING}test_loop_that_takes_itself_back_has_whole_lease",
    ),
)
_PASSES: Final = (
    _quiet(
        "deep reads are seldom",
        "WP-23",
        "core.loop.memory:Memory.having_read",
        "deep_read_at=inputs.now if inputs.deep else self.deep_read_at",
        "",
        f"{_LATE}test_buffer_is_read_again_every_so_often_and_not_by_every_pass",
    ),
    _quiet(
        "progress: callbacks",
        "WP-23",
        "core.loop.plan:plan_pass",
        "found.moved > 0 or callbacks_moved",
        "found.moved > 0",
        f"{_PACING}test_callbacks_alone_are_progress",
    ),
    _quiet(
        "progress: a drain",
        "WP-13",
        "core.loop.plan:Findings.ends_something",
        "self.inputs.bulk_cancel is not None or ",
        "",
        f"{_PACING}test_drain_alone_is_progress_and_keeps_loop_up",
    ),
    _quiet(
        "promise: only with a start",
        "WP-22",
        "core.loop.plan:plan_pass",
        "promise if starts else None",
        "promise",
        f"{_RESTING}test_loop_promises_nothing_for_works_that_run_already",
    ),
    _quiet(
        "wake: sleeps instead of polling",
        "WP-20",
        "core.pool.kick:wake_wait_ms",
        "0 < wait_ms <= min(limits.NEAR_MS, life_ms // 2)",
        "False",
        f"{_RESTING}test_far_wake_sleeps_until_work_is_due_instead_of_polling",
    ),
    _quiet(
        "wake: an owed callback comes first",
        "WP-20",
        "core.pool.kick:wake_wait_ms",
        "*(owed.at for owed in ledger.callbacks)",
        "",
        f"{_SLEEP}[resting3-ledger3-900000-19000]",
    ),
    _quiet(
        "wake: awake before its Lambda ends",
        "WP-20",
        "core.pool.kick:wake_wait_ms",
        "min(limits.NEAR_MS, life_ms // 2)",
        "limits.NEAR_MS",
        f"{_SLEEP}[resting2-ledger2-117999-0]",
    ),
    _quiet(
        "poll: none puts off the pass at a due time",
        "WP-20",
        "core.loop.pace:Pace.wait_ms",
        "poll_ms + limits.PASS_FLOOR_MS",
        "poll_ms",
        "unit/core/test_pace_decision.py::test_poll_before_due_time_is_over_a_pass_ahead_of_it",
    ),
    _quiet(
        "recovery: made again later",
        "WP-23",
        "core.loop.plan:remembered",
        "{**results.doubted(entries), **results.running, **results.recovered}",
        "{**results.doubted(entries), **results.running}",
        f"{_RECOVERING}test_recovery_that_gets_no_answer_is_not_made_again_by_each_pass",
    ),
    _quiet(
        "rest: due works behind what was looked through",
        "WP-20",
        "flow.loop.rest:_Resting._next_due",
        "if read.is_something",
        "if False",
        f"{_LOOKAHEAD}test_rest_looks_for_what_no_pass_has_seen",
    ),
    _quiet(
        "cursor: of one's own shard",
        "WP-23",
        "core.loop.choose:WorkRead.blocked_at",
        " if found.work.id in own",
        "",
        "unit/core/test_choose_decision.py::test_waiting_work_holds_back_its_own_shards_cursor_alone",
    ),
    _quiet(
        "watchdog: nothing that was over before",
        "WP-22",
        "flow.watchdog.watch:_PoolCheck._left_to_do",
        "None if self.ever else self.now",
        "None",
        f"{_WATCHING}test_tick_over_pool_at_rest_reads_nothing_of_what_came_to_be_over",
    ),
)
_CALLERS: Final = (
    _quiet(
        "kick: a throttled invoke waits",
        "WP-24",
        "flow.pool.kick:invoke_loop",
        "ports.clock.sleep(limits.INVOKE_RETRY_MS)",
        "pass",
        f"{_KICKING}test_throttled_kick_waits_between_its_tries_and_gives_up",
    ),
    _quiet(
        "enqueue: another's item with other arguments",
        "WP-3",
        "flow.work.enqueue:_is_same",
        "current.spec.args == work.spec.args or current.spec.group is not None",
        "True",
        f"{_ENQUEUEING}test_other_work_under_same_id_is_not_taken_for_own",
    ),
    _quiet(
        "enqueue: another's item of another time",
        "WP-3",
        "flow.work.enqueue:_is_same",
        "current.enqueued_at == work.enqueued_at",
        "True",
        f"{_ENQUEUEING}test_other_work_under_same_id_is_not_taken_for_own",
    ),
    _quiet(
        "enqueue: what ran is not stored again",
        "WP-5",
        "flow.work.enqueue:_Enqueue._into",
        " and met.current.outcome is Outcome.CANCELED",
        "",
        f"{_ENQUEUEING}test_work_that_cancel_all_did_not_reach_is_not_stored_again",
    ),
    _quiet(
        "late rule: without a pointer no acknowledgement",
        "WP-3",
        "flow.work.enqueue:_Enqueue._store",
        "return unpointed",
        "pass",
        f"{_ENQUEUEING}test_work_that_cannot_be_pointed_at_is_not_acknowledged",
    ),
    _quiet(
        "own write: cancel with a callback",
        "WP-8",
        "flow.work.end:refusal",
        "            ports.store.write(Put(notice_at(ports.clock.now())))\n",
        "            pass\n",
        f"{_CANCELING}test_cancel_with_callback_that_sdk_repeated_is_its_own",
    ),
    _quiet(
        "drain: pointers of what is over",
        "WP-22",
        "core.loop.bulk_cancel:pointers_to_ended",
        "finished.union(canceled)",
        "canceled",
        "integration/test_canceling_all.py::test_works_that_waited_for_far_retry_leave_no_pointer",
    ),
)

_READS: Final = (
    _quiet(
        "read: rows ahead up to a bound",
        "WP-23",
        "core.loop.gather:gather",
        "seen.ahead == lookahead",
        "seen.ahead < 0",
        f"{_COLLECTING}test_rows_ahead_that_are_over_are_read_up_to_bound",
    ),
    _quiet(
        "read: works to cancel up to a bound",
        "WP-20",
        "core.loop.gather:_Seen.takes_work",
        "len(ended) < limits.BULK_CANCEL_ROWS",
        "True",
        f"{_COLLECTING}test_works_to_cancel_are_read_part_at_time",
    ),
    _quiet(
        "choice: what was just looked at is sure",
        "WP-20",
        "flow.loop.choose:_taken",
        "memory.unconfirmed - checked.understood",
        "memory.unconfirmed",
        f"{_COLLECTING}test_work_whose_entry_is_not_understood_is_not_chosen",
    ),
    _quiet(
        "epoch: its moment does not move",
        "WP-3",
        "flow.pool.configure:follow_epoch",
        "config.epoch >= epoch",
        "config.epoch > epoch",
        "integration/test_limits_in_force.py::test_epoch_that_config_has_is_not_moved_to_later_moment",
    ),
    _quiet(
        "deployment: what is known is not written",
        "WP-23",
        "flow.watchdog.deployment:_Recording.keep_current",
        "if recorded == known:",
        "if False:",
        "integration/test_deploying.py::test_limit_that_cannot_be_set_costs_other_pools_nothing",
    ),
    _quiet(
        "deployment: who was overtaken says so",
        "WP-23",
        "flow.watchdog.deployment:_Recording._write",
        "return lost.current == recorded",
        "return True",
        "integration/test_deploying.py::test_limits_in_force_are_those_of_deployment_in_item",
    ),
)

_DAMAGE = "integration/test_damage.py::"
_DOORS: Final = (
    _quiet(
        "classify: no key before its time",
        "WP-23",
        "core.loop.classify:classify",
        "max(work.due_at, time_of(row_key))",
        "work.due_at",
        f"{_DAMAGE}test_work_items_due_long_before_their_keys_wait_for_these_and_keep_no_loop_up",
    ),
    _quiet(
        "look after resting: not the row that it waits for",
        "WP-23",
        "flow.loop.choose:live_in",
        "and row.sort != key_range.high",
        "",
        f"{_DAMAGE}test_work_item_with_least_key_of_its_time_is_waited_for_at_rest",
    ),
    _quiet(
        "targets: the library's own functions",
        "WP-12",
        "flow.loop.start:refusal_of",
        "if function.own or is_own(target, loop_arn=ports.loop_arn, deployed=ports.deployed):",
        "if False:",
        f"{_TARGETS}test_loop_refuses_them_always_and_says_why",
    ),
    _quiet(
        "targets: functions of other pools",
        "WP-12",
        "flow.loop.start:refusal_of",
        "function.refusal(work.pool)",
        "None",
        f"{_TARGETS}test_function_runs_for_pools_that_it_was_added_to",
    ),
    _quiet(
        "worker: other pools",
        "WP-12",
        "settings:refuse_other_pools",
        "if serves is not None and pool not in serves:",
        "if False:",
        f"{_TARGETS}test_decorated_worker_refuses_other_pools_too",
    ),
    _quiet(
        "doors: other tables",
        "WP-2",
        "handlers.own:refuse_other_table",
        'own != table.rpartition("/")[2]',
        "False",
        f"{_TARGETS}test_event_of_another_table_is_refused_at_door",
    ),
    _quiet(
        "doors: events of work items",
        "WP-12",
        "handlers.own:refuse_work_item",
        "if WORKPOOL_KEY in event:",
        "if False:",
        f"{_TARGETS}test_event_that_is_for_no_door_is_refused",
    ),
    _quiet(
        "recovery: the ledger's deadline stands in",
        "WP-12",
        "core.loop.recover:judge_entry",
        "if work.deadline is not None:\n    deadline = work.deadline",
        "deadline = work.deadline or now",
        "unit/core/test_recover_decision.py::test_running_work_item_that_lost_its_deadline_is_recovered_by_ledgers",
    ),
)

QUIET_GUARDS: Final = (*_UNMADE_STARTS, *_STARTS, *_HOLDS, *_PASSES, *_CALLERS, *_READS, *_DOORS)

"""Mutants of runs: the number of starts that share a slot, of which one runs at a time."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Edit, Mutant, edit

__all__ = ["RUN_GUARDS"]

_DELIVERY: Final = "integration/test_run_of_starts.py::"
_DECISION: Final = "unit/core/test_runs_decision.py::"
_AHEAD: Final = "unit/core/test_ahead_decision.py::"
_PLAN: Final = "unit/core/test_pass_plan.py::"
_STARTING: Final = "integration/test_starting.py::"
_CURSOR: Final = "unit/core/test_choose_decision.py::"
_EVENTS: Final = "unit/adapters_aws/test_run_events.py::"


def _run(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    edits = (edit(where, old, new),)
    return Mutant(name=f"run: {name}", rule=rule, edits=edits, cases=(f"tests/{case}",))


RUN_GUARDS: Final = (
    _run(
        "stops where another delivery has made a start",
        "WP-30",
        "api.run:_Run.serve",
        "not taken.is_over",
        "False",
        f"{_DELIVERY}test_run_stops_where_another_delivery_has_made_start",
    ),
    _run(
        "passes over what ended before it",
        "WP-20",
        "api.run:_Run.serve",
        "not taken.is_over",
        "True",
        f"{_DELIVERY}test_run_passes_over_what_was_canceled_before_it",
    ),
    _run(
        "gives back what it does not reach",
        "WP-20",
        "api.run:_Run.serve",
        "self.ports.clock.now() - began >= self.longest_ms",
        "False",
        f"{_DELIVERY}test_run_gives_back_what_it_does_not_reach_in_its_time",
    ),
    _run(
        "gives back what it made beside a lost report",
        "WP-5",
        "api.run:_Run._between",
        "start is not None and taken.token is not None",
        "False",
        f"{_DELIVERY}test_report_that_cannot_be_written_ends_run_and_gives_next_start_back",
    ),
    _run(
        "carries the report of the start that ended",
        "WP-3",
        "api.run:_Run._between",
        '"\\n".join(str(each) for each in failures)',
        "str(failures[0])",
        f"{_DELIVERY}test_error_of_run_carries_both_reports_where_table_does_not_answer",
    ),
    _run(
        "one error has a report of each start",
        "WP-28",
        "adapters.sealed:unseal_any",
        "opened is not None",
        "True",
        f"{_EVENTS}test_error_of_run_gives_each_start_its_own_report",
    ),
    Mutant(
        name="run: no code begins beside the last report",
        rule="WP-30",
        edits=(
            Edit(
                "api.run:_Run.serve",
                (
                    (
                        "taken = self._between(ended, start)",
                        "taken, last = self._between(None, start), ended",
                    ),
                    (
                        "self.steps.perform(start, taken.token)",
                        "(self.steps.perform(start, taken.token), self._between(last, None))[0]",
                    ),
                ),
            ),
        ),
        cases=(
            f"tests/{_DELIVERY}test_process_that_next_code_ends_at_once_takes_no_end_of_run_with_it",
        ),
    ),
    _run(
        "its notice lies where it is put",
        "WP-21",
        "flow.report.notices:write_together",
        "_place(ports, first.work_id, now)",
        "first.at",
        f"{_DELIVERY}test_notice_of_run_lies_where_it_was_put",
    ),
    _run(
        "is not sent again while it runs",
        "WP-30",
        "core.loop.recover:_RunState.judge",
        "isinstance(verdict, Begin) and self.is_running",
        "False",
        f"{_DECISION}test_run_is_not_sent_again_while_one_of_it_runs",
    ),
    _run(
        "what was replaced leaves it",
        "WP-23",
        "core.loop.recover:_RunState.judge",
        "isinstance(verdict, Begin) and verdict.work.permit is None",
        "False",
        f"{_DECISION}test_work_item_that_was_replaced_leaves_its_run",
    ),
    _run(
        "what left it has a slot of its own",
        "WP-1",
        "core.loop.settle:slots_taken",
        "len({*in_runs})",
        "len({*in_runs} - {key for key, entry in entries.items() if entry.run is None})",
        f"{_DECISION}test_run_takes_one_slot_and_start_alone_another",
    ),
    _run(
        "what leaves it and starts is committed",
        "WP-2",
        "core.loop.plan:plan_pass",
        "any(one.start in before.entries for one in choice.chosen)",
        "False",
        f"{_PLAN}test_pass_that_moves_something_is_committed_and_is_progress",
    ),
    _run(
        "what was sent before a replacement is sent again",
        "WP-23",
        "core.loop.plan:remembered",
        "(memory.sent - results.unsent) | results.sent",
        "memory.sent | results.sent",
        f"{_PLAN}test_memory_after_start_confirms_what_ran_and_doubts_what_did_not",
    ),
    _run(
        "its function makes none any more",
        "WP-23",
        "flow.loop.start:begin_run",
        'sender.settle(sender.requeue, "its function does not make its starts any more")',
        "continue",
        f"{_STARTING}test_start_of_run_whose_function_makes_none_any_more_is_put_back",
    ),
    _run(
        "patience counts from its begin",
        "WP-23",
        "core.loop.recover:_RunState.judge",
        " and not self.has_begun",
        " and False",
        f"{_DECISION}test_patience_counts_from_begin_of_run",
    ),
    _run(
        "one that began late has its patience",
        "WP-23",
        "core.loop.recover:_RunState.judge",
        "now <= begun_at + limits.RUN_PATIENCE_MS",
        "False",
        f"{_DECISION}test_run_that_began_late_has_whole_patience",
    ),
    _run(
        "is read as a whole",
        "WP-30",
        "core.loop.recover:mates_of",
        "entry.run in runs",
        "False",
        f"{_DECISION}test_run_of_suspect_is_read_as_whole",
    ),
    _run(
        "is sent in order of its keys",
        "WP-30",
        "core.loop.plan:runs_among",
        "sorted(starts, key=lambda each: each.key)",
        "starts",
        f"{_DECISION}test_starts_of_run_are_sent_in_order_of_their_keys",
    ),
    _run(
        "what was read ahead is judged again",
        "WP-1",
        "core.loop.ahead:Ahead.still_due",
        "classify(each.key, each.work, taken=taken, now=now) is Look.DUE",
        "True",
        f"{_AHEAD}test_what_was_read_ahead_starts_where_it_would_start_after_a_read",
    ),
    _run(
        "what was read ahead and started is not kept",
        "WP-4",
        "core.loop.ahead:ahead_after",
        "found=choice.left",
        "found=choice.ahead.found",
        f"{_AHEAD}test_holder_keeps_what_it_has_read_and_not_started",
    ),
    _run(
        "a retry that was read ahead waits for what was not read",
        "WP-1",
        "core.loop.ahead:ahead_after",
        "(each.work.due_at, each.work.starts) <= (last, 0)",
        "True",
        f"{_AHEAD}test_retry_is_not_started_before_first_attempts_that_were_not_read",
    ),
    _run(
        "a deep pass reads",
        "WP-3",
        "flow.loop.choose:known_due",
        "inputs.deep",
        "False",
        "unit/flow/test_collecting.py::test_deep_pass_reads_whatever_was_read_ahead",
    ),
    _run(
        "what was read ahead ends with the ledger",
        "WP-4",
        "core.loop.memory:Memory.adopting",
        "ahead=None",
        "ahead=self.ahead",
        "unit/core/test_loop_memory.py::test_memory_that_adopts_ledger_forgets_what_was_read_ahead",
    ),
    _run(
        "one that was read stays unchosen",
        "WP-3",
        "core.loop.runs:spare_starts",
        "wanted - slots",
        "limits.RUN_STARTS_MAX * slots",
        f"{_DECISION}test_pass_reads_more_than_its_slots_only_where_runs_would_take_it",
    ),
    _run(
        "a lost process runs alone",
        "WP-30",
        "core.loop.runs:may_share",
        "last not in _LOST_PROCESS",
        "True",
        f"{_DECISION}test_work_item_that_lost_its_process_runs_alone",
    ),
    _run(
        "a run that comes back is the last for a while",
        "WP-23",
        "core.loop.runs:learned",
        "notice.kind is NoticeKind.PUT_BACK and entry is not None and entry.run is not None",
        "False",
        f"{_DECISION}test_start_of_run_that_comes_back_keeps_job_from_runs_for_while",
    ),
    _run(
        "only workers that say their times take runs",
        "WP-25",
        "core.loop.runs:starts_of_run",
        "pace is None or not pace.is_known or now < pace.quiet_until",
        "pace is None or now < pace.quiet_until",
        f"{_DECISION}test_pace_of_job_is_known_after_some_ends_and_follows_latest",
    ),
    _run(
        "a success that no worker reported is none",
        "WP-29",
        "adapters.wire.destination:records_of",
        'read.condition == "Success" and read.answer != REPORTED',
        "False",
        f"{_EVENTS}test_success_of_run_that_no_worker_reported_is_of_no_start",
    ),
    _run(
        "the cursor stays at one that was enqueued just now",
        "WP-20",
        "core.loop.choose:Choice.newest_in_run",
        "now - found.work.enqueued_at < limits.RUN_FRESH_MS",
        "False",
        f"{_CURSOR}test_cursor_stays_at_last_of_run_that_was_enqueued_just_now",
    ),
)

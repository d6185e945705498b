"""Owns the mutants of the loop and its watchdog: orders, looks, margins, cursors and rests."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Edit, Mutant, one_edit

__all__ = ["LOOP_GUARDS"]

_LEDGER: Final = (
    Mutant(
        name="ledger before start",
        rule="WP-2",
        edits=(
            Edit(
                "flow.iterate:_one_pass",
                (
                    ("    promise_until = _act(hold, looked, choice, now)\n", ""),
                    (
                        "callbacks = look_at_callbacks(hold, reports, settled.gone, looked.dropped, now)",
                        """
                        callbacks = look_at_callbacks(hold, reports, settled.gone, looked.dropped, now)
                        promise_until = _act(hold, looked, choice, now)
                        """,
                    ),
                ),
            ),
        ),
    ),
    one_edit("limit: free slots", "WP-1", "flow.iterate:_one_pass", "limit - len(looked.entries)", "limit"),
    one_edit(
        "limit: slots of unsettled entries",
        "WP-1",
        "flow.iterate:_one_pass",
        "limit - len(looked.entries)",
        "limit - len(looked.entries) + 1",
    ),
    one_edit("cursor never past the unchosen", "WP-3", "core.choose:cursor_after", "blocked_at is None", "True"),
    one_edit("cursor overlap", "WP-20", "core.choose:cursor_after", "now - limits.CURSOR_OVERLAP_MS", "now"),
    one_edit(
        "cursor back to a retry's pointer",
        "WP-20",
        "core.choose:_cursor_back",
        "min(mark.work_cursor, back_to)",
        "mark.work_cursor",
    ),
    one_edit("buffer", "WP-3", "core.settle:deep_low", "min(times) - limits.BUFFER_MS", "min(times)"),
    one_edit(
        "deep read",
        "WP-3",
        "flow.iterate:_one_pass",
        "deep = hold.deep_read_at is None or now - hold.deep_read_at >= limits.DEEP_EVERY_MS",
        "deep = False",
    ),
    one_edit("deep read from the last one", "WP-3", "core.settle:deep_low", "[deep_at]", "[time_of(cursor)]"),
    one_edit(
        "deep read moves only when read",
        "WP-3",
        "core.choose:marks_after",
        "_cursor_back(mark, back_to), mark.deep_at",
        "_cursor_back(mark, back_to), now if deep else mark.deep_at",
    ),
    one_edit(
        "deep read of done records",
        "WP-21",
        "flow.iterate:_one_pass",
        "deep_low(mark.done_cursor) if deep else mark.done_cursor",
        "mark.done_cursor",
    ),
    one_edit("done cursor never past now", "WP-21", "core.settle:done_cursor_after", "min(keys[-1], id_floor(now))", "keys[-1]"),
    one_edit(
        "done records by start number",
        "WP-1",
        "core.settle:settle",
        "left.pop(key, None) is None",
        "next((left.pop(each) for each in list(left) if each.work_id == record.work_id), None) is None",
    ),
    one_edit(
        "no answer to a commit: read again", "WP-2", "flow.hold:Hold.commit", "        self.reload()\n        return False", "        pass"
    ),
    one_edit(
        "holder is looked at after a lost commit",
        "WP-2",
        "flow.hold:Hold._adopt",
        " or current.holder != self.token or current.generation != self.generation",
        "",
    ),
    one_edit("config read again after a bump", "WP-13", "flow.hold:Hold._adopt", "    self.config_read_at = None\n", ""),
    one_edit("classify: not canceled", "WP-7", "core.start:classify", " or work.cancel_requested", ""),
    one_edit("classify: not in the ledger", "WP-4", "core.start:classify", "EntryKey(work.id, work.starts + 1) in taken.entries or ", ""),
    one_edit("classify: not unsure", "WP-4", "core.start:classify", " or work.id in taken.unsure", ""),
    one_edit("classify: not by the row that it has left", "WP-1", "core.start:classify", " or _has_moved(row_key, work)", ""),
    one_edit("order: by due time, not by key", "WP-1", "core.choose:_turn", "found.work.due_at", "0"),
    one_edit("classify: due", "WP-20", "core.start:classify", "if max(work.due_at, time_of(row_key)) > now:", "if False:"),
)

_ENTRIES: Final = (
    one_edit("a failed start keeps its entry", "WP-1", "flow.iterate:_act", "hold.unsure.add(begun.key)", "entries.pop(begun.key, None)"),
    one_edit(
        "a new holder looks at unconfirmed entries",
        "WP-20",
        "flow.hold:take_hold",
        "if not entry.confirmed",
        "if False",
    ),
    one_edit("an adopted ledger is looked at", "WP-20", "flow.hold:Hold._not_confirmed", "if not entry.confirmed", "if False"),
    one_edit("no second invoke of a sent start", "WP-4", "core.recover:judge_entry", " and not sent", ""),
    one_edit(
        "no second invoke after no answer",
        "WP-4",
        "flow.start:_invoke",
        "            ports.telemetry.emit(told)\n            return",
        "            ports.telemetry.emit(told)",
    ),
    one_edit("another holder's start is kept", "WP-4", "core.recover:judge_entry", "work.started_by == token and ", ""),
    one_edit("begin only what is not canceled", "WP-7", "core.recover:judge_entry", " and not work.cancel_requested", ""),
    one_edit("begin only the start number that fits", "WP-4", "core.recover:judge_entry", " and work.starts + 1 == key.start", ""),
    one_edit(
        "drop: a fresh pointer",
        "WP-3",
        "core.recover:judge_entry",
        "max(now, work.due_at) if work.state is State.PENDING else None",
        "None",
    ),
    one_edit(
        "drop: chunks expire", "WP-10", "flow.recover:look_at_entries", "let_expire(hold.ports.store, overdue_expiries(work))", "pass"
    ),
    one_edit("drop: the callback is taken over", "WP-8", "flow.recover:look_at_entries", "dropped.append(work)", "pass"),
    one_edit(
        "overdue entries are looked at",
        "WP-21",
        "flow.recover:look_at_entries",
        "(hold.unsure & set(entries)) | overdue",
        "hold.unsure & set(entries)",
    ),
    one_edit("recovery's margin", "WP-14", "core.recover:judge_entry", "deadline + limits.RECOVERY_MARGIN_MS", "deadline"),
    one_edit(
        "recovery's margin: entries",
        "WP-14",
        "flow.recover:look_at_entries",
        "entry.deadline + limits.RECOVERY_MARGIN_MS",
        "entry.deadline",
    ),
    one_edit(
        "recovery's margin: both",
        "WP-14",
        "core.recover:judge_entry",
        "now > deadline + limits.RECOVERY_MARGIN_MS",
        "now > deadline - 6_000",
    ),
    one_edit(
        "recovery trusts the item's deadline", "WP-14", "core.recover:judge_entry", "now > deadline + limits.RECOVERY_MARGIN_MS", "True"
    ),
    one_edit(
        "recovery counts a start that may have run",
        "WP-5",
        "core.recover:lost_report",
        "work.claimed and work.claim is None and target_claims",
        "True",
    ),
    one_edit("recovery: unclaimed and known to claim", "WP-5", "core.recover:lost_report", " and work.claim is None", ""),
    one_edit("a start too old is not sent", "WP-14", "flow.start:_send", "limits.START_TO_INVOKE_MS", "10**9"),
    one_edit("a late worker does not run", "WP-14", "core.execute:is_too_late", "now > assignment.start_by", "False"),
    one_edit("claim: before user code", "WP-5", "workers:Worker._perform", "if assignment.claimed:", "if False:"),
    one_edit("claim: refused does not run", "WP-5", "workers:Worker._perform", "        if token is None:\n            return None\n", ""),
    one_edit(
        "claim: confirmed by an answer",
        "WP-5",
        "workers:_claim",
        "raise ReportNotWritten(carried_outcome(report, assignment)) from error",
        "return error.token",
    ),
    one_edit("claim: sets the deadline", "WP-14", "core.claim:claim_write", '"deadline": ends_by', ""),
    one_edit(
        "a failed report is carried",
        "WP-20",
        "workers:Worker.__call__",
        "raise ReportNotWritten(carried_outcome(report, assignment)) from error",
        "pass",
    ),
    one_edit(
        "a foreign failure is kept as a suspicion",
        "WP-20",
        "flow.complete:_suspect",
        'None if by == "recovery" else decide_suspicion(a, current, report)',
        "None",
    ),
    one_edit("recovery suspects nothing", "WP-14", "flow.complete:_suspect", 'if by == "recovery"', "if False"),
    one_edit("attempts are bounded", "WP-5", "core.retry:retry_delay_ms", " or attempts_made >= policy.max_attempts", ""),
    one_edit("not retryable ends", "WP-5", "core.retry:retry_delay_ms", " or not report.retryable", ""),
    one_edit("a repeated report proves itself", "WP-28", "core.complete:what_stands", "current.proof != a.proof", "False"),
    one_edit(
        "the stored work item decides",
        "WP-28",
        "flow.complete:complete",
        'by == "destination" or report.kind is not ReportKind.SUCCESS',
        "report.kind is not ReportKind.SUCCESS and report.kind is not ReportKind.FAILED",
    ),
    one_edit("a text is a report under our class", "WP-28", "adapters.wire:_read_failure", "given_type == _CARRIED_TYPE and ", ""),
    one_edit("a seal is checked", "WP-28", "adapters.sealed:unseal", "not hmac.compare_digest(tag, _tag(nonce, plain))", "False"),
    one_edit("an event has no second assignment", "WP-28", "core.splice:one_object", "reserved in value", "False"),
    one_edit("what is spliced was parsed", "WP-28", "core.splice:one_value", "_parsed(text)", "pass"),
    one_edit("snoozes are bounded", "WP-5", "core.complete:decide_snooze", "work.snoozes >= limits.SNOOZES_MAX", "False"),
    one_edit(
        "a snooze spends nothing",
        "WP-5",
        "core.complete:decide_snooze",
        "entering(Move.SNOOZE)",
        '{**entering(Move.SNOOZE), "attempts_made": a.attempts_made + 1}',
    ),
    one_edit("too many snoozes end for good", "WP-5", "core.complete:snoozed_too_often", "retryable=False", "retryable=True"),
    one_edit("never delivered ends", "WP-25", "core.complete:decide_put_back", "work.undelivered >= limits.UNDELIVERED_MAX", "False"),
    one_edit(
        "a second report puts the done record",
        "WP-21",
        "flow.complete:_pass_over",
        "if ignored.reported and isinstance(current, Work) and report.kind in {ReportKind.SUCCESS, ReportKind.FAILED}:",
        "if False:",
    ),
    one_edit("a refused retry ends as canceled", "WP-7", "flow.complete:_move_back", "if must_cancel(current, a):", "if False:"),
)

_REST: Final = (
    one_edit("look after resting", "WP-20", "flow.rest:rest", "not _something_there(hold, decision, config_version)", "True"),
    one_edit(
        "look after resting: config",
        "WP-20",
        "flow.rest:_something_there",
        "(0 if config is None else config.version) != config_version",
        "False",
    ),
    one_edit("look after resting: done records", "WP-20", "flow.rest:_something_there", "settled.gone or ", ""),
    one_edit(
        "look after resting: looks asked for",
        "WP-20",
        "flow.rest:_something_there",
        " or any(hold.looked.get(key) != at for key, at in settled.asked.items())",
        "",
    ),
    one_edit(
        "look after resting: callbacks",
        "WP-8",
        "flow.rest:_something_there",
        "if newly_owed(reports.records, held, (), cursor=mark.done_cursor, room=room, now=now).is_something:",
        "if False:",
    ),
    one_edit(
        "look after resting: works",
        "WP-20",
        "flow.rest:_something_there",
        "if live_in(ports.store, ports.telemetry, hold.pool, shard, low, high=high, taken=taken, now=now):",
        "if False:",
    ),
    one_edit(
        "look after resting: works due later",
        "WP-20",
        "flow.rest:_something_there",
        "high = None if decision.wake_at is None else id_floor(decision.wake_at)",
        "high = id_floor(now)",
    ),
    one_edit(
        "look after resting: back over the buffer",
        "WP-3",
        "flow.rest:_something_there",
        "low = deep_low(mark.work_cursor, mark.deep_at)",
        "low = mark.work_cursor",
    ),
    one_edit("wake before status", "WP-20", "flow.rest:rest", "_order_wake(hold, decision.timer_at)", ""),
    one_edit("a loop gone idle forgets its wake", "WP-22", "flow.rest:rest", "        _forget_wake(hold)\n", "        pass\n"),
    one_edit("lease renewed", "WP-23", "flow.hold:Hold.renew_lease", "self.lease_until - now >= limits.LEASE_RENEW_MS", "True"),
    one_edit("handed over before Lambda's end", "WP-20", "flow.iterate:_run", "began >= hold.ends_at", "False"),
    one_edit(
        "promise: clocks differ",
        "WP-20",
        "flow.complete:_kick",
        "ports.clock.now() + limits.SKEW_MS < a.loop_until",
        "ports.clock.now() - 4_000 < a.loop_until",
    ),
    one_edit(
        "promise: the loop stays up", "WP-20", "core.pace:decide_pause", "max(pace.promise_until, pace.active_at + limits.LINGER_MS)", "0"
    ),
    one_edit(
        "pace: polls grow slower",
        "WP-22",
        "core.pace:next_poll_ms",
        "min(limits.POLL_MAX_MS, round(poll_ms * limits.POLL_GROWTH))",
        "poll_ms",
    ),
    one_edit("rest: near works", "WP-20", "core.rest:decide_rest", "due is not None and due <= now + limits.NEAR_MS", "False"),
    one_edit(
        "rest: callbacks that are near",
        "WP-8",
        "core.rest:decide_rest",
        "callback_at is not None and callback_at <= now + limits.CALLBACK_NEAR_MS",
        "False",
    ),
    one_edit(
        "rest: a deadline that is near",
        "WP-21",
        "core.rest:decide_rest",
        "recover_at is not None and recover_at <= now + limits.RECOVER_NEAR_MS",
        "False",
    ),
    one_edit("rest: wakes for deadlines", "WP-21", "core.rest:decide_rest", "(due, recover_at, called_at)", "(due, called_at)"),
    one_edit(
        "rest: saturated is no rest for good", "WP-20", "core.rest:decide_rest", "wake_at is None and not saturated", "wake_at is None"
    ),
    one_edit("rest: no wake, not idle", "WP-22", "core.rest:decide_rest", "if wake_at is None and not saturated:", "if False:"),
)

_WATCHDOG: Final = (
    one_edit(
        "watchdog: leases",
        "WP-20",
        "core.watch:loop_is_overdue",
        "status.state is LoopState.RUNNING and not is_live(status, now)",
        "False",
    ),
    one_edit("watchdog: never against a live lease", "WP-22", "core.watch:loop_is_overdue", " and not is_live(status, now)", ""),
    one_edit(
        "watchdog: wake-ups that passed",
        "WP-20",
        "core.watch:loop_is_overdue",
        "status.state is LoopState.WAITING and status.wake_at is not None and status.wake_at <= now",
        "False",
    ),
    one_edit(
        "watchdog: resting pools", "WP-20", "flow.watch:needs_a_kick", "overdue is not None or status.state is LoopState.RUNNING", "True"
    ),
    one_edit(
        "watchdog: due works",
        "WP-20",
        "flow.watch:_left_to_do",
        "due_in(store, telemetry, pool, shard, low, taken=taken, now=now)",
        "False",
    ),
    one_edit("watchdog: only where one may start", "WP-22", "flow.watch:_left_to_do", "may_start(config, ledger) and ", ""),
    one_edit(
        "watchdog: looks where a loop would",
        "WP-22",
        "flow.watch:_left_to_do",
        "low = works_from(mark, back=back, now=None if ever else now)",
        "low = deep_low(mark.work_cursor)",
    ),
    one_edit("watchdog: unsettled reports", "WP-20", "flow.watch:_left_to_do", "settle(ledger.entries, reports.records).gone", "False"),
    one_edit("watchdog: owed callbacks", "WP-8", "flow.watch:_left_to_do", "callback_is_overdue(ledger, reports.records, now)", "False"),
    one_edit(
        "watchdog: owed callbacks in records",
        "WP-8",
        "core.watch:callback_is_overdue",
        "any(record.callback is CallbackState.PENDING for record in records)",
        "False",
    ),
    one_edit("watchdog: callbacks out of sight", "WP-8", "flow.deep_look:look_deep", "_owe_anew(ports, pool, ledger, now)", "False"),
    one_edit(
        "watchdog: across a full hour",
        "WP-3",
        "flow.deep_look:_before_the_cursor",
        "limits.WATCHDOG_DEEP_BACK_MS",
        "limits.WATCHDOG_DEEP_MS",
    ),
    one_edit("holder: looks again at what it read again", "WP-21", "flow.hold:Hold._adopt", "self.looked = {}", "pass"),
    one_edit("holder: looks again in its next generation", "WP-21", "flow.hold:Hold.next_generation", "self.looked = {}", "pass"),
    one_edit("watchdog: the hourly look", "WP-3", "flow.watch:_watch_pool", "deep_look_due(now)", "False"),
)

_HINTS: Final = (
    one_edit(
        "order: only of the status's generation",
        "WP-2",
        "flow.iterate:run_loop",
        "not is_current(ports.store, order.pool, generation)",
        "False",
    ),
    one_edit("order: none of a pool that rests", "WP-2", "flow.kick:is_current", " and status.state is LoopState.RUNNING", ""),
    one_edit("order: no wake makes a pool", "WP-2", "core.kick:decide_kick", "reason in _FOLLOWING and ledger is None", "False"),
    one_edit(
        "items: set aside where they cannot be read",
        "WP-12",
        "adapters.codec:decode",
        "return Unreadable(key.pk, key.sk, str(error))",
        "raise",
    ),
    one_edit("forged generation: taken back", "WP-2", "flow.hold:_take", "met.generation > generation", "False"),
    one_edit(
        "forged generation: by the status's holder only",
        "WP-2",
        "flow.repair:take_back",
        "not is_current(ports.store, found.pool, generation)",
        "False",
    ),
    one_edit(
        "forged generation: seen by the watchdog", "WP-20", "flow.watch:needs_a_kick", "ledger.generation > status.generation", "False"
    ),
    one_edit(
        "a lease without end is none",
        "WP-20",
        "core.kick:is_live",
        "now < status.lease_until <= now + limits.LEASE_BELIEVED_MS",
        "now < status.lease_until",
    ),
    one_edit("rebuilt ledger: what runs", "WP-1", "core.repair:rebuilt_from", "work.state is State.RUNNING", "False"),
    one_edit(
        "rebuilt ledger: what is owed",
        "WP-8",
        "core.repair:rebuilt_from",
        "work.callback in (CallbackState.PENDING, CallbackState.SENT)",
        "False",
    ),
    one_edit("damaged ledger: seen by the watchdog", "WP-20", "flow.watch:needs_a_kick", "isinstance(found, Unreadable)", "False"),
    one_edit("damaged config: nothing starts", "WP-13", "flow.configure:in_force", "isinstance(config, Unreadable)", "False"),
    one_edit("a row of the registry alone is no pool", "WP-22", "flow.watch:needs_a_kick", "_has_anything(store, pool)", "True"),
    one_edit("turns: each pool its share", "WP-12", "flow.turns:visit_each", "min(ends_at, now + limits.POOL_TICK_MS_MAX)", "ends_at"),
    one_edit("turns: another order each tick", "WP-12", "flow.turns:in_turn", "now // limits.WATCHDOG_MS * _GOLDEN % 1 * len(pools)", "0"),
)

LOOP_GUARDS: Final = (*_HINTS, *_LEDGER, *_ENTRIES, *_REST, *_WATCHDOG)

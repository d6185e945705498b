"""Owns the mutants around the loop: who may take a refusal for its own write, kicks, the late rule, callbacks, payloads, redrives."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Edit, Mutant, one_edit

__all__ = ["CALLER_GUARDS"]

_OWN_WRITES: Final = (
    one_edit("own write: enqueue", "WP-3", "flow.enqueue:_store", "return _point_anew(ports, work)", "return None"),
    one_edit("own write: start", "WP-20", "flow.start:_own_start", "current.started_by == token", "False"),
    one_edit("own write: start is another's", "WP-4", "flow.start:_own_start", " and current.started_by == token", ""),
    one_edit("own write: claim", "WP-20", "core.claim:why_refused", "if current.claim == token", "if False"),
    one_edit("own write: claim is another's", "WP-5", "core.claim:why_refused", "current.claim == token", "True"),
    one_edit("own write: commit", "WP-2", "flow.hold:Hold.commit", "and lost.current.committed_by == token", ""),
    one_edit("own write: status", "WP-20", "flow.hold:Hold.write_status", "and lost.current.written_by == token", "and False"),
    one_edit("own write: status is another's", "WP-2", "flow.hold:Hold.write_status", " and lost.current.written_by == token", ""),
    one_edit("own write: kick", "WP-20", "flow.kick:_wins", "and lost.current.written_by == token", "and False"),
    one_edit("own write: take hold", "WP-20", "flow.hold:_own", "current.holder == token", "False"),
    one_edit("own write: take hold is another's", "WP-2", "flow.hold:_own", " and current.holder == token", ""),
    one_edit("own write: cancel", "WP-7", "core.cancel:is_own_cancel", " and current.started_by == token", ""),
    one_edit(
        "own write: config",
        "WP-13",
        "flow.configure:_own",
        "current if all(getattr(current, name) == value for name, value in changes.items()) else None",
        "None",
    ),
)

_LATE: Final = (
    one_edit("late rule", "WP-3", "flow.late:prove_in_time", "server_time - key_time <= limits.LATE_MS", "True"),
    one_edit(
        "late rule: works",
        "WP-3",
        "flow.enqueue:_store",
        "prove_work_in_time(ports, written, work.pool, work.id, time_of(work.id))",
        "pass",
    ),
    one_edit(
        "late rule: redriven works",
        "WP-3",
        "flow.redrive:_commit",
        "prove_work_in_time(ports, written, work.pool, work.id, work.due_at)",
        "pass",
    ),
    one_edit(
        "late rule: a redrive that was made before", "WP-3", "flow.redrive:_redrive", "_make_up(ports, pool, decision.work_id)", "pass"
    ),
    one_edit(
        "late rule: pointers",
        "WP-20",
        "flow.complete:_move_back",
        "prove_work_in_time(ports, written, a.pool, a.work_id, decision.due_at)",
        "pass",
    ),
    one_edit(
        "late rule: done records", "WP-21", "flow.complete:_prove_done", "prove_in_time(ports, written, time_of(done.at), again)", "pass"
    ),
    one_edit(
        "late rule: canceled with a callback",
        "WP-8",
        "flow.cancel:_write",
        "prove_in_time(ports, written, time_of(record.at), lambda at: _put_record(ports, work, at))",
        "pass",
    ),
    one_edit(
        "late rule: looks again",
        "WP-3",
        "flow.late:prove_in_time",
        "        written = again(key_time)",
        "        again(key_time)\n        return",
    ),
)

_KICKS: Final = (
    one_edit(
        "kick: on enqueue",
        "WP-24",
        "flow.enqueue:enqueue",
        "epoch = kick(ports, works[0].pool, KickReason.ENQUEUE, due=min(work.due_at for work in works))",
        "epoch = works[0].epoch",
    ),
    one_edit("kick: on completion", "WP-24", "flow.complete:_kick", "kick(ports, a.pool, KickReason.COMPLETE)", "pass"),
    one_edit("kick: on a report without effect", "WP-24", "flow.complete:_ignore", "    _kick(ports, a, by=by)", "    pass"),
    one_edit(
        "kick: on cancel",
        "WP-24",
        "flow.cancel:cancel",
        "kick(ports, pool, KickReason.CANCEL, due=None if decision.owes_callback else work.due_at)",
        "pass",
    ),
    one_edit("kick: on a change of limits", "WP-24", "flow.configure:_announce", "    kick(ports, pool, reason)", "    pass"),
    one_edit("kick: on redrive", "WP-24", "flow.redrive:_kick", "kick(ports, pool, KickReason.ENQUEUE, due=ports.clock.now())", "pass"),
    one_edit(
        "kick: one invoke a generation",
        "WP-22",
        "flow.kick:_win",
        "decision.generation if _wins(ports, decision, token) else None",
        "(_wins(ports, decision, token), decision.generation)[1]",
    ),
    one_edit(
        "kick: not while a loop runs",
        "WP-22",
        "core.kick:decide_kick",
        "status.state is LoopState.RUNNING and is_live(status, now)",
        "False",
    ),
    one_edit("kick: a lease that ran out", "WP-20", "core.kick:decide_kick", " and is_live(status, now)", ""),
    one_edit(
        "kick: saturated only for an enqueue",
        "WP-20",
        "core.kick:decide_kick",
        "reason is KickReason.ENQUEUE and status.state is LoopState.WAITING",
        "status.state is LoopState.WAITING",
    ),
    one_edit(
        "kick: due before the wake",
        "WP-20",
        "core.kick:decide_kick",
        "due is not None and status.timer_at is not None and now < status.timer_at <= due - limits.FAR_LEAD_MS",
        "status.timer_at is not None",
    ),
    one_edit(
        "kick: a wake that is over",
        "WP-20",
        "core.kick:decide_kick",
        "now < status.timer_at <= due - limits.FAR_LEAD_MS",
        "status.timer_at <= due - limits.FAR_LEAD_MS",
    ),
    one_edit("registration before the first work", "WP-3", "client:Workpool._say_base", "kick.ensure_registered(ports, self.name)", "pass"),
    one_edit(
        "registration before status",
        "WP-20",
        "flow.kick:_win",
        "        ensure_registered(ports, pool)",
        "        pass",
    ),
    one_edit(
        "limits: a bump fences",
        "WP-13",
        "flow.configure:_fence",
        'ports.store.write(Update(ref=LedgerRef(pool), add={"version": 1}, condition=Above("version", -1)))',
        "pass",
    ),
)

_CALLBACKS: Final = (
    one_edit("callback: no TTL at finish", "WP-10", "core.callback:expiry_after", "if outcome in wanted", "if False"),
    one_edit("callback: no TTL of its record", "WP-10", "flow.complete:_done", "if callback is CallbackState.PENDING", "if False"),
    one_edit(
        "callback: the report says that it is owed",
        "WP-8",
        "flow.complete:_follow_up",
        "callback=_call_back(ports, finished)",
        "callback=(_call_back(ports, finished), None)[1]",
    ),
    one_edit(
        "callback: the report says that it was sent",
        "WP-8",
        "flow.complete:_call_back",
        "{CallbackState.PENDING, CallbackState.SENT}",
        "{CallbackState.PENDING}",
    ),
    one_edit(
        "callback: a second report sends it",
        "WP-8",
        "flow.complete:_call_back",
        "deliver(ports, finished) if finished.callback is CallbackState.PENDING else finished.callback",
        "finished.callback",
    ),
    Mutant(
        name="callback: record spent after the commit",
        rule="WP-8",
        edits=(
            Edit(
                "flow.iterate:_one_pass",
                (
                    (
                        "keys = [report.keys for report in reports]",
                        "keys = [report.keys for report in reports]\n[ports.store.delete(ref) for ref in callbacks.spent]",
                    ),
                ),
            ),
        ),
    ),
    one_edit("callback: spent records are deleted", "WP-22", "flow.callback:act_on", "        ports.store.delete(ref)", "        pass"),
    one_edit(
        "callback: sent is looked at again",
        "WP-8",
        "core.callback:judge_owed",
        "    again = next_try(owed, now)",
        "    if work.callback is CallbackState.SENT:\n        return Verdict(CallbackStep.FORGET, None)\n    again = next_try(owed, now)",
    ),
    one_edit("callback: sent waits for its handler", "WP-8", "core.callback:judge_owed", "if later is not None:", "if False:"),
    one_edit(
        "callback: only what is owed",
        "WP-8",
        "core.callback:judge_owed",
        "not isinstance(work, Work) or not is_owed(work)",
        "not isinstance(work, Work)",
    ),
    one_edit(
        "callback: held after a try that failed", "WP-8", "flow.callback:act_on", "if state is not CallbackState.PENDING:", "if True:"
    ),
    one_edit(
        "callback: held while sent",
        "WP-8",
        "flow.callback:act_on",
        "            changed[work.id] = replace(owed, at=EpochMs(ports.clock.now() + limits.CALLBACK_LOOK_MS))",
        "            over.append(work.id)",
    ),
    one_edit("callback: sent counts beyond the cursor", "WP-8", "core.callback:_is_new", "record.at > cursor or ", ""),
    one_edit(
        "callback: sent counts with its entry", "WP-8", "core.callback:_is_new", " or EntryKey(record.work_id, record.start) in settled", ""
    ),
    one_edit("callback: pending always counts", "WP-8", "core.callback:_is_new", "record.callback is CallbackState.PENDING", "False"),
    one_edit(
        "callback: acknowledged after the handler",
        "WP-8",
        "callbacks:CallbackHandler.__call__",
        "    self.function(completed)\n",
        "    acknowledge(self._connect(ticket.table), ticket) if ticket is not None else None\n    self.function(completed)\n",
    ),
    one_edit(
        "callback: canceled while pending leaves a record",
        "WP-8",
        "flow.cancel:_write",
        "ports.store.transact([decision.write, Put(record)])",
        "ports.store.transact([decision.write])",
    ),
    one_edit(
        "callback: kinds filter",
        "WP-8",
        "core.callback:after_finish",
        "CallbackState.PENDING if owed else None",
        "CallbackState.PENDING",
    ),
    one_edit(
        "callback: the loop keeps what it owes",
        "WP-8",
        "flow.callback:look_at_callbacks",
        "held |= {owed.work_id: owed for owed in new.callbacks}",
        "pass",
    ),
)

_PAYLOADS: Final = (
    one_edit("chunks: expire with their work only", "WP-10", "core.chunks:overdue_expiries", "work.state is not State.FINISHED", "False"),
    one_edit(
        "chunks: of arguments expire at the end", "WP-10", "core.complete:decide_report", "input_expiries(a, expires_at=expires_at)", "()"
    ),
    one_edit("chunks: of a canceled end", "WP-10", "core.complete:decide_canceled", "input_expiries(a, expires_at=expires_at)", "()"),
    one_edit(
        "chunks: of a canceled work",
        "WP-10",
        "core.cancel:decide_cancel",
        "beside = input_expiries(work, expires_at=expires_at)",
        "beside = ()",
    ),
    one_edit("chunks: of a second report", "WP-10", "flow.complete:_pass_over", "overdue_expiries(current)", "()"),
    one_edit(
        "chunks: when the callback was marked", "WP-10", "flow.callback:_mark", "let_expire(ports.store, overdue_expiries(marked))", "pass"
    ),
    one_edit(
        "chunks: when the loop forgets a callback",
        "WP-10",
        "flow.callback:look_at_callbacks",
        "let_expire(hold.ports.store, overdue_expiries(owing))",
        "pass",
    ),
    one_edit(
        "chunks: of a result not before the callback",
        "WP-10",
        "core.complete:decide_report",
        "lay_out(report.result, WorkRef(a.pool, a.work_id), Part.RESULT, expires_at=expires_at)",
        "lay_out(report.result, WorkRef(a.pool, a.work_id), Part.RESULT, expires_at=now // 1000 + 60)",
    ),
    one_edit(
        "chunks: in one transaction with their work",
        "WP-3",
        "flow.chunks:write_with",
        "            return store.transact([write, *left])",
        "            return [store.write(each) for each in (write, *left)][0]",
    ),
    one_edit("chunks: missing arguments end the work", "WP-12", "flow.start:_send", "if args is None:", "if False:"),
    one_edit("chunks: read before they are sent", "WP-12", "flow.start:_whole_args", "running.args_chunks is None", "True"),
)

_REDRIVES: Final = (
    one_edit("redrive: failures only", "WP-6", "core.redrive:decide_redrive", "old.outcome is not Outcome.FAILED", "False"),
    one_edit("redrive: once", "WP-6", "core.redrive:decide_redrive", "old.redriven_as is not None", "False"),
    one_edit(
        "redrive: large inputs are copied",
        "WP-12",
        "flow.redrive:_commit",
        "packed(_with_inputs_of(ports, old, decision.work))",
        '(__import__("dataclasses").replace(decision.work, args=old.args, args_chunks=old.args_chunks), ())',
    ),
)

CALLER_GUARDS: Final = (*_OWN_WRITES, *_LATE, *_KICKS, *_CALLBACKS, *_PAYLOADS, *_REDRIVES)

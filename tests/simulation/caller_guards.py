"""Mutants around the loop.

They concern refusals that may come from the own write, kicks, the late rule, callbacks, payloads
and redrives.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Edit, Mutant, one_edit

__all__ = ["CALLER_GUARDS"]

_OWN_WRITES: Final = (
    one_edit(
        "own write: enqueue",
        "WP-3",
        "flow.work.enqueue:_Enqueue._store",
        "put_pointer(ports, work.pool, work.id, max(ports.clock.now(), work.due_at))",
        "pass",
    ),
    one_edit(
        "own write: start",
        "WP-20",
        "flow.loop.start:_StartWrite._own",
        "current.started_by == self.token",
        "False",
    ),
    one_edit(
        "own write: start is another's",
        "WP-4",
        "flow.loop.start:_StartWrite._own",
        " and current.started_by == self.token",
        "",
    ),
    one_edit(
        "own write: claim",
        "WP-20",
        "core.report.claim:why_refused",
        "token in {current.claim, current.started_by}",
        "False",
    ),
    one_edit(
        "own write: claim is another's",
        "WP-5",
        "core.report.claim:why_refused",
        "token in {current.claim, current.started_by}",
        "True",
    ),
    one_edit(
        "own write: commit",
        "WP-2",
        "flow.loop.session:LoopSession.commit",
        "and lost.current.committed_by == committed.committed_by",
        "",
    ),
    one_edit(
        "own write: status",
        "WP-20",
        "flow.loop.session:change_status",
        "and lost.current.written_by == token",
        "and False",
    ),
    one_edit(
        "own write: status is another's",
        "WP-2",
        "flow.loop.session:change_status",
        " and lost.current.written_by == token",
        "",
    ),
    one_edit(
        "own write: kick",
        "WP-20",
        "flow.pool.kick:_win",
        "and lost.current.written_by == token",
        "and False",
    ),
    one_edit(
        "own write: take hold",
        "WP-20",
        "flow.loop.session:_Holder._own",
        "current.holder == self.token",
        "False",
    ),
    one_edit(
        "own write: take hold is another's",
        "WP-2",
        "flow.loop.session:_Holder._own",
        " and current.holder == self.token",
        "",
    ),
    one_edit(
        "own write: cancel",
        "WP-7",
        "core.work.end:is_own_end",
        " and current.started_by == token",
        "",
    ),
    one_edit(
        "own write: config",
        "WP-13",
        "flow.pool.configure:_write",
        "not isinstance(record, Config) or not is_set(record, changes)",
        "True",
    ),
)

_LATE: Final = (
    one_edit(
        "late rule",
        "WP-3",
        "flow.visibility:ensure_visible",
        "server_time - key_time <= limits.LATE_MS",
        "True",
    ),
    one_edit(
        "late rule: works",
        "WP-3",
        "flow.work.enqueue:_Enqueue._store",
        "prove_work_in_time(ports, written, work.pool, work.id, time_of(work.id))",
        "pass",
    ),
    one_edit(
        "late rule: redriven works",
        "WP-3",
        "flow.work.redrive:_Redrives._commit",
        "prove_work_in_time(self.ports, written, work.pool, work.id, work.due_at)",
        "pass",
    ),
    one_edit(
        "late rule: a redrive that was made before",
        "WP-3",
        "flow.work.redrive:_Redrives.redrive",
        "self._point_again(decision.work_id)",
        "pass",
    ),
    one_edit(
        "late rule: pointers",
        "WP-20",
        "flow.report.complete:_Completion._move_back",
        "prove_work_in_time(ports, written, a.pool, a.work_id, decision.due_at)",
        "pass",
    ),
    one_edit(
        "late rule: done records",
        "WP-21",
        "flow.report.notices:prove_notice",
        "ensure_visible(ports, written, time_of(notice.at), again)",
        "pass",
    ),
    one_edit(
        "late rule: canceled with a callback",
        "WP-8",
        "flow.work.end:refusal",
        "commit_with_notice(ports, decision.write, notice_at, decision.beside)",
        "ports.store.transact([decision.write, Put(notice_at(ports.clock.now()))])",
    ),
    one_edit(
        "late rule: looks again",
        "WP-3",
        "flow.visibility:ensure_visible",
        "        written = again(key_time)",
        "        again(key_time)\n        return",
    ),
)

_KICKS: Final = (
    one_edit(
        "kick: on enqueue",
        "WP-24",
        "flow.work.enqueue:_Enqueue.run",
        "seen = self._kick(works, answers)",
        "seen = Seen(works[0].epoch)",
    ),
    one_edit(
        "kick: on completion",
        "WP-24",
        "flow.report.follow_up:FollowUp.kick",
        "kick(ports, a.pool, KickReason.COMPLETE)",
        "pass",
    ),
    one_edit(
        "kick: on a report without effect",
        "WP-24",
        "flow.report.follow_up:FollowUp.ignore",
        "    self.kick()",
        "    pass",
    ),
    one_edit(
        "kick: on cancel",
        "WP-24",
        "flow.work.cancel:cancel",
        "kick(ports, pool, KickReason.CANCEL, due=due)",
        "pass",
    ),
    one_edit(
        "kick: on a change of limits",
        "WP-24",
        "flow.pool.configure:_announce",
        "    kick(ports, pool, reason)",
        "    pass",
    ),
    one_edit(
        "kick: on redrive",
        "WP-24",
        "flow.work.redrive:_kick",
        "kick(ports, pool, KickReason.ENQUEUE, due=ports.clock.now())",
        "pass",
    ),
    one_edit(
        "kick: one invoke a generation",
        "WP-22",
        "flow.pool.kick:_win",
        "if not (isinstance(lost.current, LoopStatus) and lost.current.written_by == token):",
        "if False:",
    ),
    one_edit(
        "kick: not while a loop runs",
        "WP-22",
        "core.pool.kick:_Kick.not_needed",
        "status.state is LoopState.RUNNING and is_live(status, now)",
        "False",
    ),
    one_edit(
        "kick: a lease that ran out",
        "WP-20",
        "core.pool.kick:_Kick.not_needed",
        " and is_live(status, now)",
        "",
    ),
    one_edit(
        "kick: saturated only for an enqueue",
        "WP-20",
        "core.pool.kick:_Kick.not_needed",
        "self.reason is KickReason.ENQUEUE and waits",
        "waits",
    ),
    one_edit(
        "kick: due before the wake",
        "WP-20",
        "core.pool.kick:_Kick._is_woken_in_time",
        "self.now < timer_at <= due - limits.FAR_LEAD_MS",
        "True",
    ),
    one_edit(
        "kick: a wake that is over",
        "WP-20",
        "core.pool.kick:_Kick._is_woken_in_time",
        "self.now < timer_at <= due - limits.FAR_LEAD_MS",
        "timer_at <= due - limits.FAR_LEAD_MS",
    ),
    one_edit(
        "registration before the first work",
        "WP-3",
        "api.pool:Workpool._register_once",
        "kick.ensure_registered(ports, self.name)",
        "pass",
    ),
    one_edit(
        "registration before status",
        "WP-20",
        "flow.pool.kick:_win",
        "        ensure_registered(ports, pool)",
        "        pass",
    ),
    one_edit(
        "limits: a bump fences",
        "WP-13",
        "flow.pool.configure:_fence",
        'ports.store.write(Update(ref=LedgerRef(pool), add={"version": 1}, condition=Above("version", -1)))',
        "pass",
    ),
)

_CALLBACKS: Final = (
    one_edit(
        "callback: no TTL at finish",
        "WP-10",
        "core.callback.ending:expiry_after",
        "if outcome in outcomes",
        "if False",
    ),
    one_edit(
        "callback: no TTL of its record",
        "WP-10",
        "flow.report.notices:_expiry",
        "if callback is CallbackState.PENDING",
        "if False",
    ),
    one_edit(
        "callback: the report says that it is owed",
        "WP-8",
        "flow.report.complete:_Completion._after_end",
        "callback=self._call_back(finished)",
        "callback=(self._call_back(finished), None)[1]",
    ),
    one_edit(
        "callback: the report says that it was sent",
        "WP-8",
        "flow.report.complete:_Completion._call_back",
        "{CallbackState.PENDING, CallbackState.SENT}",
        "{CallbackState.PENDING}",
    ),
    one_edit(
        "callback: a second report sends it",
        "WP-8",
        "flow.report.complete:_Completion._call_back",
        "deliver(self.ports, finished) if finished.callback is CallbackState.PENDING else finished.callback",
        "finished.callback",
    ),
    Mutant(
        name="callback: record spent after the commit",
        rule="WP-8",
        edits=(
            Edit(
                "flow.loop.run_pass:_Pass.run",
                (
                    (
                        "plan = plan_pass(found, ends_at=session.ends_at)",
                        (
                            "plan = plan_pass(found, ends_at=session.ends_at)\n"
                            "[ports.store.delete(each.ref) for each in callbacks.forgets]"
                        ),
                    ),
                ),
            ),
        ),
    ),
    one_edit(
        "callback: spent records are deleted",
        "WP-22",
        "flow.loop.run_pass:clean_up",
        "session.ports.store.delete(forget.ref)",
        "pass",
    ),
    one_edit(
        "callback: sent is looked at again",
        "WP-8",
        "core.loop.callbacks:judge_owed",
        "    again = next_try(owed, now)",
        "    if work.callback is CallbackState.SENT:\n        return Verdict(CallbackStep.FORGET, None)\n    again = next_try(owed, now)",
    ),
    one_edit(
        "callback: sent waits for its handler",
        "WP-8",
        "core.loop.callbacks:judge_owed",
        "if later is not None:",
        "if False:",
    ),
    one_edit(
        "callback: only what is owed",
        "WP-8",
        "core.loop.callbacks:judge_owed",
        "not isinstance(work, WorkItem) or not is_owed(work)",
        "not isinstance(work, WorkItem)",
    ),
    one_edit(
        "callback: held after a try that failed",
        "WP-8",
        "core.loop.callbacks:after_delivery",
        "owed if state is CallbackState.PENDING else None",
        "None",
    ),
    one_edit(
        "callback: held while sent",
        "WP-8",
        "core.loop.callbacks:after_delivery",
        "replace(owed, at=EpochMs(now + limits.CALLBACK_LOOK_MS))",
        "None",
    ),
    one_edit(
        "callback: sent counts beyond the cursor",
        "WP-8",
        "core.loop.callbacks:_is_new",
        "record.at > cursor or ",
        "",
    ),
    one_edit(
        "callback: sent counts with its entry",
        "WP-8",
        "core.loop.callbacks:_is_new",
        " or EntryKey(record.work_id, record.start) in settled",
        "",
    ),
    one_edit(
        "callback: pending always counts",
        "WP-8",
        "core.loop.callbacks:_is_new",
        "record.callback is CallbackState.PENDING",
        "False",
    ),
    one_edit(
        "callback: acknowledged after the handler",
        "WP-8",
        "api.on_complete:CallbackHandler._handle",
        "    self.function(completed)\n",
        "    acknowledge(self._connect(ticket.table), ticket) if ticket is not None else None\n    self.function(completed)\n",
    ),
    one_edit(
        "callback: canceled while pending leaves a record",
        "WP-8",
        "flow.work.end:refusal",
        "commit_with_notice(ports, decision.write, notice_at, decision.beside)",
        "ports.store.transact([decision.write])",
    ),
    one_edit(
        "callback: kinds filter",
        "WP-8",
        "core.callback.ending:after_finish",
        "CallbackState.PENDING if owed else None",
        "CallbackState.PENDING",
    ),
    one_edit(
        "callback: the loop keeps what it owes",
        "WP-8",
        "core.loop.callbacks:take_over",
        "callbacks |= {owed.work_id: owed for owed in new.callbacks}",
        "pass",
    ),
)

_PAYLOADS: Final = (
    one_edit(
        "chunks: expire with their work only",
        "WP-10",
        "core.chunks:overdue_expiries",
        "work.state is not State.FINISHED",
        "False",
    ),
    one_edit(
        "chunks: of arguments expire at the end",
        "WP-10",
        "core.report.complete:decide_report",
        "input_expiries(a, expires_at=expires_at)",
        "()",
    ),
    one_edit(
        "chunks: of a canceled end",
        "WP-10",
        "core.report.complete:decide_canceled",
        "input_expiries(a, expires_at=expires_at)",
        "()",
    ),
    one_edit(
        "chunks: of a canceled work",
        "WP-10",
        "core.work.end:end_pending",
        "beside=input_expiries(work, expires_at=expires_at)",
        "beside=()",
    ),
    one_edit(
        "chunks: of a second report",
        "WP-10",
        "flow.report.complete:_Completion._pass_over",
        "overdue_expiries(current)",
        "()",
    ),
    one_edit(
        "chunks: when the callback was marked",
        "WP-10",
        "flow.callback.deliver:_record_delivery",
        "let_expire(ports.store, overdue_expiries(marked))",
        "pass",
    ),
    one_edit(
        "chunks: when the loop forgets a callback",
        "WP-10",
        "core.loop.callbacks:plan_callbacks",
        "before += [] if work is None else after_end(work)",
        "pass",
    ),
    one_edit(
        "chunks: of a result not before the callback",
        "WP-10",
        "core.report.complete:decide_report",
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
    one_edit(
        "chunks: missing arguments end the work",
        "WP-12",
        "flow.loop.start:_Sender.send",
        "if args is None:",
        "if False:",
    ),
    one_edit(
        "chunks: read before they are sent",
        "WP-12",
        "flow.loop.start:_Sender.send",
        "read_payload(self.ports, owner, Part.ARGS, work.spec.args)",
        'getattr(work.spec.args, "text", None)',
    ),
)

_REDRIVES: Final = (
    one_edit(
        "redrive: failures only",
        "WP-6",
        "core.work.redrive:decide_redrive",
        "old.outcome is not Outcome.FAILED",
        "False",
    ),
    one_edit(
        "redrive: once",
        "WP-6",
        "core.work.redrive:decide_redrive",
        "old.redriven_as is not None",
        "False",
    ),
    one_edit(
        "redrive: large inputs are copied",
        "WP-12",
        "flow.work.redrive:_Redrives._commit",
        "packed(self._with_inputs_of(old, decision.work))",
        "(decision.work, ())",
    ),
)

CALLER_GUARDS: Final = (*_OWN_WRITES, *_LATE, *_KICKS, *_CALLBACKS, *_PAYLOADS, *_REDRIVES)

"""Mutants of `cancel_all`: its reach, the loop that carries it out, and the work items it spares."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import one_edit

__all__ = ["CALL_OFF_GUARDS"]

_EPOCHS: Final = (
    one_edit(
        "called off: an older epoch",
        "WP-13",
        "core.work.bulk_cancel:is_bulk_canceled",
        "work.epoch >= config.epoch",
        "True",
    ),
    one_edit(
        "called off: not the epoch of now",
        "WP-3",
        "core.work.bulk_cancel:is_bulk_canceled",
        "work.epoch >= config.epoch",
        "False",
    ),
    one_edit(
        "called off: not what is plainly younger",
        "WP-3",
        "core.work.bulk_cancel:is_bulk_canceled",
        "return work.enqueued_at <= config.epoch_at + limits.CALL_OFF_MARGIN_MS",
        "return True",
    ),
    one_edit(
        "called off: clocks differ",
        "WP-13",
        "core.work.bulk_cancel:is_bulk_canceled",
        "limits.CALL_OFF_MARGIN_MS",
        "0",
    ),
    one_edit(
        "classify: called off",
        "WP-13",
        "core.loop.classify:classify",
        "if is_bulk_canceled(work, taken.config):",
        "if False:",
    ),
    one_edit(
        "enqueue: into the epoch",
        "WP-3",
        "flow.work.enqueue:_Enqueue.run",
        "seen.epoch != works[0].epoch and not self.members",
        "False",
    ),
    one_edit(
        "enqueue: anew if it was canceled",
        "WP-3",
        "flow.work.enqueue:_Enqueue._into",
        "met.current.outcome is Outcome.CANCELED",
        "False",
    ),
    one_edit(
        "redrive: into the epoch",
        "WP-3",
        "flow.work.redrive:redrive",
        "epoch_of(ports, pool)",
        "0",
    ),
    one_edit(
        "cancel all: felt by the loop",
        "WP-13",
        "flow.pool.configure:follow_epoch",
        "    _announce(ports, pool, first=False, reason=KickReason.CANCEL)",
        "    pass",
    ),
    one_edit(
        "cancel all: its time does not go back",
        "WP-13",
        "flow.pool.configure:follow_epoch",
        "max(ports.clock.now(), (config and config.epoch_at) or 0)",
        "ports.clock.now()",
    ),
)

_DRAIN: Final = (
    one_edit(
        "drain: due works before any start",
        "WP-13",
        "core.loop.bulk_cancel:BulkCancel.holds_back",
        'shard is not None and (self.lows[shard] or "") <= id_floor(now)',
        "False",
    ),
    one_edit(
        "drain: from where pending works can lie",
        "WP-13",
        "core.loop.bulk_cancel:bulk_cancel_to_make",
        "deep_low(mark.work_cursor, mark.deep_at)",
        "mark.work_cursor",
    ),
    one_edit(
        "drain: goes on where it is",
        "WP-23",
        "core.loop.bulk_cancel:bulk_cancel_to_make",
        "under_way.epoch == config.epoch",
        "False",
    ),
    one_edit(
        "drain: begins anew for the next",
        "WP-13",
        "core.loop.bulk_cancel:bulk_cancel_to_make",
        "under_way.epoch == config.epoch",
        "True",
    ),
    one_edit(
        "drain: running works are asked",
        "WP-13",
        "flow.loop.bulk_cancel:cancel_next_page",
        "if not under_way.seen_running:",
        "if False:",
    ),
    one_edit(
        "drain: running works are asked once",
        "WP-23",
        "flow.loop.bulk_cancel:cancel_next_page",
        "if not under_way.seen_running:",
        "if True:",
    ),
    one_edit(
        "drain: pointers go, too",
        "WP-22",
        "flow.loop.bulk_cancel:_cancel_page",
        "ports.fan_out(ports.store.delete, pointers_to_ended(rows, canceled))",
        "pass",
    ),
    one_edit(
        "drain: its end is committed",
        "WP-22",
        "core.loop.plan:Findings._epoch_after",
        "if bulk_cancel is None or bulk_cancel.next_shard is not None:",
        "if True:",
    ),
    one_edit(
        "drain: not over before its end",
        "WP-13",
        "core.loop.plan:Findings._epoch_after",
        "or bulk_cancel.next_shard is not None",
        "",
    ),
    one_edit(
        "called off: canceled when it is due",
        "WP-13",
        "flow.loop.run_pass:clean_up",
        "cancel_works(session, [cancel.work for cancel in plan.cancels], session.memory.config)",
        "",
    ),
    one_edit(
        "called off: the cursor waits for it",
        "WP-13",
        "core.loop.choose:WorkRead.blocked_at",
        "(*self.bulk_canceled, *self.expired)",
        "self.expired",
    ),
    one_edit(
        "watchdog: works to cancel",
        "WP-13",
        "flow.watchdog.watch:_PoolCheck.reason",
        "not is_settled(config, ledger)",
        "False",
    ),
    one_edit(
        "rest: looks past what is over",
        "WP-22",
        "flow.loop.rest:_Resting.rest",
        "if done.cut",
        "if False",
    ),
)

CALL_OFF_GUARDS: Final = (*_EPOCHS, *_DRAIN)

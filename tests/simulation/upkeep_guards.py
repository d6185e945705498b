"""Mutants of the upkeep of a pool.

They concern deployed limits, redriven callbacks, pace, the packed ledger and spent pointers.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import one_edit

__all__ = ["UPKEEP_GUARDS"]

UPKEEP_GUARDS: Final = (
    one_edit(
        "deployment: limits before the item",
        "WP-13",
        "flow.watchdog.deployment:_Recording.keep_current",
        "unset=unset",
        "unset=()",
    ),
    one_edit(
        "deployment: the one that was replaced waits",
        "WP-13",
        "core.watchdog.deployment:is_due",
        "_lately_replaced(known, now)",
        "()",
    ),
    one_edit(
        "deployment: over what was read only",
        "WP-13",
        "flow.watchdog.deployment:_Recording._write",
        "Put(recorded, condition)",
        "Put(recorded)",
    ),
    one_edit(
        "deployment: a limit is felt by the loop",
        "WP-13",
        "flow.pool.configure:deploy_limit",
        "            _fence(ports, pool)\n            return False",
        "            return False",
    ),
    one_edit(
        "deployment: a limit not named any more goes",
        "WP-13",
        "core.watchdog.deployment:limits_to_set",
        "{**before, **named}",
        "named",
    ),
    one_edit(
        "deployment: overtaken",
        "WP-13",
        "flow.watchdog.deployment:_Recording.keep_current",
        "            self._yield_limits()\n",
        "",
    ),
    one_edit(
        "redeliver: a record tells the loop",
        "WP-8",
        "flow.work.redrive:_Redrives._redeliver",
        "commit_with_notice(self.ports, decision.write, notice_at)",
        "self.ports.store.transact([decision.write])",
    ),
    one_edit(
        "redeliver: its record is in time",
        "WP-8",
        "flow.work.redrive:_Redrives._redeliver",
        "commit_with_notice(self.ports, decision.write, notice_at)",
        "self.ports.store.transact([decision.write, Put(notice_at(self.ports.clock.now()))])",
    ),
    one_edit(
        "redeliver: tries begin anew",
        "WP-8",
        "core.loop.callbacks:newly_owed",
        "record.callback is CallbackState.PENDING and known.tries >= limits.CALLBACK_TRIES_MAX",
        "False",
    ),
    one_edit(
        "redeliver: a failure stays a dead letter",
        "WP-8",
        "core.callback.delivery:redeliver_write",
        "dead_key(work.finished_at, work.id) if failed and work.finished_at is not None else None",
        "None",
    ),
    one_edit(
        "pace: no pass so long that due work waits",
        "WP-20",
        "core.loop.pace:pass_length_ms",
        "min(limits.PASS_LENGTH_MS_MAX, round(worth_ms))",
        "round(worth_ms)",
    ),
    one_edit(
        "pace: passes begin a floor apart",
        "WP-23",
        "core.loop.pace:pass_length_ms",
        "max(limits.PASS_FLOOR_MS, min(limits.PASS_LENGTH_MS_MAX, round(worth_ms)))",
        "min(limits.PASS_LENGTH_MS_MAX, round(worth_ms))",
    ),
    one_edit(
        "pace: without progress it slows down",
        "WP-23",
        "core.loop.pace:decide_pause",
        "pace.stalled >= limits.STALLED_PASSES",
        "False",
    ),
    one_edit(
        "pace: without answers it gives up",
        "WP-23",
        "core.loop.pace:after_failure",
        "if failures >= limits.FAILED_PASSES_MAX",
        "if False",
    ),
    one_edit(
        "pace: awake for what is due",
        "WP-20",
        "core.loop.pace:Pace.wait_ms",
        "(callback_at, due)",
        "(callback_at,)",
    ),
    one_edit(
        "packed ledger: start numbers",
        "WP-4",
        "adapters.items.ledger_packing:_Writer.add",
        "_START_FOLLOWS if start != 1 else 0",
        "0",
    ),
    one_edit(
        "packed ledger: what was confirmed",
        "WP-20",
        "adapters.items.ledger_packing:_Writer.add",
        "_CONFIRMED if entry.confirmed else 0",
        "_CONFIRMED",
    ),
    one_edit(
        "packed ledger: the format before",
        "WP-1",
        "adapters.items.ledger_packing:unpack",
        "isinstance(value, list)",
        "False",
    ),
    one_edit(
        "pointers: all that led to a start go",
        "WP-22",
        "core.loop.gather:_led_to",
        "if isinstance(row.record, Pointer)",
        "if False",
    ),
    one_edit(
        "pointers: one to what runs is spent",
        "WP-22",
        "core.loop.gather:_Seen.note_pointer",
        "runs or found.state is State.FINISHED",
        "found.state is State.FINISHED",
    ),
    one_edit(
        "pointers: one to what waits is not",
        "WP-3",
        "core.loop.gather:_Seen.note_pointer",
        "found.state is State.RUNNING and time_of(row.sort) <= now",
        "time_of(row.sort) <= now",
    ),
    one_edit(
        "pointers: a work's own row is none",
        "WP-3",
        "core.loop.gather:_led_to",
        "if isinstance(row.record, Pointer)",
        "if True",
    ),
)

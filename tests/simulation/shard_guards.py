"""Mutants of shards: whatever number a caller goes by, its work items are seen [WP-42]."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.simulation.mutation import one_edit

__all__ = ["SHARD_GUARDS"]

SHARD_GUARDS: Final = (
    one_edit(
        "shards: a put beyond is announced",
        "WP-42",
        "flow.pool.kick:kick",
        "shard_of(work_id) >= known.shards",
        "False",
    ),
    one_edit(
        "shards: the status is read after the announcement",
        "WP-42",
        "flow.pool.kick:kick",
        "known = _announce(ports, pool, beyond, due)",
        "_announce(ports, pool, beyond, due)",
    ),
    one_edit(
        "shards: those of starts are read",
        "WP-42",
        "flow.loop.shards:read_shards_of",
        "named <= session.memory.shards_read",
        "True",
    ),
    replace(
        one_edit(
            "shards: changed by the holder alone",
            "WP-42",
            "flow.loop.shards:read_shards_of",
            "not session.held",
            "False",
        ),
        cases=(
            "tests/integration/test_shards.py::test_only_the_holder_of_the_ledger_changes_the_shards",
        ),
    ),
    one_edit(
        "shards: left only when callers leave them",
        "WP-42",
        "flow.loop.shards:tend_shards",
        "_write(session, wanted, memory.shards_read)",
        "_write(session, wanted, wanted)",
    ),
    one_edit(
        "shards: left without work items",
        "WP-42",
        "flow.loop.shards:_may_read_fewer",
        "live_in(ports.store, ports.telemetry, works, taken=taken, now=now)",
        "False",
    ),
    one_edit(
        "shards: left without starts in flight",
        "WP-42",
        "flow.loop.shards:_may_read_fewer",
        "shards_named(named) > memory.shards",
        "False",
    ),
    replace(
        one_edit(
            "shards: notices of canceled work items lie in shard 0",
            "WP-42",
            "core.callback.ending:record_of_end",
            "make_id(now, random_bits=random_bits)",
            "make_id(now, random_bits=random_bits, shard=int(work.id[-1]))",
        ),
        cases=(
            "tests/integration/test_shards.py::test_canceled_work_of_an_unread_shard_owes_its_callback",
        ),
    ),
    one_edit(
        "shards: a resting pool keeps what others may still use",
        "WP-42",
        "flow.loop.shards:read_fewer_at_rest",
        "_may_read_fewer(session, now)",
        "True",
    ),
    replace(
        one_edit(
            "shards: a deep read begins behind the cursor",
            "WP-3",
            "flow.loop.choose:_ranges_of",
            "work_range(pool, shard, low, high=cursor, pending_only=True)",
            "None",
        ),
        cases=(
            "tests/integration/test_shards.py::test_late_work_behind_the_cursor_of_a_busy_shard_is_found",
        ),
    ),
    replace(
        one_edit(
            "shards: growth keeps the cursors of those at rest",
            "WP-42",
            "flow.loop.shards:tend_shards",
            "(*marks, *before[len(marks) :])",
            "marks",
        ),
        cases=(
            "tests/integration/test_shards.py::test_growth_to_fewer_shards_forgets_none_that_rest",
        ),
    ),
)

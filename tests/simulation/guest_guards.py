"""The mutants of quick starts: a caller starts only what a loop would, and leaves the rest to one [WP-44]."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit, one_edit

__all__ = ["GUEST_GUARDS"]

_DECISION: Final = "tests/unit/core/test_guest_decision.py::"
_STARTS: Final = "tests/integration/test_quick_starts.py::"
_CHOICE: Final = "core.loop.guest:starts_of_guest"
_PLAIN: Final = "core.loop.guest:_is_plain"
_FLOW: Final = "flow.loop.guest:"


def _named(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(name=f"guest: {name}", rule=rule, edits=(edit(where, old, new),), cases=(case,))


GUEST_GUARDS: Final = (
    one_edit(
        "guest: nothing in flight",
        "WP-44",
        _CHOICE,
        "ledger.entries or ledger.pages or ledger.callbacks or not is_settled(config, ledger)",
        "not is_settled(config, ledger)",
    ),
    one_edit(
        "guest: the limit in force",
        "WP-1",
        _CHOICE,
        "headroom_of(config, in_flight=0, bulk_cancel=None, now=now)",
        "headroom_of(None, in_flight=0, bulk_cancel=None, now=now)",
    ),
    one_edit("guest: no rate limit", "WP-44", _CHOICE, "or room.tokens is not None", ""),
    one_edit("guest: due", "WP-44", _PLAIN, "work.due_at <= now", "True"),
    one_edit(
        "guest: the worker makes the start",
        "WP-44",
        _CHOICE,
        "and is_made_by_worker(work, target_claims=claims)",
        "",
    ),
    _named(
        "a refused commit starts nothing",
        "WP-2",
        f"{_FLOW}_Visit._commit",
        "isinstance(met.current, Ledger) and met.current.committed_by == token",
        "True",
        f"{_STARTS}test_pause_before_commit_keeps_all_from_start",
    ),
    _named(
        "no bulk cancel",
        "WP-13",
        _CHOICE,
        "or not is_settled(config, ledger)",
        "",
        f"{_STARTS}test_bulk_cancel_that_is_under_way_comes_first",
    ),
    _named(
        "the epoch of now",
        "WP-13",
        _CHOICE,
        "work.epoch == ledger.epoch and",
        "",
        f"{_DECISION}test_work_item_that_loop_would_not_just_start_is_left_to_it[of another epoch]",
    ),
    _named(
        "not expired",
        "WP-25",
        _PLAIN,
        "and not has_expired(work, now)",
        "",
        f"{_DECISION}test_work_item_that_loop_would_not_just_start_is_left_to_it[expired]",
    ),
    _named(
        "shards that are read",
        "WP-42",
        _CHOICE,
        "and shard_of(work.id) < shards",
        "",
        f"{_DECISION}test_work_item_that_loop_would_not_just_start_is_left_to_it[of another shard]",
    ),
    _named(
        "small arguments",
        "WP-11",
        _PLAIN,
        "and len(args.encode()) <= limits.ARGS_INLINE_BYTES_MAX",
        "",
        f"{_DECISION}test_work_item_that_loop_would_not_just_start_is_left_to_it[large]",
    ),
    _named(
        "in order",
        "WP-20",
        _CHOICE,
        "takewhile",
        "filter",
        f"{_DECISION}test_nothing_overtakes_work_item_that_loop_is_to_start",
    ),
    _named(
        "not after a loop that died",
        "WP-20",
        "core.loop.guest:may_look",
        "and before.state is not LoopState.RUNNING",
        "",
        f"{_DECISION}test_guest_looks_only_where_loop_was_at_rest[running]",
    ),
    _named(
        "the ledger is read before the config",
        "WP-13",
        f"{_FLOW}_Look._read_pool",
        "self.ledger = self.ports.store.get(LedgerRef(self.pool))\n"
        "self.config = configure.in_force(self.ports.store, self.ports.telemetry, self.pool)",
        "self.config = configure.in_force(self.ports.store, self.ports.telemetry, self.pool)\n"
        "self.ledger = self.ports.store.get(LedgerRef(self.pool))",
        f"{_STARTS}test_pause_between_reads_of_guest_is_minded[LedgerRef]",
    ),
    _named(
        "all of the pool is read",
        "WP-1",
        f"{_FLOW}_Visit.make",
        "not look.is_whole or",
        "",
        f"{_STARTS}test_guest_whose_read_is_not_answered_leaves_all_to_loop[ConfigRef]",
    ),
    _named(
        "its own commit, repeated",
        "WP-20",
        f"{_FLOW}_Visit._commit",
        "isinstance(met.current, Ledger) and met.current.committed_by == token",
        "False",
        f"{_STARTS}test_commit_in_doubt_is_left_to_next_loop[repeated]",
    ),
    _named(
        "a commit in doubt is handed over",
        "WP-20",
        f"{_FLOW}_Visit.make",
        "landed is False",
        "not landed",
        f"{_STARTS}test_commit_in_doubt_is_left_to_next_loop[answer lost]",
    ),
    _named(
        "a commit in doubt is not sent",
        "WP-2",
        f"{_FLOW}_Visit.make",
        "landed and self._send(chosen)",
        "self._send(chosen)",
        f"{_STARTS}test_commit_in_doubt_is_left_to_next_loop[lost]",
    ),
    _named(
        "what was not sent is sent by the loop",
        "WP-20",
        f"{_FLOW}_Visit.make",
        "landed and self._send(chosen)",
        "landed and (self._send(chosen) or True)",
        f"{_STARTS}test_start_that_lambda_did_not_take_is_made_by_loop_at_once[throttled]",
    ),
    _named(
        "a refused function is left to the loop",
        "WP-23",
        f"{_FLOW}QuickStarts.__call__",
        "ports.clock.now() < self._refused_until.get(target, 0)",
        "False",
        f"{_STARTS}test_function_that_caller_may_not_invoke_is_left_to_loop",
    ),
    _named(
        "its starts are of one generation",
        "WP-20",
        "core.loop.memory:Memory.following",
        "guest.generation != self.ledger.generation",
        "False",
        f"{_STARTS}test_sent_starts_are_those_of_next_generation_alone",
    ),
    _named(
        "its starts are looked at",
        "WP-21",
        "core.loop.memory:Memory.following",
        "unconfirmed=sent",
        "unconfirmed=frozenset()",
        f"{_STARTS}test_start_of_work_item_that_is_over_frees_its_slot",
    ),
    _named(
        "its starts are not sent again",
        "WP-44",
        "core.loop.memory:Memory.following",
        "sent=sent",
        "sent=frozenset()",
        f"{_STARTS}test_loop_waits_for_worker_that_is_slow_to_begin",
    ),
    _named(
        "notices before work items",
        "WP-20",
        "flow.loop.reads:first_reads",
        "session.held or session.entries",
        "session.held",
        f"{_STARTS}test_loop_that_follows_reads_notices_before_work_items",
    ),
)

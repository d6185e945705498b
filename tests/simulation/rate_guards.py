"""Mutants of the rate limit: no window has more starts than it allows, by any loop."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit, one_edit

__all__ = ["RATE_GUARDS"]

_DECISION: Final = "tests/unit/core/test_rate_decision.py::"
_ACCEPTANCE: Final = "tests/acceptance/test_api_rates.py::"


def _named(name: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(
        name=name, rule="WP-33", edits=(edit(where, old, new),), cases=(f"{_DECISION}{case}",)
    )


RATE_GUARDS: Final = (
    one_edit(
        "rate: a start needs a token",
        "WP-33",
        "core.loop.admit:Headroom.admit",
        "self.tokens == 0",
        "False",
    ),
    one_edit(
        "rate: committed with the starts",
        "WP-33",
        "flow.loop.session:LoopSession.commit",
        '"rate": committed.rate,',
        "",
    ),
    one_edit(
        "rate: retries are starts",
        "WP-33",
        "core.loop.plan:Findings._rate_after",
        "len(self.choice.chosen)",
        "sum(one.work.starts == 0 for one in self.choice.chosen)",
    ),
    one_edit(
        "rate: remembered by its holder",
        "WP-33",
        "core.loop.memory:Memory.having_landed",
        "landed_by(ledger.rate, now)",
        "self.spent",
    ),
    _named(
        "rate: another clock",
        "core.loop.rate_left:counted_elsewhere",
        "spent.until_us + _CLOCKS_US",
        "spent.until_us",
        "test_next_holder_counts_tokens_four_seconds_later",
    ),
    _named(
        "rate: a commit may land late",
        "core.loop.rate:landed_by",
        "max(spent.until_us, latest_us)",
        "spent.until_us",
        "test_commit_that_landed_late_is_counted_from_its_landing",
    ),
    _named(
        "rate: a dead holder's commit may have landed just now",
        "core.loop.rate_left:counted_by_next",
        "landed_by(spent, now)",
        "spent",
        "test_next_holder_of_crashed_loop_counts_last_commit_from_take",
    ),
    _named(
        "rate: only the count of those commits",
        "core.loop.rate_left:counted_elsewhere",
        "left is not None and left.generation == spent.generation",
        "left is not None",
        "test_count_that_older_loop_left_is_not_taken",
    ),
    _named(
        "rate: a change keeps the debt",
        "core.loop.rate:tokens_of",
        "_us(now) + spent.debt_us(limit, _us(now))",
        "_us(now)",
        "test_change_of_limit_keeps_spent_tokens",
    ),
    _named(
        "rate: a debt is converted once",
        "core.loop.memory:Memory.having_read",
        "spent_after(self.spent, rate, inputs.now)",
        "self.spent",
        "test_debt_of_older_limit_is_converted_once",
    ),
    _named(
        "rate: a rebuilt ledger has no tokens",
        "model.rate:RateSpent.debt_us",
        "if self.step_us == 0:",
        "if False:",
        "test_tokens_of_unknown_past_are_spent",
    ),
    Mutant(
        name="rate: wakes for the token",
        rule="WP-20",
        edits=(edit("flow.loop.rest:_Resting.rest", "done.next_start", "done.next_due"),),
        cases=(f"{_ACCEPTANCE}test_pool_rests_until_far_token_and_wakes_for_it",),
    ),
    _named(
        "rate: enqueues leave a starved pool alone",
        "core.loop.rest:decide_rest",
        "free <= 0 or starved",
        "free <= 0",
        "test_loop_rests_until_far_token_as_full",
    ),
    _named(
        "rate: the watchdog waits for the token",
        "core.watchdog.watch:may_start",
        "tokens is not None and tokens.free == 0",
        "False",
        "test_watchdog_does_not_start_starved_pool",
    ),
)

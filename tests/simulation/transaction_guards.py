"""Mutants of transactions [WP-9] and of effects that happen once [WP-15]."""

from __future__ import annotations

from typing import Final

from tests.simulation.mutation import Mutant, edit

__all__ = ["TRANSACTION_GUARDS"]

_FLOW: Final = "flow.work.transaction:"


def _guard(name: str, rule: str, where: str, old: str, new: str, case: str) -> Mutant:
    return Mutant(
        name=name, rule=rule, edits=(edit(where, old, new),), cases=(f"tests/{case}",), world="bank"
    )


TRANSACTION_GUARDS: Final[tuple[Mutant, ...]] = (
    _guard(
        "transaction: a refusal after a doubt is none",
        "WP-9",
        f"{_FLOW}_Commit._send",
        "doubt = doubt or _repeated(met)",
        "doubt = None",
        "integration/test_transaction_doubts.py::test_refusal_after_request_without_answer_is_no_answer",
    ),
    _guard(
        "transaction: a repetition by the SDK is a doubt",
        "WP-9",
        f"{_FLOW}_repeated",
        "met.repeated",
        "False",
        "integration/test_transaction_doubts.py::test_refusal_of_request_that_the_sdk_repeated_is_no_answer",
    ),
    _guard(
        "transaction: the fence is written",
        "WP-9",
        f"{_FLOW}fence",
        "ports.store.write(tombstone)",
        "None",
        "integration/test_transaction_doubts.py::test_commit_that_never_arrived_can_never_land_after_its_caller_was_told",
    ),
    _guard(
        "transaction: what proves it is put if absent",
        "WP-9",
        "core.work.transaction:_receipt_of",
        "isinstance(tombstone.record, Receipt)",
        "False",
        "integration/test_transaction_doubts.py::test_work_item_that_is_kept_for_less_than_an_hour_needs_a_receipt",
    ),
    _guard(
        "transaction: the epoch is read before the commit",
        "WP-13",
        f"{_FLOW}_Commit.plan",
        "epoch_of(ports, pool)",
        "0",
        "integration/test_transaction_doubts.py::test_commit_after_cancel_all_carries_its_epoch",
    ),
    _guard(
        "transaction: an old id is pointed at",
        "WP-3",
        "core.work.transaction:place_works",
        "now - key_time > limits.OLD_ID_MS",
        "False",
        "integration/test_transaction_doubts.py::test_slow_block_points_at_its_work_item_in_the_same_transaction",
    ),
    _guard(
        "transaction: what landed at an unknown time is pointed at",
        "WP-3",
        f"{_FLOW}show",
        "written is None",
        "False",
        "integration/test_transaction_doubts.py::test_commit_without_any_answer_asks_the_work_item_itself",
    ),
    _guard(
        "transaction: reads are checked",
        "WP-9",
        "adapters.guests.actions:GuestAction.guest",
        "read is not None",
        "False",
        "acceptance/test_api_transactions.py::test_transaction_is_refused_when_what_it_looked_at_has_changed[memory]",
    ),
    _guard(
        "mutation: ends with its transaction",
        "WP-15",
        "api.mutation:MutationWorker._commit",
        "ends[-1].writes",
        "()",
        "acceptance/test_api_mutations.py::test_mutation_takes_effect_with_its_success[memory]",
    ),
    _guard(
        "mutation: only while its start runs",
        "WP-15",
        "core.report.mutate:unclaimed_end",
        "All(conditions)",
        'Is("claim", None)',
        "acceptance/test_api_mutations.py::test_commit_that_lands_after_the_next_one_is_refused",
    ),
    _guard(
        "mutation: no retry of a claimed start",
        "WP-5",
        "core.report.mutate:retry_allowed",
        "a.kind is Kind.MUTATION and is_claimed",
        "False",
        "acceptance/test_api_mutations.py::test_mutation_of_function_that_claims_runs_at_most_once",
    ),
    _guard(
        "spawned: a pass looks for those of few",
        "WP-22",
        "core.loop.recover:_judged_now",
        "with_spawned[limits.SPAWNED_A_PASS :]",
        "()",
        "unit/core/test_check_of_entries.py::"
        "test_pass_looks_for_what_few_ends_have_spawned_and_leaves_the_others_to_the_next",
    ),
    _guard(
        "spawned: named by the move that stores them",
        "WP-20",
        "api.anchored:AnchoredTransaction.commit_with",
        "naming_spawned(self._draft(anchor))",
        "self._draft(anchor)",
        "acceptance/test_api_mutations.py::test_end_and_delivery_name_the_work_items_they_store",
    ),
    _guard(
        "spawned: found when an entry is dropped",
        "WP-20",
        "core.loop.recover:Drop.before",
        "after_end(work)",
        "[Expire(work)]",
        "unit/core/test_check_of_entries.py::test_entry_is_dropped_after_what_its_end_stored_is_in_sight",
    ),
    _guard(
        "spawned: found when a callback is forgotten",
        "WP-20",
        "core.loop.callbacks:plan_callbacks",
        "after_end(work)",
        "[Expire(work)]",
        "unit/core/test_loop_callbacks.py::test_callback_is_forgotten_after_what_its_handler_stored_is_in_sight",
    ),
    _guard(
        "spawned: found by a second report",
        "WP-20",
        "flow.report.complete:_Completion._pass_over",
        "show_spawned(self.ports, current)",
        "None",
        "integration/test_spawned.py::test_second_report_points_at_what_the_end_has_stored",
    ),
    _guard(
        "spawned: a quick handler is looked at again",
        "WP-20",
        "flow.callback.deliver:_record_delivery",
        "marked.callback is CallbackState.DELIVERED and marked.spawned",
        "False",
        "unit/flow/test_callback_steps.py::test_delivery_that_stored_work_items_is_looked_at_again",
    ),
    _guard(
        "handler with effect: delivered with its transaction",
        "WP-15",
        "api.anchored:AnchoredTransaction.commit_with",
        "self._draft(anchor)",
        "self._draft(())",
        "acceptance/test_api_mutations.py::test_callback_with_transaction_takes_effect_once_however_often_it_is_called",
    ),
)

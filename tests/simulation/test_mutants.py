"""The list of guards itself.

Each can be removed, leaves nothing behind, is distinct, and names the tests that notice it.
"""

import tomllib
from pathlib import Path

import pytest

from tests.simulation.hunt import QUICK_SEEDS, Catch, hunt, likely_first, noticed, remembered
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Edit, Mutant, applied, mutated_code
from workpool_aws.core.report.retry import retry_delay_ms
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.retry import RetryPolicy

ROOT = Path(__file__).parents[2]
FAILED = Report(kind=ReportKind.FAILED)


def delay_after(attempts_made: int) -> int | None:
    return retry_delay_ms(
        RetryPolicy(max_attempts=2, jitter=False), FAILED, attempts_made=attempts_made, jitter=0.5
    )


def named(name: str) -> Mutant:
    return next(each for each in MUTANTS if each.name == name)


def fault_of(edit: Edit) -> str | None:
    """Return the reason why an edit of the list cannot be made; `None` means that it can."""
    try:
        assert mutated_code(edit) is not None
    except (AssertionError, AttributeError, ImportError, LookupError, SyntaxError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_guard_stands_where_its_mutant_removes_it() -> None:
    faults = [
        f"{mutant.name}: {fault}"
        for mutant in MUTANTS
        for edit in mutant.edits
        if (fault := fault_of(edit)) is not None
    ]

    assert faults == []


def test_edit_of_function_that_is_gone_is_named() -> None:
    fault = fault_of(Edit("core.report.retry:no_such_function", (("policy", ""),)))

    assert fault is not None
    assert "no_such_function" in fault


def test_guard_that_is_gone_from_code_is_error() -> None:
    with pytest.raises(LookupError, match="stands there 0 times"):
        mutated_code(Edit("core.report.retry:retry_delay_ms", (("no_such_guard(policy)", ""),)))


def test_guard_is_gone_inside_and_back_afterwards() -> None:
    with applied(named("attempts are bounded")):
        inside = delay_after(attempts_made=2)

    assert inside == 500
    assert delay_after(attempts_made=2) is None


def test_mutants_have_different_names() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)


def test_each_mutant_says_how_it_is_noticed() -> None:
    assert [each.name for each in MUTANTS if not (each.quick or each.by_seeds or each.cases)] == []


def test_tests_that_mutants_name_exist() -> None:
    missing = []
    for case in {case for each in MUTANTS for case in each.cases}:
        file, _, name = case.partition("::")
        path = ROOT / file
        if not path.exists() or f"\ndef {name.partition('[')[0]}(" not in path.read_text("utf-8"):
            missing.append(case)

    assert missing == []


def test_hunt_finds_first_seed_that_fails() -> None:
    catch = hunt("limit: free slots", range(3))

    assert catch.seed is not None
    assert catch.what.startswith("WP-1: ")
    assert not catch.is_missed


def test_guard_that_no_seed_notices_is_missed_unless_named_test_notices() -> None:
    by_seeds = next(each for each in MUTANTS if each.quick and not each.cases)
    by_a_test = next(each for each in MUTANTS if each.cases)

    assert Catch(by_seeds.name, seeds=9).is_missed
    assert not Catch(by_a_test.name, seeds=9).is_missed
    assert Catch(by_a_test.name, seeds=9, missed_cases=by_a_test.cases).is_missed


def test_likely_seed_is_tried_first_and_no_other_is_left_out() -> None:
    assert likely_first(range(4), 2) == [2, 0, 1, 3]
    assert likely_first(range(4), 4) == likely_first(range(4), None) == range(4)


def test_seeds_that_noticed_are_of_guards_that_are_hunted_quickly() -> None:
    """Another name would be a guard that was renamed; another seed would never be tried."""
    found = noticed()

    assert found.keys() <= {each.name for each in MUTANTS if each.quick}
    assert {seed for seed in found.values() if seed not in range(QUICK_SEEDS)} == set()


def test_hunt_notes_its_seeds_beside_those_of_other_guards() -> None:
    one, other = list(noticed())[:2]

    again = tomllib.loads(remembered([Catch(one, 200, 150, "WP-1"), Catch(other, 200)]))

    assert again == {**{name: seed for name, seed in noticed().items() if name != other}, one: 150}

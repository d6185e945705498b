"""Runs driven by other things than chance: all of a small case, priorities, a recorded list, and Hypothesis, which makes failures small."""

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.simulation.choosers import DeviatingChooser, PriorityChooser, explore
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import applied
from tests.simulation.scenario import Scenario, one_submission, scenario_of, small_scenario
from tests.simulation.world import simulate
from workpool_aws.local.faults.faults import Fault
from workpool_aws.local.kernel.chance import ReplayChooser, SeededChooser

AT_THE_LOOP = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.ANSWER_LOST)
ON_THE_WAY = (
    Fault.EVENT_LOST,
    Fault.EVENT_TWICE,
    Fault.RECORD_LOST,
    Fault.RECORD_TWICE,
    Fault.LOOP_LOST,
)
CALLS_OF_AN_ENQUEUE_MS = 15
"""From its beginning to its put, in a small scenario."""
ONE_LIST = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def without(name: str):
    return applied(next(each for each in MUTANTS if each.name == name))


def an_enqueue_at_the_rest() -> Scenario:
    """A second enqueue whose put falls into the instant at which the loop looks for the last time before it says that it rests."""
    alone = simulate(small_scenario(one_submission(0, 0)), DeviatingChooser({}))
    at_rest = next(
        index
        for index, line in enumerate(alone.trace)
        if "update StatusRef" in line and "loop" in line
    )
    looked_ms = round(float(alone.trace[at_rest - 1].split()[0]) * 1000)
    return small_scenario(
        one_submission(0, 0), one_submission(looked_ms - CALLS_OF_AN_ENQUEUE_MS, 1)
    )


@pytest.mark.parametrize("kinds", [AT_THE_LOOP, ON_THE_WAY])
def test_work_survives_any_one_fault_at_any_place(kinds: tuple[Fault, ...]) -> None:
    search = explore(
        small_scenario(one_submission(0, 0), rates=dict.fromkeys(kinds, 1.0), budget=1),
        most=1,
        runs_max=600,
    )

    assert search.complete
    assert search.failures == []
    assert search.runs > len(kinds)


def test_lost_wake_up_is_found_by_trying_everything() -> None:
    scenario = an_enqueue_at_the_rest()
    with without("look after resting"):
        missing = explore(scenario, most=2, runs_max=600)
    there = explore(scenario, most=2, runs_max=600)

    assert [run.violation.rule for _, run in missing.failures if run.violation is not None] == [
        "WP-20"
    ]
    assert there.failures == []
    assert there.complete


def test_priorities_repeat_with_their_seed_and_differ_from_chance() -> None:
    first, again, other = (
        simulate(scenario_of(17), chooser)
        for chooser in (PriorityChooser(3), PriorityChooser(3), SeededChooser(17))
    )

    assert first.violation is None, first.report()
    assert first.trace == again.trace
    assert first.trace != other.trace


def test_priorities_hold_task_back_until_all_others_wait() -> None:
    chooser = PriorityChooser(1, changes=0)
    order = [("a", "b", "c")[chooser.next_task(("a", "b", "c"))] for _ in range(5)]

    assert len(set(order)) == 1


def test_recorded_run_is_repeated_byte_for_byte() -> None:
    recording = SeededChooser(17)
    recorded = simulate(scenario_of(17), recording)

    assert simulate(scenario_of(17), ReplayChooser(recording.log)).trace == recorded.trace


choices = st.lists(st.integers(0, 3), max_size=120)
EVENT_TWICE = small_scenario(
    one_submission(0, 0), rates=dict.fromkeys((Fault.EVENT_TWICE, Fault.EVENT_LATE), 1.0), budget=2
)


@settings(ONE_LIST, max_examples=15, phases=[Phase.generate])
@given(choices)
def test_promises_hold_for_any_list_of_choices(answers: list[int]) -> None:
    run = simulate(EVENT_TWICE, ReplayChooser(answers))

    assert run.violation is None, run.report()


def test_hypothesis_makes_failure_small() -> None:
    """If a refused start ran, a doubled event would run the work item twice: one doubled event is all that is needed."""

    def fails(answers: list[int]) -> bool:
        return simulate(EVENT_TWICE, ReplayChooser(answers)).violation is not None

    with without("claim: refused does not run"):
        smallest = find(choices, fails, settings=ONE_LIST)

    assert sum(answer != 0 for answer in smallest) <= 2

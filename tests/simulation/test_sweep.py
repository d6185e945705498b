"""The library's own code under faults: a fixed set of schedules, each named by its seed.

`make sim` runs as many more as wanted.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.condition_guards import CONDITION_GUARDS
from tests.simulation.coverage import SELDOM, Coverage
from tests.simulation.scenario import scenario_of
from tests.simulation.sweep import Tally, main, run_of_seed
from tests.simulation.world import Run, simulate
from workpool_aws.core.lifecycle import LEGAL
from workpool_aws.local.faults.faults import Fault
from workpool_aws.model.events import LimitDeployed

ROOT = Path(__file__).parents[2]
SEEDS = range(187, 217)
"""`make sim` runs these, those before them and some thousands behind them."""
RARE = {
    Fault.WAKE_TWICE,
    Fault.WAKE_LATE,
    Fault.WAKE_NEVER,
    Fault.WAKE_DELETED,
    Fault.RECORD_LATE,
    Fault.RECORD_TWICE,
}
"""Not by each range of so few seeds; a sweep of millions of calls is vacuous without them."""
BUSY_SEED = 24


@cache
def run_of(seed: int) -> Run:
    return run_of_seed(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_in_every_run(seed: int) -> None:
    run = run_of(seed)

    assert run.violation is None, run.report()


def test_same_seed_gives_same_trace_byte_for_byte() -> None:
    traces = ["\n".join(simulate(scenario_of(BUSY_SEED)).trace).encode() for _ in range(2)]

    assert traces[0] == traces[1]
    assert len(traces[0].splitlines()) > 50


def test_trace_does_not_depend_on_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Strings in sets have another order in each process, on which nothing may depend."""
    another = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation.sweep", "--seed", str(BUSY_SEED)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": another},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    main(["--seed", str(BUSY_SEED)])

    assert capsys.readouterr().out == elsewhere
    assert len(elsewhere.splitlines()) > 50


def test_every_kind_of_fault_strikes_and_much_happens() -> None:
    tally = Tally()
    for seed in SEEDS:
        tally.add(run_of(seed))

    assert set(tally.coverage.faults) >= set(map(str, Fault)) - RARE
    assert set(tally.coverage.moves) == set(LEGAL)
    assert set(tally.coverage.tried) <= {each.name for each in CONDITION_GUARDS}
    assert tally.executions > 3 * len(SEEDS)
    assert tally.broken == []


def test_deployments_change_limits_in_middle_of_runs() -> None:
    events = [
        event for seed in SEEDS if scenario_of(seed).redeployments for event in run_of(seed).facts
    ]

    assert len([event for event in events if isinstance(event, LimitDeployed)]) >= 5


def test_seed_without_faults_has_none() -> None:
    run = simulate(scenario_of(7))

    assert run.scenario.is_calm
    assert run.coverage.faults.total() == 0
    assert run.executions >= 1


def test_runner_tells_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--first", "15", "--count", "2", "--jobs", "1"])

    told = capsys.readouterr().out
    assert code == 0
    assert told.startswith("2 runs, ")
    assert "broken: 0" in told


def test_sweep_that_met_too_little_is_vacuous() -> None:
    coverage = Coverage()
    coverage.add(run_of(BUSY_SEED).coverage)

    assert "no work ever made the move suspect" in coverage.missing()
    assert "no wake deleted ever struck" in coverage.missing()
    assert "enqueue: absent was always true" in coverage.missing()
    assert "no work ever made the move start" not in coverage.missing()


def test_case_may_be_missing_only_with_test_of_its_own() -> None:
    assert {each.name for each in CONDITION_GUARDS} >= SELDOM

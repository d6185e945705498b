"""The formula of a run's cost knows the open time, and a run beyond it is broken."""

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_running_work, a_work, an_id, changed
from tests.simulation import world
from tests.simulation.bill import OpenTime, Use, reads_max, writes_max
from tests.simulation.scenario import one_submission, small_scenario
from tests.simulation.world import simulate
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem

NOTHING = Use(
    pools=0,
    works=0,
    starts=0,
    put_backs=0,
    callbacks=0,
    asks=0,
    large_works=0,
    large_results=0,
    open_ms=0,
    faults=0,
)


def after(ms: int) -> EpochMs:
    return EpochMs(NOW + ms)


def finished(work: WorkItem) -> WorkItem:
    return changed(
        work, state=State.FINISHED, outcome=Outcome.SUCCESS, result="1", claim=None, deadline=None
    )


def test_time_is_open_from_two_minutes_before_work_is_due_until_it_is_over() -> None:
    times = OpenTime()

    times.saw(a_work(due_at=after(200_000), id=an_id(1)), NOW)
    times.saw(a_running_work(starts=1, id=an_id(1)), after(200_500))
    times.saw(finished(a_running_work(starts=1, id=an_id(1))), after(203_000))

    assert times.total_ms() == 203_000 - (200_000 - 120_000)


def test_work_that_runs_for_long_gives_loop_no_reason_to_be_awake() -> None:
    times = OpenTime()

    times.saw(a_running_work(starts=1, id=an_id(1)), NOW)
    times.saw(finished(a_running_work(starts=1, id=an_id(1))), after(600_000))

    assert times.total_ms() == 5_000


def test_works_that_are_open_at_same_time_count_once_in_each_pool() -> None:
    times = OpenTime()
    first, second = a_work(due_at=NOW), a_work(due_at=NOW, id=an_id(7))
    elsewhere = replace(second, pool="elsewhere", id=an_id(8))

    for work in (first, second, elsewhere):
        times.saw(work, NOW)
    for work in (first, elsewhere):
        times.saw(finished(work), after(1_000))
    times.saw(finished(second), after(3_000))

    assert times.total_ms() == 3_000 + 1_000


def test_work_that_was_canceled_long_before_its_time_opens_nothing() -> None:
    times = OpenTime()

    times.saw(a_work(due_at=after(500_000)), NOW)
    times.saw(finished(a_work(due_at=after(500_000))), after(1_000))

    assert times.total_ms() == 0


@pytest.mark.parametrize(
    "more",
    [
        {"works": 1},
        {"starts": 1},
        {"callbacks": 1},
        {"asks": 1},
        {"pools": 1},
        {"large_works": 1},
        {"large_results": 1},
        {"faults": 1},
    ],
)
def test_bill_allows_for_what_was_asked(more: dict[str, int]) -> None:
    assert writes_max(replace(NOTHING, **more)) > 0
    assert reads_max(replace(NOTHING, **more)) > 0


def test_bill_allows_reads_and_no_writes_for_time() -> None:
    assert reads_max(replace(NOTHING, open_ms=60_000)) == 60 * 5 * 1.5
    assert reads_max(replace(NOTHING, open_ms=60_000, ranges=4)) == 4 * 60 * 5 * 1.5
    assert writes_max(replace(NOTHING, open_ms=60_000)) == 0


@pytest.mark.parametrize(("unit", "formula"), [("write", "writes_max"), ("read", "reads_max")])
def test_run_that_costs_more_breaks_promise(
    monkeypatch: pytest.MonkeyPatch, unit: str, formula: str
) -> None:
    monkeypatch.setattr(world, formula, lambda use: 5)

    run = simulate(small_scenario(one_submission(0, 0)))

    assert run.violation is not None
    assert run.violation.rule == "cost"
    assert f"{unit} units, where 5 are plausible" in run.violation.what

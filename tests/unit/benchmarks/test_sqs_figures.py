"""The figures of a load that `make bench-sqs` prints."""

import pytest

from benchmarks.sqs import Ran, _figures

pytestmark = pytest.mark.form


def note(n: int, sent_at: float, began_at: float, ended_at: float) -> dict[str, float]:
    return {"n": n, "sent_at": sent_at, "began_at": began_at, "ended_at": ended_at}


def test_figures_of_two_slots_of_which_one_is_idle_half_of_time() -> None:
    notes = [note(0, 10.0, 10.5, 11.5), note(1, 10.0, 11.0, 12.0), note(2, 10.2, 11.5, 12.5)]

    assert _figures(notes, limit=2) == Ran(
        per_second=pytest.approx(3 / 2.5),
        filled=pytest.approx(3 / 4),
        lag_p50_ms=pytest.approx(1000),
        lag_max_ms=pytest.approx(1300),
        most_at_once=2,
        doubles=0,
    )


def test_job_that_ran_twice_is_counted_as_double() -> None:
    assert _figures([note(0, 1.0, 1.0, 2.0), note(0, 1.0, 2.0, 3.0)], limit=1).doubles == 1

"""The counts of a task pool, from times that a test gives."""

from __future__ import annotations

from dataclasses import asdict

from workpool_aws.executor.counts import TaskCounts

NOTHING = {
    "queued": 0,
    "running": 0,
    "completed": 0,
    "failed": 0,
    "spilled": 0,
    "given_up": 0,
    "workers": 0,
    "wait_ms_mean": None,
    "wait_ms_max": None,
    "run_ms_mean": None,
    "run_ms_max": None,
}


def test_pool_that_did_nothing_has_no_times():
    assert asdict(TaskCounts().stats(queued=0, running=0, workers=0)) == NOTHING


def test_waits_are_those_of_what_was_started_and_runs_those_of_what_ended():
    tally = TaskCounts()
    for wait_ms in (1.0, 5.0, 3.0):
        tally.start(wait_ms)
    tally.end(10.0, failed=False)
    started = tally.stats(queued=4, running=2, workers=3)
    tally.end(40.0, failed=True)
    tally.end(10.0, failed=False)
    ended = tally.stats(queued=0, running=0, workers=1)

    waits = {"wait_ms_mean": 3.0, "wait_ms_max": 5.0}
    counted = {
        "queued": 4,
        "running": 2,
        "workers": 3,
        "completed": 1,
        "run_ms_mean": 10.0,
        "run_ms_max": 10.0,
    }
    assert asdict(started) == {**NOTHING, **waits, **counted}
    assert asdict(ended) == {
        **NOTHING,
        **waits,
        "workers": 1,
        "completed": 2,
        "failed": 1,
        "run_ms_mean": 20.0,
        "run_ms_max": 40.0,
    }


def test_failed_tasks_have_times_too():
    tally = TaskCounts()
    tally.start(2.0)
    tally.end(3.0, failed=True)

    stats = tally.stats(queued=0, running=0, workers=1)

    assert (stats.failed, stats.completed, stats.run_ms_mean, stats.run_ms_max) == (1, 0, 3.0, 3.0)


def test_unstarted_tasks_are_spilled_or_given_up_and_have_no_times():
    tally = TaskCounts()
    for spilled in (True, True, False):
        tally.unstarted(spilled=spilled)

    stats = tally.stats(queued=0, running=0, workers=0)

    assert asdict(stats) == {**NOTHING, "spilled": 2, "given_up": 1}

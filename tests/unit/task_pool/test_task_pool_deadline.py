"""The phase that the remaining time allows, and requests to cancel a thread's coroutine."""

from __future__ import annotations

import contextvars

import pytest

from workpool_aws.executor.coroutines import CoroutineHost
from workpool_aws.executor.deadline import Phase, TimeLeft, time_left


@pytest.mark.parametrize(
    ("context_ms", "limit_ms", "expected"),
    [
        (None, None, TimeLeft(Phase.OPEN, None)),
        (1_001, None, TimeLeft(Phase.OPEN, 1)),
        (1_000, None, TimeLeft(Phase.CLOSING, 500)),
        (501, None, TimeLeft(Phase.CLOSING, 1)),
        (500, None, TimeLeft(Phase.CANCELING, 250)),
        (251, None, TimeLeft(Phase.CANCELING, 1)),
        (250, None, TimeLeft(Phase.OVER, None)),
        (0, None, TimeLeft(Phase.OVER, None)),
        (None, 1, TimeLeft(Phase.OPEN, 1)),
        (None, 0, TimeLeft(Phase.CLOSING, 500)),
        (None, -500, TimeLeft(Phase.CANCELING, 250)),
        (None, -750, TimeLeft(Phase.OVER, None)),
        (5_000, 100, TimeLeft(Phase.OPEN, 100)),
        (1_050, 5_000, TimeLeft(Phase.OPEN, 50)),
    ],
)
def test_phase_is_that_of_the_nearer_end(
    context_ms: float | None, limit_ms: float | None, expected: TimeLeft
) -> None:
    assert time_left(context_ms=context_ms, limit_ms=limit_ms, reserve_ms=1_000) == expected


def test_phases_are_apart_and_in_order() -> None:
    assert [each.name for each in sorted(Phase)] == ["OPEN", "CLOSING", "CANCELING", "OVER"]


def test_cancel_between_two_coroutines_is_for_the_next_one_until_it_is_forgotten() -> None:
    host, ran = CoroutineHost(), []

    async def run() -> None:
        ran.append(len(ran))

    host.cancel()  # before there is a loop
    host.forget()
    host.run(run(), contextvars.copy_context())
    host.cancel()  # with a loop, and nothing that runs on it
    host.forget()
    host.run(run(), contextvars.copy_context())
    host.close()

    assert ran == [0, 1]

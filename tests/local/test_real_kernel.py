"""The kernel on the real clock: threads that really run at the same time."""

import threading
import time
from collections.abc import Iterator

import pytest

from workpool_aws.local.kernel.kernel import Killed
from workpool_aws.local.kernel.real import RealKernel
from workpool_aws.model.ids import EpochMs


@pytest.fixture
def kernel() -> Iterator[RealKernel]:
    kernel = RealKernel(speed=100.0)
    yield kernel
    kernel.close()


def in_ms(kernel: RealKernel, ms: int) -> EpochMs:
    return EpochMs(kernel.now() + ms)


def test_tasks_run_at_same_time(kernel: RealKernel) -> None:
    met = threading.Barrier(3, timeout=10)
    seen: list[int] = []

    def body() -> None:
        seen.append(met.wait())

    for number in range(3):
        kernel.spawn(f"t{number}", body)
    kernel.run(in_ms(kernel, 100_000))

    assert sorted(seen) == [0, 1, 2]


def test_time_is_scaled(kernel: RealKernel) -> None:
    began, began_real = kernel.now(), time.monotonic()

    kernel.sleep(2_000)

    assert kernel.now() - began >= 2_000
    assert time.monotonic() - began_real < 1.5


def test_run_waits_for_alarms_and_sleepers_but_not_for_background(kernel: RealKernel) -> None:
    seen: list[str] = []

    def body() -> None:
        kernel.sleep(300)
        seen.append("slept")

    kernel.spawn("t", body)
    kernel.at(in_ms(kernel, 500), lambda: seen.append("alarm"))
    kernel.at(in_ms(kernel, 10**9), lambda: seen.append("background"), background=True)
    kernel.run(in_ms(kernel, 10**9))

    # On a busy machine the thread may wake after the alarm.
    assert sorted(seen) == ["alarm", "slept"]


def test_killed_task_dies_in_its_sleep(kernel: RealKernel) -> None:
    seen: list[str] = []

    def body() -> None:
        try:
            kernel.sleep(10**9)
        except Killed:
            seen.append("killed")
            raise

    task = kernel.spawn("t", body)
    kernel.at(in_ms(kernel, 100), lambda: kernel.kill(task))
    kernel.run(in_ms(kernel, 10**9))
    kernel.close()

    assert seen == ["killed"]


def test_killed_task_is_not_waited_for_and_makes_no_further_call(kernel: RealKernel) -> None:
    free = threading.Event()
    ended = threading.Event()
    seen: list[str] = []

    def body() -> None:
        free.wait(10)
        try:
            kernel.call("late", lambda: seen.append("applied"), writes=True)
        finally:
            ended.set()

    task = kernel.spawn("t", body)
    kernel.at(in_ms(kernel, 100), lambda: kernel.kill(task))
    kernel.run(in_ms(kernel, 10**9))
    free.set()

    assert ended.wait(10)
    assert seen == []


def test_calls_of_many_threads_are_one_at_time(kernel: RealKernel) -> None:
    counted = [0]

    def add() -> None:
        before = counted[0]
        for _ in range(20):
            pass
        counted[0] = before + 1

    def body() -> None:
        for _ in range(200):
            kernel.call("add", add, writes=True)

    for number in range(8):
        kernel.spawn(f"t{number}", body)
    kernel.run(in_ms(kernel, 10**9))

    assert counted == [1_600]


def test_tasks_own_error_is_raised_outside_run(kernel: RealKernel) -> None:
    def body() -> None:
        raise ZeroDivisionError("in the simulation")

    kernel.spawn("t", body)

    with pytest.raises(ZeroDivisionError, match="in the simulation"):
        kernel.run(in_ms(kernel, 100_000))


def test_closing_joins_every_thread() -> None:
    before = set(threading.enumerate())
    kernel = RealKernel()
    kernel.spawn("t", lambda: kernel.sleep(10**9))

    kernel.close()

    assert set(threading.enumerate()) <= before

"""Many calls at once within one simulated process."""

from collections.abc import Callable, Iterator

import pytest

from workpool_aws.local.kernel.kernel import Kernel
from workpool_aws.local.kernel.real import RealKernel
from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.local.services.fan_out import TaskFanOut
from workpool_aws.model.ids import EpochMs

FAR = EpochMs(START + 10**9)


@pytest.fixture
def kernel() -> Iterator[VirtualKernel]:
    kernel = VirtualKernel(latency_ms=5)
    yield kernel
    kernel.close()


def run_in_task(kernel: Kernel, body: Callable[[], None]) -> None:
    kernel.spawn("process", body)
    kernel.run(EpochMs(kernel.now() + 10**9))


def test_calls_take_their_time_together_and_answer_in_order(kernel: VirtualKernel) -> None:
    answers: list[list[int]] = []
    fan_out = TaskFanOut(kernel, lanes=4)

    run_in_task(
        kernel,
        lambda: answers.append(
            fan_out(lambda n: kernel.call("double", lambda: n * 2, writes=False), range(8))
        ),
    )

    assert answers == [[0, 2, 4, 6, 8, 10, 12, 14]]
    assert kernel.now() - START == 10


def test_caller_says_how_many_calls_run_at_one_time(kernel: VirtualKernel) -> None:
    fan_out = TaskFanOut(kernel, lanes=4)

    run_in_task(
        kernel,
        lambda: fan_out(lambda n: kernel.call("double", lambda: n * 2, writes=False), range(8), 8),
    )

    assert kernel.now() - START == 5


def test_first_items_error_is_raised_when_all_have_ended(kernel: VirtualKernel) -> None:
    called: list[int] = []
    raised: list[str] = []

    def call(n: int) -> None:
        kernel.call("call", lambda: called.append(n), writes=True)
        if n % 2:
            raise ValueError(f"item {n}")

    def body() -> None:
        try:
            TaskFanOut(kernel)(call, range(6))
        except ValueError as error:
            raised.append(str(error))

    run_in_task(kernel, body)

    assert sorted(called) == list(range(6))
    assert raised == ["item 1"]


def test_crash_in_one_call_ends_process_with_all_its_calls(kernel: VirtualKernel) -> None:
    called: list[int] = []
    survived: list[str] = []

    def body() -> None:
        process = kernel.current()
        assert process is not None
        process.crash_in = 3
        TaskFanOut(kernel)(
            lambda n: kernel.call("call", lambda: called.append(n), writes=True), range(6)
        )
        survived.append("the process")

    run_in_task(kernel, body)

    assert len(called) == 2
    assert survived == []


def test_outside_of_tasks_calls_are_made_one_by_one(kernel: VirtualKernel) -> None:
    assert TaskFanOut(kernel)(
        lambda n: kernel.call("call", lambda: n + 1, writes=False), [1, 2, 3]
    ) == [2, 3, 4]


def test_fan_out_is_same_on_real_clock() -> None:
    kernel = RealKernel(speed=100.0)
    answers: list[list[int]] = []
    fan_out = TaskFanOut(kernel, lanes=4)

    run_in_task(
        kernel,
        lambda: answers.append(
            fan_out(lambda n: kernel.call("double", lambda: n * 2, writes=False), range(9))
        ),
    )
    kernel.close()

    assert answers == [[0, 2, 4, 6, 8, 10, 12, 14, 16]]

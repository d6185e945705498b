"""Many calls at once inside a simulated process.

Each lane is a task of the kernel, and they live and die with their process.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from workpool_aws.adapters.system import FAN_OUT_WORKERS, SerialFanOut
from workpool_aws.local.kernel.kernel import Kernel, Killed, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["TaskFanOut"]

_ONE_BY_ONE: Final = SerialFanOut()

A = TypeVar("A")
B = TypeVar("B")


class TaskFanOut:
    """See FanOut.

    Outside of any task, where nothing else runs, calls are made one after the other.
    """

    def __init__(self, kernel: Kernel, lanes: int = FAN_OUT_WORKERS) -> None:
        self._kernel = kernel
        self._lanes = lanes

    def __call__(
        self, call: Callable[[A], B], items: Sequence[A], at_once: int | None = None
    ) -> list[B]:
        """See FanOut."""
        process = self._kernel.current() if len(items) > 1 else None
        if process is None:
            return _ONE_BY_ONE(call, items)
        job = _Job(call, items, process, self._kernel)
        lanes = [
            self._kernel.spawn(
                f"{process.name}/{number}", partial(copy_context().run, job.work), process=process
            )
            for number in range(min(at_once or self._lanes, len(items)))
        ]
        try:
            self._kernel.join(lanes)
        except Killed:
            for lane in lanes:
                self._kernel.kill(lane)
            raise
        return job.answer()


class _Job(Generic[A, B]):
    """Items that the lanes share: each takes the next item until there is none."""

    def __init__(
        self, call: Callable[[A], B], items: Sequence[A], process: Task, kernel: Kernel
    ) -> None:
        self._call = call
        self._left = list(enumerate(items))[::-1]
        self._process = process
        self._kernel = kernel
        self._results: dict[int, B] = {}
        self._errors: dict[int, Exception] = {}

    def work(self) -> None:
        """Run one lane."""
        while True:
            with self._kernel.lock():
                if not self._left:
                    return
                index, item = self._left.pop()
            try:
                self._results[index] = self._call(item)
            except Killed:
                self._kernel.kill(self._process)
                raise
            except Exception as error:  # noqa: BLE001 - raised by `answer`, when all have ended
                self._errors[index] = error

    def answer(self) -> list[B]:
        """Return the results in order of the items, or the first item's error that has one."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[index] for index in range(len(self._results))]

"""The process of a simulated invocation: further threads in the cloud's time, an interruption, its end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from workpool_aws.local.kernel.kernel import Crashed, Kernel, Killed, Task
from workpool_aws.model.ids import EpochMs
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workpool_aws.process import Beside

__all__ = ["SimulatedProcess"]

_FOREVER_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class _Thread:
    """A further thread of a process."""

    kernel: Kernel
    task: Task

    def stop(self) -> None:
        """End it at its next wait or service call."""
        self.kernel.kill(self.task)


class SimulatedProcess:
    """The process of an invocation (see `workpool_aws.process.Process`).

    `threads`: takes those that it begins, which end with the invocation. An invocation in the
    thread of its caller has no process of its own: nothing interrupts it, and nothing ends it.
    """

    def __init__(self, kernel: Kernel, threads: list[Task]) -> None:
        self._kernel = kernel
        self._threads = threads
        self._task = kernel.current()

    def beside(self, name: str, body: Callable[[Callable[[int], bool]], None]) -> Beside:
        """See Process."""
        kernel, main = self._kernel, self._task

        def wait(ms: int) -> bool:
            kernel.sleep(max(ms, 1))  # raises Killed once it is stopped
            return False

        def live() -> None:
            try:
                body(wait)
            except Crashed:
                self.end()
            except Killed:
                pass

        if main is None:
            return _Thread(kernel, Task(name, live, killed=True, done=True))
        thread = kernel.spawn(f"{main.name}/{name}", live, process=main)
        self._threads.append(thread)
        return _Thread(kernel, thread)

    @contextmanager
    def interrupted_after(
        self, delay_ms: int, error: Callable[[], BaseException]
    ) -> Iterator[None]:
        """See Process."""
        kernel, task = self._kernel, self._task
        if task is None:
            yield
            return
        at = EpochMs(kernel.now() + max(delay_ms, 1))
        alarm = kernel.at(at, lambda: kernel.interrupt(task, error()))
        try:
            yield
        finally:
            with kernel.lock():
                alarm.cancel()
                task.interruption = None

    def end(self) -> None:
        """See Process: the invocation ends as a process that exits."""
        kernel, task = self._kernel, self._task
        if task is not None:
            with kernel.lock():
                task.crashed = True
                kernel.kill(task)

    def await_end(self) -> None:
        """See Process."""
        while True:
            self._kernel.sleep(_FOREVER_MS)

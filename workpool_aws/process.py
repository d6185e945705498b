"""The process of one worker invocation: further threads, an interruption of user code, and its end.

In Lambda user code runs in the main thread, which a timer signal interrupts. A `LocalCloud` sets
`current` to a process of its own in every invocation, whose time is the cloud's.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

__all__ = ["Beside", "LambdaProcess", "Process", "current", "may_be_interrupted"]

_EXIT_CODE: Final = 70
_AGAIN_S: Final = 0.02
_REQUEST: Final = ("botocore.httpsession", "send")
"""The SDK's function that takes every exception in it for a failed request, and repeats that."""


class Beside(Protocol):
    """A further thread of the process, which runs until it is stopped."""

    def stop(self) -> None:
        """End its next wait. A later call does nothing."""


class Process(Protocol):
    """The process in which an invocation runs."""

    def beside(self, name: str, body: Callable[[Callable[[int], bool]], None]) -> Beside:
        """Run `body` in a further thread.

        It receives a wait for milliseconds, which returns True once it is stopped.
        """

    def interrupted_after(
        self, delay_ms: int, error: Callable[[], BaseException]
    ) -> AbstractContextManager[None]:
        """Inside, the thread that entered is interrupted by the error after so long.

        Where it cannot be, nothing happens: outside of the main thread of a process.
        """

    def end(self) -> None:
        """End the process at once, whatever its threads do. May return in a thread of a simulation."""

    def await_end(self) -> None:
        """Wait until another thread ends the process."""


class _Thread:
    """A daemon thread, and the event that stops it."""

    def __init__(self, name: str, body: Callable[[Callable[[int], bool]], None]) -> None:
        self._stopped = threading.Event()
        thread = threading.Thread(target=body, args=(self._wait,), name=name, daemon=True)
        thread.start()

    def stop(self) -> None:
        """End its next wait."""
        self._stopped.set()

    def _wait(self, ms: int) -> bool:
        return self._stopped.wait(max(0, ms) / 1000)


def may_be_interrupted() -> bool:
    """True if a timer is set whose alarm may raise in this thread, as that of a job's timeout does."""
    timer = getattr(signal, "getitimer", None)  # Windows has none
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and timer is not None and timer(signal.ITIMER_REAL)[0] > 0


class LambdaProcess:
    """This process of the operating system, as Lambda runs it."""

    def beside(self, name: str, body: Callable[[Callable[[int], bool]], None]) -> Beside:
        """See Process."""
        return _Thread(name, body)

    @contextmanager
    def interrupted_after(
        self, delay_ms: int, error: Callable[[], BaseException]
    ) -> Iterator[None]:
        """See Process. Nested interruptions replace each other, and so does user code's own timer.

        The SDK takes an error that breaks off a request for a failure of the request. So the error is
        raised again until it strikes elsewhere, at the latest when the code has ended, however that did.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        armed, in_request = True, False

        def interrupt(number: int, frame: FrameType | None) -> None:
            nonlocal in_request
            del number
            if not armed:
                return
            while frame and (frame.f_globals.get("__name__"), frame.f_code.co_name) != _REQUEST:
                frame = frame.f_back
            in_request = frame is not None
            if in_request:
                signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            raise error()

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, max(delay_ms, 1) / 1000)
        try:
            yield
        except Exception as raised:
            if in_request:
                raise error() from raised
            raise
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if in_request:
            raise error()

    def end(self) -> None:
        """See Process. No code of the program runs any more, and no buffer is flushed."""
        os._exit(_EXIT_CODE)

    def await_end(self) -> None:
        """See Process."""
        threading.Event().wait()


current: Final[ContextVar[Process | None]] = ContextVar("workpool_process", default=None)
"""The process of the invocation that runs. `None` means that of the operating system."""

"""`Vigil`: the company of one attempt, which keeps its time, its heartbeats and its progress."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from workpool_aws import invocation, process
from workpool_aws.core import limits
from workpool_aws.core.report.beat import lease_after, report_timed_out
from workpool_aws.errors import StoreUnavailable, TimedOut
from workpool_aws.flow.report.beat import beat, write_progress
from workpool_aws.flow.report.complete import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.messages import Assignment
    from workpool_aws.ports import Ports
    from workpool_aws.process import Beside, Process

__all__ = ["Vigil", "current_vigil"]

_REPORTER: Final = "worker"


@dataclass(slots=True)
class Vigil:
    """Keeps one attempt company, from its claim until its report.

    It stops the attempt at its timeout, renews its lease by heartbeats, and writes its progress.
    """

    ports: Ports
    assignment: Assignment
    token: str | None
    """Claim of this worker; `None` means that its function claims nothing."""
    began_at: EpochMs
    ends_at: EpochMs
    """End of this invocation."""
    _lease_until: EpochMs = field(init=False)
    _process: Process = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[Beside] = field(default_factory=list)
    _ending: bool = False
    _closed: bool = False
    _written_at: EpochMs | None = None
    _unwritten: tuple[float, str | None] | None = None

    def __post_init__(self) -> None:
        self._process = process.current.get() or process.LambdaProcess()
        self._lease_until = lease_after(self.assignment.heartbeat_ms, self.began_at, self.ends_at)

    @property
    def lease_is_over(self) -> bool:
        """True if recovery may have begun [WP-14]: the process stood still since its claim."""
        beats = self.assignment.heartbeat_ms is not None
        return beats and self.ports.clock.now() >= self._lease_until

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside, the attempt runs. Afterwards its report may be written.

        Where another thread is about to end the process, this never returns.
        """
        if self.assignment.heartbeat_ms is not None:
            self._begin("workpool-heartbeat", self._beat)
            self._begin("workpool-lease", self._watch_lease)
        timeout_ms = self.assignment.timeout_ms
        if timeout_ms is not None:
            self._begin("workpool-timeout", lambda wait: self._watch_timeout(wait, timeout_ms))
        vigil, progress = current_vigil.set(self), invocation.progress.set(self.store_progress)
        try:
            yield
        finally:
            invocation.progress.reset(progress)
            current_vigil.reset(vigil)
            self._close()

    def timed(self) -> AbstractContextManager[None]:
        """Inside, user code runs, and `TimedOut` is raised in it when its time is over."""
        timeout_ms = self.assignment.timeout_ms
        if timeout_ms is None:
            return nullcontext()
        left_ms = self.began_at + timeout_ms - self.ports.clock.now()
        return self._process.interrupted_after(left_ms, lambda: TimedOut(timeout_ms))

    def store_progress(self, share: float, note: str | None) -> None:
        """Stores the progress, at most once a second. Of more, the last one is stored then."""
        with self._lock:
            now, written_at = self.ports.clock.now(), self._written_at
            waits_ms = 0 if written_at is None else written_at + limits.PROGRESS_EVERY_MS - now
            waiting, self._unwritten = self._unwritten is not None, (share, note)
            if self._closed or (waits_ms > 0 and waiting):
                return
        if waits_ms > 0:
            self._begin("workpool-progress", lambda wait: self._write_later(wait, waits_ms))
        else:
            self._write_now()

    def _write_later(self, wait: Callable[[int], bool], waits_ms: int) -> None:
        if not wait(waits_ms):
            self._write_now()

    def _write_now(self) -> None:
        with self._lock:
            latest, self._unwritten = self._unwritten, None
            if latest is None or self._closed:
                return
            self._written_at = self.ports.clock.now()
        # Progress is for people: what is not stored is followed by the next one.
        with suppress(StoreUnavailable):
            write_progress(self.ports, self.assignment, *latest)

    def _begin(self, name: str, body: Callable[[Callable[[int], bool]], None]) -> None:
        self._threads.append(self._process.beside(name, body))

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            ending = self._ending
        for thread in self._threads:
            thread.stop()
        if ending:
            self._process.await_end()

    def _beat(self, wait: Callable[[int], bool]) -> None:
        """Renews the lease each third of the heartbeat timeout, and more often without an answer."""
        heartbeat_ms = self.assignment.heartbeat_ms or 0
        pause_ms = heartbeat_ms // limits.BEATS_A_TIMEOUT
        while not wait(pause_ms):
            until = lease_after(heartbeat_ms, self.ports.clock.now(), self.ends_at)
            try:
                lives = beat(self.ports, self.assignment, token=self.token, until=until)
            except StoreUnavailable:
                pause_ms = limits.BEAT_RETRY_MS
                continue
            if not lives:
                self._end(None)
                return
            self._lease_until = max(self._lease_until, until)
            pause_ms = heartbeat_ms // limits.BEATS_A_TIMEOUT

    def _watch_lease(self, wait: Callable[[int], bool]) -> None:
        """Ends the process when no beat was confirmed in time: recovery may begin [WP-14]."""
        while not wait(self._lease_until - self.ports.clock.now()):
            if self.ports.clock.now() >= self._lease_until:
                self._end(None)
                return

    def _watch_timeout(self, wait: Callable[[int], bool], timeout_ms: int) -> None:
        """Ends the process a second after the timeout, if user code has not ended by then."""
        if not wait(timeout_ms + limits.TIMEOUT_GRACE_MS):
            self._end(timeout_ms)

    def _end(self, timed_out_ms: int | None) -> None:
        """Ends the process, unless its report is on its way.

        `timed_out_ms`: its timeout, if that is the reason. It is reported first.
        """
        with self._lock:
            if self._closed or self._ending:
                return
            self._ending = True
        if timed_out_ms is not None:
            report = report_timed_out(timed_out_ms, claim=self.token)
            with suppress(StoreUnavailable):
                complete(self.ports, self.assignment, report, by=_REPORTER)
        self._process.end()


current_vigil: Final[ContextVar[Vigil | None]] = ContextVar("workpool_vigil", default=None)
"""The company of the attempt that runs in this context."""

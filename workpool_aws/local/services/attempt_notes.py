"""Notes on the attempts of user code: the errors that it raised, its log, and the errors that tests planned."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from workpool_aws.local.services.functions import jobs_of
from workpool_aws.text import answer_or
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["AttemptNotes", "PlannedErrors", "RaisedError", "callback_of"]

_WORK_ITEMS_MAX: Final = 1_000
_LINES_MAX: Final = 100
_PACKAGE: Final = __name__.partition(".")[0]
_TRACE_OF: Final[Callable[[BaseException], TracebackType | None]] = vars(BaseException)[
    "__traceback__"
].__get__
"""Past a property of the same name, which may do anything."""


def callback_of(work_id: str) -> str:
    """Return the name of a work item's callback among notes."""
    return f"callback of {work_id}"


@dataclass(frozen=True, slots=True)
class RaisedError:
    """An error by which an attempt, or the handler of a callback, failed."""

    attempt: int
    """0 for a callback."""
    error: BaseException
    trace: TracebackType | None
    """Its traceback from the user's code on."""


@dataclass(slots=True)
class AttemptNotes:
    """The latest error and the log of each work item, and of each callback.

    Those of the oldest are dropped. Threads may share it.
    """

    _lock: Lock = field(default_factory=Lock)
    _raised: dict[str, RaisedError] = field(default_factory=dict)
    _lines: dict[str, deque[str]] = field(default_factory=dict)

    def add_error(self, subject: str, attempt: int, error: BaseException) -> None:
        """Keep the error of a work item or `callback_of` one, in place of earlier ones."""
        trace = _TRACE_OF(error)
        while trace is not None and trace.tb_next is not None:
            name = answer_or("", partial(str, trace.tb_frame.f_globals.get("__name__", "")))
            if name.partition(".")[0] != _PACKAGE:
                break  # above are frames of this package
            trace = trace.tb_next
        noted = RaisedError(attempt, error, trace)
        with self._lock:
            self._raised.pop(subject, None)
            self._raised[subject] = noted
            _trim(self._raised)

    def add_line(self, subject: str, line: str) -> None:
        """Keep a line of its log, the last ones if there are many."""
        with self._lock:
            self._lines.setdefault(subject, deque(maxlen=_LINES_MAX)).append(line)
            _trim(self._lines)

    def error_of(self, subject: str) -> RaisedError | None:
        """Return the latest error. `None` means that there was none, or that it was dropped."""
        return self._raised.get(subject)

    def log_of(self, subject: str) -> tuple[str, ...]:
        """Return the last lines of its log, the latest last."""
        return tuple(self._lines.get(subject, ()))


@dataclass(slots=True)
class _Planned:
    """Error that the next runs of some user code raise."""

    functions: frozenset[str]
    jobs: frozenset[str]
    error: Exception
    left: int

    def concerns(self, function: str, handler: object) -> bool:
        """True if it is for this handler, which runs in that function."""
        mine = function in self.functions or not self.jobs.isdisjoint(jobs_of(handler))
        return mine and self.left > 0


class PlannedErrors:
    """The errors that tests planned for user code, in their order."""

    def __init__(self) -> None:
        self._plans: list[_Planned] = []

    def add(
        self, *, functions: Iterable[str], jobs: Iterable[str], error: Exception, times: int
    ) -> None:
        """Plan an error for the next runs of these functions, and of these jobs in any function."""
        self._plans.append(_Planned(frozenset(functions), frozenset(jobs), error, times))

    def take(self, function: str, handler: object) -> Exception | None:
        """Return the error for the run that begins, without a traceback. `None` means none."""
        for plan in self._plans:
            if plan.concerns(function, handler):
                plan.left -= 1
                return BaseException.with_traceback(plan.error, None)
        return None


def _trim(kept: dict[str, RaisedError] | dict[str, deque[str]]) -> None:
    if len(kept) > _WORK_ITEMS_MAX:
        del kept[next(iter(kept))]

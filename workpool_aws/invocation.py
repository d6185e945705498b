"""State of one worker invocation, and hooks that its surroundings may set.

In Lambda no hook is set. `LocalCloud` sets them in every invocation that it runs, which makes
durations virtual, lets tests plan and see the errors of user code, and shows refused deliveries as
such.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "after_body",
    "anchored",
    "before_body",
    "begun",
    "progress",
    "raised",
    "refused",
    "sleeper",
]

after_body: Final[ContextVar[Callable[[], None] | None]] = ContextVar(
    "workpool_after_body", default=None
)
"""Called after the user's function returned or raised, before the report. It may take time, or end
the invocation."""

anchored: Final[ContextVar[object | None]] = ContextVar("workpool_anchored", default=None)
"""The transaction that user code was given and that all its effects belong into, while it runs."""

before_body: Final[ContextVar[Callable[[object], None] | None]] = ContextVar(
    "workpool_before_body", default=None
)
"""Called with the worker before the user's function runs for a work item. What it raises counts as
raised by the function, which does not run."""

begun: Final[ContextVar[Callable[[Mapping[str, object]], None] | None]] = ContextVar(
    "workpool_begun", default=None
)
"""Called with the event that a start of a run would have alone, before the start is taken."""
progress: Final[ContextVar[Callable[[float, str | None], None] | None]] = ContextVar(
    "workpool_progress", default=None
)
"""Takes the progress of the attempt that runs, a share and a note. `None` means that nothing does."""

raised: Final[ContextVar[Callable[[BaseException], None] | None]] = ContextVar(
    "workpool_raised", default=None
)
"""Called with the error by which an attempt fails, before it is reported. It must not raise."""

refused: Final[ContextVar[Callable[[str], None] | None]] = ContextVar(
    "workpool_refused", default=None
)
"""Called with the reason when a delivery is refused before user code runs: its start was claimed
already, or is over."""

sleeper: Final[ContextVar[Callable[[float], None] | None]] = ContextVar(
    "workpool_sleeper", default=None
)
"""Sleeps for a number of seconds in place of the clock, for `Work.sleep`."""

"""`Work`: the handle of a running attempt, for functions that ask for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from workpool_aws import invocation
from workpool_aws.core import limits
from workpool_aws.core.views.instants import instant
from workpool_aws.errors import UsageError
from workpool_aws.flow.reading import load_works
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.text import Words, as_line, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.api.pool import Workpool
    from workpool_aws.model.messages import Assignment
    from workpool_aws.ports import Ports

__all__ = ["Work", "timer_of", "work_of"]

_TIMED: Final = "the context that Lambda gives to a handler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The handle of a running attempt. A worker receives it in a parameter annotated `Work`.

    >>> from workpool_aws import Work
    >>> from workpool_aws.local import LocalCloud
    >>> with LocalCloud() as cloud:
    ...     pool = cloud.workpool()
    ...
    ...     @pool.action
    ...     def crawl(work: Work, url: str) -> str:
    ...         work.sleep(2)  # of the cloud's time
    ...         return f"{url} in attempt {work.attempt}, {work.remaining.total_seconds():g} s left"
    ...
    ...     crawl_arn = cloud.function(crawl)
    ...     work_id = pool.enqueue_action(None, crawl_arn, {"url": "example.com"})
    ...     cloud.run_until_idle()
    ...     pool.result(None, work_id).return_value
    'example.com in attempt 1, 28 s left'
    """

    work_id: WorkId
    attempt: int
    """1 for the first. A start that was never delivered is no attempt."""
    deadline: datetime
    """End of this invocation by Lambda's timeout, aware, in UTC."""
    pool: Workpool
    """The pool of this work item, for further enqueues.

    If another pool decorated the function, this one has the options of the latest `Workpool` that
    the program made for its table and name. Without one, `status_ttl` is that of this work item,
    and the default policy is the library's; the first enqueue that uses the policy logs
    `options_unknown`. The limit is read from the table in any case.
    """
    _ports: Ports = field(repr=False, compare=False)
    _remaining_ms: Callable[[], int] = field(repr=False, compare=False)
    _store_progress: Callable[[float, str | None], None] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def remaining(self) -> timedelta:
        """Time until Lambda ends this invocation, never negative."""
        return timedelta(milliseconds=self._remaining_ms())

    def cancel_requested(self) -> bool:
        """True after a request to cancel this work item, by a strong read.

        The function is not interrupted, and may stop by itself.

        Raises:
            StoreUnavailable: DynamoDB did not answer.
        """
        stored = load_works(self._ports, self.pool.name, [self.work_id])[0]
        return stored is not None and stored.cancel_requested

    def progress(self, share: float, note: str | None = None) -> None:
        """Report how far this attempt is, for `status`, lists and the dashboard.

        At most one write a second is made. Of more calls the last one counts, and is written when
        the second is over. One that is still to be written when the attempt ends is dropped. So is
        one that DynamoDB does not take. Costs one write unit for each KB of the work item's own
        item.

            >>> from datetime import timedelta
            >>> from workpool_aws import Work
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.action
            ...     def scan(work: Work, pages: int) -> None:
            ...         for page in range(pages):
            ...             work.progress(page / pages, f"page {page + 1} of {pages}")
            ...             work.sleep(10)
            ...
            ...     scan_arn = cloud.function(scan)
            ...     work_id = pool.enqueue_action(None, scan_arn, {"pages": 3})
            ...     cloud.advance(timedelta(seconds=15))
            ...     pool.status(None, work_id).note
            'page 2 of 3'

        Args:
            share: The part that is done, 0 to 1.
            note: A line of at most 200 characters. `None` means none.

        Raises:
            UsageError: A value is not allowed. Nothing was written.
        """
        number: object = share
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise UsageError("share", share, "a number from 0 to 1")
        said: object = note
        if said is not None and (not isinstance(said, str) or len(said) > limits.NOTE_LENGTH_MAX):
            longest = limits.NOTE_LENGTH_MAX
            raise UsageError("note", note, f"a str of at most {longest} characters, or None")
        if self._store_progress is not None:
            self._store_progress(float(share), None if note is None else as_line(note))

    def sleep(self, duration: timedelta | float) -> None:
        """Do nothing for a timedelta or a number of seconds.

        In a `LocalCloud` the cloud's time passes.

        Raises:
            UsageError: The duration is negative, infinite, or neither a timedelta nor a number.
        """
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds < math.inf
        ):
            raise UsageError(
                "duration", duration, "a timedelta or a number of seconds, not negative"
            )
        sleeper = invocation.sleeper.get()
        if sleeper is None:
            self._ports.clock.sleep(math.ceil(seconds * 1000))
        else:
            sleeper(seconds)


def work_of(assignment: Assignment, context: object, *, ports: Ports, pool: Workpool) -> Work:
    """Return the handle of an assignment's attempt. Raises UsageError, as `timer_of`."""
    remaining_ms = timer_of(context)
    return Work(
        work_id=assignment.work_id,
        attempt=assignment.attempts_made + 1,
        deadline=instant(EpochMs(ports.clock.now() + remaining_ms())),
        pool=pool,
        _ports=ports,
        _remaining_ms=remaining_ms,
        _store_progress=invocation.progress.get(),
    )


def timer_of(context: object) -> Callable[[], int]:
    """Return a reader of the time left, in milliseconds.

    It and this function raise UsageError for a context without one.
    """
    ask = getattr(context, "get_remaining_time_in_millis", None)
    if not callable(ask):
        raise UsageError(
            "context",
            None if context is None else Words(f"a value of type {type(context).__name__}"),
            _TIMED,
        )

    def remaining_ms() -> int:
        try:
            left: object = ask()
        except Exception as error:
            raise UsageError(
                "context", Words(f"one that raised {type_name(error)}"), _TIMED
            ) from error
        if isinstance(left, bool) or not isinstance(left, int | float) or not math.isfinite(left):
            raise UsageError(
                "context.get_remaining_time_in_millis()", left, "a number of milliseconds"
            )
        # A stand-in may know no end. A deadline beyond that of any invocation would hold the slot
        # until then.
        return min(max(int(left), 0), limits.INVOCATION_MS_MAX)

    return remaining_ms

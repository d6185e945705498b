"""Lists of work items: `ListedWork`, `Page`, and the cursor between pages."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, assert_never, get_args

from workpool_aws.core import limits
from workpool_aws.core.views.groups import check_group_id
from workpool_aws.core.views.instants import instant, moment_in
from workpool_aws.core.views.status import Status, status_of
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import id_floor, time_of
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME, JOB
from workpool_aws.model.names import names_function as same_function
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import key_after, key_before
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from datetime import datetime

    from workpool_aws.model.group import GroupId
    from workpool_aws.model.ids import EpochMs, WorkId
    from workpool_aws.model.spec import Spec

__all__ = [
    "JobFilter",
    "ListOrder",
    "ListState",
    "ListedWork",
    "Listing",
    "Page",
    "admits",
    "check_function",
    "check_listing",
    "check_order",
    "cursor_of",
    "listed",
]

ListState = Literal["pending", "running", "finished", "dead"]
ListOrder = Literal["oldest", "newest"]

_STATES: Final = get_args(ListState)
_ORDERS: Final[tuple[ListOrder, ...]] = get_args(ListOrder)
_TEXT_MAX: Final = limits.ARGS_TEXT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWork(Status):
    """One work item of a list: its status, its function and its times, without its arguments."""

    work_id: WorkId
    target: str
    """The function: an ARN, or a name as it was enqueued."""
    job: str | None = None
    """The job's name. `None` means that it was enqueued by the function's name or ARN."""
    kind: str
    """action, query or mutation."""
    enqueued_at: datetime
    error: str | None
    """The error's text. `None` means that the work item did not fail."""
    error_type: str | None
    """As in `Result`. `None` means that the work item did not fail."""
    redrive_of: WorkId | None
    """The failed work item that this one redrives. `None` means that a caller enqueued it."""
    redriven_as: WorkId | None
    """The work item that redrives this one. `None` means that there is none."""
    dead_at: datetime | None = None
    """The time at which it became a dead letter: that of its failure, or that at which its callback was
    given up. `None` means that it is no dead letter."""
    stands_for: str | None = None
    """The group of which this is the own work item: it never runs, and owes the callback of the
    group. `None` means an ordinary work item."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some work items, in the requested order.

    Pages are not a snapshot. A work item that moves may appear twice, or on no page.
    """

    items: tuple[ListedWork, ...]
    next: str | None
    """The `after` of the next page. `None` means that this is the last. A page with a `next` may
    have few items or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Admits the work items of one job, or of one function."""

    job: str
    """A job's name."""
    function: str | None
    """The function, by name or ARN, whose work items without a job's name belong to the job. `None`
    means that no function is the job's alone."""
    whole: bool = False
    """True if everything that the function runs is asked for, whatever its job."""

    def admits(self, spec: Spec) -> bool:
        """True for what was asked of this job or function."""
        if spec.job == self.job:
            return True
        if self.function is None:
            return False
        if self.whole:
            return self._names(self.function, spec.target)
        return spec.job is None and same_function(self.function, spec.target)

    @staticmethod
    def _names(function: str, target: str) -> bool:
        """True if `function` names the target: by the same ARN, or by its name, qualified or not."""
        if function == target:
            return True
        name = target.rpartition(":function:")[2]
        return function in {name, name.partition(":")[0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A checked request for a list."""

    state: ListState | None
    fn: JobFilter | None
    """The only job or function of the page. `None` means all."""
    newest: bool
    limit: int
    last: str | None
    """The key of the last row of the previous page. `None` means the first page."""
    since: str = ""
    """The lowest key of the list."""
    before: str | None = None
    """The key at which the list ends. `None` means no end."""
    args_contain: str | None = None
    """Text that the arguments contain, in any case. `None` means any."""
    group: GroupId | None = None
    """The only group of the list. `None` means any work item."""
    members: tuple[WorkId, WorkId] | None = None
    """The first and the last member of that group. `None` means that they are not known yet."""

    @property
    def low(self) -> str:
        """The lowest key of the page."""
        if self.last is None or self.newest:
            return self.since
        return max(self.since, key_after(self.last))

    @property
    def high(self) -> str | None:
        """The highest key of the page. `None` means no end."""
        if self.last is None or not self.newest:
            return self.before
        end = key_before(self.last)
        return end if self.before is None else min(self.before, end)

    def narrowed(
        self, *, between: object = None, args_contain: object = None, group: object = None
    ) -> Listing:
        """Returns the request with further conditions.

        Raises UsageError for a value that is not allowed.
        """
        times, text = (None, None) if between is None else between, args_contain
        if not isinstance(times, tuple) or len(times) != len(("since", "before")):
            raise UsageError("between", between, "None, or a tuple of two times")
        begin, end = (moment_in("between", each) for each in times)
        if text is not None and not (isinstance(text, str) and 0 < len(text) <= _TEXT_MAX):
            raise UsageError("args_contain", text, f"None, or 1 to {_TEXT_MAX} characters")
        return replace(
            self,
            since="" if begin is None else id_floor(begin),
            before=None if end is None else id_floor(end),
            args_contain=text.casefold() if isinstance(text, str) else None,
            group=None if group is None else check_group_id(group, field="group"),
        )

    def of_members(self, first: WorkId, last: WorkId) -> Listing:
        """Returns the request for the members of its group, which lie between these ids.

        A pending one may have a later place, of a retry, and a dead one has that of its end.
        """
        if self.state == "dead":
            return replace(self, members=(first, last))
        end = None if self.state == "pending" else last
        before = end if self.before is None else min(self.before, end or self.before)
        return replace(self, members=(first, last), since=max(self.since, first), before=before)

    def asks_for(self, work: WorkItem) -> bool:
        """True for a work item of the job, the group and the arguments that are asked for."""
        if self.fn is not None and not self.fn.admits(work.spec):
            return False
        if self.members is not None and not self.members[0] <= work.id <= self.members[1]:
            return False
        if self.args_contain is None:
            return True
        args = inline_text(work.spec.args)
        return args is not None and self.args_contain in args.casefold()


def check_listing(
    *, state: object, fn: JobFilter | None, order: object, limit: object, after: object
) -> Listing:
    """Returns the checked request.

    Raises UsageError for a value that is not allowed.
    """
    if state is not None and state not in _STATES:
        raise UsageError("state", state, f"None (all) or one of {', '.join(_STATES)}")
    newest = check_order(order) == "newest"
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= limits.LIST_MAX:
        raise UsageError("limit", limit, f"an int from 1 to {limits.LIST_MAX}")
    checked: ListState | None = next((known for known in _STATES if known == state), None)
    prefix = _prefix(checked, newest=newest)
    last = None if after is None else _last_in(after, prefix)
    return Listing(state=checked, fn=fn, newest=newest, limit=limit, last=last)


def check_order(order: object) -> ListOrder:
    """Returns the checked order of a list. Raises UsageError for a value that is not allowed."""
    for known in _ORDERS:
        if known == order:
            return known
    raise UsageError("order", order, f"one of {', '.join(_ORDERS)}")


def check_function(fn: object) -> str:
    """Returns the name of a job, or the name or ARN of a function.

    Raises UsageError for anything else.
    """
    patterns = (FUNCTION_NAME, FUNCTION_ARN, JOB)
    if isinstance(fn, str) and any(each.fullmatch(fn) for each in patterns):
        return fn
    raise UsageError(
        "fn",
        fn,
        "None (any), a decorated function, the name of a job, or the name or ARN of a Lambda "
        "function, version or alias",
    )


def cursor_of(listing: Listing, last: str) -> str:
    """Returns the opaque `after` of the next page, valid for the same state and order only."""
    return (
        base64.urlsafe_b64encode(f"{_prefix(listing.state, newest=listing.newest)}{last}".encode())
        .decode()
        .rstrip("=")
    )


def _prefix(state: ListState | None, *, newest: bool) -> str:
    return f"{state or 'all'}:{'newest' if newest else 'oldest'}:"


def _last_in(after: object, prefix: str) -> str:
    text = ""
    if isinstance(after, str):
        try:
            text = base64.b64decode(
                after + "=" * (-len(after) % 4), altchars=b"-_", validate=True
            ).decode()
        except (binascii.Error, UnicodeError, ValueError):
            text = ""
    if not text.startswith(prefix) or text == prefix:
        raise UsageError(
            "after", after, "None, or the `next` of a page of the same state and order"
        )
    return text.removeprefix(prefix)


def admits(listing: Listing, work: WorkItem, *, now: EpochMs) -> bool:
    """True if a work item belongs on the list.

    One past its retention does not, although DynamoDB deletes it days later.
    """
    if work.expires_at is not None and work.expires_at * 1000 <= now:
        return False
    if not listing.asks_for(work):
        return False
    match listing.state:
        case None:
            return True
        case "dead":
            return work.dead is not None
        case "pending" | "running" | "finished":
            return work.state is State(listing.state)
        case _:
            assert_never(listing.state)


def listed(work: WorkItem) -> ListedWork:
    """Returns the entry of a work item in a list."""
    status = status_of(work)
    is_own = work.outcome is Outcome.SUCCESS and work.starts == 0 and work.spec.group is not None
    return ListedWork(
        state=status.state,
        previous_attempts=status.previous_attempts,
        next_run_at=status.next_run_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        outcome=status.outcome,
        cancel_requested=status.cancel_requested,
        callback=status.callback,
        last_error=status.last_error,
        attempts=() if is_own else status.attempts,
        progress=status.progress,
        note=status.note,
        heartbeat_at=status.heartbeat_at,
        work_id=work.id,
        target=work.spec.target,
        job=work.spec.job,
        kind=work.spec.kind.value,
        enqueued_at=instant(work.enqueued_at),
        error=work.error,
        error_type=work.error_type,
        redrive_of=work.redrive_of,
        redriven_as=work.redriven_as,
        dead_at=None if work.dead is None else instant(time_of(work.dead)),
        # A member succeeds by a start, and a group's own work item never has one.
        stands_for=work.spec.group if is_own else None,
    )

"""Specs: the request behind a work item, apart from its progress."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from workpool_aws.model.names import label_of
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.payload import Payload
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.model.trace import TraceContext

__all__ = ["CallbackSpec", "Kind", "Outcome", "OutcomeName", "Spec", "UniqueSpec"]

OutcomeName = Literal["success", "failed", "canceled"]
"""The values of `Outcome`, as type checkers see them in public values."""


class Kind(StrEnum):
    """Kind of work item: the caller's statement about the effects of its function."""

    ACTION = "action"
    QUERY = "query"
    MUTATION = "mutation"


class Outcome(StrEnum):
    """Outcome of a finished work item."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSpec:
    """The callback that a work item asks for."""

    target: str
    """The ARN of a Lambda function, queue or topic, or a function's name."""
    context: Payload | None = None
    """JSON, opaque to the library. `None` means that there is none."""
    outcomes: tuple[Outcome, ...] = ()
    """The outcomes with a callback."""
    job: str | None = None
    """The handler's name, for a function of many. `None` means that no name led to the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueSpec:
    """The unique key of a work item, and how long the work item holds it [WP-16]."""

    key: str
    until_started: bool = False
    """True if the work item holds the key until its first start, and not until it is finished."""
    for_ms: int | None = None
    """Time from its enqueue for which it holds the key, whatever becomes of it. `None` means until
    it is started or finished."""

    @property
    def name(self) -> str | None:
        """The key; `None` means that there is none."""
        return self.key or None

    @property
    def until(self) -> Literal["finished", "started"] | None:
        """End of its hold on the key; `None` means that there is no key, or that a time says so."""
        if self.for_ms is not None or not self.key:
            return None
        return "started" if self.until_started else "finished"

    @property
    def span(self) -> timedelta | None:
        """Time for which it holds the key; `None` means as `until` says."""
        return None if self.for_ms is None else timedelta(milliseconds=self.for_ms)


_NO_KEY: Final = UniqueSpec(key="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything that a caller asks for of a work item, except its time.

    A work item holds one and never changes it; a redrive makes another work item of the same one.
    """

    target: str
    """Lambda function, version or alias: an ARN or a name."""
    args: Payload
    """The arguments, a JSON object."""
    kind: Kind
    retry: RetryPolicy | None
    """`None` means a single attempt."""
    claimed: bool
    """True if its worker must claim each start before user code runs: no second run, ever."""
    retention_s: int | None
    """Time for which the finished work item is kept, in seconds; `None` means for ever."""
    callback: CallbackSpec | None = None
    """`None` means that none is wanted."""
    job: str | None = None
    """The job's name, for a function of many. `None` means that no name led to the target."""
    expires_after_ms: int | None = None
    """Time after which it may not start any more, counted from when it is due first; `None` means
    that it never expires."""
    timeout_ms: int | None = None
    """Longest time of an attempt, enforced by a decorated worker. `None` means the function's own
    timeout alone."""
    heartbeat_ms: int | None = None
    """Time without a heartbeat after which an attempt counts as lost. `None` means that none is
    sent."""
    schedule: str | None = None
    """Name of the schedule of which it is an occurrence; `None` means none."""
    awaited: bool = False
    """True if a later occurrence of its schedule may wait for its end."""
    unique: UniqueSpec | None = None
    """`None` means that it has no unique key."""
    group: str | None = None
    """Id of the group of which it is a member, or which it stands for; `None` means none."""
    origin: str | None = None
    """The caller's trace and request id, for people. `None` means a caller outside Lambda."""
    trace: TraceContext | None = None
    """The span of the enqueue. `None` means that its caller does not trace."""

    @property
    def label(self) -> str:
        """The job's name, or else the function's, by which logs and statistics speak of it."""
        return label_of(self.job, self.target)

    @property
    def unique_terms(self) -> UniqueSpec:
        """The terms of its unique key, without a name where it has none."""
        return self.unique or _NO_KEY

    @property
    def callback_target(self) -> str | None:
        """Target of the callback; `None` means that no callback is wanted."""
        return None if self.callback is None else self.callback.target

    @property
    def callback_job(self) -> str | None:
        """Name of the callback's handler; `None` as in `CallbackSpec`."""
        return None if self.callback is None else self.callback.job

    @property
    def context(self) -> Payload | None:
        """Context of the callback; `None` means that there is none."""
        return None if self.callback is None else self.callback.context

    @property
    def callback_outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes with a callback; none if no callback is wanted."""
        return () if self.callback is None else self.callback.outcomes

    def with_payloads(self, args: Payload, context: Payload | None) -> Spec:
        """Returns this spec with other arguments, and another context of its callback."""
        callback = None if self.callback is None else replace(self.callback, context=context)
        return replace(self, args=args, callback=callback)

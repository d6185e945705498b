"""Views of one work item and of one pool, for people: `WorkDetails`, `PoolSummary`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from workpool_aws.core import limits
from workpool_aws.core.views.listing import ListedWork, listed
from workpool_aws.core.views.status import PoolConfig, config_of
from workpool_aws.model.loop import Config, LoopStatus
from workpool_aws.model.payload import Chunked, Part, Payload, chunk_count, inline_text
from workpool_aws.model.spec import Outcome, OutcomeName
from workpool_aws.model.trace import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.model.work import WorkItem

__all__ = ["PoolSummary", "StoredPayload", "WorkDetails", "details_of", "summary_of"]

LoopName = Literal["idle", "running", "waiting", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPayload:
    """The stored arguments, context or return value of a work item."""

    size_bytes: int | None
    """Size as JSON. `None` for a payload in chunks that was not read."""
    chunks: int
    """Items beside the work item that hold the payload; 0 for one that fits into it."""
    json: str | None
    """The JSON text. `None` means that it was not asked for, or is missing."""
    missing: bool = False
    """True for a payload that was asked for, and whose chunks are gone or damaged."""

    @property
    def value(self) -> JsonValue:
        """The decoded `json`. `None` also means that there is none."""
        decoded: JsonValue = None if self.json is None else json.loads(self.json)
        return decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDetails:
    """Everything that is stored about one work item, with its payloads on request."""

    status: ListedWork
    retry: RetryPolicy | None
    """The retry policy; `None` means a single attempt."""
    claimed: bool
    """True if each start is claimed before user code runs, so that none runs twice."""
    status_ttl: timedelta | None
    """Time for which the finished work item is kept; `None` means for ever."""
    schedule: str | None
    """Name of the schedule of which it is an occurrence; `None` means none."""
    group: str | None
    """Id of the group of which it is a member, or which it stands for; `None` means none."""
    expires_after: timedelta | None
    """Time after its due time from which it may not start; `None` means that it never expires."""
    unique_key: str | None
    """Its unique key; `None` means that it has none."""
    unique_until: Literal["finished", "started"] | None
    """End of its hold on the key; `None` means that it has no key, or holds it for `unique_for`."""
    unique_for: timedelta | None
    """Time from its enqueue for which it holds the key; `None` means as `unique_until` says."""
    key_holder: WorkId | None
    """The work item that holds its key now. `None` means that the key is free, or that it has none."""
    replacements: int
    """Number of times that its arguments and its due time were replaced."""
    timeout: timedelta | None
    """Longest time of an attempt; `None` means the function's own timeout alone."""
    heartbeat_timeout: timedelta | None
    """Time without a heartbeat after which an attempt is lost; `None` means no heartbeats."""
    on_complete: str | None
    """Target of the callback; `None` means no callback."""
    on_complete_job: str | None
    """Name of the callback's handler, for a function of many. `None` means that no name led to the
    target."""
    on_complete_exclude: tuple[OutcomeName, ...]
    """Outcomes without a callback."""
    link: str | None
    """Request and trace of the caller that enqueued it; `None` means a caller outside Lambda."""
    trace_id: str | None
    """The id of the trace of its enqueue and its attempts, 32 hexadecimal digits as in a
    `traceparent`. `None` means that its caller did not trace by OpenTelemetry, or that it is an
    occurrence of a schedule, which begins a trace of its own."""
    args: StoredPayload
    context: StoredPayload | None
    """`None` means that there is no context."""
    result: StoredPayload | None
    """The return value; `None` means that the work item has not succeeded."""

    @property
    def work_id(self) -> WorkId:
        """The id of the work item."""
        return self.status.work_id

    @property
    def target(self) -> str:
        """The function: an ARN, or a name as it was enqueued."""
        return self.status.target


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSummary:
    """One pool of a table."""

    name: str
    config: PoolConfig
    loop: LoopName
    """`running`; `waiting` for a due time or a free slot; `idle`; or `unknown`, without a readable
    status."""


def _span(ms: int | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)


def details_of(
    work: WorkItem, opened: Mapping[Part, str | None], key_holder: WorkId | None = None
) -> WorkDetails:
    """Returns the details of a work item.

    `opened` has the payloads asked for; `None` stands for a missing one. `key_holder`: of its key.
    """

    def stored(part: Part, payload: Payload | None) -> StoredPayload:
        whole = opened.get(part)
        known = whole if isinstance(payload, Chunked) else inline_text(payload)
        return StoredPayload(
            size_bytes=None if known is None else len(known.encode()),
            chunks=chunk_count(payload) or 0,
            json=whole,
            missing=part in opened and whole is None,
        )

    spec, unique = work.spec, work.spec.unique_terms
    return WorkDetails(
        status=listed(work),
        retry=spec.retry,
        claimed=spec.claimed,
        status_ttl=None if spec.retention_s is None else timedelta(seconds=spec.retention_s),
        schedule=spec.schedule,
        group=spec.group,
        expires_after=_span(spec.expires_after_ms),
        timeout=_span(spec.timeout_ms),
        heartbeat_timeout=_span(spec.heartbeat_ms),
        unique_key=unique.name,
        unique_until=unique.until,
        unique_for=unique.span,
        key_holder=key_holder,
        replacements=work.rev,
        on_complete=spec.callback_target,
        on_complete_job=spec.callback_job,
        on_complete_exclude=()
        if spec.callback is None
        else tuple(each.value for each in Outcome if each not in spec.callback.outcomes),
        link=spec.origin,
        trace_id=trace_id_of(spec.trace),
        args=stored(Part.ARGS, spec.args),
        context=None if spec.context is None else stored(Part.CONTEXT, spec.context),
        result=stored(Part.RESULT, work.result) if work.outcome is Outcome.SUCCESS else None,
    )


def summary_of(pool: str, config: object, status: object) -> PoolSummary:
    """Returns the summary of a pool. Defaults replace a record that is absent or damaged."""
    return PoolSummary(
        name=pool,
        config=config_of(
            config if isinstance(config, Config) else None,
            max_parallelism_default=limits.PARALLELISM_DEFAULT,
        ),
        loop=status.state.value if isinstance(status, LoopStatus) else "unknown",
    )

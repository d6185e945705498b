"""Owns what an enqueue may ask for: every option is checked here, and becomes stored works or a `UsageError` before anything is stored."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from workpool_aws.core import limits
from workpool_aws.core.callback import TargetKind, message_bytes_max, target_kind
from workpool_aws.core.payload import encode_object, encode_value
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import EpochMs, WorkId, make_ids
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME, POOL, TABLE
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.work import Kind, Outcome, State, Work
from workpool_aws.text import kind_of

__all__ = [
    "DEPLOYED_AS",
    "Callback",
    "Caller",
    "IdSequence",
    "Order",
    "PoolOptions",
    "check_parallelism",
    "encode_batch",
    "encode_one",
    "is_decorated",
    "link_of",
    "pool_options",
    "read_caller",
    "resolve_callback",
    "resolve_due",
    "resolve_retry",
    "resolve_target",
    "works_of",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_TRACE_ROOT: Final = re.compile(r"Root=([0-9a-f-]+)")
_RETENTION_MAX: Final = timedelta(seconds=limits.RETENTION_S_MAX)
_SEQUENCES_KEPT: Final = 64
_LINK_MAX: Final = 256
DEPLOYED_AS: Final = "the name or ARN that this handler is deployed as: in a LocalCloud what cloud.function(...) returned"
_MANAGED: Final = ":$LATEST.PUBLISHED"
"""The qualifier of functions on Lambda Managed Instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """What the constructor of a pool was given, checked."""

    table: str
    name: str
    max_parallelism: int
    default_retry: RetryPolicy
    retry_actions_by_default: bool
    retention_s: int | None
    """How long a finished work is kept, in seconds; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a Lambda context tells about who asks. All None: asked from outside Lambda."""

    function_arn: str | None = None
    partition: str | None = None
    region: str | None = None
    account: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Whom to tell how a work ended, and of which outcomes. The defaults: nobody, of none."""

    target: str | None = None
    context: str | None = None
    """JSON; None: none was given."""
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A checked enqueue: one or many works of one function that differ in nothing but their arguments."""

    kind: Kind
    target: str
    retry: RetryPolicy | None
    link: str | None
    callback: Callback = field(default_factory=Callback)


def pool_options(
    *,
    table: object,
    name: object,
    max_parallelism: object,
    default_retry: object,
    retry_actions_by_default: object,
    status_ttl: object,
) -> PoolOptions:
    """The options of a pool. Raises UsageError: one is not allowed."""
    if not isinstance(table, str) or not TABLE.fullmatch(table):
        raise UsageError("table", table, "the name of a DynamoDB table: a str of letters, digits, '_', '-' and '.'")
    if not isinstance(name, str) or not POOL.fullmatch(name):
        raise UsageError("name", name, f"a str of 1 to {limits.POOL_NAME_LENGTH_MAX} letters, digits, '_' and '-'")
    if not isinstance(default_retry, RetryPolicy):
        raise UsageError("default_retry", default_retry, "a RetryPolicy")
    if not isinstance(retry_actions_by_default, bool):
        raise UsageError("retry_actions_by_default", retry_actions_by_default, "True or False")
    return PoolOptions(
        table=table,
        name=name,
        max_parallelism=check_parallelism(max_parallelism),
        default_retry=default_retry,
        retry_actions_by_default=retry_actions_by_default,
        retention_s=_retention_s(status_ttl),
    )


def check_parallelism(value: object) -> int:
    """A number of slots; 0 pauses. Raises UsageError: not an int from 0 to 500."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limits.PARALLELISM_MAX:
        raise UsageError("max_parallelism", value, f"an int from 0 to {limits.PARALLELISM_MAX}")
    return value


def _retention_s(status_ttl: object) -> int | None:
    if status_ttl is None:
        return None
    if not isinstance(status_ttl, timedelta) or not timedelta(0) < status_ttl <= _RETENTION_MAX:
        raise UsageError("status_ttl", status_ttl, f"a timedelta above 0, at most {_RETENTION_MAX.days} days, or None (for ever)")
    return -(-status_ttl // _SECOND)


def read_caller(ctx: object) -> Caller:
    """Who asks, from the Lambda context; None: not in Lambda. Raises UsageError: anything else."""
    if ctx is None:
        return Caller()
    arn, request_id = getattr(ctx, "invoked_function_arn", None), getattr(ctx, "aws_request_id", None)
    if not isinstance(arn, str) or not isinstance(request_id, str):
        raise UsageError("ctx", kind_of(ctx), "the context that Lambda gave to the handler, or None outside of Lambda")
    parts = FUNCTION_ARN.fullmatch(arn)
    if parts is None:
        return Caller(function_arn=arn, request_id=request_id)
    return Caller(
        function_arn=arn,
        partition=parts["partition"],
        region=parts["region"],
        account=parts["account"],
        request_id=request_id,
    )


def resolve_target(target: object, caller: Caller) -> str:
    """The function as it is stored: an ARN if the caller's account and region are known, else a name as it was given.

    Raises:
        UsageError: neither a function name nor the ARN of a function, a version or an alias.
    """
    if isinstance(target, str):
        if FUNCTION_ARN.fullmatch(target):
            return target
        if FUNCTION_NAME.fullmatch(target):
            if caller.partition is None:
                return target
            return f"arn:{caller.partition}:lambda:{caller.region}:{caller.account}:function:{target}"
        if target.endswith(_MANAGED):
            raise UsageError(
                "target", target, "a function outside of Lambda Managed Instances, which do not end code at the function's timeout"
            )
    if is_decorated(target):
        raise UsageError("target", target, DEPLOYED_AS)
    # Arguments in the target's place are as secret as in their own.
    got = kind_of(target) if isinstance(target, Mapping) else target
    raise UsageError("target", got, "the ARN of a Lambda function, version or alias, or a function name ('name' or 'name:alias')")


def is_decorated(value: object) -> bool:
    """True for an object that a decorator of this package made, which users would like to name by itself."""
    return inspect.getattr_static(value, "__workpool__", None) is True


def resolve_callback(on_complete: object, context: object, exclude: object, caller: Caller) -> Callback:
    """Whom to tell how the work ended.

    Raises:
        UsageError: the target is neither a function, nor a queue's or topic's ARN; the context is not JSON, or too large for
            its target; an outcome is unknown; or there is something to tell and nobody to tell it to.
    """
    excluded = _check_outcomes(exclude)
    if on_complete is None:
        if context is not None:
            raise UsageError("context", kind_of(context), "None without on_complete, since nothing would receive it")
        if excluded:
            raise UsageError("on_complete_exclude", exclude, "empty without on_complete, since there is no callback to leave out")
        return Callback()
    target = _resolve_callback_target(on_complete, caller)
    # A context that no message to this target could ever hold is refused here, before anything is stored [WP-11].
    allowed = min(limits.PAYLOAD_BYTES_MAX, message_bytes_max(target) - limits.CALLBACK_FRAME_BYTES_MAX)
    text = None if context is None else encode_value(context, "context", allowed)
    outcomes = tuple(outcome for outcome in Outcome if outcome not in excluded)
    return Callback(target=target, context=text, outcomes=outcomes)


def _resolve_callback_target(on_complete: object, caller: Caller) -> str:
    if isinstance(on_complete, str) and target_kind(on_complete) is not TargetKind.FUNCTION:
        return on_complete
    try:
        return resolve_target(on_complete, caller)
    except UsageError:
        if is_decorated(on_complete):
            raise UsageError("on_complete", on_complete, DEPLOYED_AS) from None
        allowed = "the ARN of a Lambda function, an SQS queue or an SNS topic, or a function name ('name' or 'name:alias')"
        raise UsageError("on_complete", kind_of(on_complete) if isinstance(on_complete, Mapping) else on_complete, allowed) from None


def _check_outcomes(exclude: object) -> frozenset[Outcome]:
    allowed = f"a list of {', '.join(repr(outcome.value) for outcome in Outcome)}"
    if exclude is None:
        return frozenset()
    if isinstance(exclude, str | bytes) or not isinstance(exclude, Iterable):
        raise UsageError("on_complete_exclude", exclude, allowed)
    known = {outcome.value: outcome for outcome in Outcome}
    excluded: set[Outcome] = set()
    for index, one in enumerate(exclude):
        if not isinstance(one, str) or one not in known:
            raise UsageError(f"on_complete_exclude[{index}]", one, allowed)
        excluded.add(known[one])
    return frozenset(excluded)


def resolve_retry(kind: Kind, retry: object, options: PoolOptions) -> RetryPolicy | None:
    """The policy a work is stored with; None: one attempt. Raises UsageError: not a policy, or one for a mutation."""
    if retry is not None and not isinstance(retry, bool | RetryPolicy):
        raise UsageError("retry", retry, "None (the pool's default), False, True (the pool's default policy) or a RetryPolicy")
    if kind is Kind.MUTATION and retry is not None:
        raise UsageError("retry", retry, "None for a mutation, which runs at most once")
    if retry is None:
        return _default_retry(kind, options)
    if isinstance(retry, bool):
        return options.default_retry if retry else None
    return retry


def _default_retry(kind: Kind, options: PoolOptions) -> RetryPolicy | None:
    match kind:
        case Kind.ACTION:
            return options.default_retry if options.retry_actions_by_default else None
        case Kind.QUERY:
            return options.default_retry
        case Kind.MUTATION:
            return None
        case _:
            assert_never(kind)


def resolve_due(run_after: object, run_at: object, *, now: EpochMs) -> EpochMs:
    """When a work may first run: never before the time asked for, and not in the past. Raises UsageError."""
    if run_after is not None and run_at is not None:
        raise UsageError("run_at", run_at, "None where run_after is given")
    if run_after is not None:
        delay = _check_delay(run_after)
    elif run_at is not None:
        delay = _check_instant(run_at, now)
    else:
        return now
    return EpochMs(now - (-max(delay, timedelta(0)) // _MILLISECOND))


def _check_delay(run_after: object) -> timedelta:
    if not isinstance(run_after, timedelta):
        raise UsageError("run_after", run_after, "a timedelta")
    if run_after > _DELAY_MAX:
        raise UsageError("run_after", run_after, f"a timedelta of at most {_DELAY_MAX.days} days")
    return run_after


def _check_instant(run_at: object, now: EpochMs) -> timedelta:
    if not isinstance(run_at, datetime):
        raise UsageError("run_at", run_at, "a timezone-aware datetime")
    if run_at.utcoffset() is None:
        raise UsageError("run_at", run_at, "timezone-aware")
    delay = run_at - (_EPOCH + now * _MILLISECOND)
    if delay > _DELAY_MAX:
        raise UsageError("run_at", run_at, f"at most {_DELAY_MAX.days} days ahead")
    return delay


def link_of(caller: Caller, trace_id: str | None) -> str | None:
    """What leads a person from a work back to who asked for it; None: asked from outside Lambda.

    `trace_id` is the whole header, of which the root is kept.
    """
    if caller.request_id is None:
        return None
    link = f"request={caller.request_id}"
    root = _TRACE_ROOT.search(trace_id or "")
    return (f"{link} trace={root[1]}" if root else link)[:_LINK_MAX]


def encode_one(args: object) -> str:
    """The arguments of a work as JSON. Raises UsageError: not a JSON object, or too large."""
    return encode_object(args, "args", limits.PAYLOAD_BYTES_MAX)


def encode_batch(args: object) -> list[str]:
    """The arguments of every work of a batch as JSON, in order. Raises UsageError: one is bad; the message names its index."""
    if not isinstance(args, Sequence) or isinstance(args, str | bytes | bytearray):
        raise UsageError("args", kind_of(args), "a list of JSON objects")
    return [encode_object(one, f"args[{index}]", limits.PAYLOAD_BYTES_MAX) for index, one in enumerate(args)]


class IdSequence:
    """Hands out ids that grow within one due time, so that works asked for one after the other keep their order.

    Fresh chance enters every id: a copy of the process (a fork, a clone of a snapshot) that goes on from the same last id takes others.
    Remembers the last few due times only: a caller that jumps between more of them gets unordered ids, never equal ones.
    """

    def __init__(self) -> None:
        self._last: dict[EpochMs, WorkId] = {}

    def take(self, count: int, due: EpochMs, *, random_bits: int) -> list[WorkId]:
        """`count` ids, at least one, for a due time: beyond the last one of that time, if it is remembered."""
        ids = make_ids(due, random_bits=random_bits, after=self._last.pop(due, None))
        taken = [WorkId(next(ids)) for _ in range(count)]
        self._last[due] = taken[-1]
        while len(self._last) > _SEQUENCES_KEPT:
            del self._last[next(iter(self._last))]
        return taken


def works_of(
    order: Order, options: PoolOptions, args: Sequence[str], ids: Sequence[WorkId], *, due: EpochMs, now: EpochMs, epoch: int
) -> tuple[Work, ...]:
    """The works to store, one for each arguments and id, in order.

    Claimed [WP-5]: whatever may not run twice. A policy of one attempt says so as clearly as no policy. A query has no effect that a
    second run could double. `epoch`: the pool's, as far as this caller knows it; the enqueue itself finds out.
    """
    once = order.retry is None or order.retry.max_attempts == 1
    return tuple(
        Work(
            pool=options.name,
            id=work_id,
            target=order.target,
            args=text,
            kind=order.kind,
            retry=order.retry,
            claimed=once and order.kind is not Kind.QUERY,
            state=State.PENDING,
            due_at=due,
            enqueued_at=now,
            retention_s=options.retention_s,
            link=order.link,
            on_complete=order.callback.target,
            context=order.callback.context,
            callback_for=order.callback.outcomes,
            epoch=epoch,
        )
        for work_id, text in zip(ids, args, strict=True)
    )

"""Checks and encodes the options of pools and enqueues before anything is stored."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypedDict, TypeVar, get_args

from workpool_aws.core import limits
from workpool_aws.core.callback.targets import (
    CALLBACK_TARGETS,
    DEPLOYED_AS,
    FUNCTION,
    is_decorated,
    job_named,
    nouns_of,
    target_of,
)
from workpool_aws.core.payload import encode_object, encode_value
from workpool_aws.core.views.status import OutcomeName
from workpool_aws.core.work.enqueue import must_claim
from workpool_aws.errors import UnknownOption, UsageError
from workpool_aws.model.ids import EpochMs, WorkId, make_ids
from workpool_aws.model.names import FUNCTION_ARN, FUNCTION_NAME, JOB, POOL, TABLE
from workpool_aws.model.payload import NO_ARGS, Inline
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import CallbackSpec, Kind, Outcome, Spec
from workpool_aws.text import kind_of

if TYPE_CHECKING:
    from workpool_aws.api.caller import Caller

__all__ = [
    "RETRY_ALLOWED",
    "Decorated",
    "Due",
    "EnqueueOptions",
    "FindJob",
    "IdSequence",
    "LogLevel",
    "PoolOptions",
    "RetryableOptions",
    "encode_args",
    "read_due",
    "read_log_level",
    "read_parallelism",
    "read_pool_options",
    "read_spec",
    "read_target",
    "spelled_out",
]

Method = TypeVar("Method", bound=Callable[..., object])

RETRY_ALLOWED: Final = (
    "None (the pool's default), False, True (the pool's default policy) or a RetryPolicy"
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_RETENTION_MAX: Final = timedelta(seconds=limits.RETENTION_S_MAX)
_SEQUENCES_KEPT: Final = 64
_MANAGED: Final = ":$LATEST.PUBLISHED"
"""The qualifier of functions on Lambda Managed Instances."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class FindJob(Protocol):
    """Finds the functions of jobs, by the deployment."""

    def __call__(self, name: str, *, field: str, decorated: bool) -> str | None:
        """Returns the ARN of the job with a name; `None` means that it is a Lambda function's.

        Raises UsageError for a decorated function that is not deployed, and for a likely slip.
        """


class Decorated(Protocol):
    """A function that a pool's decorator made a handler."""

    @property
    def handler(self) -> Callable[[object, object], object]:
        """The handler as a plain function."""


class EnqueueOptions(TypedDict, total=False):
    """The options of every enqueue, for wrappers: `**options: Unpack[EnqueueOptions]`.

    An option left out is `None`.

    run_after:
        Earliest start, counted from now. At most 366 days. `None` and negative values mean now.
    run_at:
        Earliest start as a timezone-aware datetime, at most 366 days ahead. `None` and past times
        mean now. `run_after` and `run_at` exclude each other.
    expires_after:
        Time after which no start may be made, counted from the due time. A work item that is still
        pending then fails as `expired` when it comes to its turn, without a slot. Above 0, at most
        366 days. `None` means that it never expires.
    on_complete:
        Target that is notified at least once when the work item finishes: the ARN of a Lambda
        function (decorated with `on_complete` or not), an SQS queue or an SNS topic, a decorated
        function or its job's name, or a function's name. `None` means no callback.
    context:
        JSON value that the callback carries, at most 900 KB, or 254 KB for an SNS topic. Needs
        `on_complete`.
    on_complete_exclude:
        Outcomes without a callback: any of "success", "failed" and "canceled". Needs `on_complete`.
    """

    run_after: timedelta | None
    run_at: datetime | None
    expires_after: timedelta | None
    on_complete: str | Decorated | None
    context: object
    on_complete_exclude: Iterable[OutcomeName] | None


class RetryableOptions(EnqueueOptions, total=False):
    """The options of every enqueue: those of `EnqueueOptions`, and `retry`.

    retry:
        `True` means the pool's `default_retry`, `False` a single attempt. A `RetryPolicy` stands
        for itself. `None` means the default of the kind: queries and mutations are retried, actions
        only with the pool's `retry_actions_by_default`.
    """

    retry: bool | RetryPolicy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The checked options of a pool's constructor."""

    table: str
    name: str
    max_parallelism: int
    default_retry: RetryPolicy
    retry_actions_by_default: bool
    retention_s: int | None
    """Seconds for which a finished work item is kept; `None` means for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The earliest start of a work item, as its caller gave it: a delay, a moment, or neither."""

    after_ms: int = 0
    at: EpochMs = EpochMs(0)

    def counted_from(self, now: EpochMs) -> EpochMs:
        """The due time of a work item that is enqueued now: never in the past."""
        return EpochMs(max(now + self.after_ms, self.at))


def spelled_out(options: type[EnqueueOptions]) -> Callable[[Method], Method]:
    """Show each option as a keyword argument in `inspect.signature` and `help`."""

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)
        given = [
            each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD
        ]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=getattr(hint, "__forward_arg__", hint),
            )
            for name, hint in options.__annotations__.items()
        ]
        vars(method)["__signature__"] = signature.replace(parameters=[*given, *named])
        return method

    return decorate


def read_pool_options(
    *,
    table: object,
    name: object,
    max_parallelism: object,
    default_retry: object,
    retry_actions_by_default: object,
    status_ttl: object,
) -> PoolOptions:
    """The options of a pool. Raises UsageError for a value that is not allowed."""
    if not isinstance(table, str) or not TABLE.fullmatch(table):
        allowed = "the name of a DynamoDB table: a str of letters, digits, '_', '-' and '.'"
        raise UsageError("table", table, allowed)
    if not isinstance(name, str) or not POOL.fullmatch(name):
        longest = limits.POOL_NAME_LENGTH_MAX
        raise UsageError("name", name, f"a str of 1 to {longest} letters, digits, '_' and '-'")
    if not isinstance(default_retry, RetryPolicy):
        raise UsageError("default_retry", default_retry, "a RetryPolicy")
    if not isinstance(retry_actions_by_default, bool):
        raise UsageError("retry_actions_by_default", retry_actions_by_default, "True or False")
    retention_s = None
    if status_ttl is not None:
        if not isinstance(status_ttl, timedelta) or not timedelta(0) < status_ttl <= _RETENTION_MAX:
            allowed = f"a timedelta above 0, at most {_RETENTION_MAX.days} days, or None (for ever)"
            raise UsageError("status_ttl", status_ttl, allowed)
        retention_s = -(-status_ttl // _SECOND)
    return PoolOptions(
        table=table,
        name=name,
        max_parallelism=read_parallelism(max_parallelism),
        default_retry=default_retry,
        retry_actions_by_default=retry_actions_by_default,
        retention_s=retention_s,
    )


def read_log_level(level: object) -> int | None:
    """The level by the logging module; `None` stays `None`.

    Raises UsageError for a name that is none.
    """
    names = get_args(LogLevel)
    if level is not None and level not in names:
        raise UsageError("log_level", level, f"None or one of {', '.join(names)}")
    return None if level is None else logging.getLevelNamesMapping()[str(level)]


def read_parallelism(value: object) -> int:
    """A number of slots; 0 pauses. Raises UsageError for anything but an int from 0 to 500."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value <= limits.PARALLELISM_MAX
    ):
        raise UsageError("max_parallelism", value, f"an int from 0 to {limits.PARALLELISM_MAX}")
    return value


def read_spec(
    kind: Kind,
    target: object,
    options: Mapping[str, object],
    *,
    pool: PoolOptions,
    caller: Caller,
    find: FindJob,
) -> Spec:
    """Return the spec of the work items of an enqueue, without their arguments.

    Raises:
        UnknownOption: there is no option of this name.
        UsageError: a value is not allowed.
    """
    for name, value in options.items():
        if name not in RetryableOptions.__optional_keys__:
            raise UnknownOption(name, value, list(RetryableOptions.__annotations__))
    given = _Given(options, caller, find)
    retry, callback = given.retry(kind, pool), given.callback()
    job, named = _located(target, "target", find)
    return Spec(
        target=read_target(target, caller) if named is None else named,
        args=NO_ARGS,
        kind=kind,
        retry=retry,
        claimed=must_claim(kind, retry),
        retention_s=pool.retention_s,
        callback=callback,
        job=job,
        expires_after_ms=given.expiry_ms(),
        origin=caller.origin,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """The options of one enqueue, as its caller gave them. Reading one raises UsageError."""

    given: Mapping[str, object]
    caller: Caller
    find: FindJob

    def retry(self, kind: Kind, pool: PoolOptions) -> RetryPolicy | None:
        """The policy that a work item is stored with; `None` means a single attempt."""
        retry = self.given.get("retry")
        if retry is not None and not isinstance(retry, bool | RetryPolicy):
            raise UsageError("retry", retry, RETRY_ALLOWED)
        if retry is None:
            retry = kind is not Kind.ACTION or pool.retry_actions_by_default
        if isinstance(retry, bool):
            return pool.default_retry if retry else None
        return retry

    def expiry_ms(self) -> int | None:
        """Time after which a start is worthless; `None` means never."""
        value = self.given.get("expires_after")
        if value is None:
            return None
        if not isinstance(value, timedelta) or not timedelta(0) < value <= _DELAY_MAX:
            allowed = f"a timedelta above 0, at most {_DELAY_MAX.days} days, or None (never)"
            raise UsageError("expires_after", value, allowed)
        return -(-value // _MILLISECOND)

    def callback(self) -> CallbackSpec | None:
        """Returns the callback that a work item is stored with; `None` means none."""
        on_complete, context = self.given.get("on_complete"), self.given.get("context")
        outcomes = self._outcomes()
        if on_complete is None:
            if context is not None:
                allowed = "None without on_complete, since nothing would receive it"
                raise UsageError("context", kind_of(context), allowed)
            if len(outcomes) < len(Outcome):
                allowed = "empty without on_complete, since there is no callback to leave out"
                raise UsageError("on_complete_exclude", self.given["on_complete_exclude"], allowed)
            return None
        job, named = _located(on_complete, "on_complete", self.find)
        target = self._callback_target(on_complete) if named is None else named
        # A context that no message to this target could ever hold is refused here, before anything is
        # stored [WP-11].
        room = target_of(target).bytes_max - limits.CALLBACK_FRAME_BYTES_MAX
        largest = min(limits.PAYLOAD_BYTES_MAX, room)
        return CallbackSpec(
            target=target,
            context=None if context is None else Inline(encode_value(context, "context", largest)),
            outcomes=outcomes,
            job=job,
        )

    def _callback_target(self, on_complete: object) -> str:
        if isinstance(on_complete, str) and target_of(on_complete) is not FUNCTION:
            return on_complete
        try:
            return read_target(on_complete, self.caller)
        except UsageError:
            if is_decorated(on_complete):
                raise UsageError("on_complete", on_complete, DEPLOYED_AS) from None
            got = kind_of(on_complete) if isinstance(on_complete, Mapping) else on_complete
            raise UsageError(
                "on_complete",
                got,
                f"the ARN of {nouns_of(CALLBACK_TARGETS)}, or a function name ('name' or 'name:alias')",
            ) from None

    def _outcomes(self) -> tuple[Outcome, ...]:
        """Returns the outcomes with a callback: all that are not excluded, in order."""
        on_complete_exclude = self.given.get("on_complete_exclude")
        if on_complete_exclude is None:
            return tuple(Outcome)
        known = get_args(OutcomeName)
        allowed = f"a list of {', '.join(map(repr, known))}"
        if isinstance(on_complete_exclude, str | bytes) or not isinstance(
            on_complete_exclude, Iterable
        ):
            raise UsageError("on_complete_exclude", on_complete_exclude, allowed)
        excluded: set[str] = set()
        for index, each in enumerate(on_complete_exclude):
            if not isinstance(each, str) or each not in known:
                raise UsageError(f"on_complete_exclude[{index}]", each, allowed)
            excluded.add(each)
        return tuple(outcome for outcome in Outcome if outcome.value not in excluded)


def read_due(options: Mapping[str, object], *, now: EpochMs) -> Due:
    """The earliest start.

    Raises UsageError for a value that is not allowed, or more than a year ahead of `now`.
    """
    run_after, run_at = options.get("run_after"), options.get("run_at")
    if run_after is not None and run_at is not None:
        raise UsageError("run_at", run_at, "None where run_after is given")
    if run_after is not None:
        if not isinstance(run_after, timedelta):
            raise UsageError("run_after", run_after, "a timedelta")
        if run_after > _DELAY_MAX:
            raise UsageError(
                "run_after", run_after, f"a timedelta of at most {_DELAY_MAX.days} days"
            )
        return Due(after_ms=-(-max(run_after, timedelta(0)) // _MILLISECOND))
    if run_at is None:
        return Due()
    if not isinstance(run_at, datetime):
        raise UsageError("run_at", run_at, "a timezone-aware datetime")
    if run_at.utcoffset() is None:
        raise UsageError("run_at", run_at, "timezone-aware")
    since_epoch = run_at - _EPOCH
    if since_epoch - now * _MILLISECOND > _DELAY_MAX:
        raise UsageError("run_at", run_at, f"at most {_DELAY_MAX.days} days ahead")
    return Due(at=EpochMs(-(-since_epoch // _MILLISECOND)))


def read_target(target: object, caller: Caller) -> str:
    """The function as it is stored: an ARN, or a name if the account is not known.

    Raises UsageError for anything but the name of a function, or the ARN of a function, a version
    or an alias.
    """
    if isinstance(target, str):
        if FUNCTION_ARN.fullmatch(target):
            return target
        if FUNCTION_NAME.fullmatch(target):
            if caller.partition is None:
                return target
            account = f"arn:{caller.partition}:lambda:{caller.region}:{caller.account}"
            return f"{account}:function:{target}"
        if target.endswith(_MANAGED):
            raise UsageError(
                "target",
                target,
                "a function outside of Lambda Managed Instances, "
                "which do not end code at the function's timeout",
            )
    if is_decorated(target):
        raise UsageError("target", target, DEPLOYED_AS)
    # Arguments in the target's place are as secret as in their own.
    got = kind_of(target) if isinstance(target, Mapping) else target
    raise UsageError(
        "target",
        got,
        "the ARN of a Lambda function, version or alias, "
        "or a function name ('name' or 'name:alias')",
    )


def _located(target: object, field: str, find: FindJob) -> tuple[str | None, str | None]:
    """Returns the name of a decorated function or job, and its ARN. Two `None` mean neither."""
    job = job_named(target)
    if job is not None:
        return job, find(job, field=field, decorated=True)
    if isinstance(target, str) and JOB.fullmatch(target):
        named = find(target, field=field, decorated=False)
        return (None if named is None else target), named
    return None, None


def encode_args(args: object, field: str) -> str:
    """The arguments of a function without a signature at hand, as JSON.

    Raises UsageError for anything but a JSON object that is small enough.
    """
    return encode_object(args, field, limits.PAYLOAD_BYTES_MAX)


class IdSequence:
    """Hands out ids that grow within one due time, so that a caller's work items keep their order.

    Fresh randomness enters every id: a copy of the process (a fork, a clone of a snapshot) that
    goes on from the same last id takes others. The sequence remembers the last few due times only:
    a caller that jumps between more of them gets unordered ids, never equal ones.
    """

    def __init__(self) -> None:
        self._last: dict[EpochMs, WorkId] = {}

    def take(self, count: int, due: EpochMs, *, random_bits: int) -> list[WorkId]:
        """`count` ids, at least one, beyond the last one for that due time, if it is known."""
        ids = make_ids(due, random_bits=random_bits, after=self._last.pop(due, None))
        taken = [WorkId(next(ids)) for _ in range(count)]
        self._last[due] = taken[-1]
        while len(self._last) > _SEQUENCES_KEPT:
            del self._last[next(iter(self._last))]
        return taken

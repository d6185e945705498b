"""Makes the spec of an enqueue of its options, which are checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, get_args

from workpool_aws.api.options import RetryableOptions
from workpool_aws.api.targets import located, read_target
from workpool_aws.api.unique import read_unique
from workpool_aws.core import limits
from workpool_aws.core.callback.targets import (
    CALLBACK_TARGETS,
    DEPLOYED_AS,
    FUNCTION,
    is_decorated,
    nouns_of,
    target_of,
)
from workpool_aws.core.payload import encode_object, encode_value
from workpool_aws.core.work.enqueue import must_claim
from workpool_aws.errors import UnknownOption, UsageError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.payload import NO_ARGS, Inline
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import CallbackSpec, Kind, Outcome, OutcomeName, Spec
from workpool_aws.text import kind_of

if TYPE_CHECKING:
    from workpool_aws.api.caller import Caller
    from workpool_aws.api.pool_options import PoolOptions
    from workpool_aws.api.targets import FindJob

__all__ = ["RETRY_ALLOWED", "Due", "encode_args", "read_due", "read_spec"]

RETRY_ALLOWED: Final = (
    "None (the pool's default), False, True (the pool's default policy) or a RetryPolicy"
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DELAY_MAX: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_NO_TIME: Final = timedelta(0)
_TIMEOUT_MAX: Final = timedelta(milliseconds=limits.TIMEOUT_MS_MAX)
_HEARTBEAT_MIN: Final = timedelta(milliseconds=limits.HEARTBEAT_MS_MIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The earliest start of a work item, as its caller gave it: a delay, a moment, or neither."""

    after_ms: int = 0
    at: EpochMs = EpochMs(0)

    def counted_from(self, now: EpochMs) -> EpochMs:
        """Returns the due time of a work item that is enqueued now: never in the past."""
        return EpochMs(max(now + self.after_ms, self.at))


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
    job, named = located(target, "target", find)
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
        unique=read_unique(options),
        timeout_ms=given.timeout_ms("timeout", _NO_TIME),
        heartbeat_ms=given.timeout_ms("heartbeat_timeout", _HEARTBEAT_MIN),
        origin=caller.origin,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """The options of one enqueue, as its caller gave them. Reading one raises UsageError."""

    given: Mapping[str, object]
    caller: Caller
    find: FindJob

    def retry(self, kind: Kind, pool: PoolOptions) -> RetryPolicy | None:
        """Returns the policy that a work item is stored with; `None` means a single attempt."""
        retry = self.given.get("retry")
        if retry is not None and not isinstance(retry, bool | RetryPolicy):
            raise UsageError("retry", retry, RETRY_ALLOWED)
        if retry is None:
            retry = kind is not Kind.ACTION or pool.retry_actions_by_default
        if isinstance(retry, bool):
            return pool.default_retry if retry else None
        return retry

    def expiry_ms(self) -> int | None:
        """Returns the time after which a start is worthless; `None` means never."""
        value = self.given.get("expires_after")
        if value is None:
            return None
        if not isinstance(value, timedelta) or not timedelta(0) < value <= _DELAY_MAX:
            allowed = f"a timedelta above 0, at most {_DELAY_MAX.days} days, or None (never)"
            raise UsageError("expires_after", value, allowed)
        return -(-value // _MILLISECOND)

    def timeout_ms(self, name: str, least: timedelta) -> int | None:
        """Returns a bound of an attempt; `None` means none. `least`: the shortest one allowed."""
        value = self.given.get(name)
        if value is None:
            return None
        if (
            not isinstance(value, timedelta)
            or not max(least, _MILLISECOND) <= value <= _TIMEOUT_MAX
        ):
            lowest = f"from {least.seconds} s" if least else "above 0"
            most = _TIMEOUT_MAX // timedelta(minutes=1)
            raise UsageError(name, value, f"a timedelta {lowest}, at most {most} minutes, or None")
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
        job, named = located(on_complete, "on_complete", self.find)
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
    """Returns the earliest start.

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


def encode_args(args: object, field: str) -> str:
    """Returns the arguments of a function without a signature at hand, as JSON.

    Raises UsageError for anything but a JSON object that is small enough.
    """
    return encode_object(args, field, limits.PAYLOAD_BYTES_MAX)

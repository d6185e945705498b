"""Schedules that a deployment declares: their form as JSON, between the construct and the watchdog."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.api.pool_options import read_pool_options
from workpool_aws.api.schedule_options import read_schedule_options
from workpool_aws.api.spec import encode_args, read_spec
from workpool_aws.api.timing import read_definition, read_schedule_name
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.schedule import DEPLOYMENT_OWNER
from workpool_aws.model.spec import Kind
from workpool_aws.text import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.api.caller import Caller
    from workpool_aws.api.targets import FindJob
    from workpool_aws.core.schedule.change import Definition

__all__ = ["from_json", "read_declared", "to_json"]

_SPANS: Final = ("every", "jitter", "spread", "expires_after", "unique_for")
_MOMENTS: Final = ("start", "end")
_BACKOFFS: Final = ("initial_backoff", "max_backoff")
_MS: Final = "_ms"
_MILLISECOND: Final = timedelta(milliseconds=1)


def read_declared(
    definition: Mapping[str, object], *, caller: Caller, find: FindJob
) -> tuple[str, Definition]:
    """Returns the name of a declared schedule, and the schedule.

    Its work items are those of an action, by the defaults of a pool whose program is not known.

    Raises:
        UsageError: A value is not allowed.
    """
    options = dict(definition)
    name = read_schedule_name(options.pop("name", None))
    target, args = options.pop("fn", None), options.pop("args", {})
    timing, others = read_schedule_options(options)
    pool = read_pool_options(
        table="table",
        name="pool",
        max_parallelism=limits.PARALLELISM_DEFAULT,
        rate_limit=None,
        default_retry=RetryPolicy(),
        retry_actions_by_default=False,
        status_ttl=timedelta(seconds=limits.RETENTION_S_DEFAULT),
        quick_start=False,
    )
    encoded = encode_args(args, "args")
    spec = read_spec(Kind.ACTION, target, others, pool=pool, caller=caller, find=find)
    return name, read_definition(timing, spec, encoded, owner=DEPLOYMENT_OWNER)


def to_json(definition: Mapping[str, object]) -> dict[str, object]:
    """Returns a checked schedule as JSON: spans in milliseconds, moments as texts."""
    found: dict[str, object] = {}
    for name, value in definition.items():
        match value:
            case None:
                continue
            case timedelta():
                found[f"{name}{_MS}"] = -(-value // _MILLISECOND)
            case datetime():
                found[name] = value.isoformat()
            case RetryPolicy():
                found[name] = to_json(
                    {field: getattr(value, field) for field in RetryPolicy.__match_args__}
                )
            case set() | frozenset() | tuple():
                found[name] = sorted(value)
            case _:
                found[name] = value
    return found


def from_json(stored: object) -> dict[str, Any]:
    """Returns the schedule that `to_json` wrote.

    Raises:
        UsageError: It did not write this. Other values are checked by `read_declared`.
    """
    if not isinstance(stored, dict):
        raise UsageError("schedules", kind_of(stored), "a list of JSON objects")
    definition = _with_spans(stored, _SPANS)
    for name in _MOMENTS:
        value = definition.get(name)
        try:
            definition |= {} if value is None else {name: datetime.fromisoformat(str(value))}
        except ValueError:
            raise UsageError(name, value, "a moment in ISO 8601") from None
    retry = definition.get("retry")
    if isinstance(retry, dict):
        try:
            definition["retry"] = RetryPolicy(**_with_spans(retry, _BACKOFFS))
        except TypeError:
            raise UsageError("retry", sorted(retry), "fields of a RetryPolicy") from None
    return definition


def _with_spans(stored: Mapping[str, object], names: tuple[str, ...]) -> dict[str, Any]:
    found = dict(stored)
    for name in names:
        value = found.pop(f"{name}{_MS}", None)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{name}{_MS}", value, "a whole number")
        try:
            found[name] = timedelta(milliseconds=value)
        except OverflowError:
            raise UsageError(f"{name}{_MS}", value, "a span of milliseconds") from None
    return found

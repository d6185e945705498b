"""Checks the options of a schedule before anything is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypedDict, TypeVar

from workpool_aws.core import limits
from workpool_aws.core.schedule.change import Definition
from workpool_aws.core.schedule.timing import spelled, zone_of
from workpool_aws.core.views.instants import moment_in
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.names import SCHEDULE
from workpool_aws.model.payload import Inline
from workpool_aws.model.schedule import CatchUp, Overlap, Timing
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.model.payload import Payload
    from workpool_aws.model.spec import Spec

__all__ = ["CatchUpName", "OverlapName", "TimingOptions", "read_definition", "read_schedule_name"]

CatchUpName = Literal["latest", "all", "none", "spread"]
OverlapName = Literal["allow", "skip", "queue_one"]

Choice = TypeVar("Choice", bound=StrEnum)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LONGEST: Final = timedelta(milliseconds=limits.DELAY_MS_MAX)
_SHORTEST: Final = timedelta(milliseconds=limits.EVERY_MS_MIN)


class TimingOptions(TypedDict, total=False):
    """The options of a schedule. One left out has its default.

    cron:
        Five fields as Debian's cron reads them (minute, hour, day of month, month, day of week),
        with names, `L`, `LW`, `5L` and `1#2`, or `@hourly`, `@daily`, `@weekly`, `@monthly`,
        `@yearly`. At most 256 characters. Either this or `every`.
    every:
        A fixed interval from 1 s to 366 days, counted from `start`, or from the first call.
    timezone:
        IANA name of the zone in which `cron` is meant. Defaults to "UTC".
    start:
        Timezone-aware time before which nothing is due. `None` means now.
    end:
        Timezone-aware time after which nothing is due. One in the past is allowed, and nothing is
        due. `None` means never.
    jitter:
        Longest delay of an occurrence, at most 366 days. Each occurrence has its own. `None` means
        none.
    catch_up:
        Treatment of occurrences that are found more than three minutes late: "latest" (the
        default) enqueues the latest of them if none is in time, "all" the last 90, "spread" the
        last 90 with due times spread over `spread`, "none" none. The others count as missed.
    spread:
        Span for `catch_up="spread"`, at most 366 days. Needs it.
    overlap:
        Treatment of an occurrence that falls due while the one before is not finished: "allow"
        (the default) enqueues it, "skip" counts it, "queue_one" lets one wait for the end of a
        running one.
    """

    cron: str | None
    every: timedelta | None
    timezone: str
    start: datetime | None
    end: datetime | None
    jitter: timedelta | None
    catch_up: CatchUpName
    spread: timedelta | None
    overlap: OverlapName


def read_schedule_name(name: object, *, field: str = "name") -> str:
    """Returns the name of a schedule, or of an owner. Raises UsageError for what cannot be one."""
    if not isinstance(name, str) or SCHEDULE.fullmatch(name) is None:
        longest = limits.SCHEDULE_NAME_LENGTH_MAX
        raise UsageError(
            field,
            name,
            f"a str of 1 to {longest} letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit",
        )
    return name


def read_definition(
    options: Mapping[str, object], spec: Spec, args: str, *, owner: str | None
) -> Definition:
    """Returns a checked schedule. Raises UsageError for a value that is not allowed."""
    stored = replace(spec, args=Inline(args))
    _check_size("args", stored.args)
    _check_size("context", stored.context)
    catch_up = _read_choice(options, "catch_up", CatchUp.LATEST)
    return Definition(
        spec=stored,
        timing=_read_timing(options),
        jitter_ms=_read_span("jitter", options.get("jitter")),
        catch_up=catch_up,
        spread_ms=_read_spread(options.get("spread"), catch_up),
        overlap=_read_choice(options, "overlap", Overlap.ALLOW),
        owner=owner,
    )


def _read_timing(options: Mapping[str, object]) -> Timing:
    cron, every = options.get("cron"), options.get("every")
    if (cron is None) is (every is None):
        raise UsageError("cron", cron, "given where every is None, and None where it is given")
    zone = options.get("timezone", "UTC")
    try:
        zone_of(zone if isinstance(zone, str) else "")
    except ValueError:
        raise UsageError("timezone", zone, "the IANA name of a time zone") from None
    start, end = moment_in("start", options.get("start")), moment_in("end", options.get("end"))
    if start is not None and end is not None and end < start:
        raise UsageError("end", options["end"], "not before start")
    return Timing(
        cron=None if cron is None else _read_cron(cron),
        every_ms=None if every is None else _read_every(every),
        timezone=str(zone),
        anchor=EpochMs(0) if start is None else start,
        ends_at=end,
    )


def _read_cron(cron: object) -> str:
    try:
        if isinstance(cron, str):
            return spelled(cron)
        reason = "a str expected"
    except ValueError as error:
        reason = str(error)
    got = cron[:60] if isinstance(cron, str) else cron
    raise UsageError("cron", got, f"a cron expression of five fields ({reason})")


def _read_every(every: object) -> int:
    if not isinstance(every, timedelta) or not _SHORTEST <= every <= _LONGEST:
        raise UsageError("every", every, f"a timedelta from 1 s to {_LONGEST.days} days")
    return every // _MILLISECOND


def _read_span(field: str, value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, timedelta) or not timedelta(0) < value <= _LONGEST:
        raise UsageError(field, value, f"a timedelta above 0, at most {_LONGEST.days} days")
    return -(-value // _MILLISECOND)


def _read_spread(value: object, catch_up: CatchUp) -> int:
    spread_ms = _read_span("spread", value)
    if (catch_up is CatchUp.SPREAD) is not (spread_ms > 0):
        allowed = "a timedelta above 0 with catch_up='spread', and None otherwise"
        raise UsageError("spread", value, allowed)
    return spread_ms


def _read_choice(options: Mapping[str, object], field: str, default: Choice) -> Choice:
    value = options.get(field, default)
    for each in type(default):
        if value == each.value:
            return each
    allowed = " or ".join(repr(each.value) for each in type(default))
    raise UsageError(field, value, allowed)


def _check_size(field: str, payload: Payload | None) -> None:
    longest = limits.SCHEDULE_PAYLOAD_BYTES_MAX
    if isinstance(payload, Inline) and len(payload.text.encode()) > longest:
        raise UsageError(
            field, f"{len(payload.text.encode())} bytes", f"at most {longest} bytes in a schedule"
        )

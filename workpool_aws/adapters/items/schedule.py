"""The fields of a stored schedule, which lie flat in its item however deep the record holds them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import forms
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.spec import SPEC_FIELDS, flatten_spec, spec_of
from workpool_aws.core import limits
from workpool_aws.core.schedule.timing import spelled, zone_of
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.payload import Chunked
from workpool_aws.model.schedule import CatchUp, Overlap, PastRun, ScheduleItem, Timing
from workpool_aws.model.spec import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCHEDULE_FIELDS", "flatten_schedule", "schedule_of"]


class _Past:
    """`due:lag:initial of the outcome`; a lag or outcome that is not known is left out."""

    _BY_LETTER: Final = {outcome.value[0]: outcome for outcome in Outcome}
    _PATTERN: Final = re.compile(r"([0-9]{1,15}):([0-9]{1,15})?:([a-z])?", re.ASCII)

    @classmethod
    def encode(cls, run: PastRun) -> str:
        lag = "" if run.lag_ms is None else str(run.lag_ms)
        outcome = "" if run.outcome is None else run.outcome.value[0]
        return f"{run.due}:{lag}:{outcome}"

    @classmethod
    def decode(cls, value: object) -> PastRun:
        found = cls._PATTERN.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[3] not in {None, *cls._BY_LETTER}:
            raise ValueError("an occurrence that is over expected")
        return PastRun(
            EpochMs(int(found[1])),
            None if found[2] is None else int(found[2]),
            None if found[3] is None else cls._BY_LETTER[found[3]],
        )


PAST: Final = forms.list_of(
    forms.FieldCodec("an occurrence that is over", _Past.encode, _Past.decode),
    "a list of occurrences that are over",
    at_most=limits.SCHEDULE_PAST_KEPT,
)

_TIMING_FIELDS: Final[Mapping[str, Field]] = {
    "cron": Field("cr", forms.TEXT, absent=None),
    "every_ms": Field("ev", forms.EXPIRY, absent=None),
    "timezone": Field("tz", forms.TEXT),
    "anchor": Field("an", forms.WORK_MOMENT),
    "ends_at": Field("ea", forms.WORK_MOMENT, absent=None),
}
_OWN_FIELDS: Final[Mapping[str, Field]] = {
    "jitter_ms": Field("ji", forms.MOMENT, absent=0),
    "catch_up": Field("cu", forms.choice(CatchUp)),
    "spread_ms": Field("sp", forms.MOMENT, absent=0),
    "overlap": Field("ov", forms.choice(Overlap)),
    "born": Field("bn", forms.TEXT),
    "version": Field("v", forms.GENERATION),
    "paused": Field("p", forms.FLAG, absent=False),
    "owner": Field("ow", forms.TEXT, absent=None),
    "next_at": Field("nx", forms.WORK_MOMENT, absent=None),
    "waiting": Field("wt", forms.WORK_MOMENT, absent=None),
    "last_due": Field("ld", forms.WORK_MOMENT, absent=None),
    "last_work": Field("lw", forms.ULID, absent=None),
    "past": Field("pa", PAST, absent=()),
    "missed": Field("mi", forms.COUNT, absent=0),
    "skipped": Field("ski", forms.COUNT, absent=0),
}
SCHEDULE_FIELDS: Final[Mapping[str, Field]] = {**SPEC_FIELDS, **_TIMING_FIELDS, **_OWN_FIELDS}


def flatten_schedule(item: ScheduleItem) -> Mapping[str, object]:
    """Returns the values of a schedule's fields."""
    return {
        **flatten_spec(item.spec),
        **{name: getattr(item.timing, name) for name in _TIMING_FIELDS},
        **{name: getattr(item, name) for name in _OWN_FIELDS},
    }


def schedule_of(values: Mapping[str, Any]) -> ScheduleItem:
    """Returns the schedule of these names and values.

    Raises ValueError as `spec_of` does, and for a timing that has no occurrences: the loop computes
    with it.
    """
    spec = spec_of(values)
    if isinstance(spec.args, Chunked) or isinstance(spec.context, Chunked):
        raise ValueError("a schedule has no chunks")
    timing = Timing(**{name: values[name] for name in _TIMING_FIELDS})
    if (timing.cron is None) is (timing.every_ms is None):
        raise ValueError("either a cron expression or an interval expected")
    if timing.cron is not None and spelled(timing.cron) != timing.cron:
        raise ValueError("a cron expression of five fields expected")
    if timing.every_ms is not None and timing.every_ms < limits.EVERY_MS_MIN:
        raise ValueError("an interval of at least a second expected")
    if max(values["jitter_ms"], values["spread_ms"]) > limits.DELAY_MS_MAX:
        raise ValueError("a span of at most a year expected")
    zone_of(timing.timezone)
    return ScheduleItem(
        pool=values["pool"],
        name=values["name"],
        spec=spec,
        timing=timing,
        **{name: values[name] for name in _OWN_FIELDS},
    )

"""Options of a schedule: those of its times, and those of an enqueue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workpool_aws.api.conditions import refuse_conditions
from workpool_aws.api.options import RetryableOptions
from workpool_aws.api.timing import TimingOptions
from workpool_aws.errors import UnknownOption, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ScheduleDefinition", "ScheduleOptions", "read_schedule_options"]

_TIMES: Final = ("run_after", "run_at")


class ScheduleOptions(TimingOptions, RetryableOptions, total=False):
    """The options of `schedule`: those of `TimingOptions` and `RetryableOptions`.

    `run_after` and `run_at` must be `None`: the schedule says when. So must the options of one
    request, and those that replace: an occurrence whose `unique_key` is held is skipped.
    """


class ScheduleDefinition(ScheduleOptions, total=False):
    """One schedule of `sync_schedules`: the arguments of `schedule` by name."""

    name: str
    fn: Any
    args: Mapping[str, object]


_OPTIONS: Final = tuple(each for each in ScheduleOptions.__annotations__ if each not in _TIMES)


def read_schedule_options(
    options: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, object]]:
    """Returns the options of its times, and those of an enqueue. Their values are not checked.

    Raises UsageError for an option that schedules do not have, and for a time of one enqueue.
    """
    for field, value in options.items():
        if field not in ScheduleOptions.__optional_keys__:
            raise UnknownOption(field, value, _OPTIONS)
        if field in _TIMES and value is not None:
            raise UsageError(field, value, "None, since the schedule says when")
    refuse_conditions(options)
    timing = {name: each for name, each in options.items() if name in TimingOptions.__annotations__}
    return timing, {name: each for name, each in options.items() if name not in timing}

"""Events: one class for each thing that the library reports.

`docs/events.md` lists them, and a test compares the two.

A new event is a class in the module of its subject, a name here, and a row of that page. A module
loads when one of its events is first used: to make all these classes is a tenth of a cold start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workpool_aws.model.events.callback import *
    from workpool_aws.model.events.event import *
    from workpool_aws.model.events.loop import *
    from workpool_aws.model.events.pool import *
    from workpool_aws.model.events.task import *
    from workpool_aws.model.events.work import *

_NAMES: Final = {
    "callback": (
        "CallbackAcknowledged",
        "CallbackDead",
        "CallbackEvent",
        "CallbackFailed",
        "CallbackRedriven",
        "CallbackSent",
    ),
    "event": (
        "Event",
        "WorkEvent",
    ),
    "loop": (
        "Drained",
        "HandedOver",
        "KickFailed",
        "Kicked",
        "LoopEnded",
        "LoopFenced",
        "LoopRested",
        "LoopTook",
        "NoProgress",
        "PassFailed",
        "PassReport",
        "QuickStartRefused",
        "ShardsChanged",
        "TimerFailed",
    ),
    "pool": (
        "BaseIgnored",
        "CancelAllAsked",
        "ConfigAlternates",
        "ControlRepaired",
        "DeploymentNotRecorded",
        "DeploymentRecorded",
        "DeploymentReplaced",
        "GroupCanceled",
        "GroupEnqueued",
        "GroupFinished",
        "HeartbeatsDue",
        "JobStatsTaken",
        "LimitDeployed",
        "LimitsDenied",
        "OptionsUnknown",
        "RegistrationDenied",
        "ScheduleAlternates",
        "ScheduleChanged",
        "ScheduleFired",
        "ScheduleRepaired",
        "SchedulesNotDeclared",
        "SetAside",
        "StatsTaken",
        "Surveyed",
        "WatchdogActed",
    ),
    "task": ("TaskFailed",),
    "work": (
        "AttemptRaised",
        "CancelAsked",
        "Completed",
        "DuplicateRefused",
        "Enqueued",
        "Expired",
        "PutBack",
        "RecordUnreadable",
        "Recovered",
        "Redriven",
        "Replaced",
        "ReportIgnored",
        "ReportUnproven",
        "Retrying",
        "Snoozed",
        "StartUnanswered",
        "Started",
    ),
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)

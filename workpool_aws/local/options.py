"""Options of a LocalCloud and its functions.

Every option is checked, with a message that says what is allowed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from workpool_aws.errors import UsageError
from workpool_aws.local.faults.faults import Faults
from workpool_aws.local.kernel.real import RealKernel
from workpool_aws.local.kernel.virtual import VirtualKernel
from workpool_aws.local.services.functions import Event
from workpool_aws.local.urls import is_endpoint
from workpool_aws.model.names import POOL

if TYPE_CHECKING:
    from workpool_aws.local.faults.seeded import SeededFaults
    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.schedules import Precision

__all__ = [
    "ClockName",
    "CloudOptions",
    "Takes",
    "function_name",
    "milliseconds",
    "pool_names",
    "takes_ms",
    "whole",
]

ClockName = Literal["virtual", "real"]
Takes = timedelta | Callable[[Event], timedelta]
"""Time that a function takes, in the cloud's time. A callable gives it for an event."""

_SPEED_MAX = 1_000.0
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def pool_names(pools: object) -> frozenset[str] | None:
    """Return the names of pools, checked. `None` means any pool. Raises UsageError."""
    if pools is None:
        return None
    if isinstance(pools, str | bytes) or not isinstance(pools, Iterable):
        raise UsageError("pools", pools, "a list of pools' names, or None (any)")
    names = list(pools)
    for name in names:
        if not isinstance(name, str) or POOL.fullmatch(name) is None:
            raise UsageError("pools", name, "pools' names: 1 to 40 of A-Z a-z 0-9 _ -")
    return frozenset(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """The options of a LocalCloud but its rates.

    Raises:
        UsageError: a value is not allowed.
    """

    clock: ClockName
    speed: float
    engine: str
    scheduler: Precision
    seed: int
    call_latency: timedelta
    stall_timeout: timedelta
    faults: Faults | None = None

    def __post_init__(self) -> None:
        _one_of("clock", self.clock, ("virtual", "real"))
        _one_of("scheduler", self.scheduler, ("exact", "aws"))
        self._check_engine(self.engine)
        whole("seed", self.seed)
        self._check_speed(self.speed)
        milliseconds("call_latency", self.call_latency)
        milliseconds("stall_timeout", self.stall_timeout, at_least=1)
        self._check_faults(self.faults)

    def _check_engine(self, engine: object) -> None:
        if engine in ("memory", "moto") or (isinstance(engine, str) and is_endpoint(engine)):
            return
        raise UsageError(
            "engine",
            engine,
            "'memory', 'moto', or the URL of a DynamoDB endpoint (http://host:port)",
        )

    def _check_speed(self, speed: object) -> None:
        if (
            isinstance(speed, bool)
            or not isinstance(speed, int | float)
            or not 0 < speed <= _SPEED_MAX
        ):
            raise UsageError("speed", speed, f"a number above 0, at most {_SPEED_MAX:g}")
        if self.clock == "virtual" and speed != 1:
            raise UsageError(
                "speed",
                speed,
                "1.0 on the virtual clock, which jumps (a speed is for clock='real')",
            )

    def _check_faults(self, faults: object) -> None:
        if faults is None:
            return
        if not isinstance(faults, Faults):
            raise UsageError(
                "faults", faults, "a Faults of workpool_aws.local.faults.faults, or None"
            )
        if (self.clock, self.engine) != ("virtual", "memory"):
            raise UsageError(
                "faults", faults, "left out, unless clock='virtual' and engine='memory'"
            )

    def kernel(self, chooser: Chooser, faults: SeededFaults | None = None) -> Kernel:
        """Return a kernel for the clock asked for.

        On the virtual clock these faults strike in it. `None` means that none does.
        """
        latency_ms = milliseconds("call_latency", self.call_latency)
        if self.clock == "real":
            return RealKernel(speed=self.speed, latency_ms=latency_ms)
        kernel = VirtualKernel(
            chooser=chooser,
            latency_ms=latency_ms,
            stall_timeout_s=self.stall_timeout.total_seconds(),
            faults=faults,
        )
        if faults is not None:
            faults.attach(kernel)
        return kernel


def function_name(name: object) -> str:
    """Return a name that CreateFunction takes, without a version or alias.

    Raises UsageError for anything else.
    """
    if not isinstance(name, str) or _FUNCTION_NAME.fullmatch(name) is None:
        raise UsageError("name", name, "a function's name: 1 to 64 of A-Z a-z 0-9 _ -")
    return name


def milliseconds(
    field: str, value: object, *, at_least: int = 0, at_most: int | None = None
) -> int:
    """Return a timedelta in whole milliseconds, rounded up.

    Raises UsageError for anything else, and out of bounds.
    """
    low = timedelta(milliseconds=at_least)
    high = None if at_most is None else timedelta(milliseconds=at_most)
    if not isinstance(value, timedelta) or value < low or (high is not None and value > high):
        raise UsageError(
            field,
            value,
            f"a timedelta of at least {at_least} ms"
            + ("" if at_most is None else f", at most {at_most} ms"),
        )
    return math.ceil(value / timedelta(milliseconds=1))


def whole(
    field: str, value: object, *, at_least: int | None = None, at_most: int | None = None
) -> int:
    """Return an int within bounds. Raises UsageError for anything else, a bool too."""
    low = "" if at_least is None else f" from {at_least}"
    high = "" if at_most is None else f" to {at_most}"
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    ):
        raise UsageError(field, value, f"an int{low}{high}")
    return value


def takes_ms(takes: Takes | None) -> Callable[[Event], int] | None:
    """Return the time that a function takes, as milliseconds of an event.

    Raises UsageError for what is no duration.
    """
    if takes is None:
        return None
    if isinstance(takes, timedelta):
        fixed = milliseconds("takes", takes)
        return lambda _: fixed
    if not callable(takes):
        raise UsageError("takes", takes, "a timedelta, or a callable that gives one for an event")
    asked = takes
    return lambda event: milliseconds("takes", asked(event))


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(field, value, f"one of {', '.join(map(repr, allowed))}")

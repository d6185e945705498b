"""Time that comes from outside a process.

One-time schedules as EventBridge Scheduler has them, and the watchdog's minute.
"""

from __future__ import annotations

import re
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from workpool_aws.local.faults.faults import CloudFaults, NoFaults
from workpool_aws.model.ids import EpochMs
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.kernel.kernel import Alarm, Kernel

__all__ = ["WATCHDOG_MS", "EmulatedSchedule", "Precision", "Schedules", "WatchdogMinute", "read_at"]

Precision = Literal["exact", "aws"]
"""When a schedule fires: at its time, or at any moment of the minute that begins then."""

WATCHDOG_MS: Final = 60_000
_LATE_MS: Final = 60_000
_AT: Final = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


def read_at(expression: str) -> EpochMs | None:
    """Return the time of an `at(…)` expression in UTC; `None` means it is no such expression."""
    parts = _AT.fullmatch(expression)
    if parts is None:
        return None
    try:
        return EpochMs(int(datetime.fromisoformat(parts[1]).replace(tzinfo=UTC).timestamp() * 1000))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedSchedule:
    """One order: send `payload` to a function at a time, once."""

    group: str
    name: str
    at: EpochMs
    target: str
    payload: str
    request: dict[str, object] = field(default_factory=dict)
    """As it was asked for, to be shown again."""


class Schedules:
    """The one-time schedules of a cloud.

    Each deletes itself when it has fired. `send` takes a target's ARN and the payload.
    """

    def __init__(
        self,
        kernel: Kernel,
        chooser: Chooser,
        precision: Precision,
        send: Callable[[str, str], None],
        faults: CloudFaults | None = None,
    ) -> None:
        self._kernel = kernel
        self._chooser = chooser
        self._precision = precision
        self._send = send
        self._faults = faults or NoFaults()
        self._standing: dict[tuple[str, str], tuple[EmulatedSchedule, Alarm]] = {}

    def find(self, group: str, name: str) -> EmulatedSchedule | None:
        """Return the schedule of this name that has not fired; `None` means there is none."""
        standing = self._standing.get((group, name))
        return None if standing is None else standing[0]

    @property
    def standing(self) -> tuple[EmulatedSchedule, ...]:
        """Those that have not fired."""
        return tuple(schedule for schedule, _ in self._standing.values())

    def put(self, schedule: EmulatedSchedule) -> None:
        """Set it, in place of one of its name."""
        with self._kernel.lock():
            self._cancel(schedule.group, schedule.name)
            late_ms = self._chooser.choose(_LATE_MS, "schedule") if self._precision == "aws" else 0
            at = EpochMs(max(self._kernel.now(), schedule.at) + late_ms)
            delays_ms = self._faults.wake_delays(schedule.name)
            alarm = self._kernel.at(
                EpochMs(at + sum(delays_ms[:1])), lambda: self._fire(schedule, delays_ms)
            )
            self._standing[schedule.group, schedule.name] = (schedule, alarm)

    def drop(self, group: str, name: str) -> None:
        """Forget it, if there is one."""
        with self._kernel.lock():
            self._cancel(group, name)

    def _cancel(self, group: str, name: str) -> None:
        schedule, alarm = self._standing.pop((group, name), (None, None))
        if schedule is None or alarm is None:
            return
        alarm.cancel()
        if self._faults.fires_deleted(name):
            self._kernel.at(alarm.at, lambda: self._send(schedule.target, schedule.payload))

    def _fire(self, schedule: EmulatedSchedule, delays_ms: Sequence[int]) -> None:
        del self._standing[schedule.group, schedule.name]
        for delay_ms in delays_ms[1:]:
            at = EpochMs(self._kernel.now() + delay_ms - delays_ms[0])
            self._kernel.at(at, lambda: self._send(schedule.target, schedule.payload))
        if delays_ms:
            self._send(schedule.target, schedule.payload)


class WatchdogMinute:
    """The watchdog's `rate(1 minute)`, for every table of a cloud.

    On the virtual clock a tick that could do nothing does not happen: `would_act(table, at)` says
    whether one at that time, with the table as it is now, would do something. What it finds does
    not go away by itself, so the last tick of a stretch tells about the whole stretch.
    """

    def __init__(
        self,
        kernel: Kernel,
        tables: Callable[[], Iterable[str]],
        would_act: Callable[[str, EpochMs], bool],
        tick: Callable[[str], None],
    ) -> None:
        self._kernel = kernel
        self._tables = tables
        self._would_act = would_act
        self._tick = tick

    def skip(self, now: EpochMs, to: EpochMs) -> None:
        """Set an alarm for the first tick in (now, to] that would act, before that time passes."""
        first, last = now // WATCHDOG_MS + 1, to // WATCHDOG_MS
        if first > last:
            return
        end = EpochMs(last * WATCHDOG_MS)
        acting = [table for table in self._tables() if self._would_act(table, end)]
        if not acting:
            return
        while first < last:
            middle = (first + last) // 2
            if any(self._would_act(table, EpochMs(middle * WATCHDOG_MS)) for table in acting):
                last = middle
            else:
                first = middle + 1
        at = EpochMs(first * WATCHDOG_MS)
        self._kernel.at(at, lambda: self._tick_all(at))

    def await_tick(self, now: EpochMs, to: EpochMs) -> None:
        """Keep a run of a real clock waiting for the first tick up to `to` that would act.

        Its ticks come anyway.
        """
        at = EpochMs((now // WATCHDOG_MS + 1) * WATCHDOG_MS)
        last = EpochMs(to // WATCHDOG_MS * WATCHDOG_MS)
        if at <= last and any(self._would_act(table, last) for table in self._tables()):
            self._kernel.at(at, lambda: None)

    def start(self) -> None:
        """Tick every minute of a real clock from now on."""
        at = EpochMs((self._kernel.now() // WATCHDOG_MS + 1) * WATCHDOG_MS)
        self._kernel.at(at, self._tick_on, background=True)

    def _tick_on(self) -> None:
        for table in self._tables():
            self._tick(table)
        self.start()

    def _tick_all(self, at: EpochMs) -> None:
        for table in self._tables():
            if self._would_act(table, at):
                self._tick(table)

"""Events of a pool's main loop: its starts, its passes and its end."""

from __future__ import annotations

from dataclasses import field
from logging import DEBUG, ERROR, INFO, WARNING
from typing import TYPE_CHECKING

from workpool_aws.model.events.event import Event

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kicked(Event, level=DEBUG):
    """A resting or dead loop was started."""

    reason: str
    generation: int


class KickFailed(Event, level=WARNING):
    """The loop could not be started; the watchdog will start it within about a minute."""

    reason: str
    error: str


class QuickStartRefused(Event, level=WARNING):
    """Lambda refused the event of a quick start. The loop makes it, and later ones of the function.

    Mostly the caller's role may not invoke the function: `grant_enqueue(..., quick_start=True)`.
    """

    target: str
    error: str


class LoopTook(Event, level=DEBUG):
    """A loop invocation became the holder of the ledger."""

    generation: int
    in_flight: int


class PassReport(Event, level=DEBUG):
    """A pass of the loop did something."""

    generation: int
    settled: int
    started: int
    in_flight: int
    limit: int
    succeeded: int = 0
    failed: int = 0
    """Of the settled, work items that failed for good."""
    retried: int = 0
    canceled: int = 0
    by_job: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The same four counts for each job, without zeros."""


class Drained(Event, level=INFO):
    """A pass canceled work items that `cancel_all` covers, or asked running ones to stop."""

    generation: int
    met: int
    canceled: int


class LoopRested(Event, level=DEBUG):
    """The loop has nothing to do now."""

    generation: int
    state: str
    wake_in_ms: int | None
    saturated: bool
    passes: int
    set_aside: int
    """Damaged or foreign items that this invocation met."""


class HandedOver(Event, level=DEBUG):
    """The loop passed on to a fresh invocation before its own time was over."""

    generation: int


class ShardsChanged(Event, level=INFO):
    """The loop changed the number of shards of its pool."""

    generation: int
    shards: int
    """Shards for new work items."""
    read: int
    """Shards that the loop and the watchdog read."""


class LoopFenced(Event, level=INFO):
    """A loop invocation found that another one is the holder, and stopped."""

    generation: int


class PassFailed(Event, level=WARNING):
    """A pass of the loop got no answer; the loop tries again, a few times."""

    generation: int
    error: str


class LoopEnded(Event, level=ERROR):
    """A loop invocation gave up on an error; its lease runs out and the watchdog starts another."""

    generation: int
    error: str


class NoProgress(Event, level=WARNING):
    """Passes find something to do and achieve nothing: the loop slows down [WP-23]."""

    generation: int
    passes: int


class TimerFailed(Event, level=WARNING):
    """The far wake could not be scheduled; the watchdog looks every minute."""

    error: str

"""Events of callbacks: the delivery of `on_complete` events to their targets."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING

from workpool_aws.model.events.event import WorkEvent


class CallbackEvent(WorkEvent):
    """Something that happened to the callback of a work item."""

    handler: str | None = None
    """Name of the handler. `None` means that no name led to the target."""


class CallbackSent(CallbackEvent, level=INFO):
    """An `on_complete` target accepted its callback."""

    target: str
    acknowledges: bool
    """True if its handler acknowledges that it ran."""


class CallbackAcknowledged(CallbackEvent, level=INFO):
    """A decorated `on_complete` handler ran to its end."""


class CallbackFailed(CallbackEvent, level=WARNING):
    """An `on_complete` target did not accept its callback, or its handler failed.

    The loop will try again.
    """

    target: str
    error: str


class CallbackDead(CallbackEvent, level=ERROR):
    """A callback was given up; its work item is kept."""

    target: str
    reason: str


class CallbackRedriven(CallbackEvent, level=INFO):
    """A caller redrove a dead callback; its work item does not run again."""

    target: str

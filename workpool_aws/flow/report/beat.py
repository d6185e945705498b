"""Writes the beats and the progress of a running start."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from workpool_aws.core.report.beat import beat_write, progress_write
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import ConditionFailed, Ports

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.messages import Assignment

__all__ = ["beat", "write_progress"]


def beat(ports: Ports, a: Assignment, *, token: str | None, until: EpochMs) -> bool:
    """Moves the deadline of a start to `until`. False means that the start is over.

    Raises StoreUnavailable: the beat may or may not count.
    """
    write = beat_write(a, token=token, until=until, now=ports.clock.now())
    try:
        ports.store.write(write)
    except ConditionFailed as refused:
        # Its own beat, repeated by the SDK after a lost answer, finds its own deadline.
        current = refused.current
        return (
            isinstance(current, WorkItem)
            and current.state is State.RUNNING
            and current.starts == a.start
            and current.proof == a.proof
            and current.claim == token
        )
    return True


def write_progress(ports: Ports, a: Assignment, share: float, note: str | None) -> None:
    """Stores the progress of a start. One that is over keeps its own.

    Raises StoreUnavailable: it may or may not be stored.
    """
    with contextlib.suppress(ConditionFailed):
        ports.store.write(progress_write(a, share, note))

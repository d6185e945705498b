"""Commits a change together with the notice by which the loop learns of it.

A process that dies right after the change cannot lose the notice then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.flow.visibility import ensure_visible
from workpool_aws.model.ids import time_of
from workpool_aws.model.work import CallbackState
from workpool_aws.model.writes import Put
from workpool_aws.ports import TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.work import WorkItem
    from workpool_aws.model.writes import Write
    from workpool_aws.ports import Ports

__all__ = ["commit_with_notice", "put_end", "put_notice"]


def put_end(ports: Ports, work: WorkItem, *, owes_callback: bool) -> None:
    """Puts a notice of a work item that is over and was never started, or whose notice may be lost.

    It owes the callback of a follow-up, or else has the end of a member of a group.
    """

    def notice_at(at: EpochMs) -> Notice:
        return record_of_end(
            work,
            None,
            now=at,
            random_bits=ports.entropy.bits(75),
            callback=CallbackState.PENDING if owes_callback else None,
            group=None if owes_callback else work.group_end,
        )

    put_notice(ports, notice_at)


def put_notice(ports: Ports, notice_at: Callable[[EpochMs], Notice]) -> None:
    """Puts a notice at the present time, and again at the server's while it landed late."""
    at = ports.clock.now()
    written = ports.store.write(Put(notice_at(at)))
    ensure_visible(ports, written, at, lambda later: ports.store.write(Put(notice_at(later))))


def commit_with_notice(
    ports: Ports,
    write: Write,
    notice_at: Callable[[EpochMs], Notice],
    beside: Sequence[Write] = (),
) -> None:
    """Commits a write with the notice that the loop learns of it by, in one transaction.

    `beside`: further writes of it. One that is refused is left out, as `write_with` does [WP-12]. A
    notice that landed late is written again, as `notice_at` makes it for the server's time. Raises
    TransactionFailed: the write was refused, and nothing was written.
    """
    notice = notice_at(ports.clock.now())
    try:
        written = ports.store.transact([write, Put(notice), *beside])
    except TransactionFailed as met:
        refused = met.failed[2:]
        if met.failed[0] or not any(refused):
            raise
        left = [each for each, failed in zip(beside, refused, strict=True) if not failed]
        commit_with_notice(ports, write, notice_at, left)
        return
    ensure_visible(
        ports, written, time_of(notice.at), lambda at: ports.store.write(Put(notice_at(at)))
    )

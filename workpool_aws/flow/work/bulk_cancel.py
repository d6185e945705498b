"""Cancels everything a pool has, however much that is, by three small writes.

The loop does the rest (`flow/loop/bulk_cancel.py`).

| write | says | lost afterwards? |
|---|---|---|
| status: epoch + 1 | what is enqueued from now on is not meant | nobody was told that all is canceled: asked again, it is |
| config: follows | what was enqueued before must not start | watchdog: a config ahead of the ledger is work to do |
| ledger: version + 1 | a pass that read the old config cannot commit | as above |
"""

from __future__ import annotations

from workpool_aws.core.pool.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model import events
from workpool_aws.model.loop import LoopStatus
from workpool_aws.model.refs import StatusRef
from workpool_aws.model.writes import Update
from workpool_aws.ports import ConditionFailed, Ports

__all__ = ["cancel_all"]


def cancel_all(ports: Ports, pool: str, *, by: str) -> None:
    """Call off every work that was enqueued before.

    When it returns, no start of one is committed any more [WP-13].

    Raises StoreUnavailable: it may or may not hold; asking again does no harm.
    """
    epoch = _raise_epoch(ports, pool)
    configure.follow_epoch(ports, pool, epoch)
    ports.telemetry.emit(events.CancelAllAsked(pool=pool, epoch=epoch, by=by))


def _raise_epoch(ports: Ports, pool: str) -> int:
    # Repeated by the SDK after a lost answer it counts twice: epochs need not be dense.
    update = Update(ref=StatusRef(pool), add={"epoch": 1})
    try:
        record = ports.store.write(update).record
    except (
        ConditionFailed
    ):  # no status: nobody has ever kicked this pool, yet its first work may be on its way
        kick(ports, pool, KickReason.CANCEL)
        try:
            record = ports.store.write(update).record
        except ConditionFailed as gone:
            raise StoreUnavailable(f"the status item of pool {pool!r} is gone") from gone
    if not isinstance(record, LoopStatus):
        raise StoreUnavailable(f"the status item of pool {pool!r} is damaged")
    return record.epoch

"""Cancels everything in a pool, however much that is, by three small writes.

The loop does the rest (`flow/loop/bulk_cancel.py`).

| write | effect | lost afterwards? |
|---|---|---|
| status: epoch + 1 | later enqueues are not affected | no answer was given: repeating the call is safe |
| config: follows | earlier work items must not start | watchdog: a config ahead of the ledger needs a loop |
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
    """Calls off every work item that was enqueued before.

    When it returns, no start of one is committed any more [WP-13]. Raises StoreUnavailable if it
    may or may not hold; repeating the call is safe.
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
    ):  # no status: the pool was never kicked, but its first work item may be on its way
        kick(ports, pool, KickReason.CANCEL)
        try:
            record = ports.store.write(update).record
        except ConditionFailed as gone:
            raise StoreUnavailable(f"the status item of pool {pool!r} is gone") from gone
    if not isinstance(record, LoopStatus):
        raise StoreUnavailable(f"the status item of pool {pool!r} is damaged")
    return record.epoch

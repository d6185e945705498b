"""Repairs the ledger of a pool [WP-2, WP-12].

| damage | commit point | lost |
|---|---|---|
| a generation above the status's | the holder's update, at the version that was read | nothing |
| a ledger that cannot be read | a put by the holder of the status's generation | the counts of the last minute |
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.groups import by_group
from workpool_aws.core.loop.repair import rebuilt_from
from workpool_aws.flow.group.count import count_ends
from workpool_aws.flow.ledger import whole
from workpool_aws.flow.pool.kick import current_status
from workpool_aws.flow.reading import pages
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model import events
from workpool_aws.model.ids import SHARDS_MAX
from workpool_aws.model.loop import Ledger
from workpool_aws.model.rate import RateSpent
from workpool_aws.model.refs import Collection, ConfigRef, KeyRange, LedgerRef, Unreadable, readable
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Either, Is, IsNot, Put, Update
from workpool_aws.ports import ConditionFailed, Ports
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rebuild", "take_back"]


def take_back(ports: Ports, found: Ledger, generation: int, token: str) -> Ledger | None:
    """Returns the ledger, taken by the status's generation from one that never existed.

    `None` means that it exists after all, or that another invocation was faster [WP-2]. The status
    is always raised first. If it is read after the ledger, only a forged ledger can have a higher
    generation. Raises StoreUnavailable.
    """
    if current_status(ports.store, found.pool, generation) is None:
        return None
    update = Update(
        ref=LedgerRef(found.pool),
        set={"generation": generation, "holder": token},
        add={"version": 1},
        condition=All((Is("generation", found.generation), Is("version", found.version))),
    )
    try:
        taken = ports.store.write(update).record
    except ConditionFailed as lost:
        own = isinstance(lost.current, Ledger) and lost.current.holder == token
        return readable(whole(ports.store, lost.current)) if own else None
    reason = f"generation {found.generation}, where the status has {generation}"
    ports.telemetry.emit(
        events.ControlRepaired(pool=found.pool, item="ledger", reason=reason, lost="nothing")
    )
    return readable(whole(ports.store, taken))


def rebuild(
    ports: Ports, pool: str, generation: int, token: str, damage: Unreadable
) -> Ledger | None:
    """Returns the ledger, rebuilt from the work items that run or owe a callback.

    `None` means that another invocation is the holder. Every start that the damaged ledger had is
    in a work item, unless it was committed and not made yet: that work item is pending, and is
    chosen again. Raises StoreUnavailable: the damaged ledger stays.
    """
    config = readable(ports.store.get(ConfigRef(pool)))
    seen = list(islice(_latest_works(ports, pool), limits.REBUILD_ROWS_MAX))
    epoch = 0 if config is None else config.epoch
    now = ports.clock.now()
    for work in seen:
        if work.state is State.PENDING and work.starts > 0:
            # Its pointer went when its event was sent to its worker, perhaps [WP-3].
            put_pointer(ports, pool, work.id, max(now, work.due_at))
    # Notices before the cursor are not settled again, so ends are counted from the work items.
    seen += count_ends(ports, pool, by_group(seen))
    ledger = rebuilt_from(pool, seen, now=now, epoch=epoch)
    # Which tokens were spent is lost, so all of them count as spent [WP-33].
    rated = config is not None and config.rate is not None
    rate = RateSpent(0, 0, 0, generation) if rated else None
    ledger = replace(ledger, holder=token, generation=generation, rate=rate)
    # The first such put of a generation makes the holder. No other put of this generation succeeds
    # after it.
    own = All((Is("generation", generation), Is("holder", token)))
    try:
        ports.store.write(Put(ledger, Either((IsNot("generation", generation), own))))
    except ConditionFailed as lost:
        return (
            lost.current
            if isinstance(lost.current, Ledger) and lost.current.holder == token
            else None
        )
    lost_too = (
        f"; what lies before the last {len(seen)} rows"
        if len(seen) == limits.REBUILD_ROWS_MAX
        else ""
    )
    lost_text = f"the counts of its last minute{lost_too}"
    ports.telemetry.emit(
        events.ControlRepaired(pool=pool, item="ledger", reason=damage.reason, lost=lost_text)
    )
    return ledger


def _latest_works(ports: Ports, pool: str) -> Iterator[WorkItem]:
    """Yields the readable work items of every possible shard, the latest first.

    An empty shard costs one read.
    """
    for shard in range(SHARDS_MAX):
        key_range = KeyRange(collection=Collection.WORK, pool=pool, shard=shard, reverse=True)
        for page in pages(ports.store, ports.telemetry, key_range):
            yield from (row.record for row in page if isinstance(row.record, WorkItem))

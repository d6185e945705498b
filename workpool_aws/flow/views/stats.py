"""Takes the statistics of a pool, in the process of the caller.

A pass of the loop never counts a backlog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.settle import deep_low
from workpool_aws.core.loop.start import Look, Taken, classify
from workpool_aws.core.views.stats import Queued, Stats, stats_of
from workpool_aws.flow.reading import pages, resolved
from workpool_aws.flow.shards import ledger_of, marks_of
from workpool_aws.model.ids import EpochMs, WorkId, id_floor
from workpool_aws.model.loop import Ledger, MinuteReport
from workpool_aws.model.refs import Collection, KeyRange, key_before
from workpool_aws.model.work import WorkItem

if TYPE_CHECKING:
    from workpool_aws.ports import Ports

__all__ = ["take_stats"]


def take_stats(ports: Ports, pool: str, *, window_ms: int) -> Stats:
    """Returns the statistics, from several strong reads that are not one snapshot.

    Raises StoreUnavailable.
    """
    now = ports.clock.now()
    # Reports before the ledger: a minute that is reported between the two is missed for once, never
    # counted twice.
    minutes = KeyRange(
        collection=Collection.REPORTS, pool=pool, low=id_floor(EpochMs(now - window_ms))
    )
    tallies = [
        row.record.tally
        for page in pages(ports.store, ports.telemetry, minutes)
        for row in page
        if isinstance(row.record, MinuteReport)
    ]
    ledger = ledger_of(ports.store, pool)
    current = None if ledger is None else ledger.tally
    if current is not None and all(each.since != current.since for each in tallies):
        tallies.append(current)
    queued = _queued(ports, pool, ledger, now)
    return stats_of(
        queued,
        tallies,
        running=0 if ledger is None else len(ledger.entries),
        window_ms=window_ms,
        now=now,
    )


def _queued(ports: Ports, pool: str, ledger: Ledger | None, now: EpochMs) -> Queued:
    taken = Taken(() if ledger is None else ledger.entries, frozenset())
    later = id_floor(EpochMs(now + 1))
    due: dict[WorkId, EpochMs] = {}
    scheduled: set[WorkId] = set()
    capped = False
    for shard, mark in enumerate(marks_of(ledger)):
        low = deep_low(mark.work_cursor)
        if low < later:
            found, more = _look(
                ports,
                KeyRange(
                    collection=Collection.WORK,
                    pool=pool,
                    shard=shard,
                    low=low,
                    high=key_before(later),
                ),
                taken,
                now,
            )
            due |= found[Look.DUE]
            capped |= more
        found, more = _look(
            ports,
            KeyRange(collection=Collection.WORK, pool=pool, shard=shard, low=max(low, later)),
            taken,
            now,
        )
        due |= found[Look.DUE]
        scheduled |= found[Look.LATER].keys()
        capped |= more
    return Queued(len(due), len(scheduled), capped, min(due.values(), default=None))


def _look(
    ports: Ports, key_range: KeyRange, taken: Taken, now: EpochMs
) -> tuple[dict[Look, dict[WorkId, EpochMs]], bool]:
    """Returns the work items of a range with their due times, classified as by a pass.

    The flag is true if there are more rows than are counted.
    """
    found: dict[Look, dict[WorkId, EpochMs]] = {look: {} for look in Look}
    for count, (row, work) in enumerate(resolved(ports.store, ports.telemetry, key_range)):
        if count == limits.STATS_ROWS_MAX:
            return found, True
        if isinstance(work, WorkItem):
            found[classify(row.sort, work, taken=taken, now=now)][work.id] = work.due_at
    return found, False

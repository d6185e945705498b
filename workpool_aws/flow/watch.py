"""Watches over the pools of a table: once a minute, for whatever no kick and no wake reached [WP-20].

It carries no authority: it kicks, and the loop finds out for itself. At most once a minute per pool, never against a live lease, told as
a warning each time it acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from workpool_aws.core import limits
from workpool_aws.core.drain import is_settled
from workpool_aws.core.kick import KickReason
from workpool_aws.core.settle import deep_low, settle
from workpool_aws.core.start import Look, Taken, classify
from workpool_aws.core.watch import callback_is_overdue, deep_look_due, looks_back, loop_is_overdue, may_start, works_from
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow import deployment
from workpool_aws.flow.collect import due_in, pages, read_reports
from workpool_aws.flow.kick import kick
from workpool_aws.flow.late import put_pointer
from workpool_aws.model import facts
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Config, Ledger, LoopState, Registration, ShardMark, Status
from workpool_aws.model.refs import ConfigRef, LedgerRef, PointerRef, Ref, Shelf, Span, StatusRef, WorkRef
from workpool_aws.model.work import Pointer, State, Work
from workpool_aws.ports import Ports, Store, Telemetry

__all__ = ["needs_a_kick", "registered_pools", "watch", "would_act"]


def watch(ports: Ports) -> None:
    """Keep what is known of the deployment current, and look at every registered pool.

    Trouble with one does not keep it from the others [WP-12].
    """
    deployment.keep_current(ports)
    for pool in registered_pools(ports.store, ports.telemetry):
        try:
            _watch_pool(ports, pool)
        except StoreUnavailable as error:
            ports.telemetry.tell(facts.KickFailed(pool=pool, reason=KickReason.WATCHDOG, error=str(error)))


def registered_pools(store: Store, telemetry: Telemetry) -> Iterator[str]:
    """Every pool of the table that ever had work."""
    for page in pages(store, telemetry, Span(shelf=Shelf.REGISTRY)):
        for row in page:
            if isinstance(row.record, Registration):
                yield row.record.pool


def _watch_pool(ports: Ports, pool: str) -> None:
    now = ports.clock.now()
    reason = needs_a_kick(ports.store, ports.telemetry, pool, now)
    if reason is None and deep_look_due(now) and _rests(ports, pool) and _point_at_forgotten(ports, pool, now):
        reason = "due work lay out of the loop's sight"
    if reason is not None:
        ports.telemetry.tell(facts.WatchdogActed(pool=pool, reason=reason))
        kick(ports, pool, KickReason.WATCHDOG)


def would_act(store: Store, telemetry: Telemetry, now: EpochMs) -> bool:
    """Whether a tick at `now`, or one before it, would kick any pool (its hourly look apart)."""
    return any(needs_a_kick(store, telemetry, pool, now, ever=True) is not None for pool in registered_pools(store, telemetry))


def needs_a_kick(store: Store, telemetry: Telemetry, pool: str, now: EpochMs, *, ever: bool = False) -> str | None:
    """Why this pool should be at work and is not; None: it is, or has nothing to do.

    `ever`: also for work that ticks before `now` would have found.
    """
    status = store.get(StatusRef(pool))
    if not isinstance(status, Status):
        return "the pool has no status"
    overdue = loop_is_overdue(status, now)
    if overdue is not None or status.state is LoopState.RUNNING:
        return overdue
    ledger, config = _ledger(store, pool), _config(store, pool)
    if not is_settled(config, ledger):
        return "works to cancel, no loop"
    taken = Taken(() if ledger is None else ledger.entries, frozenset(), config)
    for shard, mark in enumerate((ShardMark(),) if ledger is None else ledger.shards):
        # Never further back than a new holder: what only the watchdog saw, it would kick for once a minute, for ever [WP-22].
        back = looks_back(status, now)
        low = works_from(mark, back=back, now=None if ever else now)
        if may_start(config, ledger) and due_in(store, telemetry, pool, shard, low, taken=taken, now=now):
            return "due work, free slots, no loop"
        reports = read_reports(store, telemetry, pool, shard, deep_low(mark.done_cursor) if back else mark.done_cursor)
        if ledger is not None and settle(ledger.entries, reports.records).gone:
            return "a report that nobody settled"
        if callback_is_overdue(ledger, reports.records, now):
            return "a callback is owed"
    return None


def _ledger(store: Store, pool: str) -> Ledger | None:
    ledger = store.get(LedgerRef(pool))
    return ledger if isinstance(ledger, Ledger) else None


def _config(store: Store, pool: str) -> Config | None:
    config = store.get(ConfigRef(pool))
    return config if isinstance(config, Config) else None


def _rests(ports: Ports, pool: str) -> bool:
    """Whether no loop is at work: beside a live one the look would read an hour of a busy pool's works, hour after hour."""
    status = ports.store.get(StatusRef(pool))
    return isinstance(status, Status) and status.state is not LoopState.RUNNING


def _point_at_forgotten(ports: Ports, pool: str, now: EpochMs) -> bool:
    """Point anew at due works of the last hour that lie before every cursor: the late rule leaves none, so this is for the bug in it.

    A bounded number of rows, the latest first: of a pool that had more in an hour, the earlier ones are not looked at. On the way it
    removes the pointers that no loop reads any more.
    """
    ledger = _ledger(ports.store, pool)
    if ledger is None or not may_start(_config(ports.store, pool), ledger):
        return False
    taken = Taken(ledger.entries, frozenset())
    forgotten: list[Work] = []
    for shard, mark in enumerate(ledger.shards):
        span = Span(
            shelf=Shelf.WORK,
            pool=pool,
            shard=shard,
            low=id_floor(EpochMs(now - limits.WATCHDOG_DEEP_MS)),
            high=deep_low(mark.work_cursor, mark.deep_at),
            limit=limits.WATCHDOG_PAGE,
            reverse=True,
        )
        for page in islice(pages(ports.store, ports.telemetry, span), limits.WATCHDOG_ROWS_MAX // limits.WATCHDOG_PAGE):
            works = [row.record for row in page if isinstance(row.record, Work)]
            forgotten += [work for work in works if classify(work.id, work, taken=taken, now=now) is Look.DUE]
            _remove_spent(ports, pool, [row.record for row in page if isinstance(row.record, Pointer)])
    for work in forgotten:
        put_pointer(ports, pool, work.id, now)
    return bool(forgotten)


def _remove_spent(ports: Ports, pool: str, pointers: Sequence[Pointer]) -> None:
    """A loop that died between the start of a work and the end of its pointer has left that behind its cursor, where nobody looks."""
    refs: list[Ref] = [WorkRef(pool, pointer.work_id) for pointer in pointers]
    found = ports.store.get_many(list(dict.fromkeys(refs))) if refs else {}
    for pointer in pointers:
        work = found.get(WorkRef(pool, pointer.work_id))
        # No move leaves `finished`, so nothing can need it again; a damaged work may be repaired.
        if work is None or (isinstance(work, Work) and work.state is State.FINISHED):
            ports.store.delete(PointerRef(pool, pointer.at))

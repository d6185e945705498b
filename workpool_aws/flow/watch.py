"""Watches over the pools of a table: once a minute, for whatever no kick and no wake reached [WP-20].

It carries no authority: it kicks, and the loop finds out for itself. At most once a minute per pool, never against a live lease, told as
a warning each time it acts.
"""

from __future__ import annotations

from collections.abc import Iterator

from workpool_aws.core.drain import is_settled
from workpool_aws.core.kick import KickReason
from workpool_aws.core.settle import deep_low, settle
from workpool_aws.core.start import Taken
from workpool_aws.core.watch import callback_is_overdue, deep_look_due, looks_back, loop_is_overdue, may_start, works_from
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow import deployment
from workpool_aws.flow.collect import due_in, pages, read_reports
from workpool_aws.flow.deep_look import config_of, ledger_of, look_deep
from workpool_aws.flow.kick import kick
from workpool_aws.model import facts
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import LoopState, Registration, ShardMark, Status
from workpool_aws.model.refs import Shelf, Span, StatusRef
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
    if reason is None and deep_look_due(now):
        reason = look_deep(ports, pool, now)
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
    ledger, config = ledger_of(store, pool), config_of(store, pool)
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

"""Watches over the pools of a table, for cases that no kick and no wake reached [WP-20].

A kick grants no right to run, so the loop decides for itself. The watchdog runs once a minute,
kicks a pool at most once and never against a live lease. Each kick is logged as a warning.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.classify import Taken
from workpool_aws.core.loop.groups import end_is_uncounted
from workpool_aws.core.loop.settle import deep_low, settle
from workpool_aws.core.pool.kick import HEARTBEATS_DUE, KickReason, loop_is_overdue
from workpool_aws.core.watchdog.watch import (
    audit_due,
    beats,
    callback_is_overdue,
    looks_back,
    may_start,
    works_from,
)
from workpool_aws.core.work.bulk_cancel import is_settled
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.ledger import read_ledger
from workpool_aws.flow.loop.choose import due_in
from workpool_aws.flow.pool.configure import in_force
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.reading import pages, read_notices, registered_pools, work_range
from workpool_aws.flow.shards import marks_of
from workpool_aws.flow.watchdog import deployment
from workpool_aws.flow.watchdog.audit import audit_pool
from workpool_aws.flow.watchdog.declare import declare
from workpool_aws.flow.watchdog.turns import hourly, visit_each
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Config,
    Heartbeat,
    Ledger,
    LoopState,
    LoopStatus,
    Registration,
)
from workpool_aws.model.names import POOL
from workpool_aws.model.refs import (
    Collection,
    ConfigRef,
    KeyRange,
    LedgerRef,
    StatusRef,
    Unreadable,
    readable,
)
from workpool_aws.model.writes import Put
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workpool_aws.flow.watchdog.declare import Declared
    from workpool_aws.ports import Ports, Store, Telemetry

__all__ = ["needs_a_kick", "watch", "would_act"]


def watch(ports: Ports, declared: Declared | None = None) -> None:
    """Keeps the deployment item current, checks every registered pool, and leaves a heartbeat.

    `declared`: the deployment's schedules, which are made so; `None` leaves them as they are.

    Never raises for the content of a pool. Neither trouble with one pool nor a slow one keeps the
    watchdog from the others [WP-12]. Damaged items are reported once an hour.
    """
    now = ports.clock.now()
    ports = hourly(ports)
    known = deployment.keep_current(ports)
    pools = [*_registered(ports, now)]
    visit_each(
        ports, pools, _watch_pool, ends_at=EpochMs(now + limits.TICK_MS_MAX), by=KickReason.WATCHDOG
    )
    if declared is not None:
        declare(ports, known, declared)
    if ports.ticks_always and beats(now):
        # Last, so that it shows a tick that came to its end. The next one repeats a lost write.
        with suppress(StoreUnavailable):
            ports.store.write(Put(Heartbeat(at=ports.clock.now())))


def _registered(ports: Ports, now: EpochMs) -> Iterator[str]:
    """Yields the pools, and writes damaged rows again on the way.

    The next tick reads a row that cannot be read now.
    """
    try:
        for page in pages(
            ports.store, ports.telemetry, KeyRange(collection=Collection.REGISTRY), readable=False
        ):
            for row in page:
                if isinstance(row.record, Unreadable) and POOL.fullmatch(row.sort):
                    ports.store.write(Put(Registration(pool=row.sort, registered_at=now)))
                    ports.telemetry.emit(
                        events.ControlRepaired(
                            pool=row.sort,
                            item="registry",
                            reason=row.record.reason,
                            lost="when it was registered",
                        )
                    )
                if POOL.fullmatch(row.sort):
                    yield row.sort
    except StoreUnavailable as error:
        ports.telemetry.emit(
            events.KickFailed(pool="", reason=KickReason.WATCHDOG, error=str(error))
        )


def _watch_pool(ports: Ports, pool: str) -> None:
    now = ports.clock.now()
    reason = needs_a_kick(ports.store, ports.telemetry, pool, now)
    if reason is None and audit_due(now):
        reason = audit_pool(ports, pool, now)
    if reason is not None:
        if reason == HEARTBEATS_DUE:
            ports.telemetry.emit(events.HeartbeatsDue(pool=pool))
        else:
            ports.telemetry.emit(events.WatchdogActed(pool=pool, reason=reason))
        kick(ports, pool, KickReason.WATCHDOG)


def would_act(store: Store, telemetry: Telemetry, now: EpochMs) -> bool:
    """True if a tick at `now`, or one before it, would kick any pool, the audit apart."""
    return any(
        needs_a_kick(store, telemetry, pool, now, ever=True) is not None
        for pool in registered_pools(store, telemetry)
    )


def needs_a_kick(
    store: Store, telemetry: Telemetry, pool: str, now: EpochMs, *, ever: bool = False
) -> str | None:
    """Returns the reason for which this pool needs a loop and has none.

    `None` means that it has one, or has nothing to do. `ever`: also finds work items that ticks
    before `now` would have found.
    """
    return _PoolCheck(store, telemetry, pool, now, ever=ever).reason()


@dataclass(frozen=True, slots=True)
class _PoolCheck:
    """The check of one pool. See `needs_a_kick`."""

    store: Store
    telemetry: Telemetry
    pool: str
    now: EpochMs
    ever: bool

    def reason(self) -> str | None:
        """Returns the first reason for a kick; `None` means that there is none."""
        status = self.store.get(StatusRef(self.pool))
        if isinstance(status, Unreadable):
            return "the status cannot be read"
        if status is None:
            # A row of the registry alone is no reason: a process that may write rows could start a
            # loop for each.
            return "the pool has no status" if self._has_anything() else None
        overdue = loop_is_overdue(status, self.now)
        if overdue is not None or status.state is LoopState.RUNNING:
            return overdue
        found = read_ledger(self.store, self.pool)
        if isinstance(found, Unreadable):
            return "the ledger cannot be read"
        ledger = readable(found)
        # A loop of the next generation may have taken the ledger between the two reads. The status
        # has changed then.
        if (
            ledger is not None
            and ledger.generation > status.generation
            and self.store.get(StatusRef(self.pool)) == status
        ):
            return "the ledger names a generation that never was"
        config = in_force(self.store, self.telemetry, self.pool)
        if not is_settled(config, ledger):
            return "work items to cancel, no loop"
        return self._left_to_do(status, ledger, config)

    def _left_to_do(
        self, status: LoopStatus, ledger: Ledger | None, config: Config | None
    ) -> str | None:
        """Names the first task that a loop would find in a resting pool; `None` means none."""
        taken = Taken(() if ledger is None else ledger.entries, frozenset(), config)
        for shard, mark in enumerate(marks_of(ledger)[: status.shards_read]):
            # Never further back than a new holder. For what it alone saw, the watchdog would kick
            # once a minute, for ever [WP-22].
            back = looks_back(status, self.now)
            low = works_from(mark, back=back, now=None if self.ever else self.now)
            key_range = work_range(self.pool, shard, low)
            if may_start(config, ledger, status, self.now) and due_in(
                self.store, self.telemetry, key_range, taken=taken, now=self.now
            ):
                return "due work, free slots, no loop"
            done_low = deep_low(mark.done_cursor) if back else mark.done_cursor
            reports = read_notices(self.store, self.telemetry, self.pool, shard, done_low)
            if ledger is not None and settle(ledger.entries, reports.records).gone:
                return "a report that no loop has settled"
            if callback_is_overdue(ledger, reports.records, self.now):
                return "a callback is owed"
            if end_is_uncounted(reports.records):
                return "the end of a group's member is not counted"
        return None

    def _has_anything(self) -> bool:
        """True if a pool without a status has a ledger, a config, or a row of its work items."""
        store, pool = self.store, self.pool
        if store.get(LedgerRef(pool)) is not None or store.get(ConfigRef(pool)) is not None:
            return True
        return any(
            store.query(KeyRange(collection=Collection.WORK, pool=pool, shard=shard, limit=1)).rows
            for shard in range(len(marks_of(None)))
        )

"""Visits the pools of a table in turn, so that no pool can take a tick from the others [WP-12].

Each has a share of the time, and an exception of one is logged. The order rotates from tick to
tick, so pools that one tick did not reach come early in one of the next.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.core import limits
from workpool_aws.core.watchdog.watch import audit_due
from workpool_aws.errors import StoreUnavailable, WorkpoolError
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.record import Record, Ref
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.model.actions import Action, GuestItem, GuestPlace
    from workpool_aws.model.refs import KeyRange, RowPage, Unreadable
    from workpool_aws.model.writes import Write, Written
    from workpool_aws.ports import Clock, Ports, Store, Telemetry

__all__ = ["hourly", "in_turn", "visit_each"]

R = TypeVar("R", bound=Record)

_GOLDEN: Final = 0.618_033_988_749_895
"""Multiples of it fall evenly into the gaps between those before, whatever the number of pools."""


def visit_each(
    ports: Ports,
    pools: Sequence[str],
    visit: Callable[[Ports, str], None],
    *,
    ends_at: EpochMs,
    by: str,
) -> None:
    """Visits the pools until the time is over.

    Never raises: an exception of a visit is logged as `KickFailed` of its pool, with the reason
    `by`.
    """
    turns = in_turn(pools, ports.clock.now())
    for done, pool in enumerate(turns):
        now = ports.clock.now()
        if now >= ends_at:
            error = f"the time of this tick is over; {len(turns) - done} pools wait for the next"
            ports.telemetry.emit(events.KickFailed(pool="", reason=by, error=error))
            return
        until = EpochMs(min(ends_at, now + limits.POOL_TICK_MS_MAX))
        try:
            visit(replace(ports, store=_TimedStore(ports.store, ports.clock, until)), pool)
        except Exception as error:  # noqa: BLE001 - whatever one pool holds, the others are visited
            # Others than ours by class and place: their text may quote what users stored, which no
            # log shows.
            place = traceback.extract_tb(error.__traceback__)[-1]
            described = (
                str(error)
                if isinstance(error, WorkpoolError)
                else f"{type(error).__name__} in {place.name}, line {place.lineno}"
            )
            ports.telemetry.emit(events.KickFailed(pool=pool, reason=by, error=described))


def hourly(ports: Ports) -> Ports:
    """Returns the same ports, which report damaged items in one tick of an hour only.

    Each tick meets the same ones.
    """
    return replace(ports, telemetry=_Hourly(ports.telemetry, ports.clock.now()))


def in_turn(pools: Sequence[str], now: EpochMs) -> list[str]:
    """Returns the pools in this minute's order."""
    start = int(now // limits.WATCHDOG_MS * _GOLDEN % 1 * len(pools))
    return [*pools[start:], *pools[:start]]


@dataclass(frozen=True, slots=True)
class _TimedStore:
    """A store that closes after a time.

    It then raises StoreUnavailable, so that a visit ends as it would without an answer.
    """

    store: Store
    clock: Clock
    until: EpochMs

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        return self._open.get(ref)

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        return self._open.get_many(refs)

    def query(self, key_range: KeyRange) -> RowPage:
        return self._open.query(key_range)

    def write(self, write: Write) -> Written:
        return self._open.write(write)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        return self._open.transact(writes, token)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        return self._open.read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        self._open.delete(ref)

    @property
    def _open(self) -> Store:
        if self.clock.now() >= self.until:
            raise StoreUnavailable("the pool's share of this tick is over")
        return self.store


@dataclass(frozen=True, slots=True)
class _Hourly:
    telemetry: Telemetry
    now: EpochMs

    def emit(self, event: events.Event) -> None:
        if not isinstance(event, events.SetAside) or audit_due(self.now):
            self.telemetry.emit(event)

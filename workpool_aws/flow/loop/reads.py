"""Reads the ranges with which a pass begins, those of several shards at one time.

The pass that takes the ledger makes all its reads at one time. Nothing is in flight then, so no notice
frees a slot or leads the cursor back, and the work items to read do not depend on the notices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.choose import read_from
from workpool_aws.core.loop.settle import Notices, deep_low
from workpool_aws.flow.pool import configure
from workpool_aws.flow.reading import read_notices, resolved, work_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.flow.reading import ResolvedRow
    from workpool_aws.model.loop import Config, ShardCursors

__all__ = ["FirstReads", "first_reads", "notices_of_shards"]


@dataclass(slots=True)
class FirstReads:
    """The reads of the pass that takes the ledger.

    The config is read after the ledger, whose version a change of the config bumps [WP-13].
    """

    session: LoopSession
    config: Config | None = None
    notices: tuple[Notices, ...] = ()
    works: tuple[Iterator[ResolvedRow], ...] = ()
    """Rows of work items, by shard. Their first page is read."""

    def make(self) -> FirstReads:
        """Makes them all at one time. Raises StoreUnavailable."""
        steps = (self._read_config, self._read_notices, self._open_works)
        self.session.ports.fan_out(lambda step: step(), steps)
        return self

    def _read_config(self) -> None:
        ports = self.session.ports
        self.config = configure.in_force(ports.store, ports.telemetry, self.session.pool)

    def _read_notices(self) -> None:
        self.notices = notices_of_shards(self.session, deep=True)

    def _open_works(self) -> None:
        session = self.session
        marks = list(enumerate(session.memory.marks))
        self.works = tuple(session.ports.fan_out(lambda mark: _opened(session, *mark), marks))


def first_reads(session: LoopSession) -> FirstReads | None:
    """Reads for the pass that takes the ledger; `None` means that the pass makes its own.

    What is in flight then, a guest has started: a notice may free a slot, and name the pointer of a
    retry, so notices are read before work items.
    """
    return None if session.held or session.entries else FirstReads(session).make()


def notices_of_shards(session: LoopSession, *, deep: bool) -> tuple[Notices, ...]:
    """Returns the notices of each shard from its cursor on. Raises StoreUnavailable.

    A deep read begins back over the buffer [WP-3].
    """
    ports, pool = session.ports, session.pool
    lows = [
        deep_low(mark.done_cursor) if deep else mark.done_cursor for mark in session.memory.marks
    ]
    read = ports.fan_out(
        lambda low: read_notices(ports.store, ports.telemetry, pool, *low), list(enumerate(lows))
    )
    return tuple(read)


def _opened(session: LoopSession, shard: int, mark: ShardCursors) -> Iterator[ResolvedRow]:
    ports = session.ports
    low = read_from(mark, back_to=None, deep=True)
    page = work_range(session.pool, shard, low, limit=limits.QUERY_LIMIT_FIRST)
    rows = resolved(ports.store, ports.telemetry, page)
    first = next(rows, None)
    return rows if first is None else chain((first,), rows)

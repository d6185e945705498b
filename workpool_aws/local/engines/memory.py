"""Tables in memory: the fast engine, without boto3 in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.adapters.items.capacity import Meter
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.local.engines.direct import SteppingStore
from workpool_aws.local.engines.ports import direct_ports
from workpool_aws.local.services.platform import OWN_TABLE, Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.local.apis.http import Reply, Request
    from workpool_aws.ports import Ports, Store

__all__ = ["MemoryEngine"]

T = TypeVar("T")


class MemoryEngine:
    """See Engine. Any number of such clouds may live side by side."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stores: dict[str, MemoryStore] = {}
        self._unmetered = Meter()
        self._guest_tables: Store | None = None

    def open(self) -> None:
        """See Engine."""
        self._platform.aws.around_dynamodb = self._around

    def close(self) -> None:
        """Nothing to end."""

    @property
    def own_table(self) -> str:
        """See Engine."""
        return OWN_TABLE

    def create(self, table: str) -> None:
        """See Engine."""
        store = MemoryStore(self._platform.kernel.now, self._platform.meter, guests=self._guests)
        self._stores.setdefault(table, store)

    def ports(self, table: str) -> Ports:
        """See Engine."""
        faults = self._platform.faults
        return direct_ports(
            self._platform,
            table,
            faults.around_store(self._stores[table]),
            torn_batches=faults.torn_batches,
        )

    def quiet(self, table: str) -> Store:
        """See Engine."""
        store = self._stores[table]

        def quietly(label: str, apply: Callable[[], T], *, writes: bool) -> T:
            with self._platform.kernel.lock():
                store.meter = self._unmetered
                try:
                    return apply()
                finally:
                    store.meter = self._platform.meter

        return SteppingStore(quietly, store)

    def _guests(self) -> Store:
        if self._guest_tables is None:
            from workpool_aws.local.engines.guests import guest_store

            self._guest_tables = guest_store(self._platform)
        return self._guest_tables

    def _around(self, request: Request, serve: Callable[[], Reply]) -> Reply:
        from workpool_aws.local.engines.guests import SpanningTransactions

        return SpanningTransactions(self._stores).around(request, serve)

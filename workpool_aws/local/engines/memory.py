"""Owns tables in memory: the fast engine, without boto3 in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.adapters.items.capacity import Meter
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.local.engines.direct import DirectInvoker, DirectTimer, SteppingStore
from workpool_aws.local.services.fan_out import TaskFanOut
from workpool_aws.local.services.mailboxes import DirectMessenger
from workpool_aws.local.services.platform import OWN_TABLE, Platform
from workpool_aws.ports import Ports, Store

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryEngine", "direct_ports"]

T = TypeVar("T")


def direct_ports(
    platform: Platform, table: str, store: Store, *, torn_batches: bool = False
) -> Ports:
    """Ports on a store whose requests are service calls, with Lambda and Scheduler reached directly (`torn_batches`: see SteppingStore)."""
    at = platform.deployment
    return Ports(
        table=table,
        store=SteppingStore(platform.kernel.call, store, torn_batches=torn_batches),
        invoker=DirectInvoker(platform.kernel, platform.functions, platform.deliveries),
        messenger=DirectMessenger(
            platform.kernel, platform.functions, platform.deliveries, platform.mailbox, platform.aws
        ),
        timer=DirectTimer(
            platform.kernel,
            platform.schedules,
            table,
            group=at.schedule_group or "",
            loop_arn=at.loop_arn,
        ),
        clock=platform.clock,
        entropy=platform.entropy,
        telemetry=platform.telemetry,
        fan_out=TaskFanOut(platform.kernel),
        loop_arn=at.loop_arn,
        deployed=at,
    )


class MemoryEngine:
    """See Engine. Any number of such clouds may live side by side."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stores: dict[str, MemoryStore] = {}
        self._unmetered = Meter()

    def open(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    @property
    def own_table(self) -> str:
        """See Engine."""
        return OWN_TABLE

    def create(self, table: str) -> None:
        """See Engine."""
        self._stores.setdefault(table, MemoryStore(self._platform.kernel.now, self._platform.meter))

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

        def quietly(label: str, apply: Callable[[], T], *, writes: bool) -> T:  # noqa: ARG001 - the shape of Kernel.call
            with self._platform.kernel.lock():
                store.meter = self._unmetered
                try:
                    return apply()
                finally:
                    store.meter = self._platform.meter

        return SteppingStore(quietly, store)

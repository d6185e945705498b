"""Charges the CPU of the main loop to the virtual clock.

Virtual time passes in service calls and sleeps, and code between them takes none. A loop of
Lambda, though, has a share of one core: `benchmarks.cpu` measures the CPU of each of its requests
and of each row it reads, and this model adds that CPU, divided by the share, to the duration of the
request. The requests of one process queue for its core (Python runs one thread at a time), and
their network time overlaps.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.local.faults.faults import Faults
from workpool_aws.model.ids import is_ulid, shard_of
from workpool_aws.model.loop import Ledger
from workpool_aws.model.pages import LedgerPage, Slots
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import KeyRange, LedgerRef, RowPage, Unreadable
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put, Update, Write, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.local.kernel.kernel import Task
    from workpool_aws.model.actions import Action, GuestItem, GuestPlace
    from workpool_aws.model.loop import Entry, EntryKey
    from workpool_aws.ports import Store

__all__ = ["LAMBDA_MB_A_CORE", "LoopCpu", "RequestCpu", "share_of_core"]

R = TypeVar("R", bound=Record)

LAMBDA_MB_A_CORE: Final = 1_769
"""Memory at which Lambda gives a function one whole vCPU
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""

_INVOKE_MS: Final = 30
"""Duration of an asynchronous Invoke, against 5 ms of a request to DynamoDB."""
_LOOP: Final = "workpool-loop"
_UNIT_MS: Final = 1.0
"""Time that a write unit takes of a partition
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)."""
_WRITES: Final = frozenset({"put", "update", "delete", "transact"})
_KIND_AND_NAME: Final = 2


def share_of_core(memory_mb: int) -> float:
    """Return the share of one core that Lambda gives to a function of this memory, at most 1."""
    return min(1.0, memory_mb / LAMBDA_MB_A_CORE)


@dataclass(frozen=True, slots=True)
class RequestCpu:
    """CPU of the library and the SDK, in milliseconds of a whole core (`python -m benchmarks.cpu`)."""

    read: float
    """A request that reads, without its rows."""
    write: float
    """A conditional write of one item that returns the item."""
    transaction: float
    invoke: float
    work_row: float
    notice_row: float
    ledger_entry: float
    """An entry of the ledger, packed for a commit and read back from its answer."""


class Partitions:
    """Waits of writes for their partition of the table, which takes a thousand units a second.

    A write that DynamoDB would throttle waits for its turn here, as the SDK's repeats do on average.
    """

    def __init__(self) -> None:
        self._free_at: dict[tuple[str, int], float] = {}

    def wait_ms(self, label: str, now: float) -> float:
        """Return the time until the partition takes the write that a label of the trace names."""
        partition = self._partition_of(label)
        if partition is None:
            return 0.0
        begins = max(now, self._free_at.get(partition, now))
        self._free_at[partition] = begins + _UNIT_MS
        return begins - now

    def _partition_of(self, label: str) -> tuple[str, int] | None:
        verb, *names = label.split(" ")
        if verb not in _WRITES or len(names) < _KIND_AND_NAME or not is_ulid(names[-1]):
            return None
        kind = "done" if names[0].startswith("Notice") else "work"
        return kind, shard_of(names[-1])


class LoopCpu:
    """Durations of the loop's requests, for `Faults.call_ms` and `Faults.store` of one cloud.

    Other functions have an environment, and so a share of a core, for each invocation: their CPU
    is not charged.
    """

    def __init__(self, cpu: RequestCpu, share: float, latency_ms: int) -> None:
        """`latency_ms`: network time of every request, which the cloud charges itself."""
        self.busy_ms = 0.0
        """CPU that the loop has used so far, in milliseconds of a whole core."""
        self._cpu = cpu
        self.share = share
        self._latency_ms = latency_ms
        self._free_at: dict[Task, float] = {}
        self._owed: dict[Task, float] = {}
        self._caller = threading.local()
        self._now: Callable[[], float] = lambda: 0.0
        self._partitions = Partitions()

    def faults(self) -> Faults:
        """The options of a LocalCloud in which the loop pays for its CPU."""
        return Faults(call_ms=self._call_ms, store=lambda store: _CountingStore(store, self))

    def keep_time_by(self, now: Callable[[], float]) -> None:
        """Take the time, in milliseconds, from here."""
        self._now = now

    def owe(self, cpu_ms: float) -> None:
        """Charge the process that makes the current request, with its next one."""
        process = getattr(self._caller, "process", None)
        if process is not None:
            self._owed[process] = self._owed.get(process, 0.0) + cpu_ms

    def _call_ms(self, task: Task, label: str) -> int:
        network_ms = _INVOKE_MS - self._latency_ms if label.startswith("invoke ") else 0
        network_ms += math.ceil(self._partitions.wait_ms(label, self._now()))
        process = task.process or task
        if process.name.split("#")[0] != _LOOP:
            self._caller.process = None
            return network_ms
        self._caller.process = process
        cpu_ms = self._request_ms(label) + self._owed.pop(process, 0.0)
        self.busy_ms += cpu_ms
        now = self._now()
        free_at = max(now, self._free_at.get(process, now)) + cpu_ms / self.share
        self._free_at[process] = free_at
        return network_ms + math.ceil(free_at - now)

    def _request_ms(self, label: str) -> float:
        verb = label.split(" ", 1)[0]
        return {
            "invoke": self._cpu.invoke,
            "transact": self._cpu.transaction,
            "put": self._cpu.write,
            "update": self._cpu.write,
            "delete": self._cpu.write,
        }.get(verb, self._cpu.read)

    def row_ms(self, record: object) -> float:
        """Return the CPU of decoding one row."""
        return self._cpu.work_row if isinstance(record, WorkItem) else self._cpu.notice_row

    def entries_ms(self, entries: Mapping[EntryKey, Entry]) -> float:
        """Return the CPU of packing the ledger's entries for a write, and of reading its answer."""
        return self._cpu.ledger_entry * len(entries)


class _CountingStore:
    """Passes every request on, and charges what it carries."""

    def __init__(self, store: Store, loop: LoopCpu) -> None:
        self._store = store
        self._loop = loop

    def get(self, ref: Ref[R]) -> R | Unreadable | None:
        """See Store."""
        found = self._store.get(ref)
        if isinstance(found, Ledger):
            self._loop.owe(self._loop.entries_ms(found.entries))
        return found

    def get_many(self, refs: Sequence[Ref[R]]) -> Mapping[Ref[R], R | Unreadable]:
        """See Store."""
        found = self._store.get_many(refs)
        self._loop.owe(sum(self._loop.row_ms(record) for record in found.values()))
        return found

    def query(self, key_range: KeyRange) -> RowPage:
        """See Store."""
        page = self._store.query(key_range)
        self._loop.owe(sum(self._loop.row_ms(row.record) for row in page.rows))
        return page

    def write(self, write: Write) -> Written:
        """See Store."""
        if isinstance(write, Update) and isinstance(write.ref, LedgerRef):
            slots = write.set.get("entries")
            if isinstance(slots, Slots):
                self._loop.owe(self._loop.entries_ms(slots.head))
        elif isinstance(write, Put) and isinstance(write.record, Ledger | LedgerPage):
            self._loop.owe(self._loop.entries_ms(write.record.entries))
        return self._store.write(write)

    def transact(self, writes: Sequence[Action], token: str | None = None) -> Written:
        """See Store."""
        return self._store.transact(writes, token)

    def read_guests(self, places: Sequence[GuestPlace]) -> tuple[GuestItem | None, ...]:
        """See Store."""
        return self._store.read_guests(places)

    def delete(self, ref: Ref[Record]) -> None:
        """See Store."""
        self._store.delete(ref)

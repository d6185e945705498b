"""Records that the loop and its callers share: status, ledger, config, done records, the registry and the deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.record import Record

if TYPE_CHECKING:
    from workpool_aws.model.work import CallbackState, Outcome

__all__ = [
    "NOBODY",
    "Config",
    "DeployedLimit",
    "Deployment",
    "Entry",
    "EntryKey",
    "Ledger",
    "LoopState",
    "LoopStatus",
    "MinuteReport",
    "MinuteTally",
    "Notice",
    "NoticeKind",
    "PendingCallback",
    "Registration",
    "ShardCursors",
]


NOBODY: Final = "default"
"""Author of the base of a config that only has an override."""


class LoopState(StrEnum):
    """State of a pool's loop, as its callers need to know it."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatus(Record):
    """True if a kick must start the loop.

    Written by: kick, the loop. Read by: every enqueue and completion, the watchdog. Removed by:
    nobody. Apart from the ledger, because callers read it all the time and the loop writes it
    rarely.
    """

    pool: str
    state: LoopState
    generation: int
    lease_until: EpochMs
    wake_at: EpochMs | None = None
    """When a waiting loop means to look again; `None` means no time of its own."""
    saturated: bool = False
    """Resting because every slot is taken (or the pool is paused): a new work need not wake it."""
    timer_at: EpochMs | None = None
    """For when a far wake was last ordered; `None` means for never."""
    written_by: str | None = None
    """Token of the last writer: tells one's own write whose answer was lost."""
    epoch: int = 0
    """Number of times everything was canceled: what `cancel_all` raises first, and every enqueue
    sees."""


class EntryKey(NamedTuple):
    """One start of one work item: what occupies a slot."""

    work_id: WorkId
    start: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A slot in use, or about to be."""

    deadline: EpochMs
    confirmed: bool = False
    """The start write was seen to succeed. A new holder must look at the others."""


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A callback that the loop must see to: look at its work item at this time, and send it if it is still owed."""

    work_id: WorkId
    at: EpochMs
    tries: int = 0
    """Number of times the loop has sent it, or tried to."""
    looks: int = 0
    """Number of times the loop has looked since, and found it sent but not acknowledged."""


@dataclass(frozen=True, slots=True)
class ShardCursors:
    """Cursors of one shard. Keys are ULIDs; "" means from the beginning."""

    work_cursor: str = ""
    done_cursor: str = ""
    deep_at: EpochMs = EpochMs(0)
    """When the work item range was last read back over the buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteTally:
    """Counts of a loop from `since` on, within a minute.

    How they are counted: `core/loop/tally.py`.
    """

    since: EpochMs
    succeeded: int = 0
    failed: int = 0
    """Works that failed for good."""
    retried: int = 0
    """Attempts that failed and are followed by another."""
    canceled: int = 0
    """Attempts that failed and would have been retried, had nobody canceled the work item."""
    lags: tuple[tuple[int, int], ...] = ()
    """Lags of starts: (class of lag, count), in order of class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger(Record):
    """Ledger of a pool: the starts in flight.

    Its `version` is the fence: whoever commits proves that nobody else did since.

    Written by: the loop that holds it; `configure` bumps the version, so that a pass that read the
    old config cannot commit. Read by: the loop when it takes hold, the watchdog. Removed by:
    nobody. One item, so that a whole pass commits in one write.
    """

    pool: str
    holder: str
    generation: int
    version: int
    entries: dict[EntryKey, Entry] = field(default_factory=dict)
    shards: tuple[ShardCursors, ...] = (ShardCursors(),)
    callbacks: tuple[PendingCallback, ...] = ()
    """Callbacks that no done record tells of any more: at most `limits.CALLBACKS_OWED_MAX`."""
    committed_by: str | None = None
    """Token of the commit: tells one's own commit whose answer was lost."""
    tally: MinuteTally | None = None
    """Counts of the current minute: committed with the starts that they count, so nothing
    is counted twice. `None` means nothing was."""
    epoch: int = 0
    """Epoch before which all work items are canceled: behind the config's while the loop
    drains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Record):
    """The limits in force.

    Written by: first enqueue of a process (base), watchdog (deployed), `configure` (override),
    `cancel_all`.

    Read by: the loop, callers. Removed by: nobody. An item of its own because people write it and
    the loop only reads it.
    """

    pool: str
    version: int
    max_parallelism: int
    base_by: str
    base_at: EpochMs
    override_parallelism: int | None = None
    override_paused: bool | None = None
    override_by: str | None = None
    override_at: EpochMs | None = None
    epoch: int = 0
    """The status's, once the loop must act on it: works of earlier ones are called off
    (`core/work/bulk_cancel.py`)."""
    epoch_at: EpochMs | None = None
    """When it was raised last; `None` means never."""
    deployed_parallelism: int | None = None
    """Limit from the deployment: overrides `max_parallelism`, which programs give. `None` means it
    gives none."""
    deployed_at: EpochMs | None = None

    @property
    def limit(self) -> int:
        """Slots in force: 0 when paused.

        People beat the deployment, the deployment beats programs.
        """
        if self.override_paused:
            return 0
        said = (self.override_parallelism, self.deployed_parallelism)
        return next((limit for limit in said if limit is not None), self.max_parallelism)


class NoticeKind(StrEnum):
    """Kinds of notices about a start."""

    FINISHED = "finished"
    RETRY = "retry"
    PUT_BACK = "put_back"
    CHECK = "look"
    """Not over for certain: look at the work item, its deadline may be nearer than the ledger
    knows. With a callback: its handler failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Record):
    """The report that frees a slot: this start of this work item is over.

    Written by: completion; cancel, of a work item that wants a callback. Read by: the loop (range).
    Removed by: TTL of two weeks; one that owes a callback has none and is removed by the loop, once
    the ledger has it. An item of its own, so that a completion never contends with the loop for the
    ledger.
    """

    pool: str
    at: str
    """Its own key: a ULID of the time of writing, with the shard of the work item."""
    work_id: WorkId
    start: int
    kind: NoticeKind
    pointer: str | None = None
    """Key of the pointer that a retry or put back wrote: the loop's cursor must go back to it."""
    callback: CallbackState | None = None
    """`pending`: nobody has sent the callback, so the loop must. `sent`: the loop must see that it
    is acknowledged. `None` means nothing to do."""
    expires_at: int | None = None
    outcome: Outcome | None = None
    """Outcome, for the statistics; `None` means that it has not finished, or no attempt was spent
    on its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteReport(Record):
    """Counts of one minute.

    Written by: the loop, at most once a minute and only if something happened. Read by: `stats`.

    Removed by: TTL. An item of its own, because the ledger must stay small.
    """

    pool: str
    at: str
    """Its own key: the least id of the time at which its tally began, so that a loop which writes
    it again writes over it."""
    tally: MinuteTally
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Record):
    """A pool of this table, so that the watchdog knows it.

    Written by: the first enqueue or kick of a pool. Removed by: people.
    """

    pool: str
    registered_at: EpochMs


class DeployedLimit(NamedTuple):
    """Limit that a deployment gives one pool."""

    pool: str
    max_parallelism: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Record):
    """Functions of this table, for callers whose environment does not say, and what was last deployed.

    Written by: the watchdog, from its own environment, when that differs. Read by: callers, loop
    and completion, whatever of it their own environment lacks; the watchdog. Removed by: nobody. An
    item of its own because it is the table's, not a pool's.
    """

    loop_arn: str
    completion_arn: str | None = None
    schedule_group: str | None = None
    scheduler_role_arn: str | None = None
    acknowledging: tuple[str, ...] = ()
    """Functions, by name or ARN, in order, whose handlers say for themselves that they ran a
    callback."""
    limits: tuple[DeployedLimit, ...] = ()
    """The limits given to pools, in order of their names. Each is in its pool's config, and felt by
    its loop."""
    version: int = 0
    """Raised by each watchdog that writes the item over: two that do so at one time do not both
    succeed."""
    replaced: tuple[str, ...] = ()
    """Loops of other deployments in whose place this one came within an hour: their watchdogs leave
    the item alone for so long."""
    replaced_at: EpochMs | None = None
    """When it last came in another's place; `None` means never."""

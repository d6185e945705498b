"""Records that the loop and its callers share.

These are status, ledger, config, notices, minute reports, the registry and the deployment.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.record import Record
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from workpool_aws.model.pages import NamedPage
    from workpool_aws.model.rate import RateLimit, RateSpent
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import CallbackState, GroupEnd

__all__ = [
    "DEFAULT_AUTHOR",
    "Config",
    "DeployedJob",
    "DeployedLimit",
    "DeployedRate",
    "Deployment",
    "Entry",
    "EntryKey",
    "GuestStarts",
    "Heartbeat",
    "JobTallies",
    "JobTally",
    "Ledger",
    "LoopState",
    "LoopStatus",
    "MinuteReport",
    "MinuteTally",
    "Notice",
    "NoticeKind",
    "PendingCallback",
    "Registration",
    "ReportedEnd",
    "ShardCursors",
]


DEFAULT_AUTHOR: Final = "default"
"""Author of the base in a config that only has an override."""


class LoopState(StrEnum):
    """State of a pool's loop, as callers see it."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"


class GuestStarts(NamedTuple):
    """Starts that a caller has committed and sent, before the loop that it has started [WP-44]."""

    generation: int
    """Generation of that loop: no other has them in its ledger, or not only them."""
    at: EpochMs
    """Time of their commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatus(Record):
    """Status of a pool's loop, by which a kick decides if it must start one.

    Written by: kick, the loop, `cancel_all`. Read by: every enqueue and completion, the watchdog.
    Never removed. An item apart from the ledger, because callers read it all the time and the loop
    writes it rarely.
    """

    pool: str
    state: LoopState
    generation: int
    lease_until: EpochMs
    wake_at: EpochMs | None = None
    """Time at which a waiting loop runs again; `None` means that it has none of its own."""
    saturated: bool = False
    """True at rest because every slot is taken (or the pool is paused). A new work item need not
    wake the loop."""
    timer_at: EpochMs | None = None
    """Time of the far wake that was ordered last; `None` means that none was."""
    written_by: str | None = None
    """Token of the last writer, which recognises its own write after a lost answer."""
    epoch: int = 0
    """Number of times the pool was canceled as a whole. `cancel_all` raises it first, and every
    enqueue reads it."""
    shards: int = 1
    """Number of shards into which producers may put new work items. Only the loop changes it."""
    shards_read: int | None = None
    """Number of shards that the loop and the watchdog read. `None` means every shard of the ledger.
    It is never less than `shards`."""
    beats: bool = False
    """True if the loop rests between two looks at work items that send heartbeats, perhaps. No
    schedule wakes it for them, and the watchdog does so without a warning."""
    rate: RateSpent | None = None
    """Tokens that were spent when the loop rested or handed over, all of its commits counted.
    `None` means that none did so with a rate limit."""
    guest: GuestStarts | None = None
    """The last quick start, if Lambda has the events of all its starts. `None` means that there was
    none."""


class EntryKey(NamedTuple):
    """One start of one work item, which occupies a slot."""

    work_id: WorkId
    start: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A slot in use, or about to be."""

    deadline: EpochMs
    confirmed: bool = False
    """True if the start write was seen to succeed. A new holder must check the others."""
    run: EntryKey | None = None
    """First start of the run that this one belongs to. One invocation executes a run, one start after
    the other, so all of it takes one slot. `None` means a slot of its own."""


@dataclass(frozen=True, slots=True)
class PendingCallback:
    """A callback that the loop checks at this time, and sends if it is still owed."""

    work_id: WorkId
    at: EpochMs
    tries: int = 0
    """Number of times the loop has sent it, or tried to."""
    looks: int = 0
    """Number of checks since, in which it was sent but not acknowledged."""


@dataclass(frozen=True, slots=True)
class ShardCursors:
    """Cursors of one shard. Keys are ULIDs; "" means from the beginning."""

    work_cursor: str = ""
    done_cursor: str = ""
    deep_at: EpochMs = EpochMs(0)
    """Time of the last deep read of the work items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteTally:
    """Counts of a loop from `since` on, within a minute.

    `core/loop/tally.py` has the rules of counting.
    """

    since: EpochMs
    succeeded: int = 0
    failed: int = 0
    """Work items that failed for good."""
    retried: int = 0
    """Attempts that failed and are followed by another."""
    canceled: int = 0
    """Attempts that failed, and were not retried because of a cancel."""
    lags: tuple[tuple[int, int], ...] = ()
    """Lags of starts: (class of lag, count), in order of class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTally:
    """Counts of one job within a minute, each as in `MinuteTally`."""

    job: str
    """Name of the job, or else of the function (`Spec.label`)."""
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTallies:
    """Counts of the jobs of a minute, which `since` ties to its `MinuteTally`."""

    since: EpochMs
    jobs: tuple[JobTally, ...]
    """At most `limits.TALLY_JOBS_MAX`, in order of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger(Record):
    """Ledger of a pool: the starts in flight.

    Its `version` is the fence: a commit proves that there was no other since the ledger was read.

    Written by: the loop that holds it; `configure` and `cancel_all` bump the version, so that a
    pass that read the old config cannot commit. Read by: the loop when it takes the ledger, the
    watchdog, `list`, `stats`, all by `flow/ledger.py`. Never removed. A whole pass commits in one
    write, since the pages that it names were written before.
    """

    pool: str
    holder: str
    generation: int
    version: int
    entries: dict[EntryKey, Entry] = field(default_factory=dict)
    """The starts in flight: those of the item and of its pages, or of the item alone while its pages
    are not read."""
    pages: tuple[NamedPage, ...] = ()
    """The pages that have some of the slots, as last committed."""
    shards: tuple[ShardCursors, ...] = (ShardCursors(),)
    callbacks: tuple[PendingCallback, ...] = ()
    """Callbacks that no notice owes any more: at most `limits.CALLBACKS_OWED_MAX`."""
    committed_by: str | None = None
    """Token of the commit, by which the holder recognises its own commit after a lost answer."""
    tally: MinuteTally | None = None
    """Counts of the current minute, committed with the starts that they count, so nothing is
    counted twice. `None` means that nothing was counted."""
    jobs: JobTallies | None = None
    """Counts of the current minute by job, without lags. `None` means that there are none."""
    epoch: int = 0
    """Epoch before which all work items are canceled. It is behind the config's during a bulk
    cancel."""
    beats: bool = False
    """True if an entry may be of a work item that sends heartbeats."""
    rate: RateSpent | None = None
    """Tokens of the rate limit that starts have spent, committed with those starts. `None` means
    that no start was made under a rate limit."""

    @property
    def head_slots(self) -> int:
        """Number of slots that lie in no page."""
        return len(self.entries) - sum(page.left for page in self.pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Record):
    """The limits in force.

    Written by: first enqueue of a process (base), watchdog (deployed), `configure` (override),
    `cancel_all` (epoch). Read by: the loop, callers. Never removed. An item of its own because
    people write it and the loop only reads it.
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
    """The status's epoch, once the loop must act on it. Work items of earlier ones are called off
    (`core/work/bulk_cancel.py`)."""
    epoch_at: EpochMs | None = None
    """Time at which it was last raised; `None` means never."""
    deployed_parallelism: int | None = None
    """Limit of the deployment, which takes precedence over the programs' `max_parallelism`. `None`
    means that the deployment sets none."""
    deployed_at: EpochMs | None = None
    rate_limit: RateLimit | None = None
    """Rate limit that programs give. `None` means that none does."""
    deployed_rate: RateLimit | None = None
    """Rate limit of the deployment, which takes precedence over the programs'."""
    override_rate: RateLimit | None = None
    """Rate limit of the override, which takes precedence over both."""
    override_unrated: bool | None = None
    """True if the override lifts the rate limit."""

    @property
    def rate(self) -> RateLimit | None:
        """Rate limit in force; `None` means that the pool has none."""
        if self.override_unrated:
            return None
        return self.override_rate or self.deployed_rate or self.rate_limit

    @property
    def limit(self) -> int:
        """Slots in force; 0 when paused.

        The override takes precedence over the deployment, and the deployment over programs.
        """
        if self.override_paused:
            return 0
        said = (self.override_parallelism, self.deployed_parallelism)
        return next((limit for limit in said if limit is not None), self.max_parallelism)


class ReportedEnd(NamedTuple):
    """End of a start that a notice names beside its first one."""

    work_id: WorkId
    start: int
    outcome: Outcome | None
    """As `Notice.outcome`."""


class NoticeKind(StrEnum):
    """Kinds of notices about a start."""

    FINISHED = "finished"
    RETRY = "retry"
    PUT_BACK = "put_back"
    CHECK = "look"
    """Not certainly over. The work item must be read, since its deadline may be nearer than the
    ledger says. With a callback: its handler failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Record):
    """A notice that this start of this work item is over, which frees a slot.

    Written by: completion; cancel and expiry, of a work item that wants a callback or is a member
    of a group. Read by: the loop (range). Removed by: TTL of two weeks. One that the loop must take
    over (`awaits_loop`) has no TTL, and the loop removes it once it has. An item of its own, so that a completion never contends with the
    loop for the ledger.
    """

    pool: str
    at: str
    """Its own key: a ULID of the time of writing, with the work item's shard or shard 0."""
    work_id: WorkId
    start: int
    kind: NoticeKind
    pointer: str | None = None
    """Key of the pointer that a retry or requeue wrote. The loop's cursor must go back to it."""
    callback: CallbackState | None = None
    """`pending`: the callback was not sent, so the loop must send it. `sent`: the loop must check
    that it is acknowledged. `None` means nothing to do."""
    expires_at: int | None = None
    outcome: Outcome | None = None
    """Outcome, for the statistics. `None` means that it has not finished, or that its end spent no
    attempt."""
    job: str | None = None
    """As `Spec.label`, for the statistics. `None` means that its writer did not know it."""
    ran_ms: int | None = None
    """Time that user code took; a mean, if the notice names several ends. `None` means that its writer
    did not know it, or is a worker that takes no runs."""
    more: tuple[ReportedEnd, ...] = ()
    """Further ends of the same run, shard and job."""

    group: GroupEnd | None = None
    """The end of a member of a group. `None` means that its work item is in no group, goes on, or
    was ended by version 0.1."""

    @property
    def awaits_loop(self) -> bool:
        """True if it has no TTL, since the loop must take it over: a callback, or an end to count."""
        owes = self.callback is not None or self.group is not None
        return owes and self.expires_at is None

    def each(self) -> tuple[Notice, ...]:
        """Returns the notices of its starts, one each."""
        if not self.more:
            return (self,)
        alone = replace(self, more=())
        return (
            alone,
            *(
                replace(alone, work_id=end.work_id, start=end.start, outcome=end.outcome)
                for end in self.more
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteReport(Record):
    """Counts of one minute.

    Written by: the loop, at most once a minute and only if there is something to count. Read by:
    `stats`. Removed by: TTL. An item of its own, because the ledger must stay small.
    """

    pool: str
    at: str
    """Its own key: the least id of the time at which its tally began. A loop that writes it again
    writes over it."""
    tally: MinuteTally
    jobs: JobTallies | None = None
    """As in the ledger."""
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Record):
    """A pool of this table, for the watchdog.

    Written by: the watchdog, the first enqueue of a process, the first kick of a pool. Removed by:
    people.
    """

    pool: str
    registered_at: EpochMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Record):
    """The last sign of life of the table's watchdog.

    Written by: the watchdog, at the end of every fifth tick. Read by: `doctor`. Never removed. An
    item of its own because a write costs by the size of its item, and the deployment's may be large.
    """

    at: EpochMs


class DeployedLimit(NamedTuple):
    """Limit that a deployment gives one pool."""

    pool: str
    max_parallelism: int


class DeployedRate(NamedTuple):
    """Rate limit that a deployment gives one pool."""

    pool: str
    rate_limit: RateLimit


class DeployedJob(NamedTuple):
    """Function that a deployment gives one job."""

    name: str
    target: str
    """ARN of the function, version or alias that runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Record):
    """The deployment of this table: its functions and the limits that it sets.

    Written by: the watchdog, from its own environment, if that differs. Read by: callers, loop and
    completion, for what their own environment lacks; the watchdog. Never removed. An item of its
    own because it is the table's, not a pool's.
    """

    loop_arn: str
    completion_arn: str | None = None
    schedule_group: str | None = None
    scheduler_role_arn: str | None = None
    acknowledging: tuple[str, ...] = ()
    """Functions, by name or ARN, in order, whose handlers acknowledge callbacks."""
    limits: tuple[DeployedLimit, ...] = ()
    """The limits set for pools, in order of their names. Each is in its pool's config, and in force
    for its loop."""
    jobs: tuple[DeployedJob, ...] = ()
    """The jobs that can be enqueued by name, in order of their names."""
    schedules: str | None = None
    """Digest of the declared schedules that the table has. `None` means that there are none."""
    rates: tuple[DeployedRate, ...] = ()
    """The rate limits set for pools, in order of their names, as `limits` are."""
    version: int = 0
    """Raised by each watchdog that writes the item, so that of two concurrent writes only one
    succeeds."""
    replaced: tuple[str, ...] = ()
    """Loops of other deployments that this one replaced within an hour. Their watchdogs leave the
    item alone for that time."""
    replaced_at: EpochMs | None = None
    """Time of the last replacement; `None` means never."""

"""Session of one loop invocation.

The ledger as it last committed it, and what it remembers between passes.

The one mutable value of the loop. Everything in it can be rebuilt from the table by the next
holder.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop.repair import rebuild, take_back
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteTally,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.refs import LedgerRef, StatusRef, Unreadable
from workpool_aws.model.writes import Above, All, Below, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports, Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.core.work.bulk_cancel import BulkCancel

__all__ = ["Fenced", "LoopSession", "TellsOnce", "acquire_session"]


class TellsOnce:
    """Tells of each damaged item once in the life of a loop invocation, and counts them: a pass meets the same one again and again."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._told: set[tuple[str, str]] = set()

    @property
    def set_aside(self) -> int:
        """Number of items that were set aside; beyond a thousand they are not counted."""
        return len(self._told)

    def emit(self, event: events.Event) -> None:
        """Pass it on, unless it tells of an item that was told before."""
        if isinstance(event, events.SetAside):
            item = (event.partition, event.sort)
            if item in self._told or len(self._told) >= limits.SET_ASIDE_TOLD_MAX:
                return
            self._told.add(item)
        self._telemetry.emit(event)


class Fenced(Exception):
    """Another loop invocation is the holder. Stop at once: nothing more may be written."""


@dataclass(slots=True)
class LoopSession:
    """One loop invocation that holds the ledger."""

    ports: Ports
    pool: str
    generation: int
    token: str
    """Made for this very invocation: a generation is no lock, since Lambda may deliver one
    invocation twice."""
    secret: str = field(repr=False)
    """In this invocation's memory alone: the nonces of its starts come from it [WP-28]."""
    ledger: Ledger
    damage: TellsOnce
    lease_until: EpochMs
    ends_at: EpochMs
    """When it must have handed over."""
    unconfirmed: set[EntryKey] = field(default_factory=set)
    """Entries whose work must be looked at."""
    looked: dict[EntryKey, str] = field(default_factory=dict)
    """Requests for a look that were seen to: the key of the record, by entry."""
    sent: set[EntryKey] = field(default_factory=set)
    """Starts that this invocation has sent to Lambda, or tried to."""
    callbacks: tuple[PendingCallback, ...] = ()
    """Callbacks to see to: the ledger's, and what was done about them since its commit."""
    drain: BulkCancel | None = None
    """Progress of a bulk cancel; `None` means that none is under way."""
    config: Config | None = None
    config_read_at: EpochMs | None = None
    """When the config was last read; `None` means it must be read again."""
    deep_read_at: EpochMs | None = None
    passes: int = 0

    @property
    def entries(self) -> Mapping[EntryKey, Entry]:
        """Starts in flight, as last committed or confirmed since."""
        return self.ledger.entries

    def commit(
        self,
        entries: dict[EntryKey, Entry],
        shards: tuple[ShardCursors, ...],
        callbacks: tuple[PendingCallback, ...],
        tally: MinuteTally | None,
        *,
        epoch: int,
    ) -> bool:
        """Commit a pass, if nobody else did since this one was read [WP-2].

        False: the config changed meanwhile; do the pass again.

        Raises Fenced.
        """
        token = self.ports.entropy.token()
        version = self.ledger.version + 1
        update = Update(
            ref=LedgerRef(self.pool),
            set={
                "entries": entries,
                "shards": shards,
                "callbacks": callbacks,
                "tally": tally,
                "epoch": epoch,
                "committed_by": token,
                "version": version,
            },
            condition=All(
                (
                    Is("version", self.ledger.version),
                    Is("holder", self.token),
                    Is("generation", self.generation),
                )
            ),
        )
        try:
            self.ports.store.write(update)
        except ConditionFailed as lost:
            if not (isinstance(lost.current, Ledger) and lost.current.committed_by == token):
                self._adopt(lost.current)
                return False
        except StoreUnavailable:
            # It may have gone through: look, and trust what is there.
            self.reload()
            return False
        self.callbacks = callbacks
        self.ledger = replace(
            self.ledger,
            entries=entries,
            shards=shards,
            callbacks=callbacks,
            tally=tally,
            epoch=epoch,
            committed_by=token,
            version=version,
        )
        return True

    def reload(self) -> None:
        """Read the ledger again, and trust it. Raises Fenced, StoreUnavailable."""
        self._adopt(self.ports.store.get(LedgerRef(self.pool)))

    def _adopt(self, current: object) -> None:
        if isinstance(current, Unreadable):
            raise StoreUnavailable(f"the ledger item of pool {self.pool!r} is damaged: {current}")
        if (
            not isinstance(current, Ledger)
            or current.holder != self.token
            or current.generation != self.generation
        ):
            raise Fenced
        self.ledger = current
        self.callbacks = current.callbacks
        self.config_read_at = None
        # What a look found may have been in memory only. Its record lies beyond the cursors of this
        # ledger, so it is met again.
        self.looked = {}
        self.unconfirmed = (self.unconfirmed & set(current.entries)) | self._not_confirmed()

    def renew_lease(self, now: EpochMs) -> None:
        """Say that this loop is alive, when less than half of its lease is left. Raises Fenced."""
        if self.lease_until - now >= limits.LEASE_RENEW_MS:
            return
        lease_until = EpochMs(now + limits.LEASE_MS)
        self.write_status({"lease_until": lease_until}, expected=LoopState.RUNNING)
        self.lease_until = lease_until

    def write_status(self, changes: Mapping[str, object], *, expected: LoopState) -> LoopStatus:
        """Change the status, if it is still this generation's. Raises Fenced."""
        token = self.ports.entropy.token()
        update = Update(
            ref=StatusRef(self.pool),
            set={**changes, "written_by": token},
            condition=All((Is("generation", self.generation), Is("state", expected))),
        )
        try:
            written = self.ports.store.write(update).record
        except ConditionFailed as lost:
            written = (
                lost.current
                if isinstance(lost.current, LoopStatus) and lost.current.written_by == token
                else None
            )
        if not isinstance(written, LoopStatus):
            raise Fenced
        return written

    def next_generation(self) -> None:
        """Go on under the next generation, whose status was just written by this loop.

        Raises Fenced.
        """
        self.generation += 1
        taken = _take(self.ports, self.pool, self.generation, self.token)
        if taken is None:
            raise Fenced
        self.ledger = taken
        self.callbacks = taken.callbacks
        self.looked = {}
        self.unconfirmed = self._not_confirmed()
        self.deep_read_at = None
        self.config_read_at = None

    def _not_confirmed(self) -> set[EntryKey]:
        return {
            key for key, entry in self.ledger.entries.items() if not entry.confirmed
        } - self.sent


def acquire_session(
    ports: Ports, pool: str, generation: int, remaining_ms: Callable[[], int]
) -> LoopSession | None:
    """Become the holder of this generation; `None` means that another invocation is, or was.

    The lease counts from the kick that wrote it, some time ago; how long is not known, so it is
    renewed a little earlier.
    """
    telemetry = TellsOnce(ports.telemetry)
    ports = replace(ports, telemetry=telemetry)
    token = ports.entropy.token()
    ledger = _take(ports, pool, generation, token)
    if ledger is None:
        return None
    now = ports.clock.now()
    ports.telemetry.emit(
        events.LoopTook(pool=pool, generation=generation, in_flight=len(ledger.entries))
    )
    remaining = remaining_ms()
    # A Lambda with a very short timeout still does half of it in work.
    life_ms = min(max(remaining - limits.HAND_OVER_MS, remaining // 2), limits.LOOP_LIFE_MS_MAX)
    return LoopSession(
        ports=ports,
        damage=telemetry,
        pool=pool,
        generation=generation,
        token=token,
        secret=ports.entropy.token(),
        ledger=ledger,
        lease_until=EpochMs(now + limits.LEASE_MS - limits.LEASE_MS // 3),
        ends_at=EpochMs(now + life_ms),
        unconfirmed={key for key, entry in ledger.entries.items() if not entry.confirmed},
        callbacks=ledger.callbacks,
    )


def _take(ports: Ports, pool: str, generation: int, token: str) -> Ledger | None:
    """One conditional write elects the holder and fences off the one before: its commits name an older version [WP-2]."""
    update = Update(
        ref=LedgerRef(pool),
        set={"generation": generation, "holder": token},
        add={"version": 1},
        # Nothing can be added to a version that is no number: such a ledger is made anew.
        condition=All((Below("generation", generation), Above("version", -1))),
    )
    try:
        # Of an item that cannot be read an update answers with nothing.
        met: object = ports.store.write(update).record or ports.store.get(LedgerRef(pool))
    except ConditionFailed as lost:
        if lost.current is None:
            return _create(ports, pool, generation, token)
        met = lost.current
    except ValueError:
        # So large that nothing can be added to it.
        met = ports.store.get(LedgerRef(pool))
        if not isinstance(met, Unreadable):
            raise
    if isinstance(met, Unreadable):
        return rebuild(ports, pool, generation, token, met)
    if isinstance(met, Ledger) and met.generation > generation:
        return take_back(ports, met, generation, token)
    return _own(met, token)


def _create(ports: Ports, pool: str, generation: int, token: str) -> Ledger | None:
    ledger = Ledger(pool=pool, holder=token, generation=generation, version=1)
    try:
        ports.store.write(Put(ledger, IsAbsent()))
    except ConditionFailed as lost:
        return _own(lost.current, token)
    return ledger


def _own(current: object, token: str) -> Ledger | None:
    """One's own write, repeated by the SDK after a lost answer.

    No other invocation has this token.
    """
    return current if isinstance(current, Ledger) and current.holder == token else None

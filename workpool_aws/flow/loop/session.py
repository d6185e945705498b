"""Session of one loop invocation: its identity, its lease, its commits, and its memory.

The one mutable value of the loop. The next holder rebuilds all that it needs from the table.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.memory import Memory
from workpool_aws.core.loop.pages import laid_out
from workpool_aws.core.loop.rate_left import counted_by_next
from workpool_aws.core.loop.settle import slots_taken
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.ledger import whole
from workpool_aws.flow.loop.repair import rebuild, take_back
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Ledger, LoopState, LoopStatus
from workpool_aws.model.pages import LedgerPage, Slots
from workpool_aws.model.refs import LedgerRef, StatusRef, Unreadable
from workpool_aws.model.writes import Above, All, Below, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports, Telemetry
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.core.loop.pages import Places
    from workpool_aws.model.loop import Entry, EntryKey
    from workpool_aws.model.writes import Condition

__all__ = ["Fenced", "LoopSession", "ReportsOnce", "acquire_session", "change_status"]


class ReportsOnce:
    """Reports each damaged item once per loop invocation, and counts them.

    Every pass meets the same ones.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._reported: set[tuple[str, str]] = set()

    @property
    def set_aside(self) -> int:
        """Number of quarantined items. Beyond a thousand they are not counted."""
        return len(self._reported)

    def emit(self, event: events.Event) -> None:
        """Passes the event on, unless it reports an item that was reported before."""
        if isinstance(event, events.SetAside):
            item = (event.partition, event.sort)
            if item in self._reported or len(self._reported) >= limits.QUARANTINE_REPORTS_MAX:
                return
            self._reported.add(item)
        self._telemetry.emit(event)


class Fenced(Exception):
    """Another loop invocation is the holder. This one must stop and write nothing more."""


@dataclass(slots=True)
class LoopSession:
    """One loop invocation that holds the ledger, or is to take it by its first commit."""

    ports: Ports
    pool: str
    generation: int
    token: str
    """Made for this very invocation. A generation is no lock, since Lambda may deliver one
    invocation twice."""
    secret: str = field(repr=False)
    """Kept in this invocation's memory alone. The nonces of its starts come from it [WP-28]."""
    memory: Memory
    damage: ReportsOnce
    lease_until: EpochMs
    ends_at: EpochMs
    """Time by which it must have handed over."""
    passes: int = 0
    """Passes that came to their end."""
    held: bool = True
    """False until the first pass has committed, if that takes the ledger."""

    @property
    def ledger(self) -> Ledger:
        """The ledger as last committed, with what passes have changed in memory since."""
        return self.memory.ledger

    @property
    def entries(self) -> Mapping[EntryKey, Entry]:
        """Starts in flight, as last committed or confirmed since."""
        return self.memory.entries

    def commit(self, wanted: Ledger) -> bool:
        """Commits the ledger of a pass, unless another write came between its read and this one [WP-2].

        False means that the config was changed, or that the answer was lost. The ledger was read
        again then, and the pass must be made again by it.

        Raises Fenced, StoreUnavailable.
        """
        places = self._lay_out(wanted)
        token, version = self.ports.entropy.token(), self.ledger.version + 1
        committed = replace(wanted, pages=places.pages, committed_by=token, version=version)
        # One that takes the ledger fails if the former holder has committed since it was read.
        taken = {} if self.held else {"holder": self.token, "generation": self.generation}
        by: tuple[Condition, ...] = (
            (Is("holder", self.token), Is("generation", self.generation))
            if self.held
            else (Below("generation", self.generation),)
        )
        update = Update(
            ref=LedgerRef(self.pool),
            set={
                **taken,
                "entries": Slots(places.head, places.pages),
                "shards": committed.shards,
                "callbacks": committed.callbacks,
                "tally": committed.tally,
                "jobs": committed.jobs,
                "epoch": committed.epoch,
                "beats": committed.beats,
                "rate": committed.rate,
                "committed_by": committed.committed_by,
                "version": committed.version,
            },
            condition=All((Is("version", self.ledger.version), *by)),
        )
        try:
            self.ports.store.write(update)
        except ConditionFailed as lost:
            own = (
                isinstance(lost.current, Ledger)
                and lost.current.committed_by == committed.committed_by
            )
            if not own:
                self._adopt(lost.current)
                return False
        except StoreUnavailable:
            # It may have gone through: look, and trust what is there.
            self.reload()
            return False
        landed = self.memory.having_landed(committed, self.ports.clock.now())
        self.memory = replace(landed, ledger=committed, callbacks=committed.callbacks)
        self.report_taken()
        return True

    def reload(self) -> None:
        """Reads the ledger again, and adopts it. Raises Fenced, StoreUnavailable."""
        self._adopt(self.ports.store.get(LedgerRef(self.pool)))

    def _lay_out(self, wanted: Ledger) -> Places:
        """Returns the places of the slots, once the page that the commit is to name is written [WP-43].

        No other page ever has its token, so that no late write can change one that a ledger names. A
        page that no commit names is removed by its time to live. Raises StoreUnavailable.
        """
        ports, now = self.ports, self.ports.clock.now()
        places = laid_out(wanted.entries, self.ledger.pages, now)
        if not places.page:
            return places
        expires_at = now // 1000 + limits.LEDGER_PAGE_KEPT_S
        page = LedgerPage(
            pool=self.pool,
            token=ports.entropy.token(),
            entries=dict(places.page),
            expires_at=expires_at,
        )
        ports.store.write(Put(page))
        return places.naming(page)

    def _adopt(self, found: object) -> None:
        is_own = isinstance(found, Ledger) and found.holder == self.token
        if not self.held and not is_own:
            # Another write came before the commit that was to take it, or that one was lost.
            self.take()
            return
        if isinstance(found, Ledger) and (not is_own or found.generation != self.generation):
            raise Fenced
        current = whole(self.ports.store, found)
        if isinstance(current, Unreadable):
            raise StoreUnavailable(f"the ledger item of pool {self.pool!r} is damaged: {current}")
        if current is None:
            raise Fenced
        landed = self.memory.having_landed(current, self.ports.clock.now())
        # A commit whose answer was lost may have counted the lags.
        self.memory = replace(landed.adopting(current), lags_ms=())
        self.report_taken()

    def take(self) -> None:
        """Takes the ledger, and begins again with it, as nothing was sent. Raises Fenced."""
        taken = _Holder.of(self).take()
        if taken is None:
            raise Fenced
        spent = counted_by_next(taken, None, self.ports.clock.now())
        known = self.memory
        self.memory = replace(
            Memory.of(taken, spent=spent), shards=known.shards, shards_read=known.shards_read
        )
        self.report_taken(slots_taken(taken.entries))

    def report_taken(self, in_flight: int = 0) -> None:
        """Reports, once, that this invocation is the holder now, with so many slots taken by others."""
        if self.held:
            return
        self.held = True
        took = events.LoopTook(pool=self.pool, generation=self.generation, in_flight=in_flight)
        self.ports.telemetry.emit(took)

    def left_behind(self) -> Mapping[str, object]:
        """Returns the fields of the status that are about the ledger.

        They are the spent tokens, for the next holder, and the flag of heartbeats, for the
        watchdog.
        """
        spent = self.memory.spent
        if spent is None or self.ledger.rate is None:
            return {"beats": self.ledger.beats}
        rate = replace(spent, generation=self.ledger.rate.generation)
        return {"beats": self.ledger.beats, "rate": rate}

    def renew_lease(self, now: EpochMs) -> None:
        """Renews the lease when less than half of it is left. Raises Fenced."""
        if self.lease_until - now >= limits.LEASE_RENEW_MS:
            return
        lease_until = EpochMs(now + limits.LEASE_MS)
        self.write_status({"lease_until": lease_until}, expected=LoopState.RUNNING)
        self.lease_until = lease_until

    def write_status(self, changes: Mapping[str, object], *, expected: LoopState) -> LoopStatus:
        """Changes the status, if it is still this generation's. Raises Fenced."""
        return change_status(self.ports, self.pool, self.generation, changes, expected=expected)

    def next_generation(self) -> None:
        """Continues under the next generation, whose status this loop has just written.

        Raises Fenced.
        """
        self.generation += 1
        taken = _Holder.of(self).take()
        if taken is None:
            raise Fenced
        landed = self.memory.having_landed(taken, self.ports.clock.now())
        self.memory = landed.in_next_generation(taken)


def change_status(
    ports: Ports,
    pool: str,
    generation: int,
    changes: Mapping[str, object],
    *,
    expected: LoopState,
) -> LoopStatus:
    """Changes the status of a pool, if it still names this generation.

    Raises Fenced, StoreUnavailable.
    """
    token = ports.entropy.token()
    update = Update(
        ref=StatusRef(pool),
        set={**changes, "written_by": token},
        condition=All((Is("generation", generation), Is("state", expected))),
    )
    try:
        written = ports.store.write(update).record
    except ConditionFailed as lost:
        written = (
            lost.current
            if isinstance(lost.current, LoopStatus) and lost.current.written_by == token
            else None
        )
    if not isinstance(written, LoopStatus):
        raise Fenced
    return written


def acquire_session(
    ports: Ports,
    pool: str,
    generation: int,
    remaining_ms: Callable[[], int],
    *,
    status: LoopStatus | None = None,
    seen: object = None,
) -> LoopSession | None:
    """Becomes the holder of this generation; `None` means that another invocation is, or was.

    `status`: as read before; `None` means that it is this generation's first. `seen`: the ledger as
    read just now; `None` means that it was not read. The session becomes the holder by its first commit
    then, if nothing has to be known before.

    The lease counts from the kick that wrote it. Its age is not known, so it is renewed a little
    earlier.
    """
    telemetry = ReportsOnce(ports.telemetry)
    ports = replace(ports, telemetry=telemetry)
    token = ports.entropy.token()
    holder = _Holder(ports, pool, generation, token)
    by_commit = holder.taken_by_commit(seen, status)
    ledger = by_commit or holder.take()
    if ledger is None:
        return None
    # By a clock after the take: no commit of the former holder lands later [WP-33].
    now = ports.clock.now()
    spent = counted_by_next(ledger, status, now)
    remaining = remaining_ms()
    # A Lambda with a very short timeout still does half of it in work.
    life_ms = min(max(remaining - limits.HAND_OVER_MS, remaining // 2), limits.LOOP_LIFE_MS_MAX)
    session = LoopSession(
        ports=ports,
        damage=telemetry,
        pool=pool,
        generation=generation,
        token=token,
        secret=ports.entropy.token(),
        memory=Memory.of(ledger, status, spent),
        lease_until=EpochMs(now + limits.LEASE_MS - limits.LEASE_MS // 3),
        ends_at=EpochMs(now + life_ms),
        held=False,
    )
    if by_commit is None:
        session.report_taken(slots_taken(ledger.entries))
    return session


@dataclass(frozen=True, slots=True)
class _Holder:
    """An invocation that would hold the ledger of a pool in one generation."""

    ports: Ports
    pool: str
    generation: int
    token: str

    @staticmethod
    def of(session: LoopSession) -> _Holder:
        """Returns the one that this session is or would be."""
        return _Holder(session.ports, session.pool, session.generation, session.token)

    def taken_by_commit(self, seen: object, status: LoopStatus | None) -> Ledger | None:
        """Returns the ledger for a first commit that takes it; `None` means to take it before that.

        With nothing in flight the first pass needs no look at the starts of a former holder. Those
        of a guest need none before the commit, since they were sent.
        """
        if not isinstance(seen, Ledger) or seen.generation >= self.generation:
            return None
        guest = None if status is None else status.guest
        sent = guest is not None and guest.generation == self.generation
        if (seen.entries and not sent) or seen.pages or seen.callbacks:
            return None
        return replace(seen, holder=self.token, generation=self.generation)

    def take(self) -> Ledger | None:
        """Takes the ledger by one conditional write, which fences the former holder [WP-2].

        The commits of that one name an older version. `None` means that another invocation is the
        holder.
        """
        store, pool, generation, token = self.ports.store, self.pool, self.generation, self.token
        update = Update(
            ref=LedgerRef(pool),
            set={"generation": generation, "holder": token},
            add={"version": 1},
            # Nothing can be added to a version that is no number: such a ledger is rebuilt.
            condition=All((Below("generation", generation), Above("version", -1))),
        )
        try:
            # Of an item that cannot be read an update answers with nothing.
            found: object = store.write(update).record or store.get(LedgerRef(pool))
        except ConditionFailed as lost:
            if lost.current is None:
                return self._create()
            found = lost.current
            if isinstance(found, Ledger) and found.holder != token:
                # Whatever became of its pages is its holder's to repair.
                is_later = found.generation > generation
                return take_back(self.ports, found, generation, token) if is_later else None
        except ValueError:
            # So large that nothing can be added to it.
            found = store.get(LedgerRef(pool))
            if not isinstance(found, Unreadable):
                raise
        met = whole(store, found)
        if isinstance(met, Unreadable):
            return rebuild(self.ports, pool, generation, token, met)
        return self._own(met)

    def _create(self) -> Ledger | None:
        ledger = Ledger(pool=self.pool, holder=self.token, generation=self.generation, version=1)
        try:
            self.ports.store.write(Put(ledger, IsAbsent()))
        except ConditionFailed as lost:
            return self._own(lost.current)
        return ledger

    def _own(self, current: object) -> Ledger | None:
        """Returns this invocation's own write, repeated by the SDK after a lost answer.

        No other invocation has this token.
        """
        return current if isinstance(current, Ledger) and current.holder == self.token else None

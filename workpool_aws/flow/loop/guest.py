"""Starts a caller's work items without waiting for a loop [WP-44].

The caller whose kick has won a generation of a pool at rest holds it for one commit, sends the
starts, and hands over to a loop of the next one.

| a crash after | leaves |
|---|---|
| the kick | a loop that was never invoked, as after any kick |
| the commit | starts that were committed and not sent, as after a loop's commit |
| the events | the same; the next loop sends again what no worker has made by then |
| the hand-over | a loop that was never invoked |

The lease of the kick runs out in each case, and the watchdog starts the next loop.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.effects import Start
from workpool_aws.core.loop.guest import guest_commit, may_look, starts_of_guest
from workpool_aws.core.loop.start import first_look
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop.rest import write_next
from workpool_aws.flow.loop.session import Fenced
from workpool_aws.flow.loop.start import offer, refusal_of
from workpool_aws.flow.pool import configure
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, GuestStarts, Ledger
from workpool_aws.model.refs import LedgerRef
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    StoreDenied,
)
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.flow.pool.kick import Visit
    from workpool_aws.model.loop import Config, LoopStatus
    from workpool_aws.model.work import WorkItem
    from workpool_aws.model.writes import Update
    from workpool_aws.ports import Ports

__all__ = ["QuickStarts"]


class QuickStarts:
    """Quick starts of one program, which remembers the functions that it may not invoke."""

    def __init__(self) -> None:
        self._refused_until: dict[str, EpochMs] = {}

    def __call__(
        self, ports: Ports, works: Sequence[WorkItem], before: LoopStatus | None
    ) -> Visit | None:
        """Returns the visit that starts stored work items of one target; `None` where none may.

        `before`: the status before the kick.
        """
        if not works or before is None or not may_look(before):
            return None
        target = works[0].spec.target
        if ports.clock.now() < self._refused_until.get(target, 0):
            return None
        return _Visit(self, ports, works, before, _Look(ports, before.pool, works[0]))

    def remember(self, ports: Ports, pool: str, target: str, refused: InvokeRefused) -> None:
        """Leaves the starts of a function to the loop for some minutes: Lambda refused one."""
        if len(self._refused_until) >= limits.TARGETS_KEPT_MAX:
            self._refused_until.clear()
        if target not in self._refused_until:
            event = events.QuickStartRefused(pool=pool, target=target, error=refused.reason)
            ports.telemetry.emit(event)
        until = ports.clock.now() + limits.FUNCTION_LIMITS_KEPT_MS
        self._refused_until[target] = EpochMs(until)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One quick start."""

    memory: QuickStarts
    ports: Ports
    works: Sequence[WorkItem]
    before: LoopStatus
    seen: _Look

    def look(self) -> None:
        """Reads pool and function. Without an answer all is left to the loop."""
        with suppress(StoreUnavailable):
            self.seen.make()

    def make(self, generation: int) -> int | None:
        """Commits, sends and hands over. Returns the generation of the loop to start."""
        ports, look, now = self.ports, self.seen, self.ports.clock.now()
        if not look.is_whole or not isinstance(look.ledger, Ledger) or look.refusal is not None:
            return generation
        chosen = starts_of_guest(
            self.works,
            look.ledger,
            look.config,
            shards=self.before.shards,
            claims=ports.invoker.limits(self.works[0].spec.target).claims,
            now=now,
        )
        if not chosen:
            return generation
        beats = any(work.spec.heartbeat_ms is not None for work in chosen)
        token = ports.entropy.token()
        entries = self._entries_of(chosen, now)
        landed = self._commit(
            guest_commit(look.ledger, entries, generation=generation, token=token, beats=beats),
            token,
        )
        if landed is False:
            return generation
        left: dict[str, object] = {"beats": beats}
        if landed and self._send(chosen):
            left["guest"] = GuestStarts(generation + 1, now)
        return self._hand_over(generation, left)

    def _entries_of(self, chosen: Sequence[WorkItem], now: EpochMs) -> Mapping[EntryKey, Entry]:
        function = self.ports.invoker.limits(chosen[0].spec.target)
        return {
            _key(work): Entry(
                first_look(
                    work,
                    event_age_ms=function.event_age_ms,
                    timeout_ms=function.timeout_ms,
                    by_worker=True,
                    now=now,
                )
            )
            for work in chosen
        }

    def _commit(self, commit: Update, token: str) -> bool | None:
        """Commits the starts. False: nothing was written; `None`: they may be committed."""
        try:
            self.ports.store.write(commit)
        except ConditionFailed as met:
            # One's own write, repeated by the SDK after a lost answer, fails on itself.
            return isinstance(met.current, Ledger) and met.current.committed_by == token
        except StoreDenied:
            return False
        except StoreUnavailable:
            return None
        return True

    def _send(self, chosen: Sequence[WorkItem]) -> bool:
        """Sends each start once. True if Lambda has all of them."""
        ports, secret = self.ports, self.ports.entropy.token()

        def send(work: WorkItem) -> bool:
            try:
                offer(ports, secret, Start(_key(work), work, loop_until=None))
            except InvokeRefused as refused:
                self.memory.remember(ports, work.pool, work.spec.target, refused)
            except (InvokeThrottled, InvokeUnanswered):
                pass
            else:
                return True
            return False

        return all(ports.fan_out(send, chosen, limits.GUEST_STARTS_MAX))

    def _hand_over(self, generation: int, left: dict[str, object]) -> int | None:
        try:
            return write_next(self.ports, self.before.pool, generation, left)
        except Fenced:
            return None
        except StoreUnavailable:
            # It may have landed. A loop that the status does not name changes nothing [WP-2].
            return generation + 1


def _key(work: WorkItem) -> EntryKey:
    return EntryKey(work.id, work.starts + 1)


@dataclass(slots=True)
class _Look:
    """All that a guest sees of its pool."""

    ports: Ports
    pool: str
    work: WorkItem
    ledger: object = None
    config: Config | None = None
    refusal: str | None = None
    """Reason for which the target may not be invoked; `None` means that it may."""
    is_whole: bool = False
    """True once all of it was read."""

    def make(self) -> None:
        """Reads pool and function at one time. Raises StoreUnavailable."""
        self.ports.fan_out(lambda step: step(), (self._read_pool, self._read_function))
        self.is_whole = True

    def _read_pool(self) -> None:
        # A change of the config bumps the ledger, which is therefore read first [WP-13].
        self.ledger = self.ports.store.get(LedgerRef(self.pool))
        self.config = configure.in_force(self.ports.store, self.ports.telemetry, self.pool)

    def _read_function(self) -> None:
        self.refusal = refusal_of(self.ports, self.work)

"""Kicks: ensures that a loop runs where one is needed."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import (
    KickReason,
    NotNeeded,
    Seen,
    decide_kick,
    wake_wait_ms,
)
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs, shard_of
from workpool_aws.model.loop import Config, Ledger, LoopState, LoopStatus, Registration
from workpool_aws.model.messages import LoopRequest
from workpool_aws.model.refs import (
    ConfigRef,
    DeploymentRef,
    LedgerRef,
    RegistrationRef,
    StatusRef,
    Unreadable,
    readable,
)
from workpool_aws.model.writes import Put
from workpool_aws.ports import (
    ConditionFailed,
    InvokeRefused,
    InvokeThrottled,
    InvokeUnanswered,
    Ports,
    Store,
    StoreDenied,
)
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workpool_aws.model.ids import WorkId

__all__ = [
    "Visit",
    "current_status",
    "ensure_registered",
    "epoch_of",
    "invoke_loop",
    "kick",
    "last_seen",
    "loop_arn",
    "running_in",
    "win_wake",
]


_NO_LOOP: Final = "no loop function is known: WORKPOOL_LOOP_ARN is not set, and the table's #deployment item names none"


class Visit(Protocol):
    """Acts in place of the loop that a kick is about to start [WP-44]."""

    def look(self) -> None:
        """Reads, beside the write by which the kick wins a generation or not. Never raises."""

    def make(self, generation: int) -> int | None:
        """Acts under the generation that the kick has won. Never raises.

        Returns the generation of the loop to start; `None` means that another one runs.
        """


def kick(
    ports: Ports,
    pool: str,
    reason: KickReason,
    *,
    due: EpochMs | None = None,
    stored: Sequence[WorkId] = (),
    guest: Callable[[LoopStatus | None], Visit | None] | None = None,
) -> Seen:
    """Starts the loop, unless a live one will see the change.

    `stored`: work items that the caller has put. Those in a shard that the loop may not read any
    more get a pointer in the shard that it always reads [WP-42]. `guest`: takes the status as it was
    before, and returns the visit that acts in place of the loop; `None` means none.

    A loop that cannot be invoked is logged as `KickFailed` and left to the watchdog. Raises
    StoreUnavailable if the status could not be read or written. The caller must not acknowledge
    anything that depends on it then.
    """
    known = _known(ports, pool)
    beyond = [work_id for work_id in stored if shard_of(work_id) >= known.shards]
    if beyond:
        known = _announce(ports, pool, beyond, due)
    visit = None if guest is None else guest(known.status)
    beside = [] if visit is None else [visit.look]
    generation = _win(ports, pool, known, reason, due=due, beside=beside)
    if generation is not None and visit is not None:
        generation = visit.make(generation)
    if generation is not None:
        invoke_loop(ports, pool, generation, reason=reason)
    return Seen(known.epoch, known.shards)


def last_seen(store: Store, pool: str) -> Seen | None:
    """Returns the epoch and the shards of a pool as they are now.

    `None` means no answer, or no status: a producer may go by any numbers.
    """
    with suppress(StoreUnavailable):
        status = readable(store.get(StatusRef(pool)))
        if status is not None:
            return Seen(status.epoch, status.shards)
    return None


def _announce(ports: Ports, pool: str, beyond: Sequence[WorkId], due: EpochMs | None) -> _Known:
    """Points at work items from the shard that every loop reads, and reads the status again.

    A loop that has gone to rest meanwhile did not see the pointers.
    """
    at = EpochMs(max(ports.clock.now(), due or 0))
    ports.fan_out(lambda work_id: put_pointer(ports, pool, work_id, at), beyond)
    return _known(ports, pool)


def epoch_of(ports: Ports, pool: str) -> int:
    """Returns the pool's epoch, for work items that are about to be stored.

    Raises StoreUnavailable.
    """
    return _known(ports, pool).epoch


def ensure_registered(ports: Ports, pool: str) -> None:
    """Makes the pool known to the watchdog, before its first work item is stored.

    The watchdog then finds every stored work item, acknowledged or not [WP-3]. A role that may not
    write the registry leaves that to the watchdog, which registers the pools that its deployment
    names. This is logged, since a pool that no deployment names stays unknown. Raises
    StoreUnavailable if the pool may or may not be known.
    """
    if readable(ports.store.get(RegistrationRef(pool))) is not None:
        return
    try:
        ports.store.write(Put(Registration(pool=pool, registered_at=ports.clock.now())))
    except StoreDenied as error:
        ports.telemetry.emit(events.RegistrationDenied(pool=pool, error=str(error)))


def win_wake(ports: Ports, pool: str, life_ms: int) -> tuple[int, LoopStatus | None] | None:
    """Returns the generation that a far wake starts, and the status as read before.

    `None` means that none is needed, or that another caller was faster. Sleeps before, as long as
    nothing is to be done, and takes nothing meanwhile. `life_ms`: time left of this invocation.
    """
    known = _known(ports, pool)
    if known.status is not None and known.status.state is LoopState.WAITING:
        ledger = readable(ports.store.get(LedgerRef(pool)))
        wait_ms = wake_wait_ms(known.status, ledger, ports.clock.now(), life_ms=life_ms)
        if wait_ms:
            ports.clock.sleep(wait_ms)
            known = _known(ports, pool)
    generation = _win(ports, pool, known, KickReason.WAKE, due=None)
    return None if generation is None else (generation, known.status)


def current_status(store: Store, pool: str, generation: int) -> LoopStatus | None:
    """Returns the status if it names this generation as the running one; else `None`.

    Raises StoreUnavailable.
    """
    return running_in(generation, store.get(StatusRef(pool)))


def running_in(generation: int, status: object) -> LoopStatus | None:
    """Returns the status that was read if it names this generation as the running one; else `None`."""
    if not isinstance(status, LoopStatus):
        return None
    is_current = status.state is LoopState.RUNNING and status.generation == generation
    return status if is_current else None


@dataclass(frozen=True, slots=True)
class _Known:
    """A pool's status, or its other control items if it has none.

    A status is missing in a new pool, or was removed or damaged.
    """

    status: LoopStatus | None
    ledger: Ledger | None = None
    config: Config | None = None
    damage: Unreadable | None = None
    """The status item, where it cannot be read."""

    @property
    def shards(self) -> int:
        return 1 if self.status is None else self.status.shards

    @property
    def epoch(self) -> int:
        if self.status is not None:
            return self.status.epoch
        # Of a config that is gone or damaged, too, the ledger knows the epoch that was drained
        # last: an older one never is.
        known = max(
            (each.epoch for each in (self.config, self.ledger) if each is not None), default=0
        )
        # What cannot be read may have been one ahead: `cancel_all` raises the status's first.
        return known if self.damage is None else known + 1


def _known(ports: Ports, pool: str) -> _Known:
    status = ports.store.get(StatusRef(pool))
    if status is not None and not isinstance(status, Unreadable):
        return _Known(status)
    ledger, config = (
        readable(ports.store.get(LedgerRef(pool))),
        readable(ports.store.get(ConfigRef(pool))),
    )
    return _Known(None, ledger, config, damage=status)


def _win(
    ports: Ports,
    pool: str,
    known: _Known,
    reason: KickReason,
    *,
    due: EpochMs | None,
    beside: Sequence[Callable[[], None]] = (),
) -> int | None:
    """Returns the generation that this kick has won; `None` means that it needs or gets none.

    `beside`: calls to make at the time of its write. A kick that is not needed makes none.
    """
    token, now = ports.entropy.token(), ports.clock.now()
    decision = decide_kick(
        known.status,
        pool,
        reason,
        due=due,
        now=now,
        token=token,
        ledger=known.ledger,
        epoch=known.epoch,
    )
    if isinstance(decision, NotNeeded):
        return None
    if known.status is None:
        # Before the status: the watchdog must know a pool from the moment at which it can have work
        # items that no loop sees.
        ensure_registered(ports, pool)
    if known.damage is not None and isinstance(decision.write, Put):
        # Over an item that cannot be read. Two kicks that do so name the same generation, and one
        # of their loops becomes the holder.
        decision = replace(decision, write=Put(decision.write.record))
        lost = "when it meant to wake; its epoch is counted on from its config's"
        ports.telemetry.emit(
            events.ControlRepaired(pool=pool, item="status", reason=known.damage.reason, lost=lost)
        )
    steps: list[Callable[[], object]] = [partial(ports.store.write, decision.write), *beside]
    try:
        ports.fan_out(lambda step: step(), steps)
    except ConditionFailed as lost:
        # One's own write, repeated by the SDK after a lost answer, fails on itself.
        if not (isinstance(lost.current, LoopStatus) and lost.current.written_by == token):
            return None
    return decision.generation


def invoke_loop(ports: Ports, pool: str, generation: int, *, reason: str) -> None:
    """Starts a loop invocation of this generation.

    A failure is logged, and the watchdog repairs it when the lease has expired.
    """
    arn = loop_arn(ports)
    if arn is None:
        ports.telemetry.emit(events.KickFailed(pool=pool, reason=reason, error=_NO_LOOP))
        return
    order = LoopRequest(table=ports.table, pool=pool, generation=generation)
    for attempt in range(1, limits.INVOKE_TRIES + 1):
        try:
            ports.invoker.start_loop(arn, order)
        except InvokeThrottled:
            if attempt < limits.INVOKE_TRIES:
                ports.clock.sleep(limits.INVOKE_RETRY_MS)
        except (InvokeRefused, InvokeUnanswered) as error:
            ports.telemetry.emit(
                events.KickFailed(
                    pool=pool, reason=reason, error=str(error) or type(error).__name__
                )
            )
            return
        else:
            ports.telemetry.emit(events.Kicked(pool=pool, reason=reason, generation=generation))
            return
    ports.telemetry.emit(events.KickFailed(pool=pool, reason=reason, error="throttled"))


def loop_arn(ports: Ports) -> str | None:
    """Returns the loop's function, from the environment or the table's deployment item."""
    if ports.loop_arn is not None:
        return ports.loop_arn
    deployment = readable(ports.store.get(DeploymentRef()))
    return None if deployment is None else deployment.loop_arn

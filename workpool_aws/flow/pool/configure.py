"""Sets and reads a pool's limits: programs' base, the deployed limit, and people's override."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.pool.configure import changed_config, is_set
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool.kick import kick
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import DEFAULT_AUTHOR, Config
from workpool_aws.model.refs import ConfigRef, LedgerRef, RegistrationRef, Unreadable, readable
from workpool_aws.model.writes import Above, Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports, Store, Telemetry

if TYPE_CHECKING:
    from workpool_aws.core.pool.configure import Base, DeployedTerms, OverrideChange
    from workpool_aws.model.record import Record

__all__ = [
    "deploy_limit",
    "ensure_base",
    "follow_epoch",
    "in_force",
    "is_known",
    "load",
    "override",
]


def load(ports: Ports, pool: str) -> Config | None:
    """Returns the config of a pool; `None` means that none was set, so the defaults hold.

    Raises StoreUnavailable, also for a damaged config.
    """
    config = ports.store.get(ConfigRef(pool))
    if isinstance(config, Unreadable):
        raise StoreUnavailable(
            f"the config item of pool {pool!r} is damaged, so nothing starts. "
            f"`configure` writes it again ({config})"
        )
    return config


def is_known(ports: Ports, pool: str) -> bool:
    """True if the table has such a pool: it once had a work item, or was given a limit."""
    found = ports.store.get_many([RegistrationRef(pool), ConfigRef(pool)])
    return bool(found)


def in_force(store: Store, telemetry: Telemetry, pool: str) -> Config | None:
    """Returns the config for loop and watchdog: as `load`, but a damaged one lets nothing start.

    It may have paused the pool. It is logged and stays for people to repair, by `configure` or in
    the table. Raises StoreUnavailable.
    """
    config = store.get(ConfigRef(pool))
    if isinstance(config, Unreadable):
        telemetry.emit(
            events.SetAside(
                pool=pool, partition=config.partition, sort=config.sort, reason=config.reason
            )
        )
        return Config(
            pool=pool, version=0, max_parallelism=0, base_by=DEFAULT_AUTHOR, base_at=EpochMs(0)
        )
    return readable(config)


def ensure_base(ports: Ports, pool: str, base: Base, *, by: str) -> None:
    """Makes the limits that this program gives explicitly the pool's base."""
    given = base.fields()
    if not given:
        return
    for _ in range(limits.CONFIG_TRIES):
        config = load(ports, pool)
        if config is not None and is_set(config, given):
            break
        if config is not None and config.base_by != DEFAULT_AUTHOR:
            _report_other(ports, config, base)
        changes = {**given, "base_by": by, "base_at": ports.clock.now()}
        if _write(ports, pool, config, changes) is not None:
            _announce(ports, pool, first=config is None)
            break
    else:
        raise StoreUnavailable(f"the config of pool {pool!r} kept changing")
    ours = base.max_parallelism
    if config is not None and ours is not None and config.deployed_parallelism not in (None, ours):
        ignored = events.BaseIgnored(pool=pool, ours=ours, deployed=config.deployed_parallelism)
        ports.telemetry.emit(ignored)


def _report_other(ports: Ports, config: Config, base: Base) -> None:
    """Reports that this program gives a pool another base than the program before it."""
    ours, rate = base.max_parallelism, base.rate_limit
    theirs = config.max_parallelism
    event = events.ConfigAlternates(
        pool=config.pool,
        ours=theirs if ours is None else ours,
        theirs=theirs,
        theirs_by=config.base_by,
        our_rate=None if rate is None else str(rate),
        their_rate=None if config.rate_limit is None else str(config.rate_limit),
    )
    ports.telemetry.emit(event)


def deploy_limit(ports: Ports, pool: str, terms: DeployedTerms) -> bool:
    """Sets the deployment's limits of a pool; where it gives none, the programs' base holds again.

    False means that they were set already. When it returns, no start is committed that they forbid,
    unless an override allows it.
    """
    for _ in range(limits.CONFIG_TRIES):
        config = load(ports, pool)
        if is_set(config, terms.fields()):
            # Its writer may have died before the fence. The watchdog, which calls, kicks by itself.
            _fence(ports, pool)
            return False
        changes = {**terms.fields(), "deployed_at": ports.clock.now()}
        if _write(ports, pool, config, changes) is not None:
            _announce(ports, pool, first=True)
            return True
    raise StoreUnavailable(f"the config of pool {pool!r} kept changing")


def override(ports: Ports, pool: str, change: OverrideChange, *, by: str) -> Config:
    """Changes or drops the override.

    When it returns, no start is committed that it forbids [WP-13]. Running work items are not
    affected. Raises StoreUnavailable if the change may or may not hold.
    """
    for _ in range(limits.CONFIG_TRIES):
        config = _mended(ports, pool)
        written = _write(ports, pool, config, change.fields(by, ports.clock.now()))
        if written is not None:
            _announce(ports, pool, first=False)
            return written
    raise StoreUnavailable(f"the config of pool {pool!r} kept changing")


def _mended(ports: Ports, pool: str) -> Config | None:
    """Returns the config; a damaged one is replaced first, with the defaults of a new pool."""
    found = ports.store.get(ConfigRef(pool))
    if not isinstance(found, Unreadable):
        return found
    now = ports.clock.now()
    # Loops compare the version, and none has seen this one.
    blank = _blank(pool, version=now // 1_000, now=now)
    ports.store.write(Put(blank))
    lost = "its limits, whether it was paused, and its epoch"
    ports.telemetry.emit(
        events.ControlRepaired(pool=pool, item="config", reason=found.reason, lost=lost)
    )
    return blank


def _blank(pool: str, *, version: int, now: EpochMs) -> Config:
    return Config(
        pool=pool,
        version=version,
        max_parallelism=limits.PARALLELISM_DEFAULT,
        base_by=DEFAULT_AUTHOR,
        base_at=now,
    )


def follow_epoch(ports: Ports, pool: str, epoch: int) -> None:
    """Has the loop cancel the work items of older epochs.

    When it returns, no start of such a work item is committed [WP-13].
    """
    for _ in range(limits.CONFIG_TRIES):
        config = load(ports, pool)
        if config is not None and config.epoch >= epoch:
            break  # a later `cancel_all` covers this one
        # Read after the epoch was raised, so it is no earlier than any work item that this must
        # cover, however long this process was delayed.
        changes: dict[str, object] = {
            "epoch": epoch,
            "epoch_at": max(ports.clock.now(), (config and config.epoch_at) or 0),
        }
        if _write(ports, pool, config, changes) is not None:
            break
    else:
        raise StoreUnavailable(f"the config of pool {pool!r} kept changing")
    _announce(ports, pool, first=False, reason=KickReason.CANCEL)


def _write(
    ports: Ports, pool: str, config: Config | None, changes: dict[str, object]
) -> Config | None:
    """Returns the config as written; `None` means that another process changed it first."""
    try:
        if config is None:
            config = _blank(pool, version=0, now=ports.clock.now())
            first = changed_config(config, changes)
            ports.store.write(Put(first, IsAbsent()))
            return first
        update = Update(
            ref=ConfigRef(pool),
            set={**changes, "version": config.version + 1},
            condition=Is("version", config.version),
        )
        record: Record | Unreadable | None = ports.store.write(update).record
    except ConditionFailed as lost:
        # One's own write, repeated by the SDK after a lost answer, fails on itself.
        record = lost.current
        if not isinstance(record, Config) or not is_set(record, changes):
            return None
    return record if isinstance(record, Config) else None


def _announce(
    ports: Ports, pool: str, *, first: bool, reason: KickReason = KickReason.CONFIGURE
) -> None:
    """Makes a running loop read the change, and starts a resting one.

    `first`: there was no config before, and perhaps never a loop.
    """
    if _fence(ports, pool) or not first:
        kick(ports, pool, reason)


def _fence(ports: Ports, pool: str) -> bool:
    """Keeps a pass that read the old config from committing.

    False means that there is no ledger, so no loop ever ran.
    """
    try:
        ports.store.write(
            Update(ref=LedgerRef(pool), add={"version": 1}, condition=Above("version", -1))
        )
    except ConditionFailed as met:
        # No loop commits to a ledger whose version is no number.
        return met.current is not None
    return True

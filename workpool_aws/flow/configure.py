"""Sets and reads the limits of a pool: base (what programs say) and override (what people say)."""

from __future__ import annotations

from workpool_aws.core import limits
from workpool_aws.core.configure import DEPLOYMENT, NOBODY, base_changes, changed_config, deployed_changes, override_changes
from workpool_aws.core.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.kick import kick
from workpool_aws.model import facts
from workpool_aws.model.loop import Config
from workpool_aws.model.refs import ConfigRef, LedgerRef
from workpool_aws.model.writes import Is, IsAbsent, Put, Update
from workpool_aws.ports import ConditionFailed, Ports

__all__ = ["ensure_base", "ensure_deployed", "load", "override"]

_TRIES = 8


def load(ports: Ports, pool: str) -> Config | None:
    """The config of a pool; None when nobody ever set one (the defaults hold)."""
    config = ports.store.get(ConfigRef(pool))
    if config is not None and not isinstance(config, Config):
        raise StoreUnavailable(f"the config item of pool {pool!r} is damaged: {config}")
    return config


def ensure_base(ports: Ports, pool: str, *, max_parallelism: int, explicit: bool, by: str) -> None:
    """Make the pool's base limit what this program says, if it says anything (`explicit`) and the deployment says nothing."""
    if not explicit:
        return
    for _ in range(_TRIES):
        config = load(ports, pool)
        changes = base_changes(config, max_parallelism=max_parallelism, by=by, now=ports.clock.now())
        if config is not None and config.max_parallelism != max_parallelism:
            _tell_other_base(ports, config, max_parallelism)
        if changes is None:
            return
        if _write(ports, pool, config, changes) is not None:
            _announce(ports, pool, first=config is None)
            return
    raise StoreUnavailable(f"the config of pool {pool!r} kept changing")


def ensure_deployed(ports: Ports, pool: str, max_parallelism: int | None) -> None:
    """Make the pool's base limit what the deployment says; None: it says none, and a program may set one again.

    When it returns, no start is committed that the limit forbids. Raises StoreUnavailable: the change may or may not hold.
    """
    for _ in range(_TRIES):
        config = load(ports, pool)
        changes = deployed_changes(config, max_parallelism=max_parallelism, now=ports.clock.now())
        if changes is None:
            return
        if _write(ports, pool, config, changes) is not None:
            _announce(ports, pool, first=config is None)
            return
    raise StoreUnavailable(f"the config of pool {pool!r} kept changing")


def _tell_other_base(ports: Ports, config: Config, ours: int) -> None:
    if config.base_by == DEPLOYMENT:
        ports.telemetry.tell(facts.BaseIgnored(pool=config.pool, ours=ours, deployed=config.max_parallelism))
    elif config.base_by != NOBODY:
        ports.telemetry.tell(facts.ConfigAlternates(pool=config.pool, ours=ours, theirs=config.max_parallelism, theirs_by=config.base_by))


def override(ports: Ports, pool: str, *, max_parallelism: int | None, paused: bool | None, reset: bool, by: str) -> Config:
    """Set, or drop, what overrides the base; None leaves a value as it is. When it returns, no start is committed that it forbids [WP-13].

    Lowering recalls nothing that runs. Raises StoreUnavailable: the change may or may not hold.
    """
    for _ in range(_TRIES):
        config = load(ports, pool)
        changes = override_changes(max_parallelism=max_parallelism, paused=paused, reset=reset, by=by, now=ports.clock.now())
        written = _write(ports, pool, config, changes)
        if written is not None:
            _announce(ports, pool, first=False)
            return written
    raise StoreUnavailable(f"the config of pool {pool!r} kept changing")


def _write(ports: Ports, pool: str, config: Config | None, changes: dict[str, object]) -> Config | None:
    """The config as written; None when somebody else changed it first."""
    try:
        if config is None:
            blank = Config(pool=pool, version=0, max_parallelism=limits.PARALLELISM_DEFAULT, base_by=NOBODY, base_at=ports.clock.now())
            config = blank
            first = changed_config(blank, changes)
            ports.store.write(Put(first, IsAbsent()))
            return first
        update = Update(ref=ConfigRef(pool), set={**changes, "version": config.version + 1}, condition=Is("version", config.version))
        record = ports.store.write(update).record
    except ConditionFailed as lost:
        return _own(lost.current, config, changes)
    return record if isinstance(record, Config) else None


def _own(current: object, config: Config | None, changes: dict[str, object]) -> Config | None:
    """One's own write, repeated by the SDK after a lost answer: the item shows all of it."""
    if not isinstance(current, Config) or config is None or current.version != config.version + 1:
        return None
    return current if all(getattr(current, name) == value for name, value in changes.items()) else None


def _announce(ports: Ports, pool: str, *, first: bool) -> None:
    """Make the change felt by a loop that runs, and start one that rests. `first`: there was no config before, and maybe no loop ever."""
    # The bump fences off a pass that read the old config: it cannot commit any more.
    try:
        ports.store.write(Update(ref=LedgerRef(pool), add={"version": 1}))
    except ConditionFailed:  # no ledger yet: no loop ever ran
        if first:
            return
    kick(ports, pool, KickReason.CONFIGURE)

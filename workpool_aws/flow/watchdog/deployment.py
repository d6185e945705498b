"""Keeps the table's deployment item and the deployed limits equal to the watchdog's environment.

| step | commit point | lost afterwards? |
|---|---|---|
| limits of pools | each pool's config, then its ledger's version | the item does not name them yet: the next tick repeats it |
| deployment item | its own put, last, at the version that was read | nothing |
| limits, if another process wrote the item first | the item's limits, over those just set | they stay until the next write of the item |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core.watchdog.deployment import differs, is_due, limits_to_set, to_record
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.pool import configure
from workpool_aws.model import events
from workpool_aws.model.refs import DeploymentRef, Unreadable, readable
from workpool_aws.model.writes import Condition, Is, IsAbsent, Put
from workpool_aws.ports import ConditionFailed, Ports, Store
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.core.pool.configure import DeployedTerms
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Deployment

__all__ = ["keep_current", "record", "would_record"]

_OVERTAKEN = "another deployment wrote the deployment item meanwhile"


def would_record(store: Store, deployed: Deployment | None, now: EpochMs) -> bool:
    """True if a watchdog with this environment would write at `now`.

    Raises StoreUnavailable.
    """
    known = readable(store.get(DeploymentRef()))
    return deployed is not None and is_due(known, deployed, now)


def record(store: Store, deployed: Deployment) -> None:
    """Writes the deployment item over any other."""
    store.write(Put(deployed))


def keep_current(ports: Ports) -> Deployment | None:
    """Writes the deployment of this process's environment, if the table's item differs.

    Returns the item as it was read, or written. `None` means that it is not known. Never raises.
    Costs one read if nothing changed. A process whose environment does not name the loop reads and
    writes nothing. One that another deployment replaced within the hour writes nothing.
    """
    if ports.deployed is None:
        return None
    try:
        return _Recording(ports, ports.deployed).keep_current(ports.clock.now())
    except StoreUnavailable as error:
        ports.telemetry.emit(events.DeploymentNotRecorded(pool="", error=str(error)))
    return None


@dataclass(frozen=True, slots=True)
class _Recording:
    """The deployment of this process's environment, on its way into the table."""

    ports: Ports
    deployed: Deployment

    def keep_current(self, now: EpochMs) -> Deployment | None:
        """Writes it if the table's item differs, and returns the item; `None` means a lost race.

        Raises StoreUnavailable: the next tick repeats it.
        """
        ports, deployed = self.ports, self.deployed
        item = ports.store.get(DeploymentRef())
        known = readable(item)
        if not is_due(known, deployed, now):
            return known
        # A limit that could not be set stays as the item has it, so the next tick sees the
        # difference, and tries that one again.
        unset = [
            pool
            for pool, limit in limits_to_set(known, deployed).items()
            if not self._set_limit(pool, limit)
        ]
        recorded = to_record(known, deployed, unset=unset, now=now)
        if recorded == known:
            return known
        if not self._write(recorded, over=item):
            ports.telemetry.emit(events.DeploymentNotRecorded(pool="", error=_OVERTAKEN))
            self._yield_limits()
            return None
        if known is not None and known.loop_arn != deployed.loop_arn:
            ports.telemetry.emit(
                events.DeploymentReplaced(
                    pool="", loop_arn=deployed.loop_arn, replaced=known.loop_arn
                )
            )
        if not differs(recorded, deployed):
            ports.telemetry.emit(events.DeploymentRecorded(pool="", loop_arn=deployed.loop_arn))
        return recorded

    def _write(self, recorded: Deployment, *, over: Deployment | Unreadable | None) -> bool:
        """Writes the item, if it is unchanged since it was read as `over`."""
        condition: Condition | None = IsAbsent()
        if isinstance(over, Unreadable):
            condition = None  # a damaged item is replaced, whatever it contains
        elif over is not None:
            condition = Is("version", over.version)
        try:
            self.ports.store.write(Put(recorded, condition))
        except ConditionFailed as lost:
            # One's own write, repeated by the SDK after a lost answer, fails on itself.
            return lost.current == recorded
        return True

    def _yield_limits(self) -> None:
        """Sets the item's limits over those that this process has just set.

        The writer of the item would not check them again.
        """
        item = readable(self.ports.store.get(DeploymentRef()))
        if item is not None:
            for pool, limit in limits_to_set(self.deployed, item).items():
                self._set_limit(pool, limit)

    def _set_limit(self, pool: str, terms: DeployedTerms) -> bool:
        ports = self.ports
        try:
            changed = configure.deploy_limit(ports, pool, terms)
        except StoreUnavailable as error:
            ports.telemetry.emit(events.DeploymentNotRecorded(pool=pool, error=str(error)))
            return False
        if changed:
            rate = None if terms.rate_limit is None else str(terms.rate_limit)
            ports.telemetry.emit(
                events.LimitDeployed(
                    pool=pool, max_parallelism=terms.max_parallelism, rate_limit=rate
                )
            )
        return True

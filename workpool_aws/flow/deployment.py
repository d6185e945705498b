"""Keeps the table's deployment item, and the limits that the deployment gives to pools, as the watchdog's environment says.

| step | commit point | lost afterwards? |
|---|---|---|
| limits of pools | each pool's config, then its ledger's version | the item is not written yet: the next tick does it again |
| deployment item | its own put, last | nothing |
"""

from __future__ import annotations

from workpool_aws.core.deployment import differs, limits_to_set
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow import configure
from workpool_aws.model import facts
from workpool_aws.model.loop import Deployment
from workpool_aws.model.refs import DeploymentRef
from workpool_aws.model.writes import Put
from workpool_aws.ports import Ports, Store

__all__ = ["is_current", "keep_current", "read_deployment", "record"]


def read_deployment(store: Store) -> Deployment | None:
    """What the table knows of its deployment; None: nothing, or the item is damaged. Raises StoreUnavailable."""
    found = store.get(DeploymentRef())
    return found if isinstance(found, Deployment) else None


def is_current(store: Store, deployed: Deployment) -> bool:
    """Whether the table knows exactly this of its deployment."""
    return not differs(read_deployment(store), deployed)


def record(store: Store, deployed: Deployment) -> None:
    """Write the deployment item. The last writer wins: two deployments of one table would take turns."""
    store.write(Put(deployed))


def keep_current(ports: Ports) -> None:
    """Write down what this process's environment says of the deployment, if the table knows anything else. Never raises.

    Costs one read when nothing changed. A process whose environment does not name the loop has nothing to say.
    """
    if ports.deployed is None:
        return
    try:
        known = read_deployment(ports.store)
        if not differs(known, ports.deployed):
            return
        answers = [_set_limit(ports, pool, limit) for pool, limit in limits_to_set(known, ports.deployed).items()]
        if not all(answers):
            return  # the item stays as it is, so the next tick sees the difference and tries again
        record(ports.store, ports.deployed)
    except StoreUnavailable as error:
        ports.telemetry.tell(facts.DeploymentNotRecorded(pool="", error=str(error)))
        return
    ports.telemetry.tell(facts.DeploymentRecorded(pool="", loop_arn=ports.deployed.loop_arn))


def _set_limit(ports: Ports, pool: str, limit: int | None) -> bool:
    try:
        changed = configure.deploy_limit(ports, pool, limit)
    except StoreUnavailable as error:
        ports.telemetry.tell(facts.DeploymentNotRecorded(pool=pool, error=str(error)))
        return False
    if changed:
        ports.telemetry.tell(facts.LimitDeployed(pool=pool, max_parallelism=limit))
    return True

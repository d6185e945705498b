"""Keeps in the table what the deployment says: where its functions are, and the limits of its pools."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.configure import ensure_deployed
from workpool_aws.flow.watch import registered_pools
from workpool_aws.model.loop import Deployment
from workpool_aws.model.refs import DeploymentRef
from workpool_aws.model.writes import Put
from workpool_aws.ports import Ports

__all__ = ["keep_deployment", "keep_limits"]


def keep_deployment(ports: Ports, deployment: Deployment) -> None:
    """Write where the functions are, if the table does not say so already: callers whose environment does not tell read it there.

    Raises StoreUnavailable: it may or may not be written; the next tick looks again.
    """
    if ports.store.get(DeploymentRef()) != deployment:
        ports.store.write(Put(deployment))


def keep_limits(ports: Ports, said: Mapping[str, int]) -> None:
    """Make the deployment's limits the pools' bases, and free the bases of pools of which it says nothing (any more).

    Raises StoreUnavailable when one pool could not be changed; the others were all the same [WP-12].
    """
    trouble = None
    for pool in dict.fromkeys([*said, *registered_pools(ports.store, ports.telemetry)]):
        try:
            ensure_deployed(ports, pool, said.get(pool))
        except StoreUnavailable as error:
            trouble = error
    if trouble is not None:
        raise trouble

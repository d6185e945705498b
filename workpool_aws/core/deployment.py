"""Decides what follows from what the watchdog's environment says of the deployment, beside what the table knows of it."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.model.loop import Deployment

__all__ = ["differs", "limits_to_set"]


def differs(known: Deployment | None, deployed: Deployment) -> bool:
    """Whether the table is to be told. `known` None: it knows nothing, or what it knew is damaged."""
    return known != deployed


def limits_to_set(known: Deployment | None, deployed: Deployment) -> Mapping[str, int | None]:
    """The limit of each pool that the deployment names; None for one that it named last time and does not name any more.

    All that it names, not only what changed: a config may have been written before a crash, or restored since.
    """
    dropped: dict[str, int | None] = {} if known is None else dict.fromkeys((limit.pool for limit in known.limits), None)
    return dropped | dict(deployed.limits)

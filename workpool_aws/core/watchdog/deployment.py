"""Compares the deployment in the watchdog's environment with the table's deployment item."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Deployment

__all__ = ["differs", "is_due", "limits_to_set", "schedules_differ", "to_record", "with_schedules"]


def differs(known: Deployment | None, deployed: Deployment) -> bool:
    """True if the table's item differs from the deployment.

    `known` is `None` if there is no such item, or a damaged one.
    """
    if known is None:
        return True
    # Schedules come with the tick, not from the environment.
    return replace(known, version=0, replaced=(), replaced_at=None, schedules=None) != deployed


def schedules_differ(
    known: Deployment | None, deployed: Deployment | None, digest: str | None
) -> bool:
    """True if the schedules of this digest are to be declared.

    That is if the table has others, and its deployment is this one. One that another deployment
    replaced declares nothing.
    """
    if known is None or deployed is None or known.loop_arn != deployed.loop_arn:
        return False
    return known.schedules != digest


def with_schedules(known: Deployment, digest: str | None) -> Deployment:
    """Returns the deployment item once these schedules are declared."""
    return replace(known, schedules=digest, version=known.version + 1)


def is_due(known: Deployment | None, deployed: Deployment, now: EpochMs) -> bool:
    """True if the deployment is to be written now.

    That is if the item differs, unless another deployment replaced this one within the hour. Two
    deployments of one table would otherwise replace each other each minute, and each turn writes to
    every pool on whose limit they disagree. The hour ends, since the other deployment may be gone.
    """
    if known is None or not differs(known, deployed):
        return known is None
    return deployed.loop_arn not in _lately_replaced(known, now)


def limits_to_set(known: Deployment | None, deployed: Deployment) -> Mapping[str, int | None]:
    """Returns the limit of each pool for which the table has another one.

    `None` stands for a pool that the deployment does not name any more.
    """
    before: Mapping[str, int] = {} if known is None else dict(known.limits)
    named = dict(deployed.limits)
    return {
        pool: named.get(pool) for pool in {**before, **named} if before.get(pool) != named.get(pool)
    }


def to_record(
    known: Deployment | None, deployed: Deployment, *, unset: Collection[str], now: EpochMs
) -> Deployment:
    """Returns the next deployment item of the table.

    `unset`: pools whose limit could not be set. The item keeps their old limit.
    """
    before = () if known is None else known.limits
    limits_after = [limit for limit in deployed.limits if limit.pool not in unset] + [
        limit for limit in before if limit.pool in unset
    ]
    recorded = replace(deployed, limits=tuple(sorted(limits_after)))
    if known is None:
        return recorded
    recorded = replace(
        recorded,
        schedules=known.schedules,
        version=known.version,
        replaced=known.replaced,
        replaced_at=known.replaced_at,
    )
    if known.loop_arn != deployed.loop_arn:
        replaced = tuple(dict.fromkeys((*_lately_replaced(known, now), known.loop_arn)))
        recorded = replace(recorded, replaced=replaced, replaced_at=now)
    return recorded if recorded == known else replace(recorded, version=known.version + 1)


def _lately_replaced(known: Deployment, now: EpochMs) -> tuple[str, ...]:
    if known.replaced_at is None or now >= known.replaced_at + limits.DEPLOYMENT_TURN_MS:
        return ()
    return known.replaced

"""Compares the deployment in the watchdog's environment with the one that the table knows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Deployment

__all__ = ["differs", "is_due", "limits_to_set", "to_record"]


def differs(known: Deployment | None, deployed: Deployment) -> bool:
    """True if the table knows anything else.

    `known` `None` means it knows nothing, or what it knew is damaged.
    """
    return known is None or replace(known, version=0, replaced=(), replaced_at=None) != deployed


def is_due(known: Deployment | None, deployed: Deployment, now: EpochMs) -> bool:
    """True if the table is to be told now: it knows anything else, and no other deployment took this one's place within the hour.

    Two deployments of one table would otherwise take turns each minute, and each turn writes to
    every pool whose limit they disagree about. Not for ever: the other one may be gone.
    """
    if known is None or not differs(known, deployed):
        return known is None
    return deployed.loop_arn not in _lately_replaced(known, now)


def limits_to_set(known: Deployment | None, deployed: Deployment) -> Mapping[str, int | None]:
    """The limit of each pool of which the table does not know just this.

    `None` stands for one that the deployment does not name any more.
    """
    before: Mapping[str, int] = {} if known is None else dict(known.limits)
    named = dict(deployed.limits)
    return {
        pool: named.get(pool) for pool in {**before, **named} if before.get(pool) != named.get(pool)
    }


def to_record(
    known: Deployment | None, deployed: Deployment, *, unset: Collection[str], now: EpochMs
) -> Deployment:
    """Return the deployment item that the table keeps from now on.

    `unset`: pools whose limit could not be set; of these it goes on knowing the old one.
    """
    before = () if known is None else known.limits
    told = [limit for limit in deployed.limits if limit.pool not in unset] + [
        limit for limit in before if limit.pool in unset
    ]
    recorded = replace(deployed, limits=tuple(sorted(told)))
    if known is None:
        return recorded
    recorded = replace(
        recorded, version=known.version, replaced=known.replaced, replaced_at=known.replaced_at
    )
    if known.loop_arn != deployed.loop_arn:
        replaced = tuple(dict.fromkeys((*_lately_replaced(known, now), known.loop_arn)))
        recorded = replace(recorded, replaced=replaced, replaced_at=now)
    return recorded if recorded == known else replace(recorded, version=known.version + 1)


def _lately_replaced(known: Deployment, now: EpochMs) -> tuple[str, ...]:
    if known.replaced_at is None or now >= known.replaced_at + limits.DEPLOYMENT_TURN_MS:
        return ()
    return known.replaced

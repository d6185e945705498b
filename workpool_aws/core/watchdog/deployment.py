"""Compares the deployment in the watchdog's environment with the table's deployment item."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workpool_aws.core import limits
from workpool_aws.core.pool.configure import DeployedTerms
from workpool_aws.model.loop import DeployedLimit, DeployedRate
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Deployment

__all__ = ["differs", "is_due", "limits_to_set", "schedules_differ", "to_record", "with_schedules"]

Limit = TypeVar("Limit", DeployedLimit, DeployedRate)


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


def limits_to_set(known: Deployment | None, deployed: Deployment) -> Mapping[str, DeployedTerms]:
    """Returns the limits of each pool for which the table has others.

    A pool that the deployment does not name any more gets none.
    """
    before = {} if known is None else _terms_of(known)
    named = _terms_of(deployed)
    none = DeployedTerms()
    return {
        pool: named.get(pool, none)
        for pool in {**before, **named}
        if before.get(pool, none) != named.get(pool, none)
    }


def _terms_of(deployment: Deployment) -> dict[str, DeployedTerms]:
    slots, rates = dict(deployment.limits), dict(deployment.rates)
    return {
        pool: DeployedTerms(max_parallelism=slots.get(pool), rate_limit=rates.get(pool))
        for pool in {**slots, **rates}
    }


def to_record(
    known: Deployment | None, deployed: Deployment, *, unset: Collection[str], now: EpochMs
) -> Deployment:
    """Returns the next deployment item of the table.

    `unset`: pools whose limit could not be set. The item keeps their old limit.
    """
    before = () if known is None else known.limits
    rates_before = () if known is None else known.rates
    recorded = replace(
        deployed,
        limits=_after(before, deployed.limits, unset),
        rates=_after(rates_before, deployed.rates, unset),
    )
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


def _after(
    before: Iterable[Limit], deployed: Iterable[Limit], unset: Collection[str]
) -> tuple[Limit, ...]:
    """Returns the deployed limits, and those before of the pools whose limits could not be set."""
    after = [limit for limit in deployed if limit.pool not in unset]
    after += [limit for limit in before if limit.pool in unset]
    return tuple(sorted(after, key=lambda limit: limit.pool))


def _lately_replaced(known: Deployment, now: EpochMs) -> tuple[str, ...]:
    if known.replaced_at is None or now >= known.replaced_at + limits.DEPLOYMENT_TURN_MS:
        return ()
    return known.replaced

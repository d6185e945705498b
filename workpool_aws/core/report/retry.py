"""Decides if an attempt follows a failed one, and after which delay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workpool_aws.core import limits

if TYPE_CHECKING:
    from workpool_aws.model.messages import Report
    from workpool_aws.model.retry import RetryPolicy

__all__ = ["backoff_ms", "requeue_delay_ms", "retry_delay_ms"]


def retry_delay_ms(
    policy: RetryPolicy | None, report: Report, *, attempts_made: int, jitter: float
) -> int | None:
    """Returns the milliseconds until the next attempt; `None` means that none follows [WP-5].

    `attempts_made` counts the failed one too. `jitter` is a uniform number in [0, 1).
    """
    if policy is None or not report.retryable or attempts_made >= policy.max_attempts:
        return None
    if report.delay_ms is not None:
        return min(max(0, report.delay_ms), limits.DELAY_MS_MAX)
    return backoff_ms(policy, retries=attempts_made - 1, jitter=jitter)


def backoff_ms(policy: RetryPolicy, *, retries: int, jitter: float) -> int:
    """Returns `initial x base^(retries so far)`, capped, then times a factor in [0.5, 1.5).

    The factor is 1 if the policy has no jitter. The delay is at most a year.
    """
    cap: float = (
        limits.DELAY_MS_MAX
        if policy.max_backoff is None
        else policy.max_backoff.total_seconds() * 1000
    )
    initial = policy.initial_backoff.total_seconds() * 1000
    try:
        delay = min(initial * math.pow(policy.base, retries), cap)
    except OverflowError:
        # Only the power is beyond all numbers: no backoff stays none.
        delay = cap if initial else 0.0
    factor = 0.5 + jitter if policy.jitter else 1.0
    return min(round(delay * factor), limits.DELAY_MS_MAX)


def requeue_delay_ms(undelivered: int) -> int:
    """Returns the delay before the next start after a requeue: 1 s, doubling to 30 minutes."""
    return min(limits.REQUEUE_DELAY_MS << min(undelivered, 30), limits.REQUEUE_DELAY_MS_MAX)

"""The retry policy in messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from workpool_aws.adapters.wire.fields import Fields
from workpool_aws.model.retry import RetryPolicy

__all__ = ["retry_from_wire", "retry_to_wire"]

_MICROSECOND: Final = timedelta(microseconds=1)


def retry_to_wire(policy: RetryPolicy) -> dict[str, object]:
    """Returns a policy as messages carry it, with whole microseconds."""
    return {
        "max_attempts": policy.max_attempts,
        "initial_backoff_us": policy.initial_backoff // _MICROSECOND,
        "base": policy.base,
        "max_backoff_us": None
        if policy.max_backoff is None
        else policy.max_backoff // _MICROSECOND,
        "jitter": policy.jitter,
    }


def retry_from_wire(value: object) -> RetryPolicy:
    """Reads a policy. Raises ValueError or OverflowError for one that no program could have sent."""
    fields = Fields(value)
    max_backoff_us = fields.optional_integer("max_backoff_us", at_least=0)
    return RetryPolicy(
        max_attempts=fields.integer("max_attempts"),
        initial_backoff=timedelta(microseconds=fields.integer("initial_backoff_us")),
        base=fields.number("base"),
        max_backoff=None if max_backoff_us is None else timedelta(microseconds=max_backoff_us),
        jitter=fields.flag("jitter"),
    )

"""Proofs that a transaction was applied, or never will be [WP-9]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.model.record import Record
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId

__all__ = ["Receipt", "Void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Record):
    """The place of a transaction without work items [WP-9].

    Written by: the transaction itself, or its caller, who closes a doubt. Both put it if absent, so
    whichever is first decides. Read by: the caller. Removed by: TTL.
    """

    pool: str
    token: str
    applied: bool
    """True if the transaction wrote it. False means that the transaction can never be applied."""
    expires_at: int
    """TTL in epoch seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(Record):
    """Keeps a work item from being stored: the transaction that would store it is given up [WP-9].

    It lies at the key of the work item. Written by: the caller who closes a doubt, if there is no
    work item. Read by: the caller. The loop passes over it. Removed by: TTL.
    """

    pool: str
    id: WorkId
    expires_at: int
    """TTL in epoch seconds."""

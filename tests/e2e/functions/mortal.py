"""The functions of two examples, in processes that often die at the commit of a transaction."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

from bank import transfer
from shop import confirmed, place_order, send_email

from workpool_aws.adapters.dynamodb.store import DynamoStore

__all__ = ["confirmed", "front", "send_email", "transfer"]

DIES = 0.2
"""Chance to die before a commit, and to die after it."""

_transact = DynamoStore.transact


def _die_around(store: DynamoStore, writes: Sequence[Any], token: str | None = None) -> Any:
    if random.random() < DIES:
        os._exit(9)
    written = _transact(store, writes, token)
    if random.random() < DIES:
        os._exit(9)
    return written


DynamoStore.transact = _die_around


def front(event: dict[str, Any], _: object) -> str:
    """An API that places an order."""
    return place_order(event["order"], event["to"])

"""The condition by which a table leaves rows out of its answers."""

from __future__ import annotations

from typing import Final

from workpool_aws.model.work import State
from workpool_aws.model.writes import All, IsNot

__all__ = ["NOT_STARTED"]

NOT_STARTED: Final = All((IsNot("state", State.RUNNING), IsNot("state", State.FINISHED)))
"""Holds for pending work items, and for rows without a state: pointers, ticks, and damaged items."""

"""Questions about all pools of a table, above the facade: typed, paged, each with its cost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.insights.answers import (
        Costed,
        ErrorGroup,
        ErrorGroups,
        LastSeen,
        Matching,
        PoolInsight,
        PoolLastSeen,
        ReadCost,
        WorkFilter,
        WorkInsight,
        WorkRow,
        WorkRows,
    )
    from workpool_aws.insights.insights import Insights

__all__ = [
    "Costed",
    "ErrorGroup",
    "ErrorGroups",
    "Insights",
    "LastSeen",
    "Matching",
    "PoolInsight",
    "PoolLastSeen",
    "ReadCost",
    "WorkFilter",
    "WorkInsight",
    "WorkRow",
    "WorkRows",
]

_HOMES = {
    "Costed": "answers",
    "ErrorGroup": "answers",
    "ErrorGroups": "answers",
    "Insights": "insights",
    "LastSeen": "answers",
    "Matching": "answers",
    "PoolInsight": "answers",
    "PoolLastSeen": "answers",
    "ReadCost": "answers",
    "WorkFilter": "answers",
    "WorkInsight": "answers",
    "WorkRow": "answers",
    "WorkRows": "answers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

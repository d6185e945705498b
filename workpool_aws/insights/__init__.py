"""Questions about all pools of a table, above the facade: typed, paged, each with its cost."""

from __future__ import annotations

from workpool_aws.insights.answers import (
    Costed,
    ErrorGroup,
    ErrorGroups,
    PoolInsight,
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
    "PoolInsight",
    "ReadCost",
    "WorkFilter",
    "WorkInsight",
    "WorkRow",
    "WorkRows",
]

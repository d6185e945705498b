"""The `Workpool` construct. One statement deploys a table with its pools and their functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_cdk.errors import ConfigurationError
    from workpool_cdk.layer import WorkpoolLayer
    from workpool_cdk.monitoring import Monitoring
    from workpool_cdk.workpool import Workpool

__all__ = ["ConfigurationError", "Monitoring", "Workpool", "WorkpoolLayer"]

_HOMES = {
    "ConfigurationError": "errors",
    "Monitoring": "monitoring",
    "Workpool": "workpool",
    "WorkpoolLayer": "layer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

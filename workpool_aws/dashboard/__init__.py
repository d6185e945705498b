"""The dashboard: an ASGI application over `Insights`. Needs the extra `dashboard`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.dashboard.app import dashboard_app

__all__ = ["dashboard_app"]


def __getattr__(name: str) -> object:
    if name != "dashboard_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = import_module(f"{__name__}.app").dashboard_app
    globals()[name] = value
    return value

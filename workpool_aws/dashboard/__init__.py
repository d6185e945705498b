"""The dashboard: an ASGI application over `Insights`, and its server. Needs the extra `dashboard`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.dashboard.app import dashboard_app

__all__ = [
    "dashboard_app",
]

_HOMES = {
    "dashboard_app": "app",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""The dashboard: an ASGI application over `Insights`, and its server. Needs the extra `dashboard`."""

from __future__ import annotations

from workpool_aws.dashboard.app import dashboard_app

__all__ = ["dashboard_app"]

"""In-process AWS for development and tests, on a virtual or the real clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workpool_aws.local.cloud import LocalCloud
    from workpool_aws.local.failures import Failure, WorkFailed
    from workpool_aws.local.kernel.kernel import LocalCloudError
    from workpool_aws.local.services.invocations import Invocation
    from workpool_aws.local.stored_work import EnqueuedWork

__all__ = [
    "EnqueuedWork",
    "Failure",
    "Invocation",
    "LocalCloud",
    "LocalCloudError",
    "WorkFailed",
]

_HOMES = {
    "EnqueuedWork": "stored_work",
    "Failure": "failures",
    "Invocation": "services.invocations",
    "LocalCloud": "cloud",
    "LocalCloudError": "kernel.kernel",
    "WorkFailed": "failures",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

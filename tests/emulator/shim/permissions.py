"""Judges a call by the action and the resource that AWS judges it by.

MiniStack names the default group of the Scheduler, whatever group the call names, and takes calls
about a function's asynchronous settings for `lambda:GetFunction`.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions

DEFAULT = ":schedule/default/"
SETTINGS = {
    "GET": "GetFunctionEventInvokeConfig",
    "PUT": "PutFunctionEventInvokeConfig",
    "POST": "UpdateFunctionEventInvokeConfig",
    "DELETE": "DeleteFunctionEventInvokeConfig",
}
"""The actions of a function's asynchronous settings."""


def mend() -> None:
    """Judge calls as AWS does (AUTH=true)."""
    _mend_actions()
    original = iam_actions.extract_resource_arn
    assert callable(original)

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        query: dict[str, list[str]],
        *rest: Any,
    ) -> str:
        arn: str = original(service, method, path, headers, body, query, *rest)
        group = _group(body, query) if service == "scheduler" and DEFAULT in arn else None
        return arn.replace(DEFAULT, f":schedule/{group}/") if group else arn

    iam_actions.extract_resource_arn = extract_resource_arn


def _mend_actions() -> None:
    original = iam_actions._lambda_action
    assert callable(original)

    def lambda_action(method: str, path: str) -> str | None:
        words = path.rstrip("/").split("/")
        found: str | None = original(method, path)
        return SETTINGS.get(method) if words[-1] == "event-invoke-config" else found

    iam_actions._lambda_action = lambda_action


def _group(body: bytes, query: dict[str, list[str]]) -> str | None:
    try:
        named = json.loads(body or b"{}").get("GroupName")
    except (ValueError, AttributeError):
        return None
    return named or (query.get("groupName") or [None])[0]

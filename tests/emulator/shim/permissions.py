"""Owns which resource a call to the Scheduler is judged by: MiniStack names the default group, whatever group the call names."""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions

DEFAULT = ":schedule/default/"


def mend() -> None:
    """Judge calls about a schedule by the group that they name (AUTH=true)."""
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


def _group(body: bytes, query: dict[str, list[str]]) -> str | None:
    try:
        named = json.loads(body or b"{}").get("GroupName")
    except (ValueError, AttributeError):
        return None
    return named or (query.get("groupName") or [None])[0]

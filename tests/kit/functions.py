"""Functions of users that many tests deploy, and the table of a cloud that runs them."""

from __future__ import annotations

from typing import Any

from workpool_aws.local import LocalCloud
from workpool_aws.ports import Store


def echo(event: dict[str, Any], _: object) -> Any:
    return event.get("n")


def boom(event: dict[str, Any], _: object) -> None:
    raise ValueError(f"boom {event['n']}")


def double(event: dict[str, Any], _: object) -> int:
    return event["n"] * 2


def table_of(cloud: LocalCloud) -> Store:
    """Return the cloud's table, unmetered and without faults."""
    return cloud._engine_open.quiet(cloud.table)

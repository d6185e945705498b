"""Schedules that a deployment declares: their checks, and their form in the watchdog's tick."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Token

from workpool_aws.api.caller import Caller
from workpool_aws.api.declared import from_json, read_declared, to_json
from workpool_aws.errors import UsageError
from workpool_cdk.errors import ConfigurationError, must_be

__all__ = ["Schedules", "schedules_of_pools"]

_TICK_BYTES_MAX: Final = 200_000
"""EventBridge Scheduler takes an input of 256 KB. Names that CloudFormation makes up and the pools
need the rest."""
_ANY_FUNCTION: Final = "arn:aws:lambda:us-east-1:123456789012:function:any"
"""Stands for an address that only the deployment knows, while a schedule is checked."""


class Schedules:
    """The declared schedules of each pool, in the order in which they were added."""

    def __init__(self) -> None:
        self._by_pool: dict[str, list[dict[str, object]]] = {}

    def add(self, pool: str, definition: Mapping[str, object]) -> None:
        """Add a schedule: the arguments of `Workpool.schedule` by name.

        Raises:
            ConfigurationError: A value is not allowed, the pool has a schedule of this name, or
                there is no room for so many. Nothing was added.
        """
        field = f"schedules[{definition.get('name')!r}]"
        named = {
            each: _ANY_FUNCTION if isinstance(value, str) and Token.is_unresolved(value) else value
            for each, value in definition.items()
        }
        try:
            name, _ = read_declared(named, caller=Caller(), find=_as_named)
        except UsageError as error:
            raise ConfigurationError(f"{field}: {error}") from None
        others = self._by_pool.get(pool, [])
        if any(each["name"] == name for each in others):
            raise ConfigurationError(f"{field}: pool {pool!r} has a schedule of this name already")
        grown = {**self._by_pool, pool: [*others, to_json(definition)]}
        if len(json.dumps(grown)) > _TICK_BYTES_MAX:
            raise ConfigurationError(
                f"{field}: all schedules together take more than {_TICK_BYTES_MAX} bytes"
            )
        self._by_pool = grown

    def by_pool(self) -> Mapping[str, Sequence[object]]:
        """Returns the schedules of each pool that has any, as JSON."""
        return dict(sorted(self._by_pool.items()))


def schedules_of_pools(pools: Mapping[str, Mapping[str, object]]) -> Schedules:
    """Returns the schedules that the options of pools declare, each by its name.

    Raises:
        ConfigurationError: A value is not allowed.
    """
    found = Schedules()
    for pool, options in pools.items():
        given = options.get("schedules", {})
        if not isinstance(given, Mapping):
            raise must_be(f"pools[{pool!r}].schedules", "a mapping of names to options", given)
        for name, each in given.items():
            field = f"pools[{pool!r}].schedules[{name!r}]"
            if not isinstance(each, Mapping):
                raise must_be(field, "a mapping of options, fn among them", each)
            try:
                definition = from_json({**each, "name": name})
            except UsageError as error:
                raise ConfigurationError(f"{field}: {error}") from None
            found.add(pool, definition)
    return found


def _as_named(name: str, *, field: str, decorated: bool) -> str:
    """Returns the name itself, since the deployment is not there yet."""
    del field, decorated
    return name

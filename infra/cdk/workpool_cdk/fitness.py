"""Refuses features of Lambda with which a pool cannot work, at first and again at synth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import jsii
from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from constructs import IConstruct, IValidation

from workpool_cdk.errors import ConfigurationError

__all__ = ["LateChecks", "refuse_events_it_cannot_take", "refuse_own_settings", "refuse_unfit"]

_TENANTS: Final = (
    "it isolates tenants (TenancyConfig.PER_TENANT), so that Lambda refuses every event without a "
    "tenant's id, and a work item names none"
)
_DURABLE: Final = (
    "it is a durable function, whose executions go on for up to a year after the function's "
    "timeout, and Lambda sends no outcome of them to a destination. Let a plain "
    "function start the execution"
)
_MANAGED: Final = (
    "it runs on Lambda Managed Instances, which do not end code at the function's timeout, so "
    "that an attempt that was given up could still run beside the next one. Leave out its "
    "capacity provider"
)

_TWICE: Final = (
    "asynchronous settings a second time. Lambda keeps one configuration for each function, "
    "version or alias, and the pool must set it: leave the other out, or add an "
    "alias of the function"
)
_STOPPED: Final = (
    "its RecursiveLoop was changed after it was added; "
    "Lambda would drop every seventeenth work item"
)


def refuse_unfit(function: lambda_.Function) -> None:
    """Refuses a function whose starts a pool cannot follow.

    Raises:
        ConfigurationError: It isolates tenants, is durable, or runs on Managed Instances.
    """
    reason = _unfit(function)
    if reason is not None:
        raise ConfigurationError(f"{function.node.path}: {reason}")


def _unfit(function: lambda_.Function) -> str | None:
    resource = function.node.default_child
    if not isinstance(resource, lambda_.CfnFunction):
        return "it has no AWS::Lambda::Function of its own"
    if resource.tenancy_config is not None:
        return _TENANTS
    if resource.durable_config is not None:
        return _DURABLE
    return _MANAGED if resource.capacity_provider_config is not None else None


def refuse_events_it_cannot_take(
    path: str, resource: lambda_.CfnFunction, *, qualified: bool
) -> None:
    """Refuses a function that does not accept an event as a callback is sent.

    Raises:
        ConfigurationError: It isolates tenants, or it is durable and named without version or
            alias.
    """
    if resource.tenancy_config is not None:
        raise ConfigurationError(f"{path}: {_TENANTS}")
    if resource.durable_config is not None and not qualified:
        raise ConfigurationError(
            f"{path}: it is a durable function, which Lambda invokes by version or alias only; "
            "name one of these"
        )


def refuse_own_settings(holder: IConstruct, name: str) -> None:
    """Refuses a function, version or alias with asynchronous settings of its own.

    Raises:
        ConfigurationError: `retry_attempts`, `max_event_age`, `on_failure` or `on_success` were
            given to it, or `configure_async_invoke` was called.
    """
    if holder.node.try_find_child("EventInvokeConfig") is not None:
        raise ConfigurationError(
            f"{name}: it has asynchronous settings of its own "
            "(retry_attempts, max_event_age, on_success, on_failure). The pool must "
            "set them: leave them out, or add an alias of the function"
        )


@jsii.implements(IValidation)
class LateChecks:
    """Checks every added function again at synth, since a later statement may have changed it."""

    def __init__(self, scope: IConstruct) -> None:
        self._scope = scope
        self._added: dict[tuple[str, str], tuple[lambda_.Function, str, str]] = {}
        self._chained: dict[str, lambda_.Function] = {}

    def add(self, function: lambda_.Function, qualifier: str, settings_path: str) -> None:
        """Watch a function, version or alias.

        `settings_path`: the one asynchronous configuration that it may have.
        """
        self._added[function.node.path, qualifier] = (function, qualifier, settings_path)

    def add_chained(self, function: lambda_.Function) -> None:
        """Watch a function that must not stop chains of invocations."""
        self._chained[function.node.path] = function

    def validate(self) -> list[str]:
        """Returns the findings, one sentence each."""
        configs = [
            each
            for each in self._scope.node.root.node.find_all()
            if isinstance(each, lambda_.CfnEventInvokeConfig)
        ]
        stopped = [
            path for path, function in self._chained.items() if _recursive_loop(function) != "Allow"
        ]
        return [
            *(f"{path}: {_STOPPED}" for path in stopped),
            *(finding for added in self._added.values() for finding in _findings(*added, configs)),
        ]


def _recursive_loop(function: lambda_.Function) -> str | None:
    resource = function.node.default_child
    return resource.recursive_loop if isinstance(resource, lambda_.CfnFunction) else None


def _findings(
    function: lambda_.Function,
    qualifier: str,
    ours: str,
    configs: list[lambda_.CfnEventInvokeConfig],
) -> Iterator[str]:
    path, reason = function.node.path, _unfit(function)
    if reason is not None:
        yield f"{path}: {reason}"
    names = _names(function)
    for each in configs:
        if (
            each.node.path != ours
            and not names.isdisjoint(_spellings(each, each.function_name))
            and _is(qualifier, each)
        ):
            other = each.node.path.removesuffix("/Resource")
            yield f"{path}: {other} gives it {_TWICE}"


def _names(function: lambda_.Function) -> set[str]:
    """Returns every way in which a configuration of this app may name the function."""
    resource = function.node.default_child
    given = resource.function_name if isinstance(resource, lambda_.CfnFunction) else None
    known = {function.function_name, function.function_arn, *([given] if given else [])}
    return {spelling for name in known for spelling in _spellings(function, name)}


def _spellings(scope: IConstruct, name: str) -> set[str]:
    return {name, json.dumps(Stack.of(scope).resolve(name), sort_keys=True)}


def _is(qualifier: str, config: lambda_.CfnEventInvokeConfig) -> bool:
    return not {qualifier, json.dumps(Stack.of(config).resolve(qualifier))}.isdisjoint(
        _spellings(config, config.qualifier)
    )

"""Owns what a deployment does to users' functions: asynchronous settings, destinations, environment, and the checks that they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from workpool_cdk import settings as names
from workpool_cdk.errors import ConfigurationError
from workpool_cdk.functions import async_settings

__all__ = [
    "AsyncSettings",
    "Qualified",
    "allow_recursion",
    "function_of",
    "is_another",
    "mark_decorated",
    "name_beside",
    "point_at",
    "qualified",
    "refuse_elsewhere",
    "set_async",
]

_LATEST: Final = "$LATEST"
_MARK: Final = "WorkpoolAsync"
_PLACE_MARK: Final = "WorkpoolPlaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncSettings:
    """How Lambda treats events of one function, version or alias: there is one such configuration for each, whoever invokes it."""

    on_success: str | None
    on_failure: str
    retries: int
    event_age: Duration

    def differences(self, other: AsyncSettings) -> list[str]:
        """In what two differ, in words."""
        names = {
            "success destination": (self.on_success, other.on_success),
            "failure destination": (self.on_failure, other.on_failure),
            "retries": (self.retries, other.retries),
            "event age in seconds": (self.event_age.to_seconds(), other.event_age.to_seconds()),
        }
        return [name for name, (one, another) in names.items() if one != another]


@dataclass(frozen=True, slots=True)
class Qualified:
    """What is invoked: a function's newest code, a version or an alias. `function`: the one it belongs to, whose settings we may change."""

    arn: str
    base_arn: str
    qualifier: str
    function: lambda_.Function
    role: iam.IRole
    mark: str
    """What tells it from the function's other versions and aliases, in this app."""

    @property
    def arns(self) -> list[str]:
        """What IAM may see it as when its configuration is read: the bare function, and the one with the qualifier."""
        return [self.base_arn] if self.qualifier == _LATEST else [self.base_arn, self.arn]


class _Settled(Construct):
    """A mark under a function: what its asynchronous configuration is, and who made it."""

    def __init__(self, scope: Construct, construct_id: str, settings: AsyncSettings, owner: str) -> None:
        super().__init__(scope, construct_id)
        self.settings = settings
        self.owner = owner


class _Pointed(Construct):
    """A mark under a function: to which of our functions its environment points."""

    def __init__(self, scope: Construct, construct_id: str, places: Mapping[str, str]) -> None:
        super().__init__(scope, construct_id)
        self.places = places


# Python objects of jsii live as long as somebody knows them; a mark must outlive the call that made it.
_marks: Final[list[Construct]] = []


def qualified(target: IConstruct) -> Qualified:
    """A function of this app, or a version or alias of one.

    Raises:
        ConfigurationError: it is imported: its asynchronous settings and its role's permissions belong to whoever deploys it.
    """
    if isinstance(target, lambda_.Alias):
        arn, base, qualifier = target.function_arn, target.lambda_, target.alias_name
    elif isinstance(target, lambda_.Version):
        arn, base, qualifier = target.function_arn, target.lambda_, target.version
    elif isinstance(target, lambda_.Function):
        arn, base, qualifier = target.function_arn, target, _LATEST
    else:
        raise ConfigurationError(
            f"{target.node.path}: an imported function cannot be added: its asynchronous settings and its role are deployed elsewhere; "
            "add it in the app that deploys it"
        )
    if not _is_ours(base) or base.role is None:
        raise ConfigurationError(f"{target.node.path}: its function is imported, or its role is: both must be of this app")
    # The number of a version is only known when it is deployed.
    mark = target.node.addr[-8:] if Token.is_unresolved(qualifier) else qualifier
    return Qualified(arn, base.function_arn, qualifier, base, base.role, mark)


def function_of(grantee: object) -> lambda_.Function | None:
    """The function of this app whose environment a grantee runs in; None: it is none, nor a version or alias of one."""
    base = grantee.lambda_ if isinstance(grantee, lambda_.Alias | lambda_.Version) else grantee
    return base if isinstance(base, lambda_.Function) else None


def is_another(theirs: str | None, ours: str) -> bool:
    """Whether two accounts or regions are known to be two; None: it is nobody's."""
    return theirs is not None and theirs != ours and not Token.is_unresolved(theirs) and not Token.is_unresolved(ours)


def refuse_elsewhere(function: lambda_.Function, stack: Stack) -> None:
    """Let only functions pass that can be where the table is.

    Raises:
        ConfigurationError: its stack is for another account or region. Lambda sends no events across regions, and roles are an account's.
    """
    there = Stack.of(function)
    for what, theirs, ours in (("account", there.account, stack.account), ("region", there.region, stack.region)):
        if is_another(theirs, ours):
            raise ConfigurationError(f"{function.node.path}: it is in {what} {theirs}, and the pools' table in {ours}: both must be in one")


def _is_ours(function: IConstruct) -> TypeGuard[lambda_.Function]:
    return isinstance(function, lambda_.Function)


def set_async(target: Qualified, settings: AsyncSettings, *, owner: str) -> None:
    """Give a target its asynchronous configuration; nothing happens when it has this very one already.

    Raises:
        ConfigurationError: it has another one: of another pool, or one that was given to the function itself.
    """
    name = target.function.node.path
    mark = f"{_MARK}{'' if target.qualifier == _LATEST else target.mark}"
    found = target.function.node.try_find_child(mark)
    if isinstance(found, _Settled):
        differences = settings.differences(found.settings)
        if differences:
            raise ConfigurationError(
                f"{name}: {owner} and {found.owner} want different asynchronous settings ({', '.join(differences)}). A function has one "
                "asynchronous configuration: have its pools in one Workpool, with equal options, or give each its own alias of the function"
            )
        return
    if target.qualifier == _LATEST and target.function.node.try_find_child("EventInvokeConfig") is not None:
        raise ConfigurationError(
            f"{name}: it has asynchronous settings of its own (retry_attempts, max_event_age, on_success, on_failure). "
            "The pool must set them: leave them out, or add an alias of the function"
        )
    settled = _Settled(target.function, mark, settings, owner)
    _marks.append(settled)
    config = lambda_.CfnEventInvokeConfig(
        settled,
        "Settings",
        function_name=target.function.function_name,
        qualifier=target.qualifier,
        maximum_retry_attempts=settings.retries,
        maximum_event_age_in_seconds=settings.event_age.to_seconds(),
        destination_config=async_settings(on_success=settings.on_success, on_failure=settings.on_failure),
    )
    # Lambda checks that the role may send to the destination.
    config.node.add_dependency(target.role)


def allow_recursion(function: lambda_.Function) -> None:
    """Keep Lambda from stopping a chain of loop, worker and loop after sixteen hops.

    Raises:
        ConfigurationError: the function says `RecursiveLoop.TERMINATE`.
    """
    resource = function.node.default_child
    if not isinstance(resource, lambda_.CfnFunction):
        raise ConfigurationError(f"{function.node.path}: it has no AWS::Lambda::Function of its own")
    if resource.recursive_loop == "Terminate":
        raise ConfigurationError(
            f"{function.node.path}: it says RecursiveLoop.TERMINATE, with which Lambda would drop every seventeenth work; leave it out"
        )
    resource.recursive_loop = "Allow"


def mark_decorated(function: lambda_.Function) -> None:
    """Say for the library that the function's handler is decorated. Destinations alone could be a mistake."""
    function.add_environment(names.DECORATED, "1")


def name_beside(function: lambda_.Function, stack: Stack) -> str | None:
    """The function's name, for a resource of this stack; None: only the other stack's deployment will know it, and ours must not wait."""
    resource = function.node.default_child
    given = resource.function_name if isinstance(resource, lambda_.CfnFunction) else None
    if given is not None and not Token.is_unresolved(given):
        return given
    return function.function_name if Stack.of(function) is stack else None


def point_at(function: lambda_.Function, places: Mapping[str, str]) -> None:
    """Tell a function where our functions are, by variable. One that serves two tables is told nothing, and asks each table."""
    found = function.node.try_find_child(_PLACE_MARK)
    if isinstance(found, _Pointed):
        if found.places == places:
            return
        # Empty is as good as absent to the library, and a variable cannot be taken back.
        places = dict.fromkeys(places, "")
    else:
        _marks.append(_Pointed(function, _PLACE_MARK, places))
    for name, value in places.items():
        function.add_environment(name, value)

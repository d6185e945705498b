"""Settings that a deployment gives users' functions, and the checks that they agree.

They are the asynchronous configuration, with its destinations, and variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import Annotations, Duration, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, DependencyGroup, IConstruct

from workpool_cdk import settings as names
from workpool_cdk.checks import has
from workpool_cdk.errors import ConfigurationError, must_be
from workpool_cdk.fitness import refuse_events_it_cannot_take, refuse_own_settings
from workpool_cdk.functions import async_settings

__all__ = [
    "AsyncSettings",
    "Qualified",
    "allow_recursion",
    "environment_key",
    "function_of",
    "is_another",
    "mark_decorated",
    "name_beside",
    "point_at",
    "qualified",
    "refuse_as_target",
    "refuse_elsewhere",
    "refuse_where_lost",
    "say_what_to_set",
    "serve",
    "set_async",
]

_LATEST: Final = "$LATEST"
_MARK: Final = "WorkpoolAsync"
_SETTINGS: Final = "Settings"
_PLACE_MARK: Final = "WorkpoolPlaces"
_SERVED_MARK: Final = "WorkpoolServed"
_SERVES_BYTES_MAX: Final = 1_024
"""Lambda allows 4 KB of variables in all, and most of them are the function's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncSettings:
    """The asynchronous configuration of one function, version or alias.

    Lambda keeps one for each, for all of its callers.
    """

    on_success: str | None
    on_failure: str
    retries: int
    event_age: Duration

    def differences(self, other: AsyncSettings) -> list[str]:
        """Returns the settings in which two differ, in words."""
        names = {
            "success destination": (self.on_success, other.on_success),
            "failure destination": (self.on_failure, other.on_failure),
            "retries": (self.retries, other.retries),
            "event age in seconds": (self.event_age.to_seconds(), other.event_age.to_seconds()),
        }
        return [name for name, (one, another) in names.items() if one != another]


@dataclass(frozen=True, slots=True)
class Qualified:
    """A target of invokes: a function's newest code, a version or an alias.

    `function`: the function that it belongs to, whose settings we may change.
    """

    arn: str
    base_arn: str
    qualifier: str
    function: lambda_.Function
    role: iam.IRole
    mark: str
    """Distinguishes it from the function's other versions and aliases, in this app."""

    @property
    def arns(self) -> list[str]:
        """The ARNs by which IAM may see it when its configuration is read.

        They are those of the bare function, and of the one with the qualifier.
        """
        return [self.base_arn] if self.qualifier == _LATEST else [self.base_arn, self.arn]


class _Settled(Construct):
    """A mark under a function: its asynchronous configuration, and the maker of that."""

    def __init__(
        self, scope: Construct, construct_id: str, settings: AsyncSettings, owner: str
    ) -> None:
        super().__init__(scope, construct_id)
        self.settings = settings
        self.owner = owner


class _Pointed(Construct):
    """A mark under a function: those of our functions to which its environment points."""

    def __init__(self, scope: Construct, construct_id: str, places: Mapping[str, str]) -> None:
        super().__init__(scope, construct_id)
        self.places = places


class _Served(Construct):
    """A mark under a function: the pools that may run it."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.pools: set[str] = set()


# Python objects of jsii live as long as a reference to them, and a mark must outlive the call that
# made it.
_marks: Final[list[Construct]] = []


def qualified(target: object) -> Qualified:
    """Returns a function of this app, or a version or alias of one.

    Raises:
        ConfigurationError: It is no function, it has asynchronous settings of its own, or it is
            imported. The asynchronous settings and the role of an imported function belong to the
            app that deploys it.
    """
    base: object
    if isinstance(target, lambda_.Alias):
        arn, base, qualifier = target.function_arn, target.lambda_, target.alias_name
    elif isinstance(target, lambda_.Version):
        arn, base, qualifier = target.function_arn, target.lambda_, target.version
    elif isinstance(target, lambda_.Function):
        arn, base, qualifier = target.function_arn, target, _LATEST
    else:
        raise _refusal_of(target)
    path = target.node.path
    if not isinstance(base, lambda_.Function) or base.role is None:
        raise ConfigurationError(
            f"{path}: its function is imported, or its role is: both must be of this app"
        )
    refuse_own_settings(target, path)
    # The number of a version is only known when it is deployed.
    mark = target.node.addr[-8:] if Token.is_unresolved(qualifier) else qualifier
    return Qualified(arn, base.function_arn, qualifier, base, base.role, mark)


def _refusal_of(target: object) -> ConfigurationError:
    if isinstance(target, lambda_.SingletonFunction):
        return ConfigurationError(
            f"{target.node.path}: a SingletonFunction cannot be added; use lambda_.Function"
        )
    if has(target, "function_arn") and has(target, "node"):
        # No class of an imported function has the attribute.
        path = getattr(target, "node").path  # noqa: B009 - as said above
        return ConfigurationError(
            f"{path}: an imported function cannot be added: its asynchronous settings and its role "
            "are deployed elsewhere; add it in the app that deploys it"
        )
    return must_be(
        "function", "a Lambda function of this app, or a version or alias of one", target
    )


def function_of(grantee: object) -> lambda_.Function | None:
    """Returns the function of this app in which a grantee runs; `None` means that there is none."""
    base = grantee.lambda_ if isinstance(grantee, lambda_.Alias | lambda_.Version) else grantee
    return base if isinstance(base, lambda_.Function) else None


def is_another(theirs: str | None, ours: str) -> bool:
    """True if two accounts or regions are known to differ; `None` means that it has none."""
    return (
        theirs is not None
        and theirs != ours
        and not Token.is_unresolved(theirs)
        and not Token.is_unresolved(ours)
    )


def refuse_elsewhere(function: lambda_.Function, stack: Stack) -> None:
    """Refuses a function of another account or region than the table's.

    Raises:
        ConfigurationError: Its stack is for another account or region. Lambda sends no events
            across regions, and roles are an account's.
    """
    there = Stack.of(function)
    for what, theirs, ours in (
        ("account", there.account, stack.account),
        ("region", there.region, stack.region),
    ):
        if is_another(theirs, ours):
            raise ConfigurationError(
                f"{function.node.path}: it is in {what} {theirs}, and the pools' table in {ours}: "
                "both must be in one"
            )


def refuse_as_target(
    target: lambda_.IFunction, base: lambda_.Function | None, stack: Stack
) -> None:
    """Refuses a function that a callback cannot reach.

    Raises:
        ConfigurationError: It is in another region, it isolates tenants, or it is durable and named
            without version or alias.
    """
    path = target.node.path
    if is_another(target.env.region, stack.region):
        raise ConfigurationError(
            f"{path}: it is in region {target.env.region}, and the pools' table in "
            f"{stack.region}: both must be in one"
        )
    if is_another(target.env.account, stack.account):
        Annotations.of(target).add_warning_v2(
            "workpool:other-account",
            f"It is in account {target.env.account}: its own policy there must allow account "
            f"{stack.account} lambda:InvokeFunction, lambda:GetFunctionConfiguration and "
            "lambda:GetFunctionEventInvokeConfig",
        )
    resource = None if base is None else base.node.default_child
    if isinstance(resource, lambda_.CfnFunction):
        refuse_events_it_cannot_take(path, resource, qualified=target is not base)


def environment_key(function: lambda_.Function) -> str | None:
    """Returns the ARN of the key that encrypts a function's variables.

    A reader of its configuration must be allowed that key. `None` means AWS's own.
    """
    resource = function.node.default_child
    return resource.kms_key_arn if isinstance(resource, lambda_.CfnFunction) else None


def refuse_where_lost(
    path: str, principal: iam.IPrincipal, statements: Sequence[iam.PolicyStatement], stack: Stack
) -> None:
    """Give a principal its statements.

    Raises:
        ConfigurationError: It takes none, or drops them without a word: a role that is immutable
            (`mutable=False`, `without_policy_updates()`) or of another account, an imported
            function without its role, a service. The message names the actions that are missing.
    """
    for statement in statements:
        if not _takes(principal, statement, stack):
            raise ConfigurationError(
                f"{path}: permissions for {_shown_principal(principal)} would be lost, since it "
                "takes none from this app. Name a role of this app, or an imported one of this "
                "account that is mutable; a role of another account may assume such a role. "
                f"Missing: {_actions(statements)}"
            )


def _takes(principal: iam.IPrincipal, statement: iam.PolicyStatement, stack: Stack) -> bool:
    if isinstance(principal, iam.UnknownPrincipal):
        return False
    added = principal.add_to_principal_policy(statement)
    # A role of another account takes statements without a word, and drops them.
    if not added.statement_added or is_another(
        getattr(principal, "principal_account", None), stack.account
    ):
        return False
    # An immutable one does so, too. Its dependable is then an empty group, while a role of the app
    # makes a policy of its own.
    return isinstance(principal, iam.Role | iam.LazyRole) or not isinstance(
        added.policy_dependable, DependencyGroup
    )


def _shown_principal(principal: iam.IPrincipal) -> str:
    node = getattr(principal, "node", None)
    return f"{node.path}" if node is not None else type(principal).__name__


def _actions(statements: Sequence[iam.PolicyStatement]) -> str:
    return ", ".join(sorted({action for each in statements for action in each.actions}))


def say_what_to_set(imported: IConstruct) -> None:
    """Annotate an imported function that was given permissions with the variable that it needs."""
    Annotations.of(imported).add_info(
        f"Its environment is deployed elsewhere: set {names.TABLE} there to the table's name. "
        "The library asks the table for the rest"
    )


def set_async(target: Qualified, settings: AsyncSettings, *, owner: str) -> str:
    """Give a target its asynchronous configuration, and return the path of that.

    A target that has this very configuration stays as it is.

    Raises:
        ConfigurationError: It has another configuration, of another pool or of the function itself.
    """
    name = target.function.node.path
    mark = f"{_MARK}{'' if target.qualifier == _LATEST else target.mark}"
    found = target.function.node.try_find_child(mark)
    if isinstance(found, _Settled):
        differences = settings.differences(found.settings)
        if differences:
            raise ConfigurationError(
                f"{name}: {owner} and {found.owner} want different asynchronous settings "
                f"({', '.join(differences)}). A function has one asynchronous configuration: have "
                "its pools in one Workpool, with equal options, or give each its own alias of the "
                "function"
            )
        return f"{found.node.path}/{_SETTINGS}"
    settled = _Settled(target.function, mark, settings, owner)
    _marks.append(settled)
    config = lambda_.CfnEventInvokeConfig(
        settled,
        _SETTINGS,
        function_name=target.function.function_name,
        qualifier=target.qualifier,
        maximum_retry_attempts=settings.retries,
        maximum_event_age_in_seconds=settings.event_age.to_seconds(),
        destination_config=async_settings(
            on_success=settings.on_success, on_failure=settings.on_failure
        ),
    )
    # Lambda checks that the role may send to the destination.
    config.node.add_dependency(target.role)
    return config.node.path


def allow_recursion(function: lambda_.Function) -> None:
    """Keep Lambda from stopping a chain of loop, worker and loop after sixteen hops.

    Raises:
        ConfigurationError: The function has `RecursiveLoop.TERMINATE`.
    """
    resource = function.node.default_child
    if not isinstance(resource, lambda_.CfnFunction):
        raise ConfigurationError(
            f"{function.node.path}: it has no AWS::Lambda::Function of its own"
        )
    if resource.recursive_loop == "Terminate":
        raise ConfigurationError(
            f"{function.node.path}: it says RecursiveLoop.TERMINATE, with which Lambda would drop "
            "every seventeenth work item; leave it out"
        )
    resource.recursive_loop = "Allow"


def mark_decorated(function: lambda_.Function) -> None:
    """Mark the function's handler as decorated for the library, and have its requests be lean.

    Destinations alone could be a mistake.
    """
    function.add_environment(names.DECORATED, "1")
    function.add_environment(names.LEAN_CALLS, "1")


def name_beside(function: lambda_.Function, stack: Stack) -> str | None:
    """Returns the function's name, for a resource of this stack.

    `None` means that only the other stack's deployment will know it, for which ours must not wait.
    """
    resource = function.node.default_child
    given = resource.function_name if isinstance(resource, lambda_.CfnFunction) else None
    if given is not None and not Token.is_unresolved(given):
        return given
    return function.function_name if Stack.of(function) is stack else None


def point_at(function: lambda_.Function, places: Mapping[str, str]) -> None:
    """Give a function the ARNs of our functions, as variables.

    One that serves two tables gets none, and asks each table.
    """
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


def serve(function: lambda_.Function, pools: Sequence[str], *, named: bool) -> None:
    """Let a function be run for these pools, beside those of earlier calls.

    `named`: True if the caller chose them. All of a construct's pools are left out where their
    names would take too much of the function's environment, since no list means any pool.

    Raises:
        ConfigurationError: Pools were named, and their names do not fit.
    """
    found = function.node.try_find_child(_SERVED_MARK)
    served = found if isinstance(found, _Served) else _Served(function, _SERVED_MARK)
    if served is not found:
        _marks.append(served)
    served.pools.update(pools)
    text = ",".join(sorted(served.pools))
    if len(text) > _SERVES_BYTES_MAX:
        if named:
            raise ConfigurationError(
                f"pools: the names of {len(served.pools)} take more than "
                f"{_SERVES_BYTES_MAX} bytes of the environment of {function.node.path}; "
                "name fewer, or none for all"
            )
        text = ""
    function.add_environment(names.SERVES, text)

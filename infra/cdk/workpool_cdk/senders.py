"""Permissions of those that send: callbacks to their targets, and starts to workers.

Each pair of a sender and a receiver gets its permissions when the second of them is added, in
either order. A policy lies in the receiver's stack, so that no stack waits for another in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Names, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from workpool_cdk.checks import has
from workpool_cdk.functions import LibraryFunction
from workpool_cdk.permissions import environment_statement, invoke_statement, limits_statement
from workpool_cdk.targets import Qualified, environment_key, refuse_where_lost

__all__ = ["Callback", "Senders", "Starter", "Worker"]


@dataclass(frozen=True, slots=True)
class Worker:
    """A decorated function, and the pools that it reports for."""

    target: Qualified
    pools: Sequence[str]


@dataclass(frozen=True, slots=True)
class Starter:
    """A principal that starts work items itself, and their pools."""

    principal: iam.IPrincipal
    pools: Sequence[str]


@dataclass(frozen=True, slots=True)
class Callback:
    """A target of callbacks, the statements that allow to send to it, and its senders' pools."""

    target: IConstruct
    statements: Sequence[iam.PolicyStatement]
    pools: Sequence[str]


class Senders:
    """The senders and receivers of one `Workpool`."""

    def __init__(self, owner: Construct) -> None:
        self._owner = owner
        self._workers: list[Worker] = []
        self._starters: list[Starter] = []
        self._callbacks: list[Callback] = []

    def has_worker(self, arn: str) -> bool:
        """True if a worker of this ARN was added."""
        return any(worker.target.arn == arn for worker in self._workers)

    def add_worker(self, worker: Worker) -> None:
        """Let a worker send callbacks, and let starters send it starts."""
        for callback in self._callbacks:
            self._let_call_back(worker, callback)
        for starter in self._starters:
            self._let_start(starter, worker)
        self._workers.append(worker)

    def add_starter(self, starter: Starter) -> None:
        """Let a caller start work items of workers that are added, and that will be."""
        for worker in self._workers:
            self._let_start(starter, worker)
        self._starters.append(starter)

    def add_callback(self, callback: Callback, *, own: Sequence[LibraryFunction]) -> None:
        """Let workers, and these functions of the library, call back a target."""
        for sender in own:
            self.beside(callback.target, "Callbacks", sender).add_statements(*callback.statements)
        for worker in self._workers:
            self._let_call_back(worker, callback)
        self._callbacks.append(callback)

    def limits_statements(self, target: Qualified) -> list[iam.PolicyStatement]:
        """Returns the statements that allow to read a function's settings, with its key."""
        key, read = environment_key(target.function), limits_statement(*target.arns)
        if key is None:
            return [read]
        return [read, environment_statement(key, Stack.of(self._owner).region)]

    def give(self, target: Qualified, *statements: iam.PolicyStatement) -> None:
        """Give a function's role statements. Raises ConfigurationError for one that takes none."""
        path, stack = target.function.node.path, Stack.of(self._owner)
        refuse_where_lost(path, target.role, statements, stack)

    def beside(self, neighbour: IConstruct, name: str, function: LibraryFunction) -> iam.Policy:
        """Returns a policy of one of our functions, in the neighbour's stack.

        Our stack therefore never waits for that one.
        """
        return self._policy(Stack.of(neighbour), f"{function.node.id}{name}", function.role)

    def _let_call_back(self, worker: Worker, callback: Callback) -> None:
        if set(worker.pools).isdisjoint(callback.pools):
            return
        ours, there = Stack.of(self._owner), Stack.of(callback.target)
        here = Stack.of(worker.target.function)
        to_neighbour = here is there and has(callback.target, "function_arn")
        if to_neighbour or (here is ours and there is not ours):
            # A policy of its own. A function waits for that of its role, which would be a circle if
            # it sends to itself, or two send to each other. Nor must our stack wait for that one,
            # where the policies of our own functions are already.
            name = f"{Names.node_unique_id(worker.target.function.node)}Callbacks"
            self._policy(there, name, worker.target.role).add_statements(*callback.statements)
            return
        self.give(worker.target, *callback.statements)

    def _let_start(self, starter: Starter, worker: Worker) -> None:
        """Let a caller of one of a worker's pools send it a start."""
        if set(starter.pools).isdisjoint(worker.pools):
            return
        target, principal = worker.target, starter.principal
        statements = [invoke_statement(target.arn), *self.limits_statements(target)]
        if not has(principal, "role_name"):
            refuse_where_lost(self._owner.node.path, principal, statements, Stack.of(self._owner))
            return
        # A policy of its own, in the worker's stack: as for callbacks.
        role = cast("iam.IRole", principal)
        name = f"{Names.node_unique_id(role.node)}QuickStarts"
        self._policy(Stack.of(target.function), name, role).add_statements(*statements)

    def _policy(self, stack: Stack, name: str, role: iam.IRole) -> iam.Policy:
        """Returns the policy of this name in a stack, which is made when it is first asked for."""
        construct_id = f"{Names.node_unique_id(self._owner.node)}{name}"
        found = stack.node.try_find_child(construct_id)
        if isinstance(found, iam.Policy):
            return found
        return iam.Policy(stack, construct_id, roles=[role])

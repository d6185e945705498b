"""Names of functions and schedule groups, which must be known before these are deployed."""

from __future__ import annotations

from typing import Final

from aws_cdk import Aws, Names
from constructs import Construct

__all__ = ["NAMES_CONTEXT", "function_name", "group_name"]

NAMES_CONTEXT: Final = "workpool:names"
"""Context key: `stack` begins the names with that of the deployed stack, so that one template can
be deployed many times. By default they are made from the construct's path in the app."""


def function_name(scope: Construct, word: str) -> str:
    """Returns the name of a function, at most 64 characters if it is made from the path."""
    if _after_the_stack(scope):
        return f"{Aws.STACK_NAME}-{word}"
    return Names.unique_resource_name(scope, max_length=64, separator="-")


def group_name(scope: Construct) -> str | None:
    """Returns the name of a construct's schedule group. `None` leaves it to CDK."""
    return f"{Aws.STACK_NAME}-{scope.node.id}" if _after_the_stack(scope) else None


def _after_the_stack(scope: Construct) -> bool:
    return bool(scope.node.try_get_context(NAMES_CONTEXT) == "stack")

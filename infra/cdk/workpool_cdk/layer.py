"""A layer with the library and its locked dependencies, for functions that do not bundle them."""

from __future__ import annotations

from typing import Final

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from workpool_cdk.bundling import (
    ARCHITECTURE,
    RUNTIME,
    SDK,
    lambda_target,
    layer_code,
    target_of,
)
from workpool_cdk.checks import flag
from workpool_cdk.errors import must_be

__all__ = ["WorkpoolLayer"]

_RUNTIMES: Final = ("python3.11", "python3.12", "python3.13", "python3.14")
_ARCHITECTURES: Final = ("arm64", "x86_64")


class WorkpoolLayer(lambda_.LayerVersion):
    """A layer version that contains `workpool_aws`, without its command line and `LocalCloud`.

    It fits functions of one runtime and architecture, since pydantic is compiled for both. Its hash
    is that of its inputs, so a deployment without a change makes no new version.

    Args:
        scope: A stack, or a construct in it.
        construct_id: Its name there.
        runtime: The runtime of the functions, Python 3.11 to 3.14.
        architecture: The architecture of the functions.
        sdk: True adds the locked boto3, 23 MB of files. Defaults to False, and to the boto3 of
            Lambda's runtime, which must be 1.36 or newer.

    Raises:
        ConfigurationError: an option is not what can be deployed. Nothing was added to the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        runtime: lambda_.Runtime = RUNTIME,
        architecture: lambda_.Architecture = ARCHITECTURE,
        sdk: bool = False,
    ) -> None:
        if not isinstance(scope, Construct) or not any(map(Stack.is_stack, scope.node.scopes)):
            raise must_be("scope", "a Stack, or a construct in one", scope)
        if not isinstance(runtime, lambda_.Runtime) or runtime.name not in _RUNTIMES:
            name = runtime.name if isinstance(runtime, lambda_.Runtime) else runtime
            raise must_be("runtime", f"one of {', '.join(_RUNTIMES)}", name)
        if (
            not isinstance(architecture, lambda_.Architecture)
            or architecture.name not in _ARCHITECTURES
        ):
            raise must_be(
                "architecture", "Architecture.ARM_64 or Architecture.X86_64", architecture
            )
        asked = target_of(scope)
        target = lambda_target(runtime, architecture) if asked.pip_options else asked
        super().__init__(
            scope,
            construct_id,
            code=layer_code(target, without=frozenset() if flag("sdk", sdk) else SDK),
            compatible_runtimes=[runtime],
            compatible_architectures=[architecture],
            description="workpool_aws and its dependencies",
            license="MIT",
        )

"""The app of this directory: one stack with one `Workpool`, as its configuration file says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aws_cdk import App, CfnOutput, RemovalPolicy, Stack

from workpool_cdk.config import read_config
from workpool_cdk.examples import Examples
from workpool_cdk.workpool import Workpool

__all__ = ["CONFIG_CONTEXT", "EXAMPLES_CONTEXT", "add_stack"]

CONFIG_CONTEXT: Final = "workpool:config"
"""Context key: the path of another configuration file."""
EXAMPLES_CONTEXT: Final = "workpool:examples"
"""Context key: `true` deploys the example functions, too."""


def add_stack(app: App) -> Stack:
    """Add the stack that the configuration describes.

    Raises:
        ConfigurationError: The configuration contradicts itself, or is not there.
    """
    path = Path(str(app.node.try_get_context(CONFIG_CONTEXT) or "workpool.toml"))
    config = read_config(path)
    stack = Stack(
        app,
        config.stack,
        description="Background work for Lambda: pools on one DynamoDB table (workpool_aws).",
    )
    pool = Workpool(
        stack,
        "Pools",
        config.pools,
        table_name=config.table,
        deletion_protection=config.keep_table,
        monitoring=config.monitoring,
        removal_policy=RemovalPolicy.RETAIN if config.keep_table else RemovalPolicy.DESTROY,
    )
    if str(app.node.try_get_context(EXAMPLES_CONTEXT)).lower() == "true":
        Examples(stack, "Examples", pool, next(iter(config.pools)))
    CfnOutput(
        stack,
        "TableName",
        value=pool.table_name,
        description="The table, as workpool_aws.Workpool takes it.",
    )
    return stack

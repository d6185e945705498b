"""Deployments to look at: synthesized without bundling, since a template does not depend on what is in the asset."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from workpool_cdk import Workpool

FLAGS = {"@aws-cdk/aws-iam:minimizePolicies": True, "aws:cdk:bundling-stacks": []}
POOLS: Mapping[str, Mapping[str, object]] = {"email": {"max_parallelism": 10}, "reports": {}}


OUT: Path | None = None
"""The folder of synthesized apps; `None` means the system's temporary folder."""


class Deployed:
    """One stack with a `Workpool`, and functions of a user's."""

    def __init__(
        self,
        pools: Mapping[str, Mapping[str, object]] = POOLS,
        *,
        context: Mapping[str, object] = FLAGS,
        **options: Any,
    ) -> None:
        self.app = App(
            context=dict(context), analytics_reporting=False, outdir=tempfile.mkdtemp(dir=OUT)
        )
        self.stack = Stack(self.app, "Mail")
        self.pool = Workpool(self.stack, "Pools", pools, **options)

    def function(
        self, name: str, *, stack: Stack | None = None, **options: Any
    ) -> lambda_.Function:
        """A function that a user brings."""
        code = lambda_.Code.from_inline("def handler(event, context): return None")
        return lambda_.Function(
            self.stack if stack is None else stack,
            name,
            runtime=lambda_.Runtime.PYTHON_3_14,
            handler="index.handler",
            code=code,
            memory_size=128,
            timeout=Duration.seconds(30),
            **options,
        )

    def template(self) -> dict[str, Any]:
        """The template that would be deployed."""
        return dict(self.app.synth().get_stack_by_name("Mail").template)

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by logical id."""
        resources = self.template()["Resources"]
        return {
            name: resource.get("Properties", {})
            for name, resource in resources.items()
            if resource["Type"] == kind
        }


def everything(**options: Any) -> Deployed:
    """A deployment in which every method of the construct was used."""
    deployed = Deployed(**options)
    pool = deployed.pool
    pool.add_action(deployed.function("SendEmail"))
    pool.add_action(deployed.function("Legacy"), decorated=False)
    pool.add_on_complete(deployed.function("EmailSent"))
    pool.add_on_complete(deployed.function("Plain"), decorated=False)
    pool.add_on_complete(sqs.Queue(deployed.stack, "Told", enforce_ssl=True))
    pool.add_on_complete(sns.Topic(deployed.stack, "News", enforce_ssl=True))
    pool.grant_enqueue(deployed.function("Api"), pools=["email"])
    pool.grant_enqueue(deployed.function("Hurried"), pools=["email"], quick_start=True)
    pool.grant_read(deployed.function("Board"))
    pool.grant_manage(deployed.function("Admin"))
    return deployed

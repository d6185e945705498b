"""The example functions, which the app adds on request: one for each kind of target."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from workpool_cdk.bundling import ARCHITECTURE, RUNTIME, library_code
from workpool_cdk.workpool import Workpool

__all__ = ["Examples"]

_MODULE = "workpool_example"


class Examples(Construct):
    """Four functions: `enqueue` for people, `greet`, the undecorated `shout`, and `greeted`.

    `greeted` receives the callbacks.
    """

    def __init__(self, scope: Construct, construct_id: str, pool: Workpool, pool_name: str) -> None:
        super().__init__(scope, construct_id)
        source = Path(str(files("workpool_cdk.example"))) / f"{_MODULE}.py"
        self._code = library_code(self, beside=(source,))
        self._variables = {"WORKPOOL_TABLE": pool.table_name, "WORKPOOL_POOL": pool_name}
        greet, shout, greeted, enqueue = (
            self._function(name) for name in ("greet", "shout", "greeted", "enqueue")
        )
        pool.add_action(greet)
        pool.add_action(shout, decorated=False)
        pool.add_on_complete(greeted)
        pool.grant_enqueue(enqueue, pools=[pool_name])
        enqueue.add_environment("GREET_ARN", greet.function_arn)
        enqueue.add_environment("GREETED_ARN", greeted.function_arn)
        for name, function in (
            ("Enqueue", enqueue),
            ("Greet", greet),
            ("Shout", shout),
            ("Greeted", greeted),
        ):
            CfnOutput(self, f"{name}Function", value=function.function_name)

    def _function(self, name: str) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            f"{name}Logs",
            retention=logs.RetentionDays.ONE_WEEK,
            removal_policy=RemovalPolicy.DESTROY,
        )
        return lambda_.Function(
            self,
            name,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"{_MODULE}.{name}",
            code=self._code,
            memory_size=256,
            timeout=Duration.seconds(30),
            environment=self._variables,
            log_group=log_group,
        )

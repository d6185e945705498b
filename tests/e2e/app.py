"""Deploys the construct with the functions of the end-to-end tests: what `cdk deploy` runs, with the Python that has the CDK."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

import workpool_aws
from tests.e2e.plan import (
    JOBS,
    LIMITED,
    MORTAL,
    NEVER_ADDED,
    POOLS,
    RATED,
    RELEASE_CONTEXT,
    STACK,
    Job,
)
from workpool_cdk import Workpool
from workpool_cdk.bundling import ARCHITECTURE, RUNTIME, library_code

FUNCTIONS = Path(__file__).parent / "functions"
EXAMPLES = Path(__file__).parents[2] / "examples"
DEMO_WORKER = Path(workpool_aws.__path__[0]) / "cli" / "demo" / "worker.py"


class E2e(Stack):
    """One `Workpool`, a function for each job, a queue for callbacks, and a role for each grant."""

    def __init__(self, scope: App) -> None:
        super().__init__(scope, STACK)
        release = str(self.node.try_get_context(RELEASE_CONTEXT) or 1)
        # Another release differs in the code of the jobs, and in the settings of the library's
        # functions.
        level = "DEBUG" if release == "1" else "INFO"
        pools: dict[str, dict[str, int | str]] = {
            name: {
                **({"max_parallelism": LIMITED[name]} if name in LIMITED else {}),
                **({"rate_limit": RATED[name]} if name in RATED else {}),
            }
            for name in POOLS
        }
        self.pool = Workpool(self, "Pools", pools, log_level=level)
        beside = (
            FUNCTIONS / "jobs.py",
            FUNCTIONS / "mortal.py",
            EXAMPLES / "bank_transfer" / "bank.py",
            EXAMPLES / "order_outbox" / "shop.py",
            DEMO_WORKER,
            _release_module(release),
        )
        self._code = library_code(self, beside=beside)
        for name, job in JOBS.items():
            self.pool.add_action(self._function(name, job), decorated=job.decorated)
        self._function(NEVER_ADDED, Job(handler="jobs.plain"))
        self._add_examples()
        told = sqs.Queue(self, "Told")
        self.pool.add_on_complete(told)
        outputs = {
            "Table": self.pool.table_name,
            "Loop": self.pool.loop.function_name,
            "Completion": self.pool.completion.function_name,
            "Watchdog": self.pool.watchdog.function_name,
            "Told": told.queue_url,
            "ToldArn": told.queue_arn,
            **self._roles(),
        }
        for name, value in outputs.items():
            CfnOutput(self, f"{name}Output", value=value)

    def _function(self, name: str, job: Job) -> lambda_.Function:
        return lambda_.Function(
            self,
            name.title().replace("-", ""),
            function_name=name,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=job.handler,
            code=self._code,
            memory_size=256,
            timeout=Duration.seconds(job.timeout_s),
        )

    def _add_examples(self) -> None:
        """Add the functions of two examples, with their tables and the least that they need of these."""
        transfer, send_email, confirmed, front = (
            self._function(name, Job(handler=f"mortal.{name}")) for name in MORTAL
        )
        self.pool.add_action(transfer, name="transfer", pools=["bank"])
        self.pool.add_action(send_email, name="send_email", pools=["orders"])
        self.pool.add_on_complete(confirmed, name="confirmed", pools=["orders"])
        self.pool.grant_enqueue(front, pools=["orders"])
        accounts, orders = self._table("accounts"), self._table("orders")
        accounts.grant(transfer, "dynamodb:GetItem", "dynamodb:UpdateItem")
        orders.grant(front, "dynamodb:PutItem")
        orders.grant(confirmed, "dynamodb:UpdateItem")

    def _table(self, name: str) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name.title(),
            table_name=name,
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _roles(self) -> dict[str, str]:
        found = {}
        for name, grant in {
            "Enqueuer": self.pool.grant_enqueue,
            "Reader": self.pool.grant_read,
            "Manager": self.pool.grant_manage,
        }.items():
            role = iam.Role(self, name, assumed_by=iam.AccountRootPrincipal())
            grant(role, pools=["granted"])
            found[name] = role.role_arn
        return found


def _release_module(release: str) -> Path:
    path = Path(tempfile.mkdtemp()) / "release.py"
    path.write_text(
        f'"""Owns the number of this release."""\n\nRELEASE = {release!r}\n', encoding="utf-8"
    )
    return path


app = App()
E2e(app)
app.synth()

"""Deploys the example: the pool with its schedule, the table of readings, the job, and the page."""

import sys
from pathlib import Path
from typing import Final

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from workpool_cdk import Workpool, WorkpoolLayer

sys.path.insert(0, str(Path(__file__).parent / "src"))

import plan

PUBLIC: Final = "air:public"
"""Context key: true lets everybody open the page, which then has no buttons."""
SOURCE: Final = "air:source"
"""Context key: another address for the API, for tests."""
KEY: Final = "air:key-parameter"
"""Context key: name of the SSM parameter, a SecureString, that contains the API's key."""


class AirQuality(Stack):
    """The example."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self._library = WorkpoolLayer(self, "Library")
        readings = dynamodb.Table(
            self,
            "Readings",
            partition_key=_text("place"),
            sort_key=_text("hour"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            removal_policy=RemovalPolicy.DESTROY,
        )
        pool = Workpool(
            self,
            "Pool",
            pools={plan.POOL: {"max_parallelism": 2}},
            deletion_protection=False,
            removal_policy=RemovalPolicy.DESTROY,
        )
        fetch = self._function("Fetch", "air.handler", readings)
        self._give_key(fetch)
        readings.grant_write_data(fetch)
        pool.add_action(fetch, name=plan.JOB)
        pool.add_schedule(plan.NAME, plan.JOB, **plan.HOURLY)

        page = self._function("Page", "page.handler", readings)
        readings.grant_read_data(page)
        pool.grant_read(page)
        public = str(self.node.try_get_context(PUBLIC)).lower() == "true"
        if public:
            page.add_environment("AIR_READ_ONLY", "1")
        else:
            pool.grant_manage(page)
        auth = lambda_.FunctionUrlAuthType
        url = page.add_function_url(auth_type=auth.NONE if public else auth.AWS_IAM)
        for name, value in {
            "Table": pool.table_name,
            "Page": url.url,
            "PageFunction": page.function_name,
        }.items():
            CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)

    def _function(self, name: str, handler: str, readings: dynamodb.Table) -> lambda_.Function:
        return lambda_.Function(
            self,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler,
            code=lambda_.Code.from_asset("src", exclude=["__pycache__"]),
            layers=[self._library],
            memory_size=256,
            timeout=Duration.seconds(30),
            environment={"READINGS_TABLE": readings.table_name},
        )

    def _give_key(self, function: lambda_.Function) -> None:
        name = str(self.node.try_get_context(KEY) or "/air-quality/openweather-key")
        function.add_environment("OPENWEATHER_KEY_PARAMETER", name)
        source = self.node.try_get_context(SOURCE)
        if source is not None:
            function.add_environment("OPENWEATHER_URL", str(source))
        # The key of Parameter Store itself, `alias/aws/ssm`, lets its account decrypt.
        parameter = self.format_arn(
            service="ssm", resource="parameter", resource_name=name.lstrip("/")
        )
        function.add_to_role_policy(
            iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[parameter])
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


if __name__ == "__main__":
    app = App()
    AirQuality(app, "AirQuality")
    app.synth()

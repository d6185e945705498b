from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from workpool_cdk import Workpool, WorkpoolLayer


class Bookshop(Stack):
    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self._library = WorkpoolLayer(self, "Library")
        mail, orders, web = (self._function(name) for name in ("mail", "orders", "web"))
        limits = {"mail": {"max_parallelism": 5}, "orders": {"max_parallelism": 20}}
        pools = Workpool(self, "Pools", pools=limits)
        pools.add_handler(
            mail,
            jobs=["send_confirmation", "send_invoice", "ask_for_review"],
            pools=["mail"],
        )
        pools.add_handler(
            orders,
            jobs=["quote_shipping", "charge", "ship"],
            on_complete=["charged"],
            pools=["orders"],
        )
        pools.grant_enqueue(orders)  # its callback enqueues
        pools.grant_enqueue(web)
        CfnOutput(self, "Table", value=pools.table_name)
        CfnOutput(self, "WebFunction", value=web.function_name)

    def _function(self, name: str) -> lambda_.Function:
        return lambda_.Function(
            self,
            name.title(),
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"{name}.handler",
            code=lambda_.Code.from_asset("src"),
            layers=[self._library],
            timeout=Duration.seconds(30),
        )


if __name__ == "__main__":
    app = App()
    Bookshop(app, "Bookshop")
    app.synth()

"""Adapters for AWS: boto3 clients, their timeouts and retries, and the ports on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

import boto3
from botocore.config import Config

from workpool_aws.adapters.aws.inspector import AwsInspector, IamClient
from workpool_aws.adapters.aws.invoke import LambdaInvoker, fresh_trace, start_fresh_traces
from workpool_aws.adapters.aws.jobs import DeployedJobs, deployed_jobs
from workpool_aws.adapters.aws.lean import LeanDynamoDB, LeanLambda, Transport, transport_of
from workpool_aws.adapters.aws.messenger import AwsMessenger
from workpool_aws.adapters.aws.scheduler import EventBridgeTimer, ScheduleHome
from workpool_aws.adapters.aws.sdk_errors import made
from workpool_aws.adapters.dynamodb.store import DynamoStore
from workpool_aws.adapters.metrics import MetricsTelemetry
from workpool_aws.adapters.system import SystemClock, SystemEntropy, ThreadFanOut
from workpool_aws.adapters.telemetry import LoggerTelemetry
from workpool_aws.adapters.tracing import tracing_for
from workpool_aws.core import limits
from workpool_aws.incarnation import PerIncarnation
from workpool_aws.model.loop import DeployedLimit, DeployedRate, Deployment
from workpool_aws.model.refs import DeploymentRef, readable
from workpool_aws.ports import Clock, Entropy, FanOut, Ports, Store, Telemetry
from workpool_aws.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

__all__ = ["CLIENT_CONFIGS", "aws_ports", "session_of"]

ClientName = Literal[
    "callback-target",
    "dynamodb",
    "dynamodb-after-lean",
    "iam",
    "lambda",
    "lambda-retrying",
    "scheduler",
]


def _config(attempts: int) -> Config:
    return Config(
        connect_timeout=limits.CONNECT_TIMEOUT_S,
        read_timeout=limits.READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * limits.SMALL_AT_ONCE,
        tcp_keepalive=True,
    )


CLIENT_CONFIGS: Final[dict[ClientName, Config]] = {
    "dynamodb": _config(4),
    # It repeats requests of which a lean one was the first try.
    "dynamodb-after-lean": _config(3),
    # A repeated Invoke is a second start: this client is for targets that claim no start.
    "lambda": _config(1),
    "lambda-retrying": _config(2),
    "iam": _config(2),
    "scheduler": _config(2),
    "callback-target": _config(2),
}
"""Time limits, tries in all and connections of each client, enough for every call of a fan-out."""


def aws_ports(
    table: str,
    session: boto3.Session | None = None,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    telemetry: Telemetry | None = None,
    fan_out: FanOut | None = None,
    settings: Settings | None = None,
) -> Ports:
    """Return the ports of a table, on boto3.

    No call is made. Clients other than DynamoDB's are made when they are first needed.

    `None` means a new session from the environment, the system's clock, chance and threads, logs at
    the settings' level, and the settings of the environment.

    Raises:
        UsageError: no region is known, or a setting has a value that is not allowed.
    """
    settings = read_settings() if settings is None else settings
    clock = clock or SystemClock()
    entropy = entropy or SystemEntropy()
    if telemetry is None:
        telemetry = LoggerTelemetry(settings.log_level)
        if settings.metrics is not None:
            # A table may be given by its ARN; its metrics have its name.
            name = table.rpartition("/")[2]
            telemetry = MetricsTelemetry(telemetry, clock, table=name, scope=settings.metrics)
    own = PerIncarnation(lambda: session_of(region=settings.region))
    clients = _Clients(
        own if session is None else lambda: session,
        clock,
        entropy,
        settings.region,
        lean=settings.lean_calls,
    )
    clients.dynamodb()  # a wrong configuration is refused here, not by the first call
    store = DynamoStore(clients.dynamodb, table, clock=clock, entropy=entropy)
    addresses = _Addresses(settings, store)
    timer = EventBridgeTimer(
        clients.scheduler,
        clock,
        table,
        home=ScheduleHome(settings.loop_arn, settings.schedule_group, settings.scheduler_role_arn),
        deployment=addresses.deployment,
    )
    return Ports(
        table=table,
        store=store,
        invoker=LambdaInvoker(
            clients.invoking,
            clients.invoking_again,
            clock,
            addresses.completion_arn,
            acknowledging=addresses.acknowledging,
            telemetry=telemetry,
        ),
        messenger=AwsMessenger(clients.invoking_again, clients.client_in),
        timer=timer,
        clock=clock,
        entropy=entropy,
        telemetry=telemetry,
        fan_out=fan_out or ThreadFanOut(),
        loop_arn=settings.loop_arn,
        deployed=addresses.deployed,
        jobs=DeployedJobs(addresses.deployment, clock),
        inspector=clients.inspector(),
        tracing=tracing_for(on=settings.tracing, clock=clock),
    )


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Addresses of a deployment, from the environment first and then from the table's item."""

    settings: Settings
    store: Store

    @property
    def deployed(self) -> Deployment | None:
        """The deployment that the environment describes. `None` means none."""
        if self.settings.loop_arn is None:
            return None
        return Deployment(
            loop_arn=self.settings.loop_arn,
            completion_arn=self.settings.completion_arn,
            schedule_group=self.settings.schedule_group,
            scheduler_role_arn=self.settings.scheduler_role_arn,
            acknowledging=self.settings.acknowledging,
            limits=tuple(DeployedLimit(pool, limit) for pool, limit in self.settings.pools),
            rates=tuple(DeployedRate(pool, rate) for pool, rate in self.settings.rates),
            jobs=deployed_jobs(self.settings.jobs, beside=self.settings.loop_arn),
        )

    def deployment(self) -> Deployment | None:
        """Read the table's deployment item."""
        return readable(self.store.get(DeploymentRef()))

    def completion_arn(self) -> str | None:
        """Return the completion function. `None` means that neither place names it."""
        if self.settings.completion_arn:
            return self.settings.completion_arn
        found = self.deployment()
        return None if found is None else found.completion_arn

    def acknowledging(self) -> tuple[str, ...]:
        """Return the functions that the table lists as acknowledging their callbacks."""
        found = self.deployment()
        return () if found is None else found.acknowledging


class _Clients:
    """The clients of one session, each made once, when it is first asked for.

    Those of callback targets are made once a service and region.

    A copy of the process makes its own: two that read from one connection would read each other's
    answers.
    """

    def __init__(
        self,
        session: Callable[[], boto3.Session],
        clock: Clock,
        entropy: Entropy,
        region: str | None,
        *,
        lean: bool,
    ) -> None:
        self._session = session
        self._lean = lean
        self._region = region
        self._clock, self._entropy = clock, entropy
        self.dynamodb: Callable[[], DynamoDBClient] = PerIncarnation(self._make_dynamodb)
        self.invoking: Callable[[], LambdaClient] = PerIncarnation(
            lambda: self._make_lambda("lambda")
        )
        self.invoking_again: Callable[[], LambdaClient] = PerIncarnation(
            lambda: self._make_lambda("lambda-retrying")
        )
        self.scheduler: Callable[[], EventBridgeSchedulerClient] = PerIncarnation(
            self._make_scheduler
        )
        self._in_regions: dict[tuple[str, str], PerIncarnation[BaseClient]] = {}

    def client_in(self, service: str, region: str) -> BaseClient:
        """Return the client of a service of callback targets in a region."""
        make = PerIncarnation(lambda: self._make_client_in(service, region))
        return self._in_regions.setdefault((service, region), make)()

    def _make_dynamodb(self) -> DynamoDBClient:
        name: ClientName = "dynamodb-after-lean" if self._lean else "dynamodb"
        client = made(
            lambda: self._session().client(
                "dynamodb", region_name=self._home(), config=CLIENT_CONFIGS[name]
            )
        )
        transport = self._transport(client)
        # The store makes no other requests than those that a LeanDynamoDB has.
        return (
            client if transport is None else cast("DynamoDBClient", LeanDynamoDB(client, transport))
        )

    def make_plain_dynamodb(self) -> DynamoDBClient:
        """Return a new client of DynamoDB for requests that no store makes."""
        return made(
            lambda: self._session().client(
                "dynamodb", region_name=self._home(), config=CLIENT_CONFIGS["dynamodb"]
            )
        )

    def inspector(self) -> AwsInspector:
        """Return an inspector, which makes its clients when it is asked."""
        return AwsInspector(
            self.make_plain_dynamodb, self.make_plain_lambda, self.scheduler, self._make_iam
        )

    def make_plain_lambda(self) -> LambdaClient:
        """Return a new client of Lambda for requests that no invoker makes."""
        return self._make_plain_lambda("lambda-retrying")

    def _make_lambda(self, name: Literal["lambda", "lambda-retrying"]) -> LambdaClient:
        client = self._make_plain_lambda(name)
        transport = self._transport(client)
        if transport is None:
            return client
        lean = LeanLambda(
            client,
            transport,
            trace=lambda: fresh_trace(self._clock, self._entropy),
            repeats=name == "lambda-retrying",
        )
        return cast("LambdaClient", lean)

    def _make_plain_lambda(self, name: Literal["lambda", "lambda-retrying"]) -> LambdaClient:
        client = made(
            lambda: self._session().client(
                "lambda", region_name=self._home(), config=CLIENT_CONFIGS[name]
            )
        )
        start_fresh_traces(client, self._clock, self._entropy)
        return client

    def _transport(self, client: BaseClient) -> Transport | None:
        # The same credentials as the client's: the session keeps them, and they renew themselves.
        if not self._lean:
            return None
        return transport_of(client, made(self._session().get_credentials), self._clock)

    def _make_scheduler(self) -> EventBridgeSchedulerClient:
        return made(
            lambda: self._session().client(
                "scheduler", region_name=self._home(), config=CLIENT_CONFIGS["scheduler"]
            )
        )

    def _make_iam(self) -> IamClient:
        def client() -> IamClient:
            found: IamClient = self._session().client(
                "iam", region_name=self._home(), config=CLIENT_CONFIGS["iam"]
            )
            return found

        return made(client)

    def _make_client_in(self, service: str, region: str) -> BaseClient:
        def client() -> BaseClient:
            # The SDK's types know services by literal names alone.
            make: Callable[..., BaseClient] = self._session().client
            return make(service, region_name=region, config=CLIENT_CONFIGS["callback-target"])

        return made(client)

    def _home(self) -> str | None:
        # boto3 reads AWS_DEFAULT_REGION alone; AWS_REGION, which Lambda and every other SDK go by,
        # comes from the settings.
        return self._session().region_name or self._region


def session_of(*, profile: str | None = None, region: str | None = None) -> boto3.Session:
    """Return a session of a profile and a region.

    `None` means the environment's, AWS_REGION before AWS_DEFAULT_REGION and the profile's.

    Raises:
        UsageError: there is no such profile, or the AWS config file cannot be read.
    """
    return made(lambda: boto3.Session(profile_name=profile, region_name=region))

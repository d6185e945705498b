"""Platform that the engines share: one cloud's kernel, functions, queue, schedules, chance and counters, put together."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.adapters.items.capacity import Meter
from workpool_aws.adapters.tracing import tracing_for
from workpool_aws.compose import use_ports
from workpool_aws.local.apis.user_aws import UserAws
from workpool_aws.local.faults.faults import CloudFaults, NoFaults
from workpool_aws.local.services.deliveries import Deliveries
from workpool_aws.local.services.environment import asked_log_level, asks_for_tracing
from workpool_aws.local.services.functions import (
    ACCOUNT,
    COMPLETION_NAME,
    LOOP_NAME,
    Functions,
    function_arn,
)
from workpool_aws.local.services.invocations import InvocationLog
from workpool_aws.local.services.mailboxes import Mailbox
from workpool_aws.local.services.runs import Runs
from workpool_aws.local.services.schedules import Precision, Schedules
from workpool_aws.local.services.surroundings import CloudClock, CloudTelemetry, SeededEntropy
from workpool_aws.model.loop import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workpool_aws.local.faults.rates import Rates
    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.ports import Ports, Store, Tracing

__all__ = ["OWN_TABLE", "Engine", "Platform"]

OWN_TABLE: Final = "workpool-local"
_GROUP: Final = "workpool-local"
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/workpool-local-scheduler"


class Engine(Protocol):
    """Engine of a cloud: the store of its tables."""

    def open(self) -> None:
        """Begin. Raises LocalCloudError: it cannot."""

    def close(self) -> None:
        """End, also what began only in part, and restore what was changed outside.

        Nothing else may run any more.
        """

    @property
    def own_table(self) -> str:
        """Name of the table of the cloud's pools, unless another is named."""

    def create(self, table: str) -> None:
        """Make an empty table, if it is not there. No time passes and no task runs meanwhile."""

    def ports(self, table: str) -> Ports:
        """Return the ports on a table, every call of which is a service call of the kernel."""

    def quiet(self, table: str) -> Store:
        """Return the same table, unmetered, and without letting another task run."""


@dataclass(slots=True)
class Platform:
    """The parts of one cloud."""

    kernel: Kernel
    chooser: Chooser
    seed: int
    rates: Rates
    precision: Precision
    factory: Callable[[str], Ports]
    faults: CloudFaults = field(default_factory=NoFaults)
    functions: Functions = field(init=False, default_factory=Functions)
    mailbox: Mailbox = field(init=False, default_factory=Mailbox)
    log: InvocationLog = field(init=False, default_factory=InvocationLog)
    meter: Meter = field(init=False, default_factory=Meter)
    runs: Runs = field(init=False)
    deliveries: Deliveries = field(init=False)
    schedules: Schedules = field(init=False)
    clock: CloudClock = field(init=False)
    entropy: SeededEntropy = field(init=False)
    telemetry: CloudTelemetry = field(init=False)
    tracing: Tracing = field(init=False)
    aws: UserAws = field(init=False)

    def __post_init__(self) -> None:
        self.runs = Runs(self.kernel, self.chooser, self.log, self._surround)
        self.deliveries = Deliveries(
            self.kernel, self.chooser, self.functions, self.runs, self.rates, self.faults
        )
        self.schedules = Schedules(
            self.kernel, self.chooser, self.precision, self.send, self.faults
        )
        self.clock = CloudClock(self.kernel, self.faults)
        self.entropy = SeededEntropy(self.seed)
        self.telemetry = CloudTelemetry(self.runs, [], level=asked_log_level())
        self.tracing = tracing_for(on=asks_for_tracing(), clock=self.clock, stamps=True)
        self.aws = UserAws(self.kernel, self.functions, self.deliveries, self.runs, self.schedules)

    @property
    def deployment(self) -> Deployment:
        """ARNs of the cloud's own functions."""
        return Deployment(
            loop_arn=function_arn(LOOP_NAME),
            completion_arn=function_arn(COMPLETION_NAME),
            schedule_group=_GROUP,
            scheduler_role_arn=_ROLE,
        )

    def jobs(self, _name: str) -> Mapping[str, str]:
        """ARN of each registered job by its name, at once."""
        return self.functions.jobs()

    def send(self, target: str, payload: str) -> None:
        """Send an event from outside, as a schedule does. A missing target swallows it."""
        resolved = self.functions.resolve(target)
        if resolved is not None:
            self.deliveries.accept(resolved, payload)

    @contextmanager
    def _surround(self) -> Iterator[None]:
        with use_ports(self.factory):
            yield

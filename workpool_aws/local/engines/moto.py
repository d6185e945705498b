"""Tables in moto: everything of the library goes through boto3, too, and user code's own tables and queues live beside its tables.

moto loses acknowledged writes when threads meet in it, so every request is served under the
kernel's lock.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workpool_aws.local.engines.direct import SteppingStore
from workpool_aws.local.engines.moto_meter import MotoMeter
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.environment import cloud_session
from workpool_aws.local.services.fan_out import TaskFanOut
from workpool_aws.local.services.functions import ACCOUNT, REGION
from workpool_aws.local.services.platform import OWN_TABLE, Platform
from workpool_aws.model.inspection import RoleFacts
from workpool_aws.settings import Settings
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.model.inspection import FunctionFacts, TableFacts
    from workpool_aws.ports import Inspector, Ports, Store

__all__ = ["MotoEngine"]

T = TypeVar("T")

_one_per_process: Final = threading.Lock()


class MotoEngine:
    """See Engine. One per process at a time: moto replaces AWS for the whole process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kernel = platform.kernel
        self._tables: dict[str, Store] = {}
        self._meter = MotoMeter(platform.meter, _find_item, self._tables.__contains__)
        self._undo = ExitStack()

    def open(self) -> None:
        """See Engine."""
        if not _one_per_process.acquire(blocking=False):
            raise LocalCloudError(
                "there is a LocalCloud on moto in this process already; leave it first, or use engine='memory'"
            )
        with ExitStack() as undo:
            undo.callback(_one_per_process.release)
            self._platform.aws.start_moto()
            self._platform.aws.around_dynamodb = self._meter.around
            self._undo = undo.pop_all()

    def close(self) -> None:
        """See Engine."""
        self._undo.close()

    @property
    def own_table(self) -> str:
        """See Engine."""
        return OWN_TABLE

    def create(self, table: str) -> None:
        """See Engine."""
        from workpool_aws.adapters.dynamodb.store import DynamoStore
        from workpool_aws.adapters.dynamodb.table import create_table, enable_ttl

        if table in self._tables:
            return
        client = cloud_session().client("dynamodb")
        with self._platform.aws.quietly():
            try:
                create_table(client, table)
            except client.exceptions.ResourceInUseException:
                # A cloud before this one left it, where a mock of user code outlives them.
                client.delete_table(TableName=table)
                create_table(client, table)
            enable_ttl(client, table)
        clock, entropy = self._platform.clock, self._platform.entropy
        self._tables[table] = DynamoStore(lambda: client, table, clock=clock, entropy=entropy)

    def ports(self, table: str) -> Ports:
        """See Engine."""
        from workpool_aws.adapters.aws.clients import aws_ports

        at = self._platform.deployment
        ports = aws_ports(
            table,
            cloud_session(),
            clock=self._platform.clock,
            entropy=self._platform.entropy,
            telemetry=self._platform.telemetry,
            fan_out=TaskFanOut(self._kernel),
            settings=Settings(
                loop_arn=at.loop_arn,
                completion_arn=at.completion_arn,
                schedule_group=at.schedule_group,
                scheduler_role_arn=at.scheduler_role_arn,
                acknowledging=at.acknowledging,
                pools=at.limits,
                region=REGION,
            ),
        )
        return replace(
            ports,
            jobs=self._platform.jobs,
            tracing=self._platform.tracing,
            inspector=_Inspector(ports.inspector),
        )

    def quiet(self, table: str) -> Store:
        """See Engine."""

        def quietly(label: str, apply: Callable[[], T], *, writes: bool) -> T:
            with self._platform.aws.quietly():
                return apply()

        return SteppingStore(quietly, self._tables[table])


@dataclass(frozen=True, slots=True)
class _Inspector:
    """Configurations in moto, apart from roles: moto simulates no policies, and none apply here."""

    inner: Inspector

    def table(self, name: str) -> TableFacts | None:
        """See Inspector."""
        return self.inner.table(name)

    def function(self, target: str) -> FunctionFacts | None:
        """See Inspector."""
        return self.inner.function(target)

    def wake(self, table: str, pool: str, group: str) -> bool:
        """See Inspector."""
        return self.inner.wake(table, pool, group)

    def role(self, arn: str, target: str) -> RoleFacts | None:
        """See Inspector."""
        return RoleFacts(trusts_scheduler=True, may_invoke=True)


def _find_item(table: str, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
    from moto.dynamodb.models import dynamodb_backends
    from moto.dynamodb.models.dynamo_type import DynamoType

    found = dynamodb_backends[ACCOUNT][REGION].tables.get(table)
    if found is None or "pk" not in key or "sk" not in key:
        return None
    item = found.get_item(DynamoType(key["pk"]), DynamoType(key["sk"]))
    return None if item is None else item.to_json()["Attributes"]

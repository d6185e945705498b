"""Owns tables in moto: everything goes through boto3, and user code's own tables and queues live beside ours.

moto loses acknowledged writes when threads meet in it, so every request is served under the kernel's lock; Lambda and Scheduler are this
cloud's own. All requests of boto3, user code's too, come through one function here, and are service calls of the kernel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, TypeVar
from unittest.mock import patch

from workpool_aws.local.direct import SteppingStore
from workpool_aws.local.environment import cloud_environment
from workpool_aws.local.fan_out import TaskFanOut
from workpool_aws.local.functions import ACCOUNT, REGION
from workpool_aws.local.http import Reply, Request
from workpool_aws.local.kernel import LocalCloudError
from workpool_aws.local.lambda_api import LambdaApi
from workpool_aws.local.moto_meter import MotoMeter
from workpool_aws.local.platform import Platform
from workpool_aws.local.scheduler_api import SchedulerApi
from workpool_aws.ports import Ports, Store
from workpool_aws.settings import Settings

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

__all__ = ["EXTRA", "MotoEngine"]

T = TypeVar("T")

EXTRA: Final = "workpool-aws[local]"

_Answer = tuple[int, Mapping[str, Any], str | bytes]
_one_per_process: Final = threading.Lock()


class MotoEngine:
    """See Engine. One per process at a time: moto replaces AWS for the whole process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kernel = platform.kernel
        self._lambda = LambdaApi(platform.functions, platform.deliveries, platform.runs)
        self._scheduler = SchedulerApi(platform.schedules)
        self._tables: dict[str, Store] = {}
        self._meter = MotoMeter(platform.meter, _find_item, self._tables.__contains__)
        self._here = threading.local()
        self._undo = ExitStack()
        self._moto: Callable[[AWSPreparedRequest], _Answer | None] | None = None

    def open(self) -> None:
        """See Engine."""
        try:
            from moto import mock_aws  # noqa: PLC0415 - an extra, and slow to load
            from moto.core.models import botocore_stubber  # noqa: PLC0415
        except ImportError as error:
            raise LocalCloudError(f"the engine 'moto' needs moto: install {EXTRA}") from error
        if not _one_per_process.acquire(blocking=False):
            raise LocalCloudError("there is a LocalCloud on moto in this process already; leave it first, or use engine='memory'")
        self._undo.callback(_one_per_process.release)
        with ExitStack() as undo:
            undo.enter_context(self._undo.pop_all())
            undo.enter_context(cloud_environment())
            undo.enter_context(mock_aws())
            self._moto = botocore_stubber.process_request
            undo.enter_context(patch.object(botocore_stubber, "process_request", self._process))
            self._undo = undo.pop_all()

    def close(self) -> None:
        """See Engine."""
        self._undo.close()

    def create(self, table: str) -> None:
        """See Engine."""
        import boto3  # noqa: PLC0415 - slow to load
        from botocore.exceptions import ClientError  # noqa: PLC0415

        from workpool_aws.adapters.dynamodb.store import DynamoStore  # noqa: PLC0415
        from workpool_aws.adapters.dynamodb.table import create_table  # noqa: PLC0415

        if table in self._tables:
            return
        client = boto3.Session(region_name=REGION).client("dynamodb")
        with self._quietly():
            try:
                create_table(client, table)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceInUseException":
                    raise
        self._tables[table] = DynamoStore(lambda: client, table, clock=self._platform.clock, entropy=self._platform.entropy)

    def ports(self, table: str) -> Ports:
        """See Engine."""
        from workpool_aws.adapters.aws import aws_ports  # noqa: PLC0415 - slow to load

        at = self._platform.deployment
        return aws_ports(
            table,
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

    def quiet(self, table: str) -> Store:
        """See Engine."""

        def quietly(label: str, apply: Callable[[], T], *, writes: bool) -> T:  # noqa: ARG001 - the shape of Kernel.call
            with self._quietly():
                return apply()

        return SteppingStore(quietly, self._tables[table])

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._here.quiet = getattr(self._here, "quiet", False), True
        try:
            yield
        finally:
            self._here.quiet = before

    def _process(self, prepared: AWSPreparedRequest) -> _Answer | None:
        """In the place of moto's own `process_request`."""
        if getattr(self._here, "quiet", False):
            with self._kernel.lock():
                return self._stamped(self._ask_moto(prepared))
        request = Request.of(prepared)
        label = f"{request.service} {request.operation}"
        if request.service == "lambda" and self._lambda.runs_code(request):
            # The handler runs in this very thread and makes service calls of its own, so nothing may be held while it does.
            self._kernel.call(label, lambda: None, writes=True)
            return self._stamped(self._lambda.answer(request))
        return self._kernel.call(label, lambda: self._stamped(self._serve(request, prepared)), writes=request.writes)

    def _serve(self, request: Request, prepared: AWSPreparedRequest) -> Reply | None:
        if request.service == "lambda" and self._lambda.serves(request):
            return self._lambda.answer(request)
        if request.service == "scheduler" and self._scheduler.serves(request):
            return self._scheduler.answer(request)
        if request.service == "dynamodb":
            return self._meter.around(request, lambda: self._ask_moto(prepared) or Reply(404))
        return self._ask_moto(prepared)

    def _ask_moto(self, prepared: AWSPreparedRequest) -> Reply | None:
        """None: not a request to AWS."""
        answer = self._moto(prepared) if self._moto is not None else None
        if answer is None:
            return None
        status, headers, body = answer
        return Reply(status, body.encode() if isinstance(body, str) else body, {name: str(value) for name, value in headers.items()})

    def _stamped(self, reply: Reply | None) -> _Answer | None:
        if reply is None:
            return None
        headers = {name: value for name, value in reply.headers.items() if name.lower() != "date"}
        headers["Date"] = formatdate(self._kernel.now() // 1000, usegmt=True)
        return reply.status, headers, reply.body


def _find_item(table: str, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
    from moto.dynamodb.models import dynamodb_backends  # noqa: PLC0415 - an extra, and slow to load
    from moto.dynamodb.models.dynamo_type import DynamoType  # noqa: PLC0415

    found = dynamodb_backends[ACCOUNT][REGION].tables.get(table)
    if found is None or "pk" not in key or "sk" not in key:
        return None
    item = found.get_item(DynamoType(key["pk"]), DynamoType(key["sk"]))
    return None if item is None else item.to_json()["Attributes"]

"""AWS as boto3 finds it inside a cloud, on every engine: the cloud's Lambda and Scheduler, and moto for everything else.

All requests of boto3 come through one function here and are service calls of the kernel of the
cloud that they belong to: the one whose task makes them, else the one that was entered last. moto
is one for a process, so clouds that are open at the same time share its data.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workpool_aws.core.callback.targets import QUEUE, TOPIC
from workpool_aws.local.apis.dynamodb_tokens import TransactionTokens
from workpool_aws.local.apis.http import Reply, Request
from workpool_aws.local.apis.interception import intercepted
from workpool_aws.local.apis.lambda_api import LambdaApi
from workpool_aws.local.apis.scheduler_api import SchedulerApi
from workpool_aws.local.engines.moto_backends import MotoBackends
from workpool_aws.local.faults.faults import CallThrottled, CallUnanswered
from workpool_aws.local.services.environment import cloud_environment, cloud_session
from workpool_aws.local.services.functions import REGION, Functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.awsrequest import AWSPreparedRequest

    from workpool_aws.adapters.aws.messenger import AwsMessenger
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.deliveries import Deliveries
    from workpool_aws.local.services.runs import Runs
    from workpool_aws.local.services.schedules import Schedules
    from workpool_aws.model.messages import CallbackMessage

__all__ = ["LOOKS", "UserAws"]

T = TypeVar("T")

_NOT_THERE: Final = 501
LOOKS: Final[Mapping[str, Callable[[Any, str, str, str], object]]] = {
    QUEUE.service: lambda sqs, _, account, name: sqs.get_queue_url(
        QueueName=name, QueueOwnerAWSAccountId=account
    ),
    TOPIC.service: lambda sns, arn, *_: sns.get_topic_attributes(TopicArn=arn),
}
"""The call, by service, that fails where there is no target of callbacks by an ARN. Its arguments are
the client, the ARN, and the account and name in it."""


class UserAws:
    """AWS for the user code of one cloud."""

    def __init__(
        self,
        kernel: Kernel,
        functions: Functions,
        deliveries: Deliveries,
        runs: Runs,
        schedules: Schedules,
    ) -> None:
        self.kernel = kernel
        self.around_dynamodb: Callable[[Request, Callable[[], Reply]], Reply] | None = None
        """Sees each request to DynamoDB and serves it; for an engine whose own tables are there."""
        self._tokens = TransactionTokens(kernel.now)
        self._lambda = LambdaApi(functions, deliveries, runs)
        self._scheduler = SchedulerApi(schedules)
        self._clients: dict[tuple[str, str], Any] = {}
        self._messenger: AwsMessenger | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Inside, boto3 of this process comes here."""
        _here.enter(self)
        try:
            yield
        finally:
            _here.leave(self)

    def dynamodb(self) -> Any:  # noqa: ANN401 - one of boto3's
        """Return a client of the tables of user code."""
        return self._client("dynamodb", REGION)

    def start_moto(self) -> None:
        """Have moto ready. Raises LocalCloudError: it is not installed."""
        _here.moto.start()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Keep requests of this thread from yielding, and from meter and trace."""
        with _here.quietly():
            yield

    @contextmanager
    def past(self) -> Iterator[None]:
        """Send requests of this thread past the cloud, to the endpoint that holds its tables."""
        with _here.passing():
            yield

    def answer(self, prepared: AWSPreparedRequest, *, quiet: bool) -> Reply:
        """Answer as AWS does, with the cloud's date.

        Raises LocalCloudError: moto is needed and not installed.
        """
        if quiet:
            with self.kernel.lock():
                return self._stamped(self._ask_moto(prepared))
        request = Request.of(prepared)
        label = f"{request.service} {request.operation}"
        if request.service == "lambda" and self._lambda.runs_code(request):
            # The handler runs in this very thread and makes service calls of its own, so nothing
            # may be held while it does.
            self._call(label, lambda: None, writes=True)
            return self._stamped(self._lambda.answer(request))
        return self._call(
            label, lambda: self._stamped(self._serve(request, prepared)), writes=request.writes
        )

    def pass_on(self, target: str, message: CallbackMessage) -> None:
        """Send a callback to the queue or topic of user code, if it made one by this ARN.

        Raises:
            InvokeRefused, InvokeThrottled, InvokeUnanswered: moto did not take it.
        """
        if not _here.moto.started:
            return
        with self.quietly():
            if self._is_there(target):
                self._to_moto.send(target, message)

    @property
    def _to_moto(self) -> AwsMessenger:
        if self._messenger is None:
            from workpool_aws.adapters.aws.messenger import AwsMessenger

            self._messenger = AwsMessenger(lambda: self._client("lambda", REGION), self._client)
        return self._messenger

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - one of boto3's
        if (service, region) not in self._clients:
            session: Any = cloud_session()
            self._clients[service, region] = session.client(service, region_name=region)
        return self._clients[service, region]

    def _is_there(self, arn: str) -> bool:
        _, _, service, region, account, name = arn.split(":", 5)
        try:
            LOOKS[service](self._client(service, region), arn, account, name)
        except Exception:  # noqa: BLE001 - moto raises anything for a region or an account that it does not know
            return False
        return True

    def _serve(self, request: Request, prepared: AWSPreparedRequest) -> Reply:
        if request.service == "lambda" and self._lambda.serves(request):
            return self._lambda.answer(request)
        if request.service == "scheduler" and self._scheduler.serves(request):
            return self._scheduler.answer(request)
        if request.service != "dynamodb":
            return self._ask_moto(prepared)
        return self._tokens.around(request, lambda: self._serve_dynamodb(request, prepared))

    def _serve_dynamodb(self, request: Request, prepared: AWSPreparedRequest) -> Reply:
        if self.around_dynamodb is None:
            return self._ask_moto(prepared)
        return self.around_dynamodb(request, lambda: self._ask_moto(prepared))

    def _call(self, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        try:
            return self.kernel.call(label, apply, writes=writes)
        except (CallThrottled, CallUnanswered) as error:
            from botocore.exceptions import HTTPClientError

            # The fault has repeated the call as the SDK does. This error is one that botocore does
            # not repeat again.
            raise HTTPClientError(error=error) from error

    def _ask_moto(self, prepared: AWSPreparedRequest) -> Reply:
        return _here.moto.ask(prepared) or Reply(_NOT_THERE, b"moto knows no such service")

    def _stamped(self, reply: Reply) -> Reply:
        headers = {name: value for name, value in reply.headers.items() if name.lower() != "date"}
        headers["Date"] = formatdate(self.kernel.now() // 1000, usegmt=True)
        return Reply(reply.status, reply.body, headers)


class _Process:
    """The state that a process has once.

    The clouds that are open, botocore's interception, moto.
    """

    def __init__(self) -> None:
        self.moto = MotoBackends(self.answer, self.passes)
        self._clouds: list[UserAws] = []
        self._changing = threading.Lock()
        self._undo = ExitStack()
        self._thread = threading.local()

    def enter(self, cloud: UserAws) -> None:
        """Add a cloud. The first one changes the process."""
        with self._changing:
            if not self._clouds:
                with ExitStack() as undo:
                    undo.enter_context(cloud_environment())
                    undo.enter_context(intercepted(self.answer, self.moto.take_over, self.passes))
                    undo.callback(self.moto.stop)
                    self._undo = undo.pop_all()
            self._clouds.append(cloud)

    def leave(self, cloud: UserAws) -> None:
        """Remove a cloud. The last one leaves the process as it was."""
        with self._changing:
            self._clouds.remove(cloud)
            if not self._clouds:
                self._undo.close()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Inside, requests of this thread are quiet."""
        before, self._thread.quiet = getattr(self._thread, "quiet", False), True
        try:
            yield
        finally:
            self._thread.quiet = before

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Inside, requests of this thread go where they would without a cloud."""
        before, self._thread.passes = self.passes(), True
        try:
            yield
        finally:
            self._thread.passes = before

    def passes(self) -> bool:
        """True if this thread is `passing`."""
        return bool(getattr(self._thread, "passes", False))

    def answer(self, prepared: AWSPreparedRequest) -> Reply:
        """Answer as the cloud of this thread does."""
        clouds = tuple(self._clouds)
        running = (cloud for cloud in clouds if cloud.kernel.current() is not None)
        return next(running, clouds[-1]).answer(
            prepared, quiet=getattr(self._thread, "quiet", False)
        )


_here: Final = _Process()

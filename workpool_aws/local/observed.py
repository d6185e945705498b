"""`ObservedCloud`, the half of `LocalCloud` that shows what happened in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workpool_aws.core.callback.targets import FUNCTION, target_of
from workpool_aws.errors import UsageError
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.functions import function_arn
from workpool_aws.local.services.platform import COMPLETION_NAME, LOOP_NAME, WATCHDOG_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.adapters.items.capacity import Capacity
    from workpool_aws.local.kernel.kernel import TraceLine
    from workpool_aws.local.options import CloudOptions
    from workpool_aws.local.services.invocations import Invocation
    from workpool_aws.local.services.platform import Engine, Platform
    from workpool_aws.model.events import Event
    from workpool_aws.ports import Ports

__all__ = ["ObservedCloud"]


class ObservedCloud:
    """Shows the time, the invocations, the messages and the events of a cloud. The base of `LocalCloud`."""

    def __init__(self, options: CloudOptions) -> None:
        self._options = options
        self._platform: Platform | None = None
        self._engine: Engine | None = None
        self._ports: dict[str, Ports] = {}

    @property
    def now(self) -> datetime:
        """The cloud's time: aware, UTC."""
        return datetime.fromtimestamp(self._open.kernel.now() / 1000, UTC)

    @property
    def capacity(self) -> Capacity:
        """Units that the requests to pools' tables have cost so far, by AWS's rules.

        Nothing on an endpoint.
        """
        return self._open.meter.snapshot()

    @property
    def events(self) -> Sequence[Event]:
        """The events that the library emitted so far, in order."""
        return tuple(self._open.telemetry.events)

    @property
    def facts(self) -> Sequence[Event]:
        """The same as `events`, by its earlier name."""
        return self.events

    @property
    def trace(self) -> Sequence[TraceLine]:
        """The last service calls: when, who, what.

        On the virtual clock the same seed gives the same lines.
        """
        return tuple(self._open.kernel.trace)

    @property
    def loop_arn(self) -> str:
        """The main loop's function."""
        return function_arn(LOOP_NAME)

    @property
    def completion_arn(self) -> str:
        """The completion function, which destinations lead to."""
        return function_arn(COMPLETION_NAME)

    @property
    def watchdog_arn(self) -> str:
        """The watchdog's function."""
        return function_arn(WATCHDOG_NAME)

    def invocations(self, fn: object) -> list[Invocation]:
        """Return the deliveries to a function (its ARN, name or handler), in order of their start.

        Raises UsageError: there is none.
        """
        return self._open.diary.of(self._name_of(fn))

    def messages(self, arn: str) -> list[object]:
        """Return the messages that pools sent to an SQS queue or SNS topic as callbacks, decoded, in order.

        Any ARN of one exists.

        Raises:
            UsageError: this is no ARN of a queue or topic. Or it is one on engine "moto", where
                queues are real ones: create, subscribe and read them through boto3.
        """
        if self._options.engine == "moto":
            raise UsageError("arn", arn, "read through boto3 on engine 'moto'")
        if not isinstance(arn, str) or target_of(arn) is FUNCTION:
            raise UsageError("arn", arn, "the ARN of an SQS queue or SNS topic")
        return self._open.mailbox.of(arn)

    def max_concurrency(self, fn: object) -> int:
        """Return the most that ran at one time, refused duplicates not counted.

        Raises UsageError: there is no such function.
        """
        return self._open.diary.most_at_once(self._name_of(fn))

    @property
    def _open(self) -> Platform:
        if self._platform is None:
            raise LocalCloudError("a LocalCloud is to be used in a `with`")
        return self._platform

    @property
    def _engine_open(self) -> Engine:
        if self._engine is None:
            raise LocalCloudError("a LocalCloud is to be used in a `with`")
        return self._engine

    def _name_of(self, fn: object) -> str:
        functions = self._open.functions
        resolved = functions.resolve(fn) if isinstance(fn, str) else None
        function = resolved.function if resolved is not None else functions.of_handler(fn)
        if function is None:
            raise UsageError("fn", fn, "a function of this cloud: its ARN, name or handler")
        return function.name

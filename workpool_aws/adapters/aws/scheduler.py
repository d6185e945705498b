"""Far wakes: one EventBridge schedule a pool, which fires once and deletes itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from workpool_aws.adapters.aws.schedule_names import SCHEDULE_AHEAD_MS_MIN, schedule_name
from workpool_aws.adapters.aws.sdk_errors import CALL_ERRORS, described
from workpool_aws.adapters.wire.loop import request_to_wire
from workpool_aws.errors import WorkpoolError
from workpool_aws.model.messages import LoopRequest
from workpool_aws.ports import Clock, TimerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_scheduler.type_defs import CreateScheduleInputTypeDef

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Deployment

__all__ = ["EventBridgeTimer", "ScheduleHome"]

_SECOND_MS: Final = 1_000
_DELIVERY_AGE_S_MAX: Final = 600
_DELIVERY_RETRIES_MAX: Final = 10
"""A wake that comes ten minutes late is worth nothing, since the watchdog has looked ten times."""


@dataclass(frozen=True, slots=True)
class ScheduleHome:
    """Target, group and role of a schedule. `None` means that one is not known."""

    loop_arn: str | None
    group: str | None
    role_arn: str | None

    @property
    def missing(self) -> str:
        """Names of the unknown ones, for a message. Empty when all are known."""
        parts = {
            "loop (WORKPOOL_LOOP_ARN)": self.loop_arn,
            "schedule group (WORKPOOL_SCHEDULE_GROUP)": self.group,
            "role (WORKPOOL_SCHEDULER_ROLE_ARN)": self.role_arn,
        }
        return ", the ".join(name for name, value in parts.items() if not value)


class EventBridgeTimer:
    """EventBridge Scheduler behind `ports.Timer`.

    The client is given as a function that returns it.

    Values that `home` does not know are looked up by `deployment`, again for every order.
    """

    def __init__(
        self,
        client: Callable[[], EventBridgeSchedulerClient],
        clock: Clock,
        table: str,
        *,
        home: ScheduleHome,
        deployment: Callable[[], Deployment | None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._table = table
        self._home = home
        self._deployment = deployment

    def wake_at(self, pool: str, at: EpochMs) -> None:
        """Order a wake of the pool's loop, in place of an earlier order.

        The wake comes in a minute at the earliest.

        Raises:
            TimerUnavailable: the order was not taken, or its answer was lost. An earlier order may
                still stand.
        """
        order = self._order(pool, at)
        try:
            if self._create(order) or self._update(order):
                return
            # It fired and deleted itself between the two: create it again.
            if not self._create(order):
                raise TimerUnavailable(
                    f"schedule {order['Name']} is being changed by another writer"
                )
        except CALL_ERRORS as error:
            raise TimerUnavailable(described(error)) from error

    def forget(self, pool: str) -> None:
        """Drop the order, if there is one. Without a schedule group there cannot be one.

        Raises:
            TimerUnavailable: the order may still stand. What it then wakes finds nothing to do.
        """
        group = self._home.group or self._look_up().group
        if not group:
            return
        try:
            self._client().delete_schedule(Name=schedule_name(self._table, pool), GroupName=group)
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise TimerUnavailable(str(error)) from error
        except CALL_ERRORS as error:
            raise TimerUnavailable(described(error)) from error

    def _look_up(self) -> ScheduleHome:
        """Return the known values, completed by the deployment item."""
        try:
            found = self._deployment()
        except WorkpoolError as error:
            raise TimerUnavailable(
                f"the table's deployment item cannot be read: {error}"
            ) from error
        if found is None:
            return self._home
        return ScheduleHome(
            loop_arn=self._home.loop_arn or found.loop_arn,
            group=self._home.group or found.schedule_group,
            role_arn=self._home.role_arn or found.scheduler_role_arn,
        )

    def _order(self, pool: str, at: EpochMs) -> CreateScheduleInputTypeDef:
        home = self._look_up() if self._home.missing else self._home
        if not home.loop_arn or not home.group or not home.role_arn:
            raise TimerUnavailable(
                f"neither the environment nor the table's deployment item names the {home.missing}"
            )
        earliest = self._clock.now() + SCHEDULE_AHEAD_MS_MIN
        at_s = -(-max(at, earliest) // _SECOND_MS)
        wake = LoopRequest(table=self._table, pool=pool, generation=None)
        return {
            "Name": schedule_name(self._table, pool),
            "GroupName": home.group,
            "Description": f"Wakes the loop of pool {pool} for work that is due later.",
            "ScheduleExpression": f"at({datetime.fromtimestamp(at_s, tz=UTC):%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "State": "ENABLED",
            "Target": {
                "Arn": home.loop_arn,
                "RoleArn": home.role_arn,
                "Input": json.dumps(request_to_wire(wake), separators=(",", ":")),
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": _DELIVERY_AGE_S_MAX,
                    "MaximumRetryAttempts": _DELIVERY_RETRIES_MAX,
                },
            },
        }

    def _create(self, order: CreateScheduleInputTypeDef) -> bool:
        """Return False if there is one of this name already."""
        try:
            self._client().create_schedule(**order)
        except ClientError as error:
            if _code(error) == "ConflictException":
                return False
            raise
        return True

    def _update(self, order: CreateScheduleInputTypeDef) -> bool:
        """Return False if there is none of this name any more.

        The whole order is sent, because an update resets what it does not name.
        """
        try:
            self._client().update_schedule(**order)
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return False
            raise
        return True


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")

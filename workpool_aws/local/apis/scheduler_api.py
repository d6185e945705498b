"""EventBridge Scheduler's HTTP API for one-time schedules that delete themselves."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from workpool_aws.local.apis.http import Reply, Request, ServiceError, json_reply
from workpool_aws.local.services.functions import ACCOUNT, REGION
from workpool_aws.local.services.schedules import EmulatedSchedule, Schedules, read_at

__all__ = ["SchedulerApi"]

_SCHEDULE: Final = re.compile(r"/schedules/([0-9A-Za-z_.-]{1,64})")


class SchedulerApi:
    """The schedules of a cloud behind HTTP."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    def serves(self, request: Request) -> bool:
        """True if this request is one of ours."""
        return _SCHEDULE.fullmatch(request.path) is not None

    def answer(self, request: Request) -> Reply:
        """Scheduler's answer."""
        try:
            return self._answer(request)
        except ServiceError as error:
            return json_reply(
                error.status, {"Message": str(error)}, {"x-amzn-ErrorType": error.code}
            )

    def _answer(self, request: Request) -> Reply:
        parts = _SCHEDULE.fullmatch(request.path)
        name = parts[1] if parts is not None else ""
        group = str(request.json().get("GroupName") or request.query.get("groupName") or "default")
        standing = self._schedules.find(group, name)
        if request.method == "POST":
            if standing is not None:
                raise ServiceError(
                    HTTPStatus.CONFLICT, "ConflictException", f"Schedule {name} already exists."
                )
            return self._put(request, group, name)
        if standing is None:
            raise ServiceError(
                HTTPStatus.NOT_FOUND,
                "ResourceNotFoundException",
                f"Schedule {name} does not exist.",
            )
        match request.method:
            case "PUT":
                return self._put(request, group, name)
            case "DELETE":
                self._schedules.drop(group, name)
                return json_reply(HTTPStatus.OK, {})
            case _:
                return json_reply(
                    HTTPStatus.OK,
                    {
                        **standing.request,
                        "Name": name,
                        "GroupName": group,
                        "Arn": _arn(group, name),
                    },
                )

    def _put(self, request: Request, group: str, name: str) -> Reply:
        fields = request.json()
        expression, target = str(fields.get("ScheduleExpression", "")), fields.get("Target")
        at = read_at(expression)
        if at is None or fields.get("ScheduleExpressionTimezone", "UTC") != "UTC":
            message = f"Invalid Schedule Expression {expression}. LocalCloud fires at(yyyy-mm-ddThh:mm:ss) in UTC."
            raise ServiceError(HTTPStatus.BAD_REQUEST, "ValidationException", message)
        if not isinstance(target, dict) or not isinstance(target.get("Arn"), str):
            message = "Target.Arn is missing"
            raise ServiceError(HTTPStatus.BAD_REQUEST, "ValidationException", message)
        shown = {key: value for key, value in fields.items() if key != "ClientToken"}
        arn, payload = target["Arn"], str(target.get("Input") or "{}")
        self._schedules.put(
            EmulatedSchedule(
                group=group, name=name, at=at, target=arn, payload=payload, request=shown
            )
        )
        return json_reply(HTTPStatus.OK, {"ScheduleArn": _arn(group, name)})


def _arn(group: str, name: str) -> str:
    return f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{name}"

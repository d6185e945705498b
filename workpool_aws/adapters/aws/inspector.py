"""Reads the configuration of a table and of functions, for `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from workpool_aws.adapters.aws.invoke import unfit_reason, without_qualifier
from workpool_aws.adapters.aws.schedule_names import schedule_name
from workpool_aws.adapters.aws.sdk_errors import CALL_ERRORS, described
from workpool_aws.adapters.items.attributes import (
    DEAD_INDEX,
    DEAD_KEY,
    PARTITION_KEY,
    SORT_KEY,
    TTL_ATTRIBUTE,
)
from workpool_aws.model.inspection import FunctionFacts, RoleFacts, TableFacts
from workpool_aws.ports import InspectionFailed
from workpool_aws.settings import DECORATED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeySchemaElementTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

__all__ = ["AwsInspector", "IamClient"]

_MISSING: Final = ("ResourceNotFoundException", "NoSuchEntity")
_RETRIES_DEFAULT: Final = 2
"""Lambda's own, for a function without asynchronous settings."""
_SCHEDULER: Final = "scheduler.amazonaws.com"


class IamClient(Protocol):
    """The requests of IAM that an inspector makes."""

    def get_role(self, **request: object) -> Mapping[str, Any]:
        """Returns the role, with its trust policy."""

    def simulate_principal_policy(self, **request: object) -> Mapping[str, Any]:
        """Returns the decision of a role's policies about an action."""


class AwsInspector:
    """DynamoDB, Lambda, Scheduler and IAM, behind `ports.Inspector`.

    Clients are asked for before each request.
    """

    def __init__(
        self,
        dynamodb: Callable[[], DynamoDBClient],
        functions: Callable[[], LambdaClient],
        scheduler: Callable[[], EventBridgeSchedulerClient],
        iam: Callable[[], IamClient],
    ) -> None:
        self._dynamodb = dynamodb
        self._functions = functions
        self._scheduler = scheduler
        self._iam = iam

    def table(self, name: str) -> TableFacts | None:
        """See Inspector."""
        try:
            client = self._dynamodb()
            found = client.describe_table(TableName=name)["Table"]
            ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        except CALL_ERRORS as error:
            if _code_of(error) in _MISSING:
                return None
            raise InspectionFailed(described(error)) from error
        indexes = {each.get("IndexName"): each for each in found.get("GlobalSecondaryIndexes", [])}
        dead = indexes.get(DEAD_INDEX, {})
        return TableFacts(
            is_active=found.get("TableStatus") in ("ACTIVE", "UPDATING"),
            has_keys=_keys(found.get("KeySchema", [])) == (PARTITION_KEY, SORT_KEY),
            has_dead_letters=_keys(dead.get("KeySchema", [])) == (PARTITION_KEY, DEAD_KEY)
            and dead.get("Projection", {}).get("ProjectionType") == "ALL"
            and dead.get("IndexStatus", "ACTIVE") in ("ACTIVE", "UPDATING"),
            has_ttl=ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
            and ttl.get("AttributeName") == TTL_ATTRIBUTE,
        )

    def function(self, target: str) -> FunctionFacts | None:
        """See Inspector."""
        name, qualifier = without_qualifier(target)
        try:
            return self._function(name, qualifier)
        except CALL_ERRORS as error:
            if _code_of(error) in _MISSING:
                return None
            raise InspectionFailed(described(error)) from error

    def wake(self, table: str, pool: str, group: str) -> bool:
        """See Inspector."""
        try:
            self._scheduler().get_schedule(Name=schedule_name(table, pool), GroupName=group)
        except CALL_ERRORS as error:
            if _code_of(error) in _MISSING:
                return False
            raise InspectionFailed(described(error)) from error
        return True

    def role(self, arn: str, target: str) -> RoleFacts | None:
        """See Inspector."""
        try:
            client = self._iam()
            found = client.get_role(RoleName=arn.rpartition("/")[2])["Role"]
            decided = client.simulate_principal_policy(
                PolicySourceArn=arn, ActionNames=["lambda:InvokeFunction"], ResourceArns=[target]
            )["EvaluationResults"]
        except CALL_ERRORS as error:
            if _code_of(error) in _MISSING:
                return None
            raise InspectionFailed(described(error)) from error
        return RoleFacts(
            trusts_scheduler=_lets_scheduler_in(found.get("AssumeRolePolicyDocument", {})),
            may_invoke=all(each.get("EvalDecision") == "allowed" for each in decided),
        )

    def _function(self, name: str, qualifier: str | None) -> FunctionFacts:
        client = self._functions()
        qualified = {} if qualifier is None else {"Qualifier": qualifier}
        found = client.get_function_configuration(FunctionName=name, **qualified)
        recursion = client.get_function_recursion_config(FunctionName=name)
        reserved = client.get_function_concurrency(FunctionName=name)
        retries, on_success, on_failure = self._event_config(client, name, qualifier)
        variables = found.get("Environment", {}).get("Variables", {})
        return FunctionFacts(
            is_active=found.get("State", "Active") in ("Active", "Inactive"),
            decorated=variables.get(DECORATED) == "1",
            unfit=unfit_reason(found),
            retries=retries,
            on_success=on_success,
            on_failure=on_failure,
            may_recurse=recursion.get("RecursiveLoop") == "Allow",
            reserved=reserved.get("ReservedConcurrentExecutions"),
        )

    def _event_config(
        self, client: LambdaClient, name: str, qualifier: str | None
    ) -> tuple[int, str | None, str | None]:
        """Returns retries and destinations; those of Lambda's defaults where there are none."""
        qualified = {} if qualifier is None else {"Qualifier": qualifier}
        try:
            found = client.get_function_event_invoke_config(FunctionName=name, **qualified)
        except ClientError as error:
            if _code_of(error) not in _MISSING:
                raise
            return _RETRIES_DEFAULT, None, None
        leads_to = found.get("DestinationConfig", {})
        return (
            found.get("MaximumRetryAttempts", _RETRIES_DEFAULT),
            leads_to.get("OnSuccess", {}).get("Destination"),
            leads_to.get("OnFailure", {}).get("Destination"),
        )


def _keys(schema: Sequence[KeySchemaElementTypeDef]) -> tuple[str, ...]:
    by_kind = sorted(schema, key=lambda each: each["KeyType"])  # HASH, then RANGE
    return tuple(each["AttributeName"] for each in by_kind)


def _lets_scheduler_in(policy: Mapping[str, Any]) -> bool:
    """True if a statement of a trust policy allows EventBridge Scheduler to assume the role."""
    for each in _listed(policy.get("Statement", [])):
        principal = each.get("Principal")
        services = principal.get("Service") if isinstance(principal, dict) else principal
        assumes = "sts:AssumeRole" in _listed(each.get("Action"))
        if each.get("Effect") == "Allow" and assumes and {_SCHEDULER, "*"} & {*_listed(services)}:
            return True
    return False


def _listed(value: object) -> Sequence[Any]:
    """Returns the values of a policy's element, which may be one or a list."""
    return value if isinstance(value, list) else [value]


def _code_of(error: Exception) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""

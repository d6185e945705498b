"""`AwsInspector`: answers that are missing, and questions that are refused."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from workpool_aws.adapters.aws.inspector import AwsInspector
from workpool_aws.model.inspection import FunctionFacts, RoleFacts, TableFacts
from workpool_aws.ports import InspectionFailed, NoInspector

KEYS = [
    {"AttributeName": "sk", "KeyType": "RANGE"},
    {"AttributeName": "pk", "KeyType": "HASH"},
]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Describe")


class Client:
    """Answers each request with what it was given, or raises it."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answer = self._answers[name]

        def call(**_: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def inspector(**answers: Any) -> AwsInspector:
    client = cast("Any", Client(**answers))
    return AwsInspector(lambda: client, lambda: client, lambda: client, lambda: client)


def test_table_without_index_and_ttl_is_seen() -> None:
    table = inspector(
        describe_table={"Table": {"TableStatus": "ACTIVE", "KeySchema": KEYS}},
        describe_time_to_live={"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
    ).table("pools")

    assert table == TableFacts(is_active=True, has_keys=True, has_dead_letters=False, has_ttl=False)


def test_function_without_asynchronous_settings_has_those_of_lambda() -> None:
    facts = inspector(
        get_function_configuration={"State": "Pending", "CapacityProviderConfig": {"x": 1}},
        get_function_recursion_config={"RecursiveLoop": "Terminate"},
        get_function_concurrency={"ReservedConcurrentExecutions": 3},
        get_function_event_invoke_config=refused("ResourceNotFoundException"),
    ).function("send:live")

    assert facts is not None
    assert facts.unfit is not None
    assert "Managed Instances" in facts.unfit
    assert facts == FunctionFacts(
        is_active=False,
        decorated=False,
        unfit=facts.unfit,
        retries=2,
        on_success=None,
        on_failure=None,
        may_recurse=False,
        reserved=3,
    )


def test_missing_table_and_function_are_none() -> None:
    missing = refused("ResourceNotFoundException")

    assert inspector(describe_table=missing).table("pools") is None
    assert inspector(get_function_configuration=missing).function("send") is None
    assert not inspector(get_schedule=missing).wake("pools", "email", "group")
    assert inspector(get_schedule={}).wake("pools", "email", "group")
    assert inspector(get_role=refused("NoSuchEntity")).role(ROLE, "arn:loop") is None


ROLE = "arn:aws:iam::123456789012:role/pools/scheduler"
SCHEDULER = "scheduler.amazonaws.com"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": SCHEDULER},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
}


@pytest.mark.parametrize(
    ("trust", "decision", "facts"),
    [
        (TRUST, "allowed", (True, True)),
        ([TRUST], "implicitDeny", (True, False)),
        ([TRUST], "explicitDeny", (True, False)),
        ({**TRUST, "Principal": {"Service": ["x", SCHEDULER]}}, "allowed", (True, True)),
        ({**TRUST, "Action": ["sts:TagSession", "sts:AssumeRole"]}, "allowed", (True, True)),
        ({**TRUST, "Effect": "Deny"}, "allowed", (False, True)),
        ({**TRUST, "Action": "sts:TagSession"}, "allowed", (False, True)),
        ({**TRUST, "Principal": {"Service": "lambda.amazonaws.com"}}, "allowed", (False, True)),
        ({**TRUST, "Principal": {"AWS": "123456789012"}}, "allowed", (False, True)),
        ({**TRUST, "Principal": "*"}, "allowed", (True, True)),
        ({"Effect": "Allow", "NotPrincipal": "x"}, "allowed", (False, True)),
        ([], "allowed", (False, True)),
    ],
)
def test_role_is_judged_by_its_trust_and_its_policies(
    trust: object, decision: str, facts: tuple[bool, bool]
) -> None:
    asked: dict[str, object] = {}

    class Iam:
        def get_role(self, **request: object) -> dict[str, Any]:
            asked.update(request)
            return {"Role": {"AssumeRolePolicyDocument": {"Statement": trust}}}

        def simulate_principal_policy(self, **request: object) -> dict[str, Any]:
            asked.update(request)
            return {"EvaluationResults": [{"EvalDecision": decision}]}

    none = cast("Any", None)

    found = AwsInspector(none, none, none, Iam).role(ROLE, "arn:loop")

    assert found == RoleFacts(trusts_scheduler=facts[0], may_invoke=facts[1])
    assert asked == {
        "RoleName": "scheduler",
        "PolicySourceArn": ROLE,
        "ActionNames": ["lambda:InvokeFunction"],
        "ResourceArns": ["arn:loop"],
    }


@pytest.mark.parametrize(
    "error", [refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="http://x")]
)
def test_refused_question_is_no_answer(error: Exception) -> None:
    with pytest.raises(InspectionFailed):
        inspector(describe_table=error).table("pools")
    with pytest.raises(InspectionFailed):
        inspector(get_function_configuration=error).function("send")
    with pytest.raises(InspectionFailed):
        inspector(get_schedule=error).wake("pools", "email", "group")
    with pytest.raises(InspectionFailed):
        inspector(get_role=error).role(ROLE, "arn:loop")
    with pytest.raises(InspectionFailed):
        inspector(get_role={"Role": {}}, simulate_principal_policy=error).role(ROLE, "arn:loop")
    with pytest.raises(InspectionFailed):
        inspector(
            get_function_configuration={},
            get_function_recursion_config={},
            get_function_concurrency={},
            get_function_event_invoke_config=error,
        ).function("send")


def test_ports_without_inspector_refuse_every_question() -> None:
    with pytest.raises(InspectionFailed):
        NoInspector().table("pools")
    with pytest.raises(InspectionFailed):
        NoInspector().function("send")
    with pytest.raises(InspectionFailed):
        NoInspector().wake("pools", "email", "group")
    with pytest.raises(InspectionFailed):
        NoInspector().role(ROLE, "arn:loop")

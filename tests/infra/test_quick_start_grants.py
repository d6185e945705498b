"""Callers that start work items themselves may invoke the decorated functions of their pools, and nothing else [WP-44]."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from tests.infra.deployment import Deployed
from workpool_cdk import ConfigurationError

STARTS = {
    "lambda:InvokeFunction",
    "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionEventInvokeConfig",
}


def starts_of(template: dict[str, Any], principal: str) -> dict[str, set[str]]:
    """Return the actions by function that policies beside its own allow a principal."""
    found: dict[str, set[str]] = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Policy" or "QuickStarts" not in name:
            continue
        properties = resource["Properties"]
        if principal not in json.dumps(properties["Roles"]):
            continue
        for each in properties["PolicyDocument"]["Statement"]:
            actions = each["Action"]
            for arn in (
                each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]]
            ):
                function = json.dumps(arn).split('"')[3]
                found.setdefault(function, set()).update(
                    [actions] if isinstance(actions, str) else actions
                )
    return found


@pytest.mark.parametrize("granted_first", [True, False])
def test_caller_may_invoke_functions_of_its_pools_added_before_or_later(
    *, granted_first: bool
) -> None:
    deployed = Deployed()
    pool, api = deployed.pool, deployed.function("Api")

    def grant() -> None:
        pool.grant_enqueue(api, pools=["email"], quick_start=True)

    if granted_first:
        grant()
    pool.add_action(deployed.function("SendEmail"), pools=["email"])
    pool.add_action(deployed.function("Report"), pools=["reports"])
    pool.add_action(deployed.function("Legacy"), decorated=False)
    if not granted_first:
        grant()

    found = starts_of(deployed.template(), "ApiServiceRole")
    assert {name[: len("SendEmail")]: actions for name, actions in found.items()} == {
        "SendEmail": STARTS
    }


def test_ordinary_caller_may_invoke_loop_alone() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.pool.grant_enqueue(deployed.function("Api"))
    assert starts_of(deployed.template(), "ApiServiceRole") == {}


def test_worker_may_start_its_own_work_items() -> None:
    """A policy of its own, since a function waits for that of its role."""
    deployed = Deployed()
    worker = deployed.function("SendEmail")
    deployed.pool.add_action(worker)
    deployed.pool.grant_enqueue(worker, quick_start=True)
    assert list(starts_of(deployed.template(), "SendEmailServiceRole").values()) == [STARTS]


def test_caller_and_function_may_be_in_stacks_of_their_own() -> None:
    deployed = Deployed()
    front, back = Stack(deployed.app, "Front"), Stack(deployed.app, "Back")
    deployed.pool.add_action(deployed.function("SendEmail", stack=back))
    deployed.pool.grant_enqueue(deployed.function("Api", stack=front), quick_start=True)

    template = deployed.app.synth().get_stack_by_name("Back").template
    assert "QuickStarts" in json.dumps(template)


@pytest.mark.parametrize("kind", [iam.User, iam.Group])
def test_users_and_groups_may_start_work_items(kind: type[iam.User | iam.Group]) -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.pool.grant_enqueue(kind(deployed.stack, "People"), quick_start=True)
    policies = json.dumps(deployed.of_type("AWS::IAM::Policy"))
    assert "PeopleDefaultPolicy" in policies


def test_quick_start_is_true_or_false() -> None:
    deployed, options = Deployed(), dict[str, Any](quick_start="yes")
    with pytest.raises(ConfigurationError, match="quick_start must be True or False; got 'yes'"):
        deployed.pool.grant_enqueue(deployed.function("Api"), **options)

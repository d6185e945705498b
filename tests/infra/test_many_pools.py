"""A deployment of many pools stays within the limits of CloudWatch, IAM and Lambda, or is refused at synth."""

import json
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from tests.infra.deployment import Deployed
from workpool_cdk import ConfigurationError
from workpool_cdk.dashboard import METRICS_MAX, WIDGET_METRICS_MAX

MANY = 340
NAMED = 90
"""As many as the policies of one role can name for `grant_manage`."""
INLINE_POLICY_MAX = 10_240
MANAGED_POLICY_MAX = 6_144
MANAGED_POLICIES_MAX = 9
"""Ten, and one is Lambda's own for the log."""


@pytest.fixture(scope="module")
def many() -> Deployed:
    deployed = Deployed({f"pool-{n:03}": {} for n in range(MANY)}, monitoring="full")
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.pool.add_action(deployed.function("Some"), pools=[f"pool-{n:03}" for n in range(100)])
    named = [f"pool-{n:03}" for n in range(NAMED)]
    deployed.pool.grant_enqueue(deployed.function("Api"), pools=named)
    deployed.pool.grant_manage(deployed.function("Admin"), pools=named)
    return deployed


def bodies(deployed: Deployed) -> list[list[dict[str, Any]]]:
    """The widgets of each dashboard."""
    texts = [
        each["DashboardBody"]["Fn::Join"][1]
        for each in deployed.of_type("AWS::CloudWatch::Dashboard").values()
    ]
    joined = ["".join(part if isinstance(part, str) else "x" for part in parts) for parts in texts]
    return [json.loads(text)["widgets"] for text in joined]


def test_dashboards_are_paged_below_what_cloudwatch_shows(many: Deployed) -> None:
    counts = [
        [len(widget["properties"]["metrics"]) for widget in widgets] for widgets in bodies(many)
    ]

    assert len(counts) == 4
    assert max(sum(each) for each in counts) <= METRICS_MAX
    assert max(max(each) for each in counts) <= WIDGET_METRICS_MAX
    shown = json.dumps(bodies(many))
    assert all(f"pool-{n:03} OldestDue" in shown for n in range(MANY))


def test_policies_are_small_enough_to_be_attached(many: Deployed) -> None:
    inline, managed = many.of_type("AWS::IAM::Policy"), many.of_type("AWS::IAM::ManagedPolicy")

    assert max(size(each) for each in inline.values()) <= INLINE_POLICY_MAX
    assert max(size(each) for each in managed.values()) <= MANAGED_POLICY_MAX
    for role in many.of_type("AWS::IAM::Role"):
        assert (
            sum({"Ref": role} in each["Roles"] for each in managed.values()) <= MANAGED_POLICIES_MAX
        )


def size(policy: dict[str, Any]) -> int:
    return len(json.dumps(policy["PolicyDocument"], separators=(",", ":")))


def test_keys_of_pool_stay_in_one_statement(many: Deployed) -> None:
    """A request for items of two kinds is allowed by one statement, or not at all."""
    policies = [
        *many.of_type("AWS::IAM::Policy").values(),
        *many.of_type("AWS::IAM::ManagedPolicy").values(),
    ]
    lists = [
        each["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for policy in policies
        for each in policy["PolicyDocument"]["Statement"]
        if each["Action"] == "dynamodb:BatchGetItem" and "pool-" in json.dumps(each)
    ]

    for keys in lists:
        pools = [key.partition("#")[0] for key in ([keys] if isinstance(keys, str) else keys)]
        assert len({pools.count(pool) for pool in pools}) == 1


def test_all_pools_are_left_out_of_environment_that_they_would_fill(many: Deployed) -> None:
    environments = {
        name: each.get("Environment", {}).get("Variables", {})
        for name, each in many.of_type("AWS::Lambda::Function").items()
    }

    assert [
        each["WORKPOOL_SERVES"]
        for name, each in environments.items()
        if name.startswith("SendEmail")
    ] == [""]
    assert [
        each["WORKPOOL_SERVES"].count(",")
        for name, each in environments.items()
        if name.startswith("Some")
    ] == [99]
    other = Deployed({f"pool-{n:03}": {} for n in range(MANY)})
    with pytest.raises(
        ConfigurationError,
        match="the names of 200 take more than 1024 bytes of the environment of Mail/Many",
    ):
        other.pool.add_action(other.function("Many"), pools=[f"pool-{n:03}" for n in range(200)])
    with pytest.raises(
        ConfigurationError,
        match=r"the permissions of manager for 300 pools are more than the policies of one role hold",
    ):
        other.pool.grant_manage(other.function("Most"), pools=[f"pool-{n:03}" for n in range(300)])


def test_all_pools_are_named_by_pattern_where_role_cannot_name_each(many: Deployed) -> None:
    worker = next(
        each
        for name, each in many.of_type("AWS::IAM::Policy").items()
        if name.startswith("SendEmail")
    )
    conditions = [
        each["Condition"] for each in worker["PolicyDocument"]["Statement"] if "Condition" in each
    ]

    assert ["*#payload#*"] in [
        each["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] for each in conditions
    ]

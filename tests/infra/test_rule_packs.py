"""AWS's own rule packs find nothing in the construct that is not answered with a reason."""

import json
from pathlib import Path

import pytest

pytest.importorskip("cdk_nag", reason="cdk-nag is not installed: `make infra` installs it")

from aws_cdk import Environment, Stack, Validations
from aws_cdk import aws_kms as kms
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from tests.infra.deployment import Deployed, everything
from workpool_cdk import Monitoring, Workpool, acknowledged


def found_by_rules(deployed: Deployed, within: str) -> list[tuple[str, str]]:
    """(rule, construct) of what is left unanswered within a part of the app."""
    Validations.of(deployed.app).add_plugins(
        AwsSolutionsChecks(deployed.app), ServerlessChecks(deployed.app)
    )
    try:
        deployed.app.synth()
    except RuntimeError as failed:
        assert "ValidationFailed" in str(failed)  # noqa: PT017 - users' functions fail, too
    report = json.loads(
        Path(deployed.app.outdir, "validation-report.json").read_text(encoding="utf-8")
    )
    return [
        (violation["ruleName"], found["constructPath"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for found in violation["violatingConstructs"]
        if found["constructPath"].startswith(within)
    ]


def test_nothing_of_ours_is_left_unanswered() -> None:
    assert found_by_rules(everything(monitoring=Monitoring.FULL), "Mail/Pools/") == []


def test_nothing_is_left_in_named_region_with_key_of_ones_own() -> None:
    deployed = Deployed()
    stack = Stack(
        deployed.app, "Abroad", env=Environment(account="111122223333", region="eu-central-1")
    )
    Workpool(
        stack,
        "Pools",
        {"email": {}},
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
    )

    assert found_by_rules(deployed, "Abroad/") == []


def test_rules_do_look_at_construct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledged, "_acknowledge", lambda *_: None)

    rules = {rule.partition("[")[0] for rule, _ in found_by_rules(everything(), "Mail/Pools/")}

    assert rules == {
        "AwsSolutions-IAM5",
        "AwsSolutions-L1",
        "AwsSolutions-SQS3",
        "Serverless-LambdaDLQ",
        "Serverless-LambdaLatestVersion",
        "Serverless-LambdaTracing",
        "Serverless-SQSRedrivePolicy",
    }

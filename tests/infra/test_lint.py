"""cfn-lint finds nothing wrong with the template."""

import json
from pathlib import Path

import pytest

pytest.importorskip("cfnlint", reason="cfn-lint is not installed: `make infra` installs it")

from cfnlint.api import ManualArgs, lint

from tests.infra.deployment import Deployed, everything
from workpool_cdk import Monitoring

ACCEPTED = {
    "W3005": "CDK itself says that a function waits for its role and the role's policy, though the function names the role",
}


@pytest.mark.parametrize("level", list(Monitoring))
def test_template_is_well_formed(level: Monitoring) -> None:
    template = json.dumps(everything(monitoring=level).template())

    found = lint(
        template,
        config=ManualArgs(regions=["us-east-1", "eu-central-1"], ignore_checks=list(ACCEPTED)),
    )

    assert [f"{each.rule.id} {each.message}" for each in found] == []


def test_functions_that_send_callbacks_to_themselves_and_each_other_make_no_circle() -> None:
    deployed = Deployed()
    for name in ("mail", "orders"):
        deployed.pool.add_handler(
            deployed.function(name), jobs=[f"{name}_job"], on_complete=[f"{name}_done"]
        )

    found = lint(json.dumps(deployed.template()), config=ManualArgs(regions=["us-east-1"]))

    assert [each.message for each in found if each.rule.id == "E3004"] == []


def test_linter_does_find_things() -> None:
    broken = json.dumps(
        {
            "Resources": {
                "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": "long"}}
            }
        }
    )

    assert lint(broken, config=ManualArgs(regions=["us-east-1"])) != []


def test_template_fits() -> None:
    assert (
        len(
            Path(
                everything(monitoring=Monitoring.FULL)
                .app.synth()
                .get_stack_by_name("Mail")
                .template_full_path
            ).read_bytes()
        )
        < 500_000
    )

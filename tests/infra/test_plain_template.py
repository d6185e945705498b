"""The template for deployments without the CDK: its parameters, its policies, and the page that describes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

import hcl2
from aws_cdk import App
from cfnlint.api import ManualArgs, lint

from tests.infra.deployment import everything
from tests.infra.statements import statements_of
from workpool_aws.settings import read_settings
from workpool_cdk.config import AppConfig
from workpool_cdk.monitoring import Monitoring
from workpool_cdk.plain import POLICIES, PlainStack
from workpool_cdk.template import CONTEXT, TEMPLATE_BYTES_MAX, _text, _zip, main

PAGE = (Path(__file__).parents[2] / "docs" / "deploy-without-cdk.md").read_text(encoding="utf-8")
SYNTHESIS_SAYS = "W3005"
"""CDK itself says that a function waits for its role's policy, though the function names the role."""

Template = dict[str, Any]


def synthesized(**changed: Any) -> Template:
    config = AppConfig(
        **{
            "stack": "Workpool",
            "table": None,
            "keep_table": True,
            "monitoring": Monitoring.MINIMAL,
            "pools": {"email": {"max_parallelism": 10}, "reports": {}},
            **changed,
        }
    )
    app = App(context={**CONTEXT, "aws:cdk:bundling-stacks": []}, analytics_reporting=False)
    PlainStack(app, config)
    return dict(app.synth().get_stack_by_name("Workpool").template)


@pytest.fixture(scope="module")
def template() -> Template:
    return synthesized()


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: each["Properties"]
        for name, each in template["Resources"].items()
        if each["Type"] == kind
    }


def block(mark: str) -> str:
    (found,) = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first row begins with a heading, without backticks."""
    _, _, rest = PAGE.partition(f"| {heading} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [
        [cell.strip().replace("`", "") for cell in line.strip("| ").split(" | ")] for line in lines
    ]


def test_plain_template_needs_no_bootstrap_and_no_asset(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function").values()

    assert template.keys() == {"Description", "Parameters", "Conditions", "Resources", "Outputs"}
    assert "cdk-" not in json.dumps(template)
    assert [each["Code"] for each in functions] == [
        {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}
    ] * 3
    assert "Default" not in template["Parameters"]["CodeBucket"]
    assert re.fullmatch(r"workpool-[0-9a-f]{16}\.zip", template["Parameters"]["CodeKey"]["Default"])


def test_plain_template_can_be_deployed_twice_in_account(template: Template) -> None:
    """Whatever has a name of its own is named after the stack."""
    named = [
        properties[field]
        for name, properties in (
            (name, each["Properties"]) for name, each in template["Resources"].items()
        )
        for field in properties
        if field in ("FunctionName", "Name", "TableName", "RoleName", "AlarmName", "QueueName")
    ]

    assert len(named) >= 5
    assert [each for each in named if "Ref" not in json.dumps(each)] == []


def test_table_that_configuration_names_has_that_name() -> None:
    (table,) = of_type(synthesized(table="jobs"), "AWS::DynamoDB::Table").values()

    assert table["TableName"] == "jobs"


@pytest.mark.parametrize("level", list(Monitoring))
def test_plain_template_is_well_formed(level: Monitoring) -> None:
    found = lint(
        json.dumps(synthesized(monitoring=level)),
        config=ManualArgs(regions=["us-east-1"], ignore_checks=[SYNTHESIS_SAYS]),
    )

    assert [f"{each.rule.id} {each.message}" for each in found] == []


def test_parameters_and_outputs_are_those_of_page(template: Template) -> None:
    parameters = {name for row in rows("parameter") for name in row[0].split(", ")}
    outputs = {name for row in rows("output") for name in row[0].split(", ")}

    assert parameters == template["Parameters"].keys()
    assert outputs == template["Outputs"].keys()


def test_jobs_are_named_to_watchdog_alone_and_only_if_there_are_any(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function").values()
    variables = [each["Environment"]["Variables"] for each in functions]

    (named,) = [each["WORKPOOL_JOBS"] for each in variables if "WORKPOOL_JOBS" in each]
    assert named == {"Fn::If": ["HasJobs", {"Ref": "Jobs"}, {"Ref": "AWS::NoValue"}]}
    assert template["Conditions"]["HasJobs"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Jobs"}, ""]}]}


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", True),
        ("send_email=mailer", True),
        (
            "mail.send=arn:aws:lambda:eu-west-1:123456789012:function:app:live,crawl=app:$LATEST",
            True,
        ),
        ("send_email", False),
        ("send_email=", False),
        ("send_email=mailer, crawl=crawler", False),
        ("send_email=mailer,", False),
        (".send=mailer", False),
    ],
)
def test_parameter_takes_jobs_that_watchdog_reads(
    template: Template, text: str, allowed: bool
) -> None:
    """A value that the watchdog could not read would stop each of its ticks."""
    pattern = template["Parameters"]["Jobs"]["AllowedPattern"]

    assert (re.search(pattern, text) is not None) is allowed
    if allowed:
        read = read_settings({"WORKPOOL_JOBS": text}).jobs
        assert ",".join(f"{job}={function}" for job, function in read) in {
            text,
            ",".join(sorted(text.split(","))),
        }


def without_pools(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One line for each operation, kind of item or service, whatever the pools and resources are."""
    actions = statement["Action"]
    keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    resource = json.dumps(statement["Resource"])
    index = " of dead letters" if "/index/" in resource else ""
    for action in [actions] if isinstance(actions, str) else actions:
        for key in keys.get("dynamodb:LeadingKeys", [""]):
            kind = re.sub(r"^(?:email|reports|\*)", "*", key)
            yield (f"{action}{index}", kind)


def lines_of(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The lines of all statements but those that say who may take a role."""
    return {line for each in statements if "Principal" not in each for line in without_pools(each)}


ROLES = {
    "WorkerPolicy": "SendEmailServiceRole",
    "UndecoratedWorkerPolicy": "LegacyServiceRole",
    "CallbackHandlerPolicy": "EmailSentServiceRole",
    "EnqueuePolicy": "ApiServiceRole",
    "QuickStartPolicy": "HurriedServiceRole",
    "ReadPolicy": "BoardServiceRole",
    "ManagePolicy": "AdminServiceRole",
}


@pytest.fixture(scope="module")
def constructed() -> dict[str, list[dict[str, Any]]]:
    return statements_of(everything().template())


def policy_named(template: Template, name: str) -> list[dict[str, Any]]:
    reference = template["Outputs"][f"{name}Arn"]["Value"]["Ref"]
    document = template["Resources"][reference]["Properties"]["PolicyDocument"]
    return list(document["Statement"])


@pytest.mark.parametrize("name", POLICIES)
def test_managed_policy_gives_what_construct_gives_to_role(
    template: Template, constructed: dict[str, list[dict[str, Any]]], name: str
) -> None:
    assert lines_of(policy_named(template, name)) == lines_of(constructed[ROLES[name]])


@pytest.mark.parametrize("role", ["Loop", "Completion"])
def test_role_of_library_may_do_what_it_may_in_construct(
    template: Template, constructed: dict[str, list[dict[str, Any]]], role: str
) -> None:
    now = statements_of(template)
    name = f"Pools{role}Role"
    (found,) = [now[each] for each in now if each.startswith(name)]

    assert lines_of(found) == lines_of(constructed[name])


def test_loop_may_invoke_listed_workers_and_itself_only(template: Template) -> None:
    invoked = [
        statement["Resource"]
        for policy in of_type(template, "AWS::IAM::Policy").values()
        if any("LoopRole" in each["Ref"] for each in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]
        if "lambda:InvokeFunction" in statement["Action"]
    ]
    listed = [each for each in invoked if "Fn::If" in each]

    assert [each["Fn::If"][:2] for each in listed] == [
        ["HasWorkers", {"Ref": "Workers"}],
        ["HasCallbackTargets", {"Ref": "CallbackTargets"}],
    ]
    assert [each for each in invoked if each not in listed and ":function:" not in str(each)] == []


def test_permissions_are_those_of_page(template: Template) -> None:
    said = {row[0]: row[1:] for row in rows("policy")}

    assert said == {name: cells_of(policy_named(template, name)) for name in POLICIES}


def cells_of(statements: list[dict[str, Any]]) -> list[str]:
    """The two cells of the page's table that describe a policy."""
    table: dict[str, list[str]] = {}
    rest = set()
    for action, key in sorted(lines_of(statements)):
        if action.startswith("dynamodb:"):
            kind = key.replace("*#", "").replace("#", "").rstrip("*")
            table.setdefault(action.removeprefix("dynamodb:"), []).append(kind)
        else:
            rest.add(action)
    access = "; ".join(f"{action}: {', '.join(sorted(table[action]))}" for action in sorted(table))
    return [access or "nothing", ", ".join(sorted(rest)) or "nothing"]


def settings_of(deployed_name: str, template: Template) -> dict[str, Any]:
    """Settings of the construct on a function, in the words of the page."""
    functions = of_type(template, "AWS::Lambda::Function")
    configs = of_type(template, "AWS::Lambda::EventInvokeConfig")
    (name,) = [each for each in functions if each.startswith(deployed_name)]
    (config,) = [each for each in configs.values() if each["FunctionName"] == {"Ref": name}]
    destinations = config["DestinationConfig"]
    variables = functions[name].get("Environment", {}).get("Variables", {})
    return {
        "retries of asynchronous events": str(config["MaximumRetryAttempts"]),
        "maximum age of events in seconds": str(config["MaximumEventAgeInSeconds"]),
        "destination on failure": "CompletionArn" if "OnFailure" in destinations else "none",
        "destination on success": "CompletionArn" if "OnSuccess" in destinations else "none",
        "recursive loop detection": functions[name].get("RecursiveLoop", "the default"),
        "WORKPOOL_TABLE": "TableName" if "WORKPOOL_TABLE" in variables else "none",
        "WORKPOOL_DECORATED": variables.get("WORKPOOL_DECORATED", "none"),
    }


def test_settings_of_functions_are_those_of_construct() -> None:
    template = everything().template()
    said = {row[0]: row[1:] for row in rows("setting")}
    columns = [settings_of(name, template) for name in ("SendEmail", "Legacy", "EmailSent")]

    assert {field: said.get(field) for field in columns[0]} == {
        field: [column[field] for column in columns] for field in columns[0]
    }


def test_configuration_of_terraform_has_settings_of_worker() -> None:
    read = hcl2.loads(block("terraform"))
    resources = {
        kind.strip('"'): next(iter(named.values()))
        for each in read["resource"]
        for kind, named in each.items()
    }
    events = resources["aws_lambda_function_event_invoke_config"]
    said = {row[0]: row[1] for row in rows("setting")}

    assert str(events["maximum_retry_attempts"]) == said["retries of asynchronous events"]
    assert str(events["maximum_event_age_in_seconds"]) == said["maximum age of events in seconds"]
    assert said["destination on failure"] in str(events["destination_config"])
    assert "on_success" not in str(events)
    assert said["recursive loop detection"] in str(
        resources["aws_lambda_function_recursion_config"]
    )
    assert said["policy of its role"] in str(resources["aws_iam_role_policy_attachment"])
    assert "WORKPOOL_DECORATED" in str(resources["aws_lambda_function"]["environment"])
    parameters = str(resources["aws_cloudformation_stack"]["parameters"])
    assert {"CodeBucket", "CodeKey", "Workers"} <= set(re.findall(r"\w+", parameters))


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed here")
def test_configuration_of_terraform_is_formatted(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(block("terraform"), encoding="utf-8")
    terraform = shutil.which("terraform") or ""

    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_template_of_sam_is_well_formed() -> None:
    found = lint(block("sam"), config=ManualArgs(regions=["us-east-1"]))

    assert [f"{each.rule.id} {each.message}" for each in found] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--config", "{folder}/none.toml"], "none.toml: No such file or directory"),
        (["--config", "{folder}/bad.toml"], "monitoring must be one of none, minimal, full"),
        (["--out", "{folder}/bad.toml"], "--out must be a folder, or a path where one can be made"),
        (
            ["--out", "/proc/nothing/here"],
            "can be made (No such file or directory); got '/proc/nothing/here'",
        ),
        (["--bundle-for", "toaster"], "'toaster' is neither 'lambda' nor 'host'"),
    ],
)
def test_command_refuses_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "bad.toml").write_text('monitoring = "lots"', encoding="utf-8")
    (tmp_path / "good.toml").write_text("", encoding="utf-8")
    given = [each.format(folder=tmp_path) for each in words]

    code = main(["--config", f"{tmp_path}/good.toml", "--out", f"{tmp_path}/out", *given])

    assert (code, list((tmp_path / "out").glob("*"))) == (1, [])
    assert says in capsys.readouterr().err


def test_zip_is_same_bytes_whenever_it_is_made(tmp_path: Path) -> None:
    archives = []
    for number in (1, 2):
        folder = tmp_path / f"code{number}"
        (folder / "b").mkdir(parents=True)
        for name in sorted(("a.py", "b/c.py"), reverse=number == 1):
            (folder / name).write_text("x = 1\n", encoding="utf-8")
            (folder / name).chmod(0o600 if number == 1 else 0o755)
        archives.append(tmp_path / f"{number}.zip")
        _zip(folder, archives[-1])

    assert archives[0].read_bytes() == archives[1].read_bytes()
    with ZipFile(archives[0]) as opened:
        assert opened.namelist() == ["a.py", "b/c.py"]
        assert {each.external_attr >> 16 for each in opened.infolist()} == {0o100644}


def test_large_template_is_written_compactly() -> None:
    large = {"Resources": {f"Topic{n}": {"Type": "AWS::SNS::Topic"} for n in range(1_000)}}

    assert "\n " in _text({"Resources": {}})
    assert len(_text(large)) <= TEMPLATE_BYTES_MAX
    assert json.loads(_text(large)) == large

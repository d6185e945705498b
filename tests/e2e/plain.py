"""Deploys the plain template as the nested stack of the SAM template that `docs/deploy-without-cdk.md` shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.e2e.deployment import CDK_PYTHON, INFRA, account
from tests.e2e.waiting import once
from tests.emulator.server import ROOT, MiniStack

PAGE = ROOT / "docs" / "deploy-without-cdk.md"
BUCKET = "my-code"
STACK = "shop"
_WRITTEN_WITHIN_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The deployed application of the page."""

    table: str
    functions: dict[str, str]
    """ARNs, by the last part of the name."""


def block(mark: str) -> str:
    """Returns one example of the page."""
    text = PAGE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def write_template(folder: Path) -> Path:
    """Run the command of `make template` for functions that are processes of this machine."""
    command = [
        str(CDK_PYTHON),
        *("-I", "-m", "workpool_cdk.template", "--bundle-for", "host"),
        *("--config", str(INFRA / "workpool.toml"), "--out", str(folder)),
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder.parent)}
    subprocess.run(
        command, env=environment, check=True, capture_output=True, timeout=_WRITTEN_WITHIN_S
    )
    return folder


def deploy(server: MiniStack) -> Shop:
    """Upload what `sam deploy` would upload, and create the stack. It is complete on return."""
    session = boto3.Session(region_name=account(server)["AWS_REGION"])
    written = write_template(server.folder / "template")
    (library,) = written.glob("workpool-*.zip")
    s3 = session.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for path in (library, written / "workpool.template.json", _code_of_the_shop(library)):
        s3.upload_file(str(path), BUCKET, path.name)
    formation = session.client("cloudformation")
    formation.create_stack(
        StackName=STACK,
        TemplateBody=_packaged(server, block("sam")),
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": BUCKET}],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = once(
        lambda: formation.describe_stacks(StackName=STACK)["Stacks"][0],
        lambda seen: not seen["StackStatus"].endswith("_IN_PROGRESS"),
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE", _failures(formation)
    (output,) = stack["Outputs"]
    names = ("send-email", "resize", "email-sent", "api")
    functions = {
        name: session.client("lambda").get_function(FunctionName=f"{STACK}-{name}")[
            "Configuration"
        ]["FunctionArn"]
        for name in names
    }
    return Shop(table=output["OutputValue"], functions=functions)


def _code_of_the_shop(library: Path) -> Path:
    """What `sam build` would make of `src/`: the code beside the library."""
    folder = library.parent / "shop"
    shutil.unpack_archive(library, folder)
    (folder / "app.py").write_text(block("sam-code"), encoding="utf-8")
    return Path(shutil.make_archive(str(library.parent / "app"), "zip", folder))


def _packaged(server: MiniStack, template: str) -> str:
    """What `sam package` makes of a template: addresses in place of local paths."""
    return template.replace("CodeUri: src/", f"CodeUri: s3://{BUCKET}/app.zip").replace(
        "TemplateURL: workpool.template.json",
        f"TemplateURL: {server.url}/{BUCKET}/workpool.template.json",
    )


def _failures(formation: Any) -> list[str]:
    """The reasons of the events that report a failure, of this stack and of the nested one."""
    stacks = formation.list_stacks()["StackSummaries"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for stack in stacks
        for event in formation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
        if "FAILED" in event["ResourceStatus"]
    ]

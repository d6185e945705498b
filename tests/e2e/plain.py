"""Deploys the plain template as the nested stack of a SAM template: that of `docs/deploy-without-cdk.md`, and that of the bookshop."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.e2e.deployment import CDK_PYTHON, INFRA, account
from tests.e2e.waiting import once
from tests.emulator.server import ROOT, MiniStack

PAGE = ROOT / "docs" / "deploy-without-cdk.md"
BOOKSHOP = ROOT / "examples" / "bookshop"
_WRITTEN_WITHIN_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application: its SAM template, the configuration of its pools, and its code."""

    stack: str
    template: str
    config: Path
    code: Mapping[str, str]
    """The files in `src/`."""
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A deployed application."""

    table: str
    functions: dict[str, str]
    """ARNs, by the last part of the name."""


def block(mark: str) -> str:
    """Returns one example of the page."""
    text = PAGE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def of_page() -> Application:
    """The application of the page."""
    return Application(
        stack="shop",
        template=block("sam"),
        config=INFRA / "workpool.toml",
        code={"app.py": block("sam-code")},
        functions=("send-email", "resize", "email-sent", "api"),
    )


def of_bookshop() -> Application:
    """The application of the tutorial, which the tutorial deploys with the CDK."""
    return Application(
        stack="books",
        template=(BOOKSHOP / "without-cdk" / "template.yaml").read_text(encoding="utf-8"),
        config=BOOKSHOP / "without-cdk" / "workpool.toml",
        code={
            path.name: path.read_text(encoding="utf-8") for path in (BOOKSHOP / "src").glob("*.py")
        },
        functions=("mail", "orders", "web"),
    )


def write_template(folder: Path, config: Path) -> Path:
    """Run the command of `make template` for functions that are processes of this machine."""
    command = [
        str(CDK_PYTHON),
        *("-I", "-m", "workpool_cdk.template", "--bundle-for", "host"),
        *("--config", str(config), "--out", str(folder)),
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder.parent)}
    subprocess.run(
        command, env=environment, check=True, capture_output=True, timeout=_WRITTEN_WITHIN_S
    )
    return folder


def deploy(server: MiniStack, application: Application) -> Shop:
    """Upload what `sam deploy` would upload, and create the stack. It is complete on return."""
    stack, bucket = application.stack, f"code-of-{application.stack}"
    session = boto3.Session(region_name=account(server)["AWS_REGION"])
    written = write_template(server.folder / f"plain-{stack}" / "template", application.config)
    (library,) = written.glob("workpool-*.zip")
    s3 = session.client("s3")
    s3.create_bucket(Bucket=bucket)
    for path in (library, written / "workpool.template.json", _built(library, application.code)):
        s3.upload_file(str(path), bucket, path.name)
    formation = session.client("cloudformation")
    formation.create_stack(
        StackName=stack,
        TemplateBody=_packaged(server, application.template, bucket),
        Parameters=[{"ParameterKey": "CodeBucket", "ParameterValue": bucket}],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    made = once(
        lambda: formation.describe_stacks(StackName=stack)["Stacks"][0],
        lambda seen: not seen["StackStatus"].endswith("_IN_PROGRESS"),
    )
    assert made["StackStatus"] == "CREATE_COMPLETE", _failures(formation)
    (output,) = made["Outputs"]
    functions = {
        name: session.client("lambda").get_function(FunctionName=f"{stack}-{name}")[
            "Configuration"
        ]["FunctionArn"]
        for name in application.functions
    }
    return Shop(table=output["OutputValue"], functions=functions)


def _built(library: Path, code: Mapping[str, str]) -> Path:
    """Return the code of `src/` beside the library, as `sam build` makes it."""
    folder = library.parent / "built"
    shutil.unpack_archive(library, folder)
    for name, text in code.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Path(shutil.make_archive(str(library.parent / "app"), "zip", folder))


def _packaged(server: MiniStack, template: str, bucket: str) -> str:
    """Return a template with addresses in place of local paths, as `sam package` makes it."""
    return re.sub(r"CodeUri: \S+", f"CodeUri: s3://{bucket}/app.zip", template).replace(
        "TemplateURL: workpool.template.json",
        f"TemplateURL: {server.url}/{bucket}/workpool.template.json",
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

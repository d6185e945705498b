"""The stacks that the pages show can be synthesized, with functions that stand for the reader's."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_

from tests.arch.test_snippets import DOCUMENTS, ROOT
from tests.infra.deployment import FLAGS, Deployed

STACK = re.compile(r"^<!-- stack -->\n```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(found["code"], id=path.relative_to(ROOT).as_posix())
    for path in DOCUMENTS
    for found in STACK.finditer(path.read_text(encoding="utf-8"))
]
TUTORIAL = ROOT / "examples" / "bookshop" / "deploy.py"
FUNCTIONS = (
    "api",
    "api_fn",
    "email_sent",
    "hourly",
    "legacy",
    "report",
    "send_email",
    "send_email_fn",
)


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder `src` of the reader's project holds some code."""
    original = lambda_.Code.from_asset

    def from_asset(path: str, **options: Any) -> lambda_.Code:
        return lambda_.Code.from_inline("x = 1") if path == "src" else original(path, **options)

    monkeypatch.setattr(lambda_.Code, "from_asset", staticmethod(from_asset))


def names(deployed: Deployed) -> dict[str, Any]:
    """The names that a page assumes: functions, and in place of a class the inside of one."""
    functions = {
        name: deployed.function(name.replace("_", ""), function_name=name) for name in FUNCTIONS
    }
    return {
        "__name__": "page",
        "lambda_": lambda_,
        "self": deployed.stack,
        "pools": deployed.pool,
        **functions,
    }


@pytest.mark.parametrize("code", BLOCKS)
def test_stack_of_page_is_synthesized(code: str) -> None:
    page = Deployed()
    found = names(page) | {"pool": SimpleNamespace(add_action=lambda function: None)}

    exec(compile(code, "page", "exec"), found)  # noqa: S102 - the documents' own code is what is tested
    for shown in list(found.values()):
        if isinstance(shown, type) and issubclass(shown, Stack) and shown is not Stack:
            shown(page.app, "Page")

    assert kinds(page.app) >= {"AWS::Lambda::Function"}


def kinds(app: App) -> set[str]:
    return {
        resource["Type"]
        for stack in app.synth().stacks
        for resource in stack.template["Resources"].values()
    }


def test_stack_of_tutorial_is_synthesized() -> None:
    found: dict[str, Any] = {"__name__": "page"}
    exec(compile(TUTORIAL.read_text(encoding="utf-8"), "deploy.py", "exec"), found)  # noqa: S102 - as above
    app = App(context=dict(FLAGS), analytics_reporting=False)

    found["Bookshop"](app, "Bookshop")

    assert kinds(app) >= {"AWS::Lambda::LayerVersion", "AWS::Lambda::EventInvokeConfig"}

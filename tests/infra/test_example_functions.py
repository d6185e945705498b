"""The example functions do what the guide says, on a LocalCloud. Needs no CDK."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from workpool_aws.local import LocalCloud

SOURCE = (
    Path(__file__).parents[2] / "infra" / "cdk" / "workpool_cdk" / "example" / "workpool_example.py"
)


def loaded(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud) -> ModuleType:
    monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
    monkeypatch.setenv("WORKPOOL_POOL", "default")
    spec = importlib.util.spec_from_file_location("workpool_example", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_greeting_is_enqueued_made_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalCloud(engine="memory") as cloud:
        example = loaded(monkeypatch, cloud)
        monkeypatch.setenv("GREET_ARN", cloud.function(example.greet))
        monkeypatch.setenv("GREETED_ARN", cloud.function(example.greeted))
        context = SimpleNamespace(
            aws_request_id="r",
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:enqueue",
        )

        work_id = example.enqueue({"name": "Ada"}, context)["work_id"]
        cloud.run_until_idle()

        assert cloud.workpool().result(None, work_id).return_value == "Hello Ada, from attempt 1"
        assert cloud.workpool().status(None, work_id).callback == "delivered"
        assert capsys.readouterr().out == f"{work_id}: success\n"


def test_undecorated_function_needs_to_know_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalCloud(engine="memory") as cloud:
        shout = cloud.function(loaded(monkeypatch, cloud).shout)
        pool = cloud.workpool()

        work_id = pool.enqueue_action(None, shout, {"name": "Ada"})
        cloud.run_until_idle()

        assert pool.result(None, work_id).return_value == "ADA"

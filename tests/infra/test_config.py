"""The keys of `workpool.toml`, and the app that it makes."""

from pathlib import Path

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import App

from tests.infra.deployment import FLAGS
from workpool_cdk import ConfigurationError, Monitoring
from workpool_cdk.app import add_stack
from workpool_cdk.config import read_config

SHIPPED = Path(__file__).parents[2] / "infra" / "cdk" / "workpool.toml"


def test_what_is_shipped_can_be_read() -> None:
    config = read_config(SHIPPED)

    assert (config.stack, config.table, config.keep_table, config.monitoring) == (
        "Workpool",
        None,
        True,
        Monitoring.MINIMAL,
    )
    assert config.pools == {"default": {"max_parallelism": 10}}


def test_empty_file_means_defaults(tmp_path: Path) -> None:
    path = tmp_path / "workpool.toml"
    path.write_text("", encoding="utf-8")

    assert read_config(path).pools == {"default": {}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pool = 1", "a key must be one of .*; got 'pool'"),
        ("keep_table = 'no'", "keep_table must be true or false; got 'no'"),
        ("monitoring = 'lots'", "monitoring must be one of none, minimal, full; got 'lots'"),
        ("[pools]\nemail = 3", r"pools.email must be a table: write \[pools.email\]"),
        ("stack =", "Invalid value"),
        ("stack = 'my stack'", "stack must be a name of CloudFormation: .*; got 'my stack'"),
        ("stack = ''", "stack must be a name of CloudFormation: .*; got ''"),
        (f"stack = '{'a' * 129}'", "stack must be a name of CloudFormation"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "workpool.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=says):
        read_config(path)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_config(tmp_path / "none.toml")


def test_app_deploys_what_file_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'stack = "Mine"\ntable = "mine"\nkeep_table = false\n[pools.a]\nmax_parallelism = 2',
        encoding="utf-8",
    )
    app = App(
        context={**FLAGS, "workpool:config": str(path)},
        outdir=str(tmp_path / "out"),
        analytics_reporting=False,
    )

    add_stack(app)

    resources = app.synth().get_stack_by_name("Mine").template["Resources"]
    tables = [each for each in resources.values() if each["Type"] == "AWS::DynamoDB::Table"]
    assert [(each["Properties"]["TableName"], each["DeletionPolicy"]) for each in tables] == [
        ("mine", "Delete")
    ]


@pytest.mark.parametrize(("asked", "functions"), [(None, 3), ("false", 3), ("true", 7)])
def test_example_functions_come_only_when_asked_for(
    tmp_path: Path, asked: str | None, functions: int
) -> None:
    context = {**FLAGS, "workpool:config": str(SHIPPED)} | (
        {} if asked is None else {"workpool:examples": asked}
    )
    app = App(context=context, outdir=str(tmp_path / "out"), analytics_reporting=False)

    add_stack(app)

    resources = app.synth().get_stack_by_name("Workpool").template["Resources"]
    assert (
        len([each for each in resources.values() if each["Type"] == "AWS::Lambda::Function"])
        == functions
    )

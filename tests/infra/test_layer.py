"""The layer, and the page about packages: what is in them, and how large they are.

Installs from the package index, as a deployment does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

import boto3
from aws_cdk import aws_lambda as lambda_

from tests.arch.locks import ROOT, pins
from tests.infra.deployment import FLAGS, Deployed
from workpool_cdk import ConfigurationError, WorkpoolLayer
from workpool_cdk.bundling import PLATFORM_CONTEXT, SDK, bundle, lambda_target, target_of
from workpool_cdk.sbom import BILL

PAGE = (ROOT / "docs" / "package-your-function.md").read_text(encoding="utf-8")
LOCK = pins((ROOT / "infra/cdk/workpool_cdk/lambda-requirements.txt").read_text(encoding="utf-8"))
MODULES_OF_SDK = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
MB = 1_000_000


def names_in(folder: Path) -> set[str]:
    bill = json.loads((folder / BILL).read_text(encoding="utf-8"))
    return {each["name"] for each in bill["components"]}


def sizes_mb(folder: Path) -> tuple[float, float]:
    """Of the files, and of their zip."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    archive = folder.with_suffix(".zip")
    with ZipFile(archive, "w", ZIP_DEFLATED) as opened:
        for path in files:
            opened.write(path, path.relative_to(folder))
    return sum(path.stat().st_size for path in files) / MB, archive.stat().st_size / MB


def test_layer_fits_one_runtime_and_architecture() -> None:
    deployed = Deployed()
    layer = WorkpoolLayer(
        deployed.stack,
        "Library",
        runtime=lambda_.Runtime.PYTHON_3_12,
        architecture=lambda_.Architecture.X86_64,
    )
    lambda_.Function(
        deployed.stack,
        "Uses",
        runtime=lambda_.Runtime.PYTHON_3_12,
        architecture=lambda_.Architecture.X86_64,
        handler="app.send_email",
        code=lambda_.Code.from_inline("x = 1"),
        layers=[layer],
    )

    (made,) = deployed.of_type("AWS::Lambda::LayerVersion").values()
    (uses,) = [
        each["Layers"]
        for name, each in deployed.of_type("AWS::Lambda::Function").items()
        if name.startswith("Uses")
    ]
    assert (made["CompatibleRuntimes"], made["CompatibleArchitectures"]) == (
        ["python3.12"],
        ["x86_64"],
    )
    assert len(uses) == 1


def test_asset_of_layer_differs_by_every_option() -> None:
    keys = set()
    for options in (
        {},
        {"sdk": True},
        {"runtime": lambda_.Runtime.PYTHON_3_12},
        {"architecture": lambda_.Architecture.X86_64},
    ):
        deployed = Deployed()
        WorkpoolLayer(deployed.stack, "Library", **options)
        (made,) = deployed.of_type("AWS::Lambda::LayerVersion").values()
        keys.add(json.dumps(made["Content"]["S3Key"]))

    assert len(keys) == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"runtime": lambda_.Runtime.PYTHON_3_10}, "runtime must be one of python3.11, .*3.10"),
        ({"runtime": lambda_.Runtime.NODEJS_22_X}, "runtime must be one of .*; got 'nodejs22.x'"),
        ({"runtime": "python3.13"}, "runtime must be one of .*; got 'python3.13'"),
        ({"architecture": "arm64"}, "architecture must be Architecture.ARM_64 or .*; got 'arm64'"),
        ({"sdk": "no"}, "sdk must be True or False; got 'no'"),
    ],
)
def test_layer_refuses_what_no_function_can_use(options: dict[str, object], says: str) -> None:
    deployed = Deployed()

    with pytest.raises(ConfigurationError, match=says):
        WorkpoolLayer(deployed.stack, "Library", **options)

    assert deployed.stack.node.try_find_child("Library") is None


def test_layer_outside_of_stack_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="scope must be a Stack"):
        WorkpoolLayer(Deployed().app, "Library")


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Bundles once for each target."""

    @cache
    def made(python: str, architecture: str, without: frozenset[str]) -> Path:
        folder = tmp_path_factory.mktemp("layer") / "python"
        runtime = lambda_.Runtime(python, lambda_.RuntimeFamily.PYTHON)
        bundle(
            folder,
            lambda_target(runtime, lambda_.Architecture.custom(architecture)),
            without=without,
        )
        return folder

    return made


@pytest.mark.parametrize(
    ("python", "architecture", "native"),
    [
        ("python3.13", "arm64", "313-aarch64-linux-gnu.so"),
        ("python3.11", "x86_64", "311-x86_64-linux-gnu.so"),
    ],
)
def test_layer_has_library_for_its_platform_and_no_boto3(
    bundled: Callable[..., Path], python: str, architecture: str, native: str
) -> None:
    folder = bundled(python, architecture, SDK)

    assert names_in(folder) == LOCK.keys() - SDK
    assert {path.name.rpartition(".cpython-")[2] for path in folder.rglob("*.cpython-*.so")} == {
        native
    }


def test_packages_of_sdk_are_locked() -> None:
    assert LOCK.keys() >= SDK


def test_layer_suffices_beside_sdk_of_runtime(tmp_path: Path) -> None:
    host = target_of(Deployed(context={**FLAGS, PLATFORM_CONTEXT: "host"}).stack)
    layer, runtime = tmp_path / "python", tmp_path / "runtime"
    bundle(layer, host, without=SDK)
    runtime.mkdir()
    for name in MODULES_OF_SDK:
        (runtime / name).symlink_to(Path(boto3.__path__[0]).parent / name)
    script = """
import sys
sys.path[:0] = sys.argv[1:]
import workpool_aws, boto3
for name in workpool_aws.__all__:
    getattr(workpool_aws, name)
from aws_lambda_powertools import Logger, Metrics
pool = workpool_aws.Workpool("jobs", session=boto3.Session(region_name="eu-central-1"))
@pool.action
def double(n: int) -> int:
    return n * 2
print(double({"n": 21}, None), boto3.__file__)
"""

    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(layer), str(runtime)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.split() == ["42", str(runtime / "boto3" / "__init__.py")]


def said_mb(row: str) -> tuple[float, float]:
    (found,) = re.findall(rf"^\| {row} \| ([\d.]+) MB \| ([\d.]+) MB \|$", PAGE, re.MULTILINE)
    return float(found[0]), float(found[1])


@pytest.mark.parametrize(("row", "without"), [("everything", frozenset()), ("without boto3", SDK)])
def test_sizes_are_those_of_page(
    bundled: Callable[..., Path], row: str, without: frozenset[str]
) -> None:
    folder = bundled("python3.13", "arm64", without)

    assert sizes_mb(folder) == pytest.approx(said_mb(row), rel=0.1)


def test_commands_of_page_make_zip(tmp_path: Path) -> None:
    build = [sys.executable, "-I", "-m", "hatchling", "build", "-t", "wheel", "-d"]
    subprocess.run([*build, str(tmp_path / "dist")], cwd=ROOT, check=True, capture_output=True)
    (tmp_path / "app.py").write_text("x = 1\n", encoding="utf-8")
    (commands,) = re.findall(r"<!-- zip -->\n```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))

    subprocess.run(
        [shutil.which("bash") or "bash", "-euc", commands],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        check=True,
    )

    with ZipFile(tmp_path / "build" / "code.zip") as opened:
        names = opened.namelist()
    assert {"app.py", "workpool_aws/__init__.py", "pydantic/__init__.py"} <= set(names)
    assert [name for name in names if name.startswith(("boto", "bin/"))] == []
    assert "313-aarch64" in "".join(name for name in names if name.endswith(".so"))

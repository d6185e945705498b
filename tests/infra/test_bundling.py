"""The asset: the same bytes every time, for Lambda's platform or this host's.

Installs from the package index, as a deployment does.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from tests.arch.locks import ROOT, pins
from tests.infra.deployment import FLAGS, Deployed
from workpool_cdk import ConfigurationError
from workpool_cdk.bundling import PLATFORM_CONTEXT, Target, bundle, target_of
from workpool_cdk.sbom import BILL


def target(name: str) -> Target:
    return target_of(Deployed(context={**FLAGS, PLATFORM_CONTEXT: name}).stack)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Bundle once for each target."""

    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("bundle") / "code"
        bundle(folder, target(name))
        return folder

    return made


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work among modules that are named like tools, under an interpreter without pip; return the file that such a module would write."""
    mark, planted = tmp_path / "run", tmp_path / "planted"
    planted.mkdir()
    for name in (
        "pip",
        "venv",
        "ensurepip",
        "sitecustomize",
        "usercustomize",
        "json",
        "subprocess",
    ):
        text = f"import pathlib, sys\npathlib.Path({str(mark)!r}).touch()\nsys.exit('run from the current folder')\n"
        (planted / f"{name}.py").write_text(text, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.chdir(planted)
    monkeypatch.setenv("PYTHONPATH", str(planted))
    return mark


@pytest.mark.parametrize("name", ["lambda", "host"])
def test_two_bundles_are_same_bytes(
    bundled: Callable[[str], Path], hostile: Path, tmp_path: Path, name: str
) -> None:
    first, second = bundled(name), tmp_path / "two"
    bundle(second, target(name))

    one = digests(first)
    assert one == digests(second)
    assert not hostile.exists(), "a module of the current folder was run in place of a tool"
    assert {"workpool_aws/handlers/main_loop.py", "boto3/__init__.py", BILL} <= one.keys()
    assert [
        path
        for path in one
        if path.startswith(("bin/", "workpool_aws/local/", "workpool_aws/cli/"))
    ] == []
    assert [
        path
        for path in one
        if str(first.parent) in (first / path).read_text(encoding="utf-8", errors="ignore")
    ] == []
    native = {path.rpartition(".cpython-")[2] for path in one if path.endswith(".so")}
    expected = (
        "313-aarch64-linux-gnu.so"
        if name == "lambda"
        else f"{sys.version_info[0]}{sys.version_info[1]}-"
    )
    assert native
    assert all(each.startswith(expected) for each in native)


def test_modules_are_compiled_where_this_python_can(
    bundled: Callable[[str], Path], tmp_path: Path
) -> None:
    """As files that Python uses without a look at the times of the sources, which packing changes."""
    compiled = sorted(bundled("host").rglob("*.pyc"))
    bundle(tmp_path / "plain", target("host"), compiled=False)

    assert any(path.name.startswith("main_loop.") for path in compiled)
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\0\0\0"}
    assert list((tmp_path / "plain").rglob("*.pyc")) == []
    can = sys.version_info[:2] == (3, 13)
    assert bool(list(bundled("lambda").rglob("*.pyc"))) is can


def test_bundle_lists_what_is_in_it(bundled: Callable[[str], Path]) -> None:
    folder = bundled("lambda")
    bill = json.loads((folder / BILL).read_text(encoding="utf-8"))
    listed = {each["name"]: each for each in bill["components"]}
    locked = pins(
        (ROOT / "infra/cdk/workpool_cdk/lambda-requirements.txt").read_text(encoding="utf-8")
    )

    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "1.6",
        "workpool-aws",
    )
    assert {name: each["version"] for name, each in listed.items()} == {
        name: pin.version for name, pin in locked.items()
    }
    assert {
        name
        for name, each in listed.items()
        if f"sha256:{each['hashes'][0]['content']}" not in locked[name].hashes
    } == set()
    assert {name for name, each in listed.items() if not each.get("licenses")} == set()
    assert {
        path.name.partition("-")[0].replace("_", "-") for path in folder.glob("*.dist-info")
    } == listed.keys()


def test_handlers_load_from_bundle_alone(bundled: Callable[[str], Path]) -> None:
    code = str(bundled("host"))
    doors = ", ".join(
        f"workpool_aws.handlers.{name}" for name in ("main_loop", "completion", "watchdog")
    )

    # -I: neither this environment's packages nor this folder.
    script = (
        f"import sys; sys.path.insert(0, sys.argv[1]); import {doors}, boto3; print(boto3.__file__)"
    )
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip().startswith(code)


def test_nothing_but_asset_differs_between_platforms() -> None:
    templates = []
    assets = []
    for name in ("lambda", "host"):
        template = Deployed(context={**FLAGS, PLATFORM_CONTEXT: name}).template()
        functions = [
            each["Properties"]
            for each in template["Resources"].values()
            if each["Type"] == "AWS::Lambda::Function"
        ]
        assets.append({each["Code"].pop("S3Key") for each in functions})
        for each in template["Resources"].values():
            each.get("Metadata", {}).pop("aws:asset:path", None)
        templates.append(template)

    assert templates[0] == templates[1]
    assert len(assets[0]) == len(assets[1]) == 1
    assert assets[0] != assets[1]


def test_unknown_platform_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'windows' is neither 'lambda' nor 'host'"):
        Deployed(context={**FLAGS, PLATFORM_CONTEXT: "windows"})


def test_what_pip_cannot_install_is_said_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"(?s)bundling for a toaster: pip said:.*pydantic-core"
    ):
        bundle(
            tmp_path / "code", Target("a toaster", ("--only-binary=:all:", "--platform=toaster"))
        )

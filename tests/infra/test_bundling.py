"""The asset: the same bytes every time, for Lambda's platform or this host's. Installs from the package index, as a deployment does."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from infra.deployment import FLAGS, Deployed
from workpool_cdk import ConfigurationError
from workpool_cdk.bundling import PLATFORM_CONTEXT, Target, bundle, target_of


def target(name: str) -> Target:
    return target_of(Deployed(context={**FLAGS, PLATFORM_CONTEXT: name}).stack)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["lambda", "host"])
def test_two_bundles_are_the_same_bytes(tmp_path: Path, name: str) -> None:
    for each in ("one", "two"):
        bundle(tmp_path / each, target(name))

    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    assert "workpool_aws/handlers/main_loop.py" in one
    assert [path for path in one if "__pycache__" in path or path.startswith(("bin/", "workpool_aws/local/", "workpool_aws/cli/"))] == []
    assert [path for path in one if str(tmp_path) in (tmp_path / "one" / path).read_text(encoding="utf-8", errors="ignore")] == []
    native = {path.rpartition(".cpython-")[2] for path in one if ".cpython-" in path}
    expected = "313-aarch64-linux-gnu.so" if name == "lambda" else f"{sys.version_info[0]}{sys.version_info[1]}-"
    assert native
    assert all(each.startswith(expected) for each in native)


def test_the_handlers_load_from_the_bundle_alone(tmp_path: Path) -> None:
    bundle(tmp_path / "code", target("host"))
    doors = ", ".join(f"workpool_aws.handlers.{name}" for name in ("main_loop", "completion", "watchdog"))

    # -I: neither this environment's packages nor this folder.
    script = f"import sys; sys.path.insert(0, sys.argv[1]); import {doors}, boto3; print(boto3.__file__)"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(tmp_path / "code")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip().startswith(str(tmp_path / "code"))


def test_nothing_but_the_asset_differs_between_the_platforms() -> None:
    templates = []
    assets = []
    for name in ("lambda", "host"):
        template = Deployed(context={**FLAGS, PLATFORM_CONTEXT: name}).template()
        functions = [each["Properties"] for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]
        assets.append({each["Code"].pop("S3Key") for each in functions})
        for each in template["Resources"].values():
            each.get("Metadata", {}).pop("aws:asset:path", None)
        templates.append(template)

    assert templates[0] == templates[1]
    assert len(assets[0]) == len(assets[1]) == 1
    assert assets[0] != assets[1]


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'windows' is neither 'lambda' nor 'host'"):
        Deployed(context={**FLAGS, PLATFORM_CONTEXT: "windows"})


def test_what_pip_cannot_install_is_said_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)bundling for a toaster: pip said:.*pydantic-core"):
        bundle(tmp_path / "code", Target("a toaster", ("--only-binary=:all:", "--platform=toaster")))

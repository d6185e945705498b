"""Owns the code that is deployed: the library and its locked dependencies, for Lambda's platform, without Docker, the same every time."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

import workpool_aws
from workpool_cdk.errors import ConfigurationError
from workpool_cdk.installing import INSTALLER_LOCK, install
from workpool_cdk.sbom import BILL, bill_of_materials

__all__ = [
    "ARCHITECTURE",
    "PLATFORM_CONTEXT",
    "RUNTIME",
    "Target",
    "bundle",
    "library_code",
    "target_of",
]

RUNTIME: Final = lambda_.Runtime.PYTHON_3_13
"""Supported until June 2029, as 3.14 is, and a fifth faster to start."""
ARCHITECTURE: Final = lambda_.Architecture.ARM_64
"""A fifth cheaper than x86 for the same work."""
PLATFORM_CONTEXT: Final = "workpool:bundle-for"
"""Context key: `lambda` (default), or `host`: the platform of the synth, where an emulated AWS runs
the functions as processes."""

_LOCK: Final = "lambda-requirements.txt"
_NOT_DEPLOYED: Final = ("__pycache__", "local", "cli")
"""Of the library: compiled files differ from run to run; the in-process cloud and the command line
have no use in a function."""
_BY_PIP: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip notes about its own run, paths of the machine among it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What pip installs for. No options: the Python that runs this."""

    name: str
    pip_options: tuple[str, ...]


_LAMBDA: Final = Target(
    "lambda",
    (
        "--implementation=cp",
        "--python-version=3.13",
        "--platform=manylinux_2_28_aarch64",
        "--platform=manylinux_2_17_aarch64",
        "--platform=manylinux2014_aarch64",
    ),
)
_HOST: Final = Target("host", ())


def target_of(scope: Construct) -> Target:
    """What the context asks for.

    Raises:
        ConfigurationError: the context has another word.
    """
    asked = scope.node.try_get_context(PLATFORM_CONTEXT) or _LAMBDA.name
    for target in (_LAMBDA, _HOST):
        if asked == target.name:
            return target
    raise ConfigurationError(
        f"context {PLATFORM_CONTEXT}: {asked!r} is neither {_LAMBDA.name!r} nor {_HOST.name!r}"
    )


def library_code(scope: Construct, *, beside: Sequence[Path] = ()) -> lambda_.Code:
    """The asset of all three functions.

    Its hash is that of what goes into it: sources, lock, target. `beside`: more modules to put in.

    Raises:
        ConfigurationError: as `target_of`.
    """
    target = target_of(scope)
    return lambda_.Code.from_asset(
        str(_library()),
        asset_hash=_fingerprint(target, beside),
        asset_hash_type=AssetHashType.CUSTOM,
        # Never pulled: CDK asks for an image even where the local bundling does all.
        bundling=BundlingOptions(
            image=DockerImage.from_registry("scratch"), local=_Bundling(target, beside)
        ),
    )


@jsii.implements(ILocalBundling)
class _Bundling:
    def __init__(self, target: Target, beside: Sequence[Path]) -> None:
        self._target = target
        self._beside = beside

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        bundle(Path(output_dir), self._target, beside=self._beside)
        return True


def bundle(output: Path, target: Target, *, beside: Sequence[Path] = ()) -> None:
    """Put the library, its dependencies and the list of them into a directory; the same bytes on every machine and in every run.

    Raises:
        ConfigurationError: pip could not install what the lock names; its words are in the error.
    """
    with as_file(files("workpool_cdk") / _LOCK) as lock:
        installed = install(
            lock, output, purpose=f"bundling for {target.name}", options=target.pip_options
        )
    _keep_what_lasts(output)
    _copy_sources(output, beside)
    (output / BILL).write_text(bill_of_materials(installed), encoding="utf-8")


def _keep_what_lasts(output: Path) -> None:
    shutil.rmtree(output / "bin", ignore_errors=True)
    for notes in output.glob("*.dist-info"):
        for name in _BY_PIP:
            (notes / name).unlink(missing_ok=True)
    for compiled in list(output.rglob("__pycache__")):
        shutil.rmtree(compiled)


def _copy_sources(output: Path, beside: Sequence[Path]) -> None:
    source = _library()
    for path in _sources(source):
        copied = output / source.name / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)
    for path in beside:
        shutil.copyfile(path, output / path.name)


def _library() -> Path:
    return Path(workpool_aws.__path__[0])


def _sources(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part in _NOT_DEPLOYED for part in parts):
            yield path


def _fingerprint(target: Target, beside: Sequence[Path]) -> str:
    root = _library()
    digest = hashlib.sha256(
        repr((target, RUNTIME.name, sys.version_info[:2] if target is _HOST else None)).encode()
    )
    digest.update((files("workpool_cdk") / _LOCK).read_bytes())
    digest.update((files("workpool_cdk") / INSTALLER_LOCK).read_bytes())
    for module in ("bundling.py", "installing.py", "sbom.py"):
        digest.update(Path(__file__).with_name(module).read_bytes())
    for path in [*_sources(root), *beside]:
        content = path.read_bytes()
        name = path.name if path in beside else path.relative_to(root).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()

"""Bundles the code that is deployed: the library and its locked dependencies.

The bundle is for Lambda's platform, needs no Docker, and is the same every time.
"""

from __future__ import annotations

import compileall
import hashlib
import py_compile
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
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
    "COMPILE_CONTEXT",
    "PLATFORM_CONTEXT",
    "RUNTIME",
    "SDK",
    "Target",
    "bundle",
    "lambda_target",
    "layer_code",
    "library_code",
    "lock_without",
    "target_of",
]

RUNTIME: Final = lambda_.Runtime.PYTHON_3_13
"""Supported until June 2029, as 3.14 is, and a fifth faster to start."""
ARCHITECTURE: Final = lambda_.Architecture.ARM_64
"""A fifth cheaper than x86 for the same work."""
PLATFORM_CONTEXT: Final = "workpool:bundle-for"
"""Context key: `lambda` (default), or `host`: the platform of the synth, where an emulated AWS runs
the functions as processes."""
COMPILE_CONTEXT: Final = "workpool:compile"
"""Context key: False leaves compiled modules out of the functions, whichever Python synthesizes."""

SDK: Final = frozenset(
    {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
)
"""The locked packages that Lambda's Python runtimes contain as well."""

_LOCK: Final = "lambda-requirements.txt"
_NOT_DEPLOYED: Final = ("__pycache__", "local", "cli", "dashboard", "dev")
"""Parts of the library that no function uses: modules that this machine compiled, the in-process
cloud, the command line, its dashboard and its development server."""
_BY_PIP: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Files in which pip notes its own run, with paths of the machine."""


@dataclass(frozen=True, slots=True)
class Target:
    """A platform that pip installs for. Without options it is the Python that runs this."""

    name: str
    pip_options: tuple[str, ...]
    python: str | None = None
    """The version of its Python, as in 3.13. `None` means the one that runs this."""

    @property
    def compiler(self) -> str | None:
        """This Python, if it can compile for it; `None` means that it has another version."""
        this = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return sys.version if self.python in {None, this} else None


_LAMBDA: Final = Target(
    "lambda",
    (
        "--implementation=cp",
        "--python-version=3.13",
        "--platform=manylinux_2_28_aarch64",
        "--platform=manylinux_2_17_aarch64",
        "--platform=manylinux2014_aarch64",
    ),
    python="3.13",
)
_HOST: Final = Target("host", ())
_AMAZON_LINUX_2: Final = frozenset({"python3.11"})
"""The runtimes with glibc 2.26. Later ones have 2.34."""


def lambda_target(runtime: lambda_.Runtime, architecture: lambda_.Architecture) -> Target:
    """Returns the target for a runtime of Lambda, whose wheels pip can choose on any machine."""
    name, machine = runtime.name, {"arm64": "aarch64"}.get(architecture.name, architecture.name)
    python = name.removeprefix("python")
    newest = () if name in _AMAZON_LINUX_2 else (f"--platform=manylinux_2_28_{machine}",)
    return Target(
        f"lambda-{name}-{machine}",
        (
            "--implementation=cp",
            f"--python-version={python}",
            *newest,
            f"--platform=manylinux_2_17_{machine}",
            f"--platform=manylinux2014_{machine}",
        ),
        python=python,
    )


def target_of(scope: Construct) -> Target:
    """Returns the target that the context asks for.

    Raises:
        ConfigurationError: The context has another word.
    """
    asked = scope.node.try_get_context(PLATFORM_CONTEXT) or _LAMBDA.name
    for target in (_LAMBDA, _HOST):
        if asked == target.name:
            return target
    raise ConfigurationError(
        f"context {PLATFORM_CONTEXT}: {asked!r} is neither {_LAMBDA.name!r} nor {_HOST.name!r}"
    )


def library_code(scope: Construct, *, beside: Sequence[Path] = ()) -> lambda_.Code:
    """Returns the asset of all three functions.

    Its hash is that of what goes into it: sources, lock, target, and the Python that compiles them.
    `beside`: more modules to put in.

    Raises:
        ConfigurationError: As `target_of`.
    """
    compiled = scope.node.try_get_context(COMPILE_CONTEXT) is not False
    return _asset(_Bundling(target_of(scope), beside=beside, compiled=compiled))


def layer_code(target: Target, *, without: frozenset[str] = frozenset()) -> lambda_.Code:
    """Returns the asset of a layer: the library and its dependencies, in the folder `python`.

    Args:
        target: The platform of the functions that use the layer.
        without: Locked packages that are left out.
    """
    return _asset(_Bundling(target, folder="python", without=without))


def _asset(bundling: _Bundling) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(_library()),
        asset_hash=bundling.fingerprint(),
        asset_hash_type=AssetHashType.CUSTOM,
        # Never pulled: CDK asks for an image even where the local bundling does all.
        bundling=BundlingOptions(image=DockerImage.from_registry("scratch"), local=bundling),
    )


@jsii.implements(ILocalBundling)
class _Bundling:
    def __init__(
        self,
        target: Target,
        *,
        beside: Sequence[Path] = (),
        folder: str = "",
        without: frozenset[str] = frozenset(),
        compiled: bool = True,
    ) -> None:
        self._compiled = compiled
        self._target = target
        self._beside = beside
        self._folder = folder
        self._without = without

    def fingerprint(self) -> str:
        """Returns the hash of all inputs."""
        compiler = self._target.compiler if self._compiled else None
        form = (self._folder, *sorted(self._without), compiler)
        return _fingerprint(self._target, self._beside, form)

    def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
        output = Path(output_dir) / self._folder
        bundle(
            output,
            self._target,
            beside=self._beside,
            without=self._without,
            compiled=self._compiled,
        )
        return True


def bundle(
    output: Path,
    target: Target,
    *,
    beside: Sequence[Path] = (),
    without: frozenset[str] = frozenset(),
    compiled: bool = True,
) -> None:
    """Put the library, its dependencies and the list of them into a directory.

    The bytes are the same in every run, and on every machine but for compiled modules. These are
    there if this Python has the version of the target, unless `compiled` is False.

    Raises:
        ConfigurationError: pip could not install a package of the lock. The error quotes pip.
    """
    lock = (files("workpool_cdk") / _LOCK).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="workpool-lock-") as folder:
        wanted = Path(folder) / _LOCK
        wanted.write_text(lock_without(lock, without), encoding="utf-8")
        installed = install(
            wanted, output, purpose=f"bundling for {target.name}", options=target.pip_options
        )
    _keep_what_lasts(output)
    _copy_sources(output, beside)
    (output / BILL).write_text(bill_of_materials(installed), encoding="utf-8")
    if compiled and target.compiler is not None:
        # Never compared with the sources, whose times the packing changes. A function could not
        # store a newer one anyway.
        compileall.compile_dir(
            output,
            stripdir=str(output),
            quiet=2,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def lock_without(lock: str, names: frozenset[str]) -> str:
    """Returns a lock without the pins of some packages."""
    pins = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    return "".join(each for each in pins if each.partition("==")[0] not in names)


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


def _fingerprint(target: Target, beside: Sequence[Path], form: tuple[str | None, ...]) -> str:
    root = _library()
    digest = hashlib.sha256(
        repr(
            (target, RUNTIME.name, sys.version_info[:2] if target is _HOST else None, form)
        ).encode()
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

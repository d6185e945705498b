"""Installs a lock into a folder, with the pinned pip and nothing of the caller's folder or path."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from workpool_cdk.errors import ConfigurationError

__all__ = ["INSTALLER_LOCK", "install"]

INSTALLER_LOCK: Final = "installer-requirements.txt"
"""Beside this module: a copy of requirements/installer.txt."""

# -I: a pip.py, a venv.py or a sitecustomize.py of the current folder or of PYTHONPATH is not run in
# place of the tool.
_PIP: Final = ("-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
# Nothing is resolved or built, so the lock alone decides on the files, however many are published
# later.
_LOCKED: Final = ("--require-hashes", "--no-deps", "--only-binary=:all:")


def install(
    lock: Path, output: Path, *, purpose: str, options: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Install the packages of a lock into a folder, and return pip's report of each.

    The report has the metadata, and the hash of the file.

    The pip that does it is pinned, too, and lives in an environment of its own, since this
    interpreter may have any pip, or none. The environment is made once and is gone when the process
    ends.

    Raises:
        ConfigurationError: Python could not make an environment, or pip could not install a package
            of a lock. The error quotes them.
    """
    try:
        python = _pinned_pip(sys.executable)
    except ConfigurationError as error:
        raise ConfigurationError(f"{purpose}: {error}") from error
    with tempfile.TemporaryDirectory(prefix="workpool-bundle-") as folder:
        report = Path(folder) / "report.json"
        into = (
            *options,
            "--no-compile",
            f"--report={report}",
            f"--target={output.absolute()}",
            f"--requirement={lock.absolute()}",
        )
        _run([python, *_PIP, *_LOCKED, *into], folder, f"{purpose}: pip said")
        packages: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
        return packages


@cache
def _pinned_pip(interpreter: str) -> str:
    """Returns the Python of an environment with the pip of the lock.

    To make it takes as long as to bundle with it, and an app may have several bundles.
    """
    folder = tempfile.mkdtemp(prefix="workpool-pip-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _run(
        [interpreter, "-I", "-m", "venv", folder],
        folder,
        f"{interpreter} could not make an environment",
    )
    scripts = sysconfig.get_path("scripts", scheme="venv", vars={"base": folder})
    python = shutil.which("python", path=scripts)
    if python is None:
        raise ConfigurationError(
            f"{interpreter} made an environment without an interpreter in {scripts}"
        )
    with as_file(files("workpool_cdk") / INSTALLER_LOCK) as installer:
        _run([python, *_PIP, *_LOCKED, f"--requirement={installer}"], folder, "pip said")
    return python


def _run(command: Sequence[str], folder: str, failed: str) -> None:
    done = subprocess.run(  # noqa: S603 - an interpreter and our own words
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"{failed}:\n{(done.stderr.strip() or done.stdout.strip())[-2000:]}"
        )

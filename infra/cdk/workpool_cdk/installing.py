"""Installs a lock into a folder, with the pinned pip and nothing of the caller's folder or path."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
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

    The pip that does it is pinned, too, and lives in an environment that is gone afterwards: this
    interpreter may have any pip, or none.

    Raises:
        ConfigurationError: Python could not make an environment, or pip could not install a package
            of a lock. The error quotes them.
    """
    with (
        tempfile.TemporaryDirectory(prefix="workpool-bundle-") as folder,
        as_file(files("workpool_cdk") / INSTALLER_LOCK) as installer,
    ):
        python = _environment(Path(folder) / "venv", purpose)
        _run(
            [python, *_PIP, *_LOCKED, f"--requirement={installer}"], folder, f"{purpose}: pip said"
        )
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


def _environment(folder: Path, purpose: str) -> str:
    folder.mkdir()
    _run(
        [sys.executable, "-I", "-m", "venv", str(folder)],
        str(folder),
        f"{purpose}: {sys.executable} could not make an environment",
    )
    scripts = sysconfig.get_path("scripts", scheme="venv", vars={"base": str(folder)})
    python = shutil.which("python", path=scripts)
    if python is None:
        raise ConfigurationError(
            f"{purpose}: {sys.executable} made an environment without an interpreter in {scripts}"
        )
    return python


def _run(command: Sequence[str], folder: str, failed: str) -> None:
    done = subprocess.run(  # noqa: S603 - an interpreter and our own words
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"{failed}:\n{(done.stderr.strip() or done.stdout.strip())[-2000:]}"
        )

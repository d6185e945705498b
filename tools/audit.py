"""Compares every lock with the advisories that are published about its packages: `make audit`.

Ends with 0 when no advisory is known, 1 when some are, and 2 when the source of advisories could
not be asked about everything. An exit with 2 says nothing about safety.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
LOCKS = (
    "infra/cdk/workpool_cdk/lambda-requirements.txt",
    "requirements/dev.txt",
    "requirements/ministack.txt",
    "infra/cdk/requirements.txt",
    "requirements/installer.txt",
    "requirements/lock.txt",
    "requirements/audit.txt",
    "requirements/dist.txt",
)
AUDIT = (
    "-I",
    "-m",
    "pip_audit",
    "--disable-pip",
    "--require-hashes",
    "--progress-spinner=off",
    "--format=json",
)
CLEAN, FOUND, UNREACHED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer for one lock: lines to print, and the exit code that they deserve."""

    code: int
    lines: tuple[str, ...]


def advice(path: str, returncode: int, stdout: str, stderr: str) -> Advice:
    """Read what pip-audit said.

    An exit without a report is no finding: the source was not reached, or the lock not read.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (
            stderr.strip() or stdout.strip() or f"pip-audit ended with {returncode}"
        ).splitlines()[-1]
        return Advice(UNREACHED, (f"{path}: not compared: {said[:300]}",))
    skipped = _skipped(path, packages)
    found = [
        _found(path, each, advisory) for each in packages for advisory in each.get("vulns", ())
    ]
    if found:
        return Advice(FOUND, (*found, *skipped))
    if skipped:
        return Advice(UNREACHED, skipped)
    return Advice(CLEAN, (f"{path}: {len(packages)} packages, no advisory",))


def _skipped(path: str, packages: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    names = [each["name"] for each in packages if "skip_reason" in each]
    reason = next((each["skip_reason"] for each in packages if "skip_reason" in each), "")
    return (
        (
            f"{path}: {len(names)} of {len(packages)} packages not compared ({', '.join(names)}): {reason}",
        )
        if names
        else ()
    )


def _found(path: str, package: dict[str, Any], advisory: dict[str, Any]) -> str:
    fixed = ", ".join(advisory.get("fix_versions", ())) or "no release"
    return f"{path}: {package['name']} {package['version']}: {advisory['id']}, mended in {fixed}"


def audited(path: str, folder: str) -> Advice:
    """Run pip-audit on one lock."""
    command = [sys.executable, *AUDIT, f"--requirement={ROOT / path}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter, our own words
    return advice(path, done.returncode, done.stdout, done.stderr)


def main() -> int:
    """Print the answer for each lock, and return the exit code of the gravest."""
    codes = set()
    with tempfile.TemporaryDirectory() as folder:
        for path in LOCKS:
            answer = audited(path, folder)
            codes.add(answer.code)
            print("\n".join(answer.lines), flush=True)
    if UNREACHED in codes:
        print(
            "The source of advisories could not be asked about everything: nothing is known about the rest.",
            file=sys.stderr,
        )
    return next((code for code in (FOUND, UNREACHED) if code in codes), CLEAN)


if __name__ == "__main__":
    sys.exit(main())

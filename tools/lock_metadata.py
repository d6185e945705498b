"""Writes requirements/metadata.json: the requirements that each locked package declares, by `NAME==VERSION`.

`make lock` runs it. tests/arch/test_lock.py judges with it the locks that are not installed where
the tests run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = (
    "infra/cdk/requirements.txt",
    "infra/cdk/workpool_cdk/lambda-requirements.txt",
    "requirements/audit.txt",
    "requirements/dev.txt",
    "requirements/dist.txt",
    "requirements/installer.txt",
    "requirements/lock.txt",
    "requirements/ministack.txt",
)
RECORD = ROOT / "requirements" / "metadata.json"
PIP = ("-I", "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install")
LOOK_ONLY = (
    "--dry-run",
    "--ignore-installed",
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--report=-",
)


def declared(lock: Path) -> dict[str, list[str]]:
    """Ask pip for the metadata of the packages in a lock, without installing one."""
    command = [sys.executable, *PIP, *LOOK_ONLY, f"--requirement={lock}"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - this interpreter, our own words
    packages: list[dict[str, Any]] = [each["metadata"] for each in json.loads(said)["install"]]
    return {
        f"{canonicalize_name(each['name'])}=={each['version']}": sorted(
            each.get("requires_dist", [])
        )
        for each in packages
    }


def main() -> None:
    """Write the record of all locks."""
    record = {pin: requires for lock in LOCKS for pin, requires in declared(ROOT / lock).items()}
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

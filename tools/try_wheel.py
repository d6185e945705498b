"""Installs the wheel of a folder as a user would, bare and with every extra, and runs it: `make dist`.

Each environment begins empty. pip resolves what the wheel declares, within the versions of a
constraints file (`tools/constraints.py` prints one), so that a requirement which is missing from the metadata is found and a
release of today changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

INSTALLER_LOCK = Path(__file__).parents[1] / "requirements" / "installer.txt"
PIP = ("-I", "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input")
INSTALL = (*PIP, "install", "--no-compile")
"""The few modules that are loaded here are compiled then."""
LOCKED = ("--require-hashes", "--no-deps", "--only-binary=:all:")

EVERY_NAME = """
import workpool_aws
for name in workpool_aws.__all__:
    getattr(workpool_aws, name)
assert "site-packages" in workpool_aws.__file__, workpool_aws.__file__
"""
ONE_JOB = """
from workpool_aws.local import LocalCloud
with LocalCloud(clock="virtual", engine="memory") as cloud:
    pool = cloud.workpool("email")
    @pool.action
    def send(to: str) -> str:
        return f"sent to {to}"
    work_id = pool.enqueue_action(None, cloud.function(send), {"to": "Ada"})
    cloud.run_until_idle()
    assert pool.result(None, work_id).return_value == "sent to Ada"
"""


def extras_of(wheel: Path) -> list[str]:
    """Return the extras that a wheel declares, in its order."""
    with ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    return headers.get_all("Provides-Extra", [])


def run(*command: str, folder: str) -> None:
    """Run a command away from the sources.

    Raises:
        SystemExit: it failed; its output was printed.
    """
    done = subprocess.run(  # noqa: S603 - an interpreter and our own words
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def try_with(wheel: Path, extras: list[str], allowed: Path) -> None:
    """Install a wheel with some extras into an empty environment, load every public name and run a job there.

    Raises:
        SystemExit: a step failed.
    """
    with tempfile.TemporaryDirectory(prefix="workpool-wheel-") as folder:
        python = str(Path(folder) / "venv" / "bin" / "python")
        run(sys.executable, "-I", "-m", "venv", f"{folder}/venv", folder=folder)
        run(python, *INSTALL, *LOCKED, f"--requirement={INSTALLER_LOCK}", folder=folder)
        wanted = f"{wheel.resolve()}[{','.join(extras)}]" if extras else str(wheel.resolve())
        within = ("--only-binary=:all:", f"--constraint={allowed.resolve()}")
        run(python, *INSTALL, *within, wanted, folder=folder)
        run(python, *PIP, "check", folder=folder)
        run(python, "-I", "-c", EVERY_NAME, folder=folder)
        run(python, "-I", "-c", ONE_JOB, folder=folder)
        run(str(Path(python).with_name("workpool")), "--help", folder=folder)


def main() -> None:
    """Try the one wheel of the library in a folder, within a constraints file."""
    match sys.argv[1:]:
        case [folder, allowed] if len(wheels := list(Path(folder).glob("workpool_aws-*.whl"))) == 1:
            (wheel,) = wheels
        case words:
            sys.exit(
                f"try_wheel.py wants a folder with one wheel of workpool_aws, and a constraints file; got {words}"
            )
    for extras in ([], extras_of(wheel)):
        try_with(wheel, extras, Path(allowed))
        shown = f"with {', '.join(extras)}" if extras else "bare"
        print(f"{wheel.name}: installed {shown}, and a job ran")


if __name__ == "__main__":
    main()

"""Starts MiniStack with its deviations from AWS put right.

The command is `python tests/emulator/shim`, by the Python of MiniStack's own environment.

Each module here replaces one thing and asserts that what it replaces is still there, so that an
upgrade fails at the start and not in some test. Settings come from MiniStack's own variables
(GATEWAY_PORT, BIND_HOST, …), and two of the shim's: EMULATOR_PROCESSES (how many handlers may run
at a time) and EMULATOR_SCHEDULER_TICK_S.

The server ends when its standard input does, so that it cannot outlive the process that started it.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import sys
import threading

VERSION = "1.5.33"


def end_with_the_parent() -> None:
    """Wait for the end of standard input, then remove the folder that the parent would have removed, and end as by SIGTERM."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="parent").start()


def start() -> None:
    """Mend, then serve until the end of standard input."""
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise SystemExit(
            f"the shim was written for MiniStack {VERSION} and this is {found}: read it against the new sources first"
        )
    # They import MiniStack, which must not begin before its version is known.
    import invocations  # noqa: PLC0415
    import permissions  # noqa: PLC0415
    import schedules  # noqa: PLC0415
    import stacks  # noqa: PLC0415
    from ministack import app  # noqa: PLC0415

    invocations.mend(processes=int(os.environ.get("EMULATOR_PROCESSES", "8")))
    schedules.mend(tick_s=float(os.environ.get("EMULATOR_SCHEDULER_TICK_S", "0.25")))
    stacks.mend()
    permissions.mend()
    end_with_the_parent()
    sys.argv = ["ministack"]
    app.main()


if __name__ == "__main__":
    start()

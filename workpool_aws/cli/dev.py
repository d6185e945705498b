"""The command `workpool dev`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workpool_aws.cli.output import note
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

__all__ = ["own_files", "run_dev", "times_of"]

_DEMO: Final = "workpool_aws.cli.demo.worker:open_model"
_LOOK_EVERY_S: Final = 0.5


def run_dev(options: argparse.Namespace) -> int:
    """`workpool dev`, until it is interrupted."""
    import uvicorn

    from workpool_aws.dashboard import dashboard_app
    from workpool_aws.dev.app import dev_app
    from workpool_aws.dev.workshop import Workshop, handlers_of

    sys.path.insert(0, str(Path.cwd()))
    with LocalCloud(clock="real", speed=options.speed) as cloud:
        workshop = Workshop(cloud, handlers_of(options.handlers or [_DEMO]))
        if not options.no_reload:
            threading.Thread(target=_restart_on_change, daemon=True).start()
        note(f"workpool dev: http://127.0.0.1:{options.port}/bench enqueues jobs; Ctrl-C ends it")
        uvicorn.run(
            dev_app(workshop, dashboard_app(workshop.table)),
            host="127.0.0.1",
            port=options.port,
            log_level="warning",
            lifespan="off",
        )
    return 0


def _restart_on_change() -> None:
    """Begins the command again in this process once a module of the working folder has changed."""
    before = times_of(own_files())
    while times_of(before) == before:
        threading.Event().wait(_LOOK_EVERY_S)
    note("workpool dev: a file has changed, so it begins again")
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - its own command


def own_files() -> list[str]:
    """Returns the files of the loaded modules that lie below the working folder."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    here = Path.cwd()
    return [
        each
        for each in files
        if each is not None and Path(each).is_relative_to(here) and "site-packages" not in each
    ]


def times_of(files: Iterable[str]) -> Mapping[str, float]:
    """Returns when each file was changed; one that is gone is left out."""
    return {each: Path(each).stat().st_mtime for each in files if Path(each).exists()}

"""The command `workpool dev`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from workpool_aws.cli.output import note
from workpool_aws.errors import UsageError
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

__all__ = ["restart_on_change", "run_dev", "times_of"]

_DEMO: Final = "workpool_aws.cli.demo.worker:open_model"
_LOOK_EVERY_S: Final = 0.5
_FILES_MAX: Final = 5_000
_AGAIN: Final = "--again"
"""Given to a command that begins again."""


def run_dev(options: argparse.Namespace) -> int:
    """`workpool dev`, until it is interrupted."""
    import uvicorn

    from workpool_aws.dashboard import dashboard_app
    from workpool_aws.dev.app import dev_app
    from workpool_aws.dev.workshop import Workshop, handlers_of

    sys.path.insert(0, str(Path.cwd()))
    try:
        handlers = handlers_of(options.handlers or [_DEMO])
    except UsageError as error:
        if options.no_reload or not options.again:
            raise
        # It ran before the last change, so the next one may mend it.
        note(f"workpool dev: {error}; it begins again when a file here changes")
        restart_on_change(_files_here())
    with LocalCloud(clock="real", speed=options.speed) as cloud:
        workshop = Workshop(cloud, handlers)
        if not options.no_reload:
            threading.Thread(target=lambda: restart_on_change(_own_files()), daemon=True).start()
        note(f"workpool dev: http://127.0.0.1:{options.port}/bench enqueues jobs; Ctrl-C ends it")
        uvicorn.run(
            dev_app(workshop, dashboard_app(workshop.table)),
            host="127.0.0.1",
            port=options.port,
            log_level="warning",
            lifespan="off",
        )
    return 0


def restart_on_change(files: Iterable[str]) -> NoReturn:
    """Begins the command again in this process once one of the files has changed."""
    before = times_of(files)
    while times_of(before) == before:
        threading.Event().wait(_LOOK_EVERY_S)
    note("workpool dev: a file has changed, so it begins again")
    again = [] if _AGAIN in sys.orig_argv else [_AGAIN]
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *again])  # noqa: S606 - its own command


def _own_files() -> list[str]:
    """Returns the files of the loaded modules that lie below the working folder."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    here = Path.cwd()
    return [
        each
        for each in files
        if each is not None and Path(each).is_relative_to(here) and "site-packages" not in each
    ]


def _files_here() -> list[str]:
    """Returns the Python files below the working folder, without hidden folders, up to a bound."""
    found: list[str] = []
    for folder, names, files in os.walk(Path.cwd()):
        names[:] = [each for each in names if each[0] != "." and each != "node_modules"]
        found += [str(Path(folder, each)) for each in files if each.endswith(".py")]
        if len(found) >= _FILES_MAX:
            break
    return found


def times_of(files: Iterable[str]) -> Mapping[str, float]:
    """Returns when each file was changed; one that is gone is left out."""
    return {each: Path(each).stat().st_mtime for each in files if Path(each).exists()}

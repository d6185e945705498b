"""The command `workpool dashboard`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from workpool_aws.cli.output import note
from workpool_aws.cli.target import ports_of, table_of

if TYPE_CHECKING:
    import argparse

__all__ = ["run_dashboard"]


def run_dashboard(options: argparse.Namespace) -> int:
    """`workpool dashboard`, until it is interrupted."""
    import uvicorn

    from workpool_aws.dashboard import dashboard_app
    from workpool_aws.dashboard.guard import LOOPBACK

    host: str = options.host
    shown = f"[{host}]" if ":" in host else host
    table = table_of(options)
    app = dashboard_app(
        table,
        read_only=options.read_only,
        hosts=LOOPBACK if shown in LOOPBACK else [*LOOPBACK, *(options.name or [shown])],
        ports=ports_of(options, table),
    )
    if shown not in LOOPBACK:
        note(f"workpool dashboard: anyone who reaches {host} may do what your credentials may")
    acts = logging.getLogger("workpool.dashboard")
    acts.setLevel(logging.INFO)
    if not acts.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s workpool dashboard: %(message)s"))
        acts.addHandler(handler)
    note(f"workpool dashboard: http://{shown}:{options.port}/ shows table {table}; Ctrl-C ends it")
    uvicorn.run(app, host=host, port=options.port, log_level="warning", lifespan="off")
    return 0

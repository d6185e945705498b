"""Finds the pool of a command, and asks before a change that cannot be undone."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from workpool_aws import UsageError, Workpool
from workpool_aws.cli.codes import UnknownPool
from workpool_aws.cli.output import Output, note
from workpool_aws.compose import ports_for, session_for
from workpool_aws.settings import read_settings
from workpool_aws.text import NOTHING, as_line
from workpool_aws.values import replace

if TYPE_CHECKING:
    import argparse

    from workpool_aws.model.events import Event
    from workpool_aws.ports import Ports

__all__ = ["Target", "confirmed", "output_of", "ports_of", "table_of", "target_of"]


class _StderrTelemetry:
    """Writes warnings and errors to stderr, so that stdout holds only the answer."""

    def emit(self, event: Event) -> None:
        """Print a line that people should know."""
        if event.level >= logging.WARNING:
            values = ", ".join(f"{item.name}={getattr(event, item.name)}" for item in fields(event))
            note(f"workpool: {event.name}: {values}")


@dataclass(frozen=True, slots=True)
class Target:
    """The pool of a command, and the stream for its answer."""

    pool: Workpool
    output: Output
    ports: Ports

    def __str__(self) -> str:
        return f"pool {self.pool.name} of table {self.pool.table}"


def target_of(options: argparse.Namespace, *, known: bool = True) -> Target:
    """Return the pool that the options or the environment name; by default one that the table has.

    Raises:
        UsageError: no table is named, or AWS's configuration does not allow it.
        UnknownPool: the table has no such pool.
    """
    settings = read_settings()
    table = table_of(options)
    name: str = getattr(options, "pool", None) or settings.pool or "default"
    Workpool(table, name)  # refuses names that are none before anything is loaded
    ports = ports_of(options, table)
    output = output_of(options)
    target = Target(Workpool(table, name, ports=ports), output, ports)
    if known and not target.pool.is_known(None):
        raise UnknownPool(name, table, [each.name for each in target.pool.pools(None)])
    return target


def table_of(options: argparse.Namespace) -> str:
    """Return the table that the options or the environment name.

    Raises UsageError if neither does.
    """
    table: str | None = options.table or read_settings().table
    if table is None:
        raise UsageError("--table", NOTHING, "given, here or in WORKPOOL_TABLE")
    return table


def output_of(options: argparse.Namespace) -> Output:
    """Return the stream for the answer."""
    return Output(sys.stdout, as_json=options.json or read_settings().json)


def ports_of(options: argparse.Namespace, table: str) -> Ports:
    """Return the ports of a table by the options, with warnings on stderr.

    Raises UsageError if AWS's configuration does not allow it.
    """
    profile, region = options.profile, options.region
    chosen = session_for(profile=profile, region=region) if profile or region else None
    return replace(ports_for(table, chosen), telemetry=_StderrTelemetry())


def confirmed(question: str, *, yes: bool) -> bool:
    """True if a person agrees.

    Raises UsageError if no terminal is there to ask, and `--yes` was not given.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("--yes", NOTHING, f"given where no terminal can ask ({question})")
    print(f"{as_line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    agreed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not agreed:
        note("Nothing was changed.")
    return agreed

"""Finds the pool that a command is about, by its options or the environment, and asks before what cannot be undone."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, fields, replace

from workpool_aws.cli.codes import UnknownPool
from workpool_aws.cli.output import Output, note
from workpool_aws.client import Workpool
from workpool_aws.compose import ports_for, session_for
from workpool_aws.errors import UsageError
from workpool_aws.flow.configure import is_known
from workpool_aws.flow.watch import registered_pools
from workpool_aws.model.events import Event
from workpool_aws.ports import Ports
from workpool_aws.settings import read_settings
from workpool_aws.text import NOTHING, as_line

__all__ = ["Place", "Target", "confirmed", "place_of", "target_of"]


class _StderrTelemetry:
    """Says warnings and errors on stderr, so that stdout holds nothing but the answer."""

    def emit(self, event: Event) -> None:
        """A line for what people should know."""
        if event.level >= logging.WARNING:
            told = ", ".join(f"{item.name}={getattr(event, item.name)}" for item in fields(event))
            note(f"workpool: {event.name}: {told}")


@dataclass(frozen=True, slots=True)
class Target:
    """The pool, the ports it is reached by, and how to answer."""

    pool: Workpool
    ports: Ports
    output: Output

    def __str__(self) -> str:
        return f"pool {self.pool.name} of table {self.pool.table}"


@dataclass(frozen=True, slots=True)
class Place:
    """A table, the ports it is reached by, and how to answer."""

    table: str
    ports: Ports
    output: Output

    def pools(self) -> list[str]:
        """The names of the table's pools that ever had work."""
        return sorted(registered_pools(self.ports.store, self.ports.telemetry))


def place_of(options: argparse.Namespace) -> Place:
    """The table that the options and the environment mean. Raises UsageError: none is named, or AWS's configuration does not allow it."""
    settings = read_settings()
    table: str | None = options.table or settings.table
    if table is None:
        raise UsageError("--table", NOTHING, "given, here or in WORKPOOL_TABLE")
    Workpool(table)  # refuses names that are none before anything is loaded
    chosen = session_for(profile=options.profile, region=options.region) if options.profile or options.region else None
    ports = replace(ports_for(table, chosen), telemetry=_StderrTelemetry())
    return Place(table, ports, Output(sys.stdout, as_json=options.json or settings.json))


def target_of(options: argparse.Namespace, *, may_be_new: bool = False) -> Target:
    """The pool that the options and the environment mean; with `may_be_new`, also one that the table does not know yet.

    Raises:
        UsageError: no table is named.
        UnknownPool: the table has no such pool.
    """
    name: str = options.pool or read_settings().pool or "default"
    place = place_of(options)
    pool = Workpool(place.table, name, ports=place.ports)
    if not may_be_new and not is_known(place.ports, name):
        raise UnknownPool(name, place.table, place.pools())
    return Target(pool, place.ports, place.output)


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees. Raises UsageError: there is nobody to ask, and `--yes` was not given."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("--yes", NOTHING, f"given where nobody can be asked ({question})")
    print(f"{as_line(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    agreed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not agreed:
        note("Nothing was changed.")
    return agreed

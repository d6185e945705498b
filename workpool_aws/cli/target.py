"""Owns which pool a command is about, from its options or the environment; and the question before what cannot be undone."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, fields, replace
from typing import Final

from workpool_aws.cli.output import Output
from workpool_aws.client import Workpool
from workpool_aws.compose import ports_for
from workpool_aws.errors import UsageError
from workpool_aws.model.facts import Fact
from workpool_aws.ports import Ports
from workpool_aws.settings import read_settings
from workpool_aws.text import NOTHING

__all__ = ["DECLINED", "UNFIT", "Target", "confirmed", "target_of"]

UNFIT: Final = 3
"""Exit code: a work is unknown, or not in a state for what was asked."""
DECLINED: Final = 4
"""Exit code: the question was not answered with yes; nothing was changed."""


class _StderrTelemetry:
    """Says warnings and errors on stderr, so that stdout holds nothing but the answer."""

    def tell(self, fact: Fact) -> None:
        """A line for what people should know."""
        if fact.level >= logging.WARNING:
            told = ", ".join(f"{item.name}={getattr(fact, item.name)}" for item in fields(fact))
            print(f"workpool: {fact.name}: {told}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Target:
    """The pool, the ports it is reached by, and how to answer."""

    pool: Workpool
    ports: Ports
    output: Output

    def __str__(self) -> str:
        return f"pool {self.pool.name} of table {self.pool.table}"


def target_of(options: argparse.Namespace) -> Target:
    """The pool that the options and the environment mean. Raises UsageError: no table is named."""
    settings = read_settings()
    table: str | None = options.table or settings.table
    if table is None:
        raise UsageError("--table", NOTHING, "given, here or in WORKPOOL_TABLE")
    name: str = options.pool or settings.pool or "default"
    Workpool(table, name)  # refuses names that are none before anything is loaded
    ports = replace(ports_for(table), telemetry=_StderrTelemetry())
    return Target(Workpool(table, name, ports=ports), ports, Output(sys.stdout, as_json=options.json or settings.json))


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees. Raises UsageError: there is nobody to ask, and `--yes` was not given."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("--yes", NOTHING, f"given where nobody can be asked ({question})")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    agreed = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not agreed:
        print("Nothing was changed.", file=sys.stderr)
    return agreed

"""Digests of whole runs, one line a seed: a change that only moves or reshapes code leaves every line as it was.

    python -m tests.simulation.digests --count 100 > before

A digest covers each line of a run's trace (the calls of every process, in order and with their
times), and each event with its fields. Names of record types and the stacks of user code are left
out of it, so that types can be renamed and files moved.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from tests.simulation.processes import in_order, processes
from tests.simulation.sweep import run_of_seed

__all__ = ["digest_of", "main"]

_TYPE_NAME: Final = re.compile(r"\b(get|put|update|delete) [A-Z][A-Za-z]+")


def digest_of(seed: int) -> str:
    """The seed, the number of its run's calls and events, and a digest of both."""
    run = run_of_seed(seed)
    digest = hashlib.sha256()
    for line in run.trace:
        digest.update(_anonymous(line))
    for event in run.facts:
        fields = {name: value for name, value in asdict(event).items() if name != "stack"}
        digest.update(_anonymous(f"{type(event).__name__} {fields}"))
    return f"{seed} {run.calls} {len(run.facts)} {digest.hexdigest()[:16]}"


def _anonymous(line: str) -> bytes:
    return _TYPE_NAME.sub(r"\1", f"{line}\n").encode()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the digests of `--count` seeds from `--first` on."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.digests", description="Print a digest of each seed's run."
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    asked = parser.parse_args(argv)
    jobs = os.cpu_count() or 1
    with processes(jobs) as pool:
        for line in in_order(pool, jobs, digest_of, range(asked.first, asked.first + asked.count)):
            sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

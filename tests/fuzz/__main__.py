"""Fuzzes for hours, on fresh seeds: `python -m tests.fuzz --hours 1 --first 1000`.

Each round puts hostile values into items and events, then plays random programs of public calls. Each
seed is printed. `--hours 0` repeats one round, and `--program SEED` one program, with its steps.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Collection
from itertools import count
from pathlib import Path

from tests.fuzz.programs import Played, drawn, play, shrunk
from tests.fuzz.steps import KINDS

HERE = Path(__file__).parent
EXAMPLES = "1000"
PROGRAMS = 500
"""Programs of a round. The first has the number of the round times this."""


def main() -> int:
    """Run round after round until the time is over; 1 at the first that fails."""
    parser = argparse.ArgumentParser(
        prog="fuzz",
        description="Put hostile values into items and events, and play random programs.",
    )
    parser.add_argument(
        "--hours", type=float, default=1.0, help="go on for so long; one round at least"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--programs", type=int, help="play so many programs, and nothing else")
    parser.add_argument("--program", type=int, help="play one program, and show it")
    parser.add_argument("--only", nargs="*", default=(), choices=[*KINDS], help="kinds of steps")
    parser.add_argument(
        "--shrink", action="store_true", help="of one that fails, show a smaller one"
    )
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)  # programs are full of what the library warns of
    warnings.simplefilter("ignore")
    if asked.program is not None:
        program = drawn(asked.program, only=asked.only)
        return show(shrunk(program) if asked.shrink else play(program))
    if asked.programs is not None:
        seeds = range(asked.first, asked.first + asked.programs)
        return play_all(seeds, only=asked.only, shrink=asked.shrink)
    end = time.monotonic() + asked.hours * 3_600
    for seed in count(asked.first):
        say(f"fuzz: seed {seed}")
        if put_hostile_values(seed) or play_all(range(seed * PROGRAMS, (seed + 1) * PROGRAMS)):
            return 1
        if time.monotonic() >= end:
            return 0
    return 0


def put_hostile_values(seed: int) -> int:
    """Put hostile values into items and events; not 0 if that affects anything else."""
    environment = {
        **os.environ,
        "WORKPOOL_FUZZ_EXAMPLES": os.environ.get("WORKPOOL_FUZZ_EXAMPLES", EXAMPLES),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--hypothesis-seed={seed}",
        str(HERE / "test_fuzz.py"),
    ]
    return subprocess.run(command, env=environment, check=False).returncode


def play_all(seeds: range, *, only: Collection[str] = (), shrink: bool = False) -> int:
    """Play the programs of these seeds; 1 if some fail."""
    failed, with_runs = 0, 0
    for seed in seeds:
        try:
            played = play(drawn(seed, only=only))
        except Exception:
            say(f"program {seed} raised")
            raise
        with_runs += played.runs > 0
        if played.problems:
            failed += 1
            say(f"program {seed} of {len(played.program.steps)} steps:", *played.problems[:5])
            if shrink:
                show(shrunk(played.program))
    say(f"fuzz: programs {seeds.start} to {seeds.stop - 1}: {failed} failed, {with_runs} had runs")
    return 1 if failed else 0


def show(played: Played) -> int:
    """Show a program, its course and what is wrong; 1 if something is."""
    say(str(played.program), *played.log, *played.problems, f"{played.runs} events were runs")
    return 1 if played.problems else 0


def say(*lines: str) -> None:
    """Write lines for people, at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

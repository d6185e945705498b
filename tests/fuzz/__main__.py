"""Fuzzes for hours, on fresh seeds: `python -m tests.fuzz --hours 1 --first 1000`.

Each seed is printed, and repeats with `--hours 0`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = "1000"


def main() -> int:
    """Run seed after seed until the time is over; 1 at the first that fails."""
    parser = argparse.ArgumentParser(
        prog="fuzz",
        description="Put hostile values into items and events, one seed after the other.",
    )
    parser.add_argument(
        "--hours", type=float, default=1.0, help="go on for so long; one seed at least"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    end = time.monotonic() + asked.hours * 3_600
    environment = {
        **os.environ,
        "WORKPOOL_FUZZ_EXAMPLES": os.environ.get("WORKPOOL_FUZZ_EXAMPLES", EXAMPLES),
    }
    for seed in count(asked.first):
        sys.stdout.write(f"fuzz: seed {seed}\n")
        sys.stdout.flush()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--hypothesis-seed={seed}",
            str(HERE),
        ]
        if subprocess.run(command, env=environment, check=False).returncode:
            return 1
        if time.monotonic() >= end:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

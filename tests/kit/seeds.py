"""A seed that is new in each run, and the same in all processes of one run: tests in parallel must be collected alike."""

from __future__ import annotations

import os
import random
import zlib

__all__ = ["fresh_seed"]


def fresh_seed() -> int:
    """Return a number below 2**32. Print it, and let it be given."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return random.SystemRandom().getrandbits(32) if run is None else zlib.crc32(run.encode())

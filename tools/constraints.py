"""Prints the pins of requirements/dev.txt as constraints: the locks beside it take the same versions.

A constraint may have neither extras nor hashes, and a lock has both.
"""

from __future__ import annotations

import re
from pathlib import Path

DEV_LOCK = Path(__file__).parents[1] / "requirements" / "dev.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?(==\S+)", re.MULTILINE)


def constraints(lock: str) -> list[str]:
    """Return one `NAME==VERSION` for each pin of a lock."""
    return ["".join(pin) for pin in PIN.findall(lock)]


if __name__ == "__main__":
    print("\n".join(constraints(DEV_LOCK.read_text(encoding="utf-8"))))

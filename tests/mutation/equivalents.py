"""Reads the reviewed list of edits that change nothing a test could see, each with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.mutation.edits import edits_of

__all__ = ["EQUIVALENTS", "read_equivalents", "unknown"]

EQUIVALENTS: Final = Path(__file__).with_name("equivalents.toml")


def read_equivalents(path: Path = EQUIVALENTS) -> Mapping[str, str]:
    """The reason of each, by the key of the edit.

    Raises:
        ValueError: an edit without a reason, or listed twice.
    """
    found: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []):
        for key in entry["edits"]:
            if key in found or not entry["why"].strip():
                raise ValueError(f"{key!r} is listed twice, or without a reason")
            found[key] = entry["why"]
    return found


def unknown(listed: Iterable[str], package: Path) -> list[str]:
    """The listed edits that the code of the package no longer has."""
    return [key for key in listed if key not in _keys(package / key.partition(":")[0], package)]


@cache
def _keys(path: Path, package: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    edits = edits_of(str(path.relative_to(package)), path.read_text(encoding="utf-8"))
    return frozenset(edit.key for edit in edits)

"""Exit codes of the commands, and the error that has one of its own."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from workpool_aws.errors import WorkpoolError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DECLINED", "FAILED", "INTERRUPTED", "UNFIT", "USAGE", "UnknownPool"]

FAILED: Final = 1
"""The command failed, its answer could not be written, or a demo did not end as it should."""
USAGE: Final = 2
"""The command line or the configuration is wrong."""
UNFIT: Final = 3
"""A pool or a work item is unknown, or a work item is not in a state for the command."""
DECLINED: Final = 4
"""The answer to the question was not yes. Nothing was changed."""
INTERRUPTED: Final = 130

_NAMES_SHOWN: Final = 5


class UnknownPool(WorkpoolError):
    """The table has no pool of this name. Nothing was changed."""

    def __init__(self, name: str, table: str, known: Sequence[str]) -> None:
        near = get_close_matches(name, known, n=_NAMES_SHOWN)
        some = ", ".join(known[:_NAMES_SHOWN]) + (", …" if len(known) > _NAMES_SHOWN else "")
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"it has {some}"
            if some
            else "it has none yet"
        )
        super().__init__(f"no pool {name} is known in table {table}; {hint}")

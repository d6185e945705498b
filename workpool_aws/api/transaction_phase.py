"""The phases of a transaction, and their names in errors."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

__all__ = ["PHASE_WORDS", "TransactionPhase"]


class TransactionPhase(Enum):
    """The phase of a transaction."""

    NEW = auto()
    OPEN = auto()
    APPLIED = auto()
    NOT_APPLIED = auto()
    UNRESOLVED = auto()


PHASE_WORDS: Final = {
    TransactionPhase.NEW: "one that was not entered by `with`",
    TransactionPhase.APPLIED: "one that was applied",
    TransactionPhase.NOT_APPLIED: "one that is over, and was not applied",
    TransactionPhase.UNRESOLVED: "one whose commit was not answered",
}

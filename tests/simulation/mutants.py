"""Owns the list of all guards and of how each is noticed when it is gone: by seeds, by named tests, or by nothing, with the reason."""

from __future__ import annotations

from typing import Final

from tests.simulation.caller_guards import CALLER_GUARDS
from tests.simulation.condition_guards import CONDITION_GUARDS
from tests.simulation.loop_guards import LOOP_GUARDS
from tests.simulation.mutation import Mutant

__all__ = ["MUTANTS"]

MUTANTS: Final[tuple[Mutant, ...]] = (*CONDITION_GUARDS, *LOOP_GUARDS, *CALLER_GUARDS)

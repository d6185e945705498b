"""Shows verdicts as they come, and at the end a table of the modules and the share that was noticed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Final

from tests.mutation.edits import Edit
from tests.mutation.judging import Verdict

__all__ = ["Report"]

_COLUMNS: Final = ("noticed", "equivalent", "not noticed", "no test")


class Report:
    """The verdicts of a run. `wanted` is in percent of the edits that are not equivalent."""

    def __init__(
        self, equivalents: Mapping[str, str], *, wanted: float, verbose: bool = False
    ) -> None:
        self._equivalents = equivalents
        self._wanted = wanted
        self._verbose = verbose
        self._counts: dict[str, Counter[str]] = {}
        self._survivors: list[str] = []

    def is_equivalent(self, edit: Edit) -> bool:
        """True if the edit is listed as equivalent, and so is not judged."""
        listed = edit.key in self._equivalents
        if listed:
            self._count(edit, "equivalent")
        return listed

    def add(self, edit: Edit, verdict: Verdict) -> None:
        """Count a verdict; show an edit that was not noticed."""
        self._count(edit, "noticed" if verdict.noticed else "not noticed")
        if not verdict.noticed:
            self._show(edit)
        elif self._verbose:
            print(f"{edit}  ({verdict.by})", flush=True)

    def add_uncovered(self, edit: Edit) -> None:
        """Count an edit of code that no test runs."""
        self._count(edit, "no test")
        self._show(edit, " (no test runs it)")

    def end_of(self, module: str) -> None:
        """Show what a module came to."""
        counts = self._counts.setdefault(module, Counter())
        print(
            f"{module}: {', '.join(f'{counts[column]} {column}' for column in _COLUMNS if counts[column]) or 'nothing to edit'}",
            flush=True,
        )

    def finish(self) -> int:
        """Show the table. The exit code: 1 if less than the wanted share was noticed."""
        total = sum(self._counts.values(), Counter())
        width = max(map(len, [*self._counts, "together"]), default=0)
        print(f"\n{'':{width}}  {'  '.join(_COLUMNS)}")
        for name, counts in [*self._counts.items(), ("together", total)]:
            if counts.total():
                print(
                    f"{name:{width}}  {'  '.join(f'{counts[column]:{len(column)}}' for column in _COLUMNS)}"
                )
        if self._survivors:
            print("\nnot noticed:", *self._survivors, sep="\n  ")
        judged = total.total() - total["equivalent"]
        share = 100 * total["noticed"] / judged if judged else 100.0
        print(
            f"\n{total['noticed']} of {judged} edits were noticed: {share:.1f} %, and {self._wanted:g} % are wanted"
        )
        return int(share < self._wanted)

    def _count(self, edit: Edit, column: str) -> None:
        self._counts.setdefault(edit.module, Counter())[column] += 1

    def _show(self, edit: Edit, remark: str = "") -> None:
        self._survivors.append(f"{edit.key}{remark}")
        print(f"  {edit}  (in {edit.where or 'the module'}){remark}", flush=True)
        sys.stdout.flush()

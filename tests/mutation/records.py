"""Keeps verdicts between runs, each for as long as what it rests on is unchanged."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tests.mutation.coverage_map import PACKAGE, SUITES, digest
from tests.mutation.edits import Edit
from tests.mutation.judging import Verdict

__all__ = ["Records"]


class Records:
    """Verdicts in a file, a line each. A line that an interrupt cut off is passed over."""

    def __init__(self, path: Path, tree: Path, *, anew: bool = False) -> None:
        self._path = path
        self._tree = tree
        self._digest = cache(lambda name: digest([tree / name]) if (tree / name).is_file() else "")
        files = [path for folder in (PACKAGE, *SUITES) for path in (tree / folder).rglob("*.py")]
        self._everything = digest(sorted(files))
        self._verdicts: dict[str, Verdict] = {}
        if anew:
            path.unlink(missing_ok=True)
        elif path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def verdict(self, edit: Edit) -> Verdict | None:
        """Return the verdict of an earlier run; `None` means that the edit has to be judged."""
        return self._verdicts.get(edit.key)

    def add(self, edit: Edit, verdict: Verdict) -> None:
        """Keep a verdict."""
        line = {
            "edit": edit.key,
            "module": edit.module,
            "noticed": verdict.noticed,
            "by": verdict.by,
        }
        line["digest"] = self._basis(edit.module, verdict)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _read(self, line: str) -> None:
        try:
            stored = json.loads(line)
        except ValueError:
            return
        verdict = Verdict(noticed=stored["noticed"], by=stored["by"])
        if stored["digest"] == self._basis(stored["module"], verdict):
            self._verdicts[stored["edit"]] = verdict

    def _basis(self, module: str, verdict: Verdict) -> str:
        """Return the texts behind a verdict: the module, and the file of the test that noticed.

        Of a survivor they are all.
        """
        if not verdict.noticed:
            return self._everything
        return self._digest(f"{PACKAGE}/{module}") + self._digest(verdict.by.partition("::")[0])

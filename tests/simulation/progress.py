"""Shows the progress of a sweep or a hunt to a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TextIO

__all__ = ["Progress"]

_EVERY_S: Final = 10.0


class Progress:
    """A line every ten seconds at most, and only on a terminal: what is kept in a file has the table at the end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._told_at = clock()

    def tell(self, line: Callable[[], object]) -> None:
        """Show the progress. `line` is called only if it will be shown."""
        if self._clock() - self._told_at < _EVERY_S or not self._stream.isatty():
            return
        self._told_at = self._clock()
        self._stream.write(f"{line()}\n")
        self._stream.flush()

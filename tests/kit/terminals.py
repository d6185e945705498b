"""A terminal to print to."""

from __future__ import annotations

import io


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True

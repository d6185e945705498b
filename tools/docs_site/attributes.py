"""Sphinx extension: the docstring of an attribute stays one text, with the colon of its first line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_AFTER_NAPOLEON: Final = 600
_TYPE: Final = ":type: "


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", _process, priority=_AFTER_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def undivided(lines: list[str]) -> list[str]:
    """Join what napoleon divides: it takes the words before a colon for the type."""
    text = [*lines]
    while text and not text[-1]:
        text.pop()
    if not text or not text[-1].startswith(_TYPE):
        return lines
    before = text.pop().removeprefix(_TYPE)
    return [f"{before}: {text[0]}", *text[1:]]


def _process(
    _: Sphinx, _kind: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    lines[:] = undivided(lines)

"""Sphinx extension: a page that loads anything from elsewhere is a warning, and so an error of `make site`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^>]*>"""
    r"""|@import[^;]*//[^;]*;|url\(\s*["']?(?:https?:)?//[^)]*\)"""
)
_log = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", _look)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def loaded(text: str) -> list[str]:
    """The parts of a page or style sheet that make a browser ask another place."""
    return _LOADED.findall(text)


def _look(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None:
        return
    folder = Path(app.outdir)
    for file in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")]):
        for part in loaded(file.read_text(encoding="utf-8")):
            _log.warning("%s loads from elsewhere: %s", file.relative_to(folder), part)

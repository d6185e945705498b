"""Sphinx extension: each page as Markdown beside its HTML, an index of them in llms.txt, and all of them in llms-full.txt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docutils.io import StringOutput
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextWriter

from tools.docs_site.sources import PROJECT, contents

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None:
        return
    texts = {name: _text(app, name) for name in _in_order(app)}
    folder = Path(app.outdir)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "llms.txt").write_text(_index(), encoding="utf-8")
    (folder / "llms-full.txt").write_text("\n".join(texts.values()), encoding="utf-8")


def _in_order(app: Sphinx) -> list[str]:
    """The pages in the order of the index; those that it does not name follow."""
    named = [entry.place for entries in contents().values() for entry in entries]
    return list(
        dict.fromkeys([place.removesuffix(".md") for place in named] + sorted(app.env.found_docs))
    )


def _text(app: Sphinx, name: str) -> str:
    """The page as it was written, or as plain text if parts of it come from docstrings."""
    source = app.env.doc2path(name).read_text(encoding="utf-8")
    if "```{eval-rst}" not in source:
        return source
    builder = TextBuilder(app, app.env)
    builder.init()
    writer = TextWriter(builder)
    writer.write(app.env.get_and_resolve_doctree(name, builder), StringOutput(encoding="unicode"))
    return writer.output


def _index() -> str:
    sections = (
        line
        for section, entries in contents().items()
        for line in (
            f"\n## {section}\n",
            *(f"- [{each.title}]({each.place}): {each.answers}" for each in entries),
        )
    )
    return "\n".join([f"# workpool_aws\n\n> {PROJECT['description']}", *sections, ""])

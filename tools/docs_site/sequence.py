"""Sphinx extension: draws Mermaid's sequence diagrams as SVG when the site is built.

The repository's host draws the same text with Mermaid, which is more than a megabyte of JavaScript. A
line that is not understood is a warning, and so an error of `make site`.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final
from zlib import crc32

from docutils import nodes
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_PARTICIPANT: Final = re.compile(r"participant (?P<key>\w+)(?: as (?P<label>.+))?")
_MESSAGE: Final = re.compile(r"(?P<of>\w+)(?P<arrow>-->>|->>)(?P<to>\w+): (?P<text>.+)")
_NOTE: Final = re.compile(r"Note over (?P<over>\w+): (?P<text>.+)")

_COLUMN: Final = 250
_MARGIN: Final = 20
_CHARACTER: Final = 6.6
"""Width of an average character at the size of the texts."""
_LINE: Final = 17
_GAP: Final = 16
_HEAD: Final = 34
_NOTE_WIDTH: Final = 210

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Participant:
    """A line of life, with the label on top."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Message:
    """An arrow from one participant to another. An answer is dashed."""

    of: str
    to: str
    text: str
    answer: bool


@dataclass(frozen=True, slots=True)
class Note:
    """A text over one participant."""

    over: str
    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A diagram, from left to right and from top to bottom."""

    participants: tuple[Participant, ...]
    steps: tuple[Message | Note, ...]

    def place(self, key: str) -> float:
        """Return the middle of a participant."""
        keys = [each.key for each in self.participants]
        return _MARGIN + _COLUMN / 2 + keys.index(key) * _COLUMN


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", _draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _draw(_: Sphinx, doctree: nodes.document) -> None:
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") != "mermaid":
            continue
        try:
            svg = drawn(parsed(block.astext()))
        except ValueError as error:
            _log.warning("%s", error, location=block)
            continue
        block.replace_self(nodes.raw("", f'<div class="sequence">{svg}</div>', format="html"))


def parsed(text: str) -> Sequence:
    """Read a sequence diagram. Raises ValueError for a line that is not understood."""
    first, *lines = (line.strip() for line in text.strip().splitlines())
    if first != "sequenceDiagram":
        raise ValueError(f"only sequence diagrams are drawn, not {first!r}")
    participants: list[Participant] = []
    steps: list[Message | Note] = []
    for line in filter(None, lines):
        if found := _PARTICIPANT.fullmatch(line):
            participants.append(Participant(found["key"], found["label"] or found["key"]))
        elif found := _MESSAGE.fullmatch(line):
            answer = found["arrow"] == "-->>"
            steps.append(Message(found["of"], found["to"], found["text"], answer))
        elif found := _NOTE.fullmatch(line):
            steps.append(Note(found["over"], found["text"]))
        else:
            raise ValueError(f"a line of a sequence diagram that is not drawn: {line!r}")
    known = {each.key for each in participants}
    named = {each for step in steps for each in _named_by(step)}
    if named - known:
        raise ValueError(f"participants that are not declared: {sorted(named - known)}")
    return Sequence(tuple(participants), tuple(steps))


def drawn(sequence: Sequence) -> str:
    """Return a diagram as SVG, in the colours of the page around it."""
    parts: list[str] = []
    words = "; ".join(_in_words(sequence, step) for step in sequence.steps)
    arrow = f"arrow-{crc32(words.encode()):08x}"  # a page may have several diagrams
    y = _MARGIN + _HEAD
    for step in sequence.steps:
        y += _GAP
        if isinstance(step, Note):
            part, height = _note(sequence, step, y)
        else:
            part, height = _arrow(sequence, step, y, arrow)
        parts.append(part)
        y += height
    bottom = y + _GAP
    width = 2 * _MARGIN + len(sequence.participants) * _COLUMN
    heads = "".join(_head(sequence, each, bottom) for each in sequence.participants)
    return (
        f'<svg role="img" viewBox="0 0 {width} {bottom + _MARGIN}" width="{width}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(words)}</title>'
        f'<defs><marker id="{arrow}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        'markerHeight="8" orient="auto-start-reverse"><path d="M 0 0 L 10 5 L 0 10 z"/></marker>'
        f"</defs>{heads}{''.join(parts)}</svg>"
    )


def _named_by(step: Message | Note) -> tuple[str, ...]:
    return (step.over,) if isinstance(step, Note) else (step.of, step.to)


def _in_words(sequence: Sequence, step: Message | Note) -> str:
    labels = {each.key: each.label for each in sequence.participants}
    if isinstance(step, Note):
        return f"{labels[step.over]}: {step.text}"
    return f"{labels[step.of]} to {labels[step.to]}: {step.text}"


def _head(sequence: Sequence, participant: Participant, bottom: float) -> str:
    x, width = sequence.place(participant.key), _COLUMN - 40
    return (
        f'<line class="life" x1="{x}" y1="{_MARGIN + _HEAD}" x2="{x}" y2="{bottom}"/>'
        f'<rect class="head" x="{x - width / 2}" y="{_MARGIN}" width="{width}" height="{_HEAD}" rx="4"/>'
        f"{_text([participant.label], x, _MARGIN + _HEAD / 2 + 5)}"
    )


def _note(sequence: Sequence, note: Note, y: float) -> tuple[str, float]:
    lines = _wrapped(note.text, _NOTE_WIDTH - 16)
    x, height = sequence.place(note.over), len(lines) * _LINE + 14
    box = (
        f'<rect class="note" x="{x - _NOTE_WIDTH / 2}" y="{y}" '
        f'width="{_NOTE_WIDTH}" height="{height}" rx="2"/>'
    )
    return box + _text(lines, x, y + _LINE + 2), height


def _arrow(sequence: Sequence, message: Message, y: float, arrow: str) -> tuple[str, float]:
    begin, end = sequence.place(message.of), sequence.place(message.to)
    lines = _wrapped(message.text, abs(end - begin) - 24)
    at = y + len(lines) * _LINE + 4
    line = (
        f'<line class="{"answer" if message.answer else "message"}" x1="{begin}" y1="{at}" '
        f'x2="{end}" y2="{at}" marker-end="url(#{arrow})"/>'
    )
    return _text(lines, (begin + end) / 2, y + _LINE - 5) + line, len(lines) * _LINE + 6


def _text(lines: list[str], x: float, y: float) -> str:
    spans = "".join(
        f'<tspan x="{x}" y="{y + number * _LINE}">{escape(line)}</tspan>'
        for number, line in enumerate(lines)
    )
    return f'<text text-anchor="middle">{spans}</text>'


def _wrapped(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, max(8, int(width / _CHARACTER)))

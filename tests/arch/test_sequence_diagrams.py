"""The site's drawings of sequence diagrams: complete, readable, and refused where they would not be."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.docs_site.sequence import Message, Note, Participant, Sequence, drawn, parsed

ROOT = Path(__file__).parents[2]
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
DIAGRAMS = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in sorted(ROOT.glob("docs/**/*.md"))
    for number, text in enumerate(DIAGRAM.findall(page.read_text(encoding="utf-8")), start=1)
]
SMALL = """
sequenceDiagram
    participant A
    participant B as the other <one>
    A->>B: ask & wait
    B-->>A: answer
    Note over B: done
"""
SVG = "{http://www.w3.org/2000/svg}"


def test_diagram_is_read_line_by_line() -> None:
    assert parsed(SMALL) == Sequence(
        (Participant("A", "A"), Participant("B", "the other <one>")),
        (
            Message("A", "B", "ask & wait", answer=False),
            Message("B", "A", "answer", answer=True),
            Note("B", "done"),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "flowchart LR\n  A --> B",
        "sequenceDiagram\n  participant A\n  loop every minute",
        "sequenceDiagram\n  participant A\n  A->>B: who is B?",
        "sequenceDiagram\n  Note over A: who is A?",
        "sequenceDiagram\n  participant A\n  A-)A: an arrow that is not drawn",
    ],
)
def test_diagram_that_would_be_drawn_in_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"drawn|declared"):
        parsed(text)


def test_pages_have_diagrams() -> None:
    assert len(DIAGRAMS) >= 2


@pytest.mark.parametrize("text", DIAGRAMS)
def test_diagram_of_page_shows_every_word_inside_its_frame(text: str) -> None:
    sequence = parsed(text)

    svg = ET.fromstring(drawn(sequence))  # noqa: S314 - drawn here

    shown = " ".join(" ".join(span.text or "" for span in node) for node in svg.iter(f"{SVG}text"))
    for step in sequence.steps:
        assert step.text in shown
    for participant in sequence.participants:
        assert participant.label in shown
    width, height = (float(each) for each in svg.attrib["viewBox"].split()[2:])
    for node in svg.iter(f"{SVG}tspan"):
        half = len(node.text or "") * 6.6 / 2
        assert half <= float(node.attrib["x"]) <= width - half
        assert 0 < float(node.attrib["y"]) < height
    lines = [float(node.attrib["y"]) for node in svg.iter(f"{SVG}tspan")]
    places = [(node.attrib["x"], node.attrib["y"]) for node in svg.iter(f"{SVG}tspan")]
    assert len(set(places)) == len(lines)


def test_diagram_is_described_in_words() -> None:
    svg = ET.fromstring(drawn(parsed(SMALL)))  # noqa: S314 - as above
    title = svg.find(f"{SVG}title")

    assert svg.attrib["role"] == "img"
    assert title is not None
    assert title.text == (
        "A to the other <one>: ask & wait; the other <one> to A: answer; the other <one>: done"
    )

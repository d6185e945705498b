"""Draws docs/lifecycle.svg, the states of a work item and its moves, from the table in workpool_aws/core/lifecycle.py.

The states have fixed places. Moves between the same two states share an arrow, so a new move needs
no new geometry.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from workpool_aws.core.lifecycle import LEGAL
from workpool_aws.model.work import State

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "lifecycle.svg"

_LINE = 16
_BOXES = {State.PENDING: 185, State.RUNNING: 410, State.FINISHED: 635}
"""The centre of each state, from the left."""
# One gray and one blue that are readable on a light and on a dark page.
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 260" font-family="sans-serif" font-size="13"
  role="img" aria-label="States of a work item and the moves between them">
<defs>
<marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">
<path d="M0,0 L8,4 L0,8 z" fill="#7a8599"/>
</marker>
</defs>
<g fill="none" stroke="#7a8599" stroke-width="1.5">"""


@dataclass(frozen=True, slots=True)
class _Way:
    """The path of an arrow, and the place of its labels."""

    path: str
    x: int
    y: int
    """The baseline of the label that is nearest to the arrow."""
    upward: bool = False
    """True if further labels stand above the first one."""


_WAYS = {
    (None, State.PENDING): _Way("M30,130 H128", 79, 122, upward=True),
    (State.PENDING, State.RUNNING): _Way("M240,122 H353", 297, 114, upward=True),
    (State.RUNNING, State.PENDING): _Way("M355,140 H242", 297, 158),
    (State.RUNNING, State.FINISHED): _Way("M465,130 H578", 522, 122, upward=True),
    (State.PENDING, State.FINISHED): _Way("M185,108 C185,30 635,30 635,106", 410, 42, upward=True),
    (State.RUNNING, State.RUNNING): _Way("M396,151 C370,205 450,205 425,153", 410, 208),
    (None, State.FINISHED): _Way("M635,196 V155", 635, 210),
    (State.FINISHED, None): _Way("M690,130 H770", 735, 122, upward=True),
}


def lifecycle_picture() -> str:
    """The whole picture."""
    labels = _labels()
    arrows = [f'<path d="{_WAYS[ends].path}" marker-end="url(#head)"/>' for ends in labels]
    texts = [
        _text(label, way.x, way.y + (-_LINE if way.upward else _LINE) * number)
        for ends, moves in labels.items()
        for way in [_WAYS[ends]]
        for number, label in enumerate(reversed(moves) if way.upward else moves)
    ]
    boxes = [
        f'<rect x="{x - 55}" y="108" width="110" height="44" rx="8" fill="none" stroke="#4a80d0" stroke-width="2"/>'
        for x in _BOXES.values()
    ]
    names = [_text(str(state), x, 135) for state, x in _BOXES.items()]
    return "\n".join(
        [
            _HEAD,
            *arrows,
            "</g>",
            *boxes,
            '<g fill="#7a8599" text-anchor="middle">',
            *texts,
            "</g>",
            '<g fill="#4a80d0" text-anchor="middle" font-weight="bold">',
            *names,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _labels() -> dict[tuple[State | None, State | None], list[str]]:
    labels: dict[tuple[State | None, State | None], list[str]] = defaultdict(list)
    for move, arrow in LEGAL.items():
        labels[arrow.before, arrow.after].append(move.replace("_", " "))
    labels[State.FINISHED, None] = ["retention over"]
    return labels


def _text(label: str, x: int, y: int) -> str:
    return f'<text x="{x}" y="{y}">{label}</text>'

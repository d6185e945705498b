"""Records a run of the demo as docs/demo.svg: `python tools/demo_svg.py`.

The picture is drawn by the demo's own display. It moves by CSS, so it needs no script and loads
nothing. Where nothing moves, it shows the end of the run.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from workpool_aws.cli.demo.rich import closing, frame, opening
from workpool_aws.cli.demo.run import DemoOptions, items_of, plan_of, run_demo
from workpool_aws.cli.demo.worker import service_names

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workpool_aws.cli.demo.report import Progress

__all__ = ["picture"]

PICTURE: Final = Path(__file__).resolve().parent.parent / "docs" / "demo.svg"
OPTIONS: Final = DemoOptions(items=100, parallelism=8, seed=5)
COLUMNS: Final = 96
LINE_PX: Final = 24.4
COLUMN_PX: Final = 12.2
MARGIN_PX: Final = 20
FRAME_S: Final = 0.25
"""Time of the run between two frames."""
HOLD_S: Final = 8.0
"""Time for which the end is shown."""
LAYER: Final = (
    "<style>{styles}</style><defs>{lines}</defs>{backgrounds}"
    '<g class="{unique_id}-matrix">{matrix}</g>'
)
PAGE: Final = """\
<svg viewBox="0 0 {width:.0f} {height:.0f}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>workpool demo</title>
<style>
text {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 20px; }}
.moves {{ animation-duration: {total:.1f}s; animation-iteration-count: infinite; \
animation-timing-function: step-end; }}
.early {{ visibility: hidden; }}
@media (prefers-reduced-motion: reduce) {{ .moves {{ animation-name: none !important; }} }}
{keyframes}
</style>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
<g transform="translate({margin}, {margin})">
{layers}
</g>
</svg>
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """Lines of the terminal, drawn as text at the origin."""

    svg: str
    lines: int


def layer(name: str, shown: RenderableType) -> Layer:
    """Returns what a terminal of `COLUMNS` shows."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(shown)
    lines = console.export_text(clear=False).count("\n")
    return Layer(console.export_svg(code_format=LAYER, unique_id=name), lines)


def picture(options: DemoOptions) -> str:
    """Runs the demo, and returns its display as an SVG that moves."""
    items = items_of(options, service_names())
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        if seen and seen[-1].done == progress.items:
            return
        ended = progress.done == progress.items
        if not seen or ended or progress.seconds - seen[-1].seconds >= FRAME_S:
            seen.append(progress)

    report = run_demo(options, items, watch)
    head = layer("head", opening(plan_of(options, items)))
    frames = [
        layer(f"f{n}", frame(progress, options.parallelism)) for n, progress in enumerate(seen)
    ]
    tail = layer("tail", closing(report))
    begins = [progress.seconds - seen[0].seconds for progress in seen]
    total = begins[-1] + HOLD_S
    last = len(frames) - 1
    keyframes = [
        _keyframes(f"f{n}", begins[n], total if n == last else begins[n + 1], total)
        for n in range(len(frames))
    ]
    keyframes.append(_keyframes("tail", begins[-1], total, total))
    layers = [
        _placed(head, 0, ""),
        *(
            _placed(each, head.lines, _moving(f"f{n}", early=n != last))
            for n, each in enumerate(frames)
        ),
        _placed(tail, head.lines + frames[-1].lines, _moving("tail", early=False)),
    ]
    return PAGE.format(
        width=COLUMNS * COLUMN_PX + 2 * MARGIN_PX,
        height=(head.lines + frames[-1].lines + tail.lines + 1) * LINE_PX + 2 * MARGIN_PX,
        margin=MARGIN_PX,
        total=total,
        keyframes="\n".join(keyframes),
        layers="\n".join(layers),
    )


def _keyframes(name: str, begins: float, ends: float, total: float) -> str:
    shown, hidden = 100 * begins / total, 100 * ends / total
    steps = ["0% { visibility: hidden }"] if shown > 0 else []
    steps.append(f"{shown:.2f}% {{ visibility: visible }}")
    if ends < total:
        steps.append(f"{hidden:.2f}% {{ visibility: hidden }}")
    return f"@keyframes {name} {{ {' '.join(steps)} }}"


def _moving(name: str, *, early: bool) -> str:
    return f' class="moves{" early" if early else ""}" style="animation-name: {name}"'


def _placed(each: Layer, line: int, attributes: str) -> str:
    return f'<g transform="translate(0, {line * LINE_PX:.1f})"><g{attributes}>{each.svg}</g></g>'


if __name__ == "__main__":
    PICTURE.write_text(picture(OPTIONS), encoding="utf-8")

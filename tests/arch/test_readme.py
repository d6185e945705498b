"""The runnable examples of the README and of the pages run, and print what stands below them."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
MARK = "<!-- runnable -->"
RUNNABLE = re.compile(
    r"^<!-- runnable -->\n```python\n(?P<code>.*?)^```\n+(?:It prints:\n+)?```text\n(?P<printed>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
EXAMPLES = [
    pytest.param(path, found["code"], found["printed"], id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, found in enumerate(RUNNABLE.finditer(path.read_text(encoding="utf-8")), start=1)
]


def test_every_example_that_is_marked_is_found() -> None:
    marked = sum(path.read_text(encoding="utf-8").count(MARK) for path in DOCUMENTS)

    assert len(EXAMPLES) == marked
    assert DOCUMENTS[0].read_text(encoding="utf-8").count(MARK) > 0


@pytest.mark.parametrize(("path", "code", "printed"), EXAMPLES)
def test_an_example_prints_what_stands_below_it(path: Path, code: str, printed: str) -> None:
    said = io.StringIO()

    with contextlib.redirect_stdout(said):
        exec(compile(code, str(path), "exec"), {"__name__": "example"})  # noqa: S102 - the documents' own code is what is tested

    assert said.getvalue() == printed

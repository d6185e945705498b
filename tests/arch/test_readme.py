"""The README's runnable examples run, and print what the README says they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
RUNNABLE = re.compile(
    r"^<!-- runnable -->\n```python\n(?P<code>.*?)^```\n+(?:It prints:\n+)?```text\n(?P<printed>.*?)^```", re.MULTILINE | re.DOTALL
)
EXAMPLES = [(found["code"], found["printed"]) for found in RUNNABLE.finditer(README.read_text(encoding="utf-8"))]


def test_every_example_that_is_marked_is_found() -> None:
    assert len(EXAMPLES) == README.read_text(encoding="utf-8").count("<!-- runnable -->") > 0


@pytest.mark.parametrize(("code", "printed"), EXAMPLES)
def test_an_example_prints_what_stands_below_it(code: str, printed: str) -> None:
    said = io.StringIO()

    with contextlib.redirect_stdout(said):
        exec(compile(code, str(README), "exec"), {"__name__": "readme"})  # noqa: S102 - the README's own code is what is tested

    assert said.getvalue() == printed

"""The runnable examples of the README and of the pages run, and print what stands below them."""

import contextlib
import io
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from workpool_aws.local import LocalCloud

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
def test_example_prints_what_stands_below_it(path: Path, code: str, printed: str) -> None:
    said = io.StringIO()

    with contextlib.redirect_stdout(said):
        exec(compile(code, str(path), "exec"), {"__name__": "example"})  # noqa: S102 - the documents' own code is what is tested

    assert said.getvalue() == printed


def handlers_of(mark: str, **names: object) -> dict[str, object]:
    """Run the README's block below a mark, as Lambda imports a module; return its names."""
    found = re.search(
        rf"^<!-- {mark} -->\n```python\n(?P<code>.*?)^```",
        DOCUMENTS[0].read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None
    module: dict[str, object] = {"__name__": mark, **names}
    exec(compile(found["code"], f"README.md: {mark}", "exec"), module)  # noqa: S102 - as above
    return module


def test_deployed_example_sends_email(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def send(to: str, template: str, *, idempotency_key: str) -> str:
        sent.append((to, template, idempotency_key))
        return "sent"

    monkeypatch.setenv("WORKPOOL_TABLE", "my-table")
    with LocalCloud(clock="virtual") as cloud:
        worker = handlers_of("worker", mail_server=SimpleNamespace(send=send))
        monkeypatch.setenv("SEND_EMAIL", cloud.function(worker["handler"]))
        caller = handlers_of("caller")

        answer = caller["handler"]({"address": "ann@example.com"}, None)
        cloud.run_until_idle(timeout=timedelta(hours=1))

        result = caller["pool"].result(None, answer["work_id"])

    assert result.return_value == "sent"
    assert sent == [("ann@example.com", "welcome", answer["work_id"])]

"""The messages of `UsageError` read as English: "FIELD must be ALLOWED; got VALUE"."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workpool_aws"
VERBS = (
    "call ",
    "do ",
    "give ",
    "it ",
    "name ",
    "nothing",
    "only ",
    "put ",
    "say ",
    "these ",
    "this ",
    "use ",
    "you ",
)


def messages() -> list[tuple[str, str]]:
    """Yield the place of each `UsageError` with a literal ALLOWED, and that text."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "UsageError"
            ):
                texts = [
                    one.value
                    for one in ast.walk(node.args[2])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                found += [
                    (f"{path.relative_to(PACKAGE)}:{node.lineno}", text) for text in texts[:1]
                ]
    return found


MESSAGES = messages()


def test_messages_are_found() -> None:
    assert len(MESSAGES) > 60


@pytest.mark.parametrize(("place", "allowed"), MESSAGES, ids=[place for place, _ in MESSAGES])
def test_message_says_what_is_allowed_after_must_be(place: str, allowed: str) -> None:
    assert not allowed.startswith(VERBS), allowed
    assert not allowed.endswith(".")
    assert ";" not in allowed or allowed == "; ", "for the reader, a semicolon ends what is allowed"

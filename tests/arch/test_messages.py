"""The messages of `UsageError` read as English: "FIELD must be ALLOWED; got VALUE"."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.form

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


def faults_of(allowed: str) -> list[str]:
    """Return what makes a text no good end of "FIELD must be …; got VALUE"."""
    return [
        fault
        for fault, made in (
            ("it begins as an order or a sentence of its own", allowed.startswith(VERBS)),
            ("it ends with a full stop", allowed.endswith(".")),
            # For the reader, a semicolon ends what is allowed.
            ("it has a semicolon", ";" in allowed and allowed != "; "),
        )
        if made
    ]


def test_messages_say_what_is_allowed_after_must_be() -> None:
    # Read here, not where pytest collects: each process of a run collects.
    found = messages()

    assert len(found) > 60
    assert [
        f"{place}: {fault}: {allowed}" for place, allowed in found for fault in faults_of(allowed)
    ] == []


@pytest.mark.parametrize("allowed", ["call it", "a name.", "a; b"])
def test_bad_message_is_found(allowed: str) -> None:
    assert len(faults_of(allowed)) == 1

"""The lines that read a constant, in a small package."""

from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutation.edits import edits_of
from tests.mutation.reading import Readers, importers

pytestmark = pytest.mark.form

MODULES = {
    "bounds.py": """
        SPAN = 60
        _OWN = 2
        LONGEST = SPAN * 10

        class Filter:
            limit: int = 50
    """,
    "a.py": """
        from p import bounds
        from p.bounds import Filter

        def read(given: Filter):
            return bounds.SPAN + _OWN, given.limit
    """,
    "b.py": """
        from p.bounds import LONGEST

        def read(given):
            return LONGEST, given.limit
    """,
}


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("60 → 61", {"bounds.py": {4}, "a.py": {6}, "b.py": {5}}),
        ("10 → 11", {"b.py": {5}}),
        ("2 → 3", {}),
        ("50 → 51", {"a.py": {6}}),
    ],
    ids=["computed-from", "public", "private", "field"],
)
def test_constant_is_read_at_lines_that_name_it_or_what_is_computed_from_it(
    tmp_path: Path, edited: str, expected: dict[str, set[int]]
) -> None:
    texts = {name: dedent(text) for name, text in MODULES.items()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    edit = next(
        each for each in edits_of("bounds.py", texts["bounds.py"]) if each.key.endswith(edited)
    )

    found = Readers(tmp_path).of(edit)

    assert {
        name: {line for line in range(20) if bits >> line & 1} for name, bits in found.items()
    } == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from workpool_aws import invocation", True),
        ("from workpool_aws import (\n    compose,\n    invocation,\n)", True),
        ("from workpool_aws.invocation import raised", True),
        ("import workpool_aws.invocation", True),
        ("def f():\n    from workpool_aws import compose, invocation", True),
        ("from workpool_aws import compose", False),
        ("from workpool_aws.local.invocation import raised", False),
        ("# from workpool_aws import invocation", False),
    ],
)
def test_test_imports_module_by_any_form_of_import(text: str, *, expected: bool) -> None:
    assert importers({"t": f"import os\n{text}\n"}, "invocation.py") == ["t"] * expected


def test_package_is_imported_by_its_name() -> None:
    texts = {
        "t": "from workpool_aws.insights import Costed",
        "u": "from workpool_aws import insight",
    }

    assert importers(texts, "insights/__init__.py") == ["t"]

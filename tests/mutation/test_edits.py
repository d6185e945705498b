"""Edits: which there are, how they are addressed, and that each changes the tree and nothing but its node."""

import ast
from textwrap import dedent

import pytest

from tests.mutation.edits import Edit, edited, edits_of

pytestmark = pytest.mark.form


def edits(source: str) -> list[Edit]:
    return edits_of("m.py", dedent(source))


def shown(source: str) -> set[str]:
    return {f"{each.operator}: {each.before} → {each.after}" for each in edits(source)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", {"comparison: a < b → a <= b", "comparison: a < b → a > b"}),
        ("a is b", {"comparison: a is b → a is not b"}),
        ("a == b", {"comparison: a == b → a != b", "identity: a == b → a is b"}),
        ("a == 5", {"comparison: a == 5 → a != 5", "number: 5 → 6", "number: 5 → 4"}),
        ("a in b", {"comparison: a in b → a not in b"}),
        ("not a", {"not dropped: not a → a"}),
        (
            "a and b",
            {
                "and/or: a and b → a or b",
                "operand dropped: a and b → a",
                "operand dropped: a and b → b",
            },
        ),
        ("a + b", {"arithmetic: a + b → a - b"}),
        ("a[b:c]", {"slice: b:c → :c", "slice: b:c → b:"}),
        ("a['key']", {"key: 'key' → 'key_'"}),
        ("a.get('key')", {"key: 'key' → 'key_'"}),
        (
            "a.get('key', '')",
            {"key: 'key' → 'key_'", "arguments swapped: a.get('key', '') → a.get('', 'key')"},
        ),
        ("f(a, b)", {"arguments swapped: f(a, b) → f(b, a)"}),
        ("f(a=b)", {"argument dropped: f(a=b) → f()"}),
        ("f(help=b)", set()),
        ("zip(a, b, strict=True)", set()),
        ("max(a, b)", {"opposite: max(a, b) → min(a, b)"}),
        ("{'a': b}", {"entry dropped: {'a': b} → {}", "key: 'a' → 'a_'"}),
        ("True", {"flag: True → False"}),
        ("0", {"number: 0 → 1"}),
        ("'text'", set()),
        ("b if a else c", {"condition: a → not a"}),
    ],
)
def test_expression_has_edits_of_its_kind(code: str, expected: set[str]) -> None:
    assert shown(f"def f():\n    x = {code}") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("g()", {"statement dropped: g() → pass"}),
        ("assert_never(a)", set()),
        ("raise a", {"raise dropped: raise a → pass"}),
        ("return a", {"value dropped: return a → return None"}),
        ("return", set()),
        ("a += b", {"arithmetic: a += b → a -= b", "statement dropped: a += b → pass"}),
        ("if a: pass", {"condition: a → not a"}),
        ("while a: break", {"condition: a → not a", "break/continue: break → continue"}),
        ("try: pass\nexcept A: pass", {"exception type: except A: pass → except (): pass"}),
        (
            "try: pass\nexcept (A, B): pass",
            {
                "exception type: except (A, B): pass → except (B,): pass",
                "exception type: except (A, B): pass → except (A,): pass",
            },
        ),
        ("with suppress(A): pass", {"exception type: suppress(A) → suppress()"}),
        ("assert a", set()),
        ("a: int = 0", {"number: 0 → 1"}),
    ],
)
def test_statement_has_edits_of_its_kind(code: str, expected: set[str]) -> None:
    indented = code.replace("\n", "\n    ")
    assert shown(f"def f():\n    {indented}") == expected


def test_edits_leave_text_for_people_alone() -> None:
    source = """
        \"\"\"Text.\"\"\"
        from typing import TYPE_CHECKING, Literal
        if TYPE_CHECKING:
            import a
        __all__ = ["f", "g"]

        @decorated(1)
        def f(a: Literal[1]) -> Literal[2]:
            \"\"\"Text.\"\"\"
    """

    assert edits(source) == []


def test_edit_is_addressed_by_function_and_code_whatever_its_line() -> None:
    source = """
        class A:
            def f(self):
                x = 1
                y = 1
    """

    keys = [each.key for each in edits(source)]

    assert keys == [
        "m.py:A.f  number  1 → 2",
        "m.py:A.f  number  1 → 0",
        "m.py:A.f  number  1 → 2 #2",
        "m.py:A.f  number  1 → 0 #2",
    ]
    assert keys == [each.key for each in edits("\n\n" + dedent(source))]


def test_edit_names_lines_that_test_must_run() -> None:
    source = """\
        A = 1
        def f(a=2):
            b = (
                3
            )
            if (a
                < b):
                c = 5
    """

    lines = {(each.operator, each.before): each.lines for each in edits(source)}

    assert lines[("number", "1")] is None
    assert lines[("number", "2")] == (3, 8)
    assert lines[("number", "3")] == (3, 5)
    assert lines[("comparison", "a < b")] == (6, 7)
    assert lines[("number", "5")] == (8, 8)


def test_each_edit_makes_code_that_compiles_and_differs_in_its_function_alone() -> None:
    source = dedent("""
        def f(a, b=1):
            if a < b and not a:
                raise KeyError(a)
            return {"a": [a, b], "b": a[1:2]}

        def g():
            return 7
    """)

    for index, edit in enumerate(edits(source)):
        tree = edited(source, index)
        compile(tree, "m.py", "exec")
        f, g = (ast.unparse(each) for each in tree.body)
        original_f, original_g = (ast.unparse(each) for each in ast.parse(source).body)
        assert (f != original_f, g != original_g) == (edit.where == "f", edit.where == "g"), edit

"""Guards are found by their syntax: each way to write one, and what stands there once it is gone."""

import ast

import pytest

from tests.simulation.syntax import replaced

FUNCTION = """
def f(a, b, c):
    if a and b and c:  # why
        keep(a)
        write(
            a,
            state=b,
        )
        return b if c else a
    return {"one": a, "two": [x for x in b if x > 1]}
"""


def without(old: str, new: str = "") -> str:
    return ast.unparse(replaced(ast.parse(FUNCTION), old, new))


@pytest.mark.parametrize(
    ("old", "new", "gone", "there"),
    [
        ("x > 1", "x", "x > 1", "if x]"),
        ("and c", "", "a and b and c", "if a and b:"),
        ("and b", "", "a and b and c", "if a and c:"),
        ("a and", "", "a and b and c", "if b and c:"),
        ("a and b", "b", "a and b and c", "if b and c:"),
        ("and b and c", "", "a and b and c", "if a:"),
        ("if a and b and c:", "if False:", "a and b and c", "if False:"),
        ("if x > 1", "", "x > 1", "[x for x in b]"),
        ("if c", "if True", "b if c", "b if True else a"),
        ("state=b", "state=c", "state=b", "write(a, state=c)"),
        ("state=b", "", "state=b", "write(a)"),
        ('"one": a', "", "'one': a", "{'two': "),
        ('"one": a', '"one": b', "'one': a", "{'one': b, "),
        ("keep(a)", "", "keep(a)", "write("),
        ("keep(a)", "pass", "keep(a)", "pass"),
        ("keep(a)\nwrite(a, state=b)", "", "keep(a)", "return b if c"),
        ("return b if c else a", "return a", "b if c", "return a"),
    ],
)
def test_guard_is_replaced_however_it_is_laid_out(
    old: str, new: str, gone: str, there: str
) -> None:
    mutated = without(old, new)

    assert gone not in mutated
    assert there in mutated


def test_emptied_block_passes() -> None:
    assert "pass" in ast.unparse(replaced(ast.parse("def f():\n    keep()\n"), "keep()", ""))


@pytest.mark.parametrize(
    ("old", "times"),
    [("no_such()", 0), ("a", 5), ("or b", 0), ("if b", 0), ('"three": a', 0), ("state=a", 0)],
)
def test_guard_that_is_not_there_just_once_is_error(old: str, times: int) -> None:
    with pytest.raises(LookupError, match=f"stands there {times} times"):
        without(old)


@pytest.mark.parametrize("old", ["None if a else", "f(", "), b", "and (", "if (:"])
def test_edit_that_is_no_code_is_error(old: str) -> None:
    with pytest.raises(LookupError, match="is no"):
        without(old)

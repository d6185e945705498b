"""The store of measurements, and its answers after the code has changed."""

from pathlib import Path

import pytest

from tests.mutation.coverage_map import Store, moved

pytestmark = pytest.mark.form

FILE, TEST = "tests/unit/test_m.py", "tests/unit/test_m.py::test_f"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name, text in {"workpool_aws/m.py": "a\nb\nc\n", FILE: "a test"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = Store(tmp_path, tmp_path)
    found.keep(
        FILE,
        {
            "seconds": {TEST: 0.5},
            "not_passed": [f"{TEST}_not"],
            "lines": {"m.py": {TEST: "4", f"{TEST}_not": "2"}},
        },
    )
    return found


def test_store_measures_file_again_that_changed_or_has_other_tests(store: Store) -> None:
    names = [TEST, f"{TEST}_not"]
    (store.tree / "workpool_aws/m.py").write_text("other\n", encoding="utf-8")

    assert store.stale({FILE: names}) == []
    assert store.stale({FILE: [TEST], "tests/unit/test_new.py": []}) == [
        FILE,
        "tests/unit/test_new.py",
    ]
    (store.tree / FILE).write_text("another test", encoding="utf-8")
    assert store.stale({FILE: names}) == [FILE]


def test_store_cut_off_by_interrupt_is_measured_again(store: Store) -> None:
    path = store.tree / "tests+unit+test_m.py.json"
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")

    assert store.stale({FILE: [TEST, f"{TEST}_not"]}) == [FILE]


def test_map_has_lines_where_they_are_now_and_of_passing_tests_alone(store: Store) -> None:
    at_import = {"m.py": 2}
    before = store.map_of([FILE], at_import)
    (store.tree / "workpool_aws/m.py").write_text("new\na\nb\nc\n", encoding="utf-8")
    after = store.map_of([FILE], at_import)
    (store.tree / "workpool_aws/m.py").unlink()
    gone = store.map_of([FILE], at_import)

    assert before.lines == {"m.py": {TEST: 0b100}}
    assert after.lines == {"m.py": {TEST: 0b1010}}
    assert gone.lines == {}
    assert (before.seconds, before.not_passed) == ({TEST: 0.5}, [f"{TEST}_not"])
    assert (before.breadth, before.at_import) == ({FILE: 1}, at_import)


@pytest.mark.parametrize(
    ("before", "after", "ran", "expected"),
    [
        ("a\nb\nc", "a\nb\nc", {1, 3}, {1, 3}),
        ("a\nb\nc", "b\nc", {1, 3}, {2}),
        ("a\nb\nc", "a\nnew\nb\nc", {3}, {2, 4}),
        ("a\nb\nc", "a\nB\nc", {1}, {1, 2}),
        ("a\nb\nc", "a\nB\nc", set(), set()),
    ],
)
def test_new_line_counts_as_run_by_test_that_ran_any(
    before: str, after: str, ran: set[int], expected: set[int]
) -> None:
    move = moved(before, after)

    found = move(sum(1 << line for line in ran))

    assert {line for line in range(9) if found >> line & 1} == expected

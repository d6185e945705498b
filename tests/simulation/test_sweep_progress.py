"""The progress of a sweep for a person, and the results of one that is broken off."""

import io
from collections.abc import Iterable, Iterator
from itertools import count, islice
from multiprocessing.pool import ThreadPool

import pytest

from tests.kit.terminals import Screen
from tests.simulation import sweep
from tests.simulation.processes import in_order
from tests.simulation.progress import Progress


def test_terminal_hears_every_ten_seconds() -> None:
    now = 100.0
    terminal = Screen()
    progress = Progress(terminal, lambda: now)
    for second in range(31):
        now = 100.0 + second
        progress.tell(lambda: f"after {second} s")  # noqa: B023 - asked at once or never

    assert terminal.getvalue().splitlines() == ["after 10 s", "after 20 s", "after 30 s"]


def test_file_hears_nothing() -> None:
    now = 100.0
    file = io.StringIO()
    progress = Progress(file, lambda: now)
    now = 1_000.0
    progress.tell(lambda: "never")

    assert file.getvalue() == ""


def test_answers_come_in_order_of_items_of_which_few_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    with ThreadPool(2) as pool:
        answers = list(islice(in_order(pool, 2, str, items()), 20))

    assert answers == [str(number) for number in range(20)]
    assert len(taken) == 20 + 2 * 2


def test_error_of_share_comes_in_its_place() -> None:
    with ThreadPool(2) as pool:
        answers = in_order(pool, 2, lambda number: 12 // number, [3, 4, 0, 6])
        first = [next(answers), next(answers)]
        with pytest.raises(ZeroDivisionError):
            next(answers)

    assert first == [4, 3]


def test_interrupted_sweep_shows_what_it_has_come_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_share(
        pool: object, jobs: int, work: object, items: Iterable[range]
    ) -> Iterator[sweep.Tally]:
        yield sweep.Tally(runs=25, calls=8_000)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "in_order", one_share)

    code = sweep.main(["--calls", "2000000", "--mutants", "quick", "--jobs", "1"])

    told = capsys.readouterr().out
    assert code == 130
    assert told.startswith("25 runs, 8000 service calls, ")
    assert told.endswith("interrupted\n")
    assert "guards removed" not in told

"""Random programs of public calls keep what is promised, and show it when a guard is gone.

A few programs in each run of the tests; `python -m tests.fuzz` plays as many as asked for.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fuzz.history import Body, History, Wish
from tests.fuzz.programs import Played, Program, drawn, play, shrunk
from tests.fuzz.verdicts import Judged, judge
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import applied
from workpool_aws.local import LocalCloud

SHORT = 6
"""Steps of a program that a test has time for."""


@pytest.mark.parametrize("seed", [1, 2])
def test_random_program_keeps_what_is_promised(seed: int) -> None:
    played = play(drawn(seed, most=SHORT))

    assert played.problems == (), f"python -m tests.fuzz --program {seed}"


@pytest.mark.parametrize(
    ("guard", "seed", "rule"),
    [
        ("limit: free slots", 2, "[WP-1]"),
        ("cursor never past the unchosen", 6, "[WP-3]"),
        ("attempts are bounded", 2, "[WP-3]"),
    ],
)
def test_random_program_notices_guard_that_is_gone(guard: str, seed: int, rule: str) -> None:
    with applied(next(each for each in MUTANTS if each.name == guard)):
        played = play(drawn(seed, most=SHORT))

    assert [problem for problem in played.problems if problem.startswith(rule)]


def test_program_is_that_of_its_seed_and_repeats() -> None:
    program = drawn(7, most=2)

    assert drawn(7, most=2) == program != drawn(8, most=2)
    assert play(program) == play(program)


def fails_with_both(program: Program) -> Played:
    """A play that goes wrong if steps 3 and 9 are in the program, and otherwise if 4 is."""
    places = {step.place for step in program.steps}
    wrong = ("[WP-1] both",) if {3, 9} <= places else ("[WP-4] other",) if 4 in places else ()
    return Played(program, wrong, (), 0)


def test_program_that_fails_is_made_as_small_as_it_fails_alike() -> None:
    program = next(each for seed in range(50) if len((each := drawn(seed)).steps) > 20)

    assert [step.place for step in shrunk(program, fails_with_both).program.steps] == [3, 9]


def test_step_draws_the_same_whatever_was_left_out() -> None:
    """Otherwise a smaller program would be another one."""
    program = replace(drawn(5), faults=None, limit=1)
    first = play(replace(program, steps=program.steps[:1]))
    both = play(replace(program, steps=(program.steps[0], program.steps[0])))

    assert first.log[0] in both.log


def test_judge_counts_slots_by_the_limit_of_their_time() -> None:
    with LocalCloud() as cloud:
        history = History(cloud)
        for at, limit in ((0, 3), (100, 1)):
            history.limits["first"].append((at, limit))

        assert [history.limit_within("first", since, 200) for since in (0, 100, 101)] == [3, 3, 1]


@pytest.mark.parametrize(
    ("ends", "found"), [((50, 90), []), ((61, 90), ["[WP-1]"]), ((50, None), ["[WP-5]"])]
)
def test_judge_of_two_bodies_at_limit_of_one(
    ends: tuple[int, int | None], found: list[str]
) -> None:
    with LocalCloud() as cloud:
        history = History(cloud)
        history.limits["first"].append((0, 1))
        wish = history.wish("first", "succeeds", {"retry": False})
        second = wish.number if ends[1] is None else history.wish("first", "fails", {}).number
        for number, began_at, ended_at in ((wish.number, 10, ends[0]), (second, 60, ends[1] or 90)):
            history.bodies.append(
                Body(
                    work_id=f"w{number}",
                    wish=history.wishes[number],
                    began_at=began_at,
                    ended_at=ended_at,
                    course="returned",
                )
            )
        judged = Judged(
            cloud=cloud,
            history=history,
            pools=[cloud.workpool("first")],
            is_calm=True,
            counts_all=True,
            is_deployed_once=True,
        )

        assert [problem[:6] for problem in judge(judged)] == found


def test_wish_has_the_attempts_of_its_policy() -> None:
    with LocalCloud() as cloud:
        wish = History(cloud).wish("first", "succeeds", {"retry": True})

    assert (wish.attempts_max, replace(wish, options={"retry": False}).attempts_max) == (5, 1)
    assert isinstance(wish, Wish)

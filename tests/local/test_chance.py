"""Choices: a seed repeats them, a list replays them."""

from workpool_aws.local.kernel.chance import ReplayChooser, SeededChooser


def test_same_seed_answers_same_questions_alike() -> None:
    first, second = SeededChooser(5), SeededChooser(5)

    answers = [[chooser.choose(10, "x") for _ in range(50)] for chooser in (first, second)]

    assert answers[0] == answers[1]
    assert len(set(answers[0])) > 5


def test_seed_decides_answers() -> None:
    answers = [
        [chooser.choose(10, "x") for _ in range(50)]
        for chooser in (SeededChooser(1), SeededChooser(2))
    ]

    assert answers[0] != answers[1]


def test_choice_stays_within_its_options() -> None:
    chooser = SeededChooser(0)

    assert {chooser.choose(3, "x") for _ in range(200)} == {0, 1, 2}


def test_single_option_is_no_choice() -> None:
    chooser = SeededChooser(0)

    assert chooser.choose(1, "x") == 0
    assert chooser.log == []


def test_certainties_are_certain() -> None:
    chooser = SeededChooser(0)

    assert not any(chooser.chance(0.0, "x") for _ in range(100))
    assert all(chooser.chance(1.0, "x") for _ in range(100))


def test_log_replays_itself() -> None:
    chooser = SeededChooser(9)
    asked = [(chooser.choose(4, "x"), chooser.chance(0.5, "y")) for _ in range(30)]

    replay = ReplayChooser(chooser.log)

    assert [(replay.choose(4, "x"), replay.chance(0.5, "y")) for _ in range(30)] == asked


def test_replay_takes_plain_course_after_its_end() -> None:
    replay = ReplayChooser([2])

    assert [replay.choose(4, "x") for _ in range(3)] == [2, 0, 0]
    assert not replay.chance(0.99, "y")


def test_replayed_choice_that_does_not_fit_any_more_is_nearest_one() -> None:
    assert ReplayChooser([7]).choose(3, "x") == 2

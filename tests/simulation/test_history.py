"""The outsider's verdict: a history that keeps every promise passes, and one that breaks a rule, and only that, is noticed."""

from dataclasses import replace

import pytest

from tests.simulation.history import (
    Began,
    Breach,
    CallOffAnswered,
    CallOffAsked,
    CancelAnswered,
    CancelAsked,
    Ended,
    Enqueued,
    Event,
    Heard,
    LimitAnswered,
    LimitAsked,
    Looked,
    Redriven,
    Terms,
    breaches,
)

SETTLED = Terms(once=True, in_time=True, settled=True)
WORK = Enqueued(
    at=10,
    asked_at=9,
    work_id="w1",
    pool="a",
    due_at=10,
    attempts=1,
    claimed=True,
    decorated=True,
    wants=frozenset({"success"}),
)
RETRIED = replace(WORK, work_id="w2", attempts=2, claimed=False, wants=frozenset())
LIMIT = LimitAsked(at=0, pool="a", limit=1)
DAY_MS = 24 * 3_600_000


def began(run: int, at: int = 100, work: str = "w1", start: int = 1, attempt: int = 1) -> Began:
    return Began(at=at, run=run, pool="a", work_id=work, start=start, attempt=attempt)


def ended(run: int, at: int = 200, ending: str = "ok") -> Ended:
    return Ended(at=at, run=run, ending=ending)


def looked(
    work: str = "w1", outcome: str | None = "success", at: int = 900, **more: object
) -> Looked:
    state = "pending" if outcome is None else "finished"
    return Looked(at=at, asked_at=at, work_id=work, outcome=outcome, **{"state": state, **more})


HEARD = Heard(at=300, work_id="w1", kind="success")
KEPT = [LIMIT, WORK, began(1), ended(1), HEARD, looked(result_of=1)]
OTHER = replace(RETRIED, claimed=True)
BESIDE = [*KEPT[:3], OTHER, began(2, 150, "w2"), *KEPT[3:], ended(2), looked("w2")]
CANCELED = CancelAnswered(at=50, work_id="w2", answer="canceled")
REQUESTED = replace(CANCELED, answer="requested")
PAUSED = LimitAnswered(at=50, pool="a", limit=0)
CALLED_OFF = [CallOffAsked(at=40, pool="a", call=0), CallOffAnswered(at=50, pool="a", call=0)]
FAR = replace(RETRIED, due_at=60_000)
LATER = replace(RETRIED, at=70, asked_at=60)


def rules_of(history: list[Event], terms: Terms = SETTLED) -> set[str]:
    return {breach.rule for breach in breaches(history, terms)}


def test_history_that_keeps_every_promise_passes() -> None:
    second = [
        RETRIED,
        began(2, 1_000, "w2"),
        ended(2, 1_100, "failed"),
        began(3, 1_400, "w2", 2, 2),
        ended(3, 1_500),
        looked("w2", at=2_000),
    ]

    assert breaches([*KEPT, *second], SETTLED) == []


@pytest.mark.parametrize(
    ("history", "rule"),
    [
        (BESIDE, "WP-1"),
        ([each if each is not OTHER else replace(OTHER, claimed=False) for each in BESIDE], "WP-1"),
        ([*KEPT[:-1], looked(outcome=None, state="unknown"), looked()], "WP-3"),
        ([*KEPT[:-1], looked(outcome=None, state="unknown", at=DAY_MS)], "WP-3"),
        ([LIMIT, WORK], "WP-3"),
        ([LIMIT, WORK, looked(outcome=None)], "WP-3"),
        ([LIMIT, WORK, HEARD, looked(), Redriven(at=950, work_id="w9", new_id="w10")], "WP-3"),
        (
            [
                LIMIT,
                RETRIED,
                began(1, work="w2"),
                ended(1),
                began(2, work="w2"),
                ended(2),
                looked("w2"),
            ],
            "WP-4",
        ),
        ([LIMIT, WORK, began(1), ended(1, ending="failed"), HEARD, looked(result_of=1)], "WP-4"),
        ([LIMIT, WORK, began(1), ended(1), HEARD, looked(result_of=2)], "WP-4"),
        ([LIMIT, WORK, began(1), ended(1), began(2, start=2), ended(2), HEARD, looked()], "WP-5"),
        ([LIMIT, RETRIED, began(1, work="w2", attempt=3), ended(1), looked("w2")], "WP-5"),
        (
            [
                LIMIT,
                RETRIED,
                began(1, work="w2", attempt=2),
                ended(1),
                began(2, work="w2", start=2, attempt=1),
                ended(2),
                looked("w2"),
            ],
            "WP-5",
        ),
        (
            [LIMIT, RETRIED, began(1, work="w2"), ended(1), looked("w2", "failed"), looked("w2")],
            "WP-6",
        ),
        ([*KEPT, looked(outcome=None), looked()], "WP-6"),
        (
            [
                LIMIT,
                looked("w1", "failed"),
                *(Redriven(at=950, work_id="w1", new_id=new) for new in ("w3", "w4")),
                looked("w3"),
                looked("w4"),
            ],
            "WP-6",
        ),
        ([*KEPT, Redriven(at=950, work_id="w1", new_id="w3"), looked("w3")], "WP-6"),
        ([LIMIT, RETRIED, CANCELED, began(1, work="w2"), ended(1), looked("w2")], "WP-7"),
        (
            [
                LIMIT,
                RETRIED,
                REQUESTED,
                began(1, work="w2"),
                ended(1),
                began(2, work="w2", start=2, attempt=2),
                ended(2),
                looked("w2"),
            ],
            "WP-7",
        ),
        ([each for each in KEPT if each is not HEARD], "WP-8"),
        ([*KEPT[:-1], looked(outcome="failed")], "WP-8"),
        (
            [
                LIMIT,
                RETRIED,
                began(1, work="w2"),
                ended(1),
                replace(HEARD, work_id="w2"),
                looked("w2"),
            ],
            "WP-8",
        ),
        (
            [
                LIMIT,
                RETRIED,
                PAUSED,
                began(1, work="w2"),
                ended(1),
                began(2, work="w2", start=2, attempt=2),
                ended(2),
                looked("w2"),
            ],
            "WP-13",
        ),
        (
            [
                LIMIT,
                RETRIED,
                PAUSED,
                *(
                    each
                    for run, work in ((1, "w2"), (2, "w4"))
                    for each in (began(run, work=work), ended(run))
                ),
                looked("w2"),
            ],
            "WP-13",
        ),
        (
            [
                LIMIT,
                RETRIED,
                *CALLED_OFF,
                began(1, work="w2"),
                ended(1),
                began(2, work="w2", start=2, attempt=2),
                ended(2),
                looked("w2"),
            ],
            "WP-13",
        ),
        (
            [
                LIMIT,
                RETRIED,
                replace(RETRIED, work_id="w4"),
                *CALLED_OFF,
                *(
                    each
                    for run, work in ((1, "w2"), (2, "w4"))
                    for each in (began(run, work=work), ended(run))
                ),
                looked("w2"),
                looked("w4"),
            ],
            "WP-13",
        ),
        (
            [
                LIMIT,
                FAR,
                *CALLED_OFF,
                began(1, 60_000, "w2"),
                ended(1, 60_001),
                looked("w2", "canceled", at=60_002),
            ],
            "WP-13",
        ),
        ([LIMIT, FAR, *CALLED_OFF, looked("w2", "failed", at=60_002)], "WP-13"),
        ([LIMIT, *CALLED_OFF, LATER, looked("w2", "canceled")], "WP-3"),
        ([LIMIT, FAR, *CALLED_OFF, looked("w2", None)], "WP-3"),
        ([LIMIT, replace(WORK, due_at=60_000), *KEPT[2:]], "WP-20"),
    ],
)
def test_history_that_breaks_one_rule_is_noticed(history: list[Event], rule: str) -> None:
    assert rules_of(history) == {rule}


@pytest.mark.parametrize(
    "history",
    [
        [
            LIMIT,
            RETRIED,
            began(1, work="w2"),
            began(2, work="w2"),
            ended(1),
            ended(2),
            looked("w2"),
        ],
        [
            LIMIT,
            replace(RETRIED, decorated=False),
            CANCELED,
            began(1, work="w2"),
            ended(1),
            looked("w2"),
        ],
        [LIMIT, RETRIED, REQUESTED, began(1, work="w2"), ended(1), looked("w2")],
        [LIMIT, RETRIED, *CALLED_OFF, began(1, work="w2"), ended(1), looked("w2")],
        [LIMIT, FAR, *CALLED_OFF, looked("w2", "canceled")],
        [LIMIT, CALLED_OFF[0], LATER, replace(CALLED_OFF[1], at=80), looked("w2", "canceled")],
        [LIMIT, CALLED_OFF[0], LATER, looked("w2", "canceled")],
        [LIMIT, *CALLED_OFF, LATER, CancelAsked(at=80, work_id="w2"), looked("w2", "canceled")],
        [LIMIT, *CALLED_OFF, LATER, began(1, work="w2"), ended(1), looked("w2")],
        [
            LIMIT,
            WORK,
            began(1),
            ended(1),
            HEARD,
            looked(result_of=1),
            replace(looked(outcome=None), asked_at=150, at=950),
            looked(at=960),
        ],
        [LIMIT, PAUSED, LimitAsked(at=60, pool="a", limit=2), *KEPT[1:]],
        [*KEPT, looked(outcome=None, state="unknown", at=WORK.at + DAY_MS + 1)],
    ],
)
def test_exception_of_protocol_is_no_breach(history: list[Event]) -> None:
    assert breaches(history, Terms(settled=True)) == []


def test_work_that_was_robbed_of_its_context_need_not_tell() -> None:
    silent = [each for each in KEPT if each is not HEARD]

    assert breaches(silent, replace(SETTLED, excused=frozenset({"w1"}))) == []
    assert breaches(silent, SETTLED) == [Breach("WP-8", "nobody was told that w1 ended as success")]

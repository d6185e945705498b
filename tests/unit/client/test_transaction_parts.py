"""Parts of transactions that say what was refused, and refuse what is too old to be decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kit.records import NOW, a_work, an_id
from tests.kit.world import World
from workpool_aws import TransactionCanceled, UsageError, Workpool
from workpool_aws.api.prepared import Prepared
from workpool_aws.api.transaction_keys import TransactionKeys
from workpool_aws.api.transaction_phase import PHASE_WORDS, TransactionPhase
from workpool_aws.api.unique import spelled_debounce
from workpool_aws.core import limits
from workpool_aws.core.work.transaction import pause_ms
from workpool_aws.model.actions import Action, Check
from workpool_aws.model.refs import StatusRef, UniqueRef, WorkRef
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.writes import IsAbsent, Put, Update

ID = an_id()
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (Put(UniqueLock(pool="p", key="k", work_id=ID)), {"unique_key": "k"}),
        (Check(ref=UniqueRef("p", "k"), condition=IsAbsent()), {"unique_key": "k"}),
        (Put(RequestMark(pool="p", request_id="r", work_id=ID)), {"request_id": "r"}),
        (Check(ref=WorkRef("p", ID), condition=IsAbsent()), {"work_id": ID}),
        (Update(ref=WorkRef("p", ID)), {"work_id": ID}),
        (Put(a_work()), {}),
        (Update(ref=StatusRef("p")), {}),
    ],
)
def test_refused_enqueue_is_named_as_callers_know_it(action: Action, name: dict[str, str]) -> None:
    assert TransactionKeys.name_of(action) == name


def test_every_phase_but_the_open_one_has_its_words() -> None:
    assert {*PHASE_WORDS} == {*TransactionPhase} - {TransactionPhase.OPEN}
    assert len({*PHASE_WORDS.values()}) == len(PHASE_WORDS)


@pytest.mark.parametrize(
    ("tombstone", "proven_until", "is_too_old"),
    [(None, NOW + 1, True), ("tombstone", NOW - 1, True), ("tombstone", NOW, False)],
)
def test_prepared_enqueue_is_decided_while_its_proof_is_there(
    monkeypatch: pytest.MonkeyPatch,
    tombstone: object,
    proven_until: int,
    *,
    is_too_old: bool,
) -> None:
    pool = World().pool()
    fenced: list[object] = []

    def fence(_ports: object, given: object) -> bool:
        fenced.append(given)
        return False

    monkeypatch.setattr("workpool_aws.flow.work.transaction.fence", fence)
    plan: Any = SimpleNamespace(tombstone=tombstone, proven_until=proven_until)
    prepared = Prepared(ids=(), items=[], plain=[], plan=plan)

    if is_too_old:
        with pytest.raises(UsageError, match="one prepared more recently; got one whose proof"):
            pool.resolve(None, prepared)
    else:
        assert not pool.resolve(None, prepared)
    assert fenced == ([] if is_too_old else ["tombstone"])


def test_debounce_is_spelled_by_options_that_it_stands_for() -> None:
    wait, longest = SECOND, 2 * SECOND
    given: dict[str, Any] = {"unique_key": "k", "debounce": wait, "retry": True}

    assert spelled_debounce({"retry": True}) == {"retry": True}
    spelled = {
        "unique_key": "k",
        "retry": True,
        "run_after": wait,
        "unique_until": "started",
        "on_conflict": "replace",
    }
    assert spelled_debounce(given) == {**spelled, "max_wait": None}
    assert spelled_debounce({**given, "debounce_max": longest}) == {**spelled, "max_wait": longest}
    assert spelled_debounce({**given, "debounce_max": wait})["max_wait"] == wait


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"debounce": None, "debounce_max": 1}, "debounce_max must be None without debounce"),
        ({"unique_key": None}, "debounce must be None without unique_key"),
        ({"debounce": 5}, "debounce must be a timedelta above 0"),
        ({"debounce_max": 5}, "debounce_max must be a timedelta above 0"),
        ({"debounce_max": 0.5}, "debounce_max must be a timedelta above 0"),
        *(
            ({name: "x"}, f"{name} must be None where debounce is given")
            for name in (
                "run_after",
                "run_at",
                "unique_until",
                "unique_for",
                "on_conflict",
                "max_wait",
            )
        ),
    ],
)
def test_debounce_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        spelled_debounce({"unique_key": "k", "debounce": SECOND, **changes})
    with pytest.raises(UsageError, match="debounce_max must be at least debounce"):
        spelled_debounce({"unique_key": "k", "debounce": SECOND, "debounce_max": SECOND / 2})


@pytest.mark.parametrize(("stale", "runs"), [(True, limits.TRANSACTION_TRIES), (False, 1)])
def test_function_runs_again_while_what_it_read_has_changed_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch, *, stale: bool, runs: int
) -> None:
    world, ran = World(), []

    @contextmanager
    def refused(*_: object) -> Iterator[int]:
        yield len(ran)
        raise TransactionCanceled((), stale=stale)

    monkeypatch.setattr(Workpool, "transaction", refused)

    with pytest.raises(TransactionCanceled):
        world.pool().run_transaction(ran.append)

    assert ran == [*range(runs)]
    assert world.clock.slept_ms == [pause_ms(attempt, 0.5) for attempt in range(1, runs)]

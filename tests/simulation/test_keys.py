"""The judge of unique keys and requests notices each way in which they can be broken [WP-16] [WP-17]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work, an_id
from tests.simulation.coverage import Coverage
from tests.simulation.keyed import KeyCall, KeyJudge, OnConflict, keys_of
from tests.simulation.scenario import scenario_of
from tests.simulation.watched import WatchedStore
from tests.simulation.world import simulate
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.spec import UniqueSpec
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import Put, Update

SEEDS = [seed for seed in range(200) if scenario_of(seed).keys is not None][:4]
KEY = UniqueSpec(key="k")


class Watch:
    """A judge, its clock, and what it found."""

    def __init__(self) -> None:
        self.now = EpochMs(NOW)
        self.found: list[str] = []
        self.judge = KeyJudge(lambda: self.now, lambda rule, _: self.found.append(rule))


def work_of(number: int, **changes: object) -> WorkItem:
    return a_work(id=an_id(n=number), unique=KEY, args=f'{{"number":{number}}}', **changes)


def call_of(number: int, request: str | None = None, on_conflict: OnConflict = "return") -> KeyCall:
    return KeyCall(
        at_ms=0,
        number=number,
        key="k",
        on_conflict=on_conflict,
        delay_ms=0,
        max_wait_ms=None,
        request=request,
        retried=False,
    )


def test_two_unfinished_of_key_are_noticed() -> None:
    watch, first, second = Watch(), work_of(1001), work_of(1002)
    watch.judge.seen(None, first)
    watch.judge.seen(first, replace(first, state=State.FINISHED))
    watch.judge.seen(None, second)
    assert watch.found == []
    watch.judge.seen(None, work_of(1003))
    assert watch.found == ["WP-16"]


def test_holder_may_end_in_transaction_that_puts_next_one() -> None:
    """Seed 50398, in which the put came first."""
    watch, first = Watch(), work_of(1001)
    memory = MemoryStore(lambda: NOW)
    store = WatchedStore(memory, watch.judge.seen, None, Coverage())
    store.write(Put(first))
    changes = {"state": State.FINISHED, "undelivered": 0}
    ended = Update(ref=WorkRef(first.pool, first.id), set=changes)
    store.transact([Put(work_of(1002)), ended])
    assert watch.found == []
    store.transact([Put(work_of(1003))])
    assert watch.found == ["WP-16"]


def test_start_before_its_time_is_noticed() -> None:
    watch, work = Watch(), work_of(1001, due_at=NOW + 10_000)
    watch.judge.seen(None, work)
    watch.judge.seen(work, replace(work, state=State.RUNNING, starts=1))
    assert watch.found == ["WP-16"]


def test_start_with_arguments_that_were_replaced_is_noticed() -> None:
    watch, work = Watch(), work_of(1001)
    watch.judge.asked(call_of(1001))()
    watch.judge.seen(None, work)
    watch.now = EpochMs(NOW + 5)
    over = watch.judge.asked(call_of(1002))
    watch.judge.answered(call_of(1002, on_conflict="replace"), work.id, asked_at=watch.now)
    over()
    watch.judge.seen(work, replace(work, state=State.RUNNING, starts=1))
    assert watch.found == ["WP-16"]


def test_run_with_other_arguments_than_stored_is_noticed() -> None:
    watch = Watch()
    watch.judge.ran(work_of(1001), 1002)
    assert watch.found == ["WP-16"]


def test_answer_with_work_item_that_was_over_before_is_noticed() -> None:
    watch, work = Watch(), work_of(1001)
    watch.judge.seen(None, work)
    watch.judge.seen(work, replace(work, state=State.FINISHED))
    watch.judge.answered(call_of(1002), work.id, asked_at=EpochMs(NOW + 1))
    assert watch.found == ["WP-16"]


def test_two_answers_to_one_request_are_noticed() -> None:
    watch = Watch()
    for number in (1001, 1002):
        watch.judge.seen(None, replace(work_of(number), spec=a_work().spec))
        watch.judge.answered(call_of(1500, request="r0"), an_id(n=number), asked_at=watch.now)
    assert watch.found == ["WP-17"]


def test_some_scenarios_have_keys_and_others_stay_as_they_are() -> None:
    assert {keys_of(seed, 1) is not None for seed in range(0, 200, 4)} == {False}
    assert len(SEEDS) == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_keys_hold_whatever_goes_wrong(seed: int) -> None:
    run = simulate(scenario_of(seed))
    assert run.violation is None, run.report()

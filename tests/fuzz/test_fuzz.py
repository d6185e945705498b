"""Any value in any attribute of any item, any event at any door: other work goes on [WP-12].

A budget of examples in each run of the tests; `WORKPOOL_FUZZ_EXAMPLES` gives another, and `make
sim-long` an hour of fresh seeds.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.hostile import ITEMS, events, hostile_values, records, run_beside
from tests.kit.lambdas import LambdaContext
from tests.kit.records import POOL, TARGET
from tests.kit.stage import Stage
from tests.kit.world import TABLE
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.compose import use_ports
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.errors import WorkpoolError
from workpool_aws.handlers import completion, main_loop, watchdog
from workpool_aws.model.payload import inline_text
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import State

EXAMPLES = int(os.environ.get("WORKPOOL_FUZZ_EXAMPLES", "5"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
DOORS = (main_loop.handler, completion.handler, watchdog.handler)


@FUZZ
@given(st.data())
def test_pool_does_its_work_beside_item_with_any_values(data: st.DataObject) -> None:
    """[WP-12]"""
    damaged = []
    for item in data.draw(
        st.lists(
            st.sampled_from(ITEMS),
            min_size=1,
            max_size=3,
            unique_by=lambda each: (each["pk"], each["sk"]),
        )
    ):
        names = sorted(set(item) - {"pk", "sk"})
        changes = data.draw(
            st.dictionaries(st.sampled_from([*names, "zz"]), hostile_values, min_size=1, max_size=3)
        )
        damaged.append(
            {name: value for name, value in {**item, **changes}.items() if value is not None}
        )
    run_beside(damaged)


ATTRIBUTES = {id(item): sorted(set(item) - {"pk", "sk"}) for item in ITEMS}


@pytest.mark.parametrize("nth", range(max(map(len, ATTRIBUTES.values()))))
def test_pool_does_its_work_beside_items_without_attribute(nth: int) -> None:
    """[WP-12] Each attribute of each kind of item: the nth of all kinds in one world."""
    run_beside(
        [
            {name: value for name, value in item.items() if name != lost}
            for item in ITEMS
            for lost in ATTRIBUTES[id(item)][nth : nth + 1]
        ]
    )


@pytest.mark.parametrize("door", DOORS)
@FUZZ
@given(event=events)
def test_door_answers_or_refuses_any_event(door: Any, event: Any) -> None:
    """[WP-12] And the pool that runs is none the worse for it."""
    stage = Stage(takes_ms=100)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    with use_ports(lambda _: stage.ports), suppress(WorkpoolError, completion.RecordRejected):
        door(event, LambdaContext())
    stage.run(30_000)

    assert stage.pool().status(None, work_id).outcome == "success"
    assert len(stage.clock.slept_ms) < 200
    assert {row["sk"] for row in stage.memory.items("#pools")} == {POOL}


@FUZZ
@given(record=records, nonce=st.sampled_from([None, "", "A" * 24, "its digest"]))
def test_running_start_ends_as_its_worker_says_despite_any_record(
    record: Any, nonce: str | None
) -> None:
    """[WP-28] It names the very start, and knows all of it but the nonce."""
    stage = Stage(takes_ms=1_000)
    work_id = stage.pool().enqueue_action(None, TARGET, {}, retry=True)
    met: list[State] = []

    def forge() -> None:
        work = stage.work(work_id)
        met.append(work.state)
        own = (
            assignment_to_wire(assignment_of(work, TABLE)) | record["requestPayload"][WORKPOOL_KEY]
        )
        if nonce is not None:
            own["nonce"] = work.proof if nonce == "its digest" else nonce
        with suppress(WorkpoolError, completion.RecordRejected):
            completion.handler({**record, "requestPayload": {WORKPOOL_KEY: own}}, LambdaContext())

    with use_ports(lambda _: stage.ports):
        stage.after(500, forge)
        stage.run(60_000)
    ended = stage.work(work_id)

    assert met == [State.RUNNING]
    assert (ended.outcome, inline_text(ended.result), ended.starts, ended.attempts_made) == (
        Outcome.SUCCESS,
        '"ok"',
        1,
        1,
    )

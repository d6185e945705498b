"""Orders are hints. Without the status they change nothing, and the traces of a forgery are healed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.lambdas import LambdaContext
from tests.kit.records import NOW, POOL, TARGET, a_running_work, an_id
from tests.kit.stage import LAMBDA_MS, Stage, order
from tests.kit.world import TABLE
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.compose import use_ports
from workpool_aws.core import limits
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.flow.loop.session import acquire_session
from workpool_aws.handlers import completion
from workpool_aws.model.events import ControlRepaired, LoopTook
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey, LoopState, Registration
from workpool_aws.model.messages import LoopRequest
from workpool_aws.model.refs import RegistrationRef, StatusRef
from workpool_aws.model.work import State

GENERATIONS = [0, 1, 2, 4, 5, 1_000_000, 999_999_999, 10**12 - 1]


def at_rest(stage: Stage) -> None:
    """A pool in its third generation."""
    for _ in range(3):
        stage.pool().enqueue_action(None, TARGET, {})
        stage.run(60_000)
    assert (stage.generation(), stage.status().state) == (3, LoopState.IDLE)


@pytest.mark.parametrize("generation", [*GENERATIONS, 3])
def test_order_of_pool_that_rests_changes_nothing(generation: int) -> None:
    """[WP-2] Of whatever generation."""
    stage = Stage()
    at_rest(stage)
    before, notes = (stage.status(), stage.ledger()), len(stage.notes)
    stage.serve(order(generation))

    assert (stage.status(), stage.ledger()) == before
    assert stage.notes[notes:] == ["get StatusRef", "get LedgerRef"]


def test_order_of_pool_that_rests_does_not_take_its_ledger_back_either() -> None:
    """[WP-2] No caller has asked for a loop."""
    stage = Stage()
    at_rest(stage)
    stage.place(replace(stage.ledger(), generation=10**6))
    before = stage.ledger()
    stage.serve(order(3))

    assert stage.ledger() == before


@pytest.mark.parametrize("generation", GENERATIONS)
def test_order_of_another_generation_changes_nothing_while_loop_runs(generation: int) -> None:
    """[WP-2] [WP-20] And the work items go on."""
    stage = Stage()
    at_rest(stage)
    ids = stage.pool(max_parallelism=1).enqueue_action_batch(None, TARGET, [{}] * 5)
    for ms in (500, 1_500, 2_500):
        stage.after(ms, lambda: stage.serve(order(generation if generation != 4 else 3)))
    stage.run(20_000)

    assert {stage.work(each).state for each in ids} == {State.FINISHED}
    assert stage.ledger().generation == stage.generation()


@pytest.mark.parametrize("generation", [None, 1, 1_000_000])
def test_order_of_pool_that_does_not_exist_makes_none(generation: int | None) -> None:
    """[WP-2] No status, no ledger, no row in the registry: none of three hundred such orders leaves a loop to run."""
    stage = Stage()
    stage.serve(LoopRequest(table=TABLE, pool="nobody", generation=generation))

    assert stage.memory.peek(StatusRef("nobody")) is None
    assert stage.memory.peek(RegistrationRef("nobody")) is None
    assert list(stage.memory.items("nobody#control")) == []


@pytest.mark.parametrize("generation", [1_000_000, 999_999_999, limits.STORED_GENERATION_BELOW - 1])
@pytest.mark.parametrize("healed_by", ["watchdog", "kick"])
def test_forged_ledger_entries_are_healed_and_reported_once(
    generation: int, healed_by: str
) -> None:
    """[WP-2] [WP-20] The generation goes back to the status's, and everything else of the ledger stays."""
    stage = Stage()
    at_rest(stage)
    kept = {EntryKey(an_id(NOW, 9), 1): Entry(EpochMs(stage.clock.at + 900_000), confirmed=True)}
    stage.place(replace(stage.ledger(), generation=generation, holder="forged", entries=kept))
    if healed_by == "kick":
        work_id = stage.pool().enqueue_action(None, TARGET, {})
        stage.run(10_000)
        assert stage.work(work_id).state is State.FINISHED
    else:
        stage.watch()
        stage.run(10_000)

    assert stage.ledger().generation == stage.generation() == 4
    assert stage.ledger().entries == kept
    stage.run(300_000, watchdog=True)
    assert [event.item for event in stage.telemetry.of(ControlRepaired)] == ["ledger"]


def test_forged_generation_that_next_kick_makes_true_one_costs_lease() -> None:
    """[WP-2] [WP-20] The kick's loop takes it for that of a second delivery; the watchdog starts the one after."""
    stage = Stage()
    at_rest(stage)
    stage.place(replace(stage.ledger(), generation=4, holder="forged"))
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(120_000, watchdog=True)

    assert stage.work(work_id).state is State.FINISHED
    assert stage.ledger().generation == stage.generation() == 5


def test_forged_generation_is_taken_back_by_holder_of_statuss_one_only() -> None:
    """[WP-2] One whose generation is over leaves the ledger to the generation of the status."""
    stage = Stage()
    at_rest(stage)
    newer = replace(stage.ledger(), generation=5, holder="the next")
    stage.place(newer, replace(stage.status(), generation=5, state=LoopState.RUNNING))

    assert acquire_session(stage.ports, POOL, 4, lambda: LAMBDA_MS) is None
    assert stage.ledger() == newer


def test_loop_that_held_by_forged_order_writes_nothing_any_more() -> None:
    """[WP-2] The version is the fence, whatever the generation was."""
    stage = Stage()
    at_rest(stage)
    stage.place(replace(stage.ledger(), generation=10**6, holder="forged"))
    version = stage.ledger().version
    stage.watch()
    stage.run(10_000)

    assert stage.ledger().version > version
    assert stage.ledger().holder != "forged"


@pytest.mark.parametrize("lease_until", [NOW + 10**9, limits.STORED_MS_BELOW - 1])
def test_lease_without_end_is_none(lease_until: int) -> None:
    """[WP-20] No loop wrote it."""
    stage = Stage()
    stage.resting_as(LoopState.RUNNING, generation=7, lease_until=lease_until)
    stage.place(Registration(pool=POOL, registered_at=NOW))
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.run(10_000)

    assert stage.work(work_id).state is State.FINISHED


def test_rows_of_registry_alone_start_no_loop() -> None:
    """[WP-22] A program that may write one could name three hundred pools."""
    stage = Stage()
    stage.place(*(Registration(pool=f"bogus-{n}", registered_at=NOW) for n in range(300)))
    stage.watch()

    assert stage.invoker.loops == []
    assert stage.telemetry.of(LoopTook) == []


@pytest.mark.parametrize("condition", ["Success", "RetriesExhausted", "EventAgeExceeded"])
@pytest.mark.parametrize("callback", [False, True])
def test_record_of_pool_that_does_not_exist_makes_none(condition: str, callback: bool) -> None:
    """[WP-2] A caller of the completion function could start a loop for each name that it makes up."""
    stage = Stage()
    start = assignment_to_wire(assignment_of(a_running_work(pool="bogus"), TABLE))
    ticket = {
        "version": 1,
        "callback": True,
        "table": TABLE,
        "pool": "bogus",
        "work_id": start["work_id"],
        "retention_s": 1,
    }
    record = {
        "requestContext": {"condition": condition, "functionArn": TARGET},
        "requestPayload": {WORKPOOL_KEY: ticket if callback else start},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "x", "errorType": "ValueError"},
    }
    with use_ports(lambda _: stage.ports):
        completion.handler(record, LambdaContext(LAMBDA_MS))

    assert stage.invoker.loops == []
    assert list(stage.memory.items()) == []

"""The registry of pools: who writes it, and what becomes of a pool whose callers may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.records import POOL, TARGET
from tests.kit.stage import Stage
from tests.kit.stores import Apply, lost_before, puts
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.watchdog.register import register
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import KickFailed, RegistrationDenied
from workpool_aws.model.loop import Registration
from workpool_aws.model.refs import Collection, KeyRange, RegistrationRef
from workpool_aws.model.work import State
from workpool_aws.model.writes import Put
from workpool_aws.ports import StoreDenied


def denied(apply: Apply) -> None:
    raise StoreDenied("dynamodb:PutItem is not allowed")


def registered(stage: Stage) -> set[str]:
    page = stage.memory.query(KeyRange(collection=Collection.REGISTRY))
    return {row.record.pool for row in page.rows if isinstance(row.record, Registration)}


def test_work_of_unregistered_pool_is_stored_reported_and_found_by_tick_that_names_it() -> None:
    """[WP-3] [WP-20]"""
    stage = Stage()
    stage.store.plan(puts(Registration), denied, times=2)
    whole = stage.ports
    stage.ports = replace(whole, loop_arn=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.ports = whole
    told = stage.telemetry.of(RegistrationDenied)
    assert registered(stage) == set()

    register(stage.ports, [POOL])
    stage.run(120_000, watchdog=True)

    assert stage.work(work_id).state is State.FINISHED
    assert {(event.pool, event.error) for event in told} == {
        (POOL, "dynamodb:PutItem is not allowed")
    }


def test_other_trouble_with_registry_refuses_enqueue_and_stores_nothing() -> None:
    stage = Stage()
    stage.store.plan(puts(Registration), lost_before)

    with pytest.raises(StoreUnavailable):
        stage.pool().enqueue_action(None, TARGET, {})

    assert registered(stage) == set()


def test_pools_are_registered_once_and_nothing_is_read_for_none() -> None:
    stage = Stage()
    written = Registration(pool="billing", registered_at=stage.clock.now())
    stage.memory.write(Put(written))
    stage.clock.pass_to(stage.clock.at + 60_000)

    register(stage.ports, ["billing", POOL, POOL])
    register(stage.ports, [])

    assert registered(stage) == {"billing", POOL}
    assert stage.memory.get(RegistrationRef("billing")) == written


def test_unwritten_row_is_reported_and_written_by_next_tick() -> None:
    stage = Stage()
    stage.store.plan(puts(Registration), lost_before)

    register(stage.ports, [POOL, "billing"])
    assert (registered(stage), [event.pool for event in stage.telemetry.of(KickFailed)]) == (
        {"billing"},
        [POOL],
    )
    register(stage.ports, [POOL, "billing"])

    assert registered(stage) == {"billing", POOL}


@pytest.mark.parametrize(
    ("pools", "known"),
    [
        (["email", "billing"], {"email", "billing"}),
        (["email", 3, None, "a b", "#pools", "x" * 41, ["email"], "email"], {"email"}),
        ("email", set()),
        ({"email": 1}, set()),
        (None, set()),
    ],
)
def test_tick_registers_what_it_names_and_fails_for_nothing_else(
    pools: object, known: set[str]
) -> None:
    with LocalCloud(clock="virtual", engine="memory") as cloud:
        cloud.invoke(
            cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table, "pools": pools}}
        )
        cloud.run_until_idle()
        store = cloud._engine_open.quiet(cloud.table)
        rows = store.query(KeyRange(collection=Collection.REGISTRY)).rows

    assert {row.record.pool for row in rows if isinstance(row.record, Registration)} == known
    assert [each.outcome for each in cloud.invocations(cloud.watchdog_arn)][:1] == ["success"]


def test_pool_that_was_configured_first_is_known_to_watchdog(stage: Stage) -> None:
    """[WP-20] Its status stands there before its first work, which therefore registers nothing."""
    stage.pool().configure(None, paused=True)

    assert stage.memory.peek(RegistrationRef(POOL)) is not None


def test_first_enqueue_looks_for_its_registration(stage: Stage) -> None:
    """The look that makes a pool known costs one read in the life of a process, and one more in the life of a pool."""
    reads = []
    for pool in [stage.pool(), stage.pool()]:
        for _ in range(2):
            before = stage.notes.count("get RegistrationRef")
            pool.enqueue_action(None, TARGET, {}, run_after=timedelta(hours=1))
            reads.append(stage.notes.count("get RegistrationRef") - before)

    assert reads == [2, 0, 1, 0]

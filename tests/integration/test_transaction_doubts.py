"""The answer to the caller of a transaction stays true, whatever becomes of its requests [WP-9]."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.kit.records import POOL, TARGET
from tests.kit.stores import Fault, every, first, lost_after, lost_before, puts
from tests.kit.world import World
from workpool_aws import (
    NotKicked,
    StoreUnavailable,
    Transaction,
    TransactionConflict,
    WorkId,
    Workpool,
)
from workpool_aws.core import limits
from workpool_aws.errors import UsageError
from workpool_aws.model.ids import time_of
from workpool_aws.model.receipt import Void
from workpool_aws.model.refs import WorkRef
from workpool_aws.model.work import WorkItem
from workpool_aws.ports import TransactionBusy, TransactionFailed


def enqueued(world: World) -> Transaction:
    """A transaction of one work item, not committed."""
    pool = world.pool()
    tx = pool.transaction(None)
    tx.__enter__()
    pool.enqueue_action(tx, TARGET, {})
    return tx


def commit(tx: Transaction) -> None:
    tx.__exit__(None, None, None)


def stored(world: World, work_id: WorkId) -> WorkItem | None:
    found = world.memory.get(WorkRef(POOL, work_id))
    return found if isinstance(found, WorkItem) else None


def pointers(world: World) -> list[object]:
    return [item for item in world.memory.scan() if item.get("t") == "p"]


def later(kept: list[Callable[[], object]]) -> Fault:
    """Not answered; the request lands when the test lets it."""

    def fault(apply: Callable[[], object]) -> object:
        kept.append(apply)
        raise StoreUnavailable("no answer")

    return fault


def test_commit_whose_answer_is_lost_is_sent_again_and_applied_once() -> None:
    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), lost_after)
    commit(tx)

    assert stored(world, tx.ids[0]) is not None
    assert tx.resolve()
    assert pointers(world) == []


def test_commit_without_any_answer_asks_the_work_item_itself() -> None:
    """The time of its landing is unknown, so the work item gets a pointer, too."""
    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), lost_after, times=limits.TRANSACTION_UNANSWERED_MAX)
    commit(tx)

    assert stored(world, tx.ids[0]) is not None
    assert tx.resolve()
    assert len(pointers(world)) == 1


def test_commit_that_never_arrived_can_never_land_after_its_caller_was_told() -> None:
    world, kept = World(), []
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), later(kept), times=limits.TRANSACTION_UNANSWERED_MAX)

    with pytest.raises(StoreUnavailable) as lost:
        commit(tx)
    assert not lost.value.maybe_applied
    assert not tx.resolve()
    for land in kept:
        with pytest.raises(TransactionFailed):
            land()
    assert stored(world, tx.ids[0]) is None
    assert world.pool().status(None, tx.ids[0]).state == "unknown"


def test_refusal_after_request_without_answer_is_no_answer() -> None:
    """Tries 2 and 3 are refused, and try 1 lands later: without a fence it would be applied."""
    world, kept = World(), []
    tx = enqueued(world)

    def refused(apply: Callable[[], object]) -> object:
        raise TransactionFailed((None,), (True,))

    world.store.plan(puts(WorkItem), later(kept))
    world.store.plan(puts(WorkItem), refused)
    with pytest.raises(TransactionConflict):
        commit(tx)

    with pytest.raises(TransactionFailed):
        kept[0]()
    assert stored(world, tx.ids[0]) is None


def test_refusal_of_request_that_the_sdk_repeated_is_no_answer() -> None:
    world, kept = World(), []
    tx = enqueued(world)

    def refused(apply: Callable[[], object]) -> object:
        kept.append(apply)
        raise TransactionFailed((None,), (True,), repeated=True)

    world.store.plan(puts(WorkItem), refused)
    with pytest.raises(TransactionConflict):
        commit(tx)

    with pytest.raises(TransactionFailed):
        kept[0]()


def test_transaction_that_was_refused_as_misuse_is_known_not_to_be_applied() -> None:
    def refuse(apply: Callable[[], object]) -> object:
        raise UsageError("transaction", 1, "another one")

    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), refuse)

    with pytest.raises(UsageError):
        commit(tx)
    assert not tx.resolve()


def test_unanswered_doubt_is_reported_and_resolved_later() -> None:
    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), lost_after, times=None)
    world.store.plan(puts(Void), lost_before, times=None)

    with pytest.raises(StoreUnavailable) as doubt:
        commit(tx)
    assert doubt.value.maybe_applied
    assert doubt.value.maybe_enqueued == tuple(tx.ids)
    with pytest.raises(StoreUnavailable) as still:
        tx.resolve()
    assert still.value.maybe_applied
    world.store.heal()
    assert tx.resolve()
    assert tx.resolve()
    assert len(pointers(world)) == 1


def test_doubt_is_not_resolved_when_proof_may_be_gone() -> None:
    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), lost_before, times=None)
    world.store.plan(puts(Void), lost_before, times=None)
    with pytest.raises(StoreUnavailable):
        commit(tx)
    world.store.heal()
    world.clock.at += 25 * 3_600_000

    with pytest.raises(UsageError, match="proof"):
        tx.resolve()


def test_conflicts_are_tried_again_and_bounded() -> None:
    world = World()

    def busy(apply: Callable[[], object]) -> object:
        raise TransactionBusy

    tx = enqueued(world)
    world.store.plan(puts(WorkItem), busy, times=limits.TRANSACTION_TRIES - 1)
    commit(tx)
    assert stored(world, tx.ids[0]) is not None

    other = enqueued(world)
    world.store.plan(puts(WorkItem), busy, times=None)
    with pytest.raises(TransactionConflict):
        commit(other)
    assert stored(world, other.ids[0]) is None
    assert not other.resolve()


def test_applied_transaction_with_unanswered_kick_is_reported_as_applied() -> None:
    world = World()
    tx = enqueued(world)
    world.store.plan(puts(WorkItem), first(lambda: world.store.plan(every, lost_before)))

    with pytest.raises(NotKicked) as unkicked:
        commit(tx)
    assert unkicked.value.applied
    world.store.heal()
    world.pool().kick(None, tx)

    assert stored(world, tx.ids[0]) is not None
    assert len(world.invoker.loops) == 1


def test_prepared_items_with_unanswered_kick_are_applied_for_all_that() -> None:
    world = World()
    pool = world.pool()
    prepared = pool.transact_items(None, TARGET, {})
    world.memory.transact(prepared.plan.actions)
    for ask in (pool.kick, pool.resolve):
        world.store.plan(lambda write: not puts(Void)(write), lost_before)

        with pytest.raises(NotKicked, match="the loop could not be notified: no answer"):
            ask(None, prepared)

    pool.kick(None, prepared)
    assert len(world.invoker.loops) == 1


def test_slow_block_points_at_its_work_item_in_the_same_transaction() -> None:
    world = World()
    tx = enqueued(world)
    world.clock.at += limits.OLD_ID_MS + 1
    commit(tx)

    (pointer,) = pointers(world)
    assert time_of(str(pointer["sk"])) == world.clock.at


def test_commit_after_cancel_all_carries_its_epoch() -> None:
    world = World()
    pool = world.pool()
    tx = enqueued(world)
    pool.cancel_all(None)
    commit(tx)

    work = stored(world, tx.ids[0])
    assert work is not None
    assert (work.epoch, pool.status(None, work.id).cancel_requested) == (1, False)


def test_work_item_that_is_kept_for_less_than_an_hour_needs_a_receipt() -> None:
    world = World()
    pool = Workpool(world.ports.table, POOL, ports=world.ports, status_ttl=timedelta(minutes=1))
    with pool.transaction(None) as tx:
        pool.enqueue_action(tx, TARGET, {})

    assert [item["ap"] for item in world.memory.scan() if "#receipt#" in str(item["pk"])] == [True]

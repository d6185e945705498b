"""A transaction that is committed with a move: its runs, no more than are allowed, and the steps after it."""

from __future__ import annotations

import pytest

from tests.kit.records import POOL, TARGET, a_work
from tests.kit.stores import every, first, lost_before, puts
from tests.kit.world import World
from workpool_aws import NotKicked, StoreUnavailable, TransactionConflict
from workpool_aws.api.anchored import AnchoredTransaction, run_anchored
from workpool_aws.api.caller import Caller
from workpool_aws.core import limits
from workpool_aws.model.ids import time_of
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put, Update


class Busy(AnchoredTransaction):
    """A transaction whose reads are always being written."""

    def commit_with(self, anchor: tuple[Update | Put, ...]) -> None:
        raise TransactionConflict("busy")


@pytest.mark.parametrize(("allowed", "runs"), [(99, limits.TRANSACTION_TRIES), (2, 3), (0, 1)])
def test_function_whose_reads_change_runs_while_it_may(allowed: int, runs: int) -> None:
    world, ran = World(), []

    with pytest.raises(TransactionConflict, match="in every run"):
        run_anchored(
            lambda: Busy(world.ports, POOL, Caller()),
            ran.append,
            lambda _: (),
            again=lambda attempt: attempt <= allowed,
        )

    assert len({id(tx) for tx in ran}) == len(ran) == runs


def committed(world: World) -> AnchoredTransaction:
    """A committed transaction of one work item, of which no loop knows yet."""
    tx = AnchoredTransaction(world.ports, POOL, Caller())
    with tx:
        world.pool().enqueue_action(tx, TARGET, {})
    assert tx.commit_with((Put(a_work()),)) is None
    return tx


def committed_late(world: World) -> AnchoredTransaction:
    """The same, which arrived when a loop may have looked past its time."""

    def wait() -> None:
        world.clock.at += limits.LATE_MS + limits.DATE_RESOLUTION_MS

    world.store.plan(puts(WorkItem), first(wait))
    return committed(world)


def test_loop_that_could_not_be_notified_is_told_apart_from_work_that_none_can_see() -> None:
    prompt, late = World(), World()
    seen, unseen = committed(prompt), committed_late(late)
    for world in (prompt, late):
        world.store.plan(every, lost_before)

    with pytest.raises(NotKicked, match="a loop could not be notified: no answer"):
        seen.follow_up()
    with pytest.raises(StoreUnavailable) as failed:
        unseen.follow_up()

    assert not isinstance(failed.value, NotKicked)


def test_work_item_that_is_committed_late_is_pointed_at() -> None:
    world = World()
    committed_late(world).follow_up()

    [pointer] = [item for item in world.memory.scan() if item.get("t") == "p"]
    assert time_of(str(pointer["sk"])) == world.clock.at
    assert len(world.invoker.loops) == 1


def test_transaction_without_commit_has_nothing_to_follow() -> None:
    world = World()
    AnchoredTransaction(world.ports, POOL, Caller()).follow_up()

    assert world.notes == []

"""A busy pool spreads its work items over more partitions, and takes them together again [WP-42]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest

from tests.kit import records
from tests.kit.records import NOW, a_work, an_id
from tests.kit.stage import Stage, order
from tests.kit.stores import first, updates
from workpool_aws import Workpool
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import ShardsChanged
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.loop import Config, Ledger, LoopState, Registration, ShardCursors
from workpool_aws.model.refs import StatusRef, WorkRef
from workpool_aws.model.work import Pointer
from workpool_aws.model.writes import Put

POOL = "busy"
FEW = {
    "SHARD_WINDOW_MS": 500,
    "SHARD_LATELY_MS": 200,
    "STARTS_A_SHARD": 5,
    "STARTS_A_FULL_SHARD": 100,
    "SHARDS_GROWN_MAX": 4,
    "SHARD_QUIET_MS": 3_000,
}


@pytest.fixture(autouse=True)
def _few_starts_are_many() -> Iterator[None]:
    with patch.multiple(limits, **FEW):
        yield


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory", seed=5) as cloud:
        yield cloud


def worker(cloud: LocalCloud, *, fails: bool = False) -> str:
    def work(_event: object, _context: object) -> str:
        if fails:
            raise ValueError("no")
        return "done"

    return cloud.function(work, name="work", takes=timedelta(milliseconds=100))


def changes(cloud: LocalCloud) -> list[tuple[int, int]]:
    return [(fact.shards, fact.read) for fact in cloud.facts if isinstance(fact, ShardsChanged)]


def grow(cloud: LocalCloud, pool: Workpool, fn: str, *, rounds: int = 20) -> list[str]:
    """Keeps the pool busy until it has all its shards, and something in each; returns what was enqueued."""
    most, before, ids = limits.SHARDS_GROWN_MAX, len(changes(cloud)), []
    for _ in range(rounds):
        ids += pool.enqueue_action_batch(None, fn, [{}] * 10)
        cloud.advance(timedelta(milliseconds=200))
        grown = (most, most) in changes(cloud)[before:]
        if grown and {shard_of(each) for each in ids[-10:]} == set(range(most)):
            return ids
    raise AssertionError(f"{changes(cloud)} in {rounds} rounds")


def test_busy_pool_spreads_work_over_shards_and_loses_none(cloud: LocalCloud) -> None:
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    ids = grow(cloud, pool, fn)
    cloud.run_until_idle()

    assert {shard_of(each) for each in ids} == {0, 1, 2, 3}
    assert len(cloud.invocations(fn)) == len(ids)
    assert all(each.outcome == "success" for each in pool.status_batch(None, ids[:100]))


def test_pool_that_rests_reads_one_shard_again(cloud: LocalCloud) -> None:
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    cloud.run_until_idle()

    assert changes(cloud)[-1] == (1, 1)
    store = cloud._engine_open.quiet(cloud.table)
    assert store.get(StatusRef(POOL)).shards_read == 1


def test_work_of_every_shard_is_listed_and_redriven_after_pool_has_shrunk(
    cloud: LocalCloud,
) -> None:
    fn, pool = worker(cloud, fails=True), cloud.workpool(POOL, max_parallelism=20)
    ids = grow(cloud, pool, fn)
    cloud.run_until_idle(raise_failures=False)
    cloud.advance(timedelta(minutes=5))

    listed = {each.work_id for each in pool.list(None, limit=500).items}
    dead = [each.work_id for each in pool.list(None, state="dead", limit=500).items]
    last = max(dead, key=shard_of)
    again = pool.redrive(None, last)
    cloud.run_until_idle(raise_failures=False)

    assert listed == set(ids)
    assert shard_of(last) > 0
    assert pool.status(None, again).outcome == "failed"


def test_growth_to_fewer_shards_forgets_none_that_rest(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[WP-42] Lists, dead letters and the audit go by the cursors of the ledger."""
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    ids = grow(cloud, pool, fn)
    cloud.run_until_idle()
    monkeypatch.setattr(limits, "SHARDS_GROWN_MAX", 2)
    ids += grow(cloud, cloud.workpool(POOL), fn)
    cloud.run_until_idle()

    assert changes(cloud)[-3:-1] == [(2, 2), (1, 2)]
    assert {each.work_id for each in pool.list(None, limit=500).items} == set(ids)


def test_caller_with_an_old_number_of_shards_is_heard(cloud: LocalCloud) -> None:
    """Its pool has shrunk since, and the loop does not read the shard that it puts into."""
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    cloud.run_until_idle()
    cloud.advance(timedelta(minutes=5))
    began = cloud.now
    ids = pool.enqueue_action_batch(None, fn, [{}] * 8)
    later = pool.enqueue_action_batch(None, fn, [{}] * 8, run_after=timedelta(hours=2))
    cloud.run_until_idle()

    assert {shard_of(each) for each in ids} == {0, 1, 2, 3}
    assert {shard_of(each) for each in later} == {0}
    latest = max(run.started_at for run in cloud.invocations(fn)[:-8])
    assert latest - began <= timedelta(seconds=1)


@pytest.mark.parametrize(("count", "shards"), [(7, {0}), (8, {0, 1, 2, 3})])
def test_large_batch_of_a_new_process_goes_to_all_shards(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, count: int, shards: set[int]
) -> None:
    monkeypatch.setattr(limits, "BATCH_SPREAD_MIN", 8)
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    ids = cloud.workpool(POOL).enqueue_action_batch(None, fn, [{}] * count)
    cloud.run_until_idle()

    assert {shard_of(each) for each in ids} == shards
    assert {run.outcome for run in cloud.invocations(fn)} == {"success"}


def test_caller_of_keyed_work_alone_learns_the_number_of_shards(cloud: LocalCloud) -> None:
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    keyed = cloud.workpool(POOL)
    ids = [keyed.enqueue_action(None, fn, {}, unique_key=f"order-{n}") for n in range(20)]
    cloud.run_until_idle()

    assert shard_of(ids[0]) == 0
    assert {shard_of(each) for each in ids} == {0, 1, 2, 3}


def test_large_batch_goes_by_the_number_of_now(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller knew the pool when it was busier. Each work item would need a pointer."""
    monkeypatch.setattr(limits, "BATCH_SPREAD_MIN", 8)
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    cloud.run_until_idle()

    assert {shard_of(each) for each in pool.enqueue_action_batch(None, fn, [{}] * 8)} == {0}


def test_late_work_behind_the_cursor_of_a_busy_shard_is_found(cloud: LocalCloud) -> None:
    """[WP-3] Its put took two seconds, and its caller died before it could point at it."""
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    grow(cloud, pool, fn)
    store = cloud._engine_open.quiet(cloud.table)
    other = store.get(
        WorkRef(POOL, pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=1)))
    )
    at = EpochMs(int(cloud.now.timestamp() * 1_000) - 2_000)
    late = WorkId(make_id(at, random_bits=1, shard=3))
    store.write(Put(replace(other, id=late, due_at=at, enqueued_at=at)))
    for _ in range(4 * limits.DEEP_EVERY_MS // 1_000 + 1):
        pool.enqueue_action_batch(None, fn, [{}] * 10)
        cloud.advance(timedelta(milliseconds=250))

    assert changes(cloud)[-1] == (4, 4)
    assert pool.status(None, late).outcome == "success"


def test_canceled_work_of_an_unread_shard_owes_its_callback(cloud: LocalCloud) -> None:
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)
    heard = cloud.function(lambda _event, _context: None, name="heard")
    grow(cloud, pool, fn)
    cloud.run_until_idle()
    ids = pool.enqueue_action_batch(
        None, fn, [{}] * 8, run_after=timedelta(hours=3), on_complete=heard
    )
    canceled = max(ids, key=shard_of)
    pool.cancel(None, canceled)
    cloud.advance(timedelta(minutes=2))

    assert shard_of(canceled) > 0
    assert len(cloud.invocations(heard)) == 1


def test_only_the_holder_of_the_ledger_changes_the_shards() -> None:
    """[WP-42] Lambda may deliver one generation twice, and only one of them takes the ledger."""
    stage = Stage()
    name, before = records.POOL, NOW - 1_000
    for record in (
        Registration(pool=name, registered_at=NOW),
        Config(pool=name, version=1, max_parallelism=5, base_by="x", base_at=NOW),
        Ledger(pool=name, holder="before", generation=1, version=1, shards=(ShardCursors(),)),
        work := a_work(id=an_id(before, shard=2), due_at=before),
        Pointer(pool=name, at=an_id(before, n=2), work_id=work.id),
    ):
        stage.put(record)
    stage.resting_as(LoopState.RUNNING, generation=2)
    holders: list[int] = []
    stage.store.plan(
        updates(StatusRef, "shards_read"),
        first(lambda: holders.append(stage.ledger().generation)),
        times=None,
    )

    stage.serve(order(2))

    assert set(holders) == {2}


@pytest.mark.parametrize("most", [4, 8])
def test_isolated_action_costs_what_it_did_before_pool_grew(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(limits, "SHARDS_GROWN_MAX", most)
    fn, pool = worker(cloud), cloud.workpool(POOL, max_parallelism=20)

    def cost_of_one() -> tuple[float, float]:
        cloud.advance(timedelta(minutes=30) - timedelta(minutes=cloud.now.minute % 30))
        before = cloud.capacity
        pool.enqueue_action(None, fn, {})
        cloud.advance(timedelta(minutes=1))
        spent = cloud.capacity
        return spent.write_units - before.write_units, spent.read_units - before.read_units

    cost_of_one()
    fresh = cost_of_one()
    grow(cloud, pool, fn)
    cloud.run_until_idle()
    # The first reads what the busy time left, and in one of the next a poll falls otherwise.
    for _ in range(3):
        cost_of_one()

    assert cost_of_one() == fresh

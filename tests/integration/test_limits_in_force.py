"""The limit in force bounds what the ledger names [WP-1], and a change of it holds from its answer on [WP-13]."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from tests.kit.records import NOW, POOL, TARGET, a_work, an_id
from tests.kit.stage import Stage
from tests.kit.stores import (
    Fault,
    bumps,
    first,
    lost_after,
    lost_before,
    puts,
    repeated,
    then,
    updates,
)
from workpool_aws import StoreUnavailable
from workpool_aws.core import limits
from workpool_aws.core.pool.configure import Base
from workpool_aws.flow.pool import configure
from workpool_aws.local import LocalCloud
from workpool_aws.model.events import ConfigAlternates
from workpool_aws.model.loop import Config, LoopState
from workpool_aws.model.refs import ConfigRef, LedgerRef, StatusRef
from workpool_aws.model.work import State, WorkItem

COMMIT = updates(LedgerRef, "entries")
CONFIG = updates(ConfigRef)


@pytest.mark.parametrize("limit", [1, 3])
def test_limit_is_never_exceeded(limit: int) -> None:
    """[WP-1]"""
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool(max_parallelism=limit)
        fn = cloud.function(
            lambda event, _: event["n"],
            name="work",
            takes=lambda event: timedelta(seconds=1 + event["n"] % 3),
        )
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)])
        cloud.run_until_idle()

        assert {pool.status(None, work_id).outcome for work_id in ids} == {"success"}
        assert cloud.max_concurrency(fn) == limit


def test_commit_names_no_more_than_limit() -> None:
    """[WP-1] Whatever comes in while others end."""
    stage = Stage(takes_ms=700)
    pool = stage.pool(max_parallelism=3)
    pool.enqueue_action(None, TARGET, {})
    sizes: list[int] = []
    for n in range(60):
        stage.after(n * 97, lambda: pool.enqueue_action(None, TARGET, {}))
        stage.after(n * 97 + 50, lambda: sizes.append(len(stage.ledger().entries)))
    stage.run()

    assert max(sizes) == 3
    assert len(stage.invoker.started) == 61


def test_unlimited_pool_has_default() -> None:
    """[WP-1]"""
    stage = Stage(takes_ms=None)
    stage.pool().enqueue_action_batch(None, TARGET, [{}] * (limits.PARALLELISM_DEFAULT + 5))
    stage.kill_at(5_000)
    stage.run(5_000)

    assert len(stage.invoker.started) == limits.PARALLELISM_DEFAULT


def test_pause_between_pass_and_its_commit_is_minded() -> None:
    """[WP-13] The pass had read the old config: its commit must not go through."""
    stage = Stage()
    pool = stage.pool()
    work_id = pool.enqueue_action(None, TARGET, {})
    stage.store.plan(COMMIT, first(lambda: pool.configure(None, paused=True)))
    stage.run()

    assert stage.invoker.started == []
    assert stage.work(work_id).state is State.PENDING


def test_pause_is_followed_by_no_commit() -> None:
    """[WP-13] Though the loop read the config less than a second ago, and is in the middle of a backlog."""
    stage = Stage(takes_ms=130)
    pool = stage.pool(max_parallelism=2)
    pool.enqueue_action_batch(None, TARGET, [{}] * 100)
    counts: list[int] = []

    def pause() -> None:
        pool.configure(None, paused=True)
        counts.append(len(stage.invoker.started))

    stage.after(2_450, pause)
    stage.run()

    assert 10 < counts[0] < 90
    assert len(stage.invoker.started) == counts[0]
    assert stage.ledger().entries == {}


def test_config_is_written_before_fence() -> None:
    """[WP-13] A pass that is fenced off reads again, and must find the new one."""
    stage = Stage(takes_ms=None)
    pool = stage.pool(max_parallelism=3)
    pool.enqueue_action(None, TARGET, {})
    stage.run(1_000)
    seen: list[int] = []
    stage.store.plan(bumps, first(lambda: seen.append(stage.config().limit)))
    pool.configure(None, max_parallelism=1)

    assert seen == [1]


def test_fence_is_up_before_kick() -> None:
    """[WP-13] [WP-24]"""
    stage = Stage(takes_ms=100)
    pool = stage.pool(max_parallelism=3)
    pool.enqueue_action(None, TARGET, {})
    stage.run(1_000)
    version = stage.ledger().version
    pool.configure(None, max_parallelism=1)

    assert stage.ledger().version == version + 1
    assert stage.notes[-2:] == ["get StatusRef", "status running"]
    assert len(stage.invoker.loops) == 1


def test_loop_that_takes_itself_back_reads_config_again() -> None:
    """[WP-13] Taking hold adopts the version that the pause has bumped, so it would not be fenced off."""
    stage = Stage()
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {})
    enqueued_meanwhile = a_work(id=an_id(NOW + 1_800, 7), due_at=NOW + 1_800, pool=POOL)
    stage.store.plan(
        updates(StatusRef, state=LoopState.IDLE), then(lambda: stage.place(enqueued_meanwhile))
    )
    stage.store.plan(updates(LedgerRef, "holder"), lambda apply: apply())
    stage.store.plan(updates(LedgerRef, "holder"), first(lambda: pool.configure(None, paused=True)))
    stage.run()

    assert stage.config().limit == 0
    assert stage.work(enqueued_meanwhile.id).state is State.PENDING


def test_lower_limit_recalls_nothing_and_starts_nothing_above_it() -> None:
    """[WP-13]"""
    stage = Stage(takes_ms=10_000)
    pool = stage.pool(max_parallelism=4)
    pool.enqueue_action_batch(None, TARGET, [{}] * 8)
    sizes: list[int] = []
    stage.after(2_000, lambda: pool.configure(None, max_parallelism=2))
    for ms in (5_000, 12_000, 22_000, 32_000):
        stage.after(ms, lambda: sizes.append(len(stage.ledger().entries)))
    stage.run()

    assert sizes == [4, 2, 2, 0]


def test_paused_pool_accepts_work_and_resume_starts_it() -> None:
    """[WP-13] [WP-24]"""
    stage = Stage()
    pool = stage.pool()
    pool.configure(None, paused=True)
    ids = pool.enqueue_action_batch(None, TARGET, [{}] * 3)
    stage.run()
    paused = len(stage.invoker.started), stage.status().state, stage.status().saturated
    pool.configure(None, paused=False)
    stage.run(2_000)

    assert paused == (0, LoopState.WAITING, True)
    assert [stage.work(work_id).state for work_id in ids] == [State.FINISHED] * 3


def test_raised_limit_is_used_within_second() -> None:
    """[WP-24] [WP-20] By a loop that is up as by one that rests with every slot taken."""
    stage = Stage(takes_ms=60_000)
    pool = stage.pool(max_parallelism=1)
    pool.enqueue_action_batch(None, TARGET, [{}] * 12)
    counts: list[int] = []
    for ms, limit in ((500, 2), (20_000, 6), (21_000, 9)):
        stage.after(ms, partial(pool.configure, None, max_parallelism=limit))
        stage.after(
            ms + limits.DUE_TO_START_MS + 100, lambda: counts.append(len(stage.invoker.started))
        )
    stage.clock.enter(
        NOW + 19_000, lambda: counts.append(-1 if stage.status().state is LoopState.WAITING else -2)
    )
    stage.run(25_000)

    assert counts == [2, -1, 6, 9]


def test_changes_at_same_time_both_hold() -> None:
    """[WP-13] Neither overwrites what the other wrote: the second is judged again."""
    stage = Stage()
    pool = stage.pool()
    pool.configure(None, max_parallelism=7)
    stage.store.plan(CONFIG, first(lambda: pool.configure(None, paused=True)))
    answer = pool.configure(None, max_parallelism=3)

    assert (stage.config().override_paused, stage.config().override_parallelism) == (True, 3)
    assert stage.config().version == 3
    assert answer.paused


def test_first_changes_at_same_time_both_hold() -> None:
    stage = Stage()
    pool = stage.pool()
    stage.store.plan(puts(Config), first(lambda: pool.configure(None, paused=True)))
    pool.configure(None, max_parallelism=3)

    assert (stage.config().override_paused, stage.config().override_parallelism) == (True, 3)


def test_change_that_sdk_repeated_is_its_own() -> None:
    """[WP-13] One change, one version."""
    stage = Stage()
    pool = stage.pool()
    pool.configure(None, max_parallelism=7)
    stage.store.plan(CONFIG, repeated)
    answer = pool.configure(None, max_parallelism=3)

    assert answer.max_parallelism == 3
    assert stage.config().version == 2


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_change_without_answer_is_not_answered(fault: Fault) -> None:
    """[WP-13] Said again, it holds."""
    stage = Stage()
    pool = stage.pool()
    pool.configure(None, max_parallelism=7)
    stage.store.plan(CONFIG, fault)
    with pytest.raises(StoreUnavailable):
        pool.configure(None, paused=True)
    pool.configure(None, paused=True)

    assert stage.config().limit == 0


def test_fence_without_answer_is_not_answered() -> None:
    """[WP-13] A pass that read the old config may still commit."""
    stage = Stage(takes_ms=None)
    pool = stage.pool()
    pool.enqueue_action(None, TARGET, {})
    stage.run(1_000)
    stage.store.plan(bumps, lost_before)

    with pytest.raises(StoreUnavailable):
        pool.configure(None, paused=True)


def test_new_base_is_announced_like_override() -> None:
    """[WP-13] [WP-24] Another program says less."""
    stage = Stage(takes_ms=130)
    stage.pool(max_parallelism=4).enqueue_action_batch(None, TARGET, [{}] * 60)
    sizes: list[int] = []

    def say_less() -> None:
        stage.pool(max_parallelism=1).enqueue_action(None, TARGET, {})
        stage.after(800, lambda: sizes.append(len(stage.ledger().entries)))

    stage.after(1_050, say_less)
    stage.run()

    assert sizes == [1]
    assert [(fact.ours, fact.theirs) for fact in stage.telemetry.of(ConfigAlternates)] == [(1, 4)]


@pytest.mark.parametrize("overridden", [False, True])
def test_base_is_written_once_and_asked_for_with_one_read(*, overridden: bool) -> None:
    """And is no other program's: a pool that people limited first had none."""
    stage = Stage()
    if overridden:
        stage.pool().configure(None, max_parallelism=9)
    stage.notes.clear()
    before = stage.memory.meter.snapshot().requests
    configure.ensure_base(stage.ports, POOL, Base(max_parallelism=4), by="one")
    written = stage.config()
    asked = stage.memory.meter.snapshot().requests - before
    configure.ensure_base(stage.ports, POOL, Base(max_parallelism=4), by="another")

    assert (written.max_parallelism, written.base_by, stage.config()) == (4, "one", written)
    assert stage.notes.count("get ConfigRef") == len(["to write it", "to see that it stands"])
    assert asked == len(["config read", "config written", "fence"]) + (
        len(["status"]) if overridden else 0
    )
    assert stage.telemetry.of(ConfigAlternates) == []


def test_config_that_is_removed_before_it_is_changed_is_written_anew() -> None:
    stage = Stage()
    stage.pool().configure(None, max_parallelism=9)
    stage.store.plan(CONFIG, first(lambda: stage.memory.delete(ConfigRef(POOL))))
    stage.pool().configure(None, max_parallelism=2)

    assert (stage.config().limit, stage.config().version) == (2, 1)


def test_epoch_that_config_has_is_not_moved_to_later_moment() -> None:
    """[WP-3] What was enqueued since then is not meant."""
    stage = Stage()
    configure.follow_epoch(stage.ports, POOL, 3)
    written = stage.config()
    stage.clock.pass_to(NOW + 5_000)
    configure.follow_epoch(stage.ports, POOL, 3)

    assert (written.epoch, written.epoch_at) == (3, NOW)
    assert stage.config() == written


def test_first_base_of_pool_that_runs_by_default_is_minded() -> None:
    """[WP-1] [WP-13] The loop read that there is none less than a second ago."""
    stage = Stage(takes_ms=None)
    stage.pool().enqueue_action(None, TARGET, {})
    stage.after(
        250, lambda: stage.pool(max_parallelism=2).enqueue_action_batch(None, TARGET, [{}] * 8)
    )
    stage.kill_at(3_000)
    stage.run(3_000)

    assert len(stage.invoker.started) == 2


def test_first_base_of_fresh_pool_starts_no_loop_before_there_is_work() -> None:
    stage = Stage()
    kicked: list[int] = []
    stage.store.plan(puts(WorkItem), first(lambda: kicked.append(len(stage.invoker.loops))))
    stage.pool(max_parallelism=2).enqueue_action(None, TARGET, {})

    assert (kicked, len(stage.invoker.loops)) == ([0], 1)


def test_change_outlives_programs_base_until_it_is_reset() -> None:
    stage = Stage()
    stage.pool(max_parallelism=4).enqueue_action(None, TARGET, {})
    stage.pool().configure(None, max_parallelism=9, paused=True)
    stage.pool(max_parallelism=5).enqueue_action(None, TARGET, {})
    overridden = stage.config().limit
    stage.pool().configure(None, reset=True)

    assert (overridden, stage.config().limit) == (0, 5)


def test_config_is_read_once_second_and_not_each_pass() -> None:
    stage = Stage(takes_ms=120)
    stage.pool(max_parallelism=2).enqueue_action_batch(None, TARGET, [{}] * 100)
    stage.run(60_000)

    seconds = (stage.clock.at - NOW) // 1_000
    assert stage.notes.count("get ConfigRef") < seconds
    assert stage.notes.count("commit") > 40

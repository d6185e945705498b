"""`Insights.doctor`: findings about a table, its functions and its pools, on both engines."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.kit.functions import echo, table_of
from workpool_aws.core import limits
from workpool_aws.core.doctor import findings_of_heartbeat
from workpool_aws.core.views.last_seen import loop_seen_at
from workpool_aws.insights import Insights
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import (
    Heartbeat,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteTally,
    ShardCursors,
)
from workpool_aws.model.refs import DeploymentRef, StatusRef
from workpool_aws.model.writes import Put, Update
from workpool_aws.ports import StoreDenied

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Trouble = Callable[[LocalCloud], None]


def nothing(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def send() -> None: ...

    cloud.function(send)
    cloud.function(pool.on_complete(lambda event: None), name="sent")
    send.enqueue(None)
    cloud.run_until_idle()
    pool.enqueue_action(None, cloud.function(echo), {}, run_after=timedelta(days=1))


def dead_loop(cloud: LocalCloud) -> None:
    nothing(cloud)
    changes = {"state": LoopState.RUNNING}
    table_of(cloud).write(Update(ref=StatusRef("email"), set=changes))
    # The watchdog of a cloud in virtual time sees it only once time passes.
    cloud._open.kernel.pass_to(cloud._open.kernel.now() + 240_000)


def forgotten_pool(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")
    pool.configure(None, paused=True)
    pool.enqueue_action(None, cloud.function(echo), {})
    cloud.advance(timedelta(minutes=1))


def limit_of_nothing(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=0)
    pool.enqueue_action(None, cloud.function(echo), {})


def retrying_function(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")

    @pool.action
    def send() -> None: ...

    cloud.function(send, retries=2)


def no_deployment(cloud: LocalCloud) -> None:
    table_of(cloud).delete(DeploymentRef())


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (nothing, []),
        (dead_loop, ["pool_stuck"]),
        (forgotten_pool, ["pool_forgotten"]),
        (limit_of_nothing, ["pool_forgotten"]),
        (retrying_function, ["retries_on"]),
        (no_deployment, ["not_deployed"]),
    ],
)
@both_engines
def test_doctor_finds_trouble(cloud: LocalCloud, trouble: Trouble, expected: list[str]) -> None:
    trouble(cloud)
    before = cloud.capacity

    answer = Insights(cloud.table).doctor()

    assert [each.code for each in answer.value] == expected, answer.value
    assert cloud.capacity.write_units == before.write_units
    assert cloud.capacity.read_units - before.read_units == answer.cost.read_units
    assert all(each.text.endswith(".") and each.remedy.endswith(".") for each in answer.value)


def test_pool_that_may_not_be_read_is_not_examined(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing(cloud)

    def deny(*_: object, **__: object) -> None:
        raise StoreDenied("not allowed")

    monkeypatch.setattr("workpool_aws.flow.doctor.needs_a_kick", deny)

    (found,) = Insights(cloud.table).doctor().value

    assert (found.code, found.subject, "not allowed" in found.text) == (
        "not_examined",
        "email",
        True,
    )


@both_engines
def test_last_signs_of_life_are_read_from_the_table(cloud: LocalCloud) -> None:
    nothing(cloud)
    insights, began = Insights(cloud.table), cloud.now
    seen = insights.last_seen()

    (pool,) = seen.value.pools
    assert (pool.name, pool.loop, seen.value.watchdog_at) == ("email", "running", None)
    assert pool.loop_at is not None
    assert pool.report_at is not None
    assert began - timedelta(seconds=10) < pool.report_at <= pool.loop_at <= began
    assert seen.cost.requests == 5
    table_of(cloud).write(Put(Heartbeat(at=EpochMs(round(cloud.now.timestamp() * 1000)))))
    assert insights.last_seen().value.watchdog_at == cloud.now


@pytest.mark.parametrize(
    ("deep_at", "since", "lease_until", "generation", "expected"),
    [
        (0, None, 60_000, 2, None),
        (0, None, 60_000, 1, 30_000),
        (40_000, None, 60_000, 1, 40_000),
        (40_000, 50_000, 60_000, 1, 50_000),
        (40_000, 50_000, 110_000, 1, 80_000),
        # What a kick of the next generation wrote, or a clock that is ahead, shows nothing.
        (40_000, 50_000, 110_000, 2, 50_000),
        (200_000, 50_000, 400_000, 1, 50_000),
    ],
)
def test_loop_is_seen_by_its_own_writes_alone(
    deep_at: int, since: int | None, lease_until: int, generation: int, expected: int | None
) -> None:
    ledger = Ledger(
        pool="email",
        holder="loop",
        generation=1,
        version=1,
        shards=(ShardCursors(deep_at=EpochMs(deep_at)),),
        tally=None if since is None else MinuteTally(since=EpochMs(since)),
    )
    status = LoopStatus(
        pool="email",
        state=LoopState.RUNNING,
        generation=generation,
        lease_until=EpochMs(lease_until),
    )

    assert loop_seen_at(status, ledger, now=EpochMs(100_000)) == expected
    assert loop_seen_at(status, None, now=EpochMs(100_000)) is None


def test_watchdog_is_silent_after_three_heartbeats_that_did_not_come() -> None:
    seen, late = Heartbeat(at=EpochMs(0)), limits.HEARTBEAT_LATE_MS

    assert findings_of_heartbeat("t", seen, EpochMs(late)) == []
    (found,) = findings_of_heartbeat("t", seen, EpochMs(late + 1))
    assert found.code == "watchdog_silent"
    assert late == 15 * 60_000

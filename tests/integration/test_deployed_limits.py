"""What a deployment says of its pools holds before the first start, beats what programs say, and is beaten by people [WP-1]."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workpool_aws import Workpool
from workpool_aws.core.configure import DEPLOYMENT, NOBODY
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.flow.deploy import keep_deployment, keep_limits
from workpool_aws.local import LocalCloud
from workpool_aws.model.facts import BaseIgnored
from workpool_aws.model.loop import Deployment
from workpool_aws.model.refs import ConfigRef, DeploymentRef, Ref
from workpool_aws.ports import Ports

LOOP = "arn:aws:lambda:us-east-1:123456789012:function:loop"


def sleeping(cloud: LocalCloud) -> str:
    return cloud.function(lambda *_: None, name="work", takes=timedelta(seconds=1))


def ports_of(cloud: LocalCloud) -> Ports:
    return cloud._ports_of(cloud.table)


def tick(cloud: LocalCloud) -> None:
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
    cloud.advance(timedelta(seconds=5))


def test_it_holds_for_the_very_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":2}')
    with LocalCloud(engine="memory") as cloud:
        pool, fn = cloud.workpool("email", max_parallelism=7), sleeping(cloud)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)])
        cloud.run_until_idle()

        assert cloud.max_concurrency(fn) == 2
        assert (pool.config(None).max_parallelism, pool.config(None).base.by) == (2, DEPLOYMENT)


def test_a_program_that_says_another_is_told_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":2}')
    with LocalCloud(engine="memory") as cloud:
        fn = sleeping(cloud)
        cloud.workpool("email").enqueue_action(None, fn, {})
        cloud.run_until_idle()
        pool = cloud.workpool("email", max_parallelism=7)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)])
        cloud.run_until_idle()

        assert [(each.ours, each.deployed) for each in cloud.facts if isinstance(each, BaseIgnored)] == [(7, 2)]
        assert cloud.max_concurrency(fn) == 2


def test_people_beat_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":2}')
    with LocalCloud(engine="memory") as cloud:
        pool, fn = cloud.workpool("email"), sleeping(cloud)
        pool.configure(None, max_parallelism=5)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)])
        cloud.run_until_idle()
        at_once = cloud.max_concurrency(fn)
        pool.configure(None, reset=True)

        assert (at_once, pool.config(None).max_parallelism) == (5, 2)


def test_other_pools_are_left_to_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":2}')
    with LocalCloud(engine="memory") as cloud:
        pool, fn = cloud.workpool("reports", max_parallelism=4), sleeping(cloud)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(10)])
        cloud.run_until_idle()

        assert cloud.max_concurrency(fn) == 4


def test_a_new_deployment_reaches_a_loop_that_runs_with_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":1}')
    monkeypatch.setenv("WORKPOOL_LOOP_ARN", LOOP)
    with LocalCloud(engine="memory") as cloud:
        pool, fn = cloud.workpool("email"), sleeping(cloud)
        pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(60)])
        cloud.advance(timedelta(seconds=20))
        before = cloud.max_concurrency(fn)
        monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":6}')
        tick(cloud)
        cloud.run_until_idle()

        assert (before, cloud.max_concurrency(fn)) == (1, 6)


def test_what_the_deployment_does_not_say_any_more_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LIMITS", '{"email":2}')
    monkeypatch.setenv("WORKPOOL_LOOP_ARN", LOOP)
    with LocalCloud(engine="memory") as cloud:
        fn = sleeping(cloud)
        cloud.workpool("email").enqueue_action(None, fn, {})
        cloud.run_until_idle()
        monkeypatch.setenv("WORKPOOL_LIMITS", "{}")
        tick(cloud)
        pool: Workpool = cloud.workpool("email", max_parallelism=7)
        freed = pool.config(None)
        pool.enqueue_action(None, fn, {})

        assert (freed.max_parallelism, freed.base.by) == (2, NOBODY)
        assert pool.config(None).max_parallelism == 7


def test_the_watchdog_says_in_the_table_where_the_functions_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKPOOL_LOOP_ARN", LOOP)
    monkeypatch.setenv("WORKPOOL_SCHEDULE_GROUP", "wakes")
    with LocalCloud(engine="memory") as cloud:
        tick(cloud)

        assert ports_of(cloud).store.get(DeploymentRef()) == Deployment(loop_arn=LOOP, schedule_group="wakes")


def test_where_nothing_changed_nothing_is_written() -> None:
    with LocalCloud(engine="memory") as cloud:
        ports = ports_of(cloud)
        keep_deployment(ports, Deployment(loop_arn=LOOP))
        keep_limits(ports, {"email": 3})
        before = cloud.capacity.write_units
        keep_deployment(ports, Deployment(loop_arn=LOOP))
        keep_limits(ports, {"email": 3})

        assert cloud.capacity.write_units == before


def test_trouble_with_one_pool_does_not_keep_it_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalCloud(engine="memory") as cloud:
        ports = ports_of(cloud)
        real = type(ports.store).get

        def get(store: object, ref: Ref) -> object:
            if ref == ConfigRef("a"):
                raise StoreUnavailable("no answer")
            return real(store, ref)

        monkeypatch.setattr(type(ports.store), "get", get)
        with pytest.raises(StoreUnavailable, match="no answer"):
            keep_limits(ports, {"a": 1, "b": 2})

        found = cloud.workpool("b").config(None)
        assert (found.max_parallelism, found.base.by) == (2, DEPLOYMENT)


@pytest.mark.parametrize("said", ["10", "[]", '{"email":"10"}', '{"email":true}', '{"email":-1}', '{"email":501}', '{"e mail":1}', "{"])
def test_limits_that_cannot_be_meant_are_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    from workpool_aws.settings import read_settings  # noqa: PLC0415 - the only test of it here

    monkeypatch.setenv("WORKPOOL_LIMITS", said)
    with pytest.raises(UsageError, match="WORKPOOL_LIMITS"):
        read_settings()

"""Schedules that a deployment declares: its watchdog makes them, changes them and removes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workpool_aws import RetryPolicy, UsageError, Workpool
from workpool_aws.api.caller import Caller
from workpool_aws.api.declared import from_json, read_declared, to_json
from workpool_aws.local import LocalCloud
from workpool_aws.model.refs import DeploymentRef
from workpool_aws.model.schedule import DEPLOYMENT_OWNER
from workpool_aws.model.writes import Put

HOURLY = {"name": "hourly", "fn": "report", "args": {"n": 1}, "cron": "5 * * * *"}
OTHER = {"name": "other", "fn": "report", "every_ms": 900_000}
Declare = Callable[..., None]


@pytest.fixture
def declare(cloud: LocalCloud) -> Declare:
    """Let a tick of the watchdog declare schedules, by pool."""
    cloud.function(lambda event, context: event, name="report")

    def tick(**pools: list[dict[str, Any]]) -> None:
        order = {"table": cloud.table, "pools": sorted(pools), "schedules": pools}
        cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": order})
        cloud.advance(timedelta(seconds=5))

    return tick


def names(pool: Workpool) -> list[str]:
    return [each.name for each in pool.schedules(None)]


def test_declared_schedule_is_made_and_runs(cloud: LocalCloud, declare: Declare) -> None:
    pool = cloud.workpool()
    declare(default=[HOURLY])
    cloud.advance(timedelta(hours=1))

    [schedule] = pool.schedules(None)
    assert (schedule.name, schedule.cron, schedule.owner) == (
        "hourly",
        "5 * * * *",
        DEPLOYMENT_OWNER,
    )
    assert schedule.target.endswith(":function:report")
    assert [each.args for each in cloud.enqueued("report")] == [{"n": 1}]


def test_schedules_that_are_known_cost_nothing(cloud: LocalCloud, declare: Declare) -> None:
    declare(default=[HOURLY])
    cloud.run_until_idle()

    def cost_of(**pools: list[dict[str, Any]]) -> float:
        before = cloud.capacity
        declare(**pools)
        after = cloud.capacity
        return after.read_units + after.write_units - before.read_units - before.write_units

    without = {"workpool_watchdog": {"table": cloud.table, "pools": ["default"]}}
    before = cloud.capacity
    cloud.invoke(cloud.watchdog_arn, without)
    cloud.advance(timedelta(seconds=5))
    plain = cloud.capacity
    plain_cost = plain.read_units + plain.write_units - before.read_units - before.write_units

    assert cost_of(default=[HOURLY]) == plain_cost
    assert cost_of(default=[OTHER]) > plain_cost


def test_change_keeps_progress_and_what_is_gone_is_removed(
    cloud: LocalCloud, declare: Declare
) -> None:
    pool = cloud.workpool()
    declare(default=[HOURLY, OTHER])
    cloud.advance(timedelta(hours=2))
    before = {each.name: each for each in pool.schedules(None)}

    declare(default=[{**HOURLY, "args": {"n": 2}}])

    [after] = pool.schedules(None)
    assert after == before["hourly"]
    cloud.advance(timedelta(hours=1))
    assert cloud.enqueued("report")[-1].args == {"n": 2}


def test_schedules_of_others_stay(cloud: LocalCloud, declare: Declare) -> None:
    pool = cloud.workpool()
    pool.schedule(None, "mine", "report", {}, cron="@daily")
    pool.sync_schedules(
        None, [{"name": "ours", "fn": "report", "args": {}, "cron": "@daily"}], owner="billing"
    )
    declare(default=[HOURLY])
    assert names(pool) == ["hourly", "mine", "ours"]

    declare(default=[])

    assert names(pool) == ["mine", "ours"]


def test_schedules_of_pool_that_is_declared_no_more_are_removed(
    cloud: LocalCloud, declare: Declare
) -> None:
    declare(default=[HOURLY], second=[OTHER])
    assert names(cloud.workpool("second")) == ["other"]

    declare(default=[HOURLY])
    assert names(cloud.workpool("second")) == []
    declare()
    assert names(cloud.workpool()) == []


def test_tick_without_schedules_leaves_them(cloud: LocalCloud, declare: Declare) -> None:
    declare(default=[HOURLY])
    cloud.invoke(cloud.watchdog_arn, {"workpool_watchdog": {"table": cloud.table}})
    cloud.advance(timedelta(minutes=2))

    assert names(cloud.workpool()) == ["hourly"]


def test_pause_by_hand_outlasts_ticks_and_changes(cloud: LocalCloud, declare: Declare) -> None:
    pool = cloud.workpool()
    declare(default=[HOURLY])
    pool.pause_schedule(None, "hourly")
    declare(default=[HOURLY])
    declare(default=[{**HOURLY, "timezone": "Europe/London"}])

    assert [each.paused for each in pool.schedules(None)] == [True]


def test_schedule_that_is_refused_keeps_others_and_is_tried_again(
    cloud: LocalCloud, declare: Declare
) -> None:
    late_job = {"name": "late", "fn": "report-of-jobs!", "cron": "@daily"}
    declare(default=[HOURLY], second=[late_job])
    assert names(cloud.workpool()) == ["hourly"]
    assert names(cloud.workpool("second")) == []

    declare(default=[HOURLY], second=[{**late_job, "fn": "report"}])
    assert names(cloud.workpool("second")) == ["late"]


def test_deployment_that_was_replaced_declares_nothing(cloud: LocalCloud, declare: Declare) -> None:
    declare(default=[HOURLY])
    store = cloud._engine_open.quiet(cloud.table)
    known = store.get(DeploymentRef())
    other = replace(
        known, loop_arn=f"{known.loop_arn}-new", version=known.version + 1,
        replaced=(known.loop_arn,), replaced_at=cloud._open.kernel.now(),
    )  # fmt: skip
    store.write(Put(other))

    declare(default=[OTHER])
    assert names(cloud.workpool()) == ["hourly"]

    cloud.advance(timedelta(hours=1, minutes=1))
    declare(default=[OTHER])
    assert names(cloud.workpool()) == ["other"]


@pytest.mark.parametrize(
    "stored",
    [
        "hourly",
        {"name": "a", "fn": "report", "every_ms": "1"},
        {"name": "a", "fn": "report", "every_ms": True},
        {"name": "a", "fn": "report", "every_ms": 10**30},
        {"name": "a", "fn": "report", "cron": "@daily", "start": 7},
        {"name": "a", "fn": "report", "cron": "@daily", "retry": {"tries": 3}},
        {"name": "a", "fn": "report", "cron": "@daily", "retry": {"max_attempts": 0}},
    ],
)
def test_form_of_another_hand_is_refused(stored: object) -> None:
    with pytest.raises(UsageError):
        from_json(stored)


def check(definition: dict[str, Any]) -> None:
    read_declared(definition, caller=Caller(), find=lambda name, *, field, decorated: name)


SPANS = st.integers(1_000, 366 * 86_400_000).map(lambda ms: timedelta(milliseconds=ms))
MOMENTS = st.integers(1_767_225_600, 2_500_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 9),
    initial_backoff=SPANS,
    max_backoff=st.none() | SPANS,
    jitter=st.booleans(),
)
DEFINITIONS = st.fixed_dictionaries(
    {"name": st.just("a"), "fn": st.just("report"), "args": st.just({"n": [1, None, "é"]})},
    optional={
        "timezone": st.sampled_from(["UTC", "Europe/London"]),
        "start": MOMENTS,
        "jitter": SPANS,
        "overlap": st.sampled_from(["allow", "skip", "queue_one"]),
        "expires_after": SPANS,
        "retry": st.booleans() | POLICIES,
    },
).flatmap(
    lambda base: st.one_of(
        SPANS.map(lambda span: {"every": span}), st.just({"cron": "@daily"})
    ).map(lambda times: {**base, **times})
)


@given(DEFINITIONS)
def test_definition_survives_its_form(definition: dict[str, Any]) -> None:
    check(definition)
    assert from_json(json.loads(json.dumps(to_json(definition)))) == definition


def test_option_that_is_none_is_left_out_of_the_form_and_no_other_is() -> None:
    definition = {"name": "a", "start": None, "fn": "report", "retry": None, "cron": "@daily"}

    assert to_json(definition) == {"name": "a", "fn": "report", "cron": "@daily"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron": "* * *"}, "cron"),
        ({"cron": None}, "cron"),
        ({"name": "a b"}, "name"),
        ({"fn": 7}, "target"),
        ({"args": {"n": object()}}, "args"),
        ({"args": {"n": "x" * 5_000}}, "args"),
        ({"retry": 3}, "retry"),
        ({"overlap": "never"}, "overlap"),
        ({"run_after": timedelta(1)}, "run_after"),
        ({"timezon": "UTC"}, "timezon"),
    ],
)
def test_definition_that_no_deployment_could_make_is_refused(
    change: dict[str, object], field: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check({"name": "a", "fn": "report", "cron": "@daily", **change})
    assert refused.value.field.startswith(field)

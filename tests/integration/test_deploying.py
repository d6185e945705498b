"""The watchdog keeps what the table knows of its deployment: where the functions are, who acknowledges, which limits were given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.kit.doubles import LOOP
from tests.kit.records import NOW, POOL, TARGET
from tests.kit.stage import Stage
from tests.kit.stores import (
    Apply,
    Died,
    bumps,
    dies_before,
    first,
    lost_after,
    lost_before,
    puts,
    repeated,
    updates,
)
from workpool_aws.adapters.items.records import key_of
from workpool_aws.core import limits
from workpool_aws.flow.watchdog.deployment import would_record
from workpool_aws.flow.watchdog.watch import watch
from workpool_aws.local import LocalCloud
from workpool_aws.local.services.platform import Platform
from workpool_aws.model.events import (
    BaseIgnored,
    DeploymentNotRecorded,
    DeploymentRecorded,
    DeploymentReplaced,
    Event,
    Kicked,
    KickFailed,
    LimitDeployed,
)
from workpool_aws.model.loop import DeployedJob, DeployedLimit, Deployment
from workpool_aws.model.refs import ConfigRef, DeploymentRef, LedgerRef
from workpool_aws.model.work import CallbackState, State
from workpool_aws.model.writes import Put, Written
from workpool_aws.ports import Ports

DEPLOYED = Deployment(
    loop_arn=LOOP,
    completion_arn=LOOP.replace("loop", "completion"),
    schedule_group="workpool",
    scheduler_role_arn="arn:aws:iam::123456789012:role/scheduler",
    acknowledging=("told",),
    jobs=(DeployedJob("send_email", LOOP.replace("loop", "mailer")),),
)


def deployed(limit: int | None = None, pool: str = POOL) -> Deployment:
    return replace(DEPLOYED, limits=() if limit is None else (DeployedLimit(pool, limit),))


def with_environment(stage: Stage, deployment: Deployment | None) -> Ports:
    stage.ports = replace(stage.ports, deployed=deployment)
    return stage.ports


def known_to(stage: Stage) -> object:
    """Return the deployment in the table, without its version and the ones it replaced."""
    return told_in(stage.memory.peek(DeploymentRef()))


def told_in(item: object) -> object:
    return (
        replace(item, version=0, replaced=(), replaced_at=None)
        if isinstance(item, Deployment)
        else item
    )


@pytest.mark.parametrize(
    "known",
    [
        None,
        deployed(3),
        *(
            replace(DEPLOYED, **other)
            for other in (
                {"loop_arn": LOOP + "-old"},
                {"acknowledging": ()},
                {"jobs": ()},
                {"schedule_group": "x"},
            )
        ),
    ],
)
def test_deployment_that_differs_is_written_once(known: Deployment | None) -> None:
    stage = Stage()
    with_environment(stage, DEPLOYED)
    if known is not None:
        stage.place(known)
    stage.watch()
    stage.watch()

    assert known_to(stage) == DEPLOYED
    assert [event.loop_arn for event in stage.telemetry.of(DeploymentRecorded)] == [LOOP]


def test_deployment_that_is_known_costs_one_read() -> None:
    stage = Stage()
    with_environment(stage, deployed(3))
    stage.ports = replace(stage.ports, ticks_always=False)  # without heartbeats
    stage.watch()
    before = stage.memory.meter.snapshot()
    stage.watch()
    after = stage.memory.meter.snapshot()

    assert after.write_units == before.write_units
    assert after.requests - before.requests == len(["deployment", "registry"])


def test_forecast_names_only_what_differs() -> None:
    stage = Stage()
    stage.place(DEPLOYED)

    assert [
        would_record(stage.store, item, stage.clock.now()) for item in (DEPLOYED, deployed(3), None)
    ] == [False, True, False]


def test_damaged_item_is_written_anew() -> None:
    """[WP-12] The limits that it may have named are set again, without an event for one in force."""
    stage = Stage()
    with_environment(stage, deployed(3))
    stage.watch()
    key = key_of(DeploymentRef())
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    foretold = would_record(stage.store, DEPLOYED, stage.clock.now())
    stage.watch()

    assert (foretold, known_to(stage)) == (True, deployed(3))
    assert [event.max_parallelism for event in stage.telemetry.of(LimitDeployed)] == [3]


def test_process_that_does_not_know_loop_says_nothing() -> None:
    stage = Stage()
    stage.place(DEPLOYED)
    with_environment(stage, None)
    stage.watch()

    assert known_to(stage) == DEPLOYED


def test_trouble_with_item_keeps_no_pool_from_being_watched() -> None:
    """[WP-12] And the next tick tries again."""
    stage = Stage()
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    stage.invoker.loops.clear()
    with_environment(stage, DEPLOYED)
    stage.clock.pass_to(NOW + limits.LEASE_MS)
    stage.store.plan(puts(Deployment), lost_before)
    stage.watch()
    told, missing = stage.telemetry.of(DeploymentNotRecorded), known_to(stage)
    stage.run(5_000)
    stage.watch()

    assert (len(told), missing, known_to(stage)) == (1, None, DEPLOYED)
    assert stage.work(work_id).state is State.FINISHED


def test_limit_that_changes_is_deployed_again_and_one_that_is_not_named_any_more_goes() -> None:
    stage = Stage()
    in_force = []
    for limit in (3, 5, 5, None, 4):
        with_environment(stage, deployed(limit))
        stage.watch()
        in_force.append(stage.config().deployed_parallelism)

    assert in_force == [3, 5, 5, None, 4]


def test_watchdog_that_died_before_limit_was_felt_is_followed_by_one_that_makes_it_so() -> None:
    """[WP-13] A pass that read the old config must not commit after the deployment's limit was set."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    with_environment(stage, deployed(1))
    stage.store.plan(bumps, dies_before)
    with pytest.raises(Died):
        stage.watch()
    version = stage.ledger().version
    recorded = known_to(stage)
    stage.watch()

    assert (stage.config().limit, recorded, known_to(stage)) == (1, None, deployed(1))
    assert stage.ledger().version == version + 1


@pytest.mark.parametrize(
    ("base", "override", "in_force"),
    [(None, None, 3), (7, None, 3), (2, None, 3), (7, 5, 5), (7, 0, 0)],
)
def test_deployed_limit_beats_programs_and_people_beat_both(
    base: int | None, override: int | None, in_force: int
) -> None:
    stage = Stage()
    if base is not None:
        stage.pool(max_parallelism=base).enqueue_action(None, TARGET, {})
    if override is not None:
        stage.pool().configure(None, max_parallelism=override)
    with_environment(stage, deployed(3))
    stage.watch()
    shown = stage.pool().config(None)

    assert (shown.max_parallelism, shown.base.max_parallelism, shown.base.by) == (
        in_force,
        3,
        "deployment",
    )
    assert stage.pool().configure(None, reset=True).max_parallelism == 3


def test_program_that_says_its_limit_later_changes_nothing() -> None:
    stage = Stage()
    with_environment(stage, deployed(3))
    stage.watch()
    stage.pool(max_parallelism=8).enqueue_action(None, TARGET, {})

    assert stage.config().limit == 3
    assert [(event.ours, event.deployed) for event in stage.telemetry.of(BaseIgnored)] == [(8, 3)]


def test_program_that_says_deployments_limit_is_not_told_that_it_is_ignored() -> None:
    stage = Stage()
    with_environment(stage, deployed(3))
    stage.watch()
    stage.pool(max_parallelism=3).enqueue_action(None, TARGET, {})

    assert stage.telemetry.of(BaseIgnored) == []


def test_pool_that_is_not_named_any_more_goes_back_to_its_programs() -> None:
    stage = Stage()
    stage.pool(max_parallelism=7).enqueue_action(None, TARGET, {})
    with_environment(stage, deployed(3))
    stage.watch()
    with_environment(stage, deployed(None))
    stage.watch()

    assert stage.config().limit == 7
    assert [event.max_parallelism for event in stage.telemetry.of(LimitDeployed)] == [3, None]


def test_limit_is_known_before_pools_first_work() -> None:
    """[WP-1] The first burst is within it."""
    stage = Stage(takes_ms=60_000)
    with_environment(stage, deployed(2))
    stage.watch()
    stage.pool().enqueue_action_batch(None, TARGET, [{}] * 5)
    stage.run(10_000)

    assert len(stage.invoker.started) == 2


def test_lower_limit_fences_pass_that_read_higher_one() -> None:
    """[WP-13]"""
    stage = Stage(takes_ms=60_000)
    pool = stage.pool(max_parallelism=4)
    pool.enqueue_action_batch(None, TARGET, [{}] * 4)
    with_environment(stage, deployed(1))
    stage.store.plan(updates(LedgerRef, "entries"), first(stage.watch))
    stage.run(5_000)

    assert len(stage.invoker.started) == 1


@pytest.mark.parametrize("step", [updates(ConfigRef), bumps], ids=["config", "ledger"])
def test_limit_that_was_not_set_is_set_by_next_tick(step: object) -> None:
    stage = Stage()
    stage.pool(max_parallelism=7).enqueue_action(None, TARGET, {})
    stage.run(5_000)
    with_environment(stage, deployed(3))
    assert callable(step)
    stage.store.plan(step, lost_before)
    stage.watch()
    missing = known_to(stage)
    stage.watch()

    assert (missing, known_to(stage), stage.config().limit) == (deployed(), deployed(3), 3)
    assert [event.pool for event in stage.telemetry.of(DeploymentNotRecorded)] == [POOL]


def test_deployed_limit_that_is_dropped_is_remembered() -> None:
    stage = Stage()
    with_environment(stage, deployed(4))
    stage.watch()
    with_environment(stage, deployed(3))
    stage.store.plan(updates(ConfigRef), lost_before)
    stage.watch()

    assert (known_to(stage), stage.config().limit) == (deployed(4), 4)


def test_limit_that_cannot_be_set_costs_other_pools_nothing() -> None:
    """[WP-12] Neither a start of their loop nor a commit that was fenced off, each minute, for as long as that one is damaged."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    both = replace(DEPLOYED, limits=(DeployedLimit(POOL, 3), DeployedLimit("sms", 2)))
    key = key_of(ConfigRef("sms"))
    stage.memory.inject(key.pk, key.sk, {"kind": "no such thing"})
    with_environment(stage, both)
    stage.ports = replace(stage.ports, ticks_always=False)  # without heartbeats
    stage.watch()
    stage.run(50_000)
    version, loops = stage.ledger().version, len(stage.telemetry.of(Kicked))
    written = stage.memory.meter.snapshot().write_units
    for _ in range(10):
        stage.watch()
        stage.run(60_000)
    assert stage.memory.meter.snapshot().write_units == written
    assert stage.telemetry.of(DeploymentRecorded) == []
    told = [event.pool for event in stage.telemetry.of(DeploymentNotRecorded)]
    partly = known_to(stage)
    stage.memory.delete(ConfigRef("sms"))
    stage.watch()

    assert (stage.ledger().version, len(stage.telemetry.of(Kicked))) == (version, loops)
    assert told == ["sms"] * 11
    assert (partly, known_to(stage)) == (deployed(3), both)


def other(limit: int) -> Deployment:
    return replace(deployed(limit), loop_arn=LOOP + "-other")


def test_deployments_of_one_table_do_not_take_turns_each_minute() -> None:
    """[WP-23] The one that came last holds, and an hour later the other one may try: it may be the only one that is left."""
    stage = Stage()
    stage.pool().enqueue_action(None, TARGET, {})
    stage.run(60_000)
    loops = len(stage.telemetry.of(Kicked))
    in_force = []
    for _ in range(180):
        for deployment in (deployed(3), other(5)):
            with_environment(stage, deployment)
            stage.watch()
        in_force.append(stage.config().limit)
        stage.run(60_000)
    item = stage.memory.peek(DeploymentRef())

    assert [in_force[minute] for minute in (0, 59, 61, 119, 122, 179)] == [5, 5, 3, 3, 5, 5]
    assert isinstance(item, Deployment)
    assert (item.loop_arn, item.replaced, item.version) == (LOOP + "-other", (LOOP,), 3)
    assert len(stage.telemetry.of(DeploymentReplaced)) == 3
    assert (len(stage.telemetry.of(LimitDeployed)), len(stage.telemetry.of(Kicked)) - loops) == (
        4,
        3,
    )


@pytest.mark.parametrize(("waited_ms", "replaced"), [(-1, 1), (0, 2)])
def test_deployment_takes_its_place_back_after_hour_and_not_before(
    waited_ms: int, replaced: int
) -> None:
    """[WP-23]"""
    stage = Stage()
    for deployment, at in (
        (deployed(3), NOW),
        (other(5), NOW),
        (deployed(3), NOW + limits.DEPLOYMENT_TURN_MS + waited_ms),
    ):
        stage.clock.pass_to(at)
        with_environment(stage, deployment)
        stage.watch()

    assert len(stage.telemetry.of(DeploymentReplaced)) == replaced


def test_deployments_do_not_take_turns_even_if_three() -> None:
    """[WP-23]"""
    stage = Stage()
    for _ in range(120):
        for loop in ("a", "b", "c"):
            with_environment(stage, replace(DEPLOYED, loop_arn=f"{LOOP}-{loop}"))
            stage.watch()
        stage.run(60_000)

    assert [event.loop_arn[-1] for event in stage.telemetry.of(DeploymentReplaced)] == [
        "b",
        "c",
        "a",
        "b",
    ]


def test_changed_deployment_is_reported_at_once_although_another_was_replaced() -> None:
    stage = Stage()
    for deployment in (other(5), deployed(3), deployed(4)):
        with_environment(stage, deployment)
        stage.watch()

    assert (known_to(stage), stage.config().limit) == (deployed(4), 4)


def test_limits_in_force_are_those_of_deployment_in_item() -> None:
    stage = Stage()
    ours, theirs = (
        replace(stage.ports, deployed=deployed(3)),
        replace(stage.ports, deployed=other(5)),
    )
    stage.store.plan(puts(Deployment), first(lambda: watch(theirs)))
    watch(ours)
    met = known_to(stage)
    watch(ours)

    assert (met, known_to(stage)) == (other(5), deployed(3))
    assert stage.config().limit == 3
    assert [event.loop_arn for event in stage.telemetry.of(DeploymentRecorded)] == [
        other(5).loop_arn,
        LOOP,
    ]
    assert len(stage.telemetry.of(DeploymentNotRecorded)) == 1


@pytest.mark.parametrize("limit", [5, None])
def test_deployment_that_is_overtaken_leaves_limits_that_item_names(
    limit: int | None,
) -> None:
    """Its own were written last, and neither of the two would look at them again for an hour."""
    stage = Stage()
    with_environment(stage, deployed(2))
    stage.watch()
    ours, theirs = (
        replace(stage.ports, deployed=each)
        for each in (deployed(3), replace(deployed(limit), loop_arn=LOOP + "-other"))
    )
    stage.store.plan(updates(ConfigRef), first(lambda: watch(theirs)))
    watch(ours)
    for ports in (theirs, ours):
        watch(ports)

    assert [event.loop_arn for event in stage.telemetry.of(DeploymentReplaced)] == [LOOP + "-other"]
    assert stage.config().deployed_parallelism == limit


@pytest.mark.parametrize(
    ("apply", "told"), [(repeated, [DeploymentRecorded]), (lost_after, [DeploymentNotRecorded])]
)
def test_write_whose_answer_was_lost_is_known_to_have_been_made(
    apply: Callable[[Apply], Written], told: list[type[Event]]
) -> None:
    stage = Stage()
    stage.place(deployed(4))
    with_environment(stage, deployed(3))
    stage.store.plan(puts(Deployment), apply)
    stage.watch()
    stage.watch()
    item = stage.memory.peek(DeploymentRef())

    assert isinstance(item, Deployment)
    assert (item.limits, item.version) == ((DeployedLimit(POOL, 3),), 1)
    of_the_item = (DeploymentRecorded, DeploymentNotRecorded, DeploymentReplaced)
    assert [
        type(event) for event in stage.telemetry.events if isinstance(event, of_the_item)
    ] == told


def test_enqueue_without_known_loop_is_stored_for_watchdog() -> None:
    """[WP-3] [WP-20]"""
    stage = Stage()
    whole = stage.ports
    stage.ports = replace(whole, loop_arn=None)
    work_id = stage.pool().enqueue_action(None, TARGET, {})
    told = stage.telemetry.of(KickFailed)
    stage.ports = replace(whole, deployed=DEPLOYED)
    stage.run(120_000, watchdog=True)
    stage.ports = replace(whole, loop_arn=None)
    later = stage.pool().enqueue_action(None, TARGET, {})
    stage.ports = whole
    stage.run(5_000)

    assert [
        ("WORKPOOL_LOOP_ARN" in event.error, "#deployment" in event.error) for event in told
    ] == [(True, True)]
    assert (stage.work(work_id).state, stage.work(later).state) == (State.FINISHED, State.FINISHED)
    assert stage.telemetry.of(KickFailed) == told


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_clouds_watchdog_writes_item_anew_where_somebody_changed_it(engine: str) -> None:
    with LocalCloud(engine=engine) as cloud:
        store = cloud._engine_open.quiet(cloud.table)
        entered = store.get(DeploymentRef())
        store.write(Put(Deployment(loop_arn="elsewhere")))
        cloud.run_until_idle()

        assert isinstance(entered, Deployment)
        assert (entered.loop_arn, entered.completion_arn) == (cloud.loop_arn, cloud.completion_arn)
        assert told_in(store.get(DeploymentRef())) == entered
        assert [each.outcome for each in cloud.invocations(cloud.watchdog_arn)] == ["success"]


@pytest.mark.parametrize("engine", ["memory", "moto"])
def test_cloud_with_deployed_limits_comes_to_rest(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[WP-22] Whatever the item had, and whatever was called off, one tick reports it, not each one."""
    bare = Platform.deployment.fget
    assert bare is not None
    monkeypatch.setattr(
        Platform,
        "deployment",
        property(lambda platform: replace(bare(platform), limits=(DeployedLimit("email", 3),))),
    )
    with LocalCloud(engine=engine) as cloud:
        pool = cloud.workpool("email", max_parallelism=4)
        fn = cloud.function(lambda _event, _context: None, name="work")
        store = cloud._engine_open.quiet(cloud.table)
        store.write(Put(Deployment(loop_arn="elsewhere")))
        ids = [
            pool.enqueue_action(None, fn, {}, run_after=timedelta(hours=hours))
            for hours in (0, 0, 1)
        ]
        pool.cancel_all(None)
        cloud.run_until_idle(timedelta(days=2))

        assert [pool.status(None, each).outcome for each in ids] == ["canceled"] * 3
        assert len(cloud.invocations(cloud.watchdog_arn)) == 1
        assert told_in(store.get(DeploymentRef())) == cloud._open.deployment
        assert pool.config(None).max_parallelism == 3


@pytest.mark.parametrize(
    ("listed", "state"), [(True, CallbackState.SENT), (False, CallbackState.DELIVERED)]
)
def test_listed_target_is_asked_to_acknowledge(listed: bool, state: CallbackState) -> None:
    """[WP-8]"""
    stage = Stage()
    stage.invoker.listed = ("told",) if listed else ()
    work = stage.pool().enqueue_action(None, TARGET, {}, on_complete="told")
    stage.run(1_500)

    assert stage.work(work).callback is state

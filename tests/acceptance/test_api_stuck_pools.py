"""Stuck pools: `doctor` names each cause with its remedy, and `why` gives it for a work item."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.kit.functions import boom, echo, table_of
from workpool_aws import Workpool
from workpool_aws.adapters.items.records import key_of
from workpool_aws.insights import Insights
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.inspection import RoleFacts, TableFacts
from workpool_aws.model.loop import Deployment, Heartbeat, LoopState
from workpool_aws.model.record import Ref
from workpool_aws.model.refs import ConfigRef, DeploymentRef, StatusRef
from workpool_aws.model.writes import Put, Update
from workpool_aws.ports import InspectionFailed, InvokeRefused, Ports

POOL = "email"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Stuck:
    """A pool on its way into trouble."""

    cloud: LocalCloud
    pool: Workpool
    ports: Ports

    def change_functions(self, name: str, **changes: Any) -> None:
        """Change the settings of a function, as in the console."""
        known = self.cloud._open.functions._by_name
        known[name] = replace(known[name], **changes)

    def remove_function(self, name: str) -> None:
        del self.cloud._open.functions._by_name[name]

    def with_table(self, **changes: Any) -> None:
        """Let AWS describe the table otherwise."""
        facts = TableFacts(is_active=True, has_keys=True, has_dead_letters=True, has_ttl=True)
        self._describe(table=replace(facts, **changes))

    def with_role(self, facts: RoleFacts | None) -> None:
        """Let AWS describe the scheduler's role otherwise."""
        self._describe(role=facts)

    def _describe(self, **answers: object) -> None:
        described: Any = _Described(self.ports.inspector, **answers)
        self.ports = replace(self.ports, inspector=described)

    def pass_time(self, minutes: int) -> None:
        """Let time pass without a tick of the watchdog, whose schedule is disabled."""
        kernel = self.cloud._open.kernel
        kernel.pass_to(EpochMs(kernel.now() + minutes * 60_000))

    def status(self, **changes: object) -> None:
        table_of(self.cloud).write(Update(ref=StatusRef(POOL), set=changes))

    def damage(self, ref: Ref[Any]) -> None:
        key = key_of(ref)
        stores: Any = self.cloud._engine_open
        stores._stores[self.cloud.table].inject(key.pk, key.sk, {"kind": "no such thing"})

    @property
    def now(self) -> EpochMs:
        return self.cloud._open.kernel.now()


def _answer(answer: object, *_: object) -> object:
    return answer


class _Described:
    def __init__(self, inner: Any, **answers: object) -> None:
        self._inner = inner
        for name, answer in answers.items():
            setattr(self, name, partial(_answer, answer))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


Scene = Callable[[Stuck], str]


def rest(stuck: Stuck) -> str:
    """A pool with a job, at rest: nothing is wrong."""

    @stuck.pool.action
    def send() -> None: ...

    stuck.cloud.function(send)
    send.enqueue(None)
    stuck.cloud.run_until_idle()
    work_id = send.with_options(run_after=HOUR).enqueue(None)
    stuck.cloud.advance(MINUTE)
    return work_id


def loop_dead(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.status(state=LoopState.RUNNING)
    stuck.pass_time(5)
    return work_id


def loop_dead_and_watchdog_disabled(stuck: Stuck) -> str:
    work_id = loop_dead(stuck)
    table_of(stuck.cloud).write(Put(Heartbeat(at=EpochMs(stuck.now - 3_600_000))))
    stuck.status(lease_until=EpochMs(stuck.now - 3_000_000), state=LoopState.RUNNING)
    return work_id


def paused(stuck: Stuck) -> str:
    stuck.pool.configure(None, paused=True)
    work_id = stuck.pool.enqueue_action(None, stuck.cloud.function(echo), {})
    stuck.cloud.advance(MINUTE)
    return work_id


def limit_of_nothing(stuck: Stuck) -> str:
    return stuck.cloud.workpool(POOL, max_parallelism=0).enqueue_action(
        None, stuck.cloud.function(echo), {}
    )


def reserved_for_nothing(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.change_functions("send", reserved=0)
    stuck.cloud.advance(HOUR)
    return work_id


def reserved_for_nothing_by_arn(stuck: Stuck) -> str:
    arn = stuck.cloud.function(echo, reserved=0)
    work_id = stuck.pool.enqueue_action(None, arn, {})
    stuck.cloud.advance(timedelta(seconds=1))
    return work_id


def destination_missing(stuck: Stuck) -> str:
    arn = stuck.cloud.function(echo)
    stuck.change_functions("echo", on_success=None, on_failure=None)
    work_id = stuck.pool.enqueue_action(None, arn, {})
    stuck.cloud.advance(timedelta(seconds=5))
    return work_id


def retried_by_lambda(stuck: Stuck) -> str:
    work_id = stuck.pool.enqueue_action(None, stuck.cloud.function(boom, retries=2), {})
    stuck.cloud.advance(timedelta(seconds=5))
    return work_id


def function_deleted(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.remove_function("send")
    stuck.cloud.advance(HOUR + timedelta(seconds=10))
    return work_id


def job_of_function_deleted(stuck: Stuck) -> str:
    # The deployment goes on to name it, as the platform of the cloud does not forget its ports.
    arn = stuck.cloud.function(lambda event, context: None, name="send")
    stuck.remove_function("send")
    item = table_of(stuck.cloud).get(DeploymentRef())
    assert isinstance(item, Deployment)
    table_of(stuck.cloud).write(Put(replace(item, acknowledging=(arn,))))
    work_id = stuck.pool.enqueue_action(None, arn, {})
    stuck.cloud.advance(timedelta(seconds=10))
    return work_id


def permission_removed(stuck: Stuck) -> str:
    stuck.cloud._ports[stuck.cloud.table] = replace(stuck.ports, invoker=_Denied(stuck.ports))
    work_id = stuck.pool.enqueue_action(None, stuck.cloud.function(echo), {})
    stuck.cloud.advance(timedelta(seconds=10))
    return work_id


class _Denied:
    """Lambda as a loop meets it whose role may not invoke a worker."""

    def __init__(self, ports: Ports) -> None:
        self._inner: Any = ports.invoker

    def start_work(self, *_: object) -> None:
        raise InvokeRefused("AccessDeniedException: no lambda:InvokeFunction", lasting=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def loop_deleted(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.cloud.advance(MINUTE)
    stuck.remove_function("workpool-loop")
    stuck.pass_time(90)
    return work_id


def not_deployed(stuck: Stuck) -> str:
    table_of(stuck.cloud).delete(DeploymentRef())
    stuck.ports = replace(stuck.ports, loop_arn=None, deployed=None)
    return stuck.cloud.workpool(POOL).enqueue_action(
        None, stuck.cloud.function(echo), {}, run_after=HOUR
    )


def wake_refused(stuck: Stuck) -> str:
    work_id = rest(stuck)
    for each in stuck.cloud._open.schedules.standing:
        stuck.cloud._open.schedules.drop(each.group, each.name)
    return work_id


def kick_lost(stuck: Stuck) -> str:
    """A loop at rest without a kick for a work item, which the watchdog should have found."""
    work_id = wake_refused(stuck)
    stuck.status(state=LoopState.IDLE)
    stuck.pass_time(70)
    return work_id


def no_role_for_wakes(stuck: Stuck) -> str:
    work_id = rest(stuck)
    item = table_of(stuck.cloud).get(DeploymentRef())
    assert isinstance(item, Deployment)
    table_of(stuck.cloud).write(Put(replace(item, scheduler_role_arn=None)))
    return work_id


def no_group_for_wakes(stuck: Stuck) -> str:
    work_id = rest(stuck)
    item = table_of(stuck.cloud).get(DeploymentRef())
    assert isinstance(item, Deployment)
    table_of(stuck.cloud).write(Put(replace(item, schedule_group=None)))
    return work_id


def role_of_wakes_deleted(stuck: Stuck) -> str:
    stuck.with_role(None)
    return rest(stuck)


def role_of_wakes_not_trusting(stuck: Stuck) -> str:
    stuck.with_role(RoleFacts(trusts_scheduler=False, may_invoke=True))
    return rest(stuck)


def role_of_wakes_without_permission(stuck: Stuck) -> str:
    stuck.with_role(RoleFacts(trusts_scheduler=True, may_invoke=False))
    return rest(stuck)


def config_damaged(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.damage(ConfigRef(POOL))
    return work_id


def status_damaged(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.damage(StatusRef(POOL))
    return work_id


def index_missing(stuck: Stuck) -> str:
    work_id = stuck.pool.enqueue_action(None, stuck.cloud.function(boom), {})
    stuck.cloud.run_until_idle()
    stuck.with_table(has_dead_letters=False)
    return work_id


def ttl_off(stuck: Stuck) -> str:
    work_id = rest(stuck)
    stuck.with_table(has_ttl=False)
    return work_id


TABLE: list[tuple[Scene, list[str], str, list[str], str]] = [
    (rest, [], "waiting", ["not_due", "loop_resting"], ""),
    (loop_dead, ["pool_stuck"], "blocked", ["not_due", "loop_overdue"], "watchdog's schedule"),
    (
        loop_dead_and_watchdog_disabled,
        ["watchdog_silent", "pool_stuck"],
        "blocked",
        ["loop_overdue"],
        "Enable its schedule",
    ),
    (paused, ["pool_forgotten"], "blocked", ["paused"], "workpool resume"),
    (limit_of_nothing, ["pool_forgotten"], "blocked", ["paused"], "workpool limit N"),
    (reserved_for_nothing, ["function_throttled"], "waiting", ["chosen"], "reserved concurrency"),
    (
        reserved_for_nothing_by_arn,
        ["function_throttled"],
        "running",
        ["not_claimed"],
        "reserved concurrency",
    ),
    (destination_missing, ["destination_wrong"], "running", ["not_claimed"], "add_action"),
    (retried_by_lambda, ["retries_on"], "running", ["not_claimed"], "retry attempts to 0"),
    (
        function_deleted,
        ["function_refused", "function_missing"],
        "waiting",
        ["function_refused"],
        "Deploy it",
    ),
    (
        job_of_function_deleted,
        ["function_missing", "function_refused"],
        "waiting",
        ["function_refused"],
        "Deploy the function",
    ),
    (permission_removed, ["function_refused"], "waiting", ["function_refused"], "InvokeFunction"),
    (loop_deleted, ["function_missing", "pool_stuck"], "blocked", ["loop_overdue"], "Deploy"),
    (not_deployed, ["not_deployed"], "blocked", ["not_due", "not_deployed"], "Deploy the stack"),
    (wake_refused, ["wake_missing"], "waiting", ["not_due", "loop_resting"], "iam:PassRole"),
    (kick_lost, ["pool_stuck"], "blocked", ["loop_resting"], "watchdog's schedule"),
    (no_role_for_wakes, ["wake_missing"], "waiting", ["not_due"], "Deploy the stack"),
    (no_group_for_wakes, ["wake_missing"], "waiting", ["not_due"], "Deploy the stack"),
    (role_of_wakes_deleted, ["wake_refused"], "waiting", ["not_due"], "Deploy the stack"),
    (role_of_wakes_not_trusting, ["wake_refused"], "waiting", ["not_due"], "trust policy"),
    (
        role_of_wakes_without_permission,
        ["wake_refused"],
        "waiting",
        ["not_due"],
        "needs lambda:InvokeFunction",
    ),
    (config_damaged, ["config_damaged"], "blocked", ["config_damaged"], "workpool limit N"),
    (status_damaged, ["pool_stuck"], "waiting", ["status_damaged"], "watchdog"),
    (index_missing, ["index_missing"], "finished", ["failed"], "Deploy the stack"),
    (ttl_off, ["ttl_off"], "waiting", ["not_due"], "Deploy the stack"),
]


@pytest.mark.parametrize(
    ("scene", "found", "verdict", "reasons", "remedy"),
    TABLE,
    ids=[row[0].__name__ for row in TABLE],
)
def test_doctor_and_why_name_cause_and_remedy(
    scene: Scene, found: list[str], verdict: str, reasons: list[str], remedy: str
) -> None:
    with LocalCloud() as cloud:
        stuck = Stuck(cloud, cloud.workpool(POOL), cloud._ports_of(cloud.table))
        work_id = scene(stuck)

        answer = Insights(cloud.table, ports=stuck.ports).doctor()
        why = Workpool(cloud.table, POOL, ports=stuck.ports).why(None, work_id)

    assert [each.code for each in answer.value] == found, answer.value
    assert all(each.text.endswith(".") and each.remedy.endswith(".") for each in answer.value)
    assert remedy in " ".join(each.remedy for each in answer.value)
    codes = [each.code for each in why.reasons]
    assert (why.verdict, set(reasons) - set(codes)) == (verdict, set()), why


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("table", "workpool-local"),
        ("wake", POOL),
        ("role", "arn:aws:iam::123456789012:role/workpool-local-scheduler"),
        ("function", None),
    ],
)
def test_question_that_aws_refuses_is_a_finding(question: str, subject: str | None) -> None:
    def refuse(*_: object) -> None:
        raise InspectionFailed(f"AccessDenied: no {question}")

    with LocalCloud() as cloud:
        stuck = Stuck(cloud, cloud.workpool(POOL), cloud._ports_of(cloud.table))
        rest(stuck)
        described: Any = _Described(stuck.ports.inspector)
        setattr(described, question, refuse)
        ports = replace(stuck.ports, inspector=described)

        found = Insights(cloud.table, ports=ports).doctor().value

    assert {each.code for each in found} == {"not_examined"}
    assert all(f"no {question}." in each.text for each in found)
    assert subject is None or [each.subject for each in found] == [subject]

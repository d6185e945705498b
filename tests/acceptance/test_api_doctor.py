"""`Insights.doctor`: findings about a table, its functions and its pools, on both engines."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.kit.functions import echo, table_of
from workpool_aws.insights import Insights
from workpool_aws.local import LocalCloud
from workpool_aws.model.loop import LoopState
from workpool_aws.model.refs import DeploymentRef, StatusRef
from workpool_aws.model.writes import Update
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
    pool.enqueue_action(None, "echo", {})
    cloud.advance(timedelta(minutes=1))


def limit_of_nothing(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email", max_parallelism=0)
    pool.enqueue_action(None, "echo", {})


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

"""Around the pool: handlers that enqueue, log lines, what an idle hour costs, imports, the pytest fixture."""

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

import workpool_aws
from tests.kit.functions import echo
from workpool_aws import RetryPolicy, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

pytest_plugins = ("pytester",)

SECRET = "s3cr3t-argument"
PUBLIC = [
    "NonRetryableError",
    "NotFound",
    "NotKicked",
    "PayloadTooLarge",
    "Result",
    "RetryLater",
    "Snooze",
    "RetryPolicy",
    "Status",
    "StoreUnavailable",
    "UsageError",
    "Work",
    "WorkId",
    "Workpool",
    "WorkpoolError",
]


@both_engines
@pytest.mark.parametrize("short", [True, False])
def test_unmodified_handler_enqueues_from_inside_lambda(cloud: LocalCloud, short: bool) -> None:
    worker = cloud.function(echo, name="worker")

    def handler(event: dict[str, Any], context: Any) -> str:
        pool = Workpool(cloud.table, name="orders", max_parallelism=2)
        return pool.enqueue_action(
            context, "worker" if short else worker, {"n": event["order"]}, retry=True
        )

    cloud.invoke(cloud.function(handler), {"order": 17})
    cloud.run_until_idle()

    (delivery,) = cloud.invocations(worker)
    assert delivery.event["n"] == 17
    assert delivery.outcome == "success"
    assert cloud.workpool("orders").config(None).base.max_parallelism == 2


@both_engines
def test_handler_may_ask_and_configure_with_its_context(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(echo, name="worker"), {"n": 4})
    cloud.run_until_idle()
    told: list[Any] = []

    def handler(event: dict[str, Any], context: Any) -> None:
        mine = Workpool(cloud.table)
        told.append(mine.status(context, work_id).outcome)
        told.append(mine.status_batch(context, [work_id])[0].state)
        told.append(mine.result(context, work_id))
        told.append(mine.configure(context, max_parallelism=3).max_parallelism)
        told.append(mine.cancel(context, work_id))

    fn = cloud.function(handler, name="asking")
    cloud.invoke(fn, {})
    cloud.run_until_idle()

    assert [each.outcome for each in cloud.invocations(fn)] == ["success"]
    assert (told[0], told[1], told[2].return_value, told[3], told[4]) == (
        "success",
        "finished",
        4,
        3,
        "finished",
    )


def test_module_level_pool_serves_many_handlers_at_once(cloud: LocalCloud) -> None:
    worker = cloud.function(echo, name="worker")
    pool = Workpool(cloud.table, max_parallelism=3)

    def handler(event: dict[str, Any], context: Any) -> list[str]:
        return list(
            pool.enqueue_action_batch(
                context, worker, [{"n": 10 * event["i"] + k} for k in range(3)]
            )
        )

    fn = cloud.function(handler)
    for i in range(5):
        cloud.invoke(fn, {"i": i})
    cloud.run_until_idle()

    assert sorted(each.event["n"] for each in cloud.invocations(worker)) == [
        10 * i + k for i in range(5) for k in range(3)
    ]


def log_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def busy(**options: Any) -> None:
    with LocalCloud(engine="memory") as cloud:
        pool = cloud.workpool("mail", **options)

        @pool.action
        def send(work: Work, to: str) -> str:
            if work.attempt == 1:
                raise ConnectionError(f"cannot reach {to}")
            return to

        pool.enqueue_action(
            None, cloud.function(send), {"to": SECRET}, retry=RetryPolicy(max_attempts=2)
        )
        pool.enqueue_action(None, cloud.function(echo), {"n": SECRET})
        cloud.run_until_idle()


def test_events_are_json_lines_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKPOOL_LOG_LEVEL", "INFO")
    busy()

    lines = log_lines(capsys.readouterr().out)

    told = {line["message"] for line in lines}
    assert {"enqueued", "started", "retrying", "completed"} <= told
    assert all({"level", "timestamp", "service"} <= set(line) for line in lines)
    assert {line["pool"] for line in lines if line["message"] == "enqueued"} == {"mail"}


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
def test_arguments_and_results_are_never_logged_above_debug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("WORKPOOL_LOG_LEVEL", level)
    busy()

    captured = capsys.readouterr()

    assert SECRET not in captured.out + captured.err
    assert {line["level"] for line in log_lines(captured.out)} == {
        "INFO": {"INFO", "WARNING"},
        "WARNING": {"WARNING"},
        "ERROR": set(),
    }[level]


def test_pools_own_level_beats_that_of_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKPOOL_LOG_LEVEL", "ERROR")
    busy(log_level="INFO")
    told = log_lines(capsys.readouterr().out)
    monkeypatch.setenv("WORKPOOL_LOG_LEVEL", "INFO")
    busy(log_level="ERROR")
    silent = log_lines(capsys.readouterr().out)

    assert [line["message"] for line in told].count("enqueued") == 2
    assert [line["message"] for line in silent].count("enqueued") == 0


def test_without_level_only_warnings_are_logged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKPOOL_LOG_LEVEL", raising=False)
    busy()

    assert {line["level"] for line in log_lines(capsys.readouterr().out)} <= {"WARNING", "ERROR"}


def test_programs_that_alternate_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalCloud(engine="memory") as cloud:
        fn = cloud.function(echo)
        for limit in (3, 8, 3, 8):
            cloud.workpool("mail", max_parallelism=limit, log_level="WARNING").enqueue_action(
                None, fn, {"n": limit}
            )
        cloud.run_until_idle()

    warnings = [line for line in log_lines(capsys.readouterr().out) if line["level"] == "WARNING"]
    assert [line["message"] for line in warnings].count("config_alternates") >= 2


@pytest.mark.parametrize("pools", [1, 3])
def test_idle_hour_costs_next_to_nothing(pools: int) -> None:
    with LocalCloud(engine="memory") as cloud:
        for n in range(pools):
            pool = cloud.workpool(f"pool-{n}")
            pool.enqueue_action(None, cloud.function(echo), {"n": n})
        cloud.run_until_idle()
        cloud.advance(timedelta(minutes=5))
        loops, before = len(cloud.invocations(cloud.loop_arn)), cloud.capacity

        cloud.advance(timedelta(hours=1))

        after = cloud.capacity
        assert len(cloud.invocations(cloud.loop_arn)) == loops
        assert after.write_units - before.write_units == 0
        assert after.read_units - before.read_units <= 60 * (2 * pools + 2)


def test_pool_that_waits_month_runs_no_loop_meanwhile() -> None:
    with LocalCloud(engine="memory", scheduler="aws") as cloud:
        pool = cloud.workpool()
        fn = cloud.function(echo)
        pool.enqueue_action(None, fn, {"n": 1}, run_after=timedelta(days=30))
        cloud.advance(timedelta(hours=1))
        loops = len(cloud.invocations(cloud.loop_arn))

        cloud.advance(timedelta(days=29))

        assert len(cloud.invocations(cloud.loop_arn)) == loops
        cloud.run_until_idle(timeout=timedelta(days=2))
        assert len(cloud.invocations(fn)) == 1


def test_busy_pool_costs_what_aim_says() -> None:
    with LocalCloud(engine="memory", call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool(max_parallelism=50)

        @pool.action
        def work(n: int, text: str) -> int:
            return n + len(text)

        fn = cloud.function(work, takes=timedelta(milliseconds=300))
        pool.enqueue_action_batch(
            None, fn, [{"n": n, "text": "x" * 200} for n in range(200)], retry=True
        )
        cloud.run_until_idle()

        used = cloud.capacity
        assert used.write_units / 200 <= 5.0
        assert used.read_units / 200 <= 4.0


def test_every_public_name_is_there_and_documented() -> None:
    for name in PUBLIC:
        thing = getattr(workpool_aws, name)
        assert name in workpool_aws.__all__
        assert thing.__doc__, name


@pytest.mark.parametrize("option", ["uniqueKey", "time_out"])
def test_unknown_options_are_refused_and_never_ignored(cloud: LocalCloud, option: str) -> None:
    enqueue: Any = cloud.workpool().enqueue_action

    with pytest.raises(TypeError, match=option):
        enqueue(None, cloud.function(echo), {}, **{option: "x"})


def test_importing_package_loads_no_sdk() -> None:
    heavy = ("boto3", "botocore", "pydantic", "aws_lambda_powertools", "moto")
    script = f"import sys, workpool_aws; print([name for name in {heavy} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_making_pool_calls_nothing() -> None:
    script = "from workpool_aws import Workpool; p = Workpool('t', max_parallelism=3); f = p.action(lambda n: n); print(p.name, p.table)"

    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": ""}
    )

    assert run.stdout.split() == ["default", "t"]


def test_fixture_gives_each_test_cloud_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from workpool_aws.local import LocalCloud

        def run(cloud):
            assert isinstance(cloud, LocalCloud)
            pool = cloud.workpool(max_parallelism=1)
            fn = cloud.function(lambda event, ctx: event["n"], name="echo")
            assert cloud.invocations(fn) == []
            work_id = pool.enqueue_action(None, fn, {"n": 5})
            cloud.run_until_idle()
            assert pool.result(None, work_id).return_value == 5

        def test_one(workpool_cloud):
            run(workpool_cloud)

        def test_two(workpool_cloud):
            run(workpool_cloud)
        """
    )

    pytester.runpytest_inprocess("-q").assert_outcomes(passed=2)

"""The composition for AWS: which parts, with which limits of time, and made when."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import boto3
import pytest
from moto import mock_aws

from tests.unit.adapters_aws.conftest import refusal
from workpool_aws import Workpool, incarnation
from workpool_aws.adapters.aws.clients import (
    CLIENT_CONFIGS,
    _Clients,
    aws_ports,
    session_of,
)
from workpool_aws.adapters.dynamodb.table import create_table
from workpool_aws.adapters.metrics import POOL_DIMENSION, TABLE_DIMENSION
from workpool_aws.adapters.system import (
    SerialFanOut,
    SystemClock,
    SystemEntropy,
    ThreadFanOut,
)
from workpool_aws.adapters.telemetry import ListTelemetry, LoggerTelemetry
from workpool_aws.core import limits
from workpool_aws.errors import StoreUnavailable, UsageError
from workpool_aws.model.events import Started
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.loop import DeployedJob, DeployedLimit, Deployment
from workpool_aws.model.messages import Assignment, LoopRequest
from workpool_aws.model.refs import DeploymentRef
from workpool_aws.model.spec import Kind
from workpool_aws.model.writes import Put
from workpool_aws.ports import FunctionLimits, InvokeRefused, InvokeUnanswered
from workpool_aws.settings import Settings

LOOP = "arn:aws:lambda:eu-west-1:123456789012:function:loop"
DONE = "arn:aws:lambda:eu-west-1:123456789012:function:completion"
ROLE = "arn:aws:iam::123456789012:role/scheduler"
LAMBDA_S_MAX = 900
ASSIGNMENT = Assignment(
    table="t-1",
    pool="email",
    work_id=WorkId(make_id(EpochMs(1_700_000_000_000), random_bits=7)),
    start=1,
    attempts_made=0,
    kind=Kind.ACTION,
    retry=None,
    claimed=True,
    retention_s=None,
    start_by=EpochMs(1_700_000_100_000),
)


class CountingSession(boto3.Session):
    """Counts the clients it makes, and how many are in the making at one time."""

    def __init__(self):
        super().__init__(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1"
        )
        self.made = []
        self.configs = []
        self.crowd = 0
        self.listen = lambda client: client
        self._making = 0

    def client(self, service_name, *args, **kwargs):
        self._making += 1
        self.crowd = max(self.crowd, self._making)
        try:
            self.configs.append(kwargs["config"])
            return self.listen(super().client(service_name, *args, **kwargs))
        finally:
            self.made.append(service_name)
            self._making -= 1


@pytest.fixture
def counting():
    return CountingSession()


@pytest.mark.parametrize("name", list(CLIENT_CONFIGS))
def test_clients_have_time_limits(name):
    config = CLIENT_CONFIGS[name]
    assert 1 <= config.connect_timeout <= 2
    assert 1 <= config.read_timeout <= 5
    worst_ms = (
        config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) * 1000
    )
    assert worst_ms < limits.HAND_OVER_MS < LAMBDA_S_MAX * 1000
    assert config.max_pool_connections >= limits.SMALL_AT_ONCE
    assert config.tcp_keepalive is True
    assert config.retries["mode"] == "standard"


def test_call_to_lambda_ends_before_its_start_write_is_old():
    config = CLIENT_CONFIGS["lambda"]
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout + config.read_timeout) * 1000 < limits.START_TO_INVOKE_MS


def test_limits_of_each_client_are_these():
    """The figures that the bounds of the protocol were chosen by."""
    assert {
        name: config.retries["total_max_attempts"] for name, config in CLIENT_CONFIGS.items()
    } == {
        "callback-target": 2,
        "dynamodb": 4,
        "dynamodb-after-lean": 3,
        "iam": 2,
        "lambda": 1,
        "lambda-retrying": 2,
        "scheduler": 2,
    }
    assert {
        (config.connect_timeout, config.read_timeout, config.max_pool_connections)
        for config in CLIENT_CONFIGS.values()
    } == {(1.5, 3.0, 2 * limits.SMALL_AT_ONCE)}


class SessionWithoutRegion(CountingSession):
    """Takes note of the region of each client, and has none of its own."""

    region_name = None

    def __init__(self):
        super().__init__()
        self.asked = []

    def client(self, service_name, *args, **kwargs):
        self.asked.append((service_name, kwargs["region_name"], kwargs["config"]))
        return super().client(service_name, *args, **kwargs)


class SessionOfARegion(SessionWithoutRegion):
    region_name = "us-east-2"


@pytest.mark.parametrize(
    ("kind", "home"), [(SessionWithoutRegion, "eu-west-3"), (SessionOfARegion, "us-east-2")]
)
def test_client_is_of_sessions_region_or_settings_and_queue_of_its_own(kind, home, clock, entropy):
    session = kind()
    clients = _Clients(lambda: session, clock, entropy, "eu-west-3", lean=False)
    made = [clients.dynamodb(), clients.invoking(), clients.invoking_again(), clients.scheduler()]
    for region in ("ap-south-1", "ap-south-1", "sa-east-1"):
        made += [clients.client_in(service, region) for service in ("sqs", "sns")]

    assert session.asked == [
        *(
            (name.partition("-")[0], home, CLIENT_CONFIGS[name])
            for name in ("dynamodb", "lambda", "lambda-retrying", "scheduler")
        ),
        *(
            (name, region, CLIENT_CONFIGS["callback-target"])
            for region in ("ap-south-1", "sa-east-1")
            for name in ("sqs", "sns")
        ),
    ]
    assert [client.meta.service_model.service_name for client in made] == (
        ["dynamodb", "lambda", "lambda", "scheduler"] + ["sqs", "sns"] * 3
    )
    assert [client.meta.region_name for client in made[4:]] == (
        ["ap-south-1"] * 4 + ["sa-east-1"] * 2
    )


def test_session_is_made_in_region_of_settings(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    def session(**options):
        asked.append(options)
        return CountingSession()

    monkeypatch.setattr("workpool_aws.adapters.aws.clients.boto3.Session", session)

    aws_ports("t-1", settings=Settings(region="eu-north-1"))
    session_of(profile="p")

    assert asked == [
        {"profile_name": None, "region_name": "eu-north-1"},
        {"profile_name": "p", "region_name": None},
    ]


def test_settings_of_deployment_are_known_to_its_pools(session):
    known = Settings(
        loop_arn=LOOP,
        completion_arn=DONE,
        schedule_group="group-9",
        scheduler_role_arn=ROLE,
        acknowledging=("told",),
        jobs=(("send", "mailer:live"), ("crawl", LOOP + "-of-others")),
        pools=(("email", 3), ("sms", 0)),
    )
    assert aws_ports("t-1", session, settings=known).deployed == Deployment(
        loop_arn=LOOP,
        completion_arn=DONE,
        schedule_group="group-9",
        scheduler_role_arn=ROLE,
        acknowledging=("told",),
        limits=(DeployedLimit("email", 3), DeployedLimit("sms", 0)),
        jobs=(
            DeployedJob("crawl", LOOP + "-of-others"),
            DeployedJob("send", f"{LOOP.rpartition(':')[0]}:mailer:live"),
        ),
    )
    assert aws_ports("t-1", session, settings=Settings(completion_arn=DONE)).deployed is None


def test_metrics_are_written_where_settings_ask_for_them(session, clock, capsys):
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/t-1"
    plain = aws_ports(table, session, clock=clock, settings=Settings()).telemetry
    metered = aws_ports(table, session, clock=clock, settings=Settings(metrics="pools")).telemetry

    for _ in range(2):
        metered.emit(Started(pool="email", work_id="01", attempt=1, lag_ms=40))
        clock.sleep(60_000)

    assert isinstance(plain, LoggerTelemetry)
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (line[TABLE_DIMENSION], line[POOL_DIMENSION], line["Started"]) == ("t-1", "email", 2)


def test_parts_are_systems_unless_given(session):
    ports = aws_ports("t-1", session, settings=Settings(loop_arn=LOOP))
    assert (ports.table, ports.loop_arn) == ("t-1", LOOP)
    kinds = [SystemClock, SystemEntropy, LoggerTelemetry, ThreadFanOut]
    assert [
        type(part) for part in (ports.clock, ports.entropy, ports.telemetry, ports.fan_out)
    ] == kinds


def test_given_parts_are_used(session, clock, entropy):
    telemetry, fan_out = ListTelemetry(), SerialFanOut()
    ports = aws_ports(
        "t-1",
        session,
        clock=clock,
        entropy=entropy,
        telemetry=telemetry,
        fan_out=fan_out,
        settings=Settings(),
    )
    assert (ports.clock, ports.entropy, ports.telemetry, ports.fan_out) == (
        clock,
        entropy,
        telemetry,
        fan_out,
    )
    assert ports.loop_arn is None


def test_environment_is_read_when_no_settings_are_given(session, monkeypatch):
    monkeypatch.setenv("WORKPOOL_LOOP_ARN", LOOP)
    assert aws_ports("t-1", session).loop_arn == LOOP


def test_missing_region_is_named(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(UsageError) as caught:
        aws_ports("t-1", boto3.Session(), settings=Settings())
    assert caught.value.field == "region"


def test_clients_are_made_when_they_are_needed(counting):
    with mock_aws():
        ports = aws_ports("t-1", counting, settings=Settings())
        assert counting.made == ["dynamodb"]
        ports.invoker.limits("send")
        ports.invoker.limits("send")
        assert counting.made == ["dynamodb", "lambda"]
        with pytest.raises(InvokeRefused):
            ports.invoker.start_loop(LOOP, LoopRequest(table="t-1", pool="email", generation=1))
    assert counting.made == ["dynamodb", "lambda", "lambda"]
    assert counting.configs == [
        CLIENT_CONFIGS["dynamodb"],
        CLIENT_CONFIGS["lambda-retrying"],
        CLIENT_CONFIGS["lambda"],
    ]


def test_invocations_begin_traces_of_their_own(counting, far, clock, entropy):
    counting.listen = far.listen
    ports = aws_ports("t-1", counting, clock=clock, entropy=entropy, settings=Settings())
    ports.invoker.start_loop(LOOP, LoopRequest(table="t-1", pool="email", generation=1))
    ports.invoker.start_work("send", replace(ASSIGNMENT, claimed=False), "{}")
    ports.invoker.start_work("send", ASSIGNMENT, "{}")
    traces = [request.headers["X-Amzn-Trace-Id"].decode() for request in far.requests]
    assert [trace.partition(";")[0].count("-") for trace in traces] == [2] * 3
    assert len(set(traces)) == 3


def test_timer_knows_its_place_from_settings(counting, far, clock):
    counting.listen = far.listen
    far.default = (200, {"ScheduleArn": "arn"}, "")
    known = Settings(loop_arn=LOOP, schedule_group="group-9", scheduler_role_arn=ROLE)
    aws_ports("t-1", counting, clock=clock, settings=known).timer.wake_at(
        "email", EpochMs(clock.now() + 3_600_000)
    )
    [order] = far.bodies
    assert (order["GroupName"], order["Target"]["Arn"], order["Target"]["RoleArn"]) == (
        "group-9",
        LOOP,
        ROLE,
    )
    assert counting.made == ["dynamodb", "scheduler"]


def test_threads_make_each_client_once_and_one_at_time(counting):
    meeting = threading.Barrier(8)

    def ask(n):
        meeting.wait(timeout=10)
        return ports.invoker.limits(f"send-{n}")

    with mock_aws():
        ports = aws_ports("t-1", counting, settings=Settings())
        assert (
            ports.fan_out(ask, range(8))
            == [FunctionLimits(timeout_ms=900_000, event_age_ms=21_600_000)] * 8
        )
    assert (counting.made, counting.crowd) == (["dynamodb", "lambda"], 1)


def test_sessions_do_not_make_clients_at_one_time():
    assert incarnation._count.making.acquire(timeout=5)
    try:
        waiting = threading.Thread(
            target=lambda: aws_ports("t-1", CountingSession(), settings=Settings()), daemon=True
        )
        waiting.start()
        waiting.join(timeout=0.05)
        assert waiting.is_alive()
    finally:
        incarnation._count.making.release()
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_store_and_timer_work_on_emulated_aws(session, clock, entropy):
    with mock_aws():
        create_table(session.client("dynamodb"), "t-1")
        scheduler = session.client("scheduler")
        scheduler.create_schedule_group(Name="group-1")
        ports = aws_ports(
            "t-1",
            session,
            clock=clock,
            entropy=entropy,
            telemetry=ListTelemetry(),
            settings=Settings(),
        )
        deployment = Deployment(loop_arn=LOOP, schedule_group="group-1", scheduler_role_arn=ROLE)
        ports.store.write(Put(deployment))
        assert ports.store.get(DeploymentRef()) == deployment
        # Its place comes from the deployment item; the second order takes the place of the first.
        for hours in (1, 2):
            ports.timer.wake_at("email", EpochMs(clock.now() + hours * 3_600_000))
        stored = scheduler.get_schedule(Name="t-1.email", GroupName="group-1")
        assert (stored["ScheduleExpression"], stored["Target"]["Arn"]) == (
            "at(2026-01-01T02:00:00)",
            LOOP,
        )
        ports.timer.forget("email")
        ports.timer.forget("email")
        assert scheduler.list_schedules()["Schedules"] == []


@pytest.mark.parametrize(
    ("settings", "deployed", "claims"),
    [(None, None, False), (None, DONE, True), (DONE, None, True), (DONE, LOOP, True)],
)
def test_function_claims_by_completion_of_settings_or_else_of_deployment(
    counting, far, settings, deployed, claims
):
    """[WP-5] An enqueuer outside the deployment has no settings: the table says where failures lead."""
    counting.listen = lambda client: (
        far.listen(client) if client.meta.service_model.service_name == "lambda" else client
    )
    marked = {"Timeout": 3, "Environment": {"Variables": {"WORKPOOL_DECORATED": "1"}}}
    far.answers = [
        (200, marked, ""),
        (200, {"DestinationConfig": {"OnFailure": {"Destination": DONE}}}, ""),
    ]
    with mock_aws():
        create_table(boto3.client("dynamodb", region_name="eu-west-1"), "t-1")
        ports = aws_ports("t-1", counting, settings=Settings(completion_arn=settings))
        if deployed is not None:
            ports.store.write(Put(Deployment(loop_arn=LOOP, completion_arn=deployed)))
        assert ports.invoker.limits("send").claims is claims


def test_functions_that_acknowledge_are_those_of_deployment(counting, far):
    counting.listen = lambda client: (
        far.listen(client) if client.meta.service_model.service_name == "lambda" else client
    )
    far.default = (200, {"Timeout": 3}, "")
    with mock_aws():
        create_table(boto3.client("dynamodb", region_name="eu-west-1"), "t-1")
        before = aws_ports("t-1", counting, settings=Settings()).invoker.acknowledges("told")
        ports = aws_ports("t-1", counting, settings=Settings())
        ports.store.write(Put(Deployment(loop_arn=LOOP, acknowledging=("told",))))
        assert (before, ports.invoker.acknowledges("told"), ports.invoker.acknowledges("send")) == (
            False,
            True,
            False,
        )


def test_jobs_are_those_of_deployment(counting):
    job = DeployedJob("send", LOOP + "-mailer")
    with mock_aws():
        create_table(boto3.client("dynamodb", region_name="eu-west-1"), "t-1")
        ports = aws_ports("t-1", counting, settings=Settings())
        ports.store.write(Put(Deployment(loop_arn=LOOP, jobs=(job,))))
        pool = Workpool("t-1", ports=ports)
        send = pool.action(name="send")(lambda: None)

        assert pool.show(None, send.enqueue(None)).target == job.target
        with pytest.raises(UsageError, match="a job that is deployed: send; got the job 'lambda'"):
            pool.action(lambda: None).enqueue(None)


def test_pool_with_session_of_its_own_makes_each_client_once(counting):
    with mock_aws():
        create_table(boto3.client("dynamodb", region_name="eu-west-1"), "t-1")
        pool = Workpool("t-1", "email", session=counting)
        states = [pool.status(None, ASSIGNMENT.work_id).state for _ in range(3)]

    assert (states, counting.made) == (["unknown"] * 3, ["dynamodb"])


def test_lean_calls_repeat_starts_that_are_claimed_alone(
    counting, far, clock, entropy, monkeypatch
):
    monkeypatch.setattr("time.sleep", lambda _: None)
    counting.listen, far.default = far.listen, (500, {}, "ServiceException")
    lean = Settings(lean_calls=True)
    ports = aws_ports("t-1", counting, clock=clock, entropy=entropy, settings=lean)
    requests = []
    for claimed in (False, True):
        far.requests.clear()
        with pytest.raises(InvokeUnanswered):
            ports.invoker.start_work("send", replace(ASSIGNMENT, claimed=claimed), "{}")
        requests.append(len(far.requests))

    assert requests == [1, 1 + CLIENT_CONFIGS["lambda-retrying"].retries["total_max_attempts"]]


def test_lean_calls_do_not_repeat_refused_starts(counting, far, clock, entropy):
    counting.listen, far.default = far.listen, refusal(413, "RequestTooLargeException")
    lean = Settings(lean_calls=True)
    ports = aws_ports("t-1", counting, clock=clock, entropy=entropy, settings=lean)
    with pytest.raises(InvokeRefused):
        ports.invoker.start_work("send", replace(ASSIGNMENT, claimed=True), "{}")
    assert len(far.requests) == 1


def test_lean_start_that_is_answered_with_another_success_was_sent(counting, far, clock, entropy):
    counting.listen, far.default = far.listen, (200, {}, "")
    lean = Settings(lean_calls=True)
    ports = aws_ports("t-1", counting, clock=clock, entropy=entropy, settings=lean)
    ports.invoker.start_work("send", ASSIGNMENT, "{}")
    assert len(far.requests) == 1


def test_lean_calls_without_credentials_ask_for_them_once(clock, entropy, monkeypatch):
    session = boto3.Session(region_name="eu-west-1")
    asked = []
    monkeypatch.setattr(session, "get_credentials", lambda: asked.append(1))
    monkeypatch.setattr(session._session, "get_credentials", lambda: None)
    lean = Settings(lean_calls=True)
    store = aws_ports("t-1", session, clock=clock, entropy=entropy, settings=lean).store
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="give credentials"):
            store.get(DeploymentRef())
    assert asked == [1]

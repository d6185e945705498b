"""Far wakes: one schedule a pool, ordered, replaced and forgotten."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from botocore import exceptions as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from workpool_aws.adapters.aws.clients import CLIENT_CONFIGS
from workpool_aws.adapters.aws.schedule_names import schedule_name
from workpool_aws.adapters.aws.scheduler import EventBridgeTimer, ScheduleHome
from workpool_aws.adapters.wire.loop import request_from_wire
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Deployment
from workpool_aws.model.messages import LoopRequest
from workpool_aws.ports import TimerUnavailable

LOOP = "arn:aws:lambda:eu-west-1:123456789012:function:loop"
ROLE = "arn:aws:iam::123456789012:role/scheduler"
HOME = ScheduleHome(loop_arn=LOOP, group="group-1", role_arn=ROLE)
HOMELESS = ScheduleHome(loop_arn=None, group=None, role_arn=None)
HOUR_MS = 3_600_000
CONFLICT = (409, {"Message": "there is one"}, "ConflictException")
NOT_FOUND = (404, {"Message": "there is none"}, "ResourceNotFoundException")
OK = (
    200,
    {"ScheduleArn": "arn:aws:scheduler:eu-west-1:123456789012:schedule/group-1/t-1.email"},
    "",
)

TABLES = st.text("ab.-_", min_size=3, max_size=255)
POOLS = st.text("ab-_", min_size=1, max_size=40)


@pytest.fixture
def make_timer(session, far, clock, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = far.listen(session.client("scheduler", config=CLIENT_CONFIGS["scheduler"]))
    far.default = OK

    def make(home=HOME, deployment=lambda: None, table="t-1"):
        return EventBridgeTimer(lambda: client, clock, table, home=home, deployment=deployment)

    return make


def sent(far):
    """Verb, path and body of each request, without the client's own token."""
    return [
        (
            r.method,
            re.sub(r"^https://[^/]+", "", r.url),
            {k: v for k, v in body.items() if k != "ClientToken"} if body else None,
        )
        for r, body in zip(far.requests, far.bodies, strict=True)
    ]


def verbs(far):
    return [request.method for request in far.requests]


def test_order_is_schedule_that_fires_once_and_is_gone(make_timer, far, clock):
    make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))
    [(method, path, body)] = sent(far)
    assert (method, path) == ("POST", "/schedules/t-1.email")
    wake = json.loads(body["Target"].pop("Input"))
    assert request_from_wire(wake) == LoopRequest(table="t-1", pool="email", generation=None)
    assert body == {
        "GroupName": "group-1",
        "Description": "Wakes the loop of pool email for work that is due later.",
        "ScheduleExpression": "at(2026-01-01T01:00:00)",
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "State": "ENABLED",
        "Target": {
            "Arn": LOOP,
            "RoleArn": ROLE,
            "RetryPolicy": {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 10},
        },
    }


@pytest.mark.parametrize(
    ("in_ms", "expression"),
    [
        (-HOUR_MS, "at(2026-01-01T00:01:00)"),
        (0, "at(2026-01-01T00:01:00)"),
        (59_999, "at(2026-01-01T00:01:00)"),
        (60_000, "at(2026-01-01T00:01:00)"),
        (60_001, "at(2026-01-01T00:01:01)"),
        (366 * 24 * HOUR_MS, "at(2027-01-02T00:00:00)"),
    ],
)
@pytest.mark.peer("BW18")
def test_wake_lies_minute_ahead_at_least(make_timer, far, clock, in_ms, expression):
    make_timer().wake_at("email", EpochMs(clock.now() + in_ms))
    assert far.bodies[0]["ScheduleExpression"] == expression


def test_second_order_takes_place_of_first_and_names_every_field(make_timer, far, clock):
    far.answers = [CONFLICT, OK]
    make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))
    created, updated = sent(far)
    assert (created[0], updated[0]) == ("POST", "PUT")
    assert updated[1:] == created[1:]


def test_schedule_that_fired_in_between_is_created_again(make_timer, far, clock):
    far.answers = [CONFLICT, NOT_FOUND, OK]
    make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))
    assert verbs(far) == ["POST", "PUT", "POST"]


def test_schedule_that_others_fight_over_is_given_up(make_timer, far, clock):
    far.answers = [CONFLICT, NOT_FOUND, CONFLICT]
    with pytest.raises(TimerUnavailable, match=r"t-1\.email"):
        make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))
    assert verbs(far) == ["POST", "PUT", "POST"]


ERRORS = [
    (400, {"Message": "bad role"}, "ValidationException"),
    (402, {"Message": "too many"}, "ServiceQuotaExceededException"),
    (403, {"Message": "no"}, "AccessDeniedException"),
    (429, {"Message": "slow down"}, "ThrottlingException"),
    (500, {"Message": "oh"}, "InternalServerException"),
    sdk.ReadTimeoutError(endpoint_url="https://scheduler"),
    sdk.EndpointConnectionError(endpoint_url="https://scheduler"),
]


@pytest.mark.parametrize("error", [*ERRORS, NOT_FOUND], ids=str)
def test_order_that_is_not_taken_says_so(make_timer, far, clock, error):
    far.default = error
    far.answers = [error] * 2
    with pytest.raises(TimerUnavailable):
        make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))


def test_update_that_is_not_taken_says_so(make_timer, far, clock):
    far.answers = [CONFLICT, CONFLICT]
    with pytest.raises(TimerUnavailable, match="ConflictException"):
        make_timer().wake_at("email", EpochMs(clock.now() + HOUR_MS))


@pytest.mark.parametrize("answer", [OK, NOT_FOUND], ids=["there", "gone"])
def test_forgetting_deletes_what_is_there(make_timer, far, answer):
    far.answers = [answer]
    make_timer().forget("email")
    [(method, path, _)] = sent(far)
    assert (method, path.split("&")[0]) == ("DELETE", "/schedules/t-1.email?groupName=group-1")


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_forgetting_that_fails_says_so(make_timer, far, error):
    far.answers = [error] * 2
    with pytest.raises(TimerUnavailable):
        make_timer().forget("email")


def test_role_comes_from_deployment_if_not_from_environment(make_timer, far, clock):
    found = Deployment(loop_arn=LOOP, schedule_group="found", scheduler_role_arn=ROLE)
    timer = make_timer(HOMELESS, lambda: found)
    timer.wake_at("email", EpochMs(clock.now() + HOUR_MS))
    timer.forget("email")
    created, deleted = far.requests
    assert (json.loads(created.body)["GroupName"], json.loads(created.body)["Target"]["Arn"]) == (
        "found",
        LOOP,
    )
    assert "groupName=found" in deleted.url


def test_environment_beats_deployment(make_timer, far, clock):
    found = Deployment(loop_arn=LOOP + "-other", schedule_group="other", scheduler_role_arn=ROLE)
    make_timer(ScheduleHome(loop_arn=LOOP, group="ours", role_arn=None), lambda: found).wake_at(
        "email", EpochMs(clock.now() + HOUR_MS)
    )
    assert (
        far.bodies[0]["GroupName"],
        far.bodies[0]["Target"]["Arn"],
        far.bodies[0]["Target"]["RoleArn"],
    ) == ("ours", LOOP, ROLE)


def test_deployment_is_not_read_when_all_is_known(make_timer, far, clock):
    def unreadable():
        raise StoreUnavailable("not asked for")

    timer = make_timer(HOME, unreadable)
    timer.wake_at("email", EpochMs(clock.now() + HOUR_MS))
    timer.forget("email")
    assert verbs(far) == ["POST", "DELETE"]


@pytest.mark.parametrize(
    ("home", "found", "missing"),
    [
        (
            HOMELESS,
            None,
            ["WORKPOOL_LOOP_ARN", "WORKPOOL_SCHEDULE_GROUP", "WORKPOOL_SCHEDULER_ROLE_ARN"],
        ),
        (
            HOMELESS,
            Deployment(loop_arn=LOOP),
            ["WORKPOOL_SCHEDULE_GROUP", "WORKPOOL_SCHEDULER_ROLE_ARN"],
        ),
        (
            ScheduleHome(loop_arn=LOOP, group="g", role_arn=None),
            None,
            ["WORKPOOL_SCHEDULER_ROLE_ARN"],
        ),
    ],
)
def test_order_without_home_says_what_is_missing(make_timer, far, clock, home, found, missing):
    with pytest.raises(TimerUnavailable) as caught:
        make_timer(home, lambda: found).wake_at("email", EpochMs(clock.now() + HOUR_MS))
    assert re.findall(r"WORKPOOL_\w+", str(caught.value)) == missing
    assert far.requests == []


def test_forget_without_group_does_nothing(make_timer, far):
    make_timer(HOMELESS).forget("email")
    assert far.requests == []


def test_deployment_that_cannot_be_read_makes_timer_unavailable(make_timer, clock):
    def unreadable():
        raise StoreUnavailable("no answer")

    timer = make_timer(HOMELESS, unreadable)
    with pytest.raises(TimerUnavailable, match="no answer"):
        timer.wake_at("email", clock.now())
    with pytest.raises(TimerUnavailable, match="no answer"):
        timer.forget("email")


@settings(deadline=None)
@given(st.lists(st.tuples(TABLES, POOLS), unique=True, max_size=30))
def test_names_are_allowed_and_no_two_pools_share_one(pools):
    names = [schedule_name(table, pool) for table, pool in pools]
    assert [re.fullmatch(r"[0-9a-zA-Z_.-]{1,64}", name) is not None for name in names] == [
        True
    ] * len(names)
    assert len(set(names)) == len(names)


def test_pools_whose_names_could_run_together_do_not():
    spread = [("a" * n, "a" * m) for n, m in itertools.product(range(3, 70), range(1, 41))]
    mixed = [
        ("t-a", "b"),
        ("t", "a-b"),
        ("t.a", "b"),
        ("t", "b"),
        ("t" * 255, "p"),
        ("t" * 255, "q"),
        ("t" * 254 + "u", "p"),
    ]
    assert len({schedule_name(*pair) for pair in spread + mixed}) == len(set(spread + mixed))


def test_name_is_readable_where_it_fits_and_same_every_time():
    assert schedule_name("orders", "email") == "orders.email"
    assert schedule_name("t" * 57, "email") == "t" * 57 + ".email"
    assert re.fullmatch(r"t{43}-[0-9a-f]{20}", schedule_name("t" * 58, "email"))
    assert schedule_name("t" * 58, "email") == schedule_name("t" * 58, "email")


def test_table_given_by_its_arn_has_name_too():
    name = schedule_name("arn:aws:dynamodb:eu-west-1:123456789012:table/orders", "email")
    assert re.fullmatch(r"arn-aws-dynamodb-eu-west-1-123456789012-tab-[0-9a-f]{20}", name)

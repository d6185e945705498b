"""Bad input: a UsageError that names field, value and what is allowed, before anything is stored."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from workpool_aws import NotFound, PayloadTooLarge, UsageError, Workpool, WorkpoolError
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

NAIVE = datetime(2031, 1, 1)  # noqa: DTZ001 - the mistake under test


def nothing(event: Mapping[str, Any], _: object) -> None:
    del event


def cycle() -> dict[str, object]:
    args: dict[str, object] = {}
    args["self"] = args
    return args


def deep(levels: int) -> dict[str, object]:
    args: dict[str, object] = {}
    for _ in range(levels):
        args = {"in": args}
    return args


def assert_nothing_happened(cloud: LocalCloud, fn: str) -> None:
    before = cloud.now
    cloud.run_until_idle()
    assert cloud.invocations(fn) == []
    assert cloud.now == before, "something was left that made time pass"


def test_errors_are_also_value_errors() -> None:
    assert issubclass(UsageError, ValueError)
    assert issubclass(UsageError, WorkpoolError)
    assert issubclass(PayloadTooLarge, UsageError)
    assert issubclass(NotFound, WorkpoolError)


@pytest.mark.parametrize(
    "args",
    [
        None,
        [],
        [1, 2],
        "text",
        7,
        {"n": float("nan")},
        {"n": float("inf")},
        {"n": [float("-inf")]},
        {"n": {1, 2}},
        {"n": object()},
        {"n": b"bytes"},
        {"n": datetime(2030, 1, 1, tzinfo=UTC)},
        {"n": Decimal("1.5")},
        {1: "an int as key"},
        {"n": {2: "inside"}},
        {None: "none as key"},
        {"n": "\ud800"},
        {"_workpool": {"pool": "another"}},
        cycle(),
        deep(5_000),
    ],
    ids=lambda args: (
        repr(args)[:40] if not isinstance(args, dict) or len(repr(type(args))) > 40 else None
    ),
)
def test_arguments_that_are_no_json_object_are_refused(cloud: LocalCloud, args: Any) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(UsageError, match="args"):
        pool.enqueue_action(None, fn, args)

    assert_nothing_happened(cloud, fn)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"run_at": NAIVE}, "run_at"),
        ({"run_at": "2031-01-01T00:00:00Z"}, "run_at"),
        ({"run_at": 1_900_000_000}, "run_at"),
        ({"run_at": datetime(2031, 1, 1, tzinfo=UTC), "run_after": timedelta(seconds=1)}, "run_a"),
        ({"run_after": timedelta(days=367)}, "run_after"),
        ({"run_after": timedelta.max}, "run_after"),
        ({"run_at": datetime.max.replace(tzinfo=UTC)}, "run_at"),
        ({"run_after": 30}, "run_after"),
        ({"run_after": True}, "run_after"),
        ({"run_after": "5 minutes"}, "run_after"),
        ({"retry": 3}, "retry"),
        ({"retry": "yes"}, "retry"),
        ({"retry": {"max_attempts": 3}}, "retry"),
        ({"retry": 1}, "retry"),
    ],
    ids=str,
)
def test_bad_options_are_refused(cloud: LocalCloud, options: dict[str, Any], field: str) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(UsageError, match=field) as caught:
        pool.enqueue_action(None, fn, {}, **options)

    assert str(caught.value).startswith(field)
    assert " must be " in str(caught.value)
    assert "; got " in str(caught.value)
    assert_nothing_happened(cloud, fn)


@pytest.mark.parametrize(
    "target",
    [
        "",
        " ",
        "two words",
        None,
        7,
        b"fn",
        "fn\n",
        "x" * 200,
        "arn:aws:s3:::bucket",
        "arn:aws:sqs:eu-central-1:123456789012:queue",
        "arn:aws:lambda:eu-central-1:123456789012:function:",
        "arn:aws:lambda:eu-central-1:123456789012:layer:mine:1",
        "https://example.com/fn",
    ],
    ids=repr,
)
def test_target_must_be_function(cloud: LocalCloud, target: Any) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(UsageError, match="target"):
        pool.enqueue_action(None, target, {})

    assert_nothing_happened(cloud, fn)


@pytest.mark.parametrize(
    "target",
    [
        "send-mail",
        "send_mail:live",
        "send-mail:$LATEST",
        "send-mail:7",
        "arn:aws:lambda:eu-central-1:123456789012:function:send-mail",
        "arn:aws:lambda:eu-central-1:123456789012:function:send-mail:live",
        "arn:aws:lambda:eu-central-1:123456789012:function:send-mail:$LATEST",
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:send-mail:7",
    ],
)
def test_every_form_of_function_is_target(cloud: LocalCloud, target: str) -> None:
    pool = cloud.workpool(max_parallelism=0)

    work_id = pool.enqueue_action(None, target, {})

    assert pool.status(None, work_id).state == "pending"


@pytest.mark.parametrize(
    "batch",
    [
        None,
        {"n": 1},
        "text",
        [{"n": 1}, None],
        [{"n": 1}, [2]],
        [{"n": 1}, {"n": {3}}],
        [{"n": 1}] * 99 + [{"n": float("nan")}],
    ],
    ids=lambda batch: repr(batch)[:40],
)
def test_batch_with_one_bad_entry_is_refused_whole(cloud: LocalCloud, batch: Any) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(UsageError, match="args"):
        pool.enqueue_action_batch(None, fn, batch)

    assert_nothing_happened(cloud, fn)


def test_arguments_above_limit_are_too_large(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(PayloadTooLarge) as caught:
        pool.enqueue_action(None, fn, {"text": "x" * 1_000_000})

    assert "args" in str(caught.value)
    assert_nothing_happened(cloud, fn)


@both_engines
@pytest.mark.parametrize(
    "text",
    ["x" * 180_000, "ä" * 90_000, '"' * 90_000, "\x01" * 30_000],
    ids=["ascii", "umlauts", "quotes", "control"],
)
def test_large_arguments_and_results_come_back_whole(
    cloud: LocalCloud, answer: Callable[[Workpool, str], Any], text: str
) -> None:
    pool = cloud.workpool()

    @pool.action
    def echo(text: str) -> str:
        return text

    work_id = pool.enqueue_action(None, cloud.function(echo), {"text": text})
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == text


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_parallelism": -1}, "max_parallelism"),
        ({"max_parallelism": 10_001}, "max_parallelism"),
        ({"max_parallelism": True}, "max_parallelism"),
        ({"max_parallelism": 2.0}, "max_parallelism"),
        ({"max_parallelism": "10"}, "max_parallelism"),
        ({"max_parallelism": None}, "max_parallelism"),
        ({"name": ""}, "name"),
        ({"name": "a" * 41}, "name"),
        ({"name": "with space"}, "name"),
        ({"name": "with#hash"}, "name"),
        ({"name": "newline\n"}, "name"),
        ({"name": "ümlaut"}, "name"),
        ({"name": 5}, "name"),
        ({"default_retry": True}, "default_retry"),
        ({"default_retry": None}, "default_retry"),
        ({"retry_actions_by_default": "yes"}, "retry_actions_by_default"),
        ({"status_ttl": 86_400}, "status_ttl"),
        ({"status_ttl": timedelta(seconds=-1)}, "status_ttl"),
        ({"log_level": "LOUD"}, "log_level"),
        ({"log_level": 10}, "log_level"),
    ],
    ids=str,
)
def test_pool_refuses_bad_options(options: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError, match=field):
        Workpool("my-table", **options)


@pytest.mark.parametrize("table", ["", None, 7, "with space", "x" * 256], ids=repr)
def test_pool_refuses_bad_table(table: Any) -> None:
    with pytest.raises(UsageError, match="table"):
        Workpool(table)


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 40])
@pytest.mark.parametrize("limit", [0, 1, 500])
def test_pool_takes_what_is_allowed(name: str, limit: int) -> None:
    assert Workpool("my-table", name=name, max_parallelism=limit).name == name


@pytest.mark.parametrize(
    "options",
    [
        {"max_parallelism": -1},
        {"max_parallelism": 10_001},
        {"max_parallelism": True},
        {"max_parallelism": "3"},
        {"max_parallelism": 1.5},
        {"paused": 1},
        {"paused": "no"},
        {"reset": 1},
        {},
    ],
    ids=str,
)
def test_configure_refuses_bad_input_and_changes_nothing(
    cloud: LocalCloud, options: dict[str, Any]
) -> None:
    pool = cloud.workpool(max_parallelism=4)
    before = pool.config(None)

    with pytest.raises(UsageError):
        pool.configure(None, **options)

    assert pool.config(None) == before


@pytest.mark.parametrize("work_id", [None, 7, b"id"], ids=repr)
def test_id_must_be_text(cloud: LocalCloud, work_id: Any) -> None:
    pool = cloud.workpool()

    for ask in (pool.status, pool.result, pool.cancel):
        with pytest.raises(UsageError, match="work_id"):
            ask(None, work_id)


@pytest.mark.parametrize("ctx", ["ctx", 7, {"aws_request_id": "x"}], ids=repr)
def test_context_must_be_one(cloud: LocalCloud, ctx: Any) -> None:
    pool = cloud.workpool()
    fn = cloud.function(nothing)

    with pytest.raises(UsageError, match="ctx"):
        pool.enqueue_action(ctx, fn, {})

    assert_nothing_happened(cloud, fn)


@pytest.mark.parametrize(
    "options",
    [
        {"clock": "sundial"},
        {"engine": "oracle"},
        {"scheduler": "cron"},
        {"crash_rate": 1.5},
        {"crash_rate": -0.1},
        {"crash_rate": float("nan")},
        {"duplicate_deliveries": 2},
        {"lost_deliveries": -1},
        {"lost_destinations": "often"},
        {"speed": 0},
        {"speed": -1.0},
        {"seed": "x"},
    ],
    ids=str,
)
def test_cloud_refuses_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LocalCloud(**options)


def test_positional_swap_of_context_and_target_is_refused(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    swapped: Any = cloud.function(nothing)

    with pytest.raises(UsageError):
        pool.enqueue_action(swapped, "fn", {})

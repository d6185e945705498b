"""The options of a LocalCloud."""

import socket
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws.errors import UsageError
from workpool_aws.local import LocalCloud, LocalCloudError


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("clock", "fast"),
        ("clock", None),
        ("engine", "sqlite"),
        ("engine", "http://"),
        ("engine", "http://host:port"),
        ("engine", "http://[::1"),
        ("engine", ["memory"]),
        ("faults", "crash"),
        ("seed", 1.0),
        ("engine", 3),
        ("scheduler", "sloppy"),
        ("seed", "1"),
        ("seed", True),
        ("speed", 0),
        ("speed", 2.0),
        ("speed", "fast"),
        ("call_latency", 5),
        ("call_latency", timedelta(seconds=-1)),
        ("stall_timeout", timedelta(0)),
        ("crash_rate", 2),
        ("duplicate_deliveries", "often"),
        ("lost_deliveries", None),
        ("lost_destinations", -1),
    ],
)
def test_bad_option_is_named(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=option):
        LocalCloud(**{option: value})


@pytest.mark.parametrize("value", [0, -1, 1_001, float("nan"), True])
def test_real_clock_has_sensible_speed(value: Any) -> None:
    with pytest.raises(UsageError, match="speed"):
        LocalCloud(clock="real", speed=value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "a b"),
        ("name", ""),
        ("name", "n" * 65),
        ("name", "work:live"),
        ("name", "arn:aws:lambda:us-east-1:123456789012:function:work"),
        ("name", "größe"),
        ("name", "work\n"),
        ("name", 3),
        ("name", b"work"),
        ("timeout", 30),
        ("timeout", timedelta(0)),
        ("timeout", timedelta(minutes=15, milliseconds=1)),
        ("takes", 5),
        ("takes", timedelta(seconds=-1)),
        ("retries", 3),
        ("retries", True),
        ("reserved", -1),
        ("reserved", 1.5),
        ("event_age", timedelta(seconds=59)),
        ("event_age", timedelta(hours=6, milliseconds=1)),
    ],
)
def test_bad_option_of_function_is_named(option: str, value: Any) -> None:
    with LocalCloud(engine="memory") as cloud, pytest.raises(UsageError, match=option):
        cloud.function(lambda _event, _context: None, **{option: value})


def test_function_is_callable() -> None:
    handler: Any = "send_email"
    with LocalCloud(engine="memory") as cloud, pytest.raises(UsageError, match="handler"):
        cloud.function(handler)


class Recursing:
    def __call__(self, _event: object, _context: object) -> str:
        return "ran"

    def __getattr__(self, name: str) -> Any:
        return getattr(self, name + "x")


class Nameless(Recursing):
    @property
    def __name__(self) -> str:
        raise RuntimeError("no name")


@pytest.mark.parametrize("kind", [Recursing, Nameless])
def test_handler_with_odd_attributes_runs_under_name_of_its_class(
    kind: type[Recursing],
) -> None:
    handler = kind()
    with LocalCloud() as cloud:
        fn = cloud.function(handler)
        cloud.invoke(fn, {})
        cloud.run_until_idle()

        assert fn.endswith(f":function:{kind.__name__}")
        assert [each.outcome for each in cloud.invocations(handler)] == ["success"]


def test_cloud_outside_of_its_with_says_so() -> None:
    with pytest.raises(LocalCloudError, match="with"):
        LocalCloud(engine="memory").function(lambda _event, _context: None)


def test_cloud_is_used_once() -> None:
    cloud = LocalCloud(engine="memory")
    with cloud:
        pass

    with pytest.raises(LocalCloudError, match="once"), cloud:
        pass


@pytest.mark.parametrize("name", ["a", "A-z_0", "n" * 64])
def test_name_that_lambda_allows_is_kept(name: str) -> None:
    with LocalCloud() as cloud:
        assert (
            cloud.function(lambda _event, _context: None, name=name)
            == f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        )


@pytest.mark.parametrize(
    "arn", ["done", "", None, 3, "arn:aws:sqs:us-east-1:123456789012:a b", "arn:aws:s3:::bucket"]
)
def test_messages_are_of_queue_or_topic(arn: Any) -> None:
    with (
        LocalCloud() as cloud,
        pytest.raises(UsageError, match="arn must be the ARN of an SQS queue or SNS topic; got "),
    ):
        cloud.messages(arn)


def test_table_on_server_is_not_known_before_it_is_made() -> None:
    cloud = LocalCloud(engine="http://127.0.0.1:1")

    with pytest.raises(LocalCloudError, match="with"):
        _ = cloud.table


@pytest.mark.parametrize("fn", ["nobody", 3, None, [], {}])
def test_unknown_function_is_named(fn: Any) -> None:
    with LocalCloud(engine="memory") as cloud, pytest.raises(UsageError, match="fn"):
        cloud.invocations(fn)


@pytest.mark.parametrize("call", ["advance", "run_until_idle"])
@pytest.mark.parametrize("value", [5, timedelta(seconds=-1), None])
def test_time_passes_by_timedeltas(call: str, value: Any) -> None:
    with LocalCloud(engine="memory") as cloud, pytest.raises(UsageError):
        getattr(cloud, call)(value)


def test_event_is_json() -> None:
    with LocalCloud(engine="memory") as cloud:
        arn = cloud.function(lambda _event, _context: None)
        with pytest.raises(UsageError, match="event"):
            cloud.invoke(arn, {"when": timedelta(1)})


def test_longest_times_that_lambda_allows_are_allowed() -> None:
    with LocalCloud(engine="memory") as cloud:
        arn = cloud.function(
            lambda _event, _context: None,
            name="long",
            timeout=timedelta(minutes=15),
            event_age=timedelta(hours=6),
        )

        assert arn.endswith(":long")


def test_endpoint_without_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.socket() as unserved:
        unserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unserved.getsockname()[1]}"
        with (
            pytest.raises(
                LocalCloudError, match=rf"^engine '{url}' does not answer as DynamoDB does: "
            ),
            LocalCloud(engine=url),
        ):
            pass

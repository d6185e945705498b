"""Failures of work items as tests see them: planned, raised again, and listed."""

import traceback
from collections.abc import Iterator
from datetime import timedelta
from functools import wraps

import pytest

from workpool_aws import OnCompleteEvent, RetryPolicy, Snooze, UsageError, Work, Workpool
from workpool_aws.local import LocalCloud, LocalCloudError, WorkFailed

pool = Workpool("workpool-local", default_retry=RetryPolicy(max_attempts=3))


@pool.action
def send_email(to: str) -> str:
    if to == "nobody":
        raise LookupError("no such address")
    return f"sent to {to}"


@pool.action
def sleep_long(work: Work) -> None:
    work.sleep(timedelta(minutes=10))


def plain(event: dict[str, str], context: object) -> str:
    if event.get("to") == "nobody":
        raise LookupError("no such address")
    if event.get("to") == "exit":
        raise SystemExit(3)
    return "plain"


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        for handler in (send_email, sleep_long, plain):
            cloud.function(handler)
        yield cloud


def enqueue(fn: str = "send_email", *, retry: bool = False, **args: object) -> str:
    return pool.enqueue_action(None, fn, args, retry=retry)


def value_of(work_id: str) -> object:
    result = pool.result(None, work_id)
    return None if result is None else (result.return_value or result.error)


def frames_of(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("fn", ["send_email", "plain"])
def test_raise_failures_raises_functions_own_error(cloud: LocalCloud, fn: str) -> None:
    work_id = enqueue(fn, to="nobody")

    with pytest.raises(LookupError, match="no such address") as raised:
        cloud.run_until_idle(raise_failures=True)

    assert frames_of(raised.value)[-1] == fn
    assert "_run" not in frames_of(raised.value)
    assert raised.value.__notes__ == [
        f"{fn}(to='nobody') failed in its only attempt: LookupError: no such address (pool default, {work_id})"
    ]


def test_raise_failures_raises_first_of_several(cloud: LocalCloud) -> None:
    enqueue(to="a")
    cloud.fail_next(send_email, KeyError("first"))
    cloud.fail_next(send_email, KeyError("second"))
    enqueue(to="b")
    enqueue(to="c")

    with pytest.raises(KeyError, match="first"):
        cloud.run_until_idle(raise_failures=True)


def test_raise_failures_leaves_out_failures_of_earlier_calls(cloud: LocalCloud) -> None:
    enqueue(to="nobody")
    cloud.run_until_idle()

    cloud.run_until_idle(raise_failures=True)
    enqueue("plain", to="nobody")
    with pytest.raises(LookupError):
        cloud.run_until_idle(raise_failures=True)
    cloud.run_until_idle(raise_failures=True)

    assert [failure.work.call for failure in cloud.failures] == [
        "send_email(to='nobody')",
        "plain(to='nobody')",
    ]


def test_raise_failures_sees_failures_of_advance(cloud: LocalCloud) -> None:
    enqueue(to="nobody")
    cloud.advance(timedelta(minutes=1))

    with pytest.raises(LookupError):
        cloud.run_until_idle(raise_failures=True)


def test_raise_failures_lets_retried_attempts_pass(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, TimeoutError("mail server"), times=2)
    work_id = enqueue(to="a", retry=True)

    cloud.run_until_idle(raise_failures=True)

    assert value_of(work_id) == "sent to a"


def test_raise_failures_raises_when_no_attempt_is_left(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, TimeoutError("mail server"), times=3)
    work_id = enqueue(to="a", retry=True)

    with pytest.raises(TimeoutError) as raised:
        cloud.run_until_idle(raise_failures=True)

    assert raised.value.__notes__ == [
        f"send_email(to='a') failed in attempt 3 of 3: TimeoutError: mail server (pool default, {work_id})"
    ]


def test_raise_failures_names_failure_without_error(cloud: LocalCloud) -> None:
    enqueue(too="a")

    with pytest.raises(WorkFailed, match="invalid_arguments: to: Field required") as raised:
        cloud.run_until_idle(raise_failures=True)

    assert raised.value.__cause__ is None


def test_raise_failures_names_timeout(cloud: LocalCloud) -> None:
    enqueue("sleep_long")

    with pytest.raises(WorkFailed, match=r"^sleep_long\(\) failed in its only attempt: timeout"):
        cloud.run_until_idle(raise_failures=True)


def test_raise_failures_chains_error_that_ended_process(cloud: LocalCloud) -> None:
    enqueue("plain", to="exit")

    with pytest.raises(WorkFailed, match="crashed") as raised:
        cloud.run_until_idle(raise_failures=True)

    assert isinstance(raised.value.__cause__, SystemExit)


def test_raise_failures_ignores_canceled_work_items(cloud: LocalCloud) -> None:
    work_id = enqueue(to="a")
    pool.cancel(None, work_id)

    cloud.run_until_idle(raise_failures=True)

    assert cloud.failures == []


def test_raise_failures_survives_hostile_error(cloud: LocalCloud) -> None:
    class Hostile(Exception):
        __notes__ = property(lambda self: 1 / 0)

        def __str__(self) -> str:
            raise RuntimeError("no text")

    cloud.fail_next(send_email, Hostile())
    enqueue(to="a")

    with pytest.raises(Hostile):
        cloud.run_until_idle(raise_failures=True)


def test_failures_come_in_order_of_their_time(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, ValueError("early"))
    early = enqueue(to="a")
    cloud.run_until_idle()
    cloud.advance(timedelta(seconds=1))
    late = enqueue("plain", to="nobody")
    enqueue(to="b")
    cloud.run_until_idle()

    failures = cloud.failures

    assert [each.work.work_id for each in failures] == [early, late]
    assert [each.error_type for each in failures] == ["ValueError", "LookupError"]
    assert [each.error for each in failures] == ["early", "no such address"]
    assert [type(each.exception) for each in failures] == [ValueError, LookupError]
    assert failures[0].attempts == 1
    assert failures[0].failed_at < failures[1].failed_at <= cloud.now


def test_failed_attempts_show_what_will_be_tried_again(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, TimeoutError("mail server"))
    pool.enqueue_action(
        None,
        "send_email",
        {"to": "a"},
        retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(hours=3)),
    )
    cloud.advance(timedelta(minutes=1))

    assert cloud.failures == []
    assert [str(each).partition(" (")[0] for each in cloud.failed_attempts()] == [
        "send_email(to='a') failed in attempt 1 of 2 and is pending: TimeoutError: mail server"
    ]


def test_snooze_is_no_failure(cloud: LocalCloud) -> None:
    @pool.action
    def wait(work: Work) -> str:
        raise Snooze(timedelta(hours=1))

    cloud.function(wait)
    enqueue("wait")
    cloud.advance(timedelta(minutes=1))

    assert cloud.failed_attempts() == []


def test_a_dead_callback_is_a_failure(cloud: LocalCloud) -> None:
    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None:
        raise LookupError("no such order")

    cloud.function(email_sent)
    work_id = send_email.with_options(on_complete="email_sent").enqueue(None, to="a")
    cloud.advance(timedelta(seconds=30))
    [trying] = cloud.failed_attempts()
    assert cloud.failures == []

    with pytest.raises(LookupError, match="no such order") as raised:
        cloud.run_until_idle(raise_failures=True)

    assert frames_of(raised.value)[-1] == "email_sent"
    [dead] = cloud.failures
    assert str(trying) == (
        "the callback of send_email(to='a') to email_sent failed and will be tried again: "
        f"LookupError: no such order (pool default, {work_id})"
    )
    assert str(dead) == str(trying).replace(" and will be tried again", "")
    cloud.run_until_idle(raise_failures=True)


def test_a_dead_callback_without_an_error_is_named(cloud: LocalCloud) -> None:
    send_email.with_options(on_complete="absent").enqueue(None, to="a")

    with pytest.raises(WorkFailed, match="to absent failed: dead"):
        cloud.run_until_idle(raise_failures=True)


def test_a_callback_that_was_delivered_at_last_is_no_failure(cloud: LocalCloud) -> None:
    errors = [LookupError("no such order")]

    @pool.on_complete
    def email_sent(event: OnCompleteEvent) -> None:
        if errors:
            raise errors.pop()

    cloud.function(email_sent)
    send_email.with_options(on_complete="email_sent").enqueue(None, to="a")
    cloud.run_until_idle(raise_failures=True)

    assert cloud.failed_attempts() == []


@pytest.mark.parametrize(
    "fn", [send_email, "send_email", "arn:aws:lambda:us-east-1:123456789012:function:send_email"]
)
def test_fail_next_takes_workers_names_and_arns(cloud: LocalCloud, fn: object) -> None:
    cloud.fail_next(fn, TimeoutError("mail server"), times=2)

    ids = []
    for _ in range(3):
        ids.append(enqueue(to="a"))
        cloud.run_until_idle()

    assert [value_of(each) for each in ids] == ["mail server", "mail server", "sent to a"]


def test_fail_next_fails_undecorated_function(cloud: LocalCloud) -> None:
    cloud.fail_next(plain, TimeoutError("mail server"))

    ids = []
    for _ in range(2):
        ids.append(enqueue("plain", to="a"))
        cloud.run_until_idle()

    assert [value_of(each) for each in ids] == ["mail server", "plain"]


def test_fail_next_reaches_worker_inside_of_wrapper(cloud: LocalCloud) -> None:
    @wraps(send_email)
    def wrapped(event: object, context: object) -> object:
        return send_email(event, context)

    cloud.function(wrapped, name="wrapped")
    cloud.fail_next(send_email, TimeoutError("mail server"))
    work_id = enqueue("wrapped", to="a")
    cloud.run_until_idle()

    assert value_of(work_id) == "mail server"


def test_fail_next_takes_jobs_and_handles(cloud: LocalCloud) -> None:
    @pool.action(name="mail.send")
    def send(to: str) -> str:
        return "sent"

    cloud.function(send)
    cloud.fail_next("mail.send", TimeoutError("by its name"))
    cloud.fail_next(send.with_options(retry=True), TimeoutError("by its handle"))

    ids = []
    for _ in range(3):
        ids.append(send.enqueue(None, to="a"))
        cloud.run_until_idle()

    assert [value_of(each) for each in ids] == ["by its name", "by its handle", "sent"]


def test_fail_next_leaves_other_functions_and_events_alone(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, TimeoutError("mail server"))
    other = enqueue("plain", to="a")
    cloud.invoke(send_email, {"to": "b"})
    cloud.run_until_idle()
    planned = enqueue(to="a")
    cloud.run_until_idle()

    assert (value_of(other), value_of(planned)) == ("plain", "mail server")


def test_fail_next_leaves_invalid_arguments_as_they_are(cloud: LocalCloud) -> None:
    cloud.fail_next(send_email, TimeoutError("mail server"))
    invalid = enqueue(too="a")
    cloud.run_until_idle()
    planned = enqueue(to="a")
    cloud.run_until_idle()

    assert (value_of(invalid), value_of(planned)) == (
        "to: Field required; too: Unexpected keyword argument",
        "mail server",
    )


def test_fail_next_raises_one_error_many_times_without_growing_it(cloud: LocalCloud) -> None:
    error = TimeoutError("mail server")
    cloud.fail_next(send_email, error, times=20)
    for _ in range(20):
        enqueue(to="a")
        cloud.run_until_idle()

    assert len(frames_of(error)) < 10


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("fn", ("send_emial", TimeoutError())),
        ("fn", (lambda event, context: None, TimeoutError())),
        ("error", (send_email, TimeoutError)),
        ("error", (send_email, "mail server")),
        ("error", (send_email, KeyboardInterrupt())),
        ("times", (send_email, TimeoutError(), 0)),
        ("times", (send_email, TimeoutError(), True)),
    ],
)
def test_fail_next_refuses_bad_value(
    cloud: LocalCloud, field: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(UsageError, match=f"^{field} must be"):
        cloud.fail_next(*arguments)


def test_left_work_items_are_reported_when_none_failed(cloud: LocalCloud) -> None:
    @pool.action
    def snooze(work: Work) -> None:
        work.sleep(timedelta(minutes=1))

    cloud.function(snooze, timeout=timedelta(minutes=2))
    enqueue("snooze")

    with pytest.raises(LocalCloudError, match="has not reported"):
        cloud.run_until_idle(timeout=timedelta(seconds=5), raise_failures=True)

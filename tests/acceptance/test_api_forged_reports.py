"""Forged reports: records for the completion function, texts of exceptions, tickets of callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import OnCompleteEvent, Result, RetryPolicy, Workpool
from workpool_aws.local import LocalCloud

Answer = Callable[[Workpool, str], Result]
Record = dict[str, Any]


def told(name: str, cloud: LocalCloud) -> list[str]:
    return [str(getattr(fact, "work_id", "")) for fact in cloud.facts if fact.name == name]


def record_of(
    event: dict[str, Any],
    condition: str = "Success",
    payload: object = "forged",
    **assignment: object,
) -> Record:
    """Return Lambda's record of this event. `assignment` changes the start in it."""
    own = {**event["_workpool"], **assignment}
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": "r",
            "functionArn": "arn",
            "condition": condition,
            "approximateInvokeCount": 1,
        },
        "requestPayload": {
            **event,
            "_workpool": {name: value for name, value in own.items() if value is not ...},
        },
        "responseContext": {"statusCode": 200} if condition != "EventAgeExceeded" else None,
        "responsePayload": payload,
    }


def carried(event: dict[str, Any], **fields: object) -> str:
    """The text of a report of 0.1, for this start."""
    own = event["_workpool"]
    said = {
        "version": 1,
        "work_id": own["work_id"],
        "start": own["start"],
        "kind": "success",
        "result": '"forged"',
        "error": None,
    }
    return "workpool report " + json.dumps(
        {**said, "error_type": None, "retryable": True, "delay_ms": None, "claim": None, **fields}
    )


FORGERIES: dict[str, Callable[[dict[str, Any]], Record]] = {
    "a success without a nonce": lambda event: record_of(event, nonce=...),
    "a success with a made-up nonce": lambda event: record_of(event, nonce="A" * 24),
    "a success with an empty nonce": lambda event: record_of(event, nonce=""),
    "a success with a nonce that is no text": lambda event: record_of(event, nonce=["A"]),
    "unclaimed": lambda event: record_of(event, nonce="A" * 24, claimed=False),
    "a retry": lambda event: record_of(
        event,
        "RetriesExhausted",
        {"errorMessage": "forged", "errorType": "E"},
        nonce="A" * 24,
        retry={
            "max_attempts": 9,
            "initial_backoff_us": 0,
            "base": 1,
            "max_backoff_us": None,
            "jitter": False,
        },
    ),
    "never delivered": lambda event: record_of(event, "EventAgeExceeded", None, nonce="A" * 24),
    "no retention": lambda event: record_of(event, nonce="A" * 24, retention_s=0),
    "a text of 0.1": lambda event: record_of(
        event,
        "RetriesExhausted",
        {"errorMessage": carried(event), "errorType": "ReportNotWritten"},
        nonce="A" * 24,
    ),
    "the next start": lambda event: record_of(
        event, nonce="A" * 24, start=event["_workpool"]["start"] + 1
    ),
    "a start beyond all numbers": lambda event: record_of(event, start=10**30),
    "an id of a time that cannot be": lambda event: record_of(
        event, work_id="7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
    ),
    "a time beyond all times": lambda event: record_of(event, start_by=10**18, loop_until=10**18),
}


@pytest.mark.parametrize("decorated", [True, False], ids=["decorated", "undecorated"])
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_record_that_does_not_know_starts_secret_changes_nothing(
    cloud: LocalCloud,
    answer: Answer,
    forgery: Callable[[dict[str, Any]], Record],
    *,
    decorated: bool,
) -> None:
    """[WP-28] While the start runs, and when it is over."""
    pool = cloud.workpool()
    runs = 0

    def body() -> str:
        nonlocal runs
        runs += 1
        return "real"

    fn = cloud.function(
        pool.action(body) if decorated else lambda _event, _context: body(),
        takes=timedelta(seconds=20),
        name="f",
    )
    work_id = pool.enqueue_action(None, fn, {}, retry=False)
    cloud.advance(timedelta(seconds=10))
    event = dict(cloud.invocations(fn)[0].event)
    before = pool.status(None, work_id)

    deliver(cloud, forgery(event))

    assert pool.status(None, work_id) == before
    cloud.run_until_idle()
    assert answer(pool, work_id).return_value == "real"
    deliver(cloud, forgery(event))
    cloud.run_until_idle()
    assert answer(pool, work_id).return_value == "real"
    assert runs == 1


def deliver(cloud: LocalCloud, record: Record) -> None:
    cloud.invoke(cloud.completion_arn, record)
    cloud.advance(timedelta(seconds=1))


def test_policy_is_stored_one_whatever_proven_record_says(
    cloud: LocalCloud, answer: Answer
) -> None:
    """[WP-5] [WP-28] Who knows the nonce, an undecorated function, gets no attempt more than it was given, and keeps what was asked."""
    pool = cloud.workpool()
    runs = 0

    def plain(event: dict[str, Any], _: object) -> str:
        nonlocal runs
        runs += 1
        own = event["_workpool"]
        forever = {
            "max_attempts": 99,
            "initial_backoff_us": 0,
            "base": 1,
            "max_backoff_us": None,
            "jitter": False,
        }
        said = record_of(
            event,
            "RetriesExhausted",
            {"errorMessage": "no", "errorType": "E"},
            retry=forever,
            attempts_made=0,
            retention_s=0,
            claimed=False,
        )
        assert own["nonce"]
        cloud.invoke(cloud.completion_arn, said)
        return "late"

    fn = cloud.function(plain)
    work_id = pool.enqueue_action(None, fn, {}, retry=False)
    cloud.run_until_idle()

    assert runs == 1
    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "E")
    cloud.advance(timedelta(hours=23))
    assert answer(pool, work_id) == result


@pytest.mark.parametrize("kind", ["success", "never_delivered", "failed", "snoozed"])
@pytest.mark.parametrize(
    "retry",
    [False, RetryPolicy(max_attempts=2, initial_backoff=timedelta(seconds=1))],
    ids=["once", "twice"],
)
def test_text_of_remote_is_never_report(
    cloud: LocalCloud, answer: Answer, kind: str, retry: RetryPolicy | bool
) -> None:
    """[WP-28] `raise RuntimeError(response.text)` in an undecorated function: a remote that knows everything but the nonce."""
    pool = cloud.workpool()
    texts: list[str] = []

    def plain(event: dict[str, Any], _: object) -> None:
        texts.append(carried(event, kind=kind, delay_ms=10**18))
        raise RuntimeError(texts[-1])

    work_id = pool.enqueue_action(None, cloud.function(plain), {}, retry=retry)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type, result.error) == ("failed", "RuntimeError", texts[-1])
    assert len(texts) == (1 if retry is False else 2)


class ReportNotWritten(Exception):
    """A class of the user's that happens to have our name."""


def test_text_under_our_own_class_that_proves_nothing_is_no_report_and_recovery_ends_start(
    cloud: LocalCloud, answer: Answer
) -> None:
    """[WP-28] As a worker of 0.1 raises it under a loop of 0.2: what it says may be true, and is not taken for that."""
    pool = cloud.workpool()

    def plain(event: dict[str, Any], _: object) -> None:
        raise ReportNotWritten(carried(event))

    work_id = pool.enqueue_action(None, cloud.function(plain), {})
    cloud.run_until_idle()

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == ("failed", "no_report")
    assert work_id in told("report_unproven", cloud)


@pytest.mark.parametrize("nonce", [..., "A" * 16, "", None, 7], ids=repr)
def test_failure_of_handler_that_does_not_know_callbacks_secret_sends_nothing_again(
    cloud: LocalCloud, nonce: object
) -> None:
    """[WP-8] [WP-28]"""
    pool = cloud.workpool()
    heard: list[str] = []

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        heard.append(event.work_id)

    handler = cloud.function(ended, takes=timedelta(seconds=20))
    fn = cloud.function(lambda _event, _context: "done", name="f")
    work_id = pool.enqueue_action(None, fn, {}, on_complete=handler)
    cloud.advance(timedelta(seconds=5))
    event = dict(cloud.invocations(handler)[0].event)
    assert event["_workpool"]["nonce"]
    assert pool.status(None, work_id).callback == "sent"

    deliver(
        cloud,
        record_of(event, "RetriesExhausted", {"errorMessage": "x", "errorType": "E"}, nonce=nonce),
    )

    assert pool.status(None, work_id).callback == "sent"
    cloud.run_until_idle()
    assert pool.status(None, work_id).callback == "delivered"
    assert len(heard) == 1


def test_forged_ticket_marks_no_callback_as_delivered(cloud: LocalCloud) -> None:
    """[WP-8] [WP-28] A caller of a handler that serves two pools names the other pool's work item."""
    pool = cloud.workpool("mine")
    failures = 0

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        nonlocal failures
        if event.context == "real" and failures < 2:
            failures += 1
            raise ConnectionError("busy")

    handler = cloud.function(ended)
    fn = cloud.function(lambda _event, _context: "done", name="f")
    work_id = cloud.workpool("theirs").enqueue_action(
        None, fn, {}, on_complete=handler, context="real"
    )
    cloud.advance(timedelta(seconds=1))
    ticket = {
        **cloud.invocations(handler)[0].event["_workpool"],
        "nonce": "A" * 16,
        "retention_s": 0,
    }

    cloud.invoke(
        handler,
        {
            "work_id": work_id,
            "context": "forged",
            "result": {"kind": "canceled"},
            "_workpool": ticket,
        },
    )
    cloud.advance(timedelta(milliseconds=100))

    assert cloud.workpool("theirs").status(None, work_id).callback != "delivered"
    assert work_id in told("report_unproven", cloud)
    cloud.run_until_idle()
    assert cloud.workpool("theirs").status(None, work_id).callback == "delivered"
    assert failures == 2


def test_canceled_work_items_callback_has_secret_too(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.on_complete
    def ended(event: OnCompleteEvent) -> None:
        pass

    handler = cloud.function(ended)
    fn = cloud.function(lambda _event, _context: "done", name="f")
    work_id = pool.enqueue_action(None, fn, {}, on_complete=handler, run_after=timedelta(hours=1))
    pool.cancel(None, work_id)
    cloud.run_until_idle()

    assert cloud.invocations(handler)[0].event["_workpool"]["nonce"]
    assert pool.status(None, work_id).callback == "delivered"

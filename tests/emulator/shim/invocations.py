"""Asynchronous invocations, delivered, retried and reported as Lambda does it.

MiniStack itself starts a thread for each event and as many processes as there are events, counts a
throttle as a failed attempt, never calls a success destination, leaves fields out of the failure
record, and lets the Scheduler invoke past all of this. Here every event waits in one queue for one
of a few slots.

What is still not AWS: a destination is called once, without retries; every error of user code has
the type `Runtime.HandlerError`; each delivery of one event has a request id of its own.
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge, lambda_svc

RETRIES = 2
EVENT_AGE_S = 21_600
THROTTLE_DELAY_S = 0.05
THROTTLE_DELAY_MAX_S = 1.0

Function = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one function."""

    function: Function
    event: Any
    accepted_at: float
    depth: int
    """Number of Lambda functions that led to it, for the detection of endless chains."""
    attempts: int = 0
    throttles: int = 0

    def age_s(self) -> float:
        return time.time() - self.accepted_at


class EventQueue:
    """Deliveries, by the time at which they may begin; no more than `slots` run at a time."""

    def __init__(self, slots: int, deliver: Callable[[Delivery], None]) -> None:
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._slots = threading.BoundedSemaphore(slots)
        self._deliver = deliver

    def put(self, delivery: Delivery, *, delay_s: float = 0.0) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (time.monotonic() + delay_s, next(self._order), delivery))
            self._changed.notify()

    def run(self) -> None:
        """Hand out what is due, for ever."""
        while True:
            self._slots.acquire()
            threading.Thread(
                target=self._one, args=(self._next(),), daemon=True, name="event"
            ).start()

    def _next(self) -> Delivery:
        with self._changed:
            while not self._waiting or self._waiting[0][0] > time.monotonic():
                self._changed.wait(
                    self._waiting[0][0] - time.monotonic() if self._waiting else None
                )
            return heapq.heappop(self._waiting)[2]

    def _one(self, delivery: Delivery) -> None:
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001 - one bad event must not take the slot of all others with it
            lambda_svc.logger.exception("an asynchronous delivery")
        finally:
            self._slots.release()


class Lambda:
    """The course of an event that Lambda accepted."""

    def __init__(self, processes: int) -> None:
        self.queue = EventQueue(processes, self.deliver)

    def accept(self, function: Function, event: Any, *, depth: int) -> None:
        self.queue.put(
            Delivery(function=function, event=event, accepted_at=time.time(), depth=depth)
        )

    def deliver(self, delivery: Delivery) -> None:
        config = delivery.function.get("config") or delivery.function
        account, region = lambda_svc._account_region_from_function_config(config)
        lambda_svc._request_account_id.set(account)
        lambda_svc._request_region.set(region)
        lambda_svc._invoke_depth.set(delivery.depth)
        live = lambda_svc._functions.get(config["FunctionName"]) or delivery.function
        asynchronous = lambda_svc._event_invoke_config(live, "$LATEST") or {}
        began = time.time()
        # The concurrency limit is the function's present one: it may have been raised while the
        # event waited.
        answer = lambda_svc._execute_function({**live, "config": config}, delivery.event)
        if answer.get("throttle"):
            self._wait(delivery, asynchronous)
            return
        failed = bool(answer.get("error"))
        lambda_svc._emit_lambda_metrics(
            config["FunctionName"],
            duration_ms=(time.time() - began) * 1e3,
            error=failed,
            throttle=False,
        )
        if answer.get("log"):
            lambda_svc.logger.info(
                "%s, delivery %d:\n%s", config["FunctionName"], delivery.attempts + 1, answer["log"]
            )
        self._ended(
            replace(delivery, attempts=delivery.attempts + 1), asynchronous, answer, failed=failed
        )

    def _wait(self, delivery: Delivery, asynchronous: Mapping[str, Any]) -> None:
        # Lambda keeps a throttled event: no attempt is spent, and only its age ends it.
        if delivery.age_s() >= _event_age_s(asynchronous):
            self._report(delivery, asynchronous, "EventAgeExceeded", None)
            return
        delay_s = min(THROTTLE_DELAY_S * 2 ** min(delivery.throttles, 5), THROTTLE_DELAY_MAX_S)
        self.queue.put(replace(delivery, throttles=delivery.throttles + 1), delay_s=delay_s)

    def _ended(
        self,
        delivery: Delivery,
        asynchronous: Mapping[str, Any],
        answer: Mapping[str, Any],
        *,
        failed: bool,
    ) -> None:
        retries = asynchronous.get("MaximumRetryAttempts")
        if not failed:
            self._report(delivery, asynchronous, "Success", answer)
        elif delivery.attempts > (RETRIES if retries is None else int(retries)):
            self._report(delivery, asynchronous, "RetriesExhausted", answer)
        else:
            delay_s = min(
                lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2 ** (delivery.attempts - 1),
                lambda_svc._LAMBDA_ASYNC_RETRY_MAX_SECONDS,
            )
            if delivery.age_s() + delay_s < _event_age_s(asynchronous):
                self.queue.put(replace(delivery, throttles=0), delay_s=delay_s)
            else:
                self._report(delivery, asynchronous, "EventAgeExceeded", answer)

    def _report(
        self,
        delivery: Delivery,
        asynchronous: Mapping[str, Any],
        condition: str,
        answer: Mapping[str, Any] | None,
    ) -> None:
        config = delivery.function.get("config") or delivery.function
        destinations = asynchronous.get("DestinationConfig") or {}
        target = (
            destinations.get("OnSuccess" if condition == "Success" else "OnFailure") or {}
        ).get("Destination")
        if not target and condition != "Success":
            target = (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if not target:
            return
        if ":function:" not in target:
            body = None if answer is None else answer.get("body")
            lambda_svc._route_async_failure(
                target, config["FunctionName"], delivery.event, {"body": body, "error": True}
            )
            return
        found, found_config, _ = lambda_svc._get_func_record_for_ref(target)
        if found:
            function = lambda_svc._execution_record_for_config(found, found_config)
            self.accept(function, _record(delivery, condition, answer), depth=delivery.depth + 1)


def _event_age_s(asynchronous: Mapping[str, Any]) -> int:
    return int(asynchronous.get("MaximumEventAgeInSeconds") or EVENT_AGE_S)


def _record(delivery: Delivery, condition: str, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    config = delivery.function.get("config") or delivery.function
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": lambda_svc.new_uuid(),
            "functionArn": f"{config['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": delivery.attempts,
        },
        "requestPayload": delivery.event,
    }
    if answer is not None:
        error = {"functionError": "Unhandled"} if answer.get("error") else {}
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST", **error}
        record["responsePayload"] = answer.get("body")
    return record


def mend(*, processes: int) -> None:
    """Send every asynchronous invocation through one queue, those of schedules and destinations, too."""
    assert callable(lambda_svc.invoke_async_with_retry)
    assert callable(eventbridge._dispatch_to_lambda)
    service = Lambda(processes)

    def invoke_async_with_retry(func: Function, event: Any) -> None:
        service.accept(func, event, depth=lambda_svc._invoke_depth.get())

    def dispatch_to_lambda(arn: str, payload: str) -> None:
        found, config, _ = lambda_svc._get_func_record_for_ref(arn)
        if found and config:
            service.accept(
                lambda_svc._execution_record_for_config(found, config), _event(payload), depth=0
            )

    _mend_settings()
    lambda_svc.invoke_async_with_retry = invoke_async_with_retry
    eventbridge._dispatch_to_lambda = dispatch_to_lambda
    threading.Thread(target=service.queue.run, daemon=True, name="events").start()


def _mend_settings() -> None:
    """Settings without a qualifier are those of $LATEST, and the other way round."""
    original = lambda_svc._event_invoke_config
    assert callable(original)

    def event_invoke_config(function: Function, qualifier: str | None) -> Any:
        if qualifier not in {None, "", "$LATEST"}:
            return original(function, qualifier)
        return original(function, "$LATEST") or original(function, "")

    lambda_svc._event_invoke_config = event_invoke_config


def _event(payload: str) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, TypeError):
        return {"body": payload}

"""Lambda's asynchronous queue: deliveries (none, one or two), throttling, retries, event age, destinations.

An event is accepted, delivered, perhaps tried again, and ends in at most one destination record.
A try itself is in `runs`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from workpool_aws.local.services.answers import Answer, Condition, destination_record
from workpool_aws.local.services.functions import EVENT_BYTES_MAX
from workpool_aws.local.services.runs import Runs, Try
from workpool_aws.model.ids import EpochMs
from workpool_aws.ports import InvokeRefused

if TYPE_CHECKING:
    from workpool_aws.local.faults.faults import CloudFaults
    from workpool_aws.local.faults.rates import Rates
    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.functions import Functions, Resolved

__all__ = ["RETRY_MS", "Deliveries"]

RETRY_MS: Final = 60_000
"""The first retry comes after it, the second after twice as much."""
_THROTTLED_MS: Final = 1_000
_THROTTLED_MS_MAX: Final = 300_000
_RECORD_FRAME_BYTES: Final = 1_024
"""Bytes of a destination record beside the event and the answer, about."""
_SECOND_DELIVERY_MS: Final = (0, 50, 1_000, 20_000)


@dataclass(slots=True)
class _Queued:
    """An accepted event on its way."""

    resolved: Resolved
    payload: str
    request_id: str
    accepted_at: EpochMs
    tries: int = 0
    throttled: int = 0

    def record_bytes(self, answer: Answer | None) -> int:
        """Return the size of its destination record, about."""
        answer_bytes = 0 if answer is None else len(answer.payload.encode())
        return len(self.payload.encode()) + answer_bytes + _RECORD_FRAME_BYTES


class Deliveries:
    """The asynchronous side of Lambda, for one cloud."""

    def __init__(
        self,
        kernel: Kernel,
        chooser: Chooser,
        functions: Functions,
        runs: Runs,
        rates: Rates,
        faults: CloudFaults,
    ) -> None:
        self._kernel = kernel
        self._chooser = chooser
        self._functions = functions
        self._runs = runs
        self._rates = rates
        self._faults = faults
        self._running: Counter[str] = Counter()

    def set_rates(self, rates: Rates) -> None:
        """Let deliveries go wrong at these rates from now on."""
        self._rates = rates

    def accept(self, resolved: Resolved, payload: str) -> str:
        """Take an event (JSON) into the queue, to be delivered once, except by chance.

        Returns the request id, which all its tries share.
        """
        with self._kernel.lock():
            request_id = self._runs.new_request_id()
            if self._chooser.chance(self._rates.lost_deliveries, "lost delivery"):
                return request_id
            now = self._kernel.now()
            for delay_ms in self._faults.event_delays(resolved.function.name):
                self._deliver_at(
                    EpochMs(now + delay_ms), _Queued(resolved, payload, request_id, now)
                )
            if self._chooser.chance(self._rates.duplicate_deliveries, "duplicate delivery"):
                later = _SECOND_DELIVERY_MS[
                    self._chooser.choose(len(_SECOND_DELIVERY_MS), "second delivery")
                ]
                self._deliver_at(EpochMs(now + later), _Queued(resolved, payload, request_id, now))
            return request_id

    def accept_named(self, target: str, payload: str) -> None:
        """Take an event for a function, as Lambda's API does. Raises InvokeRefused."""
        resolved = self._functions.resolve(target)
        if resolved is None:
            missing = f"ResourceNotFoundException: Function not found: {target}"
            raise InvokeRefused(missing, lasting=False)
        if len(payload.encode()) > EVENT_BYTES_MAX:
            large = "RequestTooLargeException: the event is larger than 1 MB"
            raise InvokeRefused(large, lasting=True)
        try:
            json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise InvokeRefused(f"InvalidRequestContentException: {error}", lasting=True) from error
        self.accept(resolved, payload)

    def _deliver_at(self, at: EpochMs, queued: _Queued) -> None:
        self._kernel.at(at, lambda: self._deliver(queued))

    def _deliver(self, queued: _Queued) -> None:
        function, now = queued.resolved.function, self._kernel.now()
        if now - queued.accepted_at > function.event_age_ms:
            self._conclude(queued, "EventAgeExceeded", None)
        elif function.reserved is not None and self._running[function.name] >= function.reserved:
            delay_ms = min(_THROTTLED_MS << min(queued.throttled, 16), _THROTTLED_MS_MAX)
            queued.throttled += 1
            self._deliver_at(EpochMs(now + delay_ms), queued)
        else:
            self._running[function.name] += 1
            on_end = partial(self._after_try, queued)
            this = Try(queued.resolved, queued.payload, queued.request_id, on_end)
            self._runs.spawn(this, crash=self._chooser.chance(self._rates.crash_rate, "crash"))

    def _after_try(self, queued: _Queued, answer: Answer) -> None:
        function, now = queued.resolved.function, self._kernel.now()
        self._running[function.name] -= 1
        queued.tries += 1
        if not answer.failed:
            self._conclude(queued, "Success", answer)
            return
        delay_ms = RETRY_MS * queued.tries
        if queued.tries > function.retries:
            self._conclude(queued, "RetriesExhausted", answer)
        elif now + delay_ms - queued.accepted_at > function.event_age_ms:
            self._conclude(queued, "EventAgeExceeded", answer)
        else:
            self._deliver_at(EpochMs(now + delay_ms), queued)

    def _conclude(self, queued: _Queued, condition: Condition, answer: Answer | None) -> None:
        function = queued.resolved.function
        arn = function.on_success if condition == "Success" else function.on_failure
        destination = self._functions.resolve(arn) if arn is not None else None
        # A record that is too large is not delivered. Lambda counts that, and reports it nowhere.
        if (
            destination is None
            or queued.record_bytes(answer) > EVENT_BYTES_MAX
            or self._chooser.chance(self._rates.lost_destinations, "lost destination")
        ):
            return
        record = destination_record(
            at=self._kernel.now(),
            request_id=queued.request_id,
            arn=function.arn,
            version=queued.resolved.version,
            condition=condition,
            tries=queued.tries,
            event=queued.payload,
            answer=answer,
        )
        for delay_ms in self._faults.record_delays(function.name):
            self._pass_on(destination, record, delay_ms)

    def _pass_on(self, destination: Resolved, record: str, delay_ms: int) -> None:
        if delay_ms:
            self._kernel.at(
                EpochMs(self._kernel.now() + delay_ms),
                lambda: self._pass_on(destination, record, 0),
            )
        else:
            self.accept(destination, record)

"""The functions of a random program's cloud: jobs, a mutation, a callback, and what a deployment does to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from tests.fuzz.history import Body, History
from workpool_aws import (
    NonRetryableError,
    OnCompleteEvent,
    RetryLater,
    Snooze,
    Transaction,
    Work,
    Workpool,
)
from workpool_aws.adapters.wire.assignment import run_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.local import LocalCloud
from workpool_aws.local.services.functions import Function

__all__ = ["CALLBACK", "FUNCTION", "MUTATION", "PLAIN_CALLBACK", "WAYS", "Cast"]

FUNCTION: Final = "short"
"""The function of all jobs, and one of them."""
MUTATION: Final = "move"
CALLBACK: Final = "ended"
PLAIN_CALLBACK: Final = "told"
TIMEOUT: Final = timedelta(seconds=30)

WAYS: Final[Mapping[str, float]] = {
    "succeeds": 40,
    "fails once": 3,
    "fails": 1,
    "exits once": 2,
    "exits": 0.3,
    "snoozes once": 3,
    "comes later once": 3,
    "gives up": 1,
    "naps": 0.8,
    "hangs": 0.15,
}
"""Behaviours of user code, and how often each is drawn."""


class _Counted:
    """A decorated function, and the number of its events that were runs of several starts."""

    __workpool__ = True

    def __init__(self, handler: Callable[[Any, Any], object]) -> None:
        self.handler, self.runs = handler, 0
        self.__workpool_jobs__ = getattr(handler, "__workpool_jobs__", ())

    def __call__(self, event: Any, context: Any) -> object:
        self.runs += len(run_from_wire(event[WORKPOOL_KEY]) or ()) > 1
        return self.handler(event, context)


@dataclass(slots=True)
class Cast:
    """One program's functions. `takes`: time of most of its user code."""

    cloud: LocalCloud
    history: History
    takes: timedelta
    inside: dict[int, Callable[[], None]] = field(default_factory=dict)
    """Further steps of user code, in the first run of the work item with this number."""
    is_over: bool = False
    _function: Function | None = None
    _counted: _Counted | None = None

    @property
    def runs(self) -> int:
        """The number of events that were runs of several starts."""
        return 0 if self._counted is None else self._counted.runs

    def enter(self, chance: random.Random) -> None:
        """Deploys the functions."""
        own = Workpool("any", FUNCTION)

        def short(number: int, work: Work, does: str = "succeeds", pad: str = "") -> int:
            return self.body(number, work, does, chance)

        def other(number: int, work: Work, does: str = "succeeds", pad: str = "") -> int:
            return self.body(number, work, does, chance)

        def move(tx: Transaction, work: Work, number: int, does: str = "succeeds") -> int:
            child = self.history.wish(work.pool.name, "succeeds", {"retry": True})
            put = work.pool.enqueue_action(tx, FUNCTION, {"number": child.number}, retry=True)
            self.history.spawned[str(work.work_id)].append(str(put))
            return self.body(number, work, does, chance)

        jobs = [own.action(short), own.action(other), own.mutation(move)]
        self._counted = _Counted(own.handler(*jobs))
        self.cloud.function(self._counted, name=FUNCTION, timeout=TIMEOUT)

        @own.on_complete
        def ended(event: OnCompleteEvent) -> None:
            self.history.hear(str(event.work_id), event.result.kind)

        self.cloud.function(ended, name=CALLBACK)
        self.cloud.function(lambda event, context: None, name=PLAIN_CALLBACK)

    def body(self, number: int, work: Work, does: str, chance: random.Random) -> int:
        """Runs user code."""
        with self.history.running(str(work.work_id), number) as body:
            first = len(self.history.runs_of(body.work_id)) == 1
            work.sleep(self.takes / 2)
            also = self.inside.pop(number, None)
            if also is not None and not self.is_over:
                also()
            if chance.random() < 0.02:
                work.progress(0.5, "half")
            work.sleep(self._rest_of(does, body))
            _end(does, chance, first=first)
            return number

    def _rest_of(self, does: str, body: Body) -> timedelta:
        if does == "naps":
            return timedelta(seconds=4 + body.wish.number % 9)
        return 2 * TIMEOUT if does == "hangs" else self.takes / 2

    @property
    def _functions(self) -> dict[str, Function]:
        return self.cloud._open.functions._by_name

    def throttle(self, most: int | None) -> None:
        """Gives the function so many runs at a time."""
        if FUNCTION in self._functions:
            self._functions[FUNCTION] = replace(self._functions[FUNCTION], reserved=most)

    def undecorate(self) -> None:
        """Deploys the function without the decorator, until `restore`."""
        if self._function is None:
            self._function = self._functions[FUNCTION]
            self._functions[FUNCTION] = replace(
                self._function,
                handler=lambda event, context: 1,
                decorated=False,
                on_success=self.cloud.completion_arn,
            )

    def remove(self) -> None:
        """Deletes the function, until `restore`."""
        if self._function is None:
            self._function = self._functions.pop(FUNCTION)

    def restore(self) -> None:
        """Deploys the function as it was."""
        if self._function is not None:
            self._functions[FUNCTION], self._function = self._function, None


def _end(does: str, chance: random.Random, *, first: bool) -> None:
    """Ends user code as its behaviour says."""
    if does == "fails" or (does == "fails once" and first):
        raise ValueError(does)
    if does == "exits" or (does == "exits once" and first):
        raise SystemExit(1)
    if does == "gives up":
        raise NonRetryableError(does)
    if does == "snoozes once" and first:
        raise Snooze(timedelta(milliseconds=chance.choice([0, 50, 300, 2000, 70_000])))
    if does == "comes later once" and first:
        raise RetryLater(does, delay=timedelta(milliseconds=chance.choice([0, 50, 300, 2000])))

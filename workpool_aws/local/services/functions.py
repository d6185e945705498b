"""Lambda functions of a cloud: their configuration, their names and ARNs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from workpool_aws.text import answer_or
from workpool_aws.values import dataclass, replace

__all__ = [
    "ACCOUNT",
    "COMPLETION_NAME",
    "EVENT_AGE_MS_MAX",
    "EVENT_BYTES_MAX",
    "LOOP_NAME",
    "REGION",
    "WATCHDOG_NAME",
    "Event",
    "Function",
    "Functions",
    "Handler",
    "Resolved",
    "function_arn",
    "is_decorated",
    "name_of",
]

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
LOOP_NAME: Final = "workpool-loop"
COMPLETION_NAME: Final = "workpool-completion"
WATCHDOG_NAME: Final = "workpool-watchdog"
EVENT_AGE_MS_MAX: Final = 6 * 3_600_000
"""Time for which Lambda keeps trying to deliver an event, at most and by default."""
EVENT_BYTES_MAX: Final = 1024 * 1024
"""Bytes of an asynchronous event, at most. The same holds for destination records."""

Event = dict[str, Any]
"""A decoded event: what the JSON holds is the caller's affair."""
Handler = Callable[[Any, Any], object]
"""`handler(event, context)`, as Lambda calls it."""

_REFUSED = re.compile(r"[^A-Za-z0-9_-]+")
_NAME = re.compile(
    r"(?:arn:aws:lambda:us-east-1:123456789012:function:|123456789012:function:)?([A-Za-z0-9_-]{1,64})(?::(\$LATEST|[A-Za-z0-9_-]+))?"
)
_NAME_LENGTH_MAX = 64


def name_of(handler: object) -> str:
    """Return a function's name from its handler's, without what Lambda does not allow in one."""
    class_name = type(handler).__name__
    own = answer_or(class_name, lambda: str(getattr(handler, "__name__", class_name)))
    return _REFUSED.sub("", own)[: _NAME_LENGTH_MAX - 4] or "function"


def is_decorated(handler: object) -> bool:
    """True if a pool's decorator made it."""
    return answer_or(default=False, ask=lambda: bool(getattr(handler, "__workpool__", False)))


def jobs_of(handler: object) -> tuple[str, ...]:
    """Return the names of the jobs that a handler runs."""
    named = answer_or(default=(), ask=lambda: getattr(handler, "__workpool_jobs__", ()))
    return named if isinstance(named, tuple) else ()


def function_arn(name: str) -> str:
    """Return the unqualified ARN of a function of this cloud."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function and how Lambda treats its asynchronous events."""

    name: str
    handler: Handler
    timeout_ms: int = 30_000
    event_age_ms: int = 60_000
    """Time that an event may wait to be tried; then it is given up."""
    retries: int = 0
    """Further tries after a function error: 60 s and 120 s later."""
    reserved: int | None = None
    """At most so many at a time; `None` means no limit."""
    takes: Callable[[Event], int] | None = None
    """Milliseconds between the end of the body and the moment its outcome takes effect; `None`
    means that there is none."""
    decorated: bool = False
    own: bool = False
    """It is one of the library's functions."""
    serves: frozenset[str] | None = None
    """The pools that may run it; `None` means any."""
    on_success: str | None = None
    on_failure: str | None = None

    @property
    def arn(self) -> str:
        """The unqualified ARN."""
        return function_arn(self.name)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A function as it was named in a call."""

    function: Function
    invoked_arn: str
    """With the qualifier of the call, if it had one."""
    version: str


class Functions:
    """The functions of one cloud, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Function] = {}

    def add(self, function: Function) -> Function:
        """Register it under its name. A taken one gets a number."""
        name, count = function.name, 1
        while name in self._by_name:
            count += 1
            number = f"-{count}"
            name = function.name[: _NAME_LENGTH_MAX - len(number)] + number
        added = replace(function, name=name)
        self._by_name[name] = added
        return added

    def resolve(self, target: str) -> Resolved | None:
        """Return a function by name, ARN or partial ARN, with or without `$LATEST` or an alias.

        `None` means no such function.
        """
        parts = _NAME.fullmatch(target)
        function = self._by_name.get(parts[1]) if parts is not None else None
        if parts is None or function is None:
            return None
        qualifier = parts[2]
        return Resolved(
            function,
            f"{function.arn}:{qualifier}" if qualifier else function.arn,
            qualifier or "$LATEST",
        )

    def jobs(self) -> dict[str, str]:
        """Return the ARN of each job by its name; the function added last has it."""
        return {
            job: function.arn
            for function in self._by_name.values()
            for job in jobs_of(function.handler)
        }

    def names_of_job(self, job: str) -> tuple[str, ...]:
        """Return the names of the functions that run this job, in order of their registration."""
        return tuple(name for name, each in self._by_name.items() if job in jobs_of(each.handler))

    def names_of_handler(self, handler: object) -> tuple[str, ...]:
        """Return the names of the functions that run this handler, in order of their registration.

        A wrapper of a worker runs the same job.
        """
        jobs = set(jobs_of(handler))
        return tuple(
            name
            for name, each in self._by_name.items()
            if each.handler is handler or jobs.intersection(jobs_of(each.handler))
        )

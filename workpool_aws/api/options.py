"""The options of an enqueue, as type checkers, `help` and wrappers see them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol, TypedDict, TypeVar

from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import OutcomeName

__all__ = ["Decorated", "EnqueueOptions", "RetryableOptions", "spelled_out"]

Method = TypeVar("Method", bound=Callable[..., object])


class Decorated(Protocol):
    """A function that a pool's decorator made a handler."""

    @property
    def handler(self) -> Callable[[object, object], object]:
        """The handler as a plain function."""


class EnqueueOptions(TypedDict, total=False):
    """The options of every enqueue, for wrappers: `**options: Unpack[EnqueueOptions]`.

    An option left out is `None`.

    run_after:
        Earliest start, counted from now. At most 366 days. `None` and negative values mean now.
    run_at:
        Earliest start as a timezone-aware datetime, at most 366 days ahead. `None` and past times
        mean now. `run_after` and `run_at` exclude each other.
    expires_after:
        Time after which no start may be made, counted from the due time. A work item that is still
        pending then fails as `expired` when it comes to its turn, without a slot. Above 0, at most
        366 days. `None` means that it never expires.
    on_complete:
        Target that is notified at least once when the work item finishes: the ARN of a Lambda
        function (decorated with `on_complete` or not), an SQS queue or an SNS topic, a decorated
        function or its job's name, or a function's name. `None` means no callback.
    context:
        JSON value that the callback carries, at most 900 KB, or 254 KB for an SNS topic. Needs
        `on_complete`.
    on_complete_exclude:
        Outcomes without a callback: any of "success", "failed" and "canceled". Needs `on_complete`.
    """

    run_after: timedelta | None
    run_at: datetime | None
    expires_after: timedelta | None
    on_complete: str | Decorated | None
    context: object
    on_complete_exclude: Iterable[OutcomeName] | None


class RetryableOptions(EnqueueOptions, total=False):
    """The options of every enqueue: those of `EnqueueOptions`, and `retry`.

    retry:
        `True` means the pool's `default_retry`, `False` a single attempt. A `RetryPolicy` stands
        for itself. `None` means the default of the kind: queries and mutations are retried, actions
        only with the pool's `retry_actions_by_default`.
    """

    retry: bool | RetryPolicy | None


def spelled_out(options: type[EnqueueOptions]) -> Callable[[Method], Method]:
    """Show each option as a keyword argument in `inspect.signature` and `help`."""

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)
        given = [
            each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD
        ]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=getattr(hint, "__forward_arg__", hint),
            )
            for name, hint in options.__annotations__.items()
        ]
        vars(method)["__signature__"] = signature.replace(parameters=[*given, *named])
        return method

    return decorate

"""The options of an enqueue, as type checkers, `help` and wrappers see them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypedDict, TypeVar

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

        >>> from workpool_aws.local import LocalCloud
        >>> with LocalCloud() as cloud:
        ...     pool = cloud.workpool()
        ...     render_arn = cloud.function(lambda event, context: event["page"], name="render")
        ...     options: EnqueueOptions = {"unique_key": "report-7", "on_conflict": "replace"}
        ...     ids = [pool.enqueue_query(None, render_arn, {"page": n}, **options) for n in (1, 2)]
        ...     cloud.run_until_idle()
        ...     ids[0] == ids[1], pool.result(None, ids[0]).return_value
        (True, 2)

    run_after:
        Earliest start, counted from now. At most 366 days. `None` and negative values mean now.
    run_at:
        Earliest start as a timezone-aware datetime, at most 366 days ahead. `None` and past times
        mean now. `run_after` and `run_at` exclude each other.
    expires_after:
        Time after which no start may be made, counted from the due time. A work item that is still
        pending then fails as `expired` when it comes to its turn, without a slot. Above 0, at most
        366 days. `None` means that it never expires.
    unique_key:
        At most one work item of the pool with this key, a str of 1 to 512 bytes, is unfinished. The
        options that follow need it. `None` means that there is no key.
    unique_until:
        End of the work item's hold on the key: "finished", which is the default, or "started".
    unique_for:
        Time from the enqueue for which it holds the key, whatever becomes of it, above 0 and at most
        366 days. `None` means as `unique_until` says.
    on_conflict:
        Answer where the key is held: "return" the holder's id, which is the default, "raise"
        `AlreadyEnqueued`, or "replace" its arguments and due time. What has started, or runs another
        function, is not replaced and raises.
    max_wait:
        Longest time from the first enqueue to the due time of a replacement. `None` means any.
    debounce:
        Runs the last call of the key once calls have been quiet for this time. Stands for
        `run_after`, `unique_until="started"` and `on_conflict="replace"`.
    debounce_max:
        Stands for `max_wait`. At least `debounce`.
    request_id:
        Name of one request, a str of 1 to 512 bytes. Its repetition returns the id of the first work
        item, for a day after its due time at least. Of a batch of several, the name of each is
        "ID/0", "ID/1" and so on.
    dedupe:
        "invocation" makes the `request_id` up from the Lambda invocation, the target, and the number
        of this enqueue among those of the target in the invocation.
    timeout:
        Longest time of an attempt of a decorated function, above 0, at most 15 minutes.
        `TimeoutError` is raised in the function then, and its process ends a second later. The
        attempt fails as `timeout`. One above the function's own timeout fails at once, as
        `not_invocable`. `None` means the function's own timeout alone.
    heartbeat_timeout:
        The library sends heartbeats while a decorated function runs. Without one for so long the
        attempt fails as `heartbeat_lost`, long before the function's own timeout. 30 s to 15
        minutes. `None` means no heartbeats.
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
    unique_key: str | None
    unique_until: Literal["finished", "started"] | None
    unique_for: timedelta | None
    on_conflict: Literal["return", "raise", "replace"] | None
    max_wait: timedelta | None
    debounce: timedelta | None
    debounce_max: timedelta | None
    request_id: str | None
    dedupe: Literal["invocation"] | None
    timeout: timedelta | None
    heartbeat_timeout: timedelta | None
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

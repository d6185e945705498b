"""Tasks that a durable pool can take over: they name a target and JSON arguments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol

from workpool_aws.api.caller import Caller, LambdaContext
from workpool_aws.api.spec import RETRY_ALLOWED, encode_args
from workpool_aws.api.targets import read_target
from workpool_aws.core.callback.targets import is_decorated
from workpool_aws.errors import TaskNotStarted, UsageError
from workpool_aws.executor.records import Task, name_of
from workpool_aws.model.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.model.ids import WorkId

__all__ = ["DurablePool", "DurableTask", "hand_over"]

_NO_TIME: Final = "no time was left to start it"


class DurablePool(Protocol):
    """The part of a `Workpool` that takes what could not be started."""

    def enqueue_action_batch(
        self,
        ctx: LambdaContext | None,
        target: str,
        args: Sequence[Mapping[str, object]],
        *,
        retry: bool | RetryPolicy | None = None,
    ) -> list[WorkId]:
        """As `Workpool.enqueue_action_batch`."""


class DurableTask:
    """A task that runs here as `function(**args)`, or in a durable pool by its function `target`.

    Never both, since it is handed over only if it was not started. Arguments go through JSON at
    once, so that they are the same in both places, and later changes of them do not count.

    Args:
        target: The Lambda function that does it elsewhere: an ARN, or a name as for
            `Workpool.enqueue_action`.
        function: Does it here. Any callable or coroutine function, or a worker made by
            `@pool.action`, whose arguments are validated as they would be there. A worker that must
            be given its `Work` fails here, since only a pool can give it.
        args: A JSON object of at most 900 KB.
        retry: For the work item, if it becomes one, as for `Workpool.enqueue_action`. Here a task
            runs once.

    Raises:
        UsageError: a value is not allowed (`PayloadTooLarge`: the arguments).
    """

    __slots__ = ("__qualname__", "_args", "_function", "retry", "target")

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        args: Mapping[str, object],
        *,
        retry: bool | RetryPolicy | None = None,
    ) -> None:
        if not callable(function):
            raise UsageError(
                "function",
                function,
                "a callable, a coroutine function, or a worker made by @pool.action",
            )
        if retry is not None and not isinstance(retry, bool | RetryPolicy):
            raise UsageError("retry", retry, RETRY_ALLOWED)
        read_target(target, Caller())
        self.target: Final = target
        self.retry: Final = retry
        self._function: Final = function
        self._args: Final = encode_args(args, "args")
        self.__qualname__ = name_of(function)

    @property
    def args(self) -> dict[str, object]:
        """The arguments, as both places receive them: a copy."""
        args: dict[str, object] = json.loads(self._args)
        return args

    def __call__(self) -> object:
        """Do it here. Returns and raises as the function does."""
        if is_decorated(self._function):
            return self._function(self.args, None)
        return self._function(**self.args)

    def __repr__(self) -> str:
        # Without arguments: reports end up in logs.
        return f"DurableTask({self.target!r}, {self.__qualname__})"


def hand_over(
    pool: DurablePool | None, ctx: LambdaContext | None, tasks: Sequence[Task]
) -> list[TaskNotStarted | None]:
    """Enqueue tasks that name a durable target, as actions, in batches of one target and policy.

    Each batch keeps the order of its tasks. Never raises.

    Returns one answer for each task. `None` means that the pool has it now. An error says why the
    pool does not have it, for certain.
    """
    if pool is None:
        return [TaskNotStarted(f"{_NO_TIME}: it did not run") for _ in tasks]
    answers: list[TaskNotStarted | None] = [
        TaskNotStarted(
            f"{_NO_TIME}, and {name_of(task)} cannot be handed over: it names no durable target "
            "(make it a DurableTask)"
        )
        for task in tasks
    ]
    batches: dict[tuple[str, bool | RetryPolicy | None], list[int]] = {}
    for index, task in enumerate(tasks):
        if isinstance(task, DurableTask):
            batches.setdefault((task.target, task.retry), []).append(index)
    for (target, retry), indexes in batches.items():
        args = [task.args for index in indexes if isinstance(task := tasks[index], DurableTask)]
        refusal: BaseException | None = None
        try:
            pool.enqueue_action_batch(ctx, target, args, retry=retry)
        except BaseException as error:  # noqa: BLE001 - whatever it is, each task of the batch has to be reported
            refusal = error
        for index in indexes:
            answers[index] = None
            if refusal is not None:
                answers[index] = unacknowledged = TaskNotStarted(
                    f"{_NO_TIME}, and the durable pool did not acknowledge it: "
                    f"{type(refusal).__name__}"
                )
                unacknowledged.__cause__ = refusal
    return answers

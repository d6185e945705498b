"""`JobHandle` enqueues work items of one decorated function and reads their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, Unpack, cast

from workpool_aws.api.job import Job, encode_batch, encode_one, mark_job
from workpool_aws.core.views.status import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.options import Decorated, RetryableOptions
    from workpool_aws.api.parameters import Parameters
    from workpool_aws.api.returned import Returned
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.model.group import GroupId
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.spec import Kind

__all__ = ["Desk", "JobHandle"]

A = ParamSpec("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The two calls of a pool that handles of its jobs make, and its place."""

    submit: Callable[
        [Kind, LambdaContext | Transaction | None, object, Sequence[str], Mapping[str, object]],
        list[WorkId],
    ]
    """Stores work items of a target, one for each arguments as JSON."""
    result: Callable[[LambdaContext | None, str], Result | None]
    enqueue_group: Callable[..., GroupId]
    """Stores a group of work items of a target, as `Workpool.enqueue_group`."""
    table: str
    pool: str


class JobHandle(Generic[A, R]):
    """Enqueues work items of one decorated function, in the pool whose decorator made it.

    Arguments are checked by the function's signature, by type checkers and by pydantic at the call.
    A parameter annotated `Work` is no argument. The job's name leads to its function, by the
    deployment.
    """

    def __init__(self, job: Job, parameters: Parameters, returned: Returned, desk: Desk) -> None:
        self.job = job
        """The job's name, its kind and its default options."""
        self._parameters = parameters
        self._returned = returned
        self._desk = desk
        mark_job(self, self)

    @property
    def table(self) -> str:
        """The table of the pool."""
        return self._desk.table

    @property
    def pool(self) -> str:
        """The name of the pool whose decorator made the job."""
        return self._desk.pool

    def __repr__(self) -> str:
        return f"<job {self.job.name}>"

    def with_options(self, **options: Unpack[RetryableOptions]) -> JobHandle[A, R]:
        """Return a handle with these options over those of the job.

        They are checked by each enqueue.

            >>> from datetime import timedelta
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.action(retry=True)
            ...     def charge(cents: int) -> int:
            ...         return cents
            ...
            ...     charge_arn = cloud.function(charge)
            ...     tomorrow = charge.with_options(run_after=timedelta(days=1))
            ...     pool.show(None, tomorrow.enqueue(None, cents=250)).retry.max_attempts
            5
        """
        job = self.job.with_options(cast("Mapping[str, object]", options))
        return JobHandle(job, self._parameters, self._returned, self._desk)

    def enqueue(
        self, ctx: LambdaContext | Transaction | None, /, *args: A.args, **kwargs: A.kwargs
    ) -> WorkId:
        """Run the function once in the background, on the terms of `Workpool.enqueue_action`.

        A function decorated with `query` is enqueued as `Workpool.enqueue_query` does.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool("email")
            ...
            ...     @pool.action
            ...     def send_email(to: str, template: str = "welcome") -> str:
            ...         return f"{template} to {to}"
            ...
            ...     send_arn = cloud.function(send_email)
            ...     work_id = send_email.enqueue(None, to="a@example.com")
            ...     cloud.run_until_idle()
            ...     send_email.result(None, work_id).return_value
            'welcome to a@example.com'

        Args:
            ctx: The handler's Lambda context, or a transaction. `None` means a caller outside
                Lambda.
            args: Arguments of the function by position.
            kwargs: Arguments of the function by name. Models, dataclasses, dates, times, durations,
                Decimals, UUIDs and enumerations are written as JSON that the function's annotations
                read.

        Raises:
            UsageError: An argument does not fit the function (`PayloadTooLarge`: all of them), an
                option is not allowed, or the job is not deployed. Nothing was stored.
            StoreUnavailable: As `Workpool.enqueue_action`.
        """
        named = self._parameters.named(args, kwargs)
        return self._submit(ctx, encode_one(named, self))[0]

    def enqueue_batch(
        self, ctx: LambdaContext | Transaction | None, args: Sequence[Mapping[str, object]]
    ) -> list[WorkId]:
        """As `enqueue` for each of many arguments, on the terms of `enqueue_action_batch`.

        All are checked before any is stored. Errors name the index, as in `args[3].to`.
        """
        return self._submit(ctx, encode_batch(args, self))

    def enqueue_group(
        self,
        ctx: LambdaContext | None,
        args: Sequence[Mapping[str, object]],
        *,
        on_complete: str | Decorated | None = None,
        context: object = None,
        group_id: str | None = None,
    ) -> GroupId:
        """As `enqueue` for each of many arguments, with one callback when all are over.

        On the terms of `Workpool.enqueue_group`. Options of the members are those of the handle.
        """
        return self._desk.enqueue_group(
            ctx, self, args, on_complete=on_complete, context=context, group_id=group_id
        )

    def result(self, ctx: LambdaContext | None, work_id: str) -> Result[R] | None:
        """Return the result of a work item, with a return value of the function's return type.

        `None` means that it has not finished. Pydantic validates the return value by the
        annotation, and without one leaves it as JSON.

        Raises:
            UsageError: The return value does not fit the function's return type. The work item may
                be another job's, or an older version's. `Workpool.result` returns it as JSON.
            NotFound, StoreUnavailable: As `Workpool.result`.
        """
        found = self._desk.result(ctx, work_id)
        if found is None or found.kind != "success":
            return cast("Result[R] | None", found)
        value = cast("R", self._returned.read(found.return_value, job=self.job.name))
        return Result(kind=found.kind, return_value=value)

    def encode(self, args: object, field: str) -> str:
        """Return the arguments as JSON. Raises UsageError if they do not fit the function."""
        return self._parameters.encode(args, field, job=self.job.name)

    def _submit(self, ctx: LambdaContext | Transaction | None, args: Sequence[str]) -> list[WorkId]:
        return self._desk.submit(self.job.kind, ctx, self, args, self.job.options)

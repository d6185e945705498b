"""`PoolEnqueues`, the part of `Workpool` that enqueues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from workpool_aws.api.job import encode_batch, encode_one
from workpool_aws.api.options import RetryableOptions, spelled_out
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.model.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.api.transaction import Transaction
    from workpool_aws.model.ids import WorkId

__all__ = ["PoolEnqueues"]


class PoolEnqueues(PoolBase):
    """Enqueues work items by kind, one or many. A part of `Workpool`."""

    @spelled_out(RetryableOptions)
    def enqueue_action(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> WorkId:
        """Run a function once in the background.

        When this returns, the work item is stored and will not be lost.

        Without a retry policy a decorated function never runs twice. With one it runs until it
        succeeds, fails for good, or has no attempt left.

            >>> from datetime import timedelta
            >>> from workpool_aws.local import LocalCloud
            >>> def charge(event, context):
            ...     return event["cents"]
            >>> with LocalCloud() as cloud:
            ...     pool, charge_arn = cloud.workpool(), cloud.function(charge)
            ...     later = timedelta(hours=1)
            ...     work_id = pool.enqueue_action(
            ...         None, charge_arn, {"cents": 250}, retry=True, run_after=later
            ...     )
            ...     pool.status(None, work_id).state
            'pending'

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda. With a
                transaction the work item is stored by its commit, and its id is never stored
                without it.
            target: A decorated function, or a job's name, by which the deployment knows its
                function. Or the ARN or name of a Lambda function, version or alias. With a context
                a function's name means its account and region.
            args: A JSON object of at most 900 KB. Those of a decorated function must fit it.
            options: See `RetryableOptions`. Options of a decorated function are their defaults.

        Raises:
            UsageError: A value is not allowed (`PayloadTooLarge`: the arguments). Nothing was
                stored.
            StoreUnavailable: DynamoDB did not answer. `maybe_enqueued` names the ids that may have
                been stored; no other was.
        """
        return self._submit(Kind.ACTION, ctx, target, encode_one(args, target), options)[0]

    @spelled_out(RetryableOptions)
    def enqueue_action_batch(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Sequence[Mapping[str, object]],
        **options: Unpack[RetryableOptions],
    ) -> list[WorkId]:
        """As `enqueue_action` for each of many arguments; ids in their order.

        All are checked before any is stored.

        A batch is no transaction: work items are stored one by one, and some may run before the
        last is stored. An empty batch stores nothing and returns `[]`.

            >>> from workpool_aws.local import LocalCloud
            >>> def square(event, context):
            ...     return event["n"] ** 2
            >>> with LocalCloud() as cloud:
            ...     pool, square_arn = cloud.workpool(), cloud.function(square)
            ...     ids = pool.enqueue_action_batch(None, square_arn, [{"n": n} for n in range(4)])
            ...     cloud.run_until_idle()
            ...     [pool.result(None, work_id).return_value for work_id in ids]
            [0, 1, 4, 9]

        Raises:
            UsageError: As `enqueue_action`, with the index, as in `args[3].x`. Nothing was stored.
            StoreUnavailable: DynamoDB did not answer. `maybe_enqueued` names all ids. Each is
                either stored and will run, or does not exist.
        """
        return self._submit(Kind.ACTION, ctx, target, encode_batch(args, target), options)

    @spelled_out(RetryableOptions)
    def enqueue_query(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> WorkId:
        """As `enqueue_action`, for a function that only reads: retried by default.

        A rare second run of an attempt is not prevented.
        """
        return self._submit(Kind.QUERY, ctx, target, encode_one(args, target), options)[0]

    @spelled_out(RetryableOptions)
    def enqueue_query_batch(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Sequence[Mapping[str, object]],
        **options: Unpack[RetryableOptions],
    ) -> list[WorkId]:
        """`enqueue_query` for each of many arguments, on the terms of `enqueue_action_batch`."""
        return self._submit(Kind.QUERY, ctx, target, encode_batch(args, target), options)

    @spelled_out(RetryableOptions)
    def enqueue_mutation(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> WorkId:
        """As `enqueue_action`, for a function that `mutation` decorates: retried by default.

        Its effect is one transaction, which happens with the success of the work item or not at
        all. A function decorated by `action` runs at most once, whatever `retry` says, and an
        undecorated one as for an action.
        """
        return self._submit(Kind.MUTATION, ctx, target, encode_one(args, target), options)[0]

    @spelled_out(RetryableOptions)
    def enqueue_mutation_batch(
        self,
        ctx: LambdaContext | Transaction | None,
        target: str | JobHandle[..., Any],
        args: Sequence[Mapping[str, object]],
        **options: Unpack[RetryableOptions],
    ) -> list[WorkId]:
        """`enqueue_mutation` for each of many arguments, on the terms of `enqueue_action_batch`."""
        return self._submit(Kind.MUTATION, ctx, target, encode_batch(args, target), options)

"""`PoolTransactions`, the part of `Workpool` that commits work items with the user's own data."""

from __future__ import annotations

from inspect import isasyncgen, iscoroutine, isgenerator
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, Unpack, overload

from workpool_aws.adapters.items.requests import Requests, plain_action
from workpool_aws.api.anchored import AnchoredTransaction
from workpool_aws.api.caller import checked_id, read_caller, read_writer, refuse_beside
from workpool_aws.api.conditions import counts_of
from workpool_aws.api.job import encode_one, job_at
from workpool_aws.api.options import RetryableOptions, spelled_out
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.api.prepared import Prepared
from workpool_aws.api.transaction import Transaction
from workpool_aws.api.work import timer_of
from workpool_aws.core import limits
from workpool_aws.core.work.transaction import CancelOrder, pause_ms
from workpool_aws.errors import NotKicked, StoreUnavailable, TransactionCanceled, UsageError
from workpool_aws.flow.work import cancel
from workpool_aws.flow.work import transaction as flow
from workpool_aws.model.ids import WorkId
from workpool_aws.model.spec import Kind
from workpool_aws.text import Words, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.core.work.end import CancelAnswer

__all__ = ["PoolTransactions"]

P = ParamSpec("P")
R = TypeVar("R")

_LAZY: Final = (iscoroutine, isgenerator, isasyncgen)
_EAGER: Final = "a plain function (a call that returns a coroutine or generator runs none of it)"
_TIMER: Final = "get_remaining_time_in_millis"


class PoolTransactions(PoolBase):
    """Commits enqueues and cancels together with actions on users' tables. A part of `Workpool`."""

    def transaction(self, ctx: LambdaContext | None, *, receipt: bool = True) -> Transaction:
        """Open a transaction: all that its block asks for is applied together, or none of it.

        Every `enqueue_*`, and `cancel`, of a pool of this table takes the transaction in place of
        `ctx`. The block's end commits it by one request of DynamoDB, with at most 100 actions. An
        answer, once given, stays true: a transaction that was not applied never will be.

            >>> import boto3
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     orders = boto3.resource("dynamodb").create_table(
            ...         TableName="orders",
            ...         BillingMode="PAY_PER_REQUEST",
            ...         KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            ...         AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ...     )
            ...     pool = cloud.workpool("email")
            ...     with pool.transaction(None) as tx:
            ...         work_id = pool.enqueue_action(tx, "send-email", {"order": "o-1"})
            ...         tx.put("orders", {"id": "o-1", "email": work_id})
            ...     orders.get_item(Key={"id": "o-1"})["Item"]["email"] == work_id
            ...     pool.status(None, work_id).state
            True
            'pending'

        Args:
            ctx: The handler's Lambda context, whose remaining time bounds the commit. `None` means
                a caller outside Lambda.
            receipt: A transaction without work items stores a receipt of its own, for two more
                write units. False leaves it out; a commit that is not answered is then never
                resolved.

        Raises:
            UsageError: `ctx` is no context, or the caller is a function that was given a
                transaction: a mutation, or a callback with effect.
        """
        if not isinstance(receipt, bool):
            raise UsageError("receipt", receipt, "True or False")
        caller = read_writer(ctx)
        remaining_ms = timer_of(ctx) if hasattr(ctx, _TIMER) else None
        return Transaction(
            self._ports,
            self.name,
            caller,
            remaining_ms=remaining_ms,
            receipt=receipt,
            counts=counts_of(ctx),
        )

    def run_transaction(
        self,
        fn: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run `fn(tx, ...)` in a transaction, again while what it read has changed. Returns its value.

        Up to eight runs. The function must do nothing but through `tx`, since a run may be in vain.
        A keyword `ctx` is the handler's Lambda context, and is not passed on.

        Raises:
            TransactionCanceled: A condition does not hold, or what it read changed in every run.
                Nothing was applied.
            UsageError: `fn` is no function, or returned a coroutine or generator, whose body has
                not run. Nothing was applied. Or as `transaction`.
            TransactionConflict, NotKicked, StoreUnavailable: As `transaction`.
            Exception: The function raised it. Nothing was applied.
        """
        if not callable(fn):
            raise UsageError("fn", kind_of(fn), "a function whose first parameter is a Transaction")
        named: dict[str, Any] = dict(kwargs)
        ctx: LambdaContext | None = named.pop("ctx", None)
        run: Callable[..., R] = fn
        attempt = 1
        while True:
            try:
                with self.transaction(ctx) as tx:
                    value = run(tx, *args, **named)
                    # Raised inside the block, so that what the function did before is not applied.
                    if any(is_lazy(value) for is_lazy in _LAZY):
                        if iscoroutine(value):
                            value.close()  # else Python warns that it was never awaited
                        raise UsageError("fn", fn, _EAGER)
            except TransactionCanceled as canceled:
                if not canceled.stale or attempt == limits.TRANSACTION_TRIES:
                    raise
                self._pause(attempt)
                attempt += 1
            else:
                return value

    @spelled_out(RetryableOptions)
    def transact_items(
        self,
        ctx: LambdaContext | None,
        target: str | JobHandle[..., Any],
        args: Mapping[str, object],
        **options: Unpack[RetryableOptions],
    ) -> Prepared:
        """Return an enqueue as items for a `TransactWriteItems` of your own.

        Nothing is stored yet. The work item exists exactly if your transaction is applied. Send it
        within minutes, then call `kick`, which acknowledges the enqueue. Without it, or if your
        call gets no answer, the watchdog finds the work item within a minute, or within an hour if
        it was sent late. `resolve` decides an unanswered call for ever.

            >>> import boto3
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     client, pool = boto3.client("dynamodb"), cloud.workpool("email")
            ...     _ = client.create_table(
            ...         TableName="orders",
            ...         BillingMode="PAY_PER_REQUEST",
            ...         KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            ...         AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ...     )
            ...     mail = pool.transact_items(None, "send-email", {"order": "o-1"})
            ...     order = {"Put": {"TableName": "orders", "Item": {"id": {"S": "o-1"}}}}
            ...     _ = client.transact_write_items(TransactItems=[order, *mail.items])
            ...     pool.kick(None, mail)
            ...     pool.status(None, mail.ids[0]).state
            'pending'

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            target: As for `enqueue_action`. A decorated function is enqueued by its own kind.
            args: As for `enqueue_action`.
            options: As for `enqueue_action`.

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer. Nothing was stored.
        """
        found = job_at(target)
        kind = Kind.ACTION if found is None else found.job.kind
        caller, counts = read_writer(ctx), counts_of(ctx)
        with AnchoredTransaction(self._ports, self.name, caller, counts=counts) as tx:
            ids = self._submit(kind, tx, target, encode_one(args, target), options)
        plan, requests = tx.plan_only(), Requests(self.table)
        items: list[Any] = [requests.action(each) for each in plan.actions]
        return Prepared(
            ids=tuple(ids), items=items, plain=list(map(plain_action, items)), plan=plan
        )

    def kick(self, ctx: LambdaContext | None, transaction: Transaction | Prepared) -> None:
        """Have the loop see the work items of an applied transaction.

        Needed after your own transaction with `transact_items`, and after a `NotKicked`. Repeating
        it does no harm.

        Raises:
            UsageError: The transaction is not applied, as far as this process knows.
            NotKicked: DynamoDB did not answer.
        """
        read_writer(ctx)
        if isinstance(transaction, Prepared):
            self._follow_up(flow.landed_by_now(self._ports, transaction.plan))
        elif isinstance(transaction, Transaction):
            transaction.kick()
        else:
            raise UsageError("transaction", kind_of(transaction), "a Transaction, or a Prepared")

    def resolve(self, ctx: LambdaContext | None, transaction: Transaction | Prepared) -> bool:
        """Decide for ever if a transaction is applied, after a call that got no answer.

        True means that it is applied, and False that it never will be. See `Transaction.resolve`.

        Raises:
            UsageError: As `Transaction.resolve`.
            NotKicked: It is applied, and the loop may not know.
            StoreUnavailable: DynamoDB did not answer; the doubt remains.
        """
        read_writer(ctx)
        if isinstance(transaction, Transaction):
            return transaction.resolve()
        if not isinstance(transaction, Prepared):
            raise UsageError("transaction", kind_of(transaction), "a Transaction, or a Prepared")
        plan = transaction.plan
        if plan.tombstone is None or self._ports.clock.now() > plan.proven_until:
            got = Words("one whose proof may be gone")
            raise UsageError("transaction", got, "one prepared more recently")
        if not flow.fence(self._ports, plan.tombstone):
            return False
        self._follow_up(flow.Applied(plan, None))
        return True

    def _follow_up(self, applied: flow.Applied) -> None:
        try:
            flow.follow_up(self._ports, applied)
        except StoreUnavailable as error:
            raise NotKicked(f"applied, but the loop could not be notified: {error}") from error

    @overload
    def cancel(self, ctx: LambdaContext | None, work_id: str) -> CancelAnswer: ...
    @overload
    def cancel(self, ctx: Transaction, work_id: str, *, require_pending: bool = False) -> None: ...
    def cancel(
        self,
        ctx: LambdaContext | Transaction | None,
        work_id: str,
        *,
        require_pending: bool = False,
    ) -> CancelAnswer | None:
        """Keep a work item from starting again. Returns the answer, a str.

        * "canceled": it was pending, and never starts again. Its result is `canceled`.
        * "requested": it is running and will not be interrupted or retried. The worker can look at
          `Work.cancel_requested`. A success still counts as one; a failure that would have been
          retried is `canceled`.
        * "finished": it had finished, and is unchanged.
        * "unknown": no work item of this id is known. Nothing changed.

            >>> from datetime import timedelta
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     work_id = pool.enqueue_action(
            ...         None, "send-email", {}, run_after=timedelta(days=1)
            ...     )
            ...     str(pool.cancel(None, work_id)), pool.result(None, work_id).kind
            ('canceled', 'canceled')

        With a transaction in place of `ctx`, its commit makes the cancel, and the answer is in
        `Transaction.answers` afterwards. `require_pending` then applies the transaction only if the
        answer is "canceled".

        Raises:
            UsageError: `ctx` is no context, or `work_id` no str. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer. The work item may or may not be canceled;
                repeating the call does no harm.
        """
        if not isinstance(require_pending, bool):
            raise UsageError("require_pending", require_pending, "True or False")
        checked = WorkId(checked_id("work_id", work_id))
        tx = self._transaction_in(ctx)
        if tx is not None:
            order = CancelOrder(pool=self.name, work_id=checked, require_pending=require_pending)
            tx.order_cancel(order)
            return None
        if require_pending:
            raise UsageError("require_pending", require_pending, "False without a transaction")
        read_caller(ctx)
        return cancel.cancel(self._ports, self.name, checked)

    def _transaction_in(self, ctx: object) -> Transaction | None:
        """Returns the open transaction that stands for a context. `None` means that none does.

        Raises UsageError for a transaction of another table, or one that is not open.
        """
        if not isinstance(ctx, Transaction):
            refuse_beside(ctx)
            return None
        ctx.check_open()
        if ctx.table != self.table:
            raise UsageError(
                "ctx", Words(f"a transaction of table {ctx.table!r}"), "one of the pool's table"
            )
        return ctx

    def _pause(self, attempt: int) -> None:
        ports = self._ports
        ports.clock.sleep(pause_ms(attempt, ports.entropy.fraction()))

"""`PoolDecorators`, the part of `Workpool` that makes functions workers."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from workpool_aws.api.decorators import JobDecorator, MutationDecorator
from workpool_aws.model.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws.api.worker import Worker

__all__ = ["PoolDecorators"]


class PoolDecorators:
    """Makes functions workers of a pool. A part of `Workpool`."""

    @property
    def action(self) -> JobDecorator:
        """Make a function a worker, the Lambda handler that runs it for a pool and reports.

        The worker also enqueues itself, in this pool: see `JobHandle`. Its job has the function's
        name, or the `name` that is given. The options of `RetryableOptions`, except `run_at`, are
        defaults of its enqueues.

        Pydantic validates the arguments by the function's signature. A parameter annotated `Work`
        receives the handle of the attempt. The plain function stays at `.function`.

        Table and pool of a report come from the event, so one function may serve many pools. An
        event without an assignment is validated, run and answered directly.

            >>> from workpool_aws import Workpool
            >>> pool = Workpool("my-table")
            >>> @pool.action
            ... def send_email(to: str, template: str = "welcome") -> dict[str, str]:
            ...     return {"to": to, "template": template}
            >>> send_email.function("a@example.com")
            {'to': 'a@example.com', 'template': 'welcome'}
            >>> @pool.action(name="sms.send", retry=True)
            ... def send_sms(to: str) -> None: ...
            >>> send_sms.job.name
            'sms.send'

        Raises:
            UsageError: The function is async, a generator or a class, or has parameters that cannot
                be given by name. Or the name or an option is not allowed.
        """
        return JobDecorator(partial(self._make_worker, Kind.ACTION))

    @property
    def query(self) -> JobDecorator:
        """As `action`, for a function that only reads.

        Its job's enqueues are queries, which are retried by default.
        """
        return JobDecorator(partial(self._make_worker, Kind.QUERY))

    @property
    def mutation(self) -> MutationDecorator:
        """As `action`, for a function whose whole effect is one transaction [WP-15].

        A parameter annotated `Transaction` receives it. The commit is at the same time the success
        of the work item, so the effect happens once, however often the function runs. The function
        must have no other effect. It runs again in place while what it read has changed, and by the
        retry policy when it raises. Its job's enqueues are mutations.

            >>> import boto3
            >>> from workpool_aws import Transaction
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     accounts = boto3.resource("dynamodb").create_table(
            ...         TableName="accounts",
            ...         BillingMode="PAY_PER_REQUEST",
            ...         KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            ...         AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            ...     )
            ...     pool = cloud.workpool()
            ...
            ...     @pool.mutation
            ...     def pay_in(tx: Transaction, account: str, cents: int) -> None:
            ...         tx.update("accounts", {"id": account}, add={"cents": cents})
            ...
            ...     pay_in_arn = cloud.function(pay_in)
            ...     work_id = pay_in.enqueue(None, account="ann", cents=250)
            ...     cloud.run_until_idle()
            ...     int(accounts.get_item(Key={"id": "ann"})["Item"]["cents"])
            250

        Raises:
            UsageError: As `action`.
        """
        return MutationDecorator(partial(self._make_worker, Kind.MUTATION))

    @abstractmethod
    def _make_worker(
        self,
        kind: Kind,
        function: Callable[..., object],
        name: str | None,
        options: Mapping[str, object],
    ) -> Worker[..., ..., object]:
        """Make a function a worker, with the name and default options of its job."""

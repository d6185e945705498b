"""`PoolChanges`, the part of `Workpool` that changes many enqueued work items, or dead ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workpool_aws.api.caller import checked_id, read_caller, read_writer
from workpool_aws.api.job_filter import read_filter
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.flow.work import bulk_cancel as cancel_all
from workpool_aws.flow.work.redrive import dead_letters, redrive, redrive_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.model.ids import WorkId

__all__ = ["PoolChanges"]


class PoolChanges(PoolBase):
    """Cancels and redrives what a pool already has. A part of `Workpool`."""

    def cancel_all(self, ctx: LambdaContext | None) -> None:
        """Cancel everything that was enqueued in this pool before this call.

        When it returns, none of it starts any more.

        The call makes three small writes, whatever the backlog. The loop then cancels the work
        items one by one, about a thousand a second, each with its callback as after `cancel`. Until
        the loop reaches it, a work item is `pending` with `cancel_requested`. Running work items
        get a request, as by `cancel`, and one that was about to start may still run. Work items
        enqueued after the call are not affected; those enqueued during the call may be.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     beat_arn = cloud.function(lambda event, context: "ran", name="beat")
            ...     old = pool.enqueue_action(None, beat_arn, {})
            ...     pool.cancel_all(None)
            ...     new = pool.enqueue_action(None, beat_arn, {})
            ...     cloud.run_until_idle()
            ...     [pool.status(None, work_id).outcome for work_id in (old, new)]
            ['canceled', 'success']

        Raises:
            UsageError: `ctx` is no context. Nothing was changed.
            StoreUnavailable: DynamoDB did not answer. The cancel may or may not hold; repeating the
                call does no harm.
        """
        caller = read_writer(ctx)
        cancel_all.cancel_all(self._ports, self.name, by=caller.name)

    def redrive(self, ctx: LambdaContext | None, work_id: str) -> WorkId:
        """Enqueue a failed work item again: same function, arguments and policy, due now.

        The failed work item keeps its outcome and leaves the dead letters; it and the new one name
        each other. This happens once. A second call makes nothing, and returns the id of the work
        item that the first call made.

        A work item with a dead callback does not run again. Its callback is delivered again, with
        all its tries, and the call returns its own id. If the work item failed for good as well, it
        stays among the dead letters for that, and a further call makes a new work item.

            >>> from workpool_aws.local import LocalCloud
            >>> def fragile(event, context):
            ...     raise ConnectionError("no route")
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     failed = pool.enqueue_action(None, cloud.function(fragile), {})
            ...     cloud.run_until_idle()
            ...     again = pool.redrive(None, failed)
            ...     (
            ...         again == pool.redrive(None, failed),
            ...         pool.show(None, again).status.redrive_of == failed,
            ...     )
            (True, True)

        Raises:
            NotFound: No work item of this id is known; it may be past its retention.
            UsageError: The work item neither failed for good nor has a dead callback. Nothing was
                made.
            StoreUnavailable: DynamoDB did not answer. The work item may or may not be redriven;
                repeating the call does no harm. For a work item that both failed and has a dead
                callback, `status` shows which of the two was redriven.
        """
        caller = read_writer(ctx)
        return redrive(self._ports, self.name, checked_id("work_id", work_id), origin=caller.origin)

    def redrive_all(
        self, ctx: LambdaContext | None, fn: str | JobHandle[..., Any] | None = None
    ) -> int:
        """Redrive every dead letter, or those of one job or function, each as `redrive` does.

        Returns their number. `fn` is as in `list`.

        A work item that dies during the call, or died a moment before, may be left for the next
        call. So is a failure whose callback was dead as well.

        Raises:
            UsageError: `ctx` is no context, or `fn` no job, name or ARN. Nothing was made.
            StoreUnavailable: DynamoDB did not answer. Some may be redriven; repeating the call
                redrives the others.
        """
        caller = read_writer(ctx)
        found = self._dead_letters(fn)
        return redrive_each(self._ports, self.name, [*found], origin=caller.origin)

    def count_dead_letters(
        self, ctx: LambdaContext | None, fn: str | JobHandle[..., Any] | None = None
    ) -> int:
        """Return the number of dead letters that `redrive_all` would redrive now.

        Reads each dead letter, from an index that may lag behind by a second or so.

        Raises:
            UsageError: `ctx` is no context, or `fn` no job, name or ARN.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return len(self._dead_letters(fn))

    def _dead_letters(self, fn: object) -> Sequence[WorkId]:
        wanted = read_filter(lambda: self._ports, fn)
        return dead_letters(
            self._ports, self.name, lambda work: wanted is None or wanted.admits(work.spec)
        )

"""`PoolGroups`, the part of `Workpool` for groups of work items with one callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from workpool_aws.api.caller import read_caller, read_writer
from workpool_aws.api.job import encode_batch, job_at
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.api.spec import read_due
from workpool_aws.core import limits
from workpool_aws.core.group.enqueue import digest_of_request, stand_in
from workpool_aws.core.views.groups import check_group_id, unknown_group
from workpool_aws.core.views.listing import check_order
from workpool_aws.errors import NotFound, StoreUnavailable, UnknownOption, UsageError
from workpool_aws.flow.group.cancel import cancel_members
from workpool_aws.flow.group.enqueue import GroupTaken, enqueue_group
from workpool_aws.flow.views.groups import list_groups, load_group, one_group
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import make_id
from workpool_aws.model.payload import Inline
from workpool_aws.model.spec import Kind, Spec
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from workpool_aws.api.caller import Caller, LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.api.options import Decorated
    from workpool_aws.api.spec import Due
    from workpool_aws.core.views.groups import Group, GroupPage
    from workpool_aws.core.views.listing import ListOrder
    from workpool_aws.model.retry import RetryPolicy
    from workpool_aws.ports import Ports

__all__ = ["GroupOptions", "PoolGroups"]


class GroupOptions(TypedDict, total=False):
    """The options of the members of a group, as `RetryableOptions` has them.

    An option left out is `None`.

    run_after:
        Earliest start of all, counted from now.
    run_at:
        Earliest start of all as a timezone-aware datetime.
    expires_after:
        Time after which no start of a member may be made, counted from the due time.
    timeout, heartbeat_timeout:
        As of any enqueue.
    retry:
        As of any enqueue. `None` means the default of the kind.
    """

    run_after: timedelta | None
    run_at: datetime | None
    expires_after: timedelta | None
    timeout: timedelta | None
    heartbeat_timeout: timedelta | None
    retry: bool | RetryPolicy | None


class PoolGroups(PoolBase):
    """Enqueues, shows and cancels groups. A part of `Workpool`."""

    def enqueue_group(
        self,
        ctx: LambdaContext | None,
        fn: str | JobHandle[..., Any],
        args: Sequence[Mapping[str, object]],
        *,
        on_complete: str | Decorated | None = None,
        context: object = None,
        group_id: str | None = None,
        **options: Unpack[GroupOptions],
    ) -> GroupId:
        """Run a function once for each arguments, and call back once when all are over.

        When this returns, all members are stored and none will be lost. `on_complete` is notified
        once, however they ended [WP-19]. Its event is that of a work item that succeeded, whose
        return value counts the members by outcome. The same call with the same `group_id` stores
        what is missing, and nothing twice.

            >>> from workpool_aws import OnCompleteEvent
            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...
            ...     @pool.on_complete
            ...     def album_done(event: OnCompleteEvent) -> None:
            ...         print(event.context, event.result.return_value["succeeded"])
            ...
            ...     resize_arn = cloud.function(lambda event, context: event["n"], name="resize")
            ...     done_arn, images = cloud.function(album_done), [{"n": n} for n in range(3)]
            ...     group_id = pool.enqueue_group(
            ...         None, resize_arn, images, on_complete=album_done, context={"album": 7}
            ...     )
            ...     cloud.run_until_idle()
            {'album': 7} 3

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            fn: As the target of `enqueue_action`. A decorated function has its own kind and options;
                an `on_complete` among these is that of each member.
            args: 1 to 10,000 JSON objects, each of at most 900 KB.
            on_complete: As of an enqueue. `None` means no callback.
            context: JSON value that the callback carries, at most 4 KB. Needs `on_complete`.
            group_id: 1 to 64 letters, digits, `_`, `-` and `.`. `None` means a new one.
            options: Of the members. See `GroupOptions`.

        Raises:
            UsageError: A value is not allowed, or `group_id` names a group of another function or
                of other arguments. Nothing was stored.
            StoreUnavailable: DynamoDB did not answer. Members may be missing, and the same call
                with the `group_id` of the error stores them.
        """
        caller = read_writer(ctx)
        asked = None if group_id is None else check_group_id(group_id)
        encoded = self._encoded(args, fn)
        spec, due = self._members_of(fn, caller, options)
        owing = self._owing(spec.kind, caller, fn, on_complete, context)
        ports, now = self._ports, self._ports.clock.now()
        self._register_once(ports, caller)
        name = asked or GroupId(make_id(now, random_bits=ports.entropy.bits(75)))
        item = GroupItem(
            pool=self.name,
            id=name,
            spec=stand_in(owing, name, retention_s=spec.retention_s),
            total=len(encoded),
            born=ports.entropy.token(),
            digest=digest_of_request(spec, encoded),
            created_at=now,
            due_at=due.counted_from(now),
        )
        return self._store_group(ports, item, spec, encoded)

    def _encoded(self, args: object, fn: object) -> list[str]:
        """Returns the arguments of each member as JSON. Raises UsageError, which names the index."""
        if isinstance(args, Sized) and not 1 <= len(args) <= limits.GROUP_MAX:
            allowed = f"a list of 1 to {limits.GROUP_MAX} JSON objects"
            raise UsageError("args", f"{len(args)} of them", allowed)
        return encode_batch(args, fn)

    def _owing(
        self, kind: Kind, caller: Caller, fn: object, on_complete: object, context: object
    ) -> Spec:
        """Returns a spec with the callback of a group.

        Raises UsageError for a large context, too, since it is written with each count.
        """
        callback = {"on_complete": on_complete, "context": context}
        spec, longest = (
            self._checked_spec(kind, caller, fn, callback),
            limits.GROUP_CONTEXT_BYTES_MAX,
        )
        found = spec.context
        if isinstance(found, Inline) and len(found.text.encode()) > longest:
            size = f"{len(found.text.encode())} bytes"
            raise UsageError("context", size, f"at most {longest} bytes in a group")
        return spec

    def _members_of(
        self, fn: object, caller: Caller, options: Mapping[str, object]
    ) -> tuple[Spec, Due]:
        """Returns the spec of the members, kept for a day at least, and their earliest start."""
        for option, value in options.items():
            if option not in GroupOptions.__optional_keys__:
                raise UnknownOption(option, value, list(GroupOptions.__annotations__))
        found, kind = job_at(fn), Kind.ACTION
        if found is not None:
            kind, options = found.job.kind, found.job.merged(options, found.job.kind)
        spec = self._checked_spec(kind, caller, fn, options)
        if spec.unique is not None:
            allowed = "None for the members of a group, of which each is stored"
            raise UsageError("unique_key", options.get("unique_key"), allowed)
        due = read_due(options, now=self._ports.clock.now())
        if spec.retention_s is None:
            return spec, due
        kept_s = max(spec.retention_s, limits.GROUP_RETENTION_S_MIN)
        return replace(spec, retention_s=kept_s), due

    def _store_group(
        self, ports: Ports, item: GroupItem, spec: Spec, args: Sequence[str]
    ) -> GroupId:
        try:
            enqueue_group(ports, item, spec, args)
        except GroupTaken:
            allowed = "new, or that of a group of the same function and arguments"
            raise UsageError("group_id", item.id, allowed) from None
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"members of group {item.id} may be missing, "
                f"and the same call with this group_id stores them: {error}",
                maybe_enqueued=error.maybe_enqueued,
                group_id=item.id,
            ) from error
        return item.id

    def group(self, ctx: LambdaContext | None, group_id: str) -> Group:
        """Return the progress of a group.

        It costs a strong read of one read unit, or two once it is finished. While members are being
        stored, their range is read, too: 250 read units for 1,000 of them.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool = cloud.workpool()
            ...     half_arn = cloud.function(lambda event, context: 1 / event["n"])
            ...     group_id = pool.enqueue_group(None, half_arn, [{"n": 2}, {"n": 0}])
            ...     cloud.run_until_idle()
            ...     group = pool.group(None, group_id)
            ...     group.state, group.succeeded, group.failed
            ('finished', 1, 1)

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        checked = check_group_id(group_id)
        return one_group(self._ports, self.name, checked) or unknown_group(checked)

    def groups(
        self,
        ctx: LambdaContext | None,
        *,
        order: ListOrder = "oldest",
        limit: int = 50,
        after: str | None = None,
    ) -> GroupPage:
        """Return the groups of the pool by id, the order of their making where none was given.

        `list` with the id of one lists its members.

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            order: "oldest" (the lowest id) or "newest" first.
            limit: 1 to 100. A page may have fewer.
            after: `next` of the page before, of the same order. `None` means from the beginning.

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise UsageError("limit", limit, f"an int from 1 to {limits.GROUPS_LIST_MAX}")
        if not 1 <= limit <= limits.GROUPS_LIST_MAX:
            raise UsageError("limit", limit, f"an int from 1 to {limits.GROUPS_LIST_MAX}")
        newest = check_order(order) == "newest"
        beyond = None if after is None else check_group_id(after, field="after")
        return list_groups(self._ports, self.name, limit=limit, after=beyond, newest=newest)

    def cancel_group(
        self,
        ctx: LambdaContext | None,
        group_id: str,
        *,
        on_step: Callable[[int, int], object] | None = None,
    ) -> int:
        """Cancel the members of a group that have not started, and request it of those that run.

        A member that was not stored yet never will be, and counts as canceled. The group's callback
        follows once those that run are over.

        Costs about 5 write units a member that it cancels.

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            group_id: The group.
            on_step: Called after each 100 members that were not over, with their number and that of
                the ones that were canceled or asked to. An error that it raises ends the call, and
                the members that follow stay as they are. `None` calls nothing.

        Returns:
            The number of members that this call ended.

        Raises:
            NotFound: There is no such group.
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer. Some are canceled; repeating the call is
                safe.
        """
        read_writer(ctx)
        checked, ports = check_group_id(group_id), self._ports
        if on_step is not None and not callable(on_step):
            raise UsageError("on_step", on_step, "None, or a callable")
        item = load_group(ports, self.name, checked)
        if item is None:
            raise NotFound.of_group(checked, self.name)
        return cancel_members(ports, item, on_step)

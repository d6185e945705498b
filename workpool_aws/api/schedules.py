"""`PoolSchedules`, the part of `Workpool` for recurring work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from workpool_aws.api.caller import read_caller, read_writer
from workpool_aws.api.job import encode_one, job_at
from workpool_aws.api.pool_base import PoolBase
from workpool_aws.api.schedule_options import ScheduleOptions, read_schedule_options
from workpool_aws.api.timing import read_definition, read_schedule_name
from workpool_aws.api.unique import read_name
from workpool_aws.core import limits
from workpool_aws.core.proof import start_permit
from workpool_aws.core.work.enqueue import works_of
from workpool_aws.core.work.unique import NamedRequest, Wanted, known_until, run_now_digest
from workpool_aws.errors import NotFound, UsageError
from workpool_aws.flow.schedule import change
from workpool_aws.flow.views.listing import unstarted_of
from workpool_aws.flow.views.schedules import all_schedules, as_views
from workpool_aws.flow.work import enqueue
from workpool_aws.flow.work.cancel import cancel
from workpool_aws.flow.work.unique import enqueue_unique
from workpool_aws.model.ids import WorkId, make_id
from workpool_aws.model.payload import inline_text
from workpool_aws.model.spec import Kind
from workpool_aws.text import kind_of
from workpool_aws.values import replace

if TYPE_CHECKING:
    from workpool_aws.api.caller import LambdaContext
    from workpool_aws.api.handle import JobHandle
    from workpool_aws.api.schedule_options import ScheduleDefinition
    from workpool_aws.core.schedule.change import Definition
    from workpool_aws.core.views.schedules import Schedule
    from workpool_aws.model.schedule import ScheduleItem

__all__ = ["PoolSchedules"]


class PoolSchedules(PoolBase):
    """Makes, changes and shows schedules. A part of `Workpool`."""

    def schedule(
        self,
        ctx: LambdaContext | None,
        name: str,
        fn: str | JobHandle[..., Any],
        args: Mapping[str, object],
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Run a function again and again, or change the schedule of this name.

        Each occurrence is enqueued at most once, and each that falls due is enqueued or counted.
        Repeating the call changes nothing. A change does not affect an occurrence that is due
        within two minutes.

            >>> from workpool_aws.local import LocalCloud
            >>> with LocalCloud() as cloud:
            ...     pool, report_arn = cloud.workpool(), cloud.function(lambda event, context: None)
            ...     made = pool.schedule(None, "report", report_arn, {}, cron="30 6 * * MON-FRI")
            ...     made.words
            'At 06:30 on Monday through Friday'

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            name: 1 to 64 letters, digits, `_`, `-` and `.`, unique in the pool.
            fn: As the target of `enqueue_action`. A decorated function is enqueued by its own kind.
            args: A JSON object of at most 4 KB.
            options: See `TimingOptions` and `RetryableOptions`.

        Raises:
            UsageError: A value is not allowed. Nothing was stored.
            StoreUnavailable: DynamoDB did not answer. The schedule may or may not be stored;
                repeating the call is safe.
        """
        caller = read_writer(ctx)
        checked = read_schedule_name(name)
        asked = self._definition(ctx, fn, args, options, owner=None)
        ports = self._ports
        self._register_once(ports, caller)
        item = change.define(ports, self.name, checked, asked, by=caller.name)
        return as_views(ports, [item])[0]

    def unschedule(
        self, ctx: LambdaContext | None, name: str, *, cancel_pending: bool = False
    ) -> bool:
        """Remove a schedule. Returns False if there was none.

        Its work items stay, unless they are canceled, too.

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            name: The schedule's name.
            cancel_pending: True cancels each work item that the schedule has enqueued and that has
                not started, also where the schedule is gone already. That reads the pending work
                items of the pool. Defaults to False.

        Raises:
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer. Some may be canceled; repeating the call is
                safe.
        """
        caller, checked = read_writer(ctx), read_schedule_name(name)
        if not isinstance(cancel_pending, bool):
            raise UsageError("cancel_pending", cancel_pending, "True or False")
        ports = self._ports
        old = change.remove(ports, self.name, checked, by=caller.name)
        if cancel_pending:
            for work_id in unstarted_of(ports, self.name, checked):
                cancel(ports, self.name, work_id)
        return old is not None

    def schedules(self, ctx: LambdaContext | None) -> list[Schedule]:
        """Return the schedules of the pool by name, each with its progress.

        Costs one read unit for some six of them, and one for the latest work item of each.

        Raises:
            UsageError: `ctx` is no context.
            StoreUnavailable: DynamoDB did not answer.
        """
        read_caller(ctx)
        return all_schedules(self._ports, self.name)

    def pause_schedule(self, ctx: LambdaContext | None, name: str) -> Schedule:
        """Pause a schedule: when this returns, no further occurrence is enqueued.

        Occurrences that were due and not enqueued count as missed. Work items that are enqueued
        stay.

        Raises:
            NotFound: There is no such schedule.
            UsageError: A value is not allowed.
            StoreUnavailable: DynamoDB did not answer. Repeating the call is safe.
        """
        caller, checked = read_writer(ctx), read_schedule_name(name)
        return self._found(checked, change.pause(self._ports, self.name, checked, by=caller.name))

    def resume_schedule(self, ctx: LambdaContext | None, name: str) -> Schedule:
        """Resume a schedule with the first occurrence after now. Raises as `pause_schedule`."""
        caller, checked = read_writer(ctx), read_schedule_name(name)
        return self._found(checked, change.resume(self._ports, self.name, checked, by=caller.name))

    def run_now(
        self, ctx: LambdaContext | None, name: str, *, request_id: str | None = None
    ) -> WorkId:
        """Enqueue a work item as the schedule does, due now, besides its occurrences.

        It ignores `overlap`, and the next occurrence stays as it is.

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            name: The schedule's name.
            request_id: A text of at most 512 bytes that names this request. A repetition returns the
                first one's work item, as that of `enqueue_action` does, while the schedule is there.
                `None` means that each call enqueues one.

        Raises:
            NotFound: There is no such schedule.
            UsageError: A value is not allowed, or the `request_id` names another request. Nothing
                was stored.
            StoreUnavailable: DynamoDB did not answer. `maybe_enqueued` names what may be stored.
                Repeating the call with the same `request_id` is safe.
        """
        caller, checked = read_writer(ctx), read_schedule_name(name)
        if request_id is not None:
            read_name("request_id", request_id, limits.REQUEST_ID_BYTES_MAX)
        ports = self._ports
        item = change.load_schedule(ports, self.name, checked)
        if item is None:
            raise NotFound.of_schedule(checked, self.name)
        self._register_once(ports, caller)
        now = ports.clock.now()
        trace = ports.tracing.current() or item.spec.trace
        spec = replace(item.spec, awaited=False, origin=caller.origin, trace=trace)
        work_id = WorkId(make_id(now, random_bits=ports.entropy.bits(75)))
        works = works_of(
            spec,
            [inline_text(spec.args) or "{}"],
            [work_id],
            [start_permit(ports.entropy.token())],
            pool=self.name,
            due=now,
            now=now,
            epoch=self._seen_in(ports.store).epoch,
        )
        if spec.unique is not None or request_id is not None:
            request = None
            if request_id is not None:
                until = known_until(spec.retention_s, now)
                request = NamedRequest(id=request_id, digest=run_now_digest(checked), until=until)
            return enqueue_unique(ports, [Wanted(work=works[0], request=request)]).ids[0]
        return enqueue.enqueue(ports, works).ids[0]

    def sync_schedules(
        self,
        ctx: LambdaContext | None,
        definitions: Iterable[ScheduleDefinition],
        *,
        owner: str,
    ) -> list[Schedule]:
        """Make the schedules of an owner those that are given, and remove its others.

        All are checked before any is stored. Schedules of other owners stay as they are. Work items
        that are enqueued stay.

        Args:
            ctx: The handler's Lambda context. `None` means a caller outside Lambda.
            definitions: The arguments of `schedule` for each, as a mapping.
            owner: A text of 1 to 64 characters, as a schedule's name.

        Raises:
            UsageError: A value is not allowed. Nothing was stored.
            StoreUnavailable: DynamoDB did not answer. Some may be as asked for; repeating the call
                is safe.
        """
        caller, by_whom = read_writer(ctx), read_schedule_name(owner, field="owner")
        asked: dict[str, Definition] = {}
        for given in _read_definitions(definitions):
            name = read_schedule_name(given.pop("name", None))
            if name in asked:
                raise UsageError("name", name, "given once")
            fn, args = given.pop("fn", None), given.pop("args", {})
            asked[name] = self._definition(ctx, fn, args, given, owner=by_whom)
        ports = self._ports
        self._register_once(ports, caller)
        items = change.sync(ports, self.name, asked, owner=by_whom, by=caller.name)
        return as_views(ports, items)

    def _definition(
        self,
        ctx: LambdaContext | None,
        fn: object,
        args: object,
        options: Mapping[str, object],
        *,
        owner: str | None,
    ) -> Definition:
        timing, others = read_schedule_options(options)
        encoded = encode_one(args, fn)[0]
        found, kind = job_at(fn), Kind.ACTION
        if found is not None:
            kind = found.job.kind
            others = found.job.merged(others, kind)
        spec = self._checked_spec(kind, read_caller(ctx), fn, others)
        # Occurrences begin traces of their own: one trace of all of them would never end.
        trace = self._ports.tracing.current()
        spec = spec if trace is None else replace(spec, trace=trace.as_link())
        return read_definition(timing, spec, encoded, owner=owner)

    def _found(self, name: str, item: ScheduleItem | None) -> Schedule:
        if item is None:
            raise NotFound.of_schedule(name, self.name)
        return as_views(self._ports, [item])[0]


def _read_definitions(definitions: object) -> list[dict[str, Any]]:
    """Returns the arguments of each schedule by name, for the caller to take apart."""
    if isinstance(definitions, str | bytes | Mapping) or not isinstance(definitions, Iterable):
        raise UsageError("definitions", kind_of(definitions), "a list of mappings")
    read = []
    for index, each in enumerate(definitions):
        if not isinstance(each, Mapping) or not all(isinstance(key, str) for key in each):
            allowed = "the arguments of schedule by name"
            raise UsageError(f"definitions[{index}]", kind_of(each), allowed)
        read.append(dict(each))
    return read

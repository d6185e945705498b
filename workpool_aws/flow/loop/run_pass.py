"""Runs one pass of the loop, as a line of stages.

Stages that decide are pure and stand in `core/loop/`. The others read, or make effects. A pass has
one commit. A crash may lose any effect that follows it, and `core/loop/effects.py` names the repair
of each.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, assert_never

from workpool_aws.core import limits
from workpool_aws.core.chunks import overdue_expiries
from workpool_aws.core.loop.admit import headroom_of
from workpool_aws.core.loop.effects import Expire, Point, Results, ShowSpawned, Tidy
from workpool_aws.core.loop.memory import Inputs
from workpool_aws.core.loop.plan import (
    Findings,
    PassPlan,
    plan_pass,
    refused_result,
    remembered,
    result_of,
    runs_among,
    spent_pointers,
)
from workpool_aws.core.loop.recover import Checked, check, mates_of, suspects_among
from workpool_aws.core.loop.settle import Notices, settle, slots_taken
from workpool_aws.core.loop.tally import added, counts_by_job
from workpool_aws.core.work.unique import lock_expiries
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire
from workpool_aws.flow.loop.bulk_cancel import cancel_next_page, cancel_works
from workpool_aws.flow.loop.callbacks import deliver_callbacks, owed_callbacks
from workpool_aws.flow.loop.choose import (
    choose_due,
    deadlines_of,
    known_due,
    point_at_postponed,
    read_due,
)
from workpool_aws.flow.loop.groups import count_groups
from workpool_aws.flow.loop.reads import FirstReads, first_reads, notices_of_shards
from workpool_aws.flow.loop.recover import recover
from workpool_aws.flow.loop.shards import read_shards_of, tend_shards
from workpool_aws.flow.loop.start import begin, begin_run
from workpool_aws.flow.loop.tally import carry_on
from workpool_aws.flow.pool import configure
from workpool_aws.flow.reading import works_of
from workpool_aws.flow.schedule.fire import fire_schedules
from workpool_aws.flow.visibility import notify_schedule, put_pointer
from workpool_aws.flow.work.arrange import take_key
from workpool_aws.flow.work.expire import expire
from workpool_aws.flow.work.spawned import show_spawned
from workpool_aws.model import events
from workpool_aws.model.loop import MinuteTally
from workpool_aws.model.payload import Chunked, Inline
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.core.loop.choose import WorkRead
    from workpool_aws.core.loop.memory import Memory
    from workpool_aws.core.loop.pace import PassResult
    from workpool_aws.core.loop.settle import Settled
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.ports import Ports

__all__ = ["apply_after", "apply_before", "clean_up", "run_pass"]


def run_pass(session: LoopSession, now: EpochMs) -> PassResult:
    """Reads, decides, commits the ledger once, then acts.

    A pass that raises before its commit has changed nothing, apart from effects that are right
    without it. Raises Fenced, StoreUnavailable.
    """
    return _Pass(session, now).run()


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass of a session, as of `now`."""

    session: LoopSession
    now: EpochMs

    def run(self) -> PassResult:
        """Goes through the stages, one after the other."""
        session, ports, now = self.session, self.session.ports, self.now
        first = first_reads(session)
        inputs = self._read_inputs(first)
        settled = settle(
            session.entries, [notice for each in inputs.notices for notice in each.records]
        )
        memory = session.memory.having_read(inputs, settled)
        checked = self._check(settled, memory)
        # Before due work items are read, since this pass may find a fresh pointer and start by it.
        apply_before(ports, checked.before)

        room = headroom_of(
            inputs.config,
            in_flight=slots_taken(checked.entries),
            bulk_cancel=inputs.bulk_cancel,
            now=now,
            spent=memory.spent,
        )
        opened = () if first is None else first.works
        ahead = known_due(memory, inputs, checked, room)
        due: list[WorkRead | None] = [None for _ in memory.marks]
        if ahead is None:
            back_to = settled.back_to
            due = read_due(ports, memory, inputs, checked, room, back_to=back_to, opened=opened)
        choice = choose_due(ports.invoker, memory, checked, due, room, now, ahead=ahead)
        ports.fan_out(lambda work: point_at_postponed(ports, work), choice.postponed)

        groups = count_groups(session, inputs, settled, checked)
        ended = (*checked.dropped, *groups.follow_ups)
        callbacks = owed_callbacks(session, inputs.notices, settled.gone, ended, now)
        apply_before(ports, callbacks.before)

        deadlines = deadlines_of(ports.invoker, choice, now)
        found = Findings(
            memory, inputs, settled, checked, choice, callbacks, deadlines, groups.spent
        )
        plan = plan_pass(found, ends_at=session.ends_at)
        if not read_shards_of(session, choice):
            return refused_result(plan)
        # True whether or not the commit succeeds.
        session.memory = memory.reading(session.memory.shards_read)
        if not self._commit(plan):
            return refused_result(plan)
        # The starts are committed, so that no other loop makes them beyond the limit [WP-2].
        results = apply_after(session, plan)
        session.memory = remembered(session.memory, plan, results)
        clean_up(session, plan)  # last, since it may raise and no start may be forgotten
        tend_shards(session, plan.choice.chosen, now)
        session.passes += 1
        self._report(plan)
        return result_of(plan, session.memory, now)

    def _read_inputs(self, first: FirstReads | None) -> Inputs:
        """Returns the config, the notices of each shard, and the progress of a bulk cancel.

        Cancels the next page of one that is under way. That needs neither a slot nor the ledger.
        """
        session, ports, memory = self.session, self.session.ports, self.session.memory
        config, read_at = memory.config, memory.config_read_at
        if first is not None:
            config, read_at = first.config, self.now
        elif memory.config_is_old(self.now):
            config = configure.in_force(ports.store, ports.telemetry, session.pool)
            read_at = self.now
        bulk_cancel = cancel_next_page(session, config)
        deep = memory.deep_read_is_due(self.now)
        if first is not None:
            notices = first.notices
        elif deep or memory.awaits_notices:
            notices = notices_of_shards(session, deep=deep)
        else:
            notices = tuple(Notices((), ()) for _ in memory.marks)
        return Inputs(
            now=self.now,
            config=config,
            config_read_at=read_at,
            bulk_cancel=bulk_cancel,
            deep=deep,
            notices=notices,
        )

    def _check(self, settled: Settled, memory: Memory) -> Checked:
        """Judges suspect entries by their work items, and a run as a whole. Raises StoreUnavailable."""
        session = self.session
        suspects = suspects_among(settled.entries, memory, self.now)
        if not suspects:
            return Checked(settled.entries)
        works = works_of(session.ports.store, session.pool, mates_of(settled.entries, suspects))
        return check(settled.entries, suspects, works, memory, token=session.token, now=self.now)

    def _commit(self, plan: PassPlan) -> bool:
        """Commits the ledger of a plan if it changed, or to take it. False: make the pass again.

        The counts of a minute that is over are reported before the commit that drops them.
        """
        session = self.session
        if not plan.changes_ledger and session.held:
            session.memory = replace(session.memory, ledger=plan.ledger, lags_ms=())
            return True
        lags_ms = (*session.memory.lags_ms, *plan.lags_ms)
        ledger = carry_on(session.ports, plan.ledger, plan.notices, lags_ms, self.now)
        if not session.commit(ledger):
            return False
        if session.memory.lags_ms:
            session.memory = replace(session.memory, lags_ms=())
        return True

    def _report(self, plan: PassPlan) -> None:
        if not plan.moved:
            return
        session = self.session
        now = session.ports.clock.now()
        ended = added(None, plan.notices, (), now) or MinuteTally(since=now)
        event = events.PassReport(
            pool=session.pool,
            generation=session.generation,
            settled=len(plan.notices),
            started=len(plan.choice.chosen),
            in_flight=slots_taken(session.entries),
            limit=plan.limit,
            succeeded=ended.succeeded,
            failed=ended.failed,
            retried=ended.retried,
            canceled=ended.canceled,
            by_job=counts_by_job(plan.notices),
        )
        session.ports.telemetry.emit(event)


def apply_before(ports: Ports, effects: Iterable[Point | Expire | ShowSpawned]) -> None:
    """Makes effects that the coming commit relies on, one after the other [WP-3].

    Raises StoreUnavailable: the pass is not committed then, so the entry or callback that asked for
    the effect stays in the ledger.
    """
    for effect in effects:
        match effect:
            case Point():
                put_pointer(ports, effect.pool, effect.work_id, effect.at)
            case ShowSpawned():
                show_spawned(ports, effect.work)
            case Expire():
                work = effect.work
                locks = lock_expiries(work, ended_at=work.finished_at)
                let_expire(ports.store, (*overdue_expiries(work), *locks))
                notify_schedule(ports, work)
            case _:
                assert_never(effect)


def apply_after(session: LoopSession, plan: PassPlan) -> Results:
    """Makes the starts, recoveries and deliveries of a committed plan, and deletes spent pointers.

    Never raises: a result says what is not certain.
    """
    ports = session.ports
    if plan.is_quiet:
        return Results()

    def forget(tidy: Tidy) -> None:
        with suppress(StoreUnavailable):
            ports.store.delete(tidy.ref)

    starts = [start for start in plan.starts if start.run is None]
    begin_one = partial(begin, ports, session.token, session.secret)
    # Many at a time, but few of those that read and send arguments in chunks.
    small = [start for start in starts if isinstance(start.work.spec.args, Inline)]
    large = [start for start in starts if isinstance(start.work.spec.args, Chunked)]
    begun = [
        *ports.fan_out(begin_one, small, limits.SMALL_AT_ONCE),
        *ports.fan_out(begin_one, large),
    ]
    send_run = partial(begin_run, ports, session.secret)
    for run in ports.fan_out(send_run, runs_among(plan.starts), limits.SMALL_AT_ONCE):
        begun += run
    recovered = ports.fan_out(lambda lost: recover(ports, lost), plan.recovers)
    sent = session.memory.sent.union(each.key for each in begun if each.sent)
    ports.fan_out(forget, spent_pointers(plan, sent))
    return Results(
        begun=tuple(begun),
        recovered={lost.key: entry for lost, entry in zip(plan.recovers, recovered, strict=True)},
        callbacks=deliver_callbacks(ports, plan.callbacks),
    )


def clean_up(session: LoopSession, plan: PassPlan) -> None:
    """Deletes notices that the ledger stands for, ends what may not start, looks at schedules.

    Raises StoreUnavailable: the next pass meets what is left.
    """
    for forget in plan.forgets:
        session.ports.store.delete(forget.ref)
    cancel_works(session, [cancel.work for cancel in plan.cancels], session.memory.config)
    ports = session.ports
    ports.fan_out(lambda end: expire(ports, end.work), plan.expired)
    fire_schedules(ports, session.pool, plan.ticks, take_key)

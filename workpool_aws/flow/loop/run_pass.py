"""Runs one pass of the loop, as a line of stages.

Stages that decide are pure and stand in `core/loop/`. The others read, or make effects. A pass has
one commit. Of what stands after it a crash may lose anything, and `core/loop/effects.py` names the
repair of each effect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core.loop.admit import headroom_of
from workpool_aws.core.loop.choose import choose
from workpool_aws.core.loop.memory import Inputs
from workpool_aws.core.loop.plan import (
    PassPlan,
    plan_pass,
    refused_result,
    remembered,
    result_of,
)
from workpool_aws.core.loop.recover import check, suspects_among
from workpool_aws.core.loop.settle import Notices, deep_low, settle
from workpool_aws.core.loop.tally import added
from workpool_aws.flow.loop.apply import apply_after, apply_before, clean_up
from workpool_aws.flow.loop.bulk_cancel import drain
from workpool_aws.flow.loop.callbacks import owed_callbacks
from workpool_aws.flow.loop.choose import deadlines_of, read_due
from workpool_aws.flow.loop.tally import carry_on
from workpool_aws.flow.pool import configure
from workpool_aws.flow.reading import read_notices, works_of
from workpool_aws.model import events
from workpool_aws.model.loop import MinuteTally

if TYPE_CHECKING:
    from workpool_aws.core.loop.pace import PassResult
    from workpool_aws.flow.loop.session import LoopSession
    from workpool_aws.model.ids import EpochMs

__all__ = ["run_pass"]


def run_pass(session: LoopSession, now: EpochMs) -> PassResult:
    """Reads, decides, commits the ledger once, then acts.

    A pass that raises before its commit is as if it had not been, apart from effects that are right
    without it. Raises Fenced, StoreUnavailable.
    """
    ports = session.ports
    inputs = _read_inputs(session, now)
    settled = settle(
        session.entries, [notice for each in inputs.notices for notice in each.records]
    )
    memory = session.memory.having_read(inputs, settled)

    suspects = suspects_among(settled.entries, memory, now)
    works = works_of(ports.store, session.pool, suspects)
    checked = check(settled.entries, suspects, works, memory, token=session.token, now=now)
    # Before due work items are read, since this pass may find a fresh pointer and start by it.
    apply_before(ports, checked.before)

    room = headroom_of(
        inputs.config, in_flight=len(checked.entries), bulk_cancel=inputs.bulk_cancel, now=now
    )
    due = read_due(ports, memory, inputs, checked, room, back_to=settled.back_to)
    choice = choose(due, room)

    callbacks = owed_callbacks(session, inputs.notices, settled.gone, checked.dropped, now)
    apply_before(ports, callbacks.before)

    deadlines = deadlines_of(ports.invoker, choice, now)
    plan = plan_pass(
        memory, inputs, settled, checked, choice, callbacks, deadlines, ends_at=session.ends_at
    )
    session.memory = memory  # true whether or not the commit succeeds
    if not _commit(session, plan, now):
        return refused_result(plan)
    results = apply_after(session, plan)
    session.memory = remembered(session.memory, plan, results)
    clean_up(session, plan)  # last, since it may raise and no start may be forgotten
    session.passes += 1
    _report(session, plan)
    return result_of(plan, session.memory)


def _read_inputs(session: LoopSession, now: EpochMs) -> Inputs:
    """Returns the config, the notices of each shard, and the progress of a bulk cancel.

    Cancels the next page of one that is under way. That needs neither a slot nor the ledger.
    """
    ports, memory = session.ports, session.memory
    config, read_at = memory.config, memory.config_read_at
    if memory.config_is_old(now):
        config = configure.in_force(ports.store, ports.telemetry, session.pool)
        read_at = now
    bulk_cancel = drain(session, config)
    deep = memory.deep_read_is_due(now)
    lows = [
        deep_low(mark.done_cursor) if deep else mark.done_cursor for mark in memory.ledger.shards
    ]
    return Inputs(
        now=now,
        config=config,
        config_read_at=read_at,
        bulk_cancel=bulk_cancel,
        deep=deep,
        notices=tuple(
            read_notices(ports.store, ports.telemetry, session.pool, shard, low)
            if deep or memory.awaits_notices
            else Notices((), ())
            for shard, low in enumerate(lows)
        ),
    )


def _commit(session: LoopSession, plan: PassPlan, now: EpochMs) -> bool:
    """Commits the ledger of a plan, if it has to be; False means that the pass must be made again.

    The counts of a minute that is over are reported before the commit that drops them.
    """
    if not plan.changes_ledger:
        session.memory = replace(session.memory, ledger=plan.ledger)
        return True
    tally = carry_on(
        session.ports, session.pool, plan.ledger.tally, plan.notices, plan.lags_ms, now
    )
    return session.commit(replace(plan.ledger, tally=tally))


def _report(session: LoopSession, plan: PassPlan) -> None:
    if not plan.moved:
        return
    now = session.ports.clock.now()
    ended = added(None, plan.notices, (), now) or MinuteTally(since=now)
    event = events.PassReport(
        pool=session.pool,
        generation=session.generation,
        settled=len(plan.notices),
        started=len(plan.choice.chosen),
        in_flight=len(session.entries),
        limit=plan.limit,
        succeeded=ended.succeeded,
        failed=ended.failed,
        retried=ended.retried,
        canceled=ended.canceled,
    )
    session.ports.telemetry.emit(event)

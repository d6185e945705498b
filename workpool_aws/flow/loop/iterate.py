"""Runs the loop: pass after pass, until there is nothing to do, another invocation is the holder, or this Lambda's time is up.

One pass: collect (done records, entries to look at, due work items), decide (all in `core`), commit
the ledger once, then act. What a crash leaves undone after the commit, the next holder finds by
looking at the entries that are not confirmed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import headroom_of, limit_of
from workpool_aws.core.loop.callbacks import next_at
from workpool_aws.core.loop.choose import Choice, marks_after
from workpool_aws.core.loop.pace import Pace, PassResult, Pause, after_failure, decide_pause
from workpool_aws.core.loop.settle import Notices, Settled, deep_low, settle
from workpool_aws.core.loop.tally import added
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.loop import tally
from workpool_aws.flow.loop.bulk_cancel import cancel_works, drain
from workpool_aws.flow.loop.callbacks import act_on, look_at_callbacks
from workpool_aws.flow.loop.choose import choose_starts, entries_for
from workpool_aws.flow.loop.recover import Looked, look_at_entries, recover
from workpool_aws.flow.loop.rest import hand_over, rest
from workpool_aws.flow.loop.session import Fenced, LoopSession, acquire_session
from workpool_aws.flow.loop.start import PlannedStart, begin
from workpool_aws.flow.pool import configure
from workpool_aws.flow.pool.kick import is_current, win_generation
from workpool_aws.flow.reading import read_notices
from workpool_aws.model import events
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, Entry, MinuteTally

if TYPE_CHECKING:
    from collections.abc import Callable

    from workpool_aws.model.messages import LoopRequest
    from workpool_aws.model.refs import PointerRef
    from workpool_aws.ports import Ports

__all__ = ["run_loop"]


def run_loop(ports: Ports, order: LoopRequest, remaining_ms: Callable[[], int]) -> None:
    """Serve one order: be the loop of its generation, if the status names that one and this invocation becomes the holder.

    A wake order first wins a generation. An order of any other generation, or of a pool without a
    status, changes nothing.

    Returns when the loop rests, has handed over or was fenced off. Never raises for trouble with
    AWS: it ends, its lease runs out, and the watchdog starts another. `remaining_ms`: what is left
    of this Lambda invocation.
    """
    generation = order.generation
    try:
        if generation is None:
            generation = win_generation(ports, order.pool, KickReason.WAKE)
            if generation is None:
                return
        elif not is_current(ports.store, order.pool, generation):
            # An order is a hint, and anybody can send one: the status says which generation there
            # is [WP-2].
            ports.telemetry.emit(events.LoopFenced(pool=order.pool, generation=generation))
            return
        hold = acquire_session(ports, order.pool, generation, remaining_ms)
        if hold is None:
            ports.telemetry.emit(events.LoopFenced(pool=order.pool, generation=generation))
            return
        _run(hold)
    except Fenced:
        ports.telemetry.emit(events.LoopFenced(pool=order.pool, generation=generation or 0))
    except StoreUnavailable as error:
        ports.telemetry.emit(
            events.LoopEnded(pool=order.pool, generation=generation or 0, error=str(error))
        )
    except Exception as error:
        # A defect, of ours or of an item: said before Lambda counts it as a failure, or nobody
        # would know which pool stands still.
        ports.telemetry.emit(
            events.LoopEnded(
                pool=order.pool,
                generation=generation or 0,
                error=f"{type(error).__name__}: {error}",
            )
        )
        raise


def _run(hold: LoopSession) -> None:
    clock = hold.ports.clock
    pace = Pace(active_at=clock.now(), changed_at=clock.now())
    while True:
        began = clock.now()
        if began >= hold.ends_at:
            hand_over(hold)
            return
        hold.renew_lease(began)
        try:
            if pace.failures:
                # Its commit may have gone through, and the look at it have failed, too.
                hold.reload()
            done = _one_pass(hold, began)
        except StoreUnavailable as error:
            pause = _after_failure(hold, pace, error)
        else:
            pause = _pause(hold, pace, done, began)
            if pause.wait_ms is None and not rest(
                hold, done.free, done.next_due, config_version=done.config_version, cut=done.cut
            ):
                return
        pace = pause.pace
        clock.sleep(
            max(limits.PASS_FLOOR_MS - (clock.now() - began), 1)
            if pause.wait_ms is None
            else pause.wait_ms
        )


def _after_failure(hold: LoopSession, pace: Pace, error: StoreUnavailable) -> Pause:
    """Pause after a pass without an answer; the next one finds in the table what it had begun.

    Raises the error after too many in a row.
    """
    pause = after_failure(pace)
    if pause.wait_ms is None:
        raise error
    hold.ports.telemetry.emit(
        events.PassFailed(pool=hold.pool, generation=hold.generation, error=str(error))
    )
    return pause


def _pause(hold: LoopSession, pace: Pace, done: PassResult, began: EpochMs) -> Pause:
    callback_at, owed = next_at(hold.memory.callbacks), len(hold.memory.callbacks)
    pause = decide_pause(
        pace,
        done,
        entries=hold.entries,
        owed=owed,
        callback_at=callback_at,
        began=began,
        now=hold.ports.clock.now(),
    )
    if pause.slowed:
        hold.ports.telemetry.emit(
            events.NoProgress(pool=hold.pool, generation=hold.generation, passes=pause.pace.stalled)
        )
    return pause


def _one_pass(hold: LoopSession, now: EpochMs) -> PassResult:
    config, config_read_at = _config(hold, now)
    limit = limit_of(config)
    version = 0 if config is None else config.version
    drained = drain(hold, config)
    deep = hold.memory.deep_read_is_due(now)
    reports = _read_notices(hold, deep=deep)
    settled = settle(hold.entries, [record for report in reports for record in report.records])
    checked = {**hold.memory.checked, **settled.asked}
    memory = replace(
        hold.memory.asked_to_check(settled.asked), config=config, config_read_at=config_read_at
    )
    looked = look_at_entries(hold, memory, settled.entries, now)
    room = headroom_of(config, in_flight=len(looked.entries), bulk_cancel=drained, now=now)
    choice = choose_starts(hold, memory, looked, settled, room, deep=deep, now=now)
    callbacks = look_at_callbacks(hold, reports, settled.gone, looked.dropped, now)
    marks = marks_after(
        hold.ledger.shards,
        choice,
        back_to=settled.back_to,
        done_keys=[report.keys for report in reports],
        no_room_at=callbacks.blocked,
        deep=deep,
        now=now,
    )
    entries = {**looked.entries, **entries_for(hold, choice, now)}
    epoch = (
        drained.epoch if drained is not None and drained.next_shard is None else hold.ledger.epoch
    )
    ledger = replace(
        hold.ledger, entries=entries, shards=marks, callbacks=callbacks.owed, epoch=epoch
    )
    told = callbacks.owed != hold.ledger.callbacks
    changed = told or entries.keys() != hold.entries.keys() or epoch != hold.ledger.epoch
    hold.memory = replace(memory, deep_read_at=now) if deep else memory
    refused = PassResult(
        free=limit - len(entries),
        next_due=choice.next_due,
        progress=False,
        busy=True,
        config_version=version,
    )
    if not changed:
        hold.memory = replace(hold.memory, ledger=ledger)
    elif not hold.commit(replace(ledger, tally=_counted(hold, settled, choice, now))):
        return refused
    hold.memory = replace(
        hold.memory,
        checked={key: at for key, at in checked.items() if key in looked.entries},
        unconfirmed=(hold.memory.unconfirmed - looked.understood).intersection(entries),
    )
    promise_until = _act(hold, looked, choice, now)
    act_on(hold, callbacks)
    cancel_works(hold, choice.bulk_canceled, config)
    hold.passes += 1
    moved = len(settled.gone) + len(settled.entries) - len(looked.entries) + len(choice.chosen)
    if moved:
        _tell_pass(hold, settled, len(choice.chosen), limit)
    progress = moved > 0 or told or drained is not None or bool(choice.bulk_canceled)
    memory = hold.memory
    owes = memory.callbacks != hold.ledger.callbacks
    return replace(
        refused,
        progress=progress,
        busy=progress or bool(memory.unconfirmed or looked.recovers or owes),
        changes=max(1, moved) if changed else 0,
        promise_until=promise_until,
        cut=choice.cut,
    )


def _read_notices(hold: LoopSession, *, deep: bool) -> list[Notices]:
    """Returns the notices of each shard: beyond its cursor, or in a deep pass from back over the buffer."""
    return [
        read_notices(
            hold.ports.store,
            hold.ports.telemetry,
            hold.pool,
            shard,
            deep_low(mark.done_cursor) if deep else mark.done_cursor,
        )
        for shard, mark in enumerate(hold.ledger.shards)
    ]


def _config(hold: LoopSession, now: EpochMs) -> tuple[Config | None, EpochMs | None]:
    """Returns the config, a second or two old at most, and the time of its read.

    A change of the config bumps the ledger's version: no pass commits by an older one [WP-13].
    """
    if not hold.memory.config_is_old(now):
        return hold.memory.config, hold.memory.config_read_at
    return configure.in_force(hold.ports.store, hold.ports.telemetry, hold.pool), now


def _act(hold: LoopSession, looked: Looked, choice: Choice, now: EpochMs) -> EpochMs | None:
    """After the commit: starts, recoveries, tidying.

    Until when the workers were promised that the loop stays up; `None` means they were not.
    """
    promise = _promise(hold, choice, now) if looked.begins or choice.chosen else None
    orders = [PlannedStart(key, work, promise) for key, work in looked.begins]
    orders += [PlannedStart(found.start, found.work, promise) for found in choice.chosen]
    entries = dict(hold.entries)
    sent, unconfirmed = set(hold.memory.sent), set(hold.memory.unconfirmed)
    for begun in hold.ports.fan_out(
        lambda order: begin(hold.ports, hold.token, hold.secret, order), orders
    ):
        if begun.sent:
            sent.add(begun.key)
            unconfirmed.discard(begun.key)
            if begun.deadline is not None:
                entries[begun.key] = Entry(begun.deadline, confirmed=True)
        else:
            unconfirmed.add(begun.key)
    recovered = hold.ports.fan_out(
        lambda one: recover(hold.ports, *one), looked.recovers[: limits.RECOVERIES_MAX]
    )
    entries.update(
        {key: entry for (key, _), entry in zip(looked.recovers, recovered, strict=False)}
    )
    hold.memory = replace(
        hold.memory,
        ledger=replace(hold.ledger, entries=entries),
        sent=frozenset(sent.intersection(entries)),
        unconfirmed=frozenset(unconfirmed),
    )
    hold.ports.fan_out(lambda pointer: _tidy(hold.ports, pointer), _spent_pointers(hold, choice))
    return promise


def _tidy(ports: Ports, pointer: PointerRef) -> None:
    # One that stays is of no use and does no harm: it is met again, or lies behind the cursor for
    # good.
    with suppress(StoreUnavailable):
        ports.store.delete(pointer)


def _promise(hold: LoopSession, choice: Choice, now: EpochMs) -> EpochMs | None:
    """A busy loop says how long it surely stays up, and its workers' completions save a read each."""
    until = EpochMs(now + limits.PROMISE_MS)
    if (
        not (choice.left or len(hold.entries) >= limits.PROMISE_ENTRIES_MIN)
        or until >= hold.ends_at
    ):
        return None
    return until


def _spent_pointers(hold: LoopSession, choice: Choice) -> list[PointerRef]:
    used = [
        pointer
        for found in choice.chosen
        if found.start in hold.memory.sent
        for pointer in found.pointers
    ]
    return list(dict.fromkeys([*used, *choice.stale]))


def _counted(
    hold: LoopSession, settled: Settled, choice: Choice, now: EpochMs
) -> MinuteTally | None:
    lags = [now - found.work.due_at for found in choice.chosen]
    return tally.carry_on(hold.ports, hold.pool, hold.ledger.tally, settled.records, lags, now)


def _tell_pass(hold: LoopSession, settled: Settled, started: int, limit: int) -> None:
    ended = added(None, settled.records, (), hold.ports.clock.now())
    event = events.PassReport(
        pool=hold.pool,
        generation=hold.generation,
        settled=len(settled.gone),
        started=started,
        in_flight=len(hold.entries),
        limit=limit,
        succeeded=0 if ended is None else ended.succeeded,
        failed=0 if ended is None else ended.failed,
        retried=0 if ended is None else ended.retried,
        canceled=0 if ended is None else ended.canceled,
    )
    hold.ports.telemetry.emit(event)

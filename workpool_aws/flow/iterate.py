"""Runs the loop: pass after pass, until there is nothing to do, another invocation is the holder, or this Lambda's time is up.

One pass: collect (done records, entries to look at, due works), decide (all in `core`), commit the ledger once, then act. What a crash
leaves undone after the commit, the next holder finds by looking at the entries that are not confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from workpool_aws.core import limits
from workpool_aws.core.callback import next_at
from workpool_aws.core.kick import KickReason
from workpool_aws.core.rest import decide_rest, floor_ms, next_poll_ms
from workpool_aws.core.settle import Settled, deep_low, done_cursor_after, settle
from workpool_aws.core.start import Taken, cursor_after
from workpool_aws.core.tally import added
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow import configure, tally
from workpool_aws.flow.callback import Callbacks, act_on, look_at_callbacks
from workpool_aws.flow.collect import Found, Reports, WorkRead, read_reports, read_works
from workpool_aws.flow.hold import Fenced, Hold, take_hold
from workpool_aws.flow.kick import win_generation
from workpool_aws.flow.recover import Looked, look_at_entries, recover
from workpool_aws.flow.rest import hand_over, rest
from workpool_aws.flow.start import Order, begin
from workpool_aws.model import facts
from workpool_aws.model.ids import EpochMs, id_floor, time_of
from workpool_aws.model.loop import Config, Entry, EntryKey, ShardMark, Tally
from workpool_aws.model.messages import LoopOrder
from workpool_aws.model.refs import PointerRef
from workpool_aws.ports import Ports

__all__ = ["run_loop"]


def run_loop(ports: Ports, order: LoopOrder, remaining_ms: Callable[[], int], *, deployed_limit: int | None = None) -> None:
    """Serve one order: be the loop of its generation, if this invocation becomes the holder; a wake order first wins a generation.

    Returns when the loop rests, has handed over or was fenced off. Never raises for trouble with AWS: it ends, its lease runs out, and
    the watchdog starts another. `remaining_ms`: what is left of this Lambda invocation. `deployed_limit`: what the deployment says of this
    pool, in force before anything is started; None: nothing.
    """
    generation = order.generation
    try:
        if deployed_limit is not None:
            configure.ensure_deployed(ports, order.pool, deployed_limit)
        if generation is None:
            generation = win_generation(ports, order.pool, KickReason.WAKE)
            if generation is None:
                return
        hold = take_hold(ports, order.pool, generation, remaining_ms)
        if hold is None:
            ports.telemetry.tell(facts.LoopFenced(pool=order.pool, generation=generation))
            return
        _run(hold)
    except Fenced:
        ports.telemetry.tell(facts.LoopFenced(pool=order.pool, generation=generation or 0))
    except StoreUnavailable as error:
        ports.telemetry.tell(facts.LoopEnded(pool=order.pool, generation=generation or 0, error=str(error)))
    except Exception as error:
        # A defect, of ours or of an item: said before Lambda counts it as a failure, or nobody would know which pool stands still.
        ports.telemetry.tell(facts.LoopEnded(pool=order.pool, generation=generation or 0, error=f"{type(error).__name__}: {error}"))
        raise


def _run(hold: Hold) -> None:
    clock = hold.ports.clock
    while True:
        began = clock.now()
        if began >= hold.ends_at:
            hand_over(hold)
            return
        hold.renew_lease(began)
        try:
            if hold.failures:
                hold.reload()
            done = _one_pass(hold, began)
        except StoreUnavailable as error:
            clock.sleep(_after_failure(hold, error))
            continue
        hold.failures = 0
        pause_ms = _pace(hold, done, began)
        if pause_ms is None:
            if not rest(hold, done.free, done.next_due, config_version=done.config_version):
                return
            pause_ms = 0
        floor = floor_ms(hold.entries)
        clock.sleep(max(pause_ms, floor - (clock.now() - began), 1))


def _after_failure(hold: Hold, error: StoreUnavailable) -> int:
    """How long to wait after a pass that got no answer, in ms; what it had begun, the next one finds in the table.

    Raises the error after too many in a row.
    """
    hold.failures += 1
    if hold.failures >= limits.FAILED_PASSES_MAX:
        raise error
    hold.ports.telemetry.tell(facts.PassFailed(pool=hold.pool, generation=hold.generation, error=str(error)))
    return limits.POLL_MIN_MS << hold.failures


@dataclass(frozen=True, slots=True)
class PassDone:
    """What a pass came to. `progress`: a slot was freed or filled; `busy`: it found something to do, or to do again."""

    free: int
    next_due: EpochMs | None
    progress: bool
    busy: bool
    config_version: int


def _pace(hold: Hold, done: PassDone, began: EpochMs) -> int | None:
    """How long to wait before the next pass, in ms; None: nothing to do, rest."""
    if done.progress:
        hold.active_at, hold.stalled = began, 0
    if done.busy:
        hold.poll_ms = limits.POLL_MIN_MS
        hold.stalled += not done.progress
        return _slow_down(hold) if hold.stalled >= limits.STALLED_PASSES else 0
    now = hold.ports.clock.now()
    if (
        now < max(hold.promise_until, hold.active_at + limits.LINGER_MS)
        or decide_rest(hold.entries, done.next_due, free=done.free, now=now, callback_at=next_at(hold.callbacks)) is None
    ):
        slowest = limits.POLL_SATURATED_MS if done.free <= 0 else limits.POLL_MAX_MS
        wait, hold.poll_ms = min(hold.poll_ms, slowest), next_poll_ms(hold.poll_ms)
        callback_at = next_at(hold.callbacks)
        wait = wait if callback_at is None else max(1, min(wait, callback_at - now))
        # Awake in time for what is due: a due time holds to a second.
        return wait if done.next_due is None or done.free <= 0 else max(1, min(wait, done.next_due - now))
    return None


def _slow_down(hold: Hold) -> int:
    hold.ports.telemetry.tell(facts.NoProgress(pool=hold.pool, generation=hold.generation, passes=hold.stalled))
    return limits.STALLED_SLEEP_MS


def _one_pass(hold: Hold, now: EpochMs) -> PassDone:
    ports = hold.ports
    config = _config(hold, now)
    limit = limits.PARALLELISM_DEFAULT if config is None else config.limit
    version = 0 if config is None else config.version
    deep = hold.deep_read_at is None or now - hold.deep_read_at >= limits.DEEP_EVERY_MS
    reports = [
        read_reports(ports.store, ports.telemetry, hold.pool, shard, deep_low(mark.done_cursor) if deep else mark.done_cursor)
        for shard, mark in enumerate(hold.ledger.shards)
    ]
    settled = settle(hold.entries, [record for report in reports for record in report.records])
    hold.unsure |= {key for key, at in settled.asked.items() if hold.looked.get(key) != at}
    looked = look_at_entries(hold, settled.entries, now)
    hold.looked = {key: at for key, at in {**hold.looked, **settled.asked}.items() if key in looked.entries}
    free = limit - len(looked.entries)
    plan = _plan_starts(hold, looked, settled, free=free, deep=deep, now=now)
    callbacks = look_at_callbacks(hold, reports, settled.gone, looked.dropped, now)
    marks = _marks(hold, reports, plan, settled, callbacks, deep=deep and free > 0, now=now)
    entries = {**looked.entries, **{key: Entry(deadline) for key, deadline in plan.added}}
    told = callbacks.owed != hold.ledger.callbacks
    changed = told or entries.keys() != hold.entries.keys()
    if deep:
        hold.deep_read_at = now
    if changed and not hold.commit(entries, marks, callbacks.owed, _counted(hold, settled, plan, now)):
        return PassDone(free, plan.next_due, progress=False, busy=True, config_version=version)
    if not changed:
        hold.ledger = replace(hold.ledger, entries=entries, shards=marks)
    hold.unsure = {key for key in hold.unsure - looked.understood if key in entries}
    _act(hold, looked, plan, now)
    act_on(hold, callbacks)
    hold.passes += 1
    moved = bool(settled.gone or plan.chosen or len(looked.entries) < len(settled.entries))
    if moved:
        _tell_pass(hold, settled, len(plan.chosen), limit)
    progress = moved or told
    busy = progress or bool(hold.unsure or looked.recovers or hold.callbacks != hold.ledger.callbacks)
    return PassDone(limit - len(entries), plan.next_due, progress=progress, busy=busy, config_version=version)


def _config(hold: Hold, now: EpochMs) -> Config | None:
    """The config, at most a second old. Whoever changes it bumps the ledger's version, so that no pass commits by an older one [WP-13]."""
    if hold.config_read_at is None or now - hold.config_read_at >= limits.CONFIG_EVERY_MS:
        hold.config = configure.load(hold.ports, hold.pool)
        hold.config_read_at = now
    return hold.config


@dataclass(frozen=True, slots=True)
class Plan:
    """The starts of a pass, and how far each shard was read. `reads`: None for a shard that was not read (no free slot)."""

    chosen: tuple[Found, ...]
    added: tuple[tuple[EntryKey, EpochMs], ...]
    left: tuple[Found, ...]
    reads: tuple[WorkRead | None, ...]

    @property
    def next_due(self) -> EpochMs | None:
        """The earliest later due time that was seen."""
        return min((read.next_due for read in self.reads if read is not None and read.next_due is not None), default=None)


def _plan_starts(hold: Hold, looked: Looked, settled: Settled, *, free: int, deep: bool, now: EpochMs) -> Plan:
    """Read due works and choose the earliest, as many as there are free slots [WP-1]."""
    if free <= 0:
        return Plan((), (), (), tuple(None for _ in hold.ledger.shards))
    taken = _taken(hold, looked)
    reads: list[WorkRead] = []
    for shard, mark in enumerate(hold.ledger.shards):
        cursor = _cursor_back(mark, settled)
        low = deep_low(cursor, mark.deep_at) if deep else cursor
        reads.append(read_works(hold.ports.store, hold.ports.telemetry, hold.pool, shard, low, free=free, taken=taken, now=now))
    due = sorted((found for read in reads for found in read.due), key=lambda found: found.key)
    chosen = due[:free]
    added = []
    for found in chosen:
        function = hold.ports.invoker.limits(found.work.target)
        key = EntryKey(found.work.id, found.work.starts + 1)
        added.append((key, EpochMs(now + function.event_age_ms + function.timeout_ms)))
    return Plan(tuple(chosen), tuple(added), tuple(due[free:]), tuple(reads))


def _taken(hold: Hold, looked: Looked) -> Taken:
    unsure = {key.work_id for key in hold.unsure - looked.understood if key in looked.entries}
    return Taken(looked.entries, unsure)


def _cursor_back(mark: ShardMark, settled: Settled) -> str:
    return mark.work_cursor if settled.back_to is None else min(mark.work_cursor, settled.back_to)


def _marks(
    hold: Hold, reports: Sequence[Reports], plan: Plan, settled: Settled, callbacks: Callbacks, *, deep: bool, now: EpochMs
) -> tuple[ShardMark, ...]:
    """How far each shard was read: a cursor stays, or goes back, where something pending was not chosen, or found no room in the ledger."""
    marks = []
    for mark, report, read, no_room in zip(hold.ledger.shards, reports, plan.reads, callbacks.blocked, strict=True):
        cursor = _cursor_back(mark, settled)
        if read is not None:
            own = {found.key for found in read.due}
            blocked = min((found.key for found in plan.left if found.key in own), default=None)
            cursor = cursor_after(cursor, blocked, now)
        done_cursor = done_cursor_after(mark.done_cursor, report.keys, now)
        if no_room is not None:
            done_cursor = min(done_cursor, id_floor(EpochMs(time_of(no_room) - 1)))
        marks.append(ShardMark(work_cursor=cursor, done_cursor=done_cursor, deep_at=now if deep else mark.deep_at))
    return tuple(marks)


def _act(hold: Hold, looked: Looked, plan: Plan, now: EpochMs) -> None:
    """After the commit: starts, recoveries, tidying."""
    promise = _promise(hold, plan, now)
    orders = [Order(key, work, promise) for key, work in looked.begins]
    orders += [Order(key, found.work, promise) for (key, _), found in zip(plan.added, plan.chosen, strict=True)]
    entries = dict(hold.entries)
    for begun in hold.ports.fan_out(lambda order: begin(hold.ports, hold.token, order), orders):
        if begun.sent:
            hold.sent.add(begun.key)
            hold.unsure.discard(begun.key)
            if begun.deadline is not None:
                entries[begun.key] = Entry(begun.deadline, confirmed=True)
        else:
            hold.unsure.add(begun.key)
    recovered = hold.ports.fan_out(lambda one: recover(hold.ports, *one), looked.recovers[: limits.RECOVERIES_MAX])
    entries.update({key: entry for (key, _), entry in zip(looked.recovers, recovered, strict=False)})
    hold.ledger = replace(hold.ledger, entries=entries)
    hold.sent &= set(entries)
    hold.ports.fan_out(lambda pointer: _tidy(hold.ports, pointer), _spent_pointers(hold, plan))


def _tidy(ports: Ports, pointer: PointerRef) -> None:
    # One that stays is of no use and does no harm: it is met again, or lies behind the cursor for good.
    with suppress(StoreUnavailable):
        ports.store.delete(pointer)


def _promise(hold: Hold, plan: Plan, now: EpochMs) -> EpochMs | None:
    """A busy loop says how long it surely stays up, and its workers' completions save a read each."""
    until = EpochMs(now + limits.PROMISE_MS)
    if not (plan.left or len(hold.entries) >= limits.PROMISE_ENTRIES_MIN) or until >= hold.ends_at:
        return None
    hold.promise_until = until
    return until


def _spent_pointers(hold: Hold, plan: Plan) -> list[PointerRef]:
    used = [found.pointer for (key, _), found in zip(plan.added, plan.chosen, strict=True) if key in hold.sent]
    stale = [pointer for read in plan.reads if read is not None for pointer in read.stale]
    return [pointer for pointer in dict.fromkeys([*used, *stale]) if pointer is not None]


def _counted(hold: Hold, settled: Settled, plan: Plan, now: EpochMs) -> Tally | None:
    lags = [now - found.work.due_at for found in plan.chosen]
    return tally.carry_on(hold.ports, hold.pool, hold.ledger.tally, settled.records, lags, now)


def _tell_pass(hold: Hold, settled: Settled, started: int, limit: int) -> None:
    ended = added(None, settled.records, (), hold.ports.clock.now())
    fact = facts.PassReport(
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
    hold.ports.telemetry.tell(fact)

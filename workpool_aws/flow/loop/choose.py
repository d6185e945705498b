"""Reads the due work items of each shard, and the deadlines of those that were chosen."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.admit import Headroom, Refusal
from workpool_aws.core.loop.ahead import room_ahead
from workpool_aws.core.loop.choose import Choice, WorkRead, choose, found_in, more_in, read_from
from workpool_aws.core.loop.classify import Look, Taken, classify, is_to_point
from workpool_aws.core.loop.gather import gather
from workpool_aws.core.loop.runs import (
    may_share,
    patience_over_at,
    rows_of,
    rows_wanted,
    share_of_slots,
    spare_starts,
    starts_left,
    starts_of_run,
)
from workpool_aws.core.loop.settle import slots_taken
from workpool_aws.core.loop.start import first_look, is_made_by_worker
from workpool_aws.core.work.replace import pointed_write
from workpool_aws.flow.reading import ResolvedRow, resolved, work_range
from workpool_aws.flow.visibility import put_pointer
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Entry, EntryKey
from workpool_aws.model.schedule import Tick
from workpool_aws.model.work import WorkItem
from workpool_aws.ports import ConditionFailed
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workpool_aws.core.loop.ahead import Ahead
    from workpool_aws.core.loop.memory import Inputs, Memory
    from workpool_aws.core.loop.recover import Checked
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.refs import KeyRange
    from workpool_aws.ports import Invoker, Ports, Store, Telemetry

__all__ = [
    "choose_due",
    "deadlines_of",
    "due_in",
    "known_due",
    "live_in",
    "point_at_postponed",
    "read_due",
    "read_works",
]


def read_due(
    ports: Ports,
    memory: Memory,
    inputs: Inputs,
    checked: Checked,
    room: Headroom | Refusal,
    *,
    back_to: str | None,
    opened: Sequence[Iterator[ResolvedRow]] = (),
) -> list[WorkRead | None]:
    """Returns the due work items of each shard, by strong reads; where none may start soon, no read.

    `back_to`: as `core.loop.choose.read_from` takes it. `opened`: rows of these ranges of which the first
    page is read; none if no range is. Raises StoreUnavailable.
    """
    early = room_ahead(memory, checked.entries, room, inputs.now)
    limit, room = _limit(room, checked), room if early is None else early
    if isinstance(room, Refusal):
        return [None for _ in memory.marks]
    taken = _taken(memory, inputs, checked)
    wanted = _wanted(memory, room, checked, inputs.now, limit=limit)
    # A first page for all that runs could use would reach far into the later rows of a calm range.
    fitting = min(wanted, rows_of(memory, room.slots, inputs.now))
    first = _page_limit(fitting if memory.crowded else room.starts)

    def read(shard: int) -> WorkRead:
        if opened:
            rows, ahead = opened[shard], limits.LOOKAHEAD_ROWS_MAX
            return gather(rows, taken, free=room.starts, now=inputs.now, lookahead=ahead)
        page, behind = _ranges_of(memory, shard, first, back_to=back_to, deep=inputs.deep)
        store, telemetry, now = ports.store, ports.telemetry, inputs.now
        return read_works(store, telemetry, page, free=wanted, taken=taken, now=now, behind=behind)

    return [*ports.fan_out(read, range(len(memory.marks)))]


def known_due(
    memory: Memory, inputs: Inputs, checked: Checked, room: Headroom | Refusal
) -> Ahead | None:
    """Returns the due work items that an earlier pass has read for these slots; `None`: read them now.

    A deep pass reads, since nothing else finds what lies behind the cursor.
    """
    if memory.ahead is None or inputs.deep or isinstance(room, Refusal) or not room.starts:
        return None
    in_runs = _may_run(room, _limit(room, checked))
    wanted = rows_of(memory, room.slots, inputs.now) if in_runs else room.starts
    return memory.ahead.still_due(_taken(memory, inputs, checked), wanted, inputs.now)


def _taken(memory: Memory, inputs: Inputs, checked: Checked) -> Taken:
    doubtful = (memory.unconfirmed - checked.understood).intersection(checked.entries)
    return Taken(checked.entries, {key.work_id for key in doubtful}, inputs.config)


def _ranges_of(
    memory: Memory, shard: int, limit: int, *, back_to: str | None, deep: bool
) -> tuple[KeyRange, KeyRange | None]:
    """Returns the range of a shard to read, and the one behind the cursor to read before it.

    `limit`: rows of the first page of the former.
    Of a pool with more than its slots take, nearly all that lies there runs or is over. A page that
    reads on from there, and has grown, would end far beyond the rows that are wanted.
    """
    mark, pool = memory.marks[shard], memory.ledger.pool
    low = read_from(mark, back_to=back_to, deep=deep)
    cursor = read_from(mark, back_to=back_to, deep=False)
    is_busy = memory.crowded or len(memory.marks) > 1
    if low == cursor or not is_busy:
        return work_range(pool, shard, low, limit=limit), None
    behind = work_range(pool, shard, low, high=cursor, pending_only=True)
    return work_range(pool, shard, cursor, limit=limit), behind


def deadlines_of(invoker: Invoker, choice: Choice, now: EpochMs) -> Mapping[EntryKey, Entry]:
    """Returns the entries of chosen work items, each until the loop looks at it."""
    entries = {}
    for found in choice.chosen:
        function, run = invoker.limits(found.work.spec.target), choice.runs.get(found.start)
        if run is not None and run != found.start:
            entries[found.start] = Entry(patience_over_at(now), run=run)
            continue
        look_at = first_look(
            found.work,
            event_age_ms=function.event_age_ms,
            timeout_ms=function.timeout_ms,
            by_worker=is_made_by_worker(found.work, target_claims=function.claims),
            now=now,
        )
        entries[found.start] = Entry(look_at, run=run)
    return entries


def _wanted(memory: Memory, room: Headroom, checked: Checked, now: EpochMs, *, limit: int) -> int:
    """Returns the number of due work items that a pass can use; more than its starts only for runs."""
    if not _may_run(room, limit):
        return room.starts
    in_flight = starts_left(memory, checked.entries, now)
    return rows_wanted(memory, room.slots, now, limit=limit, in_flight=in_flight)


def _may_run(room: Headroom, limit: int) -> bool:
    """True if a pool of so many slots makes runs.

    Each start of a run would need a token of a rate limit. And where the table bounds a large pool,
    runs outlive their time, and what they give back costs more than they save.
    """
    return room.tokens is None and limit <= limits.RUN_LIMIT_MAX


def _limit(room: Headroom | Refusal, checked: Checked) -> int:
    """Returns the slots of the pool, as far as this pass may fill them."""
    free = 0 if isinstance(room, Refusal) else room.slots
    return free + slots_taken(checked.entries)


def choose_due(
    invoker: Invoker,
    memory: Memory,
    checked: Checked,
    due: Sequence[WorkRead | None],
    room: Headroom | Refusal,
    now: EpochMs,
    *,
    ahead: Ahead | None = None,
) -> Choice:
    """Returns the work items to start, with runs of those whose jobs are short.

    `ahead`: as `core.loop.choose.choose` takes it.
    """

    def most_of(work: WorkItem) -> int:
        function = invoker.limits(work.spec.target)
        label = work.spec.label
        known = None if label is None else memory.paces.get(label)
        if not may_share(work) or not is_made_by_worker(work, target_claims=function.claims):
            return 1
        return min(starts_of_run(known, function.timeout_ms, now), share)

    if isinstance(room, Refusal):
        return choose(due, room)
    found = {each.work.id for each in found_in(due, ahead)}
    if not found:
        return choose(due, room, ahead=ahead)
    more, limit = more_in(due, ahead), _limit(room, checked)
    still = starts_left(memory, checked.entries, now)
    share_of = partial(share_of_slots, due=len(found), in_flight=still, limit=limit, more=more)
    share = share_of(1)
    wanted = _wanted(memory, room, checked, now, limit=limit)
    spare = spare_starts(wanted, len(checked.entries), room.slots)
    spare = min(spare, share_of(room.slots) - room.slots)
    return choose(due, room, ahead=ahead, most_of=most_of, spare=spare)


def read_works(
    store: Store,
    telemetry: Telemetry,
    key_range: KeyRange,
    *,
    free: int,
    taken: Taken,
    now: EpochMs,
    lookahead: int | None = limits.LOOKAHEAD_ROWS_MAX,
    behind: KeyRange | None = None,
) -> WorkRead:
    """Reads due work items from the beginning of a work range, as `gather` needs them.

    A first page without a limit has as many rows as `free` needs. `behind`: a range before it, to be
    read first; `None` means that there is none.
    """
    if key_range.limit is None:
        key_range = replace(key_range, limit=_page_limit(free))
    ranges = [key_range] if behind is None else [behind, key_range]
    rows = chain.from_iterable(resolved(store, telemetry, each) for each in ranges)
    return gather(rows, taken, free=free, now=now, lookahead=lookahead)


def _page_limit(free: int) -> int:
    return max(limits.QUERY_LIMIT_MIN, free + 1)


def live_in(
    store: Store, telemetry: Telemetry, key_range: KeyRange, *, taken: Taken, now: EpochMs
) -> bool:
    """True if a pass would start a work item of the range, now or later.

    The range ends before `key_range.high`: a loop that rests until then would find the row that it waits
    for.
    """
    return any(
        row.sort != key_range.high
        and (
            isinstance(work, Tick)
            or (
                isinstance(work, WorkItem)
                and (
                    classify(row.sort, work, taken=taken, now=now) is not Look.SKIP
                    or is_to_point(row.sort, work, now)
                )
            )
        )
        for row, work in resolved(store, telemetry, key_range)
    )


def due_in(
    store: Store, telemetry: Telemetry, key_range: KeyRange, *, taken: Taken, now: EpochMs
) -> bool:
    """True if a pass would start or end a work item of the range now."""
    return read_works(store, telemetry, key_range, free=0, taken=taken, now=now).is_something


def point_at_postponed(ports: Ports, work: WorkItem) -> None:
    """Has the loop read a work item again at the due time to which a replacement has moved it.

    Its mark goes afterwards, unless a further replacement has moved the due time. Raises
    StoreUnavailable: the pass is not committed then, so its cursor stays before the work item.
    """
    put_pointer(ports, work.pool, work.id, work.due_at)
    with suppress(ConditionFailed):
        ports.store.write(pointed_write(work))

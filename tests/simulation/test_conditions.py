"""Each part of each write's condition, alone: with everything else as it should be, the write is refused. These are the directed cases of
conditions that chance seldom makes false one at a time [WP-28]."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.kit.records import NOW, PROOF, a_policy, a_running_work, a_work, an_assignment, an_id
from tests.simulation.condition_guards import CONDITION_GUARDS
from tests.simulation.conditions import parts_of, step_of
from tests.simulation.mutation import Mutant, applied
from tests.simulation.scenario import scenario_of
from tests.simulation.world import simulate
from workpool_aws.adapters.items.records import ref_of
from workpool_aws.adapters.memory.store import MemoryStore
from workpool_aws.core.callback.delivery import (
    dead_write,
    delivered_write,
    failed_write,
    redeliver_write,
    sent_write,
)
from workpool_aws.core.group.cancel import void_at
from workpool_aws.core.group.count import decide_count
from workpool_aws.core.group.members import member_ids
from workpool_aws.core.loop.start import start_write
from workpool_aws.core.proof import digest_of
from workpool_aws.core.report.beat import beat_write, progress_write
from workpool_aws.core.report.claim import assignment_to_start, claim_write, make_write
from workpool_aws.core.report.complete import (
    Judged,
    decide_canceled,
    decide_report,
    decide_requeue,
    decide_snooze,
)
from workpool_aws.core.report.suspect import decide_suspicion
from workpool_aws.core.schedule.change import as_read, dropped_by
from workpool_aws.core.schedule.fire import decide_fire
from workpool_aws.core.work.bulk_cancel import is_older
from workpool_aws.core.work.cancel import decide_cancel
from workpool_aws.core.work.end import CancelWrite
from workpool_aws.core.work.expire import decide_expiry
from workpool_aws.core.work.redrive import Redrive, decide_redrive
from workpool_aws.core.work.replace import decide_replacement, pointed_write
from workpool_aws.core.work.unique import lock_expiries
from workpool_aws.model.group import GroupId, GroupItem
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Config, LoopState
from workpool_aws.model.messages import CallbackTicket, Report, ReportKind
from workpool_aws.model.record import Record
from workpool_aws.model.schedule import ScheduleItem, Timing
from workpool_aws.model.spec import Outcome, UniqueSpec
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.work import CallbackState, State
from workpool_aws.model.writes import Is, IsAbsent, Put, Write
from workpool_aws.ports import ConditionFailed

DEADLINE = EpochMs(NOW + 60_000)
RUNNING = a_running_work(claim="worker-1")
ASKED = replace(RUNNING, cancel_requested=True)
OLDER = is_older(
    Config(
        pool="email", version=1, max_parallelism=1, base_by="x", base_at=NOW, epoch=2, epoch_at=NOW
    )
)
JUDGED = Judged(DEADLINE, "worker-1")
FAILED = Report(kind=ReportKind.FAILED, error="x", error_type="X")
MINE = replace(FAILED, claim="worker-1")
RETRIED = an_assignment(retry=a_policy())
ENDED = replace(
    a_running_work(),
    state=State.FINISHED,
    outcome=Outcome.FAILED,
    callback=CallbackState.PENDING,
    callback_nonce="n",
)
SENT = replace(ENDED, callback=CallbackState.SENT)
DEAD = replace(ENDED, callback=CallbackState.DEAD)
TICKET = CallbackTicket(
    table="t", pool="email", work_id=ENDED.id, retention_s=1, nonce=ENDED.callback_nonce
)
PENDING = a_work(starts=0)
HURRIED = a_work(starts=0, expires_after_ms=1)
PERMITTED = a_work(starts=0, permit="permit")
SENT_START = assignment_to_start(PERMITTED, "t", 1)


SCHEDULE = ScheduleItem(
    pool="email",
    name="s",
    spec=PENDING.spec,
    timing=Timing(every_ms=60_000, anchor=NOW),
    born="b",
    next_at=NOW,
)
FIRE = decide_fire(SCHEDULE, None, now=NOW, epoch=0)
DROPPED = dropped_by(
    SCHEDULE,
    replace(SCHEDULE, version=2, next_at=DEADLINE),
    decided_at=EpochMs(NOW - 1),
    landed_at=NOW,
)
assert FIRE is not None
assert DROPPED is not None


KEYED = a_work(starts=0, unique=UniqueSpec(key="k"))
LOCK = UniqueLock(pool="email", key="k", work_id=KEYED.id)
MARK = RequestMark(pool="email", request_id="r", work_id=KEYED.id)
REPLACED = decide_replacement(KEYED, KEYED, max_wait_ms=None, random_bits=1, now=NOW)
assert REPLACED is not None
GROUP = GroupItem(
    pool="email",
    id=GroupId("g"),
    spec=replace(a_work(on_complete="x", callback_outcomes=tuple(Outcome)).spec, group="g"),
    total=1,
    born="b",
    digest="d",
    created_at=NOW,
    due_at=NOW,
)
MEMBER = member_ids(GROUP)[0]
COUNT = decide_count(GROUP, [(MEMBER, Outcome.SUCCESS)], nonce="n", now=NOW)
assert COUNT is not None
assert COUNT.follow_up is not None


def canceled(decision: object) -> Write:
    assert isinstance(decision, CancelWrite)
    return decision.write


def redriven() -> Redrive:
    decision = decide_redrive(ENDED, new_id=an_id(n=2), now=NOW, origin=None, epoch=0)
    assert isinstance(decision, Redrive)
    return decision


WRITES: dict[str, tuple[Write, Record | None]] = {
    "enqueue": (Put(PENDING, IsAbsent()), None),
    "start": (
        start_write(PENDING, 1, token="t", proof=PROOF, timeout_ms=1, event_age_ms=1, now=NOW),
        PENDING,
    ),
    "start by worker": (
        make_write(SENT_START, token="t", now=NOW, ends_by=DEADLINE, claim="t"),
        PERMITTED,
    ),
    "start for worker": (
        make_write(SENT_START, token="t", now=NOW, ends_by=NOW, claim=None),
        PERMITTED,
    ),
    "claim": (claim_write(an_assignment(), token="t", now=NOW, ends_by=DEADLINE), a_running_work()),
    "beat": (
        beat_write(an_assignment(), token="worker-1", until=EpochMs(DEADLINE + 1), now=NOW),
        RUNNING,
    ),
    "progress": (progress_write(an_assignment(), 0.5, None), RUNNING),
    "finish": (decide_report(an_assignment(), MINE, now=NOW, jitter=0).write, RUNNING),
    "finish by a stranger": (
        decide_report(an_assignment(), FAILED, now=EpochMs(DEADLINE + 6_001), jitter=0).write,
        RUNNING,
    ),
    "recover: finish": (
        decide_report(an_assignment(), FAILED, now=NOW, jitter=0, judged=JUDGED).write,
        RUNNING,
    ),
    "retry": (
        decide_report(replace(RETRIED, claimed=False), FAILED, now=NOW, jitter=0).write,
        RUNNING,
    ),
    "recover: retry": (
        decide_report(RETRIED, FAILED, now=NOW, jitter=0, judged=JUDGED).write,
        RUNNING,
    ),
    "end as canceled": (decide_canceled(an_assignment(), MINE, now=NOW).write, ASKED),
    "end as canceled, by a stranger": (
        decide_canceled(an_assignment(), FAILED, now=EpochMs(DEADLINE + 6_001)).write,
        ASKED,
    ),
    "recover: end as canceled": (
        decide_canceled(an_assignment(), FAILED, now=NOW, judged=JUDGED).write,
        ASKED,
    ),
    "cancel": (canceled(decide_cancel(PENDING, token="t", now=NOW)), PENDING),
    "expire": (
        decide_expiry(HURRIED, token="t", now=EpochMs(NOW + 1), nonce=None).write,
        HURRIED,
    ),
    "request cancel": (canceled(decide_cancel(RUNNING, token="t", now=NOW)), RUNNING),
    "cancel what is called off": (
        canceled(decide_cancel(PENDING, token="t", now=NOW, only_if=OLDER)),
        PENDING,
    ),
    "request cancel of what is called off": (
        canceled(decide_cancel(RUNNING, token="t", now=NOW, only_if=OLDER)),
        RUNNING,
    ),
    "callback sent": (sent_write(ENDED), ENDED),
    "callback delivered": (
        delivered_write(TICKET, now=NOW),
        ENDED,
    ),
    "callback dead": (dead_write(ENDED, now=NOW), ENDED),
    "callback pending": (failed_write(TICKET), SENT),
    "redeliver the callback": (redeliver_write(DEAD), DEAD),
    "mark as redriven": (redriven().mark, ENDED),
    "fire": (FIRE.update, SCHEDULE),
    "make a schedule": (Put(SCHEDULE, IsAbsent()), None),
    "put ScheduleItem": (Put(replace(SCHEDULE, version=2), as_read(SCHEDULE)), SCHEDULE),
    "count a dropped occurrence": (DROPPED, SCHEDULE),
    "put UniqueLock": (Put(LOCK, IsAbsent()), None),
    "take a lock": (Put(LOCK, Is("work_id", LOCK.work_id)), LOCK),
    "put RequestMark": (Put(MARK, IsAbsent()), None),
    "answer a request anew": (Put(MARK, Is("work_id", MARK.work_id)), MARK),
    "let a lock expire": (lock_expiries(KEYED, ended_at=NOW)[0], LOCK),
    "replace": (REPLACED.write, KEYED),
    "clear postponed": (pointed_write(PENDING), PENDING),
    "make a group": (Put(GROUP, IsAbsent()), None),
    "count ends": (COUNT.update, GROUP),
    "follow": (Put(COUNT.follow_up, IsAbsent()), None),
    "give a place up": (Put(void_at(GROUP, MEMBER, now=NOW), IsAbsent()), None),
    "redrive": (Put(redriven().work, IsAbsent()), None),
}
put_back = decide_requeue(
    an_assignment(), RUNNING, replace(MINE, kind=ReportKind.NEVER_DELIVERED), now=NOW
)
suspicion = decide_suspicion(an_assignment(), RUNNING, FAILED)
assert put_back is not None
assert suspicion is not None
SNOOZE = replace(MINE, kind=ReportKind.SNOOZED)
snooze = decide_snooze(an_assignment(), RUNNING, SNOOZE, now=NOW)
snooze_by_a_stranger = decide_snooze(
    an_assignment(), RUNNING, replace(SNOOZE, claim=None), now=EpochMs(DEADLINE + 6_001)
)
assert snooze is not None
assert snooze_by_a_stranger is not None
WRITES |= {"put back": (put_back.write, RUNNING), "suspect": (suspicion, RUNNING)}
WRITES |= {
    "snooze": (snooze.write, RUNNING),
    "snooze by a stranger": (snooze_by_a_stranger.write, RUNNING),
}


def _another(state: State | LoopState) -> State | LoopState:
    # From the end: a write that may meet a pending or a running work item is refused by neither.
    return next(each for each in reversed(type(state)) if each not in {state, LoopState.RUNNING})


OTHERWISE: dict[str, Callable[[Any], Record]] = {
    "state": lambda it: replace(it, state=_another(it.state)),
    "starts": lambda it: replace(it, starts=7),
    "claim": lambda it: replace(it, claim="worker-2"),
    "permit": lambda it: replace(it, permit="another"),
    "proof": lambda it: replace(it, proof=digest_of("another")),
    "callback_nonce": lambda it: replace(it, callback_nonce="another"),
    "claim or deadline": lambda it: replace(it, deadline=EpochMs(DEADLINE + 60_000)),
    "deadline": lambda it: replace(it, deadline=EpochMs(DEADLINE + 60_000)),
    "cancel_requested": lambda it: replace(it, cancel_requested=not it.cancel_requested),
    "callback": lambda it: replace(it, callback=CallbackState.DELIVERED),
    "outcome": lambda it: replace(it, outcome=Outcome.SUCCESS),
    "redriven_as": lambda it: replace(it, redriven_as=an_id(n=9)),
    "work_id": lambda it: replace(it, work_id=an_id(n=9)),
    "rev": lambda it: replace(it, rev=7),
    "due_at": lambda it: replace(it, due_at=DEADLINE),
    "version": lambda it: replace(it, version=99),
    "next_at": lambda it: replace(it, next_at=EpochMs(1)),
    "paused": lambda it: replace(it, paused=True),
    "waiting": lambda it: replace(it, waiting=EpochMs(1)),
    "born": lambda it: replace(it, born="another"),
    "holder": lambda it: replace(it, holder="another"),
    "generation": lambda it: replace(it, generation=99),
    "epoch": lambda it: replace(it, epoch=9),
    "lease_until": lambda it: replace(it, lease_until=EpochMs(1)),
}


SEEN: dict[str, tuple[Write, Record | None]] = {}
"""A write of each step that a simulated run has made, with what stood there when it was applied."""
SEEDS = iter((0, 50, 24, *range(1, 100)))
"""The second and the third make the steps that most runs do not make."""


def seen_in_runs(step: str) -> tuple[Write, Record | None]:
    """Return a write of a step that the loop and its callers make up on the spot.

    Further seeds are run until one makes that step.
    """
    write = MemoryStore.write

    def noting(self: MemoryStore, made: Write) -> object:
        before = self.peek(ref_of(made.record) if isinstance(made, Put) else made.ref)
        answer = write(self, made)
        if made.condition is not None:
            SEEN.setdefault(step_of(made), (made, before))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "write", noting)
        while step not in SEEN:
            simulate(scenario_of(next(SEEDS)))
    return SEEN[step]


def write_of(mutant: Mutant) -> tuple[Write, Record | None]:
    step, part = mutant.drops or ("", "")
    found = [
        pair for pair in WRITES.values() if step_of(pair[0]) == step and part in parts_of(pair[0])
    ]
    return found[0] if found else seen_in_runs(step)


def table_with(record: Record | None) -> MemoryStore:
    store = MemoryStore(lambda: NOW)
    if record is not None:
        store.write(Put(record))
    return store


@pytest.fixture(params=CONDITION_GUARDS, ids=lambda mutant: mutant.name)
def guard(request: pytest.FixtureRequest) -> Mutant:
    return request.param


def test_each_part_of_condition_is_needed(guard: Mutant) -> None:
    write, before = write_of(guard)
    part = (guard.drops or ("", ""))[1]
    if part == "absent":
        assert isinstance(write, Put)
        otherwise: Record = write.record
    else:
        assert before is not None
        otherwise = OTHERWISE[part](before)

    table_with(before).write(write)
    with pytest.raises(ConditionFailed):
        table_with(otherwise).write(write)
    with applied(guard):
        table_with(otherwise).write(write)

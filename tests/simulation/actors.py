"""The parties of a simulated run beside the library.

They are workers, `on_complete` targets, callers, cancelers and an operator.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Literal

from tests.simulation.forger import forged_event, forged_item, forged_order, forged_record
from tests.simulation.grouping import GroupPlan, enqueue, stop
from tests.simulation.history import (
    Began,
    CallOffAnswered,
    CallOffAsked,
    CancelAnswered,
    CancelAsked,
    Ended,
    Enqueued,
    Event,
    Heard,
    LimitAnswered,
    LimitAsked,
    Looked,
    Redriven,
)
from tests.simulation.judge import Judge
from tests.simulation.keyed import KeyCall, KeyPlan, play_call, redrive_one
from tests.simulation.rates import RateChange
from tests.simulation.recurring import FIRST_NUMBER, SchedulePlan, play
from tests.simulation.scenario import (
    BEATING_TIMEOUT_MS,
    HEARTBEAT_MS,
    TIMEOUT_MS,
    Act,
    CallOff,
    Change,
    Mode,
    Redeployment,
    Scenario,
    Submission,
    Told,
    Upheaval,
    ending_of,
    expiry_of,
    long_ending_of,
    shards_seen,
    snoozes,
    timeout_of,
)
from tests.simulation.versions import is_first_version
from workpool_aws import (
    NonRetryableError,
    NotFound,
    RetryPolicy,
    Snooze,
    StoreUnavailable,
    Work,
    Workpool,
)
from workpool_aws.adapters.wire.assignment import assignment_from_wire, run_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.api.on_complete import OnCompleteEvent
from workpool_aws.api.worker import Worker
from workpool_aws.core.pool.kick import Seen
from workpool_aws.local import LocalCloud
from workpool_aws.local.engines.memory import MemoryEngine
from workpool_aws.local.kernel.kernel import Kernel, Killed, Task
from workpool_aws.local.services.functions import Event as LambdaEvent
from workpool_aws.local.services.functions import Function
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import DeployedLimit
from workpool_aws.model.messages import Assignment
from workpool_aws.model.payload import Chunked, Part
from workpool_aws.model.refs import ChunkRef
from workpool_aws.model.spec import Outcome, OutcomeName

__all__ = ["DECORATED", "Actors"]

DECORATED = frozenset(
    {Mode.CLAIMED, Mode.RETRIED, Mode.UNDELIVERED, Mode.BEATING, Mode.BEATING_RETRIED}
)
_BEATING = frozenset({Mode.BEATING, Mode.BEATING_RETRIED})
_RETRIED = frozenset({Mode.RETRIED, Mode.PLAIN_RETRIED, Mode.BEATING_RETRIED})
_WANTS = frozenset({"success", "failed", "canceled"})

_PAD = "x" * 5_000
"""Arguments with it do not fit into the item of a work item."""

_LARGE = "y" * 17_000
"""A result with it does not fit into the item of a work item."""

_assignments: ContextVar[dict[str, Assignment]] = ContextVar("assignments")
"""Of the invocation that runs, by the number of the work."""


class Actors:
    """Everybody in one cloud, as its scenario has them.

    The judge hears what they do and what they are told.
    """

    def __init__(
        self, cloud: LocalCloud, scenario: Scenario, judge: Judge, history: list[Event]
    ) -> None:
        self.workers = {mode: mode.value for mode in Mode}
        """The functions that works run; their ARNs, once deployed."""
        self.listeners = {told: told.value for told in Told}
        """`on_complete` targets; their ARNs, once deployed. Queues and topics have theirs from the
        beginning."""
        self.functions: tuple[str, ...] = ()
        self._cloud = cloud
        self._scenario = scenario
        self._judge = judge
        self._history = history
        self._submitted = frozenset(
            number
            for each in scenario.submissions
            for number in range(each.first, each.first + each.count)
        )
        self._runs = 0
        self._flaky_met: set[WorkId] = set()
        self._gone: list[Function] = []

    def deploy(self) -> None:
        self.workers = {mode: self._deploy(mode) for mode in Mode}
        deployed = {
            Told.HANDLER: self._deploy_handler(),
            Told.FLAKY: self._deploy_flaky(),
            Told.LISTENER: self._deploy_listener(),
        }
        self.listeners |= deployed
        self.functions = (*self.workers.values(), *deployed.values())

    def is_decorated(self, target: str) -> bool:
        return any(self.workers[mode] == target for mode in DECORATED)

    def begin(self) -> None:
        """Callers, cancelers and the operator begin; each is a process of its own."""
        began = self._kernel.now()
        for number, submission in enumerate(self._scenario.submissions):
            self._kernel.spawn(f"caller#{number}", partial(self._submit, submission))
        self._begin_recurring(began)
        self._begin_keyed()
        self._begin_grouping()
        for number, cancel in enumerate(self._scenario.cancels):
            self._kernel.spawn(f"canceler#{number}", partial(self._cancel, cancel))
        for number, call_off in enumerate(self._scenario.call_offs):
            self._kernel.spawn(f"cancelall#{number}", partial(self._cancel_all, number, call_off))
        for number, redrive in enumerate(self._scenario.redrives):
            self._kernel.spawn(f"redriver#{number}", partial(self._redrive, redrive))
        for number, redeployment in enumerate(self._scenario.redeployments):
            self._kernel.spawn(f"redeployer#{number}", partial(self._redeploy, redeployment))
        for number, upheaval in enumerate(self._scenario.upheavals):
            self._kernel.spawn(f"upheaval#{number}", partial(self._upset, upheaval))
        for number, at_ms in enumerate(self._scenario.looks_at_ms):
            self._kernel.spawn(f"asker#{number}", partial(self._ask, at_ms))
        self._begin_forging()
        for plan in self._scenario.pools:
            self._history.append(LimitAsked(at=began, pool=plan.name, limit=plan.limit))
        self._begin_operating(began)

    def repair(self) -> None:
        """An operator who died in the middle is followed by another, when all is calm; and what was removed returns."""
        while self._gone:
            self._restore()
        for plan in {
            self._scenario.pools[change.pool].name: self._scenario.pools[change.pool]
            for change in self._scenario.changes
        }.values():
            self._history.append(
                LimitAsked(at=self._kernel.now(), pool=plan.name, limit=plan.limit)
            )
            self._cloud.workpool(plan.name).configure(None, reset=True)
            self._judge.config_answered(plan.name)

    def ask_in_the_end(self) -> None:
        """The end as an outsider finds it: each status and result, and the messages of queue and topic."""
        for told in (Told.QUEUE, Told.TOPIC):
            for message in self._cloud.messages(told.value):
                assert isinstance(message, dict)
                self._judge.told(message["work_id"], message["result"]["kind"])
                self._told_of(message["work_id"], message["result"]["kind"])
        for each in [each for each in self._history if isinstance(each, Enqueued | Redriven)]:
            work_id = each.new_id if isinstance(each, Redriven) else each.work_id
            work = self._judge.works.get(WorkId(work_id))
            if work is not None or (isinstance(each, Enqueued) and each.acknowledged):
                self._look(
                    self._cloud.workpool(
                        self._scenario.pools[0].name if work is None else work.pool
                    ),
                    work_id,
                )

    @property
    def _kernel(self) -> Kernel:
        return self._cloud._open.kernel

    def _deploy(self, mode: Mode) -> str:
        handler = self._decorated(mode) if mode in DECORATED else self._plain(mode)
        timeout_ms = BEATING_TIMEOUT_MS if mode in _BEATING else TIMEOUT_MS
        reserved = 0 if mode is Mode.UNDELIVERED else None
        return self._cloud.function(
            handler, name=mode.value, timeout=timedelta(milliseconds=timeout_ms), reserved=reserved
        )

    def _decorated(self, mode: Mode) -> Callable[[LambdaEvent, object], object]:
        def body(work: Work, number: int, pad: str = "") -> dict[str, object]:
            self._check(number, pad)
            assignment = _assignments.get()[work.work_id]
            self._judge.keys.ran(self._judge.works[assignment.work_id], number)
            return self._user_code(
                assignment,
                number,
                snoozes(self._scenario.seed, number, assignment.start),
                beats=mode in _BEATING,
            )

        return _Remembering(self._cloud.workpool().action(body), self._is_first_version)

    def _is_first_version(self) -> bool:
        task = self._kernel.current()
        return (
            self._scenario.two_versions
            and task is not None
            and is_first_version(self._scenario.seed, task.name)
        )

    def _plain(self, mode: Mode) -> Callable[[LambdaEvent, object], object]:
        def plain(event: LambdaEvent, context: object) -> dict[str, object]:
            assignment = assignment_from_wire(event[WORKPOOL_KEY])
            assert assignment is not None, mode
            self._check(event["number"], event.get("pad", ""))
            return self._user_code(assignment, event["number"])

        return plain

    def _check(self, number: int, pad: str) -> None:
        """The payload that arrives is the one that was sent."""
        large = any(
            each.large
            for each in self._scenario.submissions
            if each.first <= number < each.first + each.count
        )
        if pad != (_PAD if large else ""):
            self._judge.fail(
                "WP-3",
                f"the arguments of number {number} arrived with a text of {len(pad)} characters",
            )

    def _deploy_handler(self) -> str:
        def handler(event: OnCompleteEvent) -> None:
            self._check(*_context(event.context))
            self._judge.told(event.work_id, event.result.kind)
            self._kernel.sleep(100)
            self._heard(event)

        return self._cloud.function(
            self._cloud.workpool().on_complete(handler), name=Told.HANDLER.value
        )

    def _deploy_flaky(self) -> str:
        def flaky(event: OnCompleteEvent) -> None:
            self._judge.told(event.work_id, event.result.kind)
            if event.work_id not in self._flaky_met:
                self._flaky_met.add(event.work_id)
                raise Exception("the user's own")  # noqa: TRY002 - as users raise
            self._heard(event)

        return self._cloud.function(
            self._cloud.workpool().on_complete(flaky), name=Told.FLAKY.value
        )

    def _heard(self, event: OnCompleteEvent) -> None:
        self._judge.heard(event.work_id)
        self._told_of(event.work_id, event.result.kind)

    def _told_of(self, work_id: str, kind: str) -> None:
        """Remembers the answers to an outsider, but for groups, whose work items no caller was given."""
        if self._judge.works[WorkId(work_id)].spec.group is None:
            self._history.append(Heard(at=self._kernel.now(), work_id=work_id, kind=kind))

    def _deploy_listener(self) -> str:
        def listener(event: LambdaEvent, context: object) -> None:
            self._check(*_context(event["context"]))
            self._judge.told(WorkId(event["work_id"]), event["result"]["kind"])
            self._told_of(event["work_id"], event["result"]["kind"])

        return self._cloud.function(listener, name=Told.LISTENER.value)

    def _user_code(
        self,
        assignment: Assignment,
        number: int,
        later_ms: int | None = None,
        *,
        beats: bool = False,
    ) -> dict[str, object]:
        does = (long_ending_of if beats else ending_of)(
            self._scenario.seed, number, assignment.attempts_made + 1
        )
        task = self._kernel.current()
        assert task is not None
        process = task.process or task
        execution = self._judge.begins(
            assignment,
            self._judge.works[assignment.work_id].spec.target,
            BEATING_TIMEOUT_MS if beats else TIMEOUT_MS,
            lambda: process.still_until,
        )
        self._runs += 1
        run, attempt = self._runs, assignment.attempts_made + 1
        began = Began(
            at=self._kernel.now(),
            run=run,
            pool=assignment.pool,
            work_id=assignment.work_id,
            start=assignment.start,
            attempt=attempt,
        )
        self._note(number, began)
        try:
            self._kernel.sleep(does.takes_ms)
        except Killed:
            self._judge.ends(execution, by_itself=False)
            self._note(number, self._ended(process, run, "killed"))
            raise
        except TimeoutError:
            self._judge.ends(execution, by_itself=True)
            self._note(number, self._ended(process, run, "failed"))
            raise
        self._judge.ends(execution, by_itself=True)
        ending: Literal["ok", "failed", "snoozed"] = (
            "ok" if does.ending in {"ok", "large"} else "failed"
        )
        self._note(number, self._ended(process, run, ending if later_ms is None else "snoozed"))
        if later_ms is not None:
            raise Snooze(timedelta(milliseconds=later_ms))
        match does.ending:
            case "ok":
                return {"start": assignment.start}
            case "large":
                return {"start": assignment.start, "pad": _LARGE}
            case "fails":
                raise Exception("the user's own")  # noqa: TRY002 - as users raise
            case "fails for good":
                raise NonRetryableError("the user's own")

    def _ended(
        self, process: Task, run: int, ending: Literal["ok", "failed", "snoozed", "killed"]
    ) -> Ended:
        """The end of user code. Nothing was seen of it while its process stood still as a whole."""
        now = self._kernel.now()
        since = process.still_since if process.still_until == now else None
        return Ended(at=now, run=run, ending=ending, seen_until=since)

    def _note(self, number: int, event: Event) -> None:
        """Remembers what outsiders see. No caller enqueued work items of schedules, or a single member."""
        if number < FIRST_NUMBER or number in self._submitted:
            self._history.append(event)

    def _pool(self, number: int) -> Workpool:
        """As a process of its own has it."""
        plan = self._scenario.pools[number]
        is_old = self._is_first_version()
        return self._cloud.workpool(
            plan.name,
            max_parallelism=plan.limit,
            rate_limit=None if is_old else self._scenario.rate,
            quick_start=self._scenario.quick and not is_old,
        )

    def _caller(self, submission: Submission) -> Workpool:
        pool = self._pool(submission.pool)
        if self._scenario.sharded:
            shards = shards_seen(self._scenario.seed, submission.first)
            pool._seen = (pool._ports.store, Seen(shards=shards))
        return pool

    def _begin_recurring(self, began: EpochMs) -> None:
        for plan in self._scenario.schedules:
            self._kernel.spawn(f"scheduler#{plan.name}", partial(self._recur, plan, began))

    def _recur(self, plan: SchedulePlan, began: EpochMs) -> None:
        def sleep_to(at: int) -> None:
            self._kernel.sleep(max(0, at - self._kernel.now()))

        play(
            self._pool(plan.pool),
            plan,
            self.workers[Mode.CLAIMED],
            self._judge.schedules,
            began=began,
            sleep_to=sleep_to,
        )

    def _begin_keyed(self) -> None:
        plan = self._scenario.keys
        if plan is None:
            return
        for call in plan.calls:
            self._kernel.spawn(f"keyed#{call.number}", partial(self._call_by_key, plan, call))
        for number, at_ms in enumerate(plan.redrives_ms):
            self._kernel.spawn(
                f"keyredriver#{number}", partial(self._redrive_keyed, plan, at_ms, number)
            )

    def _keyed_pool(self, plan: KeyPlan) -> Workpool:
        of = self._scenario.pools[plan.pool]
        kept = timedelta(seconds=plan.status_ttl_s)
        return self._cloud.workpool(of.name, max_parallelism=of.limit, status_ttl=kept)

    def _call_by_key(self, plan: KeyPlan, call: KeyCall) -> None:
        self._kernel.sleep(call.at_ms)
        pool = self._keyed_pool(plan)
        acknowledged = self._judge.enqueue_asked(pool.name)
        fn = self.workers[Mode.RETRIED if call.retried and not call.request else Mode.CLAIMED]
        play_call(pool, plan, call, fn, self._judge.keys, acknowledged)

    def _redrive_keyed(self, plan: KeyPlan, at_ms: int, which: int) -> None:
        self._kernel.sleep(at_ms)
        redrive_one(self._keyed_pool(plan), list(self._judge.works.values()), which)

    def _begin_grouping(self) -> None:
        for plan in self._scenario.groups:
            for number, at_ms in enumerate(plan.calls_ms):
                self._kernel.spawn(
                    f"gatherer#{plan.name}-{number}", partial(self._gather, plan, at_ms)
                )
            for number, at_ms in enumerate(plan.cancels_ms):
                self._kernel.spawn(
                    f"stopper#{plan.name}-{number}", partial(self._stop, plan, at_ms)
                )

    def _gather(self, plan: GroupPlan, at_ms: int) -> None:
        self._kernel.sleep(at_ms)
        mode = {
            (True, True): Mode.RETRIED,
            (True, False): Mode.CLAIMED,
            (False, True): Mode.PLAIN_RETRIED,
            (False, False): Mode.PLAIN,
        }[plan.decorated, plan.retried]
        target = None if plan.told is None else self.listeners[Told[plan.told.upper()]]
        enqueue(self._pool(plan.pool), plan, self.workers[mode], target, self._judge.groups)

    def _stop(self, plan: GroupPlan, at_ms: int) -> None:
        self._kernel.sleep(at_ms)
        stop(self._pool(plan.pool), plan)

    def _submit(self, submission: Submission) -> None:
        self._kernel.sleep(submission.at_ms)
        retried = submission.mode in _RETRIED
        backoff = timedelta(milliseconds=submission.backoff_ms)
        due_at = self._kernel.now() + submission.delay_ms
        asked_at, acknowledged = (
            self._kernel.now(),
            self._judge.enqueue_asked(self._scenario.pools[submission.pool].name),
        )
        expires_ms = expiry_of(self._scenario.seed, submission.first)
        beats = submission.mode in _BEATING
        try:
            ids = self._caller(submission).enqueue_action_batch(
                None,
                self.workers[submission.mode],
                [
                    {"number": submission.first + n, **({"pad": _PAD} if submission.large else {})}
                    for n in range(submission.count)
                ],
                retry=RetryPolicy(max_attempts=submission.attempts, initial_backoff=backoff)
                if retried
                else False,
                run_after=timedelta(milliseconds=submission.delay_ms),
                expires_after=_span(expires_ms),
                timeout=_span(timeout_of(self._scenario.seed, submission.first) if beats else None),
                heartbeat_timeout=_span(HEARTBEAT_MS if beats else None),
                on_complete=None if submission.told is None else self.listeners[submission.told],
                context=[submission.first, _PAD if submission.large else ""]
                if submission.told is not None
                else None,
                on_complete_exclude=_excluded(submission),
            )
        except StoreUnavailable as error:
            self._noted(submission, asked_at, due_at, error.maybe_enqueued, acknowledged=False)
            return
        acknowledged([WorkId(each) for each in ids])
        self._noted(submission, asked_at, due_at, ids, acknowledged=True)

    def _noted(
        self,
        submission: Submission,
        asked_at: int,
        due_at: int,
        ids: Sequence[str],
        *,
        acknowledged: bool,
    ) -> None:
        decorated = submission.mode in DECORATED
        retried = submission.mode in _RETRIED
        self._history += [
            Enqueued(
                at=self._kernel.now(),
                work_id=work_id,
                pool=self._scenario.pools[submission.pool].name,
                asked_at=asked_at,
                due_at=due_at,
                attempts=submission.attempts if retried else 1,
                claimed=decorated and not retried,
                decorated=decorated,
                wants=frozenset()
                if submission.told is None
                else _WANTS - frozenset(_excluded(submission)),
                acknowledged=acknowledged,
            )
            for work_id in ids
        ]

    def _look(self, pool: Workpool, work_id: str) -> None:
        asked_at = self._kernel.now()
        try:
            status = pool.status(None, work_id)
            result = pool.result(None, work_id) if status.outcome == "success" else None
        except StoreUnavailable:
            return
        value = None if result is None else result.return_value
        start = value["start"] if isinstance(value, dict) else None
        assert start is None or isinstance(start, int)
        self._history.append(
            Looked(
                at=self._kernel.now(),
                work_id=work_id,
                asked_at=asked_at,
                state=status.state,
                outcome=status.outcome,
                result_of=start,
            )
        )

    def _ask(self, at_ms: int) -> None:
        self._kernel.sleep(at_ms)
        for work_id in tuple(self._judge.acknowledged):
            self._look(self._cloud.workpool(self._judge.works[work_id].pool), work_id)

    def _redrive(self, act: Act) -> None:
        self._kernel.sleep(act.at_ms)
        dead = sorted(
            each.id
            for each in self._judge.works.values()
            if each.outcome is Outcome.FAILED
            and each.redrive_of is None
            and each.spec.schedule is None
            and each.spec.unique is None
        )
        if not dead:
            return
        old = self._judge.works[dead[act.which % len(dead)]]
        acknowledged = self._judge.enqueue_asked(old.pool)
        self._judge.redrive_asked(old.id)
        try:
            new = self._cloud.workpool(old.pool).redrive(None, old.id)
        except (StoreUnavailable, NotFound):
            return
        self._judge.redrive_answered(old.id)
        if new == old.id:
            return  # its callback was dead, and is delivered again
        if old.spec.group is not None:
            return  # outsiders hear of groups, not of their members
        acknowledged([new])
        self._history.append(Redriven(at=self._kernel.now(), work_id=old.id, new_id=new))

    def _redeploy(self, redeployment: Redeployment) -> None:
        """Change the watchdog's environment; its next tick finds out."""
        self._kernel.sleep(redeployment.at_ms)
        name, limit = self._scenario.pools[redeployment.pool].name, redeployment.max_parallelism
        limits = () if limit is None else (DeployedLimit(name, limit),)
        ports = self._cloud._ports
        for table, known in ports.items():
            assert known.deployed is not None
            ports[table] = replace(known, deployed=replace(known.deployed, limits=limits))
        if limit is not None:
            self._history.append(LimitAsked(at=self._kernel.now(), pool=name, limit=limit))

    def _upset(self, upheaval: Upheaval) -> None:
        self._kernel.sleep(upheaval.at_ms)
        match upheaval.kind:
            case "target goes":
                name = self._scenario.submissions[0].mode.value
                self._gone += [
                    found for found in [self._functions.pop(name, None)] if found is not None
                ]
            case "target returns":
                self._restore()
            case "chunks go":
                self._remove_chunks()

    @property
    def _functions(self) -> dict[str, Function]:
        return self._cloud._open.functions._by_name

    def _restore(self) -> None:
        if self._gone:
            function = self._gone.pop()
            self._functions[function.name] = function

    def _remove_chunks(self) -> None:
        store = self._cloud._engine_open.quiet(self._cloud.table)
        for work in sorted(self._judge.works.values(), key=lambda work: work.id)[:2]:
            for part, payload in ((Part.ARGS, work.spec.args), (Part.CONTEXT, work.spec.context)):
                if isinstance(payload, Chunked):
                    self._judge.robbed.add(work.id)
                    store.delete(ChunkRef(work.pool, work.id, part, 0))

    def _begin_forging(self) -> None:
        for number, forgery in enumerate(self._scenario.forgeries):
            self._kernel.spawn(f"forger#{number}", partial(self._forge, number, forgery))

    def _forge(self, number: int, act: Act) -> None:
        self._kernel.sleep(act.at_ms)
        works = [work for _, work in sorted(self._judge.works.items())]
        chance = random.Random(f"forgery {self._scenario.seed}/{number}")
        pool = self._scenario.pools[act.which % len(self._scenario.pools)].name
        self._cloud.invoke(
            self._cloud.loop_arn,
            forged_order(
                pool, self._cloud.table, random.Random(f"order {self._scenario.seed}/{number}")
            ),
        )
        place, key, item = forged_item(
            pool, self._kernel.now(), random.Random(f"item {self._scenario.seed}/{number}")
        )
        engine = self._cloud._engine_open
        assert isinstance(engine, MemoryEngine)
        engine._stores[self._cloud.table].inject(place, key, item)
        if works:
            work = works[act.which % len(works)]
            self._cloud.invoke(
                self._cloud.completion_arn, forged_record(work, self._cloud.table, chance)
            )
            name = work.spec.target.rpartition(":")[2]
            if self.is_decorated(work.spec.target) and name in self._functions:
                number = self._scenario.submissions[0].first
                self._cloud.invoke(
                    work.spec.target, forged_event(work, self._cloud.table, number, chance)
                )

    def _cancel(self, act: Act) -> None:
        self._kernel.sleep(act.at_ms)
        works = sorted(self._judge.works)
        if not works:
            return
        work = self._judge.works[works[act.which % len(works)]]
        self._judge.cancel_asked(work.id)
        self._history.append(CancelAsked(at=self._kernel.now(), work_id=work.id))
        try:
            answer = self._cloud.workpool(work.pool).cancel(None, work.id)
        except StoreUnavailable:
            return
        self._judge.cancel_answered(work.id, answer)
        self._history.append(CancelAnswered(at=self._kernel.now(), work_id=work.id, answer=answer))

    def _cancel_all(self, number: int, call_off: CallOff) -> None:
        self._kernel.sleep(call_off.at_ms)
        name = self._scenario.pools[call_off.pool].name
        answered = self._judge.cancel_all_asked(name)
        self._history.append(CallOffAsked(at=self._kernel.now(), pool=name, call=number))
        try:
            self._cloud.workpool(name).cancel_all(None)
        except StoreUnavailable:
            return
        answered()
        self._history.append(CallOffAnswered(at=self._kernel.now(), pool=name, call=number))

    def _begin_operating(self, began: EpochMs) -> None:
        for number, change in enumerate(self._scenario.rate_changes):
            self._kernel.spawn(f"rater#{number}", partial(self._rate, change))
        if self._scenario.changes:
            self._kernel.spawn("operator", partial(self._operate, began))

    def _operate(self, began: EpochMs) -> None:
        for change in self._scenario.changes:
            self._kernel.sleep(max(0, began + change.at_ms - self._kernel.now()))
            self._change(change)

    def _rate(self, change: RateChange) -> None:
        self._kernel.sleep(change.at_ms)
        pool = self._cloud.workpool(self._scenario.pools[change.pool].name)
        with suppress(StoreUnavailable):
            pool.configure(None, rate_limit=change.rate)

    def _change(self, change: Change) -> None:
        name = self._scenario.pools[change.pool].name
        limit = (
            self._scenario.pools[change.pool].limit
            if change.max_parallelism is None
            else change.max_parallelism
        )
        self._history.append(
            LimitAsked(at=self._kernel.now(), pool=name, limit=0 if change.paused else limit)
        )
        try:
            answer = self._cloud.workpool(name).configure(
                None, max_parallelism=change.max_parallelism, paused=change.paused
            )
        except StoreUnavailable:
            return
        self._judge.config_answered(name)
        self._history.append(
            LimitAnswered(at=self._kernel.now(), pool=name, limit=answer.max_parallelism)
        )


class _Remembering:
    """A decorated worker, as Lambda's handler; its user code can ask which assignment it runs."""

    __workpool__ = True

    def __init__(
        self, worker: Worker[..., dict[str, object]], is_first_version: Callable[[], bool]
    ) -> None:
        self._worker = worker
        self._is_first_version = is_first_version

    def __call__(self, event: LambdaEvent, context: object) -> object:
        run = run_from_wire(event[WORKPOOL_KEY])
        by_id: dict[str, Assignment] = {}
        for each in (event,) if run is None else run:
            assignment = assignment_from_wire(each[WORKPOOL_KEY])
            assert assignment is not None
            if assignment.permit is not None and self._is_first_version():
                raise Exception("an assignment that cannot be read")  # noqa: TRY002 - as 0.1 refuses it
            by_id[assignment.work_id] = assignment
        _assignments.set(by_id)
        return self._worker(event, context)


def _span(ms: int | None) -> timedelta | None:
    return None if ms is None else timedelta(milliseconds=ms)


def _excluded(submission: Submission) -> Sequence[OutcomeName]:
    return ("failed", "canceled") if submission.told is not None and submission.first % 2 else ()


def _context(told: object) -> tuple[int, str]:
    match told:
        case [int(number), str(pad)]:
            return number, pad
        case _:
            raise AssertionError(f"no context of ours: {told!r}")

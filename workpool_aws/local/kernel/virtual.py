"""Virtual time.

Tasks are threads that pass one baton, so one runs at a time, and time jumps to the next thing due.

Theory of operation. A task gives the baton away only at a service call, a sleep, its start and its
end. The thread that gives it away picks the next task itself and wakes it directly: one switch a
step. The thread outside (the test) holds the baton when no task does. What was chosen depends on
the chooser alone, so one seed is one run. Threads that user code starts have no baton: their calls
apply at once, under the lock, beside the task that waits for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from contextlib import AbstractContextManager
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from workpool_aws.local.kernel.alarms import Alarms
from workpool_aws.local.kernel.chance import Chooser, SeededChooser
from workpool_aws.local.kernel.kernel import (
    TRACE_MAX,
    Alarm,
    CallFaults,
    JumpWatch,
    Killed,
    LocalCloudError,
    PlannedCrashes,
    Task,
    TraceLine,
)
from workpool_aws.local.kernel.task_slots import TaskSlot
from workpool_aws.local.kernel.threads import PooledThread, StallWatch, stack_of
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["START", "VirtualKernel"]

T = TypeVar("T")

START: Final = EpochMs(1_767_225_600_000)
"""2026-01-01T00:00:00Z: every virtual run begins there."""

_LOOK_S = 0.1
_END_S = 1.0
_STREAK_MAX: Final = 1_000
"""So many service calls of a task take no time; each further one takes a millisecond, so that code
which polls comes to an end."""
_DEATHS_MAX: Final = 1_000
_STUCK: Final = (
    "{task} has waited for {seconds:g} s of real time without a service call. On the virtual clock one worker runs at a time, so it cannot "
    "wait for another one, or for real time, by means of its own: use clock='real', or Work.sleep instead of time.sleep. "
    "It stands here:\n{where}"
)


class VirtualKernel:
    """The deterministic kernel (see `Kernel`).

    `latency_ms` of virtual time passes in every service call.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        chooser: Chooser | None = None,
        start: EpochMs = START,
        latency_ms: int = 0,
        stall_timeout_s: float = 10.0,
        faults: CallFaults | None = None,
    ) -> None:
        self.trace: deque[TraceLine] = deque(maxlen=TRACE_MAX)
        self.steps = 0
        self._chooser = chooser or SeededChooser(seed)
        self._faults = faults or PlannedCrashes()
        self._latency_ms = latency_ms
        self._stall_timeout_s = stall_timeout_s
        self._now = self._until = start
        self._lock = threading.RLock()
        self._alarms = Alarms()
        self._ready: list[TaskSlot] = []
        self._slots: dict[TaskSlot, None] = {}
        self._holder: TaskSlot | None = None
        self._by_thread: dict[int, TaskSlot] = {}
        self._idle: list[PooledThread] = []
        self._outside = threading.Lock()
        self._outside.acquire()
        self._halted = False
        self._failure: Exception | None = None
        self._watch: JumpWatch | None = None
        self._watch_every_ms = 1

    def now(self) -> EpochMs:
        """Return the virtual time."""
        return self._now

    def lock(self) -> AbstractContextManager[object]:
        """See Kernel."""
        return self._lock

    def current(self) -> Task | None:
        """See Kernel."""
        return self._by_thread.get(threading.get_ident())

    def watch_jumps(self, watch: JumpWatch, every_ms: int) -> None:
        """See Kernel."""
        self._watch = watch
        self._watch_every_ms = every_ms

    def spawn(self, name: str, body: Callable[[], None], *, process: Task | None = None) -> Task:
        """See Kernel."""
        slot = TaskSlot(name, body, process)
        with self._lock:
            self._slots[slot] = None
            self._ready.append(slot)
        return slot

    def at(
        self, at: EpochMs, fire: Callable[[], None], *, last: bool = False, background: bool = False
    ) -> Alarm:
        """See Kernel."""
        alarm = Alarm(at, fire, background)
        with self._lock:
            self._alarms.add(alarm, last=last)
        return alarm

    def kill(self, task: Task) -> None:
        """See Kernel. A sleeping task is woken to die."""
        with self._lock:
            task.killed = True
            if isinstance(task, TaskSlot) and task in self._slots:
                self._wake(task)

    def interrupt(self, task: Task, error: BaseException) -> None:
        """See Kernel. A sleeping task is woken."""
        with self._lock:
            task.interruption = error
            if isinstance(task, TaskSlot) and task in self._slots and task.alarm is not None:
                self._wake(task)

    def join(self, tasks: Sequence[Task]) -> None:
        """See Kernel."""
        slot = self._mine()
        waiting = [task for task in tasks if isinstance(task, TaskSlot) and not task.done]
        if slot is None or not waiting:
            return
        with self._lock:
            self._ready.remove(slot)
            slot.awaited = len(waiting)
            for task in waiting:
                task.waiter = slot
        self._yield(slot)

    def step(self, label: str) -> None:
        """See Kernel."""
        slot = self._mine()
        if slot is not None:
            self.trace.append(TraceLine(self._now, slot.name, label))
            self._yield(slot)

    def sleep(self, ms: int) -> None:
        """See Kernel.

        Outside of any task the simulated world runs on for so long; in a thread that user code
        started nothing happens.
        """
        slot = self._mine()
        if slot is not None:
            slot.streak = 0
            self._sleep(slot, ms)
        elif self._holder is None:
            self.run(EpochMs(self._now + ms))
            self.pass_to(EpochMs(self._until))

    def call(self, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        """See Kernel."""
        slot = self._mine()
        if slot is None:
            with self._lock:
                self.steps += 1
                self.trace.append(TraceLine(self._now, "-", label))
                return apply()
        slot.streak += 1
        self._sleep(
            slot, self._latency_ms if slot.streak <= _STREAK_MAX else max(1, self._latency_ms)
        )
        self.trace.append(TraceLine(self._now, slot.name, label))
        return self._faults.around(slot, label, partial(self._apply, apply), writes=writes)

    def run(self, until: EpochMs) -> None:
        """See Kernel."""
        if self.current() is not None or self._holder is not None:
            raise LocalCloudError("only the thread outside, when no task runs, can let time pass")
        self._until = until
        self._drive()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def pass_to(self, at: EpochMs) -> None:
        """See Kernel."""
        with self._lock:
            self._now = max(self._now, at)

    def close(self) -> None:
        """See Kernel. A thread that user code never lets go of is left behind (it is a daemon)."""
        holder = self._holder
        if self._halted and not self._outside.acquire(timeout=_END_S) and holder is not None:
            self._cast_out(holder)
        with self._lock:
            self._halted, self._failure = False, None
            self._alarms.clear()
            for slot in list(self._slots):
                self.kill(slot)
        self._watch = None
        while self._slots:
            self._failure = None
            with contextlib.suppress(LocalCloudError):  # stuck, and cast out
                self._drive()
        for lane in self._idle:
            lane.end()
        for lane in self._idle:
            lane.thread.join(_END_S)
        self._idle.clear()

    def _mine(self) -> TaskSlot | None:
        slot = self._by_thread.get(threading.get_ident())
        if slot is not None and (slot.left or slot.killed):
            self._die(slot)
        return slot

    def _die(self, slot: TaskSlot) -> NoReturn:
        slot.deaths += 1
        if slot.deaths > _DEATHS_MAX:
            # It swallows its death and calls again for ever. A thread cannot be ended, but it can
            # be kept from running.
            if self._cast_out(slot):
                self._give(self._next(None))
            threading.Event().wait()
        raise Killed

    def _apply(self, apply: Callable[[], T]) -> T:
        with self._lock:
            return apply()

    def _yield(self, slot: TaskSlot) -> None:
        self._pass_on(slot, self._next(slot))

    def _sleep(self, slot: TaskSlot, ms: int) -> None:
        with self._lock:
            to = EpochMs(self._now + max(0, ms))
            if self._passes_alone(slot, to):
                self.steps += 1
                self._now = to
                return
            if ms > 0:
                self._ready.remove(slot)
                slot.alarm = self.at(to, partial(self._wake, slot))
        self._yield(slot)

    def _passes_alone(self, slot: TaskSlot, to: EpochMs) -> bool:
        """True if nothing else can happen until then.

        The way round through an alarm would come to the same, for ten times as much.
        """
        if (
            len(self._ready) > 1
            or to > self._until
            or slot.left
            or slot.interruption is not None
            or (slot.process or slot).still_until > self._now
            or self._halted
            or self._failure is not None
        ):
            return False
        alarm = self._alarms.peek()
        return (alarm is None or alarm.at > to) and not self._is_watched(to)

    def _wake(self, slot: TaskSlot) -> None:
        if slot.alarm is not None:
            slot.alarm.cancel()
            slot.alarm = None
            self._ready.append(slot)
        elif slot.awaited:
            slot.awaited = 0
            self._ready.append(slot)

    def _pass_on(self, slot: TaskSlot, chosen: TaskSlot | None) -> None:
        lane = slot.lane
        if chosen is not slot and lane is not None:
            self._give(chosen)
            lane.turn.acquire()
        if slot.killed or slot.left:
            raise Killed
        still_ms = (slot.process or slot).still_until - self._now
        if still_ms > 0:
            self._sleep(slot, still_ms)
        slot.interrupted()

    def _next(self, current: TaskSlot | None) -> TaskSlot | None:
        """Return the next task to run, for the holder of the baton.

        `None` means the thread outside.
        """
        with self._lock:
            if current is not None and current.left:
                raise Killed
            self.steps += 1
            try:
                self._holder = self._pick(current)
            except Exception as error:  # noqa: BLE001 - an error in an alarm belongs to the thread outside, not to the task that happened to ask
                self._failure, self._holder = error, None
            return self._holder

    def _pick(self, current: TaskSlot | None) -> TaskSlot | None:
        while not self._halted and self._failure is None:
            while (alarm := self._alarms.take_due(self._now)) is not None:
                alarm.fire()
            if self._ready:
                return self._choose(current)
            if not self._jump():
                break
        return None

    def _choose(self, current: TaskSlot | None) -> TaskSlot:
        ready = self._ready
        if len(ready) == 1:
            return ready[0]
        # The first one is "go on with the same task", so that plain choices make plain runs.
        if current is not None and ready[0] is not current and current in ready:
            ready.remove(current)
            ready.insert(0, current)
        return ready[self._chooser.next_task([slot.name for slot in ready])]

    def _jump(self) -> bool:
        alarm = self._alarms.peek()
        to = self._until if alarm is None or alarm.at > self._until else alarm.at
        if self._watch is not None and self._is_watched(to):
            self._watch(self._now, to)
            alarm = self._alarms.peek()
        if alarm is None or alarm.at > self._until:
            return False
        self._now = max(self._now, alarm.at)
        self._alarms.pop().fire()
        return True

    def _is_watched(self, to: EpochMs) -> bool:
        return (
            self._watch is not None
            and to // self._watch_every_ms > self._now // self._watch_every_ms
        )

    def _give(self, chosen: TaskSlot | None) -> None:
        if chosen is None:
            self._outside.release()
            return
        if chosen.lane is None:
            chosen.lane = self._idle.pop() if self._idle else PooledThread("workpool-local")
            chosen.lane.job = lambda lane: self._body(chosen, lane)
        if chosen.lane.turn.locked():
            chosen.lane.turn.release()
        # Else an interrupt struck just when the turn had been given: it has it already.

    def _body(self, slot: TaskSlot, lane: PooledThread) -> None:
        ident = threading.get_ident()
        self._by_thread[ident] = slot
        try:
            if not slot.killed:
                Context().run(slot.body)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - a task's own error ends the run, visibly
            self._failure = error
        with self._lock:
            slot.done = True
            self._by_thread.pop(ident, None)
            self._slots.pop(slot, None)
            if slot in self._ready:
                self._ready.remove(slot)
            self._call_back(slot.waiter)
            if slot.left:
                lane.turn.release()  # with no job: this thread ends
                return
            chosen = self._next(None)
            self._idle.append(lane)
        self._give(chosen)

    def _call_back(self, waiter: TaskSlot | None) -> None:
        if waiter is not None and waiter.awaited:
            waiter.awaited -= 1
            if not waiter.awaited:
                self._ready.append(waiter)

    def _drive(self) -> None:
        chosen = self._next(None)
        if chosen is None:
            return
        self._give(chosen)
        try:
            self._await_baton()
        except LocalCloudError:
            raise
        except BaseException:
            # interrupted from outside: the task that runs now gives the baton back at its next step
            self._halted = True
            raise

    def _await_baton(self) -> None:
        watch = StallWatch(self._stall_timeout_s)
        while not self._outside.acquire(timeout=min(_LOOK_S, self._stall_timeout_s / 4)):
            holder = self._holder
            thread = holder.lane.thread if holder is not None and holder.lane is not None else None
            if holder is not None and watch.stalled(self.steps, thread):
                where = stack_of(thread)
                if self._cast_out(holder):
                    raise LocalCloudError(
                        _STUCK.format(task=holder.name, seconds=self._stall_timeout_s, where=where)
                    )

    def _cast_out(self, slot: TaskSlot) -> bool:
        """Take the baton from a task that will not give it. False: it moved on just now."""
        with self._lock:
            if self._holder is not slot:
                return False
            slot.left = slot.killed = True
            self._slots.pop(slot, None)
            self._ready.remove(slot)
            self._holder = None
            return True

"""One try of one event: the handler in its surroundings, its end by return, exception, timeout or crash."""

from __future__ import annotations

import json
import sys
from contextvars import ContextVar, copy_context
from dataclasses import field
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Final

from workpool_aws import invocation, process
from workpool_aws.adapters.wire.assignment import assignment_from_wire, run_from_wire
from workpool_aws.adapters.wire.callback import ticket_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.local.kernel.kernel import Alarm, Kernel, Killed, Task
from workpool_aws.local.services.answers import (
    Answer,
    answered,
    ended_by,
    exited,
    raised,
    timed_out,
    unreadable,
)
from workpool_aws.local.services.attempt_notes import AttemptNotes, PlannedErrors, callback_of
from workpool_aws.local.services.beside import SimulatedProcess
from workpool_aws.local.services.context import SimulatedContext, context_of
from workpool_aws.model import events
from workpool_aws.model.spec import Outcome
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from workpool_aws.local.kernel.chance import Chooser
    from workpool_aws.local.services.functions import Event, Resolved
    from workpool_aws.local.services.invocations import Ended, InvocationLog, LoggedInvocation
    from workpool_aws.model.messages import Assignment

__all__ = ["Runs", "Try", "note_line"]

_CRASH_SOON: Final = 4
_CRASH_LATER: Final = 64
_SWEPT_FROM: Final = 64
"""A planned crash strikes at one of so many service calls; at the end of the invocation if it makes
fewer."""

_current: ContextVar[_Run | None] = ContextVar("workpool_local_run", default=None)


@dataclass(frozen=True, slots=True)
class Try:
    """Handler of a function to run.

    `on_end` is called once, with the kernel's lock held, when the try is over; not when the cloud
    ends first.
    """

    resolved: Resolved
    payload: str
    request_id: str
    on_end: Callable[[Answer], None]


@dataclass(slots=True)
class _Run:
    """A try that runs."""

    this: Try
    event: Event
    assignment: Assignment | None
    """The start of a pool that it makes; `None` means another event."""
    entry: LoggedInvocation
    context: SimulatedContext
    notes: AttemptNotes
    begun: dict[str, LoggedInvocation] = field(default_factory=dict)
    """Of a run: the starts that began, by their work item."""
    alarm: Alarm | None = None
    over: bool = False
    beside: list[Task] = field(default_factory=list)
    """Further threads of its process."""

    @property
    def must_claim(self) -> bool:
        """True if the handler claims or makes its start by its first service call."""
        assignment = self.assignment
        decorated = self.this.resolved.function.decorated
        return decorated and assignment is not None and assignment.is_exclusive

    def refuse(self, _reason: object) -> None:
        """Note that its claim was refused."""
        self.entry.outcome = "duplicate"

    @property
    def subject(self) -> tuple[str, int] | None:
        """The name of its work item or callback among notes, with the attempt.

        `None` means that no pool sent the event.
        """
        assignment = self.assignment
        if assignment is not None:
            return assignment.work_id, assignment.attempts_made + 1
        ticket = ticket_from_wire(self.event.get(WORKPOOL_KEY))
        return None if ticket is None else (callback_of(ticket.work_id), 0)

    def note_error(self, error: BaseException) -> None:
        """Keep the error by which its user code fails."""
        subject = self.subject
        if subject is not None:
            self.notes.add_error(*subject, error)


def note_line(line: str) -> None:
    """Keep a line that the user code of this thread logs for a work item or a callback."""
    run = _current.get()
    subject = None if run is None else run.subject
    if run is not None and subject is not None:
        run.notes.add_line(subject[0], line)


class Runs:
    """Runs handlers as tasks of the kernel.

    `surround` makes what every simulated process lives in (its ports).
    """

    def __init__(
        self,
        kernel: Kernel,
        chooser: Chooser,
        log: InvocationLog,
        surround: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._kernel = kernel
        self._chooser = chooser
        self._log = log
        self._surround = surround
        self._requests = 0
        self._spawned: list[tuple[str, Task]] = []
        """Tasks that may still run, by the name of their function."""
        self._swept_from = _SWEPT_FROM
        self.notes: Final = AttemptNotes()
        self.planned: Final = PlannedErrors()

    def new_request_id(self) -> str:
        """Return an id in the form of a UUID. No two are the same."""
        self._requests += 1
        return f"{self._requests:08x}-0000-4000-8000-{self._requests:012x}"

    def spawn(self, this: Try, *, crash: bool) -> None:
        """Start a task for it. With `crash` it dies at a random service call, or at its end."""
        name = this.resolved.function.name
        task = self._kernel.spawn(
            f"{name}#{this.request_id[:8].lstrip('0')}", lambda: self._live(this, crash=crash)
        )
        self._spawned.append((name, task))
        if len(self._spawned) >= self._swept_from:
            self._spawned = [each for each in self._spawned if not each[1].done]
            # A look at all of thousands of runs for each new one would take longer than the run.
            self._swept_from = max(_SWEPT_FROM, 2 * len(self._spawned))

    def crash(self, name: str) -> int:
        """Let the running processes of a function die at their next service call.

        Returns their number.
        """
        with self._kernel.lock():
            running = [
                task
                for function, task in self._spawned
                if function == name and not task.done and not task.killed
            ]
            for task in running:
                task.crash_in, task.crash_applied = 1, False
        return len(running)

    def run_inline(self, resolved: Resolved, payload: str) -> Answer:
        """Return a synchronous invocation, in the thread of its caller.

        The function's timeout does not end it.
        """
        answers: list[Answer] = []
        with self._kernel.lock():
            run = self._begin(Try(resolved, payload, self.new_request_id(), on_end=answers.append))
        answer = copy_context().run(self._execute, run)
        if answer is None:
            raise Killed
        self._end(run, answer)
        return answers[0]

    def note(self, event: events.Event) -> None:
        """Keep the outcome that an event of this thread names for the running try's user code."""
        run = _current.get()
        assignment = None if run is None else run.assignment
        if run is None or assignment is None:
            return
        # A start of a run is reported while the next one begins.
        for work_id, entry in {assignment.work_id: run.entry, **run.begun}.items():
            outcome = _outcome_in(event, work_id)
            if outcome is not None:
                entry.outcome = outcome

    def _live(self, this: Try, *, crash: bool) -> None:
        task = self._kernel.current()
        with self._kernel.lock():
            run = self._begin(this)
            if crash and task is not None:
                self._plan_crash(task)
                run.entry.died_at_claim = task.crash_in == 1 and run.must_claim
            if not run.over:
                run.alarm = self._kernel.at(
                    run.context.deadline, lambda: self._time_out(run, task), last=True
                )
        with self._surround():
            answer = self._execute(run)
        if (
            answer is not None
            and task is not None
            and task.crash_in is not None
            and not task.crashed
        ):
            answer = exited(
                "exit status 1", this.request_id
            )  # it made fewer calls than were planned: it dies at its end
        if answer is not None:
            self._end(run, answer)
        elif not run.over:
            for thread in run.beside:
                self._kernel.kill(thread)
            self._log.end(run.entry, self._kernel.now(), "killed")

    def _begin(self, this: Try) -> _Run:
        try:
            event: object = json.loads(this.payload)
        except (ValueError, RecursionError):  # the try will come to the same
            event = None
        shown: Event = event if isinstance(event, dict) else {}
        starts = run_from_wire(shown.get(WORKPOOL_KEY))
        if starts is not None:
            shown = dict(starts[0])
        assignment = assignment_from_wire(shown.get(WORKPOOL_KEY))
        attempt = None if assignment is None else assignment.attempts_made + 1
        entry = self._log.begin(this.resolved.function.name, shown, attempt, self._kernel.now())
        context = context_of(this.resolved, this.request_id, self._kernel.now)
        return _Run(this, shown, assignment, entry, context, self.notes)

    def _begin_start(self, run: _Run, event: Mapping[str, object]) -> None:
        """Note that the next start of a run begins."""
        assignment = assignment_from_wire(event.get(WORKPOOL_KEY))
        if assignment is None:
            return
        with self._kernel.lock():
            if run.begun or run.event != event:
                self._log.end(run.entry, self._kernel.now(), "success")
                run.event, run.assignment = dict(event), assignment
                run.entry = self._log.begin(
                    run.this.resolved.function.name,
                    run.event,
                    assignment.attempts_made + 1,
                    self._kernel.now(),
                )
            run.begun[assignment.work_id] = run.entry

    def _plan_crash(self, task: Task) -> None:
        reach = (_CRASH_SOON, _CRASH_LATER)[self._chooser.choose(2, "crash reach")]
        task.crash_in = 1 + self._chooser.choose(reach, "crash at call")
        task.crash_applied = self._chooser.choose(2, "crash after its effect") == 1

    def _execute(self, run: _Run) -> Answer | None:
        """Return the end of the try.

        `None` means that it was killed, and that its end was noted elsewhere.
        """
        task, request_id = self._kernel.current(), run.this.request_id
        _current.set(run)
        try:
            answer = self._answer_of(run)
        except Killed:
            answer = None
        if task is not None and task.killed:  # also where user code swallowed it
            return exited("exit status 1", request_id) if task.crashed else None
        return answer

    def _answer_of(self, run: _Run) -> Answer:
        function, request_id = run.this.resolved.function, run.this.request_id
        # A function that another one invokes knows nothing of its caller's transaction.
        invocation.anchored.set(None)
        invocation.sleeper.set(lambda seconds: self._kernel.sleep(round(seconds * 1000)))
        invocation.refused.set(run.refuse)
        invocation.begun.set(lambda event: self._begin_start(run, event))
        invocation.before_body.set(lambda worker: self._fail_as_planned(run, worker))
        invocation.raised.set(run.note_error)
        invocation.after_body.set(lambda: self._take_time(run))
        process.current.set(SimulatedProcess(self._kernel, run.beside))
        try:
            answer = self._ran(run)
        except Killed:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
                raise  # a person's, who wants the test to end
            run.note_error(error)
            return ended_by(error, request_id)
        if not function.decorated:
            self._take_time(run)
        return answer

    def _ran(self, run: _Run) -> Answer:
        """Do as the runtime's bootstrap does: it survives an `Exception` of the handler, and reports that; nothing else."""
        function, request_id = run.this.resolved.function, run.this.request_id
        try:
            event = json.loads(run.this.payload)
        except (ValueError, RecursionError) as error:
            return unreadable(error, request_id)
        try:
            if not function.decorated:
                self._fail_as_planned(run, function.handler)
            return answered(function.handler(event, run.context), request_id)
        except Killed:
            raise
        except Exception as error:  # noqa: BLE001 - as the bootstrap does
            if not function.decorated or run.assignment is None:
                run.note_error(error)  # a decorated worker shows the errors of its attempts
            return raised(error, sys.exc_info()[2], request_id)

    def _fail_as_planned(self, run: _Run, worker: object) -> None:
        """Raise the error that a test planned for this run of user code."""
        if run.assignment is None:
            return
        with self._kernel.lock():
            error = self.planned.take(run.this.resolved.function.name, worker)
        if error is not None:
            raise error

    def _take_time(self, run: _Run) -> None:
        """Let the duration of the user's code pass, before anything comes of it."""
        takes = run.this.resolved.function.takes
        if takes is not None:
            self._kernel.sleep(takes(run.event))
        with self._kernel.lock():
            self._log.free(run.entry)

    def _time_out(self, run: _Run, task: Task | None) -> None:
        if task is not None:
            self._kernel.kill(task)
        self._end(run, timed_out(run.this.resolved.function.timeout_ms, run.this.request_id))

    def _end(self, run: _Run, answer: Answer) -> None:
        with self._kernel.lock():
            if run.over:
                return
            run.over = True
            if run.alarm is not None:
                run.alarm.cancel()
            for thread in run.beside:
                self._kernel.kill(thread)
            self._log.end(run.entry, self._kernel.now(), answer.ended, answer.error)
            run.this.on_end(answer)


def _outcome_in(event: events.Event, work_id: str) -> Ended | None:
    match event:
        case events.Retrying() if event.work_id == work_id:
            return "failed"
        case events.Completed() if event.work_id == work_id and event.outcome != Outcome.SUCCESS:
            return "failed"
        case events.Snoozed() if event.work_id == work_id:
            return "snoozed"
        case events.DuplicateRefused() if event.work_id == work_id:
            return "duplicate"
        case events.PutBack() if event.work_id == work_id:
            return "late"
        case _:
            return None

"""A run: several starts in one invocation of a decorated function, one after the other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from workpool_aws.adapters.wire.assignment import assignment_from_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.core import limits
from workpool_aws.core.loop.runs import longest_run_ms
from workpool_aws.core.report.claim import ClaimAnswer
from workpool_aws.core.report.execute import report_not_run
from workpool_aws.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.messages import Assignment, Report
    from workpool_aws.ports import Ports

__all__ = ["RunStart", "RunSteps", "serve_run", "start_of"]


@dataclass(frozen=True, slots=True)
class RunStart:
    """One start of a run."""

    assignment: Assignment
    arguments: Mapping[str, object]
    event: Mapping[str, object]
    """The event that it would have alone."""


def start_of(event: Mapping[str, object]) -> RunStart:
    """Returns the start of an event in a run that was read from the wire."""
    assignment = assignment_from_wire(event[WORKPOOL_KEY])
    if assignment is None:
        raise ValueError("the run was not read from the wire")
    arguments = {name: value for name, value in event.items() if name != WORKPOOL_KEY}
    return RunStart(assignment, arguments, event)


@dataclass(frozen=True, slots=True)
class RunSteps:
    """The worker's part in each start of a run.

    `take` claims or makes the start, and returns the exception that ends the invocation in place of
    raising it. `perform` runs its code with the token of the claim, and returns its report; `None`
    means that it is reported already. `report` writes a report, and leaves its notice to the list, if
    it can wait. `failed` returns the exception that carries a report which could not be written.
    `put` writes notices. `report` and `put` raise StoreUnavailable.
    """

    begin: Callable[[RunStart], None]
    take: Callable[[RunStart], ClaimAnswer | Exception]
    perform: Callable[[RunStart, str | None], Report | None]
    report: Callable[[RunStart, Report, list[Notice]], object]
    failed: Callable[[RunStart, Report], Exception]
    put: Callable[[Sequence[Notice]], None]


@dataclass(frozen=True, slots=True)
class _Ended:
    """A start whose code is over, and not yet reported."""

    start: RunStart
    report: Report


def serve_run(
    ports: Ports, starts: Sequence[RunStart], steps: RunSteps, *, remaining_ms: int
) -> bool:
    """Makes these starts one after the other, and reports each as it ends [WP-30].

    A start that another delivery has made ends the run here, since that delivery goes on with it. One
    that ended before it began is passed over. Starts that the run does not reach in its time are given
    back. False means that no notice is left to kick for.

    Raises what `steps.take` returns, and `steps.failed` for a report that could not be written. The loop
    takes back the starts that follow.
    """
    run = _Run(ports, steps, longest_run_ms(remaining_ms))
    try:
        run.serve(starts)
    except Exception:
        run.put_rest()
        raise
    return run.put_rest()


@dataclass(slots=True)
class _Run:
    """One delivery of a run."""

    ports: Ports
    steps: RunSteps
    longest_ms: int
    notices: list[Notice] = field(default_factory=list)
    """Notices of ends that are recorded, which are not yet put."""
    put_at: EpochMs | None = None
    """Time at which notices were put last, or the run began."""

    def serve(self, starts: Sequence[RunStart]) -> None:
        """Goes through the run."""
        began = self.put_at = self.ports.clock.now()
        ended: _Ended | None = None
        for place, start in enumerate(starts):
            if place and self.ports.clock.now() - began >= self.longest_ms:
                self._between(ended, None)
                self._give_back(starts[place:])
                return
            taken = self._between(ended, start)
            ended = None
            if taken.token is not None:
                report = self.steps.perform(start, taken.token)
                ended = None if report is None else _Ended(start, report)
            elif not taken.is_over:
                return
        self._between(ended, None)

    def _between(self, ended: _Ended | None, start: RunStart | None) -> ClaimAnswer:
        """Reports the start that has ended, and takes the next one, at one time.

        Each is a write of its own work item. Neither relies on the other.
        """
        answers = self.ports.fan_out(lambda call: call(), self._calls(ended, start))
        taken = next((each for each in answers if isinstance(each, ClaimAnswer)), ClaimAnswer(None))
        failures = [each for each in answers if isinstance(each, Exception)]
        if failures and start is not None and taken.token is not None:
            # Made, and its code will not run here.
            unrun = report_not_run("its run was cut short", claim=taken.token)
            lost = self._report(_Ended(start, unrun))
            failures += [] if lost is None else [lost]
        if failures:
            # Where the table does not answer, neither start could be reported. One error carries both.
            texts = "\n".join(str(each) for each in failures)
            raise type(failures[0])(texts) from failures[0].__cause__
        return taken

    def _calls(self, ended: _Ended | None, start: RunStart | None) -> list[Callable[[], object]]:
        if start is not None:
            self.steps.begin(start)
        take = [] if start is None else [partial(self.steps.take, start)]
        report = [] if ended is None else [partial(self._report, ended)]
        return [*take, *report, *self._putting()]

    def _putting(self) -> list[Callable[[], None]]:
        """Returns the step that puts the notices, if the oldest of them is old enough."""
        now = self.ports.clock.now()
        if not self.notices or now - (self.put_at or now) < limits.RUN_NOTICE_MS:
            return []
        self.put_at, notices, self.notices = now, self.notices, []
        return [partial(self._put, notices)]

    def _put(self, notices: Sequence[Notice]) -> None:
        # Without them the loop finds the ends when it checks their entries.
        with suppress(StoreUnavailable):
            self.steps.put(notices)

    def _report(self, ended: _Ended) -> Exception | None:
        try:
            self.steps.report(ended.start, ended.report, self.notices)
        except StoreUnavailable:
            return self.steps.failed(ended.start, ended.report)
        return None

    def _give_back(self, starts: Sequence[RunStart]) -> None:
        """Requeues starts. Without an answer the loop takes back the rest."""
        with suppress(StoreUnavailable):
            for start in starts:
                unrun = report_not_run("its run took longer than it was to")
                self.steps.report(start, unrun, self.notices)

    def put_rest(self) -> bool:
        """Puts the notices that are left. False means that there are none."""
        notices, self.notices = self.notices, []
        if notices:
            self._put(notices)
        return bool(notices)

"""Takes the steps after the commit point of a report. Each may be lost, and may be repeated.

| step | lost? |
|---|---|
| chunks' time to live, schedule, notice of an end | next report, or recovery |
| notice for a check | recovery |
| kick | watchdog |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workpool_aws.core import limits
from workpool_aws.core.pool.kick import KickReason
from workpool_aws.core.report.suspect import decide_suspicion
from workpool_aws.core.work.unique import lock_expiries
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire
from workpool_aws.flow.pool.kick import kick
from workpool_aws.flow.report.notices import make_notice, write_notice
from workpool_aws.flow.visibility import notify_schedule
from workpool_aws.model import events
from workpool_aws.model.loop import NoticeKind
from workpool_aws.model.work import WorkItem
from workpool_aws.ports import ConditionFailed, Ports
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.core.report.complete import Ignored
    from workpool_aws.model.loop import Notice
    from workpool_aws.model.messages import Assignment, Report
    from workpool_aws.model.record import Record
    from workpool_aws.model.refs import Unreadable
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import CallbackState, GroupEnd
    from workpool_aws.model.writes import Update

__all__ = ["FollowUp", "Reporter"]

Reporter = Literal["worker", "destination", "recovery", "loop"]
"""The reporter of a start's outcome."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The steps that follow a report of this start."""

    ports: Ports
    a: Assignment
    by: Reporter
    later: list[Notice] | None = None
    """Takes the notices of ends that owe no callback, in place of the table. `None` means that each is
    written at once."""

    def release(self, finished: Record | Unreadable | None, expiries: tuple[Update, ...]) -> None:
        """Lets the chunks of an ended work item expire, and notifies its schedule.

        Before the notice: until that is settled, the ledger's entry causes another check of this
        work item.
        """
        let_expire(self.ports.store, expiries)
        if isinstance(finished, WorkItem):
            let_expire(self.ports.store, lock_expiries(finished, ended_at=finished.finished_at))
            notify_schedule(self.ports, finished)

    def notify(
        self,
        outcome: Outcome | None,
        *,
        callback: CallbackState | None,
        group: GroupEnd | None,
        ran_ms: int | None = None,
    ) -> None:
        """Has the loop free the slot, and count the end of a member of a group [WP-19].

        `outcome`: as the notice counts it. `callback`: the loop's part in the callback; `None` means
        none. `group`: `None` means no member. `ran_ms`: time of its user code; `None` means that it
        is not known.
        """
        notice = make_notice(
            self.ports,
            self.a,
            NoticeKind.FINISHED,
            outcome=outcome,
            callback=callback,
            ran_ms=ran_ms,
            group=group,
        )
        if self.later is not None and callback is None and group is None:
            self.later.append(notice)
            return
        write_notice(self.ports, notice)
        self.kick()

    def suspect(self, report: Report, current: WorkItem | Unreadable | None) -> None:
        """Keeps a failure that does not count yet, and puts a notice for a check.

        Recovery then uses the claim's deadline. A report of recovery is never a suspicion, since
        the state that it judged is gone [WP-14].
        """
        write = None if self.by == "recovery" else decide_suspicion(self.a, current, report)
        if write is None:
            return
        try:
            self.ports.store.write(write)
        except ConditionFailed:
            return  # its claimer, or recovery, was faster
        self.ask_for_check()

    def ask_for_check(self) -> None:
        """Has the loop read the work item of this start again."""
        write_notice(self.ports, make_notice(self.ports, self.a, NoticeKind.CHECK))

    def ignore(self, ignored: Ignored) -> None:
        """Logs a report that changes nothing."""
        a = self.a
        if ignored.unproven:
            self.ports.telemetry.emit(
                events.ReportUnproven(pool=a.pool, work_id=a.work_id, job=a.label, by=self.by)
            )
            return
        reason = f"{self.by}: {ignored.reason}"
        self.ports.telemetry.emit(
            events.ReportIgnored(
                pool=a.pool, work_id=a.work_id, job=a.label, start=a.start, reason=reason
            )
        )
        # The first reporter may have died before its kick.
        self.kick()

    def kick(self) -> None:
        """Starts a loop that would not see the notice soon."""
        ports, a = self.ports, self.a
        if self.by in {"recovery", "loop"}:
            return  # the loop runs this, and makes another pass anyway
        if a.loop_until is not None and ports.clock.now() + limits.SKEW_MS < a.loop_until:
            return  # the loop promised to run until then
        try:
            kick(ports, a.pool, KickReason.COMPLETE)
        except StoreUnavailable as error:
            # It is recorded, and the watchdog finds a notice that no loop settled.
            ports.telemetry.emit(
                events.KickFailed(pool=a.pool, reason=KickReason.COMPLETE, error=str(error))
            )

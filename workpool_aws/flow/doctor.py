"""Examines a table, its deployment and its pools, without changing anything."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.doctor import (
    Finding,
    findings_of_function,
    findings_of_heartbeat,
    findings_of_role,
    findings_of_table,
    forgotten,
    not_examined,
    refused,
    stuck,
    wake_missing,
    wakes_unknown,
)
from workpool_aws.core.loop.classify import Taken
from workpool_aws.flow.ledger import ledger_of
from workpool_aws.flow.loop.choose import due_in
from workpool_aws.flow.reading import registered_pools, resolved, work_range
from workpool_aws.flow.shards import marks_of
from workpool_aws.flow.watchdog.watch import needs_a_kick
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Deployment, LoopState
from workpool_aws.model.names import names_function
from workpool_aws.model.refs import (
    ConfigRef,
    DeploymentRef,
    HeartbeatRef,
    StatusRef,
    Unreadable,
    readable,
)
from workpool_aws.model.work import State, WorkItem
from workpool_aws.ports import InspectionFailed, StoreDenied
from workpool_aws.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from workpool_aws.ports import Ports

__all__ = ["examine"]


def examine(ports: Ports) -> tuple[Finding, ...]:
    """Returns everything that is found: of the table, of its functions, of its pools.

    A question that AWS refuses is a finding, as are items that the credentials may not read.

    Raises StoreUnavailable if the table does not answer.
    """
    return _Examination(ports).findings()


@dataclass(frozen=True, slots=True)
class _Examination:
    """One examination of a table and of what its deployment names."""

    ports: Ports

    def findings(self) -> tuple[Finding, ...]:
        """Returns everything that is found."""
        found = [*self._of_table()]
        if any(each.code in ("table_missing", "keys_wrong") for each in found):
            return tuple(found)
        item = self.ports.store.get(DeploymentRef())
        deployment = item if isinstance(item, Deployment) else None
        if deployment is None:
            found.append(_not_deployed(self.ports.table, damaged=item is not None))
        else:
            found += self._of_deployment(deployment)
        used: list[str] = []
        for pool in sorted(registered_pools(self.ports.store, self.ports.telemetry)):
            try:
                works = _recent_works(self.ports, pool)
                found += _findings_of_pool(self.ports, pool, works, deployment)
                used += [work.spec.target for work in works]
            except StoreDenied as error:
                found.append(not_examined(pool, str(error)))
        if deployment is not None:
            named = self._named(deployment)
            others = [each for each in used if not any(names_function(each, n) for n in named)]
            found += self._of_functions(others, deployment)
        return tuple(found)

    def _of_table(self) -> list[Finding]:
        try:
            return findings_of_table(self.ports.table, self.ports.inspector.table(self.ports.table))
        except InspectionFailed as error:
            return [not_examined(self.ports.table, str(error))]

    def _of_deployment(self, deployment: Deployment) -> Iterator[Finding]:
        """Yields findings of the watchdog, of far wakes, and of the functions that it names."""
        ports = self.ports
        seen = readable(ports.store.get(HeartbeatRef()))
        yield from findings_of_heartbeat(ports.table, seen, ports.clock.now())
        if deployment.schedule_group is None or deployment.scheduler_role_arn is None:
            yield wakes_unknown(ports.table)
        else:
            yield from self._of_role(deployment.scheduler_role_arn, deployment.loop_arn)
        yield from self._of_functions(self._named(deployment), deployment)

    def _named(self, deployment: Deployment) -> list[str]:
        """Returns the functions that the deployment names."""
        named = [deployment.loop_arn, deployment.completion_arn, *deployment.acknowledging]
        named += [*(job.target for job in deployment.jobs), *self.ports.jobs("").values()]
        return [each for each in named if each is not None]

    def _of_role(self, arn: str, loop_arn: str) -> Sequence[Finding]:
        """Returns the finding of the role in which far wakes invoke the loop."""
        try:
            return findings_of_role(arn, self.ports.inspector.role(arn, loop_arn), loop_arn)
        except InspectionFailed as error:
            return [not_examined(arn, str(error))]

    def _of_functions(self, targets: Iterable[str], deployment: Deployment) -> Iterator[Finding]:
        """Yields findings of each function, once."""
        for target in dict.fromkeys(targets):
            try:
                facts = self.ports.inspector.function(target)
            except InspectionFailed as error:
                yield not_examined(target, str(error))
            else:
                yield from findings_of_function(target, facts, deployment)


def _not_deployed(table: str, *, damaged: bool) -> Finding:
    readable_one = " that can be read" if damaged else ""
    return Finding(
        code="not_deployed",
        subject=table,
        text=f"The table has no record of its deployment{readable_one}: the watchdog has not run.",
        remedy="Deploy the stack, and check that the watchdog's schedule is enabled.",
    )


def _recent_works(ports: Ports, pool: str) -> Sequence[WorkItem]:
    """Returns some work items of a pool: the first that are due, and the newest.

    They show which functions it runs by name or ARN, unknown to the deployment, and which of them
    Lambda refuses. Raises StoreUnavailable.
    """
    found: dict[str, WorkItem] = {}
    for shard, mark in enumerate(marks_of(ledger_of(ports.store, pool))):
        due = replace(work_range(pool, shard, mark.work_cursor), limit=limits.DOCTOR_ROWS)
        newest = replace(work_range(pool, shard, ""), limit=limits.DOCTOR_ROWS, reverse=True)
        for key_range in (due, newest):
            rows = islice(resolved(ports.store, ports.telemetry, key_range), limits.DOCTOR_ROWS)
            found |= {work.id: work for _, work in rows if isinstance(work, WorkItem)}
    return tuple(found.values())


def _findings_of_pool(
    ports: Ports, pool: str, works: Sequence[WorkItem], deployment: Deployment | None
) -> Iterator[Finding]:
    """Yields findings of a pool, as the watchdog would have found them some ticks ago."""
    examined = _Pool(ports, pool, ports.clock.now())
    yield from examined.of_loop()
    yield from examined.of_config()
    if deployment is not None and deployment.schedule_group is not None:
        yield from examined.of_wake(deployment.schedule_group)
    yield from refused([work for work in works if work.state is State.PENDING])


@dataclass(frozen=True, slots=True)
class _Pool:
    """The examination of one pool."""

    ports: Ports
    pool: str
    now: EpochMs

    def of_loop(self) -> Iterator[Finding]:
        """Yields the finding of a pool that needs a loop and has none."""
        then = EpochMs(self.now - limits.WHY_WATCHDOG_LATE_MS)
        reason = needs_a_kick(self.ports.store, self.ports.telemetry, self.pool, then, ever=True)
        if reason is not None:
            yield stuck(self.pool, reason)

    def of_config(self) -> Iterator[Finding]:
        """Yields the finding of limits that let nothing start, or cannot be read."""
        config = self.ports.store.get(ConfigRef(self.pool))
        if isinstance(config, Unreadable):
            yield Finding(
                code="config_damaged",
                subject=self.pool,
                text=f"Its config item is damaged, so nothing starts: {config.reason}.",
                remedy="`workpool limit N` writes it again.",
            )
        elif config is not None and config.limit == 0 and self._has_due():
            yield forgotten(self.pool, config)

    def of_wake(self, group: str) -> Iterator[Finding]:
        """Yields the finding of a resting loop whose far wake does not exist."""
        status = readable(self.ports.store.get(StatusRef(self.pool)))
        if status is None or status.state is not LoopState.WAITING:
            return
        if status.timer_at is None or status.timer_at <= self.now:
            return
        try:
            if not self.ports.inspector.wake(self.ports.table, self.pool, group):
                yield wake_missing(self.pool, status.timer_at)
        except InspectionFailed as error:
            yield not_examined(self.pool, str(error))

    def _has_due(self) -> bool:
        ports, ledger = self.ports, ledger_of(self.ports.store, self.pool)
        taken = Taken(() if ledger is None else ledger.entries, frozenset())
        return any(
            due_in(
                ports.store,
                ports.telemetry,
                work_range(self.pool, shard, mark.work_cursor),
                taken=taken,
                now=self.now,
            )
            for shard, mark in enumerate(marks_of(ledger))
        )

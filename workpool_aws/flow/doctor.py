"""Examines a table, its deployment and its pools, without changing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.doctor import (
    Finding,
    findings_of_function,
    findings_of_table,
    forgotten,
    not_examined,
    stuck,
)
from workpool_aws.core.loop.classify import Taken
from workpool_aws.flow.loop.choose import due_in
from workpool_aws.flow.reading import registered_pools, work_range
from workpool_aws.flow.shards import ledger_of, marks_of
from workpool_aws.flow.watchdog.watch import needs_a_kick
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import Deployment
from workpool_aws.model.refs import ConfigRef, DeploymentRef, Unreadable
from workpool_aws.ports import InspectionFailed, StoreDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        found += self._of_functions()
        for pool in sorted(registered_pools(self.ports.store, self.ports.telemetry)):
            try:
                found += [*self._of_pool(pool)]
            except StoreDenied as error:
                found.append(not_examined(pool, str(error)))
        return tuple(found)

    def _of_table(self) -> list[Finding]:
        try:
            return findings_of_table(self.ports.table, self.ports.inspector.table(self.ports.table))
        except InspectionFailed as error:
            return [not_examined(self.ports.table, str(error))]

    def _of_functions(self) -> Iterator[Finding]:
        """Yields findings of the functions that the deployment names."""
        ports = self.ports
        deployment = ports.store.get(DeploymentRef())
        if not isinstance(deployment, Deployment):
            damaged = "" if deployment is None else " that can be read"
            yield Finding(
                code="not_deployed",
                subject=ports.table,
                text=f"The table has no record of its deployment{damaged}: the watchdog has not run.",
                remedy="Deploy the stack, and check that the watchdog's schedule is enabled.",
            )
            return
        named = [deployment.loop_arn, deployment.completion_arn, *deployment.acknowledging]
        named += [*(job.target for job in deployment.jobs), *ports.jobs("").values()]
        for target in dict.fromkeys(each for each in named if each is not None):
            try:
                facts = ports.inspector.function(target)
            except InspectionFailed as error:
                yield not_examined(target, str(error))
            else:
                yield from findings_of_function(target, facts, deployment)

    def _of_pool(self, pool: str) -> Iterator[Finding]:
        """Yields findings of a pool, as the watchdog would have found them some ticks ago."""
        ports, now = self.ports, self.ports.clock.now()
        then = EpochMs(now - limits.WHY_WATCHDOG_LATE_MS)
        reason = needs_a_kick(ports.store, ports.telemetry, pool, then, ever=True)
        if reason is not None:
            yield stuck(pool, reason)
        config = ports.store.get(ConfigRef(pool))
        if isinstance(config, Unreadable):
            yield Finding(
                code="config_damaged",
                subject=pool,
                text=f"Its config item is damaged, so nothing starts: {config.reason}.",
                remedy="`workpool limit N` writes it again.",
            )
        elif config is not None and config.limit == 0 and self._has_due(pool, now):
            yield forgotten(pool, config)

    def _has_due(self, pool: str, now: EpochMs) -> bool:
        ledger = ledger_of(self.ports.store, pool)
        taken = Taken(() if ledger is None else ledger.entries, frozenset())
        return any(
            due_in(
                self.ports.store,
                self.ports.telemetry,
                work_range(pool, shard, mark.work_cursor),
                taken=taken,
                now=now,
            )
            for shard, mark in enumerate(marks_of(ledger))
        )

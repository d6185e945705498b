"""Keeps the counts of the current minute, and reports a minute that is over.

An active pool writes one small item a minute at most, an idle one none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.tally import added, added_by_job, is_ahead, is_full
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import Ledger, MinuteReport, MinuteTally, Notice
from workpool_aws.model.writes import Put
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["carry_on"]


def carry_on(
    ports: Ports, ledger: Ledger, records: Sequence[Notice], lags_ms: Sequence[int], now: EpochMs
) -> Ledger:
    """Returns the ledger with the counts that the coming commit carries.

    A minute that is over is reported before the commit that drops it from the ledger. After a crash
    between the two, the next holder writes the same report again.
    """
    tally = ledger.tally
    if is_ahead(tally, now) or (
        tally is not None and is_full(tally, now) and _report(ports, ledger, tally)
    ):
        tally = None
    counted = added(tally, records, lags_ms, now)
    jobs = None if counted is None else added_by_job(ledger.jobs, records, counted.since)
    return replace(ledger, tally=counted, jobs=jobs)


def _report(ports: Ports, ledger: Ledger, tally: MinuteTally) -> bool:
    jobs = ledger.jobs
    report = MinuteReport(
        pool=ledger.pool,
        at=id_floor(tally.since),
        tally=tally,
        jobs=None if jobs is None or jobs.since != tally.since else jobs,
        expires_at=tally.since // 1000 + limits.REPORT_RETENTION_S,
    )
    try:
        ports.store.write(Put(report))
    except StoreUnavailable:
        return False  # statistics are not worth a loop: counted on, and reported by a later pass
    return True

"""Keeps the counts of the current minute, and reports a minute that is over.

An active pool writes one small item a minute at most, an idle one none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.loop.tally import added, is_ahead, is_full
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.ids import EpochMs, id_floor
from workpool_aws.model.loop import MinuteReport, MinuteTally, Notice
from workpool_aws.model.writes import Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.ports import Ports

__all__ = ["carry_on"]


def carry_on(
    ports: Ports,
    pool: str,
    tally: MinuteTally | None,
    records: Sequence[Notice],
    lags_ms: Sequence[int],
    now: EpochMs,
) -> MinuteTally | None:
    """Returns the counts that the coming commit carries.

    A minute that is over is reported before the commit that drops it from the ledger. After a crash
    between the two, the next holder writes the same report again.
    """
    if is_ahead(tally, now) or (
        tally is not None and is_full(tally, now) and _report(ports, pool, tally)
    ):
        tally = None
    return added(tally, records, lags_ms, now)


def _report(ports: Ports, pool: str, tally: MinuteTally) -> bool:
    expires_at = tally.since // 1000 + limits.REPORT_RETENTION_S
    try:
        ports.store.write(
            Put(
                MinuteReport(
                    pool=pool, at=id_floor(tally.since), tally=tally, expires_at=expires_at
                )
            )
        )
    except StoreUnavailable:
        return False  # statistics are not worth a loop: counted on, and reported by a later pass
    return True

"""Ends a pending work item by one conditional write, or one transaction if it has chunks or a callback."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workpool_aws.core.callback.ending import record_of_end
from workpool_aws.core.work.end import EndWrite, is_own_end
from workpool_aws.core.work.unique import lock_expiries
from workpool_aws.errors import StoreUnavailable
from workpool_aws.flow.chunks import let_expire, write_with
from workpool_aws.flow.commit import commit_with_notice, put_end
from workpool_aws.model.work import WorkItem
from workpool_aws.model.writes import Put
from workpool_aws.ports import ConditionFailed, Ports, TransactionFailed
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.model.loop import Notice

__all__ = ["Refused", "refusal"]


@dataclass(frozen=True, slots=True)
class Refused:
    """An end that was not written. `current`: the work item instead; `None` means none."""

    current: WorkItem | None


def refusal(ports: Ports, work: WorkItem, decision: EndWrite, token: str) -> Refused | None:
    """Writes an end or a request; `None` means that it holds, also if the SDK repeated it."""

    def notice_at(at: EpochMs) -> Notice:
        return record_of_end(
            work,
            decision.outcome,
            now=at,
            random_bits=ports.entropy.bits(75),
            callback=decision.callback,
            group=decision.group,
        )

    try:
        if decision.needs_notice:
            commit_with_notice(ports, decision.write, notice_at, decision.beside)
        else:
            write_with(ports.store, decision.write, decision.beside)
    except ConditionFailed as met:
        found = met.current
    except TransactionFailed as met:
        found = met.current[0]
        if isinstance(found, WorkItem) and is_own_end(found, token):
            # How late the notice of the write that went through became visible is not known: one
            # more does no harm.
            ports.store.write(Put(notice_at(ports.clock.now())))
        elif isinstance(found, WorkItem) and found.group_end is not None:
            # The process that ended it may have had no answer, and be gone [WP-19].
            put_end(ports, found, owes_callback=False)
    else:
        if "finished_at" in decision.write.set:
            # Lost, the lock stays, which harms nothing: the end itself is answered.
            with suppress(StoreUnavailable):
                let_expire(ports.store, lock_expiries(work, ended_at=ports.clock.now()))
        return None
    current = found if isinstance(found, WorkItem) else None
    return None if current is not None and is_own_end(current, token) else Refused(current)

"""Writes the notices by which reports free the slots of their starts [WP-21].

The loop settles a notice when it reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.flow.visibility import ensure_visible
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of, time_of
from workpool_aws.model.loop import Notice, NoticeKind, ReportedEnd
from workpool_aws.model.work import CallbackState
from workpool_aws.model.writes import Put, Written
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.messages import Assignment
    from workpool_aws.model.spec import Outcome
    from workpool_aws.model.work import GroupEnd
    from workpool_aws.ports import Ports

__all__ = ["make_notice", "prove_notice", "write_notice", "write_together"]


def make_notice(
    ports: Ports,
    a: Assignment,
    kind: NoticeKind,
    *,
    pointer: str | None = None,
    outcome: Outcome | None = None,
    callback: CallbackState | None = None,
    ran_ms: int | None = None,
    group: GroupEnd | None = None,
) -> Notice:
    """Returns a notice of this start at the present time."""
    now = ports.clock.now()
    return Notice(
        pool=a.pool,
        at=_place(ports, a.work_id, now),
        work_id=a.work_id,
        start=a.start,
        kind=kind,
        pointer=pointer,
        callback=callback,
        expires_at=_expiry(callback, now),
        outcome=outcome,
        job=a.label,
        ran_ms=ran_ms,
        group=group,
    )


def write_notice(ports: Ports, notice: Notice) -> None:
    """Writes a notice, and proves that the loop will read it."""
    prove_notice(ports, notice, ports.store.write(Put(notice)))


def write_together(ports: Ports, notices: Sequence[Notice]) -> None:
    """Writes notices of ends that owe no callback, all of one job, as one of each shard.

    Raises StoreUnavailable: the loop finds those ends when it checks their entries.
    """
    by_shard: dict[int, list[Notice]] = {}
    for notice in notices:
        by_shard.setdefault(shard_of(notice.work_id), []).append(notice)
    now = ports.clock.now()
    for first, *rest in by_shard.values():
        ran = [each.ran_ms for each in (first, *rest) if each.ran_ms is not None]
        more = tuple(ReportedEnd(each.work_id, each.start, each.outcome) for each in rest)
        # By its own time it would lie before others that the loop has read already.
        place = _place(ports, first.work_id, now)
        mean_ms = sum(ran) // len(ran) if ran else None
        write_notice(ports, replace(first, at=place, ran_ms=mean_ms, more=more))


def prove_notice(ports: Ports, notice: Notice, written: Written) -> None:
    """Applies the late rule: writes a notice that landed late again, at the server's time."""

    def again(at: EpochMs) -> Written:
        place = _place(ports, notice.work_id, at)
        same = replace(notice, at=place, expires_at=_expiry(notice.callback, at))
        return ports.store.write(Put(same))

    ensure_visible(ports, written, time_of(notice.at), again)


def _place(ports: Ports, work_id: WorkId, at: EpochMs) -> str:
    return make_id(at, random_bits=ports.entropy.bits(75), shard=shard_of(work_id))


def _expiry(callback: CallbackState | None, at: EpochMs) -> int | None:
    # A callback that is not delivered gives its notice no time to live [WP-10]. The loop removes
    # the notice when its ledger has the callback.
    return None if callback is CallbackState.PENDING else at // 1000 + limits.DONE_RETENTION_S

"""Counts the ends of a group's members, each at the member's own place.

Two bits a member: 0 is not over, then 1 success, 2 failed, 3 canceled. Counting an end again changes
nothing, so every process that meets one may count it. The last end, the end of the group and its
follow-up are one transaction, on the version that was read [WP-19].
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from workpool_aws.core.group.members import place_of, random_bits_of
from workpool_aws.model.ids import EpochMs, WorkId, make_id
from workpool_aws.model.payload import Inline
from workpool_aws.model.refs import GroupRef
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, State, WorkItem
from workpool_aws.model.writes import Is, Update
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workpool_aws.model.group import GroupItem

__all__ = [
    "Counted",
    "GroupCounts",
    "counts_in",
    "decide_count",
    "follow_up_of",
    "outcome_at",
    "uncounted",
    "with_ends",
]

_CODES: Final = {Outcome.SUCCESS: 1, Outcome.FAILED: 2, Outcome.CANCELED: 3}
_BY_CODE: Final = {code: outcome for outcome, code in _CODES.items()}
_A_BYTE: Final = 4
"""Members whose outcomes stand in one byte."""


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Members of a group by outcome."""

    succeeded: int
    failed: int
    canceled: int

    @property
    def over(self) -> int:
        """Members that are over."""
        return self.succeeded + self.failed + self.canceled


@dataclass(frozen=True, slots=True)
class Counted:
    """Write this, with `follow_up` in one transaction if there is one."""

    update: Update
    counts: GroupCounts
    finished: bool
    follow_up: WorkItem | None
    """The group's own work item, which owes its callback. `None` means that members are not over,
    or that no callback is wanted."""


def outcome_at(outcomes: bytes, place: int) -> Outcome | None:
    """Returns the outcome of the member at a place; `None` means that none was counted."""
    at, within = divmod(place, _A_BYTE)
    code = outcomes[at] >> 2 * within & 3 if at < len(outcomes) else 0
    return _BY_CODE.get(code)


def with_ends(outcomes: bytes, ends: Mapping[int, Outcome]) -> bytes:
    """Returns the outcomes with those of further places. The first outcome of a place stays."""
    changed = bytearray(outcomes)
    for place, outcome in ends.items():
        if outcome_at(outcomes, place) is None:
            at, within = divmod(place, _A_BYTE)
            changed.extend(bytes(max(0, at + 1 - len(changed))))
            changed[at] |= _CODES[outcome] << 2 * within
    return bytes(changed)


def counts_in(outcomes: bytes) -> GroupCounts:
    """Returns the members by outcome."""
    bits = int.from_bytes(outcomes, "little")
    low = int.from_bytes(b"\x55" * len(outcomes), "little")
    first, second = bits & low, bits >> 1 & low
    return GroupCounts(
        succeeded=(first & ~second).bit_count(),
        failed=(second & ~first).bit_count(),
        canceled=(first & second).bit_count(),
    )


def uncounted(item: GroupItem) -> list[int]:
    """Returns the places of the members of which no end was counted."""
    return [n for n in range(item.total) if outcome_at(item.outcomes, n) is None]


def decide_count(
    item: GroupItem, ends: Iterable[tuple[WorkId, Outcome]], *, nonce: str, now: EpochMs
) -> Counted | None:
    """Returns what the ends of members change; `None` means nothing, since all were counted.

    `nonce`: of the callback that the follow-up owes [WP-28].
    """
    places = {place_of(item, work_id): outcome for work_id, outcome in ends}
    known = {place: outcome for place, outcome in places.items() if place is not None}
    outcomes = with_ends(item.outcomes, known)
    if outcomes == item.outcomes:
        return None
    counts = counts_in(outcomes)
    finished = counts.over >= item.total
    follow_up = follow_up_of(item, counts, nonce=nonce, now=now) if finished else None
    changes: dict[str, object] = {"outcomes": outcomes}
    if finished:
        kept_s = item.spec.retention_s
        changes |= {
            "finished_at": now,
            "follow_up": None if follow_up is None else follow_up.id,
            "expires_at": None if kept_s is None else now // 1000 + kept_s,
        }
    update = Update(
        ref=GroupRef(item.pool, item.id),
        set=changes,
        add={"version": 1},
        condition=Is("version", item.version),
    )
    return Counted(update, counts, finished, follow_up)


def follow_up_of(
    item: GroupItem, counts: GroupCounts, *, nonce: str, now: EpochMs
) -> WorkItem | None:
    """Returns the group's own work item, finished from the beginning; `None` if nothing is called.

    Its callback is that of the group, so it is sent, acknowledged, tried again and redriven as any
    other [WP-8]. It never runs.
    """
    spec = item.spec
    if spec.callback is None:
        return None
    summary = {"group_id": item.id, "total": item.total, **asdict(counts)}
    return WorkItem(
        pool=item.pool,
        id=WorkId(make_id(now, random_bits=random_bits_of(item, "follow-up"))),
        spec=spec,
        state=State.FINISHED,
        due_at=now,
        enqueued_at=now,
        outcome=Outcome.SUCCESS,
        result=Inline(json.dumps(summary, separators=(",", ":"))),
        finished_at=now,
        callback=CallbackState.PENDING,
        callback_nonce=nonce,
    )

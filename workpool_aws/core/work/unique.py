"""Decides who holds a unique key, and what an earlier request was answered with [WP-16, WP-17].

The lock of a key names a work item, and that work item says if the key is held. No move leads back
from "over", so a key that was found free stays free until a lock names another work item.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.work.bulk_cancel import is_bulk_canceled, is_older
from workpool_aws.errors import AlreadyEnqueued, UsageError
from workpool_aws.model.actions import Check
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.payload import inline_text
from workpool_aws.model.refs import UniqueRef, WorkRef
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.work import State, WorkItem
from workpool_aws.model.writes import All, Condition, Either, Is, IsAbsent, Put, Update
from workpool_aws.text import Words, shown
from workpool_aws.values import dataclass

if TYPE_CHECKING:
    from workpool_aws.model.ids import WorkId
    from workpool_aws.model.loop import Config
    from workpool_aws.model.spec import UniqueSpec

__all__ = [
    "Free",
    "Held",
    "NamedRequest",
    "OnConflict",
    "Wanted",
    "decide_lock",
    "decide_request",
    "holder_of",
    "holds",
    "known_until",
    "lock_expiries",
    "mark_of",
    "request_digest",
    "run_now_digest",
    "still_held",
]


_DIGEST_BYTES: Final = 12
"""96 bits: it separates mistakes from repetitions, and keeps no secret."""


class OnConflict(StrEnum):
    """Answers to an enqueue whose unique key is held."""

    RETURN = "return"
    """It returns the id of the work item that holds the key."""
    RAISE = "raise"
    """It raises AlreadyEnqueued."""
    REPLACE = "replace"
    """It replaces the arguments and the due time of the work item that holds the key, if that has
    not started. Otherwise it raises AlreadyEnqueued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRequest:
    """The id of a request, by which its repetition is known [WP-17]."""

    id: str
    digest: str | None
    """Digest of what it asks for; `None` means that any repetition counts as the same."""
    until: EpochMs | None
    """Time until which it is known; `None` means for ever."""


@dataclass(frozen=True, slots=True)
class Free:
    """No work item holds the key: put the lock in one transaction with the work item.

    `called_off`: the work item that holds it still, and that a `cancel_all` has called off. It must
    be canceled in the same transaction, while `only_if` holds, since it may stand in the ledger and
    start. `None` means none.
    """

    put: Put
    called_off: WorkItem | None = None
    only_if: Condition | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A work item holds the key. `None` as the work item means that it is gone, and its time is not."""

    lock: UniqueLock
    work: WorkItem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A work item to enqueue on conditions: its spec has a unique key, or there is a request."""

    work: WorkItem
    on_conflict: OnConflict = OnConflict.RETURN
    max_wait_ms: int | None = None
    """Longest time for which replacements postpone it, from its enqueue; `None` means any."""
    request: NamedRequest | None = None

    def refuse(self, holder: WorkId) -> None:
        """Raises AlreadyEnqueued, unless the id of the work item that holds the key is the answer."""
        if self.on_conflict is not OnConflict.RETURN:
            raise AlreadyEnqueued(holder)


def holds(work: WorkItem) -> bool:
    """True if a work item holds its key by its progress."""
    unique = work.spec.unique
    if unique is None or work.state is State.FINISHED:
        return False
    return not (unique.until_started and work.starts > 0)


def holder_of(lock: UniqueLock | None, holder: WorkItem | None, *, now: EpochMs) -> WorkId | None:
    """Returns the work item that holds a key; `None` means that the key is free.

    `holder`: as `decide_lock` takes it. One that is called off counts until another takes the key.
    """
    if lock is None or (lock.until is not None and lock.until <= now):
        return None
    by_progress = holder is not None and holds(holder)
    return lock.work_id if by_progress or lock.until is not None else None


def decide_lock(
    lock: UniqueLock | None,
    holder: WorkItem | None,
    config: Config | None,
    *,
    work: WorkItem,
    unique: UniqueSpec,
    now: EpochMs,
) -> Free | Held:
    """Returns the lock by which a new work item takes its key, or the holder of the key.

    `holder`: the work item that the lock names; `None` means that it is gone or damaged. `config`:
    it says if the holder is called off; `None` means that it is not. A redrive takes over the key
    of the work item that it redrives.
    """
    until = None if unique.for_ms is None else EpochMs(work.enqueued_at + unique.for_ms)
    expires_at = None if until is None else until // 1000 + limits.LOCK_KEPT_S
    new = UniqueLock(
        pool=work.pool, key=unique.key, work_id=work.id, until=until, expires_at=expires_at
    )
    if lock is None:
        return Free(Put(new, IsAbsent()))
    free = Free(Put(new, Is("work_id", lock.work_id)))
    if lock.work_id == work.redrive_of:
        return free
    if lock.until is not None:
        return Held(lock, holder) if now < lock.until else free
    if holder is None or not holds(holder):
        return free
    if config is not None and holder.state is State.PENDING and is_bulk_canceled(holder, config):
        return Free(free.put, called_off=holder, only_if=is_older(config))
    return Held(lock, holder)


def still_held(held: Held) -> Check:
    """Returns the check that the key is held still, for a transaction that relies on it."""
    lock, work = held.lock, held.work
    if lock.until is not None or work is None or work.spec.unique is None:
        ref = UniqueRef(lock.pool, lock.key)
        return Check(ref=ref, condition=Is("work_id", lock.work_id))
    unstarted: Condition = All((Is("state", State.PENDING), Is("starts", 0)))
    unfinished: Condition = Either((Is("state", State.PENDING), Is("state", State.RUNNING)))
    condition = unstarted if work.spec.unique.until_started else unfinished
    return Check(ref=WorkRef(work.pool, work.id), condition=condition)


def decide_request(
    mark: RequestMark | None, request: NamedRequest, *, now: EpochMs
) -> Condition | None:
    """Returns the condition under which a request is answered for the first time.

    `None` means that it was answered with the work item that the mark names.

    Raises:
        UsageError: The id belongs to a request that asked for something else.
    """
    if mark is None:
        return IsAbsent()
    if mark.until is not None and mark.until <= now:
        return Is("work_id", mark.work_id)
    if None not in (mark.digest, request.digest) and mark.digest != request.digest:
        got = Words(
            f"{shown(request.id)}, by which another target or other arguments were enqueued"
        )
        raise UsageError("request_id", got, "the id of one request, the same only in repetitions")
    return None


def mark_of(request: NamedRequest, pool: str, work_id: WorkId) -> RequestMark:
    """Returns the mark by which a request is answered with this work item from now on."""
    until = request.until
    return RequestMark(
        pool=pool,
        request_id=request.id,
        work_id=work_id,
        digest=request.digest,
        until=until,
        expires_at=None if until is None else until // 1000 + limits.LOCK_KEPT_S,
    )


def known_until(kept_s: int | None, due_at: EpochMs) -> EpochMs | None:
    """Returns the time until which a request is known; `None` means for ever.

    `kept_s`: time for which its work item is kept; `None` means for ever.
    """
    longest = None if kept_s is None else max(kept_s, limits.REQUEST_KEPT_S_MIN)
    return None if longest is None else EpochMs(due_at + longest * 1000)


def request_digest(work: WorkItem) -> str:
    """Returns the digest of what a request asks for: function, kind and arguments.

    The order of the arguments' names makes no difference.
    """
    spec = work.spec
    args = json.loads(inline_text(spec.args) or "{}")
    return _digest_of([spec.target, spec.job, spec.kind, args])


def run_now_digest(schedule: str) -> str:
    """Returns the digest of a request for a run of a schedule.

    The schedule may change between two tries, so nothing but its name is in it.
    """
    return _digest_of(["run_now", schedule])


def _digest_of(asked: list[object]) -> str:
    text = json.dumps(asked, sort_keys=True)
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return urlsafe_b64encode(digest[:_DIGEST_BYTES]).decode()


def lock_expiries(work: WorkItem, *, ended_at: EpochMs | None) -> tuple[Update, ...]:
    """Returns the update that lets the lock of a work item that is over expire, if it names it still.

    Without it the lock stays, which harms nothing. `ended_at`: `None` means that it is not over.
    """
    unique, kept_s = work.spec.unique, work.spec.retention_s
    if unique is None or unique.for_ms is not None or kept_s is None or ended_at is None:
        return ()
    expires_at = ended_at // 1000 + kept_s + limits.LOCK_KEPT_S
    return (
        Update(
            ref=UniqueRef(work.pool, unique.key),
            set={"expires_at": expires_at},
            condition=Is("work_id", work.id),
        ),
    )

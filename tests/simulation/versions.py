"""Processes of version 0.1 in a simulated run.

They are callers, loops and workers, which know no start made by a worker [WP-29], and no rate limit
[WP-33]. Each process is of one version for all of its life, by its name. The functions in which the
versions differ are patched.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from workpool_aws.api import pool
from workpool_aws.core.loop import admit, plan, recover
from workpool_aws.core.loop.rate import Tokens, tokens_of
from workpool_aws.core.loop.recover import Begin, Verdict
from workpool_aws.core.watchdog import watch
from workpool_aws.flow.loop import start
from workpool_aws.flow.loop.session import LoopSession
from workpool_aws.flow.report import complete
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.loop import EntryKey
from workpool_aws.model.messages import Assignment
from workpool_aws.model.rate import RateLimit, RateSpent
from workpool_aws.model.refs import Unreadable
from workpool_aws.model.work import State, WorkItem

__all__ = ["is_first_version", "two_versions"]

_OF_THREE: Final = 3


def is_first_version(seed: int, process: str) -> bool:
    """True if this process runs version 0.1, as one of three does."""
    root = process.partition("/")[0]
    return zlib.crc32(f"{seed} {root}".encode()) % _OF_THREE == 0


@contextmanager
def two_versions(is_old: Callable[[], bool]) -> Iterator[None]:
    """Inside, processes for which `is_old` holds do as version 0.1 did."""
    made_by_worker, judge_entry = start.is_made_by_worker, recover.judge_entry
    permit, sent = complete.start_permit, start.assignment_for
    left_behind = LoopSession.left_behind

    def made(work: WorkItem, *, target_claims: bool) -> bool:
        return not is_old() and made_by_worker(work, target_claims=target_claims)

    def judged(key: EntryKey, work: WorkItem | Unreadable | None, **more: object) -> Verdict:
        pending = isinstance(work, WorkItem) and work.state is State.PENDING
        if is_old() and pending and work.starts + 1 == key.start and not work.cancel_requested:
            return Begin(work)
        return judge_entry(key, work, **more)  # type: ignore[arg-type]

    def told(*given: object, **more: object) -> Assignment:
        return sent(*given, **{**more, "target_claims": not is_old()})  # type: ignore[arg-type]

    def drawn(token: str) -> str | None:
        return None if is_old() else permit(token)

    def tokens(limit: RateLimit | None, spent: RateSpent | None, now: EpochMs) -> Tokens | None:
        return None if is_old() else tokens_of(limit, spent, now)

    def left(session: LoopSession) -> Mapping[str, object]:
        return {} if is_old() else left_behind(session)

    with (
        patch.object(admit, "tokens_of", tokens),
        patch.object(plan, "tokens_of", tokens),
        patch.object(watch, "tokens_of", tokens),
        patch.object(LoopSession, "left_behind", left),
        patch.object(start, "is_made_by_worker", made),
        patch.object(recover, "judge_entry", judged),
        patch.object(start, "assignment_for", told),
        patch.object(complete, "start_permit", drawn),
        patch.object(pool, "start_permit", drawn),
    ):
        yield

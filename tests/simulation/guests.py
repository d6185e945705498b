"""The verdict on starts that callers commit themselves [WP-44].

They are of what the caller has stored, and a loop would find nothing else to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from workpool_aws.local.services.functions import LOOP_NAME
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Ledger
from workpool_aws.model.work import WorkItem

__all__ = ["GuestJudge"]

_SKEW_MS: Final = 2_000
_STARTS_MAX: Final = 16


class GuestJudge:
    """Watches who writes ledgers, by the name of the process. A write that lands late is nobody's."""

    def __init__(
        self,
        now: Callable[[], EpochMs],
        writer: Callable[[], str],
        fail: Callable[[str, str], None],
        decorated: Collection[str],
    ) -> None:
        self._now = now
        self._writer = writer
        self._fail = fail
        self._decorated = decorated
        self._stored_by: dict[WorkId, str] = {}
        self.commits = 0
        """Commits by guests."""

    def stored(self, work_id: WorkId) -> None:
        """A work item was written."""
        self._stored_by.setdefault(work_id, self._process())

    def ledger(
        self, before: Ledger, after: Ledger, works: Mapping[WorkId, WorkItem], *, is_rated: bool
    ) -> None:
        """A ledger was written."""
        process, added = self._process(), after.entries.keys() - before.entries.keys()
        if not added or process == "-" or process.startswith(LOOP_NAME):
            return
        self.commits += 1
        for broken in self._broken(before, after, is_rated=is_rated):
            self._fail("WP-44", f"{process} committed {sorted(added)} {broken}")
        for key in sorted(added):
            work, by = works[key.work_id], self._stored_by.get(key.work_id)
            if by not in {process, "-"}:
                self._fail("WP-44", f"{process} committed {key}, which {by} has stored")
            if work.due_at > self._now() + _SKEW_MS:
                self._fail("WP-44", f"{process} committed {key} before it is due")
            if work.spec.target.rpartition(":")[2] not in self._decorated:
                self._fail("WP-44", f"{process} committed {key}, whose worker makes no start")

    def _broken(self, before: Ledger, after: Ledger, *, is_rated: bool) -> list[str]:
        """Returns what the commit of a caller broke, but for its single starts."""
        found = {
            "beside others in flight": bool(before.entries or before.callbacks),
            "and held the ledger before": after.generation <= before.generation,
            "and moved cursors": after.shards != before.shards,
            "and removed or owed callbacks": after.callbacks != before.callbacks,
            "although the pool has a rate limit": is_rated,
            f"of which there are more than {_STARTS_MAX}": len(after.entries) > _STARTS_MAX,
        }
        return [what for what, broken in found.items() if broken]

    def _process(self) -> str:
        return self._writer().partition("/")[0]

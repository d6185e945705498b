"""Bulk acts: asked about, confirmed, then carried out in a thread, with progress and abort.

A question fixes the work items. What is confirmed is what was asked, whatever the pool holds by
then. They live in the process of the dashboard, so an act goes on when its page is closed, and ends
with the process. What it has done by then stays done.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from workpool_aws.core import limits
from workpool_aws.errors import AlreadyEnqueued, NotFound, UsageError, WorkpoolError
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from workpool_aws import Workpool

    _Each = Callable[[Workpool, str], bool]

__all__ = ["FORGOTTEN", "VERBS", "BulkAct", "BulkActs", "Verb", "canceled", "progress_of"]

Verb = Literal["cancel", "redrive"]
BulkState = Literal["asked", "running", "done", "aborted", "failed"]


FORGOTTEN: Final = "This act is not known here. The dashboard was started again since, or runs in several processes."
_LOOK_EVERY_S: Final = 0.3
_UNEXPECTED: Final = "unexpected, see the log of the dashboard"


class _AbortedError(Exception):
    """Ends an act on a group between two steps."""


def canceled(pool: Workpool, work_id: str) -> bool:
    """Cancels a work item. True if it was canceled, or a running one was asked to stop."""
    return str(pool.cancel(None, work_id)) in ("canceled", "requested")


def _redriven(pool: Workpool, work_id: str) -> bool:
    """Redrives a dead letter. False for one that is none any more."""
    try:
        pool.redrive(None, work_id)
    except (AlreadyEnqueued, NotFound, UsageError):
        return False
    return True


VERBS: Final[Mapping[Verb, _Each]] = {"cancel": canceled, "redrive": _redriven}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkAct:
    """One bulk act as it stands. Each change makes another value."""

    id: str
    verb: Verb
    pool: str
    question: str
    """The sentence that a person confirms, with the number of work items."""
    ids: tuple[str, ...]
    """The work items; none for an act on a group."""
    group: str | None = None
    """The group whose members are canceled. `None` means an act on `ids`."""
    members: int = 0
    """The members of it that were not over."""
    back: str
    """The page from which it was asked."""
    state: BulkState = "asked"
    done: int = 0
    """Work items that it has come to."""
    changed: int = 0
    """Those of them that it changed. The others were not in a state for it any more."""
    error: str | None = None
    """The error that ended it. `None` means that none did."""

    @property
    def total(self) -> int:
        """The number of work items that it comes to."""
        return len(self.ids) if self.group is None else self.members

    @property
    def is_over(self) -> bool:
        """True once nothing follows."""
        return self.state in ("done", "aborted", "failed")


class BulkActs:
    """The bulk acts of one dashboard: the newest ones. Threads may share it."""

    def __init__(self) -> None:
        self._acts: OrderedDict[str, BulkAct] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, act: BulkAct) -> BulkAct:
        """Keeps a question. The oldest acts that do not run are forgotten."""
        with self._lock:
            self._acts[act.id] = act
            idle = [each.id for each in self._acts.values() if each.state != "running"]
            for old in idle[: max(0, len(self._acts) - limits.BULK_ACTS_KEPT)]:
                del self._acts[old]
        return act

    def find(self, act_id: str) -> BulkAct | None:
        """Return the act of this id. `None` means that there is none any more."""
        with self._lock:
            return self._acts.get(act_id)

    def all(self) -> Sequence[BulkAct]:
        """Return every act, the newest first."""
        with self._lock:
            return tuple(reversed(self._acts.values()))

    def start(self, act_id: str, pool: Workpool) -> bool:
        """Carries out an act in a thread, once. False for one that was started before, or is gone.

        Raises UsageError while too many others run.
        """
        with self._lock:
            act = self._acts.get(act_id)
            if act is None or act.state != "asked":
                return False
            running = sum(each.state == "running" for each in self._acts.values())
            if running >= limits.BULK_ACTS_AT_ONCE:
                raise UsageError("act", running, f"one of {limits.BULK_ACTS_AT_ONCE} that run")
            self._acts[act_id] = replace(act, state="running")
        threading.Thread(target=self._run, args=(act, pool), daemon=True).start()
        return True

    def abort(self, act_id: str) -> bool:
        """Ends an act before its next page of work items. False for one that does not run."""
        with self._lock:
            act = self._acts.get(act_id)
            if act is None or act.is_over:
                return False
            self._acts[act_id] = replace(act, state="aborted")
        return True

    def _run(self, act: BulkAct, pool: Workpool) -> None:
        if act.group is not None:
            self._cancel_group(act.id, act.group, pool)
            return
        do = VERBS[act.verb]
        for first in range(0, len(act.ids), limits.BULK_PAGE):
            done, changed = 0, 0
            error: str | None = _UNEXPECTED
            try:
                for each in act.ids[first : first + limits.BULK_PAGE]:
                    done += 1
                    changed += do(pool, each)
                error = None
            except WorkpoolError as failure:
                error = str(failure)
            finally:
                goes_on = self._note(act.id, done, changed, error)
            if not goes_on:
                return

    def _cancel_group(self, act_id: str, group: str, pool: Workpool) -> None:
        """Cancels the members of a group that are not over, step by step."""

        def step(reached: int, changed: int) -> None:
            if not self._note(act_id, reached, changed, None, whole=False):
                raise _AbortedError

        error: str | None = _UNEXPECTED
        try:
            pool.cancel_group(None, group, on_step=step)
            error = None
        except _AbortedError:
            error = None
        except WorkpoolError as failure:
            error = str(failure)
        finally:
            self._note(act_id, 0, 0, error, whole=True)

    def _note(
        self, act_id: str, done: int, changed: int, error: str | None, *, whole: bool | None = None
    ) -> bool:
        """Keeps the progress of a page. True if another follows.

        `whole`: whether this was the last page; `None` means as the number of work items says.
        """
        with self._lock:
            act = self._acts[act_id]
            act = replace(act, done=act.done + done, changed=act.changed + changed, error=error)
            if error is not None:
                act = replace(act, state="failed")
            elif act.state == "running" and (act.done == act.total if whole is None else whole):
                # Members that were over by the time of the act are among those that it left.
                act = replace(act, state="done", done=act.total)
            self._acts[act_id] = act
            return act.state == "running"


async def progress_of(acts: BulkActs, act_id: str) -> AsyncIterator[str]:
    """Yields an event each time that an act has come further, to its end."""
    seen: BulkAct | None = None
    yield "retry: 2000\n\n"
    while (act := acts.find(act_id)) is not None:
        if act != seen:
            seen = act
            yield "event: refresh\ndata:\n\n"
        if act.is_over:
            return
        await asyncio.sleep(_LOOK_EVERY_S)

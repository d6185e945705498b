"""The unique keys and requests of one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workpool_aws.errors import FailedAction
from workpool_aws.model.actions import Check
from workpool_aws.model.refs import UniqueRef, WorkRef
from workpool_aws.model.unique import RequestMark, UniqueLock
from workpool_aws.model.writes import Put, Update

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workpool_aws.core.work.replace import Replacement
    from workpool_aws.core.work.transaction import PlannedCancel
    from workpool_aws.core.work.unique import Wanted
    from workpool_aws.flow.work.arrange import Arranged
    from workpool_aws.flow.work.transaction import ConditionsFailed
    from workpool_aws.model.actions import Action
    from workpool_aws.model.ids import WorkId

__all__ = ["TransactionKeys"]

_Name = tuple[str, str, str]


class TransactionKeys:
    """The actions by which a transaction takes keys, or relies on their holders.

    A key or a request that the transaction has met before has the same answer again.
    """

    def __init__(self) -> None:
        self.locks: list[Action] = []
        self.takeovers: list[PlannedCancel] = []
        self.replaced: list[Replacement] = []
        self._answers: dict[_Name, WorkId] = {}

    @property
    def answers(self) -> Iterable[WorkId]:
        """The work items that it has met or made."""
        return self._answers.values()

    @property
    def writes_something(self) -> bool:
        """True if it changes an item, and does not only rely on one."""
        return any(not isinstance(each, Check) for each in self.locks)

    def known(self, wanted: Wanted) -> WorkId | None:
        """Returns the answer to a key or a request that was met before; `None` means to neither.

        Raises AlreadyEnqueued if that is asked for.
        """
        for name in _names(wanted):
            if name in self._answers:
                if name[1] == "key":
                    wanted.refuse(self._answers[name])
                return self._answers[name]
        return None

    def add(self, wanted: Wanted, arranged: Arranged) -> None:
        """Adds the actions of an enqueue."""
        self.locks += arranged.locks
        self.takeovers += arranged.takeovers
        self.replaced += () if arranged.replaced is None else (arranged.replaced,)
        for name in _names(wanted):
            self._answers.setdefault(name, arranged.work_id)

    def changed(self, sent: ConditionsFailed, table: str) -> tuple[FailedAction, ...]:
        """Returns the keys and requests that have changed hands before the commit."""
        places: Iterable[int] = range(sent.plan.guests_to, sent.plan.locks_to)
        return tuple(
            FailedAction(
                place, table, self.name_of(sent.plan.actions[place]), "enqueue", None, None
            )
            for place in places
            if sent.met.failed[place]
        )

    @staticmethod
    def name_of(lock: Action) -> dict[str, Any]:
        """Returns the name of a lock, a mark or a work item, as callers know it."""
        match lock:
            case Put(record=UniqueLock(key=key)) | Check(ref=UniqueRef(key=key)):
                return {"unique_key": key}
            case Put(record=RequestMark(request_id=request_id)):
                return {"request_id": request_id}
            case Check(ref=WorkRef(id=work_id)) | Update(ref=WorkRef(id=work_id)):
                return {"work_id": work_id}
            case _:
                return {}


def _names(wanted: Wanted) -> list[_Name]:
    """Returns the request and the key of an enqueue; the request is judged first."""
    work, unique = wanted.work, wanted.work.spec.unique
    names = [] if wanted.request is None else [(work.pool, "request", wanted.request.id)]
    return names if unique is None else [*names, (work.pool, "key", unique.key)]

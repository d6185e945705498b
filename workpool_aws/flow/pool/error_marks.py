"""Reads and changes the marks of a pool's errors.

The commit point is one conditional write of the item that has them all. A caller that dies before it
has changed nothing, and nothing follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.core import limits
from workpool_aws.core.views.error_marks import ErrorState, marked
from workpool_aws.errors import StoreUnavailable
from workpool_aws.model.refs import ErrorMarksRef, readable
from workpool_aws.model.writes import Is, IsAbsent, Put
from workpool_aws.ports import ConditionFailed

if TYPE_CHECKING:
    from workpool_aws.model.error_marks import ErrorMarks
    from workpool_aws.model.ids import EpochMs
    from workpool_aws.ports import Ports

__all__ = ["load_marks", "mark_error"]


def load_marks(ports: Ports, pool: str) -> ErrorMarks | None:
    """Returns the marks of a pool; `None` means that there are none, or a damaged item."""
    return readable(ports.store.get(ErrorMarksRef(pool)))


def mark_error(
    ports: Ports, pool: str, fingerprint: str, state: ErrorState, *, by: str, seen: EpochMs
) -> ErrorMarks:
    """Marks an error of a pool, or removes its mark, and returns the marks as they are then.

    `seen`: the time of the newest dead letter with it that the caller knows. A damaged item is replaced
    as a whole. Raises StoreUnavailable if the change may or may not hold; repeating the call is safe.
    """
    for _ in range(limits.CONFIG_TRIES):
        found = ports.store.get(ErrorMarksRef(pool))
        old = readable(found)
        new = marked(old, pool, fingerprint, state, by=by, now=ports.clock.now(), seen=seen)
        damaged = None if found is not None else IsAbsent()
        try:
            ports.store.write(Put(new, damaged if old is None else Is("version", old.version)))
        except ConditionFailed:
            continue
        return new
    raise StoreUnavailable(f"the marks of errors of pool {pool!r} kept changing")

"""Reads the conditions of an enqueue: a held key, and repeated requests [WP-16, WP-17]."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.api.unique import read_name, read_span
from workpool_aws.core import limits
from workpool_aws.core.work.unique import (
    NamedRequest,
    OnConflict,
    Wanted,
    known_until,
    request_digest,
)
from workpool_aws.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.api.caller import Caller
    from workpool_aws.model.work import WorkItem

__all__ = ["Conditions", "InvocationCounts", "counts_of", "read_conditions", "refuse_conditions"]

_INVOCATION: Final = "invocation"
_CONTEXTS_KEPT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of an enqueue, apart from what its work items store."""

    on_conflict: OnConflict
    max_wait_ms: int | None
    request_id: str | None
    by_invocation: bool
    """True if the invocation and the number of the enqueue in it make up the request's id."""

    def wanted(
        self, works: tuple[WorkItem, ...], *, caller: Caller, counts: InvocationCounts | None
    ) -> list[Wanted]:
        """Returns the work items with their conditions.

        `counts`: of the caller's invocation; `None` means that none is known.

        Raises UsageError for `dedupe` outside of Lambda.
        """
        return [
            Wanted(
                work=work,
                on_conflict=self.on_conflict,
                max_wait_ms=self.max_wait_ms,
                request=self._request(work, n, len(works), caller, counts),
            )
            for n, work in enumerate(works)
        ]

    def _request(
        self,
        work: WorkItem,
        number: int,
        count: int,
        caller: Caller,
        counts: InvocationCounts | None,
    ) -> NamedRequest | None:
        until = known_until(work.spec.retention_s, work.due_at)
        if self.request_id is not None:
            own = self.request_id if count == 1 else f"{self.request_id}/{number}"
            return NamedRequest(id=own, digest=request_digest(work), until=until)
        if not self.by_invocation:
            return None
        if caller.request_id is None or counts is None:
            allowed = "None outside Lambda: the handler's context names the invocation"
            raise UsageError("dedupe", _INVOCATION, allowed)
        nth = counts.take((work.pool, work.spec.label))
        own = f"{caller.request_id}/{nth}/{work.spec.label}"
        return NamedRequest(id=own, digest=None, until=until)


@dataclass(frozen=True, slots=True)
class _Given:
    """The options of one enqueue. Reading one raises UsageError."""

    options: Mapping[str, object]

    @property
    def on_conflict(self) -> OnConflict:
        """The answer where the key is held."""
        value = self.options.get("on_conflict")
        known = [each.value for each in OnConflict]
        if value is not None and value not in known:
            allowed = f"{', '.join(map(repr, known))}, or None (return)"
            raise UsageError("on_conflict", value, allowed)
        return OnConflict(str(value or OnConflict.RETURN))

    @property
    def max_wait_ms(self) -> int | None:
        """Longest time for which replacements postpone; `None` means any."""
        value = self.options.get("max_wait")
        if value is None:
            return None
        if self.on_conflict is not OnConflict.REPLACE:
            raise UsageError("max_wait", value, "None unless on_conflict is 'replace'")
        return read_span("max_wait", value)


def read_conditions(options: Mapping[str, object]) -> Conditions | None:
    """Returns the conditions of an enqueue; `None` means that there are none.

    Raises UsageError for a value that is not allowed.
    """
    request_id, dedupe = options.get("request_id"), options.get("dedupe")
    given = _Given(options)
    if request_id is not None:
        read_name("request_id", request_id, limits.REQUEST_ID_BYTES_MAX)
    if dedupe is not None and (dedupe != _INVOCATION or request_id is not None):
        allowed = f"{_INVOCATION!r} without a request_id, or None (nothing)"
        raise UsageError("dedupe", dedupe, allowed)
    conditions = Conditions(
        on_conflict=given.on_conflict,
        max_wait_ms=given.max_wait_ms,
        request_id=None if request_id is None else str(request_id),
        by_invocation=dedupe is not None,
    )
    needed = any(options.get(name) is not None for name in ("unique_key", "request_id", "dedupe"))
    return conditions if needed else None


def refuse_conditions(options: Mapping[str, object]) -> None:
    """Raises UsageError for an option that makes sense for a single enqueue only."""
    for name in ("request_id", "dedupe", "debounce", "debounce_max", "max_wait"):
        if options.get(name) is not None:
            raise UsageError(name, options[name], "None, since it is meant for one enqueue")
    if options.get("on_conflict") not in {None, OnConflict.RETURN}:
        allowed = "None, since an occurrence whose key is held is skipped"
        raise UsageError("on_conflict", options["on_conflict"], allowed)


class InvocationCounts:
    """Counts the enqueues of each target in one invocation of Lambda.

    A transaction counts on a copy, which becomes the count of its invocation when it is applied.
    """

    def __init__(self, counts: Counter[tuple[str, str]] | None = None) -> None:
        self._counts: Counter[tuple[str, str]] = Counter() if counts is None else counts
        self._lock = threading.Lock()

    def take(self, target: tuple[str, str]) -> int:
        """Returns the number of enqueues of a target before this one."""
        with self._lock:
            self._counts[target] += 1
            return self._counts[target] - 1

    def copy(self) -> InvocationCounts:
        """Returns a copy that counts for itself."""
        with self._lock:
            return InvocationCounts(Counter(self._counts))

    def follow(self, other: InvocationCounts) -> None:
        """Counts on from another."""
        with self._lock:
            self._counts |= other._counts


_kept: Final[OrderedDict[int, tuple[object, InvocationCounts]]] = OrderedDict()
_kept_lock: Final = threading.Lock()


def counts_of(ctx: object) -> InvocationCounts | None:
    """Returns the counts of the invocation with this context; `None` stays `None`.

    A repetition of the invocation has a context of its own, and counts from the beginning.
    """
    if ctx is None:
        return None
    with _kept_lock:
        found = _kept.get(id(ctx))
        if found is None or found[0] is not ctx:
            # The reference keeps the id from being another object's.
            found = _kept[id(ctx)] = (ctx, InvocationCounts())
            _kept.move_to_end(id(ctx))
            while len(_kept) > _CONTEXTS_KEPT:
                _kept.popitem(last=False)
        return found[1]

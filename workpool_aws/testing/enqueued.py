"""`assert_enqueued` and `refute_enqueued`, which look for work items in the surrounding `LocalCloud`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workpool_aws.core import limits
from workpool_aws.core.payload import encode_result
from workpool_aws.local.current import current_cloud
from workpool_aws.local.kernel.kernel import LocalCloudError
from workpool_aws.local.services.functions import name_of
from workpool_aws.local.stored_work import call_text
from workpool_aws.text import answer_or, as_line, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workpool_aws.local.cloud import LocalCloud
    from workpool_aws.local.stored_work import EnqueuedWork

__all__ = ["assert_enqueued", "refute_enqueued"]

_SHOWN: Final = 10
_NAME_MAX: Final = 100


def assert_enqueued(target: object, /, **args: object) -> EnqueuedWork:
    """Return the one work item that was enqueued for a function with these arguments.

    It matches if its arguments include the given ones, with equal values after JSON. A value that
    is no JSON is compared by `==`, so `unittest.mock.ANY` matches anything. Work items that have
    run count, too.

        >>> from workpool_aws.local import LocalCloud
        >>> from workpool_aws.testing import assert_enqueued
        >>> with LocalCloud() as cloud:
        ...     send_arn = cloud.function(lambda event, context: None, name="send_email")
        ...     _ = cloud.workpool().enqueue_action(None, send_arn, {"to": "a@example.com"})
        ...     assert_enqueued("send_email", to="a@example.com").state
        'pending'

    Args:
        target: A function of the cloud, by its worker, handler, ARN or name.
        args: Some or all of the arguments.

    Raises:
        AssertionError: No work item matches, or several do. The message shows those that were
            enqueued, the nearest first, with the differing arguments.
        LocalCloudError: No `LocalCloud` surrounds the caller.
        UsageError: The cloud has no such function.
    """
    __tracebackhide__ = True
    cloud = _cloud()
    found = _candidates(cloud, target, args)
    matches = [each.work for each in found if each.matches]
    if len(matches) == 1:
        return matches[0]
    asked = _asked(target, args)
    if matches:
        raise AssertionError(
            f"{len(matches)} work items match {asked}; expected one:{_listed(found[: len(matches)])}"
        )
    others = (
        f"{len(found)} enqueued, the nearest first:{_listed(found)}" if found else "none enqueued"
    )
    raise AssertionError(f"no work item matches {asked}; {others}")


def refute_enqueued(target: object, /, **args: object) -> None:
    """Check that no work item was enqueued for a function with these arguments.

    A work item matches, and the arguments are read, as for `assert_enqueued`. One that has run
    counts, too.

    Raises:
        AssertionError: Some match. The message shows them.
        LocalCloudError, UsageError: As `assert_enqueued`.
    """
    __tracebackhide__ = True
    matches = [each for each in _candidates(_cloud(), target, args) if each.matches]
    if matches:
        count = "1 work item matches" if len(matches) == 1 else f"{len(matches)} work items match"
        raise AssertionError(f"{count} {_asked(target, args)}; expected none:{_listed(matches)}")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A work item beside what was asked for."""

    work: EnqueuedWork
    other_function: bool
    differing: tuple[str, ...]
    """One line for each argument that differs."""

    @property
    def matches(self) -> bool:
        return not self.other_function and not self.differing

    def __str__(self) -> str:
        work = self.work
        head = f"{work.call} {work.state}, pool {work.pool}, {work.work_id}"
        lines = (*(("another function",) if self.other_function else ()), *self.differing)
        return "".join([f"\n  {head}", *(f"\n      {line}" for line in lines)])


def _cloud() -> LocalCloud:
    cloud = current_cloud()
    if cloud is None:
        raise LocalCloudError(
            "enqueued work items are looked for in a LocalCloud: use the fixture workpool_cloud, "
            "or a `with LocalCloud()`"
        )
    return cloud


def _candidates(cloud: LocalCloud, target: object, args: Mapping[str, object]) -> list[_Candidate]:
    """Return every work item of the cloud, the nearest to what was asked for first."""
    asked_for = {each.work_id for each in cloud.enqueued(target)}
    wanted = {name: _plain(value) for name, value in args.items()}
    found = [
        _Candidate(
            work,
            work.work_id not in asked_for,
            tuple(
                f"{as_line(name, limit=_NAME_MAX)}: "
                f"{shown(work.args[name]) if name in work.args else 'absent'}, "
                f"expected {shown(value)}"
                for name, value in wanted.items()
                if name not in work.args or not _equal(work.args[name], value)
            ),
        )
        for work in cloud.enqueued()
    ]
    return sorted(found, key=lambda each: (each.other_function, len(each.differing)))


def _equal(stored: object, wanted: object) -> bool:
    """Compare as JSON does, where `true` is not 1. A comparison of the user's may raise."""
    if isinstance(stored, bool) or isinstance(wanted, bool):
        return stored is wanted or (not isinstance(wanted, int | float) and _equals(stored, wanted))
    if isinstance(stored, dict) and type(wanted) is dict:
        return stored.keys() == wanted.keys() and all(
            _equal(stored[key], wanted[key]) for key in stored
        )
    if isinstance(stored, list) and type(wanted) is list:
        return len(stored) == len(wanted) and all(map(_equal, stored, wanted))
    return _equals(stored, wanted)


def _equals(stored: object, wanted: object) -> bool:
    return answer_or(default=False, ask=lambda: bool(wanted == stored))


def _plain(value: object) -> object:
    """Return a value after JSON, or the value itself if it is none."""
    return answer_or(value, lambda: json.loads(encode_result(value, limits.PAYLOAD_BYTES_MAX)))


def _asked(target: object, args: Mapping[str, object]) -> str:
    return call_text(target if isinstance(target, str) else name_of(target), args)


def _listed(found: Sequence[_Candidate]) -> str:
    more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "".join(map(str, found[:_SHOWN])) + more

"""Commands about groups: groups, group ID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workpool_aws.cli.codes import DECLINED, UNFIT
from workpool_aws.cli.output import cell, iso, moment, note
from workpool_aws.cli.target import confirmed, target_of
from workpool_aws.text import many

if TYPE_CHECKING:
    import argparse

    from workpool_aws.core.payload import JsonValue
    from workpool_aws.core.views.groups import Group

__all__ = ["run_group", "run_groups"]

_HEADER = ("group", "state", "function", "total", "succeeded", "failed", "canceled", "made")


def run_groups(options: argparse.Namespace) -> int:
    """`workpool groups`."""
    target = target_of(options)
    page = target.pool.groups(None, limit=options.limit, after=options.after)
    if target.output.as_json:
        groups: list[JsonValue] = [_as_json(each) for each in page.items]
        target.output.json({"groups": groups, "next": page.next})
        return 0
    rows = [
        (
            each.group_id,
            each.state,
            cell(_label(each)),
            *map(str, (each.total, each.succeeded, each.failed, each.canceled)),
            moment(each.created_at),
        )
        for each in page.items
    ]
    target.output.table(_HEADER, rows)
    if page.next is not None:
        note(f"workpool: more: --after {page.next}")
    return 0


def run_group(options: argparse.Namespace) -> int:
    """`workpool group ID [--cancel]`."""
    target = target_of(options)
    found = target.pool.group(None, options.id)
    if found.state == "unknown":
        note(f"workpool: no group {cell(options.id)} is known in {target}")
        return UNFIT
    if options.cancel:
        question = (
            f"Cancel {found.total - found.over} of {many(found.total, 'work item')} in {target}?"
        )
        if not confirmed(question, yes=options.yes):
            return DECLINED
        target.pool.cancel_group(None, options.id)
        found = target.pool.group(None, options.id)
    if target.output.as_json:
        target.output.json(_as_json(found))
    else:
        target.output.fields(
            [
                ("group", found.group_id),
                ("state", found.state),
                ("function", _label(found)),
                ("members", f"{found.total}, of which {found.enqueued} are stored"),
                ("succeeded", str(found.succeeded)),
                ("failed", str(found.failed)),
                ("canceled", str(found.canceled)),
                ("made", moment(found.created_at)),
                ("finished", moment(found.finished_at)),
                ("callback", found.callback or "-"),
                ("followed by", found.follow_up or "-"),
            ]
        )
    return 0


def _label(group: Group) -> str:
    return group.job or (group.target or "-").rpartition(":")[2]


def _as_json(group: Group) -> JsonValue:
    return {
        "group_id": group.group_id,
        "state": group.state,
        "target": group.target,
        "job": group.job,
        "total": group.total,
        "enqueued": group.enqueued,
        "succeeded": group.succeeded,
        "failed": group.failed,
        "canceled": group.canceled,
        "created_at": iso(group.created_at),
        "finished_at": iso(group.finished_at),
        "follow_up": group.follow_up,
        "callback": group.callback,
    }

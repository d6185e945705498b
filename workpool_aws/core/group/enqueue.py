"""Makes the members of a group, and the digest by which a second call is recognised."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from workpool_aws.core.group.members import member_ids
from workpool_aws.model.payload import Inline
from workpool_aws.model.work import State, WorkItem
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workpool_aws.model.group import GroupId, GroupItem
    from workpool_aws.model.spec import Spec

__all__ = ["digest_of_request", "members_of", "stand_in"]


def members_of(
    item: GroupItem,
    spec: Spec,
    args: Sequence[str],
    permits: Sequence[str],
    *,
    epoch: int,
) -> list[WorkItem]:
    """Returns the members to store, one for each arguments and permit, in order.

    Their times are those of the group, so that a second producer makes equal ones.
    """
    return [
        WorkItem(
            pool=item.pool,
            id=work_id,
            spec=replace(spec, args=Inline(text), group=item.id),
            state=State.PENDING,
            due_at=item.due_at,
            enqueued_at=item.created_at,
            permit=permit,
            epoch=epoch,
        )
        for work_id, text, permit in zip(member_ids(item), args, permits, strict=True)
    ]


def digest_of_request(spec: Spec, args: Sequence[str]) -> str:
    """Returns the digest of what the members are asked for: function, kind and arguments."""
    digest = hashlib.sha256(f"{spec.kind}/{spec.job or spec.target}".encode())
    for text in args:
        # With its length, so that no two lists have one text.
        digest.update(f"/{len(text)}/{text}".encode())
    return digest.hexdigest()[:32]


def stand_in(spec: Spec, group_id: GroupId, *, retention_s: int | None) -> Spec:
    """Returns the spec of the work item that stands for a group, which never runs."""
    return replace(
        spec,
        args=Inline(json.dumps({"group_id": group_id})),
        group=group_id,
        retry=None,
        claimed=False,
        retention_s=retention_s,
    )

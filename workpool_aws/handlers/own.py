"""Refuses events of another table, and work items with a handler of the deployment as target."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.compose import stands_in
from workpool_aws.core.callback.targets import OWN_FUNCTION
from workpool_aws.errors import UsageError
from workpool_aws.settings import read_settings
from workpool_aws.text import Words, kind_of

__all__ = ["refuse_other_table", "refuse_work_item"]


def refuse_other_table(table: str) -> None:
    """Raise UsageError for a table other than that of WORKPOOL_TABLE, if it is set.

    Nothing was read or written.

    In a `LocalCloud` the environment is the developer's, and does not describe the cloud's own
    functions.
    """
    own = read_settings().table
    if own is not None and own != table.rpartition("/")[2] and not stands_in():
        raise UsageError("table", table, f"{own!r}, the table of this function")


def refuse_work_item(event: Mapping[str, object]) -> None:
    """Raise UsageError for the event of a work item or callback, or one that is no object.

    Nothing was read or written.
    """
    if not isinstance(event, Mapping):
        raise UsageError("event", kind_of(event), "a JSON object")
    if WORKPOOL_KEY in event:
        raise UsageError("target", Words("an event of a work item"), OWN_FUNCTION)

"""The door of completion: a Lambda that Lambda's own destinations feed with what became of workers."""

from __future__ import annotations

from collections.abc import Mapping

from workpool_aws.adapters.wire import read_destination
from workpool_aws.compose import ports_for
from workpool_aws.flow.complete import complete
from workpool_aws.handlers.main_loop import InvocationContext

__all__ = ["handler"]


def handler(event: Mapping[str, object], context: InvocationContext) -> None:  # noqa: ARG001 - Lambda's signature
    """Complete the start that a destination record tells of; a record of something else is ignored.

    Raises StoreUnavailable: Lambda delivers the record again, and completing twice does no harm.
    """
    told = read_destination(event)
    if told is not None:
        complete(ports_for(told.assignment.table), told.assignment, told.report, by="destination")

"""Handler of the completion function, which Lambda's destinations invoke with outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from workpool_aws.adapters.wire.destination import (
    CallbackLost,
    DestinationReport,
    UnreadableRecord,
    read_record,
    records_of,
)
from workpool_aws.compose import ports_for
from workpool_aws.flow.callback.acknowledge import note_failure
from workpool_aws.flow.report.complete import complete
from workpool_aws.handlers.own import refuse_other_table, refuse_work_item
from workpool_aws.model import events
from workpool_aws.text import as_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workpool_aws.handlers.main_loop import InvocationContext

__all__ = ["RecordRejected", "handler"]

_Read = DestinationReport | CallbackLost | UnreadableRecord | None


class RecordRejected(Exception):
    """A destination record of this package cannot be read.

    Lambda counts the error, and keeps the record with its failures.

    The start that the record is about ends by recovery, as one without a report.
    """


def handler(event: Mapping[str, object], _context: InvocationContext) -> None:
    """Complete the start of a destination record, or note that a callback's handler failed.

    Records of other functions are ignored.

    Raises:
        StoreUnavailable: DynamoDB did not answer. Lambda delivers the record again, and completing
            twice does no harm.
        RecordRejected: The record is one of this package, and had no effect.
        UsageError: The record is of another table than WORKPOOL_TABLE, or a work item's event.
            Nothing was read or written.
    """
    refuse_work_item(event)
    records = [read_record(each) for each in records_of(event)]
    # An exception carries one or two reports of a run's starts, and is silent about the others.
    carried = any(_is_proven(each) for each in records)
    for record in records:
        if not carried or _is_proven(record):
            _settle(record)


def _is_proven(record: _Read) -> bool:
    return isinstance(record, DestinationReport) and record.report is not None


def _settle(record: _Read) -> None:
    match record:
        case None:
            return
        case DestinationReport():
            started = record.assignment
            refuse_other_table(started.table)
            ports = ports_for(started.table)
            if record.report is None:
                unproven = events.ReportUnproven(
                    pool=started.pool, work_id=started.work_id, by="destination"
                )
                ports.telemetry.emit(unproven)
            else:
                complete(ports, started, record.report, by="destination")
        case CallbackLost():
            refuse_other_table(record.ticket.table)
            ports = ports_for(record.ticket.table)
            note_failure(ports, record.ticket, target=record.target, reason=record.reason)
        case UnreadableRecord():
            if record.table is not None:
                refuse_other_table(record.table)
                pool, work_id = record.pool or "", record.work_id or ""
                unreadable = events.RecordUnreadable(
                    pool=pool, work_id=work_id, reason=record.reason
                )
                ports_for(record.table).telemetry.emit(unreadable)
            # On one line, and in text that the runtime can report: a lone surrogate would end the
            # process.
            place = f"(table {record.table}, pool {record.pool}, work {record.work_id})"
            raise RecordRejected(as_line(f"{record.reason} {place}"))
        case _:
            assert_never(record)

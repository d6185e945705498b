"""Keeps the log of user code by the work item that it runs for."""

from __future__ import annotations

import logging

from workpool_aws.local.services.runs import note_line
from workpool_aws.text import answer_or

__all__ = ["WorkLog"]


class WorkLog(logging.Handler):
    """Notes each record in the cloud that runs the code, and drops those of other code."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Note the record. One whose message cannot be formatted is shown as such."""
        broken = f"{record.levelname} {record.name}: (a message that cannot be formatted)"
        note_line(answer_or(broken, lambda: self.format(record)))

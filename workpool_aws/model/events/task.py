"""Events of background tasks."""

from __future__ import annotations

from logging import ERROR

from workpool_aws.model.events.event import Event


class TaskFailed(Event, level=ERROR):
    """A background task failed while another error was being raised.

    `pool` is the task pool's name.
    """

    task: str
    error_type: str

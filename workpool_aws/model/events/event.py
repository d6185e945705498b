"""The base of every event: its pool, its name and its level."""

from __future__ import annotations

import re
from dataclasses import dataclass
from logging import INFO
from typing import ClassVar, Final, dataclass_transform

__all__ = ["Event", "WorkEvent"]

_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Declared:
    """Makes a frozen dataclass of each subclass, named after the class: `PutBack` is logged as `put_back`.

    `level` is the event's level, a number of the logging module. A class without one is a base of
    events. An event with `always_logged` is logged whatever the least level is, because a caller
    asked for that very line.
    """

    name: ClassVar[str] = ""
    level: ClassVar[int] = INFO
    always_logged: ClassVar[bool] = False

    def __init_subclass__(
        cls, *, level: int | None = None, name: str | None = None, always_logged: bool = False
    ) -> None:
        super().__init_subclass__()
        if level is not None:
            cls.level, cls.always_logged = level, always_logged
            cls.name = _WORD.sub("_", cls.__name__).lower() if name is None else name
        dataclass(frozen=True, kw_only=True)(cls)


class Event(_Declared):
    """Something that happened in a pool. It never carries arguments, results or contexts."""

    pool: str


class WorkEvent(Event):
    """Something that happened to a work item."""

    work_id: str
    job: str | None = None
    """Name of the job, or else of its function. `None` means that the reporter does not know it."""

"""Sends events to structured logs by Powertools, or to a list."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

from workpool_aws.core import limits
from workpool_aws.incarnation import ForkSafeLock
from workpool_aws.model.events import Event
from workpool_aws.text import as_text

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

__all__ = ["SERVICE", "ListTelemetry", "LoggerTelemetry"]

F = TypeVar("F", bound=Event)

SERVICE: Final = "workpool"
"""Name of the Powertools service and of the logger: `logging.getLogger("workpool")`."""

_STANDARD_LEVELS: Final = (
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.DEBUG,
)


class LoggerTelemetry:
    """Logs each event at its own level.

    Its name is the message, its fields are keys of the JSON line. Never raises.

    `level` is the least level that is logged, a number of the logging module. Lambda's own log
    level, if one is set, holds as well.
    """

    def __init__(self, level: int = logging.WARNING) -> None:
        self._level = level

    def at_level(self, level: int) -> LoggerTelemetry:
        """Return another one, which logs from this level on."""
        return LoggerTelemetry(level)

    def emit(self, event: Event) -> None:
        """Log the event. It is dropped below the level, unless it is always logged.

        It is also dropped when logging itself fails.
        """
        if event.level < self._level and not event.always_logged:
            return
        with contextlib.suppress(Exception):
            logger = _loggers.at(min(self._level, event.level))
            values = ((item.name, getattr(event, item.name)) for item in dataclasses.fields(event))
            # Text may be that of others. JSON alone would let through what reorders a line, and
            # lone surrogates would lose the record.
            fields = {
                name: as_text(value, limit=limits.LOGGED_TEXT_MAX)
                if isinstance(value, str)
                else value
                for name, value in values
            }
            if event.level >= logging.ERROR:
                logger.error(event.name, extra=fields)
            elif event.level >= logging.WARNING:
                logger.warning(event.name, extra=fields)
            elif event.level >= logging.INFO:
                logger.info(event.name, extra=fields)
            else:
                logger.debug(event.name, extra=fields)


class _Loggers:
    """The one Powertools logger of the process, made and loaded when the first event is logged.

    Loggers of one service share their level, so it goes down to the lowest one asked for. Each
    `LoggerTelemetry` holds back by itself what is below its own.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._logger: Logger | None = None
        self._level: int | None = None

    def at(self, level: int) -> Logger:
        with self._lock:
            if self._logger is None:
                from aws_lambda_powertools import Logger  # noqa: PLC0415 - see the class

                # Without a location: each would be the line above that logs every event.
                self._logger = Logger(
                    service=SERVICE, logger_handler=_StdoutHandler(), location=None
                )
            if self._level is None or level < self._level:
                # Not given to the logger above, which ignores it if the user has one of this name.
                # Powertools compares levels by name, and knows the standard names only.
                below = (known for known in _STANDARD_LEVELS if known <= level)
                self._logger.setLevel(logging.getLevelName(next(below, logging.DEBUG)))
                self._level = level
            return self._logger


_loggers: Final = _Loggers()


class _StdoutHandler(logging.Handler):
    """Writes to the standard output of the moment.

    Powertools' own handler keeps the first one, which a test may have closed since.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as every handler: a failing log line must not fail its subject
            self.handleError(record)


class ListTelemetry:
    """Keeps the last `limit` events in memory, for tests and simulations. Safe in threads."""

    def __init__(self, limit: int = 100_000) -> None:
        self._events: deque[Event] = deque(maxlen=limit)

    def emit(self, event: Event) -> None:
        """Keep the event. The oldest one goes when there are too many."""
        self._events.append(event)

    @property
    def events(self) -> list[Event]:
        """Return a copy of the events so far, oldest first."""
        return list(self._events)

    def of(self, kind: type[F]) -> list[F]:
        """Return the events of one class, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget all events."""
        self._events.clear()

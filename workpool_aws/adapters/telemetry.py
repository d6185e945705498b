"""Sends facts where they go: structured logs by Powertools, or a list."""

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

    `level`: the least level that is logged, a number of the logging module. Lambda's own log level,
    if one is set, holds as well.
    """

    def __init__(self, level: int = logging.WARNING) -> None:
        self._level = level

    def at_level(self, level: int) -> LoggerTelemetry:
        """Another one, which logs from this level on."""
        return LoggerTelemetry(level)

    def emit(self, event: Event) -> None:
        """Logs the event, or drops it: below the level (unless somebody asked for it), or when logging itself fails."""
        if event.level < self._level and not event.always_logged:
            return
        with contextlib.suppress(Exception):
            logger = _loggers.at(min(self._level, event.level))
            fields = {
                item.name: _harmless(getattr(event, item.name))
                for item in dataclasses.fields(event)
            }
            if event.level >= logging.ERROR:
                logger.error(event.name, extra=fields)
            elif event.level >= logging.WARNING:
                logger.warning(event.name, extra=fields)
            elif event.level >= logging.INFO:
                logger.info(event.name, extra=fields)
            else:
                logger.debug(event.name, extra=fields)


def _harmless(value: object) -> object:
    """Text, which may be others', as text: JSON alone would let through what reorders a line, and lone surrogates would lose the record."""
    return as_text(value, limit=limits.LOGGED_TEXT_MAX) if isinstance(value, str) else value


class _Loggers:
    """The one Powertools logger of the process, made when the first event is logged: loading Powertools is for those who log.

    Loggers of one service share their level, so it goes down to the lowest one asked for; each
    `LoggerTelemetry` holds back by itself what is below its own.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._logger: Logger | None = None
        self._level = logging.CRITICAL + 1

    def at(self, level: int) -> Logger:
        with self._lock:
            if self._logger is not None and self._level <= level:
                return self._logger
            if self._logger is None:
                from aws_lambda_powertools import Logger  # noqa: PLC0415 - see the class

                # Without a location: each would be the line above that logs every event.
                self._logger = Logger(
                    service=SERVICE,
                    level=_level_name(level),
                    logger_handler=_StdoutHandler(),
                    location=None,
                )
            self._logger.setLevel(_level_name(level))
            self._level = level
            return self._logger


_loggers: Final = _Loggers()


class _StdoutHandler(logging.Handler):
    """Writes to what is standard output now: Powertools' own keeps what it was at first, which a test may have closed since."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as every handler: a failing log line must not fail what it tells about
            self.handleError(record)


def _level_name(level: int) -> str:
    # Powertools compares levels by name, and knows the standard names only.
    return logging.getLevelName(
        next((known for known in _STANDARD_LEVELS if known <= level), logging.DEBUG)
    )


class ListTelemetry:
    """Keeps the last `limit` facts in memory, for tests and simulations. Safe in threads."""

    def __init__(self, limit: int = 100_000) -> None:
        self._events: deque[Event] = deque(maxlen=limit)

    def emit(self, event: Event) -> None:
        """Keeps the event; the oldest one goes when there are too many."""
        self._events.append(event)

    @property
    def events(self) -> list[Event]:
        """Return a copy of the events so far, oldest first."""
        return list(self._events)

    def of(self, kind: type[F]) -> list[F]:
        """The facts of one class, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forgets all facts."""
        self._events.clear()

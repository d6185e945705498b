"""Forms of single values. A form turns a field's value into a plain one and back, or refuses it.

Plain values are stored by every engine: text, bytes, whole numbers, true, and lists of texts.
Composite values are written compactly, because every write of an item costs by its whole size. The
slots of the ledger are packed (`ledger_packing.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import deployed_jobs
from workpool_aws.adapters.items import ledger_packing as slots
from workpool_aws.core import limits
from workpool_aws.core.loop.tally import LAG_CLASSES_MS
from workpool_aws.model.ids import SHARDS_MAX, EpochMs, WorkId, is_ulid, time_of
from workpool_aws.model.loop import DeployedLimit, MinuteTally, PendingCallback, ShardCursors
from workpool_aws.model.names import POOL
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import AttemptEnd, PastAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from enum import StrEnum

__all__ = [
    "CHUNKS",
    "COUNT",
    "DEPLOYED_JOBS",
    "DEPLOYED_LIMITS",
    "ENTRIES",
    "FLAG",
    "GENERATION",
    "HISTORY",
    "MOMENT",
    "NUMBERS",
    "OUTCOMES",
    "OWED",
    "PARALLELISM",
    "RETENTION",
    "RETRY",
    "SECONDS",
    "SHARD_MARKS",
    "STARTS",
    "TALLY",
    "TEXT",
    "TEXTS",
    "ULID",
    "WORK_MOMENT",
    "FieldCodec",
    "Value",
    "choice",
    "work_id",
]

Value = str | bytes | int | bool | list[str]

_ROOM: Final = 1_000
"""So many times the largest number that can be read can be written, so that a number counted up from
a stored one still fits [WP-12]."""
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGITS_MAX: Final = 12
"""Digits of a number in a tally that is written."""
_COUNT_DIGITS_MAX: Final = 9
"""Digits of one that is read, so that more can be added to it."""


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """Form in which values of one kind are stored.

    `encode` and `decode` raise ValueError for what is not of this kind.
    """

    name: str
    """Description of such a value, for messages."""
    encode: Callable[[Any], Value]
    decode: Callable[[object], object]


def work_id(value: object) -> WorkId:
    """Return an id in its one canonical spelling, of a time that can be.

    Raises ValueError for anything else.
    """
    if isinstance(value, str) and is_ulid(value) and time_of(value) < limits.STORED_WORK_MS_BELOW:
        return WorkId(value)
    raise ValueError("not an id")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("text expected")
    if not value.isascii():
        value.encode()  # a lone surrogate could not be sent, or would come back as something else
    return str(value)


def _count(value: object) -> int:
    return _whole(value, below=limits.STORED_COUNT_BELOW)


def _moment(value: object) -> int:
    return _whole(value, below=limits.STORED_MS_BELOW)


def _work_moment(value: object) -> int:
    return _whole(value, below=limits.STORED_WORK_MS_BELOW)


def _number_below(below: int, *, at_least: int = 0, name: str = "a whole number") -> FieldCodec:
    """Return the form of numbers from `at_least` to under `below`."""

    def decode(value: object) -> int:
        return _whole(value, at_least=at_least, below=below)

    return FieldCodec(
        name, lambda value: _whole(value, at_least=at_least, below=below * _ROOM), decode
    )


def _whole(value: object, *, below: int, at_least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number expected")
    if not at_least <= value < below:
        raise ValueError(f"a number from {at_least} to {below - 1} expected")
    return value


def _chunks(value: object) -> int:
    return _whole(value, at_least=1, below=limits.CHUNKS_MAX + 1)


def _limit(value: object) -> int:
    return _whole(value, below=limits.PARALLELISM_MAX + 1)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false expected")
    return value


TEXT: Final = FieldCodec("a text", _text, _text)
COUNT: Final = _number_below(limits.STORED_COUNT_BELOW)
STARTS: Final = _number_below(limits.STORED_STARTS_BELOW)
GENERATION: Final = _number_below(limits.STORED_GENERATION_BELOW)
CHUNKS: Final = FieldCodec("a number of chunks", _chunks, _chunks)
PARALLELISM: Final = FieldCodec("a limit", _limit, _limit)
RETENTION: Final = FieldCodec(
    "a retention in seconds",
    _moment,
    lambda value: _whole(value, at_least=1, below=limits.RETENTION_S_MAX + 1),
)
EXPIRY: Final = _number_below(
    limits.DELAY_MS_MAX + 1, at_least=1, name="a positive number of milliseconds, at most a year"
)
MOMENT: Final = FieldCodec("a time in milliseconds", _moment, _moment)
WORK_MOMENT: Final = FieldCodec("a time in milliseconds", _moment, _work_moment)
"""A time to which others are added."""
SECONDS: Final = FieldCodec(
    "a time in seconds", _moment, lambda value: _whole(value, below=limits.STORED_MS_BELOW // 1_000)
)
NUMBERS: Final = frozenset(
    {
        COUNT,
        STARTS,
        GENERATION,
        CHUNKS,
        PARALLELISM,
        RETENTION,
        EXPIRY,
        MOMENT,
        WORK_MOMENT,
        SECONDS,
    }
)
"""The forms of numbers."""
FLAG: Final = FieldCodec("true or false", _flag, _flag)
ULID: Final = FieldCodec("an id", work_id, work_id)


def choice(members: type[StrEnum]) -> FieldCodec:
    """Return the form of an enumeration, which has its values and nothing else."""

    def encode(value: object) -> Value:
        return members(_text(value)).value

    def decode(value: object) -> object:
        return members(_text(value))

    return FieldCodec(f"one of {', '.join(members)}", encode, decode)


def list_of(
    one: FieldCodec, name: str, *, at_least: int = 0, at_most: int | None = None
) -> FieldCodec:
    """Return the form of lists of texts of one form. The bounds hold for what is read."""

    def encode(values: Iterable[object]) -> Value:
        return [str(one.encode(value)) for value in values]

    def decode(value: object) -> object:
        if not isinstance(value, list):
            raise ValueError("a list expected")
        if len(value) < at_least or (at_most is not None and len(value) > at_most):
            raise ValueError("a list of another length expected")
        return tuple(one.decode(each) for each in value)

    return FieldCodec(name, encode, decode)


def _write_base36(number: int) -> str:
    if number < 0:
        raise ValueError("a time before 1970")
    digits = ""
    while number >= len(_BASE36):
        number, digit = divmod(number, len(_BASE36))
        digits = _BASE36[digit] + digits
    return _BASE36[number] + digits


def _matched(pattern: re.Pattern[str], value: object) -> re.Match[str]:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not of the expected form")
    return found


class _Owed:
    """`id:at:tries:looks`, the time in base 36."""

    _PATTERN: Final = re.compile(
        r"([0-9A-Z]{26}):([0-9a-z]{1,12}):([0-9]{1,4}):([0-9]{1,4})", re.ASCII
    )

    @classmethod
    def encode(cls, owed: PendingCallback) -> str:
        text = f"{owed.work_id}:{_write_base36(owed.at)}:{owed.tries}:{owed.looks}"
        cls._read(text)
        return text

    @classmethod
    def decode(cls, value: object) -> PendingCallback:
        owed = cls._read(value)
        _work_moment(owed.at)
        _whole(max(owed.tries, owed.looks), below=limits.STORED_TRIES_BELOW)
        return owed

    @classmethod
    def _read(cls, value: object) -> PendingCallback:
        ulid, at, tries, looks = _matched(cls._PATTERN, value).groups()
        return PendingCallback(work_id(ulid), EpochMs(int(at, 36)), int(tries), int(looks))


class _Outcomes:
    """The initials of outcomes, in one text."""

    _BY_LETTER: Final = {outcome.value[0]: outcome for outcome in Outcome}
    _PATTERN: Final = re.compile(rf"[{''.join(_BY_LETTER)}]{{1,{len(_BY_LETTER)}}}", re.ASCII)

    @staticmethod
    def encode(outcomes: tuple[Outcome, ...]) -> str:
        return "".join(Outcome(outcome).value[0] for outcome in outcomes)

    @classmethod
    def decode(cls, value: object) -> tuple[Outcome, ...]:
        letters = _matched(cls._PATTERN, value).group()
        return tuple(cls._BY_LETTER[letter] for letter in letters)


class _Mark:
    """`work cursor:done cursor:deep_at`, the time in base 36."""

    _PATTERN: Final = re.compile(r"([0-9A-Z]{26}|):([0-9A-Z]{26}|):([0-9a-z]{1,12})", re.ASCII)

    @classmethod
    def encode(cls, mark: ShardCursors) -> str:
        text = f"{_text(mark.work_cursor)}:{_text(mark.done_cursor)}:{_write_base36(mark.deep_at)}"
        _matched(cls._PATTERN, text)
        return text

    @classmethod
    def decode(cls, value: object) -> ShardCursors:
        work_cursor, done_cursor, deep_at = _matched(cls._PATTERN, value).groups()
        for cursor in (work_cursor, done_cursor):
            if cursor:
                work_id(cursor)
        return ShardCursors(work_cursor, done_cursor, EpochMs(_moment(int(deep_at, 36))))


class _Tally:
    """`since:succeeded.failed.retried.canceled:class x count,…`, the time in base 36."""

    @classmethod
    def encode(cls, tally: MinuteTally) -> str:
        if not isinstance(tally, MinuteTally):
            raise ValueError("a Tally expected")
        counts = f"{tally.succeeded}.{tally.failed}.{tally.retried}.{tally.canceled}"
        lags = ",".join(f"{place}x{count}" for place, count in tally.lags)
        text = f"{_write_base36(tally.since)}:{counts}:{lags}"
        cls._read(text, digits_max=_DIGITS_MAX)
        return text

    @classmethod
    def decode(cls, value: object) -> MinuteTally:
        return cls._read(value, digits_max=_COUNT_DIGITS_MAX)

    @classmethod
    def _read(cls, value: object, *, digits_max: int) -> MinuteTally:
        since, counts, lags = cls._split(value, ":", 3)
        succeeded, failed, retried, canceled = (
            cls._decimal(count, digits_max) for count in cls._split(counts, ".", 4)
        )
        pairs = [cls._split(pair, "x", 2) for pair in lags.split(",")] if lags else []
        if len(pairs) > len(LAG_CLASSES_MS):
            raise ValueError("more classes of lag than there are")
        return MinuteTally(
            since=EpochMs(_moment(int(since[: _DIGITS_MAX + 1], 36))),  # a report is written by it
            succeeded=succeeded,
            failed=failed,
            retried=retried,
            canceled=canceled,
            lags=tuple(
                (
                    _whole(cls._decimal(place, digits_max), below=len(LAG_CLASSES_MS)),
                    cls._decimal(count, digits_max),
                )
                for place, count in pairs
            ),
        )

    @staticmethod
    def _split(value: object, by: str, parts: int) -> list[str]:
        """Return exactly so many parts of a text.

        Split, not matched, so that no text can keep it busy for longer than it is.
        """
        found = value.split(by, parts) if isinstance(value, str) else []
        if len(found) != parts:
            raise ValueError("not of the expected form")
        return found

    @staticmethod
    def _decimal(text: str, digits_max: int) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= digits_max):
            raise ValueError("a whole number expected")
        return int(text)


class _Deployed:
    """`pool:limit`."""

    _PATTERN: Final = re.compile(rf"({POOL.pattern}):([0-9]{{1,9}})", re.ASCII)

    @classmethod
    def encode(cls, limit: DeployedLimit) -> str:
        text = f"{limit.pool}:{_limit(limit.max_parallelism)}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> DeployedLimit:
        pool, limit = _matched(cls._PATTERN, value).groups()
        return DeployedLimit(pool, _limit(int(limit)))


class _Policy:
    """`attempts:initial:base:cap:jitter`, durations in milliseconds."""

    _PATTERN: Final = re.compile(
        r"([0-9]{1,9}):([0-9]{1,15}(?:\.[0-9]{3})?):([0-9.e+]{1,30})"
        r":([0-9]{1,15}(?:\.[0-9]{3})?)?:(j?)",
        re.ASCII,
    )

    @classmethod
    def encode(cls, policy: RetryPolicy) -> str:
        if not isinstance(policy, RetryPolicy):
            raise ValueError("a RetryPolicy expected")
        initial = cls._write_ms(policy.initial_backoff)
        cap = "" if policy.max_backoff is None else cls._write_ms(policy.max_backoff)
        jitter = "j" if policy.jitter else ""
        return f"{policy.max_attempts}:{initial}:{float(policy.base)!r}:{cap}:{jitter}"

    @classmethod
    def decode(cls, value: object) -> RetryPolicy:
        attempts, initial, base, cap, jitter = _matched(cls._PATTERN, value).groups()
        return RetryPolicy(
            int(attempts),
            cls._read_ms(initial),
            float(base),
            None if cap is None else cls._read_ms(cap),
            jitter == "j",
        )

    @staticmethod
    def _write_ms(duration: timedelta) -> str:
        whole, rest = divmod(duration, timedelta(milliseconds=1))
        return f"{whole}.{rest.microseconds:03d}" if rest else f"{whole}"

    @staticmethod
    def _read_ms(text: str) -> timedelta:
        whole, _, rest = text.partition(".")
        return timedelta(milliseconds=int(whole), microseconds=int(rest or 0))


class _Attempt:
    """`number:started:took:end:error type:error`, times in base 36."""

    _PARTS: Final = 6
    _LETTERS: Final = {
        AttemptEnd.SUCCESS: "s",
        AttemptEnd.FAILED: "f",
        AttemptEnd.CANCELED: "c",
        AttemptEnd.SNOOZED: "z",
        AttemptEnd.NEVER_DELIVERED: "n",
    }
    _ENDS: Final = {letter: end for end, letter in _LETTERS.items()}
    _NUMBER: Final = re.compile(r"[0-9a-z]{1,12}", re.ASCII)

    @classmethod
    def encode(cls, attempt: PastAttempt) -> str:
        started = _write_base36(attempt.started_at)
        took = _write_base36(attempt.ended_at - attempt.started_at)
        # A class's name has no colon, and the text comes last.
        error_type = (attempt.error_type or "").replace(":", ".")
        head = f"{attempt.number}:{started}:{took}:{cls._LETTERS[attempt.outcome]}"
        text = f"{head}:{error_type}:{_text(attempt.error or '')}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> PastAttempt:
        text = _text(value)
        parts = text.split(":", cls._PARTS - 1)
        if (
            len(parts) != cls._PARTS
            or len(text) > limits.ATTEMPTS_BYTES_MAX
            or parts[3] not in cls._ENDS
        ):
            raise ValueError("not of the expected form")
        number, started, took = (
            int(_matched(cls._NUMBER, part).group(), base)
            for part, base in zip(parts, (10, 36, 36), strict=False)
        )
        return PastAttempt(
            # the attempt after as many as can be read
            number=_whole(number, below=limits.STORED_STARTS_BELOW + 1),
            started_at=EpochMs(_work_moment(started)),
            ended_at=EpochMs(_work_moment(started + took)),
            outcome=cls._ENDS[parts[3]],
            error_type=parts[4] or None,
            error=parts[5] or None,
        )

    @classmethod
    def encode_all(cls, attempts: tuple[PastAttempt, ...]) -> Value:
        texts = [cls.encode(attempt) for attempt in attempts]
        size = sum(len(text.encode()) for text in texts)
        if size > limits.ATTEMPTS_BYTES_MAX or len(texts) > limits.ATTEMPTS_KEPT:
            raise ValueError("more than is kept of attempts")
        return texts


_ATTEMPTS: Final = list_of(
    FieldCodec("an attempt", _Attempt.encode, _Attempt.decode),
    "a list of attempts",
    at_most=limits.ATTEMPTS_KEPT,
)
HISTORY: Final = replace(_ATTEMPTS, encode=_Attempt.encode_all)
RETRY: Final = FieldCodec("a retry policy", _Policy.encode, _Policy.decode)
OUTCOMES: Final = FieldCodec("initials of outcomes", _Outcomes.encode, _Outcomes.decode)
OWED: Final = list_of(
    FieldCodec("an owed callback", _Owed.encode, _Owed.decode),
    "a list of owed callbacks",
    at_most=limits.STORED_SLOTS_MAX,
)
ENTRIES: Final = FieldCodec("packed slots", slots.pack, slots.unpack)
TEXTS: Final = list_of(TEXT, "a list of texts")
DEPLOYED_LIMITS: Final = list_of(
    FieldCodec("a deployed limit", _Deployed.encode, _Deployed.decode), "a list of deployed limits"
)
DEPLOYED_JOBS: Final = list_of(
    FieldCodec("a deployed job", deployed_jobs.encode, deployed_jobs.decode),
    "a list of deployed jobs",
)
SHARD_MARKS: Final = list_of(
    FieldCodec("a shard mark", _Mark.encode, _Mark.decode),
    "a list of shard marks",
    at_least=1,
    at_most=SHARDS_MAX,
)
TALLY: Final = FieldCodec("a tally", _Tally.encode, _Tally.decode)

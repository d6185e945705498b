"""Forms of single values: each form turns a field's value into a plain one and back, or says that it cannot.

Plain values are what every engine stores: text, bytes, whole numbers, true, and lists of texts.
Composite values are written compactly, because every write of an item costs by its whole size; the
slots of the ledger are packed (`slots.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from workpool_aws.adapters.items import ledger_packing as slots
from workpool_aws.core import limits
from workpool_aws.core.loop.tally import LAG_CLASSES_MS
from workpool_aws.model.ids import SHARDS_MAX, EpochMs, WorkId, is_ulid, time_of
from workpool_aws.model.loop import DeployedLimit, MinuteTally, PendingCallback, ShardCursors
from workpool_aws.model.names import POOL
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.work import AttemptEnd, Outcome, PastAttempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

__all__ = [
    "CHUNKS",
    "COUNT",
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
"""So many times the largest number that can be read can be written: what is counted up from a
stored number still fits [WP-12]."""
_OUTCOME_LETTERS: Final = {outcome.value[0]: outcome for outcome in Outcome}
_OUTCOMES: Final = re.compile(
    rf"[{''.join(_OUTCOME_LETTERS)}]{{1,{len(_OUTCOME_LETTERS)}}}", re.ASCII
)
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_OWED: Final = re.compile(r"([0-9A-Z]{26}):([0-9a-z]{1,12}):([0-9]{1,4}):([0-9]{1,4})", re.ASCII)
_DEPLOYED: Final = re.compile(rf"({POOL.pattern}):([0-9]{{1,9}})", re.ASCII)
_ENDS: Final = {
    AttemptEnd.SUCCESS: "s",
    AttemptEnd.FAILED: "f",
    AttemptEnd.CANCELED: "c",
    AttemptEnd.SNOOZED: "z",
    AttemptEnd.NEVER_DELIVERED: "n",
}
_ENDS_BY_LETTER: Final = {letter: end for end, letter in _ENDS.items()}
_BASE36_NUMBER: Final = re.compile(r"[0-9a-z]{1,12}", re.ASCII)
_MARK: Final = re.compile(r"([0-9A-Z]{26}|):([0-9A-Z]{26}|):([0-9a-z]{1,12})", re.ASCII)
_DIGITS_MAX: Final = 12
"""Of a number in a tally that is written."""
_COUNT_DIGITS_MAX: Final = 9
"""Of one that is read: more can be added to it."""
_POLICY: Final = re.compile(
    r"([0-9]{1,9}):([0-9]{1,15}(?:\.[0-9]{3})?):([0-9.e+]{1,30}):([0-9]{1,15}(?:\.[0-9]{3})?)?:(j?)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """Form in which values of one kind are stored.

    `encode` and `decode` raise ValueError for what is not of this kind.
    """

    name: str
    """For messages: what a value of this form is."""
    encode: Callable[[Any], Value]
    decode: Callable[[object], object]


def work_id(value: object) -> WorkId:
    """An id in its one canonical spelling, of a time that can be.

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
    """The form of numbers from `at_least` to under `below`."""

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
MOMENT: Final = FieldCodec("a time in milliseconds", _moment, _moment)
WORK_MOMENT: Final = FieldCodec("a time in milliseconds", _moment, _work_moment)
"""A time to which others are added."""
SECONDS: Final = FieldCodec(
    "a time in seconds", _moment, lambda value: _whole(value, below=limits.STORED_MS_BELOW // 1_000)
)
NUMBERS: Final = frozenset(
    {COUNT, STARTS, GENERATION, CHUNKS, PARALLELISM, RETENTION, MOMENT, WORK_MOMENT, SECONDS}
)
"""The forms of numbers."""
FLAG: Final = FieldCodec("true or false", _flag, _flag)
ULID: Final = FieldCodec("an id", work_id, work_id)


def choice(members: type[StrEnum]) -> FieldCodec:
    """The form of an enumeration: its values, and nothing else."""

    def encode(value: object) -> Value:
        return members(_text(value)).value

    def decode(value: object) -> object:
        return members(_text(value))

    return FieldCodec(f"one of {', '.join(members)}", encode, decode)


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


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("a list expected")
    return value


def _write_all_owed(callbacks: tuple[PendingCallback, ...]) -> Value:
    return [_write_owed(owed) for owed in callbacks]


def _write_owed(owed: PendingCallback) -> str:
    text = f"{owed.work_id}:{_write_base36(owed.at)}:{owed.tries}:{owed.looks}"
    _read_owed(text)
    return text


def _read_owed(value: object) -> PendingCallback:
    ulid, at, tries, looks = _matched(_OWED, value).groups()
    return PendingCallback(work_id(ulid), EpochMs(int(at, 36)), int(tries), int(looks))


def _read_all_owed(value: object) -> tuple[PendingCallback, ...]:
    owed = tuple(_read_owed(text) for text in _listed(value))
    if len(owed) > limits.STORED_SLOTS_MAX:
        raise ValueError("more callbacks than a ledger has")
    for each in owed:
        _work_moment(each.at)
        _whole(max(each.tries, each.looks), below=limits.STORED_TRIES_BELOW)
    return owed


def _write_outcomes(outcomes: tuple[Outcome, ...]) -> Value:
    return "".join(Outcome(outcome).value[0] for outcome in outcomes)


def _read_outcomes(value: object) -> tuple[Outcome, ...]:
    return tuple(_OUTCOME_LETTERS[letter] for letter in _matched(_OUTCOMES, value).group())


def _write_marks(marks: tuple[ShardCursors, ...]) -> Value:
    return [_write_mark(mark) for mark in marks]


def _write_mark(mark: ShardCursors) -> str:
    text = f"{_text(mark.work_cursor)}:{_text(mark.done_cursor)}:{_write_base36(mark.deep_at)}"
    _matched(_MARK, text)
    return text


def _read_mark(value: object) -> ShardCursors:
    work_cursor, done_cursor, deep_at = _matched(_MARK, value).groups()
    for cursor in (work_cursor, done_cursor):
        if cursor:
            work_id(cursor)
    return ShardCursors(work_cursor, done_cursor, EpochMs(_moment(int(deep_at, 36))))


def _read_marks(value: object) -> tuple[ShardCursors, ...]:
    texts = _listed(value)
    if not 1 <= len(texts) <= SHARDS_MAX:
        raise ValueError("a ledger has one mark for each shard")
    return tuple(_read_mark(text) for text in texts)


def _write_tally(tally: MinuteTally) -> Value:
    if not isinstance(tally, MinuteTally):
        raise ValueError("a Tally expected")
    counts = f"{tally.succeeded}.{tally.failed}.{tally.retried}.{tally.canceled}"
    text = f"{_write_base36(tally.since)}:{counts}:{','.join(f'{place}x{count}' for place, count in tally.lags)}"
    _tally_in(text, digits_max=_DIGITS_MAX)
    return text


def _read_tally(value: object) -> MinuteTally:
    return _tally_in(value, digits_max=_COUNT_DIGITS_MAX)


def _tally_in(value: object, *, digits_max: int) -> MinuteTally:
    since, counts, lags = _split(value, ":", 3)
    succeeded, failed, retried, canceled = (
        _decimal(count, digits_max) for count in _split(counts, ".", 4)
    )
    pairs = [_split(pair, "x", 2) for pair in lags.split(",")] if lags else []
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
                _whole(_decimal(place, digits_max), below=len(LAG_CLASSES_MS)),
                _decimal(count, digits_max),
            )
            for place, count in pairs
        ),
    )


def _split(value: object, by: str, parts: int) -> list[str]:
    """Exactly so many parts of a text.

    Split, not matched: no text can keep it busy for longer than it is.
    """
    found = value.split(by, parts) if isinstance(value, str) else []
    if len(found) != parts:
        raise ValueError("not of the expected form")
    return found


def _decimal(text: str, digits_max: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits_max):
        raise ValueError("a whole number expected")
    return int(text)


def _write_texts(texts: tuple[str, ...]) -> Value:
    return [_text(text) for text in texts]


def _read_texts(value: object) -> tuple[str, ...]:
    return tuple(_text(text) for text in _listed(value))


def _write_deployed(deployed: tuple[DeployedLimit, ...]) -> Value:
    texts = [f"{limit.pool}:{_limit(limit.max_parallelism)}" for limit in deployed]
    _read_deployed(texts)  # as for a slot
    return texts


def _read_deployed(value: object) -> tuple[DeployedLimit, ...]:
    pairs = [_matched(_DEPLOYED, text).groups() for text in _listed(value)]
    return tuple(DeployedLimit(pool, _limit(int(limit))) for pool, limit in pairs)


def _write_policy(policy: RetryPolicy) -> Value:
    if not isinstance(policy, RetryPolicy):
        raise ValueError("a RetryPolicy expected")
    cap = "" if policy.max_backoff is None else _write_ms(policy.max_backoff)
    return f"{policy.max_attempts}:{_write_ms(policy.initial_backoff)}:{float(policy.base)!r}:{cap}:{'j' if policy.jitter else ''}"


def _read_policy(value: object) -> RetryPolicy:
    attempts, initial, base, cap, jitter = _matched(_POLICY, value).groups()
    return RetryPolicy(
        int(attempts),
        _read_ms(initial),
        float(base),
        None if cap is None else _read_ms(cap),
        jitter == "j",
    )


def _write_ms(duration: timedelta) -> str:
    whole, rest = divmod(duration, timedelta(milliseconds=1))
    return f"{whole}.{rest.microseconds:03d}" if rest else f"{whole}"


def _read_ms(text: str) -> timedelta:
    whole, _, rest = text.partition(".")
    return timedelta(milliseconds=int(whole), microseconds=int(rest or 0))


def _write_history(attempts: tuple[PastAttempt, ...]) -> Value:
    texts = [_write_attempt(attempt) for attempt in attempts]
    if (
        sum(len(text.encode()) for text in texts) > limits.ATTEMPTS_BYTES_MAX
        or len(texts) > limits.ATTEMPTS_KEPT
    ):
        raise ValueError("more than is kept of attempts")
    _read_history(texts)
    return texts


def _write_attempt(attempt: PastAttempt) -> str:
    times = f"{_write_base36(attempt.started_at)}:{_write_base36(attempt.ended_at - attempt.started_at)}"
    # A class's name has no colon, and the text comes last.
    error_type = (attempt.error_type or "").replace(":", ".")
    return f"{attempt.number}:{times}:{_ENDS[attempt.outcome]}:{error_type}:{_text(attempt.error or '')}"


def _read_history(value: object) -> tuple[PastAttempt, ...]:
    texts = _listed(value)
    if len(texts) > limits.ATTEMPTS_KEPT:
        raise ValueError("more attempts than are kept")
    return tuple(_read_attempt(text) for text in texts)


def _read_attempt(value: object) -> PastAttempt:
    text = _text(value)
    parts = text.split(":", 5)
    if len(parts) != 6 or len(text) > limits.ATTEMPTS_BYTES_MAX or parts[3] not in _ENDS_BY_LETTER:  # noqa: PLR2004 - as it is written
        raise ValueError("not of the expected form")
    number, started, took = (
        int(_matched(_BASE36_NUMBER, part).group(), base)
        for part, base in zip(parts, (10, 36, 36), strict=False)
    )
    return PastAttempt(
        number=_whole(
            number, below=limits.STORED_STARTS_BELOW + 1
        ),  # the attempt after as many as can be read
        started_at=EpochMs(_work_moment(started)),
        ended_at=EpochMs(_work_moment(started + took)),
        outcome=_ENDS_BY_LETTER[parts[3]],
        error_type=parts[4] or None,
        error=parts[5] or None,
    )


HISTORY: Final = FieldCodec("a list of attempts", _write_history, _read_history)
RETRY: Final = FieldCodec("a retry policy", _write_policy, _read_policy)
OUTCOMES: Final = FieldCodec("initials of outcomes", _write_outcomes, _read_outcomes)
OWED: Final = FieldCodec("a list of owed callbacks", _write_all_owed, _read_all_owed)
ENTRIES: Final = FieldCodec("packed slots", slots.pack, slots.unpack)
TEXTS: Final = FieldCodec("a list of texts", _write_texts, _read_texts)
DEPLOYED_LIMITS: Final = FieldCodec("a list of deployed limits", _write_deployed, _read_deployed)
SHARD_MARKS: Final = FieldCodec("a list of shard marks", _write_marks, _read_marks)
TALLY: Final = FieldCodec("a tally", _write_tally, _read_tally)

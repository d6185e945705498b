"""Forms of what the loop and the deployment keep: ledger, cursors, tallies, limits and jobs.

The slots of the ledger are packed (`ledger_packing.py`).
"""

from __future__ import annotations

import re
from typing import Final

from workpool_aws.adapters.items import deployed_jobs
from workpool_aws.adapters.items import ledger_packing as slots
from workpool_aws.adapters.items.forms import (
    FieldCodec,
    list_of,
    matched,
    read_limit,
    read_moment,
    read_text,
    read_whole,
    read_work_moment,
    work_id,
    write_base36,
)
from workpool_aws.core import limits
from workpool_aws.core.loop.tally import LAG_CLASSES_MS
from workpool_aws.model.ids import SHARDS_MAX, EpochMs
from workpool_aws.model.loop import (
    DeployedLimit,
    GuestStarts,
    MinuteTally,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.names import POOL

__all__ = [
    "DEPLOYED_JOBS",
    "DEPLOYED_LIMITS",
    "GUEST_STARTS",
    "OWED",
    "PAGE_SLOTS",
    "SHARD_MARKS",
    "SLOTS",
    "TALLY",
]

_DIGITS_MAX: Final = 12
"""Digits of a number in a tally that is written."""
_COUNT_DIGITS_MAX: Final = 9
"""Digits of one that is read, so that more can be added to it."""


class _Owed:
    """`id:at:tries:looks`, the time in base 36."""

    _PATTERN: Final = re.compile(
        r"([0-9A-Z]{26}):([0-9a-z]{1,12}):([0-9]{1,4}):([0-9]{1,4})", re.ASCII
    )

    @classmethod
    def encode(cls, owed: PendingCallback) -> str:
        text = f"{owed.work_id}:{write_base36(owed.at)}:{owed.tries}:{owed.looks}"
        cls._read(text)
        return text

    @classmethod
    def decode(cls, value: object) -> PendingCallback:
        owed = cls._read(value)
        read_work_moment(owed.at)
        read_whole(max(owed.tries, owed.looks), below=limits.STORED_TRIES_BELOW)
        return owed

    @classmethod
    def _read(cls, value: object) -> PendingCallback:
        ulid, at, tries, looks = matched(cls._PATTERN, value).groups()
        return PendingCallback(work_id(ulid), EpochMs(int(at, 36)), int(tries), int(looks))


class _Mark:
    """`work cursor:done cursor:deep_at`, the time in base 36."""

    _PATTERN: Final = re.compile(r"([0-9A-Z]{26}|):([0-9A-Z]{26}|):([0-9a-z]{1,12})", re.ASCII)

    @classmethod
    def encode(cls, mark: ShardCursors) -> str:
        text = f"{read_text(mark.work_cursor)}:{read_text(mark.done_cursor)}:{write_base36(mark.deep_at)}"
        matched(cls._PATTERN, text)
        return text

    @classmethod
    def decode(cls, value: object) -> ShardCursors:
        work_cursor, done_cursor, deep_at = matched(cls._PATTERN, value).groups()
        for cursor in (work_cursor, done_cursor):
            if cursor:
                work_id(cursor)
        return ShardCursors(work_cursor, done_cursor, EpochMs(read_moment(int(deep_at, 36))))


class _Guest:
    """`generation:at`, the time in base 36."""

    _PATTERN: Final = re.compile(r"([0-9]{1,12}):([0-9a-z]{1,12})", re.ASCII)

    @classmethod
    def encode(cls, starts: GuestStarts) -> str:
        text = f"{starts.generation}:{write_base36(starts.at)}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> GuestStarts:
        generation, at = matched(cls._PATTERN, value).groups()
        return GuestStarts(
            read_whole(int(generation), below=limits.STORED_GENERATION_BELOW),
            EpochMs(read_moment(int(at, 36))),
        )


class _Tally:
    """`since:succeeded.failed.retried.canceled:class x count,…`, the time in base 36."""

    @classmethod
    def encode(cls, tally: MinuteTally) -> str:
        if not isinstance(tally, MinuteTally):
            raise ValueError("a Tally expected")
        counts = f"{tally.succeeded}.{tally.failed}.{tally.retried}.{tally.canceled}"
        lags = ",".join(f"{place}x{count}" for place, count in tally.lags)
        text = f"{write_base36(tally.since)}:{counts}:{lags}"
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
            since=EpochMs(
                read_moment(int(since[: _DIGITS_MAX + 1], 36))
            ),  # a report is written by it
            succeeded=succeeded,
            failed=failed,
            retried=retried,
            canceled=canceled,
            lags=tuple(
                (
                    read_whole(cls._decimal(place, digits_max), below=len(LAG_CLASSES_MS)),
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
        text = f"{limit.pool}:{read_limit(limit.max_parallelism)}"
        cls.decode(text)
        return text

    @classmethod
    def decode(cls, value: object) -> DeployedLimit:
        pool, limit = matched(cls._PATTERN, value).groups()
        return DeployedLimit(pool, read_limit(int(limit)))


GUEST_STARTS: Final = FieldCodec("starts of a guest", _Guest.encode, _Guest.decode)
OWED: Final = list_of(
    FieldCodec("an owed callback", _Owed.encode, _Owed.decode),
    "a list of owed callbacks",
    at_most=limits.STORED_OWED_MAX,
)
SLOTS: Final = FieldCodec("packed slots", slots.pack, slots.unpack)
PAGE_SLOTS: Final = FieldCodec("packed slots", slots.pack_page, slots.unpack_page)
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

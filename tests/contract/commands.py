"""Draws the commands of the differential test from the project's own tables and unions.

They cover every method of the store. A new kind of record, field or form is in by existing, or
fails here until it has a strategy. One seed is one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache, partial
from random import Random
from typing import Any, Final, get_args, get_type_hints

from workpool_aws.adapters.items import forms, job_tallies, ledger_forms, rates, schedule
from workpool_aws.adapters.items.error_marks import ERROR_MARKS
from workpool_aws.adapters.items.forms import FieldCodec, Value
from workpool_aws.adapters.items.group import GROUP_END, MEMBER_OUTCOMES
from workpool_aws.adapters.items.records import RECORDS, fields_of, kind_of
from workpool_aws.adapters.items.reported_ends import REPORTED_ENDS
from workpool_aws.adapters.items.spec import (
    OUTCOMES,
    RETRY,
    TRACE_PARENT_TEXT,
    TRACE_STATE_TEXT,
)
from workpool_aws.adapters.items.work import HISTORY, SPAWNED
from workpool_aws.core import limits
from workpool_aws.model import ids, loop, payload, rate, retry, spec, trace, work
from workpool_aws.model.error_marks import ErrorMark, MarkKind
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import EpochMs, WorkId, make_id, shard_of
from workpool_aws.model.loop import (
    DeployedJob,
    DeployedLimit,
    Entry,
    EntryKey,
    GuestStarts,
    JobTallies,
    JobTally,
    MinuteTally,
    Notice,
    PendingCallback,
    ShardCursors,
)
from workpool_aws.model.pages import Slots
from workpool_aws.model.payload import Part
from workpool_aws.model.rate import RateLimit, RateSpent
from workpool_aws.model.record import Record, Ref
from workpool_aws.model.refs import Collection, KeyRange
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.schedule import PastRun, ScheduleItem
from workpool_aws.model.spec import Outcome, Spec
from workpool_aws.model.work import AttemptEnd, GroupEnd, PastAttempt, Pointer, Spawned
from workpool_aws.model.writes import (
    Above,
    All,
    Below,
    Condition,
    Either,
    Is,
    IsAbsent,
    IsNot,
    Put,
    Update,
    Write,
)

__all__ = [
    "KINDS",
    "Command",
    "Delete",
    "Get",
    "GetMany",
    "Plant",
    "Query",
    "Transact",
    "WriteOne",
    "drawn_sequence",
]

KINDS: Final[tuple[type[Record], ...]] = tuple(kind.record for kind in RECORDS)
POOL: Final = "p"
T0: Final = EpochMs(1_700_000_000_000)
IDS: Final = tuple(
    WorkId(make_id(EpochMs(T0 + n), random_bits=0, shard=shard))
    for n, shard in ((0, 0), (1, 0), (2, 1))
)
TEXTS: Final = ("", "a", "ä𝄞", "x" * 1_500)
LENGTH: Final = (15, 45)


@dataclass(frozen=True, slots=True)
class Get:
    ref: Ref[Record]


@dataclass(frozen=True, slots=True)
class GetMany:
    refs: tuple[Ref[Record], ...]


@dataclass(frozen=True, slots=True)
class Query:
    key_range: KeyRange


@dataclass(frozen=True, slots=True)
class WriteOne:
    write: Write


@dataclass(frozen=True, slots=True)
class Transact:
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    ref: Ref[Record]


@dataclass(frozen=True, slots=True)
class Plant:
    """Not a command of the store: an item, damaged or foreign, that it finds."""

    pk: str
    sk: str
    item: Mapping[str, Value]


Command = Get | GetMany | Query | WriteOne | Transact | Delete | Plant
Draw = Callable[[Random], Any]


def _small(chance: Random) -> int:
    return chance.randrange(4)


def _some(draw: Draw, most: int = 2, *, least: int = 0) -> Draw:
    return lambda chance: tuple(draw(chance) for _ in range(chance.randint(least, most)))


def _id(chance: Random) -> WorkId:
    return chance.choice(IDS)


def _entries(chance: Random) -> dict[EntryKey, Entry]:
    return {
        EntryKey(_id(chance), _small(chance)): Entry(_small(chance), chance.random() < 0.5)
        for _ in range(chance.randrange(3))
    }


def _attempt(chance: Random) -> PastAttempt:
    ended = chance.choice(list(AttemptEnd))
    began = _small(chance)
    return PastAttempt(
        number=1 + _small(chance),
        started_at=EpochMs(began),
        ended_at=EpochMs(began + _small(chance)),
        outcome=ended,
        error_type=chance.choice([None, "E"]),
        error=chance.choice([None, "no", "ü: no"]),
    )


_BY_FORM: Final[Mapping[int, Draw]] = {
    id(forms.TEXT): lambda chance: chance.choice(TEXTS),
    id(rates.RATE_LIMIT): lambda chance: RateLimit(
        1 + chance.randrange(9), per=timedelta(minutes=1)
    ),
    id(rates.RATE_SPENT): lambda chance: RateSpent(*(chance.randrange(99) for _ in range(4))),
    id(rates.DEPLOYED_RATES): lambda _chance: (),
    id(MEMBER_OUTCOMES): lambda chance: chance.randbytes(3),
    id(GROUP_END): lambda chance: GroupEnd("g", chance.choice(list(Outcome))),
    id(REPORTED_ENDS): lambda _chance: (),
    **{id(form): _small for form in forms.NUMBERS},
    id(forms.CHUNKS): lambda chance: 1 + chance.randrange(3),
    id(forms.RETENTION): lambda chance: 1 + chance.randrange(3),
    id(forms.FLAG): lambda chance: chance.random() < 0.5,
    id(forms.ULID): _id,
    id(HISTORY): _some(_attempt),
    id(SPAWNED): _some(
        lambda chance: Spawned(POOL, tuple(chance.sample(IDS, chance.randint(1, 2)))), most=1
    ),
    id(RETRY): lambda chance: RetryPolicy(
        2, base=1.5, max_backoff=timedelta(milliseconds=_small(chance))
    ),
    id(TRACE_PARENT_TEXT): lambda chance: f"00-{chance.randrange(1, 99):032x}-{1:016x}-01",
    id(TRACE_STATE_TEXT): lambda _: "vendor=1",
    id(OUTCOMES): lambda chance: chance.choice(
        [(Outcome.FAILED,), (Outcome.SUCCESS, Outcome.CANCELED)]
    ),
    id(ledger_forms.TALLY): lambda chance: MinuteTally(
        since=_small(chance), succeeded=_small(chance), lags=chance.choice([(), ((0, 1),)])
    ),
    id(job_tallies.JOB_TALLIES): lambda chance: JobTallies(
        since=_small(chance), jobs=(JobTally(job="mail.send", succeeded=_small(chance)),)
    ),
    id(job_tallies.LABEL): lambda _: "mail.send",
    id(schedule.PAST): _some(lambda chance: PastRun(_small(chance), None, Outcome.FAILED)),
    id(ledger_forms.SLOTS): lambda chance: Slots(_entries(chance)),
    id(ledger_forms.PAGE_SLOTS): _entries,
    id(ledger_forms.GUEST_STARTS): lambda chance: GuestStarts(_small(chance), T0),
    id(ledger_forms.OWED): _some(
        lambda chance: PendingCallback(_id(chance), _small(chance), _small(chance), _small(chance))
    ),
    id(ERROR_MARKS): _some(
        lambda chance: ErrorMark("0" * 16, MarkKind.IGNORED, _small(chance), _small(chance), "ann")
    ),
    id(forms.TEXTS): _some(lambda chance: chance.choice(TEXTS)),
    id(ledger_forms.DEPLOYED_JOBS): _some(
        lambda chance: DeployedJob(
            "mail.send", "arn:aws:lambda:eu-west-1:123456789012:function:send"
        )
    ),
    id(ledger_forms.DEPLOYED_LIMITS): _some(lambda chance: DeployedLimit(POOL, 5)),
    id(ledger_forms.SHARD_MARKS): _some(
        lambda chance: ShardCursors("", _id(chance), _small(chance)), least=1
    ),
}
# No engine takes an empty text as the key of an index, and none of ours is one.
_BY_NAME: Final[Mapping[str, Draw]] = {"dead": _id}
_LIKELY: Final = {"dead": 0.8}
"""Shares of optional fields whose rarity would leave a whole collection empty."""
_SCALAR: Final = (forms.TEXT, *forms.NUMBERS, forms.FLAG, forms.ULID)
_KEYS: Final[Mapping[str, Draw]] = {
    "pool": lambda _: POOL,
    "id": _id,
    "at": _id,
    "work_id": _id,
    "token": lambda chance: chance.choice(["t1", "t2"]),
    "name": lambda chance: chance.choice(["hourly", "nightly"]),
    "key": lambda chance: chance.choice(["order 1", "order 2"]),
    "request_id": lambda chance: chance.choice(["r1", "r2"]),
    "part": lambda chance: chance.choice([Part.ARGS, Part.RESULT]),
    "number": lambda chance: chance.choice([0, 11]),
}


def _value(chance: Random, kind: type[Record], name: str) -> Any:
    """A value of a field; often its absence, where it may be absent."""
    stored = fields_of(kind)[name]
    if not stored.required and chance.random() < 0.4:
        return stored.absent
    draw = _BY_NAME.get(name) or _BY_FORM.get(id(stored.form))
    return chance.choice(_members(kind, name, stored.form)) if draw is None else draw(chance)


_hints = lru_cache(
    partial(
        get_type_hints,
        localns={
            **vars(ids),
            **vars(loop),
            **vars(payload),
            **vars(rate),
            **vars(retry),
            **vars(spec),
            **vars(trace),
            **vars(work),
        },
    )
)


def _members(kind: type[Record], name: str, form: FieldCodec) -> list[StrEnum]:
    # A choice is a form of its own for each enumeration, so its members are found by the field's
    # type.
    hint = {**_hints(Spec), **_hints(kind)}[name]
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and issubclass(each, StrEnum):
            return list(each)
    raise NotImplementedError(f"{kind.__name__}.{name}: say how to draw {form.name}")


def _is_scalar(form: FieldCodec) -> bool:
    return form in _SCALAR or form.name.startswith("one of ")


def _numbers(kind: type[Record]) -> list[str]:
    return [name for name, stored in fields_of(kind).items() if stored.form in forms.NUMBERS]


def _record(chance: Random, kind: type[Record]) -> Record:
    """A record that can be stored.

    Most optional fields are left as they are, so that items stay small and alike.
    """
    stored = fields_of(kind)
    made: dict[str, Any] = {name: at.absent for name, at in stored.items() if not at.required}
    made |= {name: _KEYS[name](chance) for name in kind_of(kind).ref.__match_args__}
    made |= {
        name: _value(chance, kind, name)
        for name, at in stored.items()
        if at.required or chance.random() < _LIKELY.get(name, 0.15)
    }
    if kind in (ScheduleItem, GroupItem):
        # They have their arguments and their context in their item.
        made |= {"args_chunks": None, "context_chunks": None}
    if kind is ScheduleItem:
        # One of two timings.
        made |= {"cron": None, "every_ms": limits.EVERY_MS_MIN, "timezone": "UTC"}
    if "args_chunks" in made:
        # Arguments lie in the item or in chunks, never in both.
        made["args"] = "{}" if made["args_chunks"] is None else None
    if kind in (Pointer, Notice):
        # They lie in the shard of their work.
        made["at"] = chance.choice(
            [each for each in IDS if shard_of(each) == shard_of(made["work_id"])]
        )
    return kind_of(kind).make(made)


def _ref(chance: Random, kind: type[Record]) -> Ref[Record]:
    """The name of a record of a kind. By convention a WorkRef names a work item."""
    named = kind_of(kind).ref
    return named(**{each.name: _KEYS[each.name](chance) for each in fields(named)})


def _condition(chance: Random, kind: type[Record], depth: int = 0) -> Condition:
    """A condition of any sort that records of the kind can be asked about."""
    scalars = [name for name, stored in fields_of(kind).items() if _is_scalar(stored.form)]
    sorts = [
        IsAbsent,
        *([Is, Is, IsNot, IsNot] if scalars else []),
        *([Below, Above] if _numbers(kind) else []),
        *([All, Either] if depth < 2 else []),
    ]
    sort = chance.choice(sorts)
    if sort is IsAbsent:
        return IsAbsent()
    if sort is Is:
        name = chance.choice(scalars)
        return Is(name, _value(chance, kind, name))
    if sort is IsNot:
        name = chance.choice(scalars)
        drawn = _value(chance, kind, name)
        return Is(name, drawn) if drawn is None or drawn is False else IsNot(name, drawn)
    if sort is Below or sort is Above:
        return sort(chance.choice(_numbers(kind)), chance.randint(-1, 4))
    return sort(tuple(_condition(chance, kind, depth + 1) for _ in range(chance.randint(1, 3))))


def _write(chance: Random, kind: type[Record]) -> Write:
    condition = None if chance.random() < 0.4 else _condition(chance, kind)
    if chance.random() < 0.5:
        return Put(_record(chance, kind), condition)
    changeable = [name for name in fields_of(kind) if name not in ("args", "args_chunks")]
    chosen = chance.sample(changeable, min(len(changeable), chance.randint(1, 3)))
    added = [name for name in chosen if name in _numbers(kind) and chance.random() < 0.5]
    return Update(
        ref=_ref(chance, kind),
        set={name: _value(chance, kind, name) for name in chosen if name not in added},
        add={name: _small(chance) for name in added},
        condition=condition,
    )


def _key_range(chance: Random) -> KeyRange:
    # A dead letter is one kind of row of one kind of record, and most ranges are whole, so
    # that few sequences are needed until every collection has been read in both directions.
    bounds = ["", *IDS, POOL, "zz"]
    whole = chance.random() < 0.7
    return KeyRange(
        collection=chance.choice([*Collection, Collection.DEAD]),
        pool=chance.choice([POOL, POOL, POOL, "other"]),
        shard=chance.choice([0, 0, 1]),
        low="" if whole else chance.choice(bounds),
        high=None if whole else chance.choice([None, *bounds]),
        limit=chance.choice([None, 1, 2, 3]),
        reverse=chance.random() < 0.5,
        pending_only=chance.random() < 0.2,
    )


def _plant(chance: Random) -> Plant:
    pk = chance.choice(
        [
            f"{POOL}#work#0",
            f"{POOL}#done#0",
            f"{POOL}#control",
            f"{POOL}#reports",
            "#pools",
            "elsewhere",
        ]
    )
    item = {"s": chance.choice(["dancing", "idle"]), "t": chance.choice(["w", "?"]), "fn": "f"}
    kept = {name: value for name, value in item.items() if chance.random() < 0.5}
    return Plant(pk, chance.choice([*IDS, "status", "ledger", "odd"]), kept)


def _command(chance: Random, kinds: list[type[Record]]) -> Command:
    kind = chance.choice(kinds)
    match chance.choices(
        ["write", "transact", "get", "get_many", "query", "delete", "plant"], [10, 5, 3, 1, 4, 1, 1]
    )[0]:
        case "write":
            return WriteOne(_write(chance, kind))
        case "transact":
            return Transact(
                tuple(_write(chance, chance.choice(kinds)) for _ in range(chance.randint(1, 3)))
            )
        case "get":
            return Get(_ref(chance, kind))
        case "get_many":
            return GetMany(
                tuple(_ref(chance, chance.choice(kinds)) for _ in range(chance.randrange(5)))
            )
        case "query":
            return Query(_key_range(chance))
        case "delete":
            return Delete(_ref(chance, kind))
        case _:
            return _plant(chance)


def drawn_sequence(seed: int) -> list[Command]:
    """The sequence of a seed.

    It is about one to three kinds of records only, so that commands meet.
    """
    chance = Random(seed)
    kinds = chance.sample(KINDS, chance.randint(1, 3))
    return [_command(chance, kinds) for _ in range(chance.randint(*LENGTH))]

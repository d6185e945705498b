"""Hypothesis strategies of stored records, made from the rows of the schema.

A new kind of record has its strategy by having a row; a new form of field fails here until it is
said how to draw one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from workpool_aws.adapters.items import forms, job_tallies, ledger_forms, rates
from workpool_aws.adapters.items.error_marks import ERROR_MARKS
from workpool_aws.adapters.items.field import Field
from workpool_aws.adapters.items.group import GROUP_END, MEMBER_OUTCOMES
from workpool_aws.adapters.items.records import RecordKind
from workpool_aws.adapters.items.reported_ends import REPORTED_ENDS
from workpool_aws.adapters.items.schedule import PAST
from workpool_aws.adapters.items.spec import (
    OUTCOMES,
    RETRY,
    TRACE_PARENT_TEXT,
    TRACE_STATE_TEXT,
)
from workpool_aws.adapters.items.work import HISTORY, SPAWNED
from workpool_aws.core import limits
from workpool_aws.model import group, ids, loop, payload, rate, retry, schedule, spec, trace, work
from workpool_aws.model.error_marks import ErrorMark, MarkKind
from workpool_aws.model.group import GroupItem
from workpool_aws.model.ids import SHARDS_MAX, EpochMs, WorkId, make_id
from workpool_aws.model.loop import (
    DeployedJob,
    DeployedLimit,
    DeployedRate,
    Entry,
    EntryKey,
    GuestStarts,
    JobTallies,
    JobTally,
    MinuteTally,
    PendingCallback,
    ReportedEnd,
    ShardCursors,
)
from workpool_aws.model.pages import NamedPage, Slots
from workpool_aws.model.payload import Part
from workpool_aws.model.rate import RateLimit, RateSpent
from workpool_aws.model.record import Record
from workpool_aws.model.retry import RetryPolicy
from workpool_aws.model.schedule import PastRun, ScheduleItem
from workpool_aws.model.spec import Outcome, Spec
from workpool_aws.model.work import AttemptEnd, GroupEnd, PastAttempt, Spawned, WorkItem

pools = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
times = st.integers(min_value=0, max_value=2**45).map(EpochMs)
counts = st.integers(min_value=0, max_value=10**9 - 1)
starts = st.integers(0, limits.STORED_STARTS_BELOW - 1)
parallelism = st.integers(0, limits.PARALLELISM_MAX)
texts = st.text(max_size=30)
jobs = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
arns = st.from_regex(
    r"arn:aws:lambda:eu-west-1:123456789012:function:[A-Za-z0-9_-]{1,64}(:live)?", fullmatch=True
)
# All of one shard: some records lie in the shard of the work item that they name.
ulids = st.builds(
    lambda at, bits: WorkId(make_id(at, random_bits=bits, shard=3)), times, st.integers(0, 2**75)
)
durations = st.integers(0, 366 * 24 * 3600 * 10**6).map(lambda us: timedelta(microseconds=us))
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 1000),
    initial_backoff=durations,
    base=st.floats(1, 100) | st.integers(1, 100),
    max_backoff=st.none() | durations,
    jitter=st.booleans(),
)
tallies = st.builds(
    MinuteTally,
    since=times,
    succeeded=counts,
    failed=counts,
    retried=counts,
    canceled=counts,
    lags=st.dictionaries(st.integers(0, 28), counts, max_size=5).map(
        lambda lags: tuple(sorted(lags.items()))
    ),
)
trace_parents = st.builds(
    lambda trace, span, flags: f"00-{trace:032x}-{span:016x}-{flags:02x}",
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
)
past_runs = st.builds(PastRun, times, st.none() | counts, st.none() | st.sampled_from(Outcome))
attempts = st.builds(
    lambda began, took, **others: PastAttempt(
        started_at=began, ended_at=EpochMs(began + took), **others
    ),
    times,
    counts,
    number=starts,
    outcome=st.sampled_from(AttemptEnd),
    error_type=st.none() | st.from_regex(r"[A-Za-z_]{1,9}", fullmatch=True),
    error=st.none() | st.text(min_size=1, max_size=30),
)

_TYPES = {
    **vars(ids),
    **vars(group),
    **vars(loop),
    **vars(schedule),
    **vars(payload),
    **vars(rate),
    **vars(retry),
    **vars(spec),
    **vars(trace),
    **vars(work),
}

slots = st.dictionaries(
    st.builds(EntryKey, ulids, starts), st.builds(Entry, times, st.booleans()), max_size=5
)
pages = st.lists(
    st.builds(NamedPage, st.from_regex(r"[A-Za-z0-9_-]{1,16}", fullmatch=True), st.just(9)),
    max_size=2,
    unique_by=lambda page: page.token,
).map(tuple)

rate_limits = st.builds(
    RateLimit,
    st.integers(100, 1_000_000),
    per=st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    burst=st.none() | st.integers(1, 100),
)

BY_FORM: Mapping[int, st.SearchStrategy[Any]] = {
    id(forms.TEXT): texts,
    id(forms.COUNT): counts,
    id(forms.STARTS): starts,
    id(forms.GENERATION): counts,
    id(forms.SHARDS): st.integers(1, SHARDS_MAX),
    id(forms.CHUNKS): st.integers(1, limits.CHUNKS_MAX),
    id(forms.PARALLELISM): parallelism,
    id(forms.RETENTION): st.integers(1, limits.RETENTION_S_MAX),
    id(forms.EXPIRY): st.integers(1, limits.DELAY_MS_MAX),
    id(forms.MOMENT): times,
    id(forms.WORK_MOMENT): times,
    id(forms.SECONDS): counts,
    id(forms.FLAG): st.just(True),
    id(forms.ULID): ulids,
    id(HISTORY): st.lists(attempts, max_size=3).map(tuple),
    id(SPAWNED): st.lists(
        st.builds(Spawned, pools, st.lists(ulids, min_size=1, max_size=3, unique=True).map(tuple)),
        max_size=3,
        unique_by=lambda spawned: spawned.pool,
    ).map(tuple),
    id(PAST): st.lists(past_runs, max_size=3).map(tuple),
    id(RETRY): policies,
    id(TRACE_PARENT_TEXT): trace_parents,
    id(TRACE_STATE_TEXT): st.sampled_from(("vendor=1", "a=1,b=2")),
    id(OUTCOMES): st.lists(st.sampled_from(Outcome), unique=True, min_size=1).map(tuple),
    id(ledger_forms.OWED): st.lists(
        st.builds(PendingCallback, ulids, times, st.integers(0, 999), st.integers(0, 999)),
        max_size=4,
    ).map(tuple),
    id(ledger_forms.SLOTS): st.builds(Slots, slots, pages),
    id(ledger_forms.PAGE_SLOTS): slots,
    id(forms.TEXTS): st.lists(texts, max_size=3).map(tuple),
    id(ledger_forms.DEPLOYED_LIMITS): st.lists(
        st.builds(DeployedLimit, pools, parallelism), max_size=3
    ).map(tuple),
    id(ledger_forms.DEPLOYED_JOBS): st.lists(st.builds(DeployedJob, jobs, arns), max_size=3).map(
        tuple
    ),
    id(ledger_forms.SHARD_MARKS): st.lists(
        st.builds(ShardCursors, st.just("") | ulids, st.just("") | ulids, times),
        min_size=1,
        max_size=4,
    ).map(tuple),
    id(ledger_forms.TALLY): tallies,
    id(ledger_forms.GUEST_STARTS): st.builds(GuestStarts, st.integers(0, 10**9), times),
    id(job_tallies.JOB_TALLIES): st.builds(
        JobTallies,
        since=times,
        jobs=st.lists(
            st.builds(
                JobTally,
                job=jobs,
                succeeded=counts,
                failed=counts,
                retried=counts,
                canceled=counts,
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
    id(job_tallies.LABEL): jobs,
    id(GROUP_END): st.builds(GroupEnd, jobs, st.sampled_from(Outcome)),
    id(MEMBER_OUTCOMES): st.binary(max_size=20),
    id(ERROR_MARKS): st.lists(
        st.builds(
            ErrorMark,
            st.from_regex("[0-9a-f]{16}", fullmatch=True),
            st.sampled_from(MarkKind),
            times,
            times,
            st.text(min_size=1, max_size=20),
        ),
        max_size=3,
    ).map(tuple),
    id(rates.RATE_LIMIT): rate_limits,
    id(rates.RATE_SPENT): st.builds(
        RateSpent,
        st.integers(0, 10**15),
        st.integers(0, 500),
        st.integers(0, 10**10),
        st.integers(0, 10**9),
    ),
    id(rates.DEPLOYED_RATES): st.lists(st.builds(DeployedRate, pools, rate_limits), max_size=3).map(
        tuple
    ),
    id(REPORTED_ENDS): st.lists(
        st.builds(ReportedEnd, ulids, starts, st.none() | st.sampled_from(Outcome)), max_size=3
    ).map(tuple),
}
NAMES: Mapping[str, st.SearchStrategy[Any]] = {
    "pool": pools,
    "id": ulids,
    "at": ulids,
    "work_id": ulids,
    "part": st.sampled_from(Part),
    "number": st.integers(0, 9_999),
    "key": st.text("abc-_#019é", min_size=1, max_size=30),
    "request_id": st.text("abc-_#019é/", min_size=1, max_size=30),
    "token": st.text("abc-_#019", min_size=1, max_size=30),
    "name": jobs,
}


_TIMINGS: Mapping[str, st.SearchStrategy[Any]] = {
    "args": texts,
    "args_chunks": st.none(),
    "context_chunks": st.none(),
    "cron": st.just("0 * * * *"),
    "every_ms": st.none(),
    "timezone": st.sampled_from(("UTC", "Europe/London")),
    "jitter_ms": st.integers(0, limits.DELAY_MS_MAX),
    "spread_ms": st.integers(0, limits.DELAY_MS_MAX),
}


def records_of(kind: RecordKind[Any]) -> st.SearchStrategy[Record]:
    """Records of a kind, with values in some, all or none of the fields that may be absent."""
    names = {name: NAMES[name] for name in kind.ref.__match_args__}
    values = {name: _values(kind.record, name, field) for name, field in kind.fields.items()}
    if kind.record is WorkItem:
        values |= {"args": texts, "args_chunks": st.none()}
    if kind.record is ScheduleItem:
        values |= _TIMINGS
    if kind.record is GroupItem:
        total = st.integers(0, limits.GROUP_MAX)
        values |= {
            "total": total,
            "args": texts,
            "args_chunks": st.none(),
            "context_chunks": st.none(),
        }
    return st.fixed_dictionaries({**names, **values}).map(kind.make)


def _values(record: type[Record], name: str, field: Field) -> st.SearchStrategy[Any]:
    present = BY_FORM.get(id(field.form))
    if present is None:
        present = st.sampled_from(_members(record, name))
    return present if field.required else st.just(field.absent) | present


def _members(record: type[Record], name: str) -> list[StrEnum]:
    # A choice is a form of its own for each enumeration, so its members are found by the field's
    # type.
    hints = {**get_type_hints(Spec, localns=_TYPES), **get_type_hints(record, localns=_TYPES)}
    hint = hints[name]
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and issubclass(each, StrEnum):
            return list(each)
    raise NotImplementedError(f"{record.__name__}.{name}: say how to draw it")

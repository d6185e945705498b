"""Draws hostile items and events, and the world in which they must affect nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from hypothesis import strategies as st

from tests.kit.records import NOW, POOL, TARGET, a_running_work, a_work, an_id
from tests.kit.stage import Stage
from tests.kit.world import TABLE
from workpool_aws import Workpool
from workpool_aws.adapters.items.codec import encode
from workpool_aws.adapters.wire.assignment import assignment_to_wire
from workpool_aws.adapters.wire.fields import WORKPOOL_KEY
from workpool_aws.adapters.wire.report import REPORTED
from workpool_aws.core.report.claim import assignment_of
from workpool_aws.errors import WorkpoolError
from workpool_aws.flow.watchdog.survey import survey
from workpool_aws.model.ids import EpochMs, make_id
from workpool_aws.model.loop import (
    Config,
    Entry,
    EntryKey,
    Ledger,
    LoopState,
    LoopStatus,
    MinuteReport,
    MinuteTally,
    Notice,
    NoticeKind,
    PendingCallback,
    Registration,
)
from workpool_aws.model.payload import Chunk, Part
from workpool_aws.model.record import Record
from workpool_aws.model.spec import Outcome
from workpool_aws.model.work import CallbackState, Pointer, State

__all__ = ["ITEMS", "events", "hostile_values", "records", "run_beside"]

OTHER: Final = "zebra"
RUNNING: Final = a_running_work(id=an_id(n=2), deadline=EpochMs(NOW + 90_000), started_by="gone")
PENDING: Final = a_work(id=an_id(n=3), starts=1, attempts_made=1)
OWING: Final = a_running_work(
    id=an_id(n=4),
    state=State.FINISHED,
    outcome=Outcome.FAILED,
    error="boom",
    error_type="ValueError",
    finished_at=NOW,
    on_complete=TARGET,
    callback=CallbackState.PENDING,
    context="[1]",
    dead=an_id(n=4),
)
RECORDS: Final[tuple[Record, ...]] = (
    a_work(id=an_id(n=1)),
    RUNNING,
    PENDING,
    OWING,
    Pointer(pool=POOL, at=an_id(n=5), work_id=PENDING.id),
    Notice(pool=POOL, at=an_id(n=6), work_id=RUNNING.id, start=1, kind=NoticeKind.CHECK),
    Notice(
        pool=POOL,
        at=an_id(n=7),
        work_id=OWING.id,
        start=1,
        kind=NoticeKind.FINISHED,
        callback=CallbackState.PENDING,
    ),
    Chunk(pool=POOL, work_id=RUNNING.id, part=Part.ARGS, number=0, text="{}"),
    MinuteReport(
        pool=POOL, at=an_id(n=8), tally=MinuteTally(since=NOW, succeeded=1, lags=((1, 1),))
    ),
    LoopStatus(pool=POOL, state=LoopState.IDLE, generation=3, lease_until=NOW),
    Ledger(
        pool=POOL,
        holder="gone",
        generation=3,
        version=9,
        entries={EntryKey(RUNNING.id, 1): Entry(EpochMs(NOW + 90_000), confirmed=True)},
        callbacks=(PendingCallback(OWING.id, NOW),),
        tally=MinuteTally(since=NOW, succeeded=1, lags=((1, 1),)),
    ),
    Config(
        pool=POOL, version=1, max_parallelism=2, base_by="x", base_at=NOW, epoch=1, epoch_at=NOW
    ),
    Registration(pool=POOL, registered_at=NOW),
)
ITEMS: Final[tuple[Mapping[str, Any], ...]] = tuple(encode(record) for record in RECORDS)
_NUMBERS: Final = (
    -1,
    0,
    1,
    2**31,
    10**9 - 1,
    10**9,
    10**12 - 1,
    2**48 - 1,
    2**53,
    253_402_300_799_999,
    10**38 - 1,
    -(10**38),
)
_ID = make_id(EpochMs(2**48 - 1), random_bits=3)
_TEXTS: Final = (
    *(
        "",
        "0",
        "idle",
        "running",
        "finished",
        "pending",
        "w",
        "p",
        "x" * 3_000,
        "\U0001f600",
        "\x1b[31m",
        _ID,
        an_id(n=9),
    ),
    *(
        "0:0.0.0.0:" + "111x" * 26 + "!",
        f"{_ID}:0:1:1",
        "::0",
        "9:9:9e999::j",
        '{"_workpool":1}',
        "null",
        "arn:aws:lambda:x",
    ),
)
_plain = st.one_of(
    st.sampled_from(_NUMBERS),
    st.sampled_from(_TEXTS),
    st.integers(),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
)
hostile_values = st.one_of(
    st.none(),
    _plain,
    st.lists(_plain, max_size=40),
    st.dictionaries(st.sampled_from(["M", "N", "SS", "x"]), _plain, max_size=3),
)
"""Values of attributes, as an adapter hands them over; `None` takes the attribute away."""
_keys = st.sampled_from(
    (
        *(
            "_workpool",
            "workpool_loop",
            "workpool_watchdog",
            "table",
            "pool",
            "generation",
            "version",
            "requestContext",
            "requestPayload",
        ),
        *("responsePayload", "responseContext", "condition", "work_id", "start", "x"),
    )
)
_words = st.sampled_from([TABLE, POOL, "zebra", "Success", "RetriesExhausted", *_TEXTS])
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(_NUMBERS)
    | st.integers()
    | st.floats(allow_nan=False)
    | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=20,
)
events = st.one_of(
    _json,
    st.dictionaries(
        st.sampled_from(["workpool_loop", "workpool_watchdog"]),
        st.fixed_dictionaries(
            {
                "version": st.just(1) | _json,
                "table": st.just(TABLE) | _json,
                "pool": _words,
                "generation": st.none() | _json,
            }
        ),
        min_size=1,
    ),
)
"""Events, as Lambda decodes them."""
_answers = st.one_of(
    st.none(),
    st.just(REPORTED),
    st.fixed_dictionaries(
        {
            "errorType": st.sampled_from(
                ["ReportNotWritten", "Sandbox.Timedout", "Runtime.ExitError", "NonRetryableError"]
            )
            | _json,
            "errorMessage": st.sampled_from(["workpool report sealed 0", "workpool report {}"])
            | _json,
        }
    ),
    _json,
)
_claims = st.dictionaries(
    st.sampled_from(sorted(assignment_to_wire(assignment_of(RUNNING, TABLE)))), _json, max_size=3
)
records = st.fixed_dictionaries(
    {
        "requestContext": st.fixed_dictionaries(
            {
                "condition": st.sampled_from(["Success", "RetriesExhausted", "EventAgeExceeded"])
                | _json,
                "functionArn": _json,
            }
        ),
        "requestPayload": st.fixed_dictionaries({WORKPOOL_KEY: _claims}),
        "responseContext": st.sampled_from(
            [None, {"statusCode": 200, "functionError": "Unhandled"}, {"statusCode": 429}]
        )
        | _json,
        "responsePayload": _answers,
    }
)
"""Destination records, whose assignments have what differs from a true one."""


def run_beside(damaged: list[Mapping[str, Any]]) -> None:
    """Let ten minutes pass over a pool with these items, and see that the pool beside it does its work.

    Whatever is asked of the damaged pool is answered, or refused by one of the documented errors.
    """
    stage = Stage(takes_ms=500)
    stage.place(*RECORDS)
    for item in damaged:
        stage.memory.inject(
            item["pk"],
            item["sk"],
            {name: value for name, value in item.items() if name not in {"pk", "sk"}},
        )
    other = Workpool(TABLE, OTHER, ports=stage.ports)
    before = other.enqueue_action(None, TARGET, {})
    _ask(stage)
    stage.run(600_000, watchdog=True)
    after = other.enqueue_action(None, TARGET, {})
    stage.run(120_000, watchdog=True)
    _ask(stage)
    survey(stage.ports)

    assert [other.status(None, each).outcome for each in (before, after)] == ["success", "success"]
    assert len(stage.clock.slept_ms) < 1_500, "a loop hardly rests"


def _ask(stage: Stage) -> None:
    pool = stage.pool()
    ids = [record.id for record in (RUNNING, PENDING, OWING)]
    questions = (
        lambda: pool.enqueue_action(None, TARGET, {}),
        lambda: pool.status_batch(None, ids),
        lambda: pool.list(None),
        lambda: pool.list(None, state="running"),
        lambda: pool.list(None, state="pending"),
        lambda: pool.list(None, state="dead"),
        lambda: pool.stats(None),
        lambda: pool.config(None),
        lambda: pool.cancel(None, ids[0]),
        lambda: pool.redrive(None, ids[2]),
    )
    for ask in questions:
        with suppress(WorkpoolError):
            ask()

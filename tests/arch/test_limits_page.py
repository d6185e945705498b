"""docs/limits.md: its numbers are those of the code, and no bound that users can meet is left out."""

import re
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from workpool_aws.adapters import system
from workpool_aws.adapters.aws import clients as aws
from workpool_aws.adapters.aws import invoke
from workpool_aws.core import limits
from workpool_aws.model import bounds

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\|(?P<cells>.*)\| `(?P<module>[a-z]+)\.(?P<name>[A-Z_]+)` \|$", re.MULTILINE)
MODULES: dict[str, ModuleType] = {
    "aws": aws,
    "invoke": invoke,
    "limits": limits,
    "bounds": bounds,
    "system": system,
}
QUANTITY = re.compile(r"(?P<number>[\d,.]+)(?: (?P<unit>ms|s|min|hours?|days?|KB|bytes))?\b")
IN_SECONDS = {
    "ms": 0.001,
    "s": 1,
    "min": 60,
    "hour": 3_600,
    "hours": 3_600,
    "day": 86_400,
    "days": 86_400,
}
IN_BYTES = {"KB": 1_024, "bytes": 1}
PACING = {
    "GROUP_CANCELS_A_STEP",
    "GROUP_COUNT_LATE_MS",
    "GROUP_OUTCOMES_BYTES_MAX",
    "GROUP_TRIES",
    "ANCHORED_END_MS",
    "BEATS_A_TIMEOUT",
    "BEAT_RETRY_MS",
    "BULK_PAGE",
    "HEARTBEAT_LATE_MS",
    "HEARTBEAT_MS",
    "OCCURRENCES_A_FIRE",
    "SPAWNED_A_PASS",
    "OCCURRENCES_A_STEP",
    "PROGRESS_PARTS",
    "TIMEOUT_GRACE_MS",
    "SCHEDULE_LATE_MS",
    "FENCE_TRIES",
    "SHARD_LATELY_MS",
    "SHARD_QUIET_MS",
    "SHARD_SPAN_MS",
    "SHARD_WINDOW_MS",
    "STARTS_A_FULL_SHARD",
    "STARTS_A_SHARD",
    "LOCK_KEPT_S",
    "OLD_ID_MS",
    "PROOF_S_MIN",
    "TRANSACTION_PAUSE_MS",
    "TRANSACTION_PAUSE_MS_MAX",
    "TRANSACTION_UNANSWERED_MAX",
    "ACTIVE_FOR_MS",
    "ADDRESSES_KEPT_MAX",
    "ASSIGNMENT_BYTES_MAX",
    "ATTEMPTS_BYTES_MAX",
    "ATTEMPT_TYPE_BYTES",
    "AHEAD_ALL_MS",
    "AHEAD_KEPT_MS",
    "BATCH_FIRST",
    "BATCH_PUTS_A_CONNECTION",
    "BATCH_SPREAD_MIN",
    "BUFFER_MS",
    "CALLBACK_FAILURE_TRIES",
    "CALLBACK_FRAME_BYTES_MAX",
    "CALLBACK_LOOK_FAR_MS",
    "CALLBACK_LOOK_MS",
    "CALLBACK_LOOK_STAY_MS",
    "CALLBACK_NEAR_MS",
    "RUN_FILLING_ROWS",
    "RUN_EAGER_UNITS",
    "RUN_ENDS_FEW",
    "RUN_ENDS_SOON_MS",
    "RUN_FRESH_MS",
    "RUN_LEARNED",
    "RUN_NOTICE_MS",
    "RUN_OVERTIME",
    "RUN_ROWS_MAX",
    "RUN_TIMEOUT_SHARE",
    "CALL_OFF_MARGIN_MS",
    "CANCEL_TRIES",
    "CHUNKS_MAX",
    "CHUNK_BYTES",
    "CONFIG_QUIET_EVERY_MS",
    "CONFIG_TRIES",
    "CONNECTION_IDLE_MS_MAX",
    "CURSOR_OVERLAP_MS",
    "DATE_RESOLUTION_MS",
    "DEEP_EVERY_MS",
    "FAILED_PASSES_MAX",
    "FAR_LEAD_MS",
    "FUNCTION_LIMITS_GUESSED_KEPT_MS",
    "HAND_OVER_MS",
    "INVOCATION_MS_MAX",
    "INVOKE_RETRY_MS",
    "ITEM_BYTES_MAX",
    "JOBS_KEPT_MS",
    "JOBS_MISSED_KEPT_MS",
    "LATE_MS",
    "LEASE_BELIEVED_MS",
    "LEASE_RENEW_MS",
    "LEDGER_BYTES_MIN",
    "LEDGER_HEAD_SLOTS",
    "LEDGER_OWED_BYTES",
    "LEDGER_PAGES",
    "LEDGER_PAGES_MERGED",
    "LEDGER_PAGES_STORED_MAX",
    "LEDGER_PAGE_BYTES",
    "LEDGER_PAGE_KEPT_S",
    "LEDGER_SLOT_BYTES",
    "LEDGER_UNITS_AN_ACTION",
    "LINGER_MS",
    "LIST_QUERY_MAX",
    "LOOKAHEAD_ROWS_MAX",
    "NONCE_LENGTH_MAX",
    "NUMBER_MAX",
    "POLL_ACTIVE_MAX_MS",
    "POLL_GROWTH",
    "POLL_MAX_MS",
    "POLL_MIN_MS",
    "POLL_SATURATED_MS",
    "POOL_TICK_MS_MAX",
    "PROMISE_ENTRIES_MIN",
    "PROMISE_MS",
    "QUERY_LIMIT_FIRST",
    "QUERY_LIMIT_MAX",
    "QUERY_LIMIT_MIN",
    "REBUILD_ROWS_MAX",
    "RECHECK_MS",
    "RECOVER_NEAR_MS",
    "REDRIVE_CHUNK",
    "REDRIVE_TRIES",
    "QUARANTINE_REPORTS_MAX",
    "STALLED_PASSES",
    "WAKE_AHEAD_MS",
    "STORED_CHUNK_BYTES_MAX",
    "STORED_COUNT_BELOW",
    "STORED_GENERATION_BELOW",
    "STORED_ITEM_BYTES_MAX",
    "STORED_MS_BELOW",
    "STORED_OWED_MAX",
    "STORED_SLOTS_MAX",
    "STORED_STARTS_BELOW",
    "STORED_TRIES_BELOW",
    "STORED_WORK_MS_BELOW",
    "SURVEY_MS_MAX",
    "TALLY_MS",
    "TARGETS_KEPT_MAX",
    "TICK_MS_MAX",
    "TRANSACTION_BYTES_MAX",
    "WATCHDOG_PAGE",
}
"""Bounds by which the library paces itself and cuts messages. No user meets or looks up one."""

ROWS = [
    (found["cells"].split("|")[1].strip(), found["module"], found["name"])
    for found in ROW.finditer(PAGE)
]
BOUNDS = {name for name in vars(limits) if name.isupper()}


def in_code(module: str, name: str) -> float:
    """The constant, public or not: times in seconds, sizes in bytes, all else as it is."""
    value = vars(MODULES[module]).get(name, vars(MODULES[module]).get(f"_{name}"))
    assert value is not None, f"{module} has no {name}"
    if isinstance(value, timedelta):
        return value.total_seconds()
    assert isinstance(value, int | float)
    return value / 1000 if re.search(r"_MS(_|$)", name) else value


def on_page(cell: str) -> float:
    found = QUANTITY.match(cell)
    assert found is not None, f"{cell!r} begins with no quantity"
    number, unit = float(found["number"].replace(",", "")), found["unit"]
    return number * {**IN_SECONDS, **IN_BYTES}.get(unit, 1)


def test_row_says_what_code_does() -> None:
    said = {f"{module}.{name}": on_page(cell) for cell, module, name in ROWS}

    assert said == pytest.approx(
        {f"{module}.{name}": in_code(module, name) for _, module, name in ROWS}
    )


def test_every_row_that_names_constant_is_read() -> None:
    assert len(ROWS) == len(re.findall(r"\| `[a-z]+\.[A-Z_]+` \|$", PAGE, re.MULTILINE)) > 40


def test_bounds_are_all_in_page() -> None:
    on_this_page = {name for _, module, name in ROWS if module == "limits"}

    assert BOUNDS - on_this_page == PACING, (
        "a new bound gets its row in docs/limits.md, or joins PACING"
    )
    assert on_this_page & PACING == set()


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("in chunks of 350 KB", limits.CHUNK_BYTES // 1024),
        ("less 2 KB", limits.CALLBACK_FRAME_BYTES_MAX // 1024),
        ("| 400 KB |", limits.ITEM_BYTES_MAX // 1024),
        ("| 100 items, 4 MB |", limits.TRANSACTION_ITEMS_MAX),
        (
            "four times in all",
            vars(aws.CLIENT_CONFIGS["dynamodb"])["retries"]["total_max_attempts"],
        ),
    ],
)
def test_numbers_in_text(said: str, value: int) -> None:
    found = re.search(r"\d+|four", said)

    assert said in PAGE
    assert found is not None
    assert int({"four": "4"}.get(found[0], found[0])) == value

"""docs/retries.md: its numbers are those that the decisions give."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from workpool_aws import RetryPolicy
from workpool_aws.adapters.aws.invoke import EVENT_AGE_MS_MAX
from workpool_aws.core import limits
from workpool_aws.core.loop.callbacks import first_owed, next_look, next_try
from workpool_aws.core.report.retry import backoff_ms, requeue_delay_ms, retry_delay_ms
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import PendingCallback
from workpool_aws.model.messages import Report, ReportKind
from workpool_aws.model.work import CallbackState

PAGE = (Path(__file__).parents[2] / "docs" / "retries.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())
ALMOST_ONE = 1 - 1e-9
A_WORK = WorkId("0" * 26)


def table_after(heading: str) -> list[list[str]]:
    """The rows of the first table after these words, without its head."""
    lines = iter(PAGE[PAGE.index(heading) :].splitlines())
    rows = list(_table(lines))[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _table(lines: Iterator[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if line.startswith("|"):
            inside = True
            yield line
        elif inside:
            return


def seconds(cell: str) -> int:
    number, unit = cell.split()[:2]
    assert unit == "s"
    return int(number.replace(",", ""))


def ms(number: str, unit: str) -> int:
    return round(float(number) * {"ms": 1, "s": 1000}[unit])


def test_default_policys_delays() -> None:
    policy = RetryPolicy()
    shown = []
    for retry, delay, jittered in table_after("The default policy waits:"):
        found = re.fullmatch(r"([\d.]+)(?: (ms|s))? to ([\d.]+) (ms|s)", jittered)
        assert found is not None
        low, low_unit, high, high_unit = found.groups()
        shown.append(
            (int(retry), ms(*delay.split()), ms(low, low_unit or high_unit), ms(high, high_unit))
        )

    def waits(retries: int, jitter: float) -> int:
        return backoff_ms(policy, retries=retries, jitter=jitter)

    assert shown == [
        (n + 1, waits(n, 0.5), waits(n, 0), waits(n, ALMOST_ONE))
        for n in range(policy.max_attempts - 1)
    ]


def test_timeline_of_example() -> None:
    policy = RetryPolicy(
        max_attempts=5, initial_backoff=timedelta(seconds=10), base=3, jitter=False
    )
    busy = Report(kind=ReportKind.FAILED, error="busy", error_type="ConnectionError")
    later = Report(kind=ReportKind.FAILED, error="", error_type="RetryLater", delay_ms=120_000)
    rows = table_after("attempt 5 at 280 s")

    at = 0
    for attempt, (report, lasts_s) in enumerate(
        [(busy, 0), (busy, 0), (busy, 30), (later, 0), (None, 0)], start=1
    ):
        row = rows[attempt - 1]
        assert (row[0], seconds(row[1]), seconds(row[2])) == (str(attempt), at, at + lasts_s)
        if report is None:
            assert row[4] == ""
            continue
        delay_ms = retry_delay_ms(policy, report, attempts_made=attempt, jitter=0.5)
        assert delay_ms is not None
        assert seconds(row[4].replace(",", " ,")) * 1000 == delay_ms
        at += lasts_s + delay_ms // 1000
    assert len(rows) == policy.max_attempts


def test_table_of_requeues() -> None:
    rows = table_after("## Requeue\n")
    delays = [requeue_delay_ms(n) // 1000 for n in range(limits.UNDELIVERED_MAX)]

    assert [(int(n), seconds(delay), seconds(total)) for n, delay, total in rows] == [
        (int(n), delays[int(n) - 1], sum(delays[: int(n)])) for n, _, _ in rows
    ]
    assert rows[-1][0] == str(limits.UNDELIVERED_MAX)
    assert f"The {limits.UNDELIVERED_MAX + 1}th start" in PROSE
    assert f"about {sum(delays) // 3600} hours" in PROSE


def test_refusals_before_missing_function_is_given_up() -> None:
    refused_at = [0]
    while refused_at[-1] * 1000 < limits.REFUSED_FOR_MS:
        refused_at.append(refused_at[-1] + requeue_delay_ms(len(refused_at) - 1) // 1000)
    said = ", ".join(map(str, refused_at[:-1])) + f" and {refused_at[-1]} s the two minutes"

    assert said in PROSE


def test_table_of_callbacks_tries() -> None:
    rows = table_after("| try of the loop")
    owed, at, tries = PendingCallback(A_WORK, EpochMs(0)), 0, {}
    for number in range(1, limits.CALLBACK_TRIES_MAX + 1):
        owed = next_try(owed, EpochMs(at))
        tries[str(number)] = (at // 1000, (owed.at - at) // 1000)
        at = owed.at

    assert [(number, seconds(after), seconds(wait)) for number, after, wait in rows[:-1]] == [
        (row[0], *tries[row[0]]) for row in rows[:-1]
    ]
    assert seconds(rows[-1][1]) * 1000 == at
    assert rows[-2][0] == str(limits.CALLBACK_TRIES_MAX)


def test_looks_at_sent_callback() -> None:
    window_ms, now = 906_000, EpochMs(0)
    owed: PendingCallback | None = first_owed(A_WORK, CallbackState.SENT, now)
    looks: list[str] = []
    while owed is not None and len(looks) < 4:
        looks.append(f"{owed.at / 1000:g}")
        owed = next_look(owed, window_ms=window_ms, now=owed.at)

    assert f"{', '.join(looks[:-1])} and {looks[-1]} s" in PROSE


@pytest.mark.parametrize(
    ("said", "value_ms"),
    [
        ("is kept for 5 minutes", limits.FUNCTION_LIMITS_KEPT_MS),
        ("15 minutes and six hours are assumed", limits.TIMEOUT_MS_MAX),
        ("With Lambda's own default of six hours", EVENT_AGE_MS_MAX),
        ("It acts 6 s after", limits.RECOVERY_MARGIN_MS),
        ("cannot send it within 8 s", limits.START_TO_INVOKE_MS),
        ("at most 10 s away", limits.RECOVER_NEAR_MS),
        ("doubles from 1 s", limits.REQUEUE_DELAY_MS),
        ("to 30 minutes", limits.REQUEUE_DELAY_MS_MAX),
        ("after 2 minutes of refusals", limits.REFUSED_FOR_MS),
    ],
)
def test_times_in_text(said: str, value_ms: int) -> None:
    words = {"six": 6, "two": 2}
    found = re.search(r"(\d+|six|two)\s(s|minutes?|hours?)\b", said)

    assert said in PROSE
    assert found is not None
    number = words.get(found[1]) or int(found[1])
    assert number * {"s": 1_000, "m": 60_000, "h": 3_600_000}[found[2][0]] == value_ms


def test_counts_in_text() -> None:
    assert f"requeued {limits.UNDELIVERED_MAX} times in a row" in PROSE
    assert {3: "three times in a row"}[limits.INVOKE_TRIES] in PROSE
    assert {8: "after eight requeues in a row"}[limits.UNCLAIMED_MAX] in PROSE
    assert f"is called {limits.CALLBACK_TRIES_MAX + 1} times" in PROSE

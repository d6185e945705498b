"""One-time schedules, and the watchdog's minute that skips what would do nothing."""

from collections.abc import Iterator

import pytest

from workpool_aws.local.kernel.chance import SeededChooser
from workpool_aws.local.kernel.virtual import START, VirtualKernel
from workpool_aws.local.services.schedules import (
    EmulatedSchedule,
    Precision,
    Schedules,
    WatchdogMinute,
    read_at,
)
from workpool_aws.model.ids import EpochMs

MINUTE = 60_000


@pytest.fixture
def kernel() -> Iterator[VirtualKernel]:
    kernel = VirtualKernel()
    yield kernel
    kernel.close()


def order(name: str, after_ms: int, payload: str = "{}") -> EmulatedSchedule:
    return EmulatedSchedule(
        group="g", name=name, at=EpochMs(START + after_ms), target="loop", payload=payload
    )


def make(
    kernel: VirtualKernel, precision: Precision = "exact", seed: int = 0
) -> tuple[Schedules, list[tuple[int, str]]]:
    sent: list[tuple[int, str]] = []
    return Schedules(
        kernel,
        SeededChooser(seed),
        precision,
        lambda _, payload: sent.append((kernel.now() - START, payload)),
    ), sent


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("at(2026-01-01T00:05:00)", START + 300_000),
        ("at(2026-13-01T00:05:00)", None),
        ("at(2026-01-01 00:05:00)", None),
        ("rate(1 minute)", None),
        ("", None),
    ],
)
def test_expression_is_read(expression: str, expected: int | None) -> None:
    assert read_at(expression) == expected


def test_schedule_fires_once_at_its_time_and_is_gone(kernel: VirtualKernel) -> None:
    schedules, sent = make(kernel)
    schedules.put(order("a", 90_000, "ring"))

    kernel.run(EpochMs(START + 10 * MINUTE))

    assert sent == [(90_000, "ring")]
    assert schedules.find("g", "a") is None


def test_schedule_in_past_fires_now(kernel: VirtualKernel) -> None:
    schedules, sent = make(kernel)
    schedules.put(order("a", -5_000))

    kernel.run(EpochMs(START + MINUTE))

    assert sent == [(0, "{}")]


def test_new_order_takes_place_of_old_one(kernel: VirtualKernel) -> None:
    schedules, sent = make(kernel)
    schedules.put(order("a", 1_000, "old"))
    schedules.put(order("a", 2_000, "new"))
    schedules.put(order("b", 3_000, "other"))

    kernel.run(EpochMs(START + MINUTE))

    assert sent == [(2_000, "new"), (3_000, "other")]


def test_dropped_schedule_does_not_fire(kernel: VirtualKernel) -> None:
    schedules, sent = make(kernel)
    schedules.put(order("a", 1_000))
    schedules.drop("g", "a")
    schedules.drop("g", "never there")

    kernel.run(EpochMs(START + MINUTE))

    assert sent == []


def test_schedule_fires_within_minute_as_on_aws(kernel: VirtualKernel) -> None:
    schedules, sent = make(kernel, "aws", seed=3)
    for number in range(50):
        schedules.put(order(f"s{number}", 10_000))

    kernel.run(EpochMs(START + 10 * MINUTE))

    late = [at - 10_000 for at, _ in sent]
    assert len(late) == 50
    assert min(late) >= 0
    assert max(late) < MINUTE
    assert max(late) - min(late) > MINUTE // 2


class Watch:
    """A watchdog over tables that need it from some minute on."""

    def __init__(self, kernel: VirtualKernel, needy_from: dict[str, int]) -> None:
        self.ticks: list[tuple[str, int]] = []
        self.asked = 0
        self._kernel = kernel
        self._needy_from = needy_from
        self.minute = WatchdogMinute(kernel, lambda: needy_from, self._would_act, self._tick)
        kernel.watch_jumps(self.minute.skip, MINUTE)

    def _would_act(self, table: str, at: EpochMs) -> bool:
        self.asked += 1
        return at - START >= self._needy_from[table] * MINUTE

    def _tick(self, table: str) -> None:
        self.ticks.append((table, (self._kernel.now() - START) // MINUTE))
        self._needy_from[table] = 10**9


@pytest.mark.parametrize("minute", [1, 2, 37, 60])
def test_first_tick_that_would_act_happens(kernel: VirtualKernel, minute: int) -> None:
    watch = Watch(kernel, {"t": minute})

    kernel.run(EpochMs(START + 60 * MINUTE))

    assert watch.ticks == [("t", minute)]


def test_ticks_that_would_not_act_are_skipped_cheaply(kernel: VirtualKernel) -> None:
    watch = Watch(kernel, {"t": 10**9})

    kernel.run(EpochMs(START + 366 * 24 * 60 * MINUTE))

    assert watch.ticks == []
    assert watch.asked == 1
    assert kernel.now() == START


def test_each_table_is_looked_after_when_it_needs_it(kernel: VirtualKernel) -> None:
    watch = Watch(kernel, {"early": 5, "late": 9, "never": 10**9})

    kernel.run(EpochMs(START + 60 * MINUTE))

    assert watch.ticks == [("early", 5), ("late", 9)]


def test_tick_beyond_end_of_run_waits_for_next_one(kernel: VirtualKernel) -> None:
    watch = Watch(kernel, {"t": 3})

    kernel.run(EpochMs(START + 2 * MINUTE))
    before = list(watch.ticks)
    kernel.run(EpochMs(START + 4 * MINUTE))

    assert before == []
    assert watch.ticks == [("t", 3)]

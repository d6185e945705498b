"""Number of shards of a pool, by what comes and not by what its partitions take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kit.records import NOW, a_work
from workpool_aws.core import limits
from workpool_aws.core.loop.shards import Load, shards_wanted
from workpool_aws.model.ids import EpochMs
from workpool_aws.model.work import WorkItem

PASS_MS = 100


ONE = a_work()


def due(at_ms: float, *, starts: int = 0) -> WorkItem:
    return replace(ONE, due_at=EpochMs(NOW + round(at_ms)), starts=starts)


class Passes:
    """The passes of a loop, each of which starts what it is given."""

    def __init__(self, shards: int = 1) -> None:
        self.load, self.shards, self.ms = Load(), shards, 0
        self.changes: list[tuple[int, int]] = []
        self.pass_of([])

    def pass_of(self, works: list[WorkItem]) -> None:
        now = EpochMs(NOW + self.ms)
        self.load, wanted = shards_wanted(self.load.having_started(works, now), self.shards, now)
        if wanted != self.shards:
            self.changes.append((self.ms, wanted))
        self.shards = wanted
        self.ms += PASS_MS

    def stream(self, a_second: int, *, taken: int | None = None, seconds: float) -> None:
        """Starts what comes at a steady rate, or as much of it as a full partition takes."""
        began, came = self.ms, 0
        while self.ms < began + seconds * 1_000:
            due_by = 1 + (self.ms - began) * a_second // 1_000
            most = due_by - came if taken is None else taken * PASS_MS // 1_000
            here = range(came, min(due_by, came + most))
            self.pass_of([due(began + n * 1_000 / a_second) for n in here])
            came = max(came, here.stop)


@pytest.mark.parametrize(
    ("a_second", "shards"), [(20, 1), (140, 1), (200, 2), (630, 8), (1_000, 8), (3_000, 16)]
)
def test_stream_gets_the_shards_that_it_needs_and_keeps_them(a_second: int, shards: int) -> None:
    passes = Passes()

    passes.stream(a_second, seconds=5)

    assert passes.shards == shards
    assert len(passes.changes) <= 1


@pytest.mark.parametrize(("a_second", "shards"), [(630, 8), (1_000, 8), (3_000, 16)])
def test_full_partition_does_not_hide_what_comes(a_second: int, shards: int) -> None:
    """333 starts a second are all that one partition takes, whatever comes."""
    passes = Passes()

    passes.stream(a_second, taken=333, seconds=0.9)

    assert passes.shards == shards
    assert [at for at, _ in passes.changes] == [pytest.approx(500, abs=PASS_MS)]


def test_stream_that_begins_within_a_window_grows_the_pool_within_a_second() -> None:
    passes = Passes()
    passes.stream(1, seconds=1.2)

    passes.stream(1_000, taken=333, seconds=1.0)

    assert passes.shards >= 8


def test_small_pool_grows_by_what_comes() -> None:
    """Twenty starts a second are all that its slots allow, and 600 work items come."""
    passes = Passes()

    passes.stream(600, taken=20, seconds=4)

    assert passes.shards == 4


@pytest.mark.parametrize("a_pass", [5, 30, 500])
def test_burst_lies_where_it_lies(a_pass: int) -> None:
    passes = Passes()
    for _ in range(60):
        passes.pass_of([due(0)] * a_pass)

    assert passes.shards == 1


def test_batches_that_follow_each_other_are_a_stream() -> None:
    passes = Passes()
    for second in range(7):
        passes.pass_of([due(second * 1_000)] * 1_000)
        for _ in range(9):
            passes.pass_of([])

    assert passes.shards == 8


def test_retries_count_as_starts() -> None:
    passes = Passes()
    for _ in range(40):
        passes.pass_of([due(0, starts=2)] * 20)

    assert passes.shards == 2


def test_late_work_item_hides_no_rate() -> None:
    passes = Passes()
    for pass_ms in range(0, 1_000, PASS_MS):
        passes.pass_of([due(-30_000), *(due(pass_ms + n) for n in range(100))])

    assert passes.shards >= 8


@pytest.mark.parametrize(("a_second", "shards"), [(5, 1), (200, 2)])
def test_quiet_pool_falls_to_what_it_needed_of_late(
    a_second: int, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHARD_QUIET_MS", 10_000)
    passes = Passes(shards=16)

    passes.stream(a_second, seconds=9)
    assert passes.changes == []
    passes.stream(a_second, seconds=11)

    assert [shards for _, shards in passes.changes] == [shards]


def test_steady_rate_beside_a_bound_does_not_go_up_and_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rate above what one shard is for takes two, and leaves them only below half of that."""
    monkeypatch.setattr(limits, "SHARD_QUIET_MS", 5_000)
    passes = Passes()

    passes.stream(160, seconds=20)

    assert [shards for _, shards in passes.changes] == [2]


@pytest.mark.parametrize("came_a_second", [667, 3_000])
def test_backlog_that_waits_for_slots_does_not_grow_the_pool(came_a_second: int) -> None:
    """It lies where it lies, and it came long ago."""
    passes = Passes()
    hours_ago = -3 * 3_600_000
    for number in range(200):
        passes.pass_of([due(hours_ago + 1_000 * (2 * number + n) / came_a_second) for n in (0, 1)])

    assert passes.changes == []

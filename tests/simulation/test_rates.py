"""The verdict on rate limits: windows of commits, and loops of version 0.1 beside those that count."""

from datetime import timedelta

import pytest

from tests.simulation.choosers import chooser_of
from tests.simulation.rates import RateJudge
from tests.simulation.scenario import scenario_of
from tests.simulation.world import simulate
from workpool_aws import RateLimit
from workpool_aws.model.ids import EpochMs, WorkId
from workpool_aws.model.loop import Config, Entry, EntryKey, Ledger

LIMIT = RateLimit(1, per=timedelta(seconds=5))
MIXED = 110
"""A seed in which a loop of version 0.1 makes two starts in one window, beside one that counts."""


def ledger_of(starts: int, version: int, holder: str) -> Ledger:
    keys = [EntryKey(WorkId(f"01KDVDNNZMBVWYA9KSNE7TKNJ{n}"), 1) for n in range(starts)]
    return Ledger(
        pool="a",
        holder=holder,
        generation=1,
        version=version,
        committed_by=f"commit {version}",
        entries=dict.fromkeys(keys, Entry(deadline=EpochMs(60_000))),
    )


def verdict(*, counting: bool) -> list[str]:
    """Two starts in one window, by a loop that counts or not."""
    broken: list[str] = []
    judge = RateJudge(lambda: EpochMs(1_000), lambda rule, _: broken.append(rule))
    judge.told_apart_by(lambda: counting)
    judge.config(
        Config(
            pool="a",
            version=1,
            max_parallelism=9,
            rate_limit=LIMIT,
            base_by="me",
            base_at=EpochMs(0),
        )
    )
    ledgers = [ledger_of(starts, starts, "one") for starts in range(3)]
    judge.ledger(None, ledgers[0])
    judge.ledger(*ledgers[:2])
    judge.ledger(*ledgers[1:])
    return broken


@pytest.mark.parametrize(("counting", "broken"), [(True, ["WP-33"]), (False, [])])
def test_window_counts_starts_of_loops_that_know_limit(counting: bool, broken: list[str]) -> None:
    assert verdict(counting=counting) == broken


def test_loops_of_two_versions_share_rated_pool() -> None:
    scenario = scenario_of(MIXED)
    assert scenario.two_versions
    assert scenario.rate is not None

    run = simulate(scenario, chooser_of(MIXED))

    assert run.violation is None, run.report()

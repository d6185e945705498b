"""Texts of pools for people: every figure has its line, with a dash or a word where there is none."""

from datetime import UTC, datetime

import pytest

from tests.kit.records import NO_STATS
from workpool_aws.cli.pool_texts import config_as_json, config_fields, stats_fields
from workpool_aws.core.views.stats import Stats
from workpool_aws.core.views.status import BaseLimit, LimitOverride, PoolConfig

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAID = "2026-01-02 03:04:05Z"


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        (
            Stats(
                pending=1,
                scheduled=2,
                at_least=True,
                scheduled_at_least=True,
                running=3,
                oldest_pending_s=4.25,
                executions=5,
                error_rate=0.125,
                permanent_failure_rate=0.0625,
                start_lag_p50_ms=60,
                start_lag_p95_ms=700,
            ),
            ["1", "2 or more", "3", "4.2 s", "5 in 9 min", "12.5%", "6.2%", "up to 60 ms", "up to 700 ms"],
        ),
        (
            NO_STATS,
            ["0", "0", "0", "-", "0 in 9 min", "-", "-", "-", "-"],
        ),
    ],
)  # fmt: skip
def test_stats_have_a_line_for_each_figure(stats: Stats, expected: list[str]) -> None:
    names = ["pending", "scheduled", "running", "oldest pending", "executions", "errors"]
    names += ["failed for good", "start lag p50", "start lag p95"]

    assert stats_fields(stats, 9) == list(zip(names, expected, strict=True))


def configured(
    base: BaseLimit, override: LimitOverride | None, *, slots: int, paused: bool
) -> PoolConfig:
    return PoolConfig(max_parallelism=slots, paused=paused, base=base, override=override)


DEFAULT = BaseLimit(max_parallelism=10, by=None, at=None)
SET = BaseLimit(max_parallelism=4, by="deployment", at=AT)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            configured(DEFAULT, None, slots=10, paused=False),
            ["10 at a time", "10, by the default", "none"],
        ),
        (
            configured(
                SET,
                LimitOverride(max_parallelism=7, paused=True, by="ops", at=AT),
                slots=0,
                paused=True,
            ),
            ["0 at a time (paused)", f"4, by deployment, {SAID}", f"7, paused, by ops, {SAID}"],
        ),
        (
            configured(
                SET,
                LimitOverride(max_parallelism=None, paused=True, by=None, at=None),
                slots=0,
                paused=True,
            ),
            ["0 at a time (paused)", f"4, by deployment, {SAID}", "paused, by an unnamed caller"],
        ),
        (
            configured(
                SET,
                LimitOverride(max_parallelism=7, paused=False, by="ops", at=None),
                slots=7,
                paused=False,
            ),
            ["7 at a time", f"4, by deployment, {SAID}", "7, by ops"],
        ),
    ],
)
def test_config_says_what_is_in_force_and_who_set_it(
    config: PoolConfig, expected: list[str]
) -> None:
    names = ["in force", "base", "override"]

    assert config_fields(config) == list(zip(names, expected, strict=True))


def test_config_as_json_has_every_field() -> None:
    override = LimitOverride(max_parallelism=7, paused=True, by="ops", at=AT)

    whole = config_as_json(configured(SET, override, slots=0, paused=True))
    bare = config_as_json(configured(DEFAULT, None, slots=10, paused=False))

    assert whole == {
        "max_parallelism": 0,
        "paused": True,
        "rate_limit": None,
        "base": {
            "max_parallelism": 4,
            "by": "deployment",
            "at": AT.isoformat(),
            "rate_limit": None,
        },
        "override": {
            "max_parallelism": 7,
            "paused": True,
            "by": "ops",
            "at": AT.isoformat(),
            "rate_limit": None,
            "lifts_rate_limit": False,
        },
    }
    assert bare == {
        "max_parallelism": 10,
        "paused": False,
        "rate_limit": None,
        "base": {"max_parallelism": 10, "by": None, "at": None, "rate_limit": None},
        "override": None,
    }

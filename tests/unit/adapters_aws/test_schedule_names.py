"""Names of schedules: the pool's own where it fits, else cut and with a hash, of exactly 64 characters."""

from __future__ import annotations

from hashlib import sha256

import pytest

from workpool_aws.adapters.aws.schedule_names import SCHEDULE_AHEAD_MS_MIN, schedule_name


def hash_of(plain: str) -> str:
    return sha256(plain.encode()).hexdigest()[:20]


@pytest.mark.parametrize("length", [1, 22])
def test_name_of_up_to_63_characters_is_table_and_pool(length: int) -> None:
    assert schedule_name("t" * 40, "p" * length) == f"{'t' * 40}.{'p' * length}"


@pytest.mark.parametrize(
    ("table", "pool", "readable"),
    [
        ("t" * 40, "p" * 23, f"{'t' * 40}.pp"),
        ("t" * 60, "p" * 40, "t" * 43),
        ("arn:aws:dynamodb:eu-west-1:1:table/t", "p", "arn-aws-dynamodb-eu-west-1-1-table-t.p-----"),
        ("t$", "p", f"t-.p{'-' * 39}"),
    ],
)  # fmt: skip
def test_longer_name_is_cut_and_has_hash(table: str, pool: str, readable: str) -> None:
    name = schedule_name(table, pool)

    assert name == f"{readable}-{hash_of(f'{table}.{pool}')}"
    assert len(name) == 64


def test_wake_is_minute_ahead_at_least() -> None:
    assert SCHEDULE_AHEAD_MS_MIN == 60_000

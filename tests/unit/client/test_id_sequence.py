"""Ids of one due time: they grow, and the last few due times are remembered."""

from __future__ import annotations

import pytest

from workpool_aws.api.id_sequence import IdSequence
from workpool_aws.model.ids import EpochMs, shard_of

DUE = EpochMs(1_800_000_000_000)


def due(n: int) -> EpochMs:
    return EpochMs(DUE + n)


def test_ids_of_one_due_time_grow_from_call_to_call() -> None:
    sequence = IdSequence()

    ids = [
        *sequence.take(2, DUE, random_bits=7, shards=1),
        *sequence.take(1, due(1), random_bits=7, shards=1),
        *sequence.take(2, DUE, random_bits=1, shards=1),
    ]

    of_one_time = [*ids[:2], *ids[3:]]
    assert of_one_time == sorted(set(of_one_time))


def test_last_sixty_four_due_times_are_remembered() -> None:
    """A due time that was used again counts as the latest."""
    sequence = IdSequence()
    first = {n: sequence.take(1, due(n), random_bits=1 << 60, shards=1)[0] for n in range(64)}
    again = sequence.take(1, due(0), random_bits=0, shards=1)[0]
    sequence.take(1, due(64), random_bits=0, shards=1)  # in place of the second

    forgotten, third = (sequence.take(1, due(n), random_bits=0, shards=1)[0] for n in (1, 2))

    assert again > first[0]
    assert forgotten < first[1]
    assert third < first[2]  # its place was taken by the one that was forgotten before
    assert sequence.take(1, due(3), random_bits=0, shards=1)[0] < first[3]
    assert sequence.take(1, due(63), random_bits=0, shards=1)[0] > first[63]


@pytest.mark.parametrize(("shards", "filled"), [(1, [0, 0, 0, 0]), (4, [0, 1, 2, 3])])
def test_ids_of_batch_go_round_the_shards(shards: int, filled: list[int]) -> None:
    ids = IdSequence().take(4, DUE, random_bits=0, shards=shards)

    assert [shard_of(each) for each in ids] == filled

"""Runs of a function whose transaction is committed with a move: as many as are allowed, no more."""

from __future__ import annotations

import pytest

from tests.kit.records import POOL
from tests.kit.world import World
from workpool_aws import TransactionConflict
from workpool_aws.api.anchored import AnchoredTransaction, run_anchored
from workpool_aws.api.caller import Caller
from workpool_aws.core import limits
from workpool_aws.model.writes import Put, Update


class Busy(AnchoredTransaction):
    """A transaction whose reads are always being written."""

    def commit_with(self, anchor: tuple[Update | Put, ...]) -> None:
        raise TransactionConflict("busy")


@pytest.mark.parametrize(("allowed", "runs"), [(99, limits.TRANSACTION_TRIES), (2, 3), (0, 1)])
def test_function_whose_reads_change_runs_while_it_may(allowed: int, runs: int) -> None:
    world, ran = World(), []

    with pytest.raises(TransactionConflict, match="in every run"):
        run_anchored(
            lambda: Busy(world.ports, POOL, Caller()),
            ran.append,
            lambda _: (),
            again=lambda attempt: attempt <= allowed,
        )

    assert len({id(tx) for tx in ran}) == len(ran) == runs

"""Units of what happens once: transactions, mutations, unique keys, replacements, requests.

Calls are measured in a pool that is paused and rests, so that they are the caller's own units.
Mutations are measured whole, in a busy pool. Units of the pool's table alone: each row of a user's
table adds its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Unpack

import boto3

from workpool_aws import Transaction  # noqa: TC001 - read by the decorator, from the annotation
from workpool_aws.local import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workpool_aws import RetryableOptions, Workpool

__all__ = ["MUTATION_MAX", "ROWS", "Cost", "Row", "cost_of", "cost_of_mutation"]

HOUR = timedelta(hours=1)
MUTATIONS = 200
MUTATION_MAX = (5.2, 2.0)
"""Write and read units of the pool's table for a busy mutation."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and the most that it may cost. `before` is not counted."""

    name: str
    act: Callable[[Workpool], object]
    write_units_max: float
    read_units_max: float
    before: Callable[[Workpool], object] = lambda _pool: None


@dataclass(frozen=True, slots=True)
class Cost:
    """Units of one act."""

    write_units: float
    read_units: float


def _send(event: Mapping[str, object], _context: object) -> None:
    del event


def _enqueue(pool: Workpool, **options: Unpack[RetryableOptions]) -> None:
    pool.enqueue_action(None, "send", {"to": "a@example.com"}, **options)


def _canceled(pool: Workpool) -> None:
    pool.cancel(None, pool.enqueue_action(None, "send", {"to": "x"}, unique_key="k"))


def _outbox(pool: Workpool) -> None:
    with pool.transaction(None) as tx:
        tx.put("rows", {"id": "o-1"})
        pool.enqueue_action(tx, "send", {"to": "a@example.com"})


def _keyed(pool: Workpool, **options: Unpack[RetryableOptions]) -> None:
    _enqueue(pool, unique_key="k", **options)


ROWS = (
    Row("enqueue", _enqueue, 1, 1),
    Row("order and e-mail in one transaction", _outbox, 2, 2),
    Row("enqueue with a new key", _keyed, 4, 3),
    Row("enqueue with a key used before", _keyed, 4, 4, before=_canceled),
    Row("duplicate of a key", _keyed, 0, 3, before=_keyed),
    Row(
        "replacement",
        lambda pool: _keyed(pool, on_conflict="replace", run_after=2 * HOUR),
        1,
        3,
        before=lambda pool: _keyed(pool, run_after=HOUR),
    ),
    Row(
        "replacement that is due earlier",
        lambda pool: _keyed(pool, on_conflict="replace", run_after=HOUR),
        4,
        4,
        before=lambda pool: _keyed(pool, run_after=2 * HOUR),
    ),
    Row("enqueue with a request id", lambda pool: _enqueue(pool, request_id="r"), 4, 3),
    Row(
        "repeated request",
        lambda pool: _enqueue(pool, request_id="r"),
        1,
        4,
        before=lambda pool: _enqueue(pool, request_id="r"),
    ),
    Row(
        "enqueue with a key and a request id",
        lambda pool: _keyed(pool, request_id="r"),
        6,
        4,
    ),
)


def cost_of(row: Row, seed: int) -> Cost:
    """Return the units of a call on a pool that rests."""
    with LocalCloud(engine="memory", seed=seed) as cloud:
        _create_rows()
        cloud.function(_send, name="send")
        pool = cloud.workpool("benchmark")
        pool.configure(None, paused=True)
        _enqueue(pool)
        row.before(pool)
        cloud.advance(timedelta(minutes=3))
        before = cloud.capacity
        row.act(pool)
        after = cloud.capacity
    return Cost(after.write_units - before.write_units, after.read_units - before.read_units)


def cost_of_mutation(seed: int, mutations: int = MUTATIONS) -> Cost:
    """Return the units of a whole mutation that changes two rows."""
    with LocalCloud(engine="memory", seed=seed, call_latency=timedelta(milliseconds=5)) as cloud:
        _create_rows()
        pool = cloud.workpool("benchmark", max_parallelism=50)

        @pool.mutation
        def move(tx: Transaction, number: int) -> None:
            for side in "ab":
                tx.update("rows", {"id": f"{side}{number}"}, add={"n": 1})

        cloud.function(move, takes=timedelta(milliseconds=300))
        move.enqueue_batch(None, [{"number": number} for number in range(mutations)])
        cloud.run_until_idle()
        spent = cloud.capacity
    return Cost(spent.write_units / mutations, spent.read_units / mutations)


def _create_rows() -> None:
    boto3.client("dynamodb").create_table(
        TableName="rows",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )

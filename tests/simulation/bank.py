"""Transfers by several callers and workers under faults: the money stays, and what was learned stays true.

    python -m tests.simulation.bank --count 2000       seeds; the exit code is 1 if one fails
    python -m tests.simulation.bank --first 31 --count 1

Each caller writes a mark with its transfer, and every other one enqueues a work item with it. Each
mutation counts itself with its transfer, and so does the handler of its callback, which enqueues a
work item. At the end the marks are compared with what the callers learned [WP-9], the work items with
the marks, and the counts with the successes and the deliveries [WP-15].
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError, HTTPClientError

from workpool_aws import (
    NotKicked,
    OnCompleteEvent,
    RetryPolicy,
    Status,
    StoreUnavailable,
    Transaction,
    TransactionCanceled,
    TransactionConflict,
    Workpool,
)
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault, Faults

NAMES: Final = ("a", "b", "c")
CALLERS: Final = 8
PAYERS: Final = 6
MUTATIONS: Final = 4
AT_CALLS: Final = (
    Fault.WRITE_LATE,
    Fault.WRITE_LOST,
    Fault.ANSWER_LOST,
    Fault.CONFLICT,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.FROZEN,
)


class Bank:
    """One simulated run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"bank {seed}")
        kinds = {Fault.WRITE_LATE, *self.chance.sample(AT_CALLS, self.chance.choice((0, 1, 2)))}
        rate = self.chance.choice((0.3, 0.6))
        faults = Faults(
            rates={kind: rate for kind in Fault if kind in kinds},
            aim=self.chance.choice(("transact", "transact", "transact", "")),
            budget=self.chance.choice((6, 12, 20)),
            until=timedelta(seconds=90),
            skewed_clocks=self.chance.random() < 0.5,
        )
        self.cloud = LocalCloud(
            engine="memory", seed=seed, faults=faults, call_latency=timedelta(milliseconds=5)
        )
        self.learned: dict[str, bool] = {}
        self.open: dict[str, Transaction] = {}
        self.ran: Counter[str] = Counter()

    def play(self) -> None:
        self._deploy()
        kernel = self.cloud._open.kernel
        kernel.spawn("noise", self._make_noise)
        for number in range(CALLERS):
            kernel.spawn(f"caller#{number}", partial(self._call, f"mark-{number}", number))
        self.cloud.advance(timedelta(minutes=4))
        for mark, tx in self.open.items():
            self.learned[mark] = tx.resolve()
        self.cloud.advance(timedelta(minutes=11))
        self._judge_children()
        # A caller may have died before its request landed late: the hourly audit finds that.
        self.cloud.advance(timedelta(minutes=45, seconds=30))
        tick = {"workpool_watchdog": {"table": self.cloud.table}}
        self.cloud.invoke(self.cloud.watchdog_arn, tick)
        self.cloud.run_until_idle(timedelta(days=1))

    def _deploy(self) -> None:
        self.accounts: Any = boto3.resource("dynamodb").create_table(
            TableName="accounts",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        for name in NAMES:
            self.accounts.put_item(Item={"id": name, "balance": 100})
        self.pool: Workpool = self.cloud.workpool("bank", max_parallelism=2)

        def note(event: Any, context: object) -> None:
            self.ran[event["mark"]] += 1

        self.note = self.cloud.function(note, name="note")
        pay = self.pool.mutation(retry=RetryPolicy(max_attempts=9))(self._mutate)
        self.cloud.function(pay)
        paid = self.cloud.function(self.pool.on_complete(self._paid))
        self.mutations = [
            pay.with_options(on_complete=paid, context=number).enqueue(
                None, mark=f"mutation-{number}"
            )
            for number in range(MUTATIONS)
        ]

    def _mutate(self, tx: Transaction, mark: str) -> str:
        """Count itself: a second commit would be seen, whatever it moves."""
        self._transfer(tx, 3)
        tx.update("accounts", {"id": mark}, add={"times": 1})
        self.pool.enqueue_action(tx, self.note, {"mark": f"{mark}-next"})
        return mark

    def _paid(self, event: OnCompleteEvent, tx: Transaction) -> None:
        tx.update("accounts", {"id": f"paid-{event.context}"}, add={"times": 1})
        self.pool.enqueue_action(tx, self.note, {"mark": f"paid-{event.context}-next"})

    def _make_noise(self) -> None:
        """Move most of the money of one account away and back, so that conditions hold at times."""
        client = boto3.client("dynamodb")
        for number in range(24):
            self.cloud._open.kernel.sleep(self.chance.choice((500, 3_000, 9_000)))
            rich, poor = ("a", "c") if number % 2 == 0 else ("c", "a")
            moves: list[Any] = [
                {
                    "Update": {
                        "TableName": "accounts",
                        "Key": {"id": {"S": name}},
                        "UpdateExpression": "ADD balance :n",
                        "ConditionExpression": "balance >= :least",
                        "ExpressionAttributeValues": {
                            ":n": {"N": str(amount)},
                            ":least": {"N": str(max(0, -amount))},
                        },
                    }
                }
                for name, amount in ((rich, -90), (poor, 90))
            ]
            with contextlib.suppress(ClientError, HTTPClientError):
                client.transact_write_items(TransactItems=moves)

    def _pay(self, tx: Transaction, mark: str, amount: int) -> None:
        """As `_transfer`, by conditions in place of reads: what was refused may hold later."""
        enough = Attr("balance").gte(amount)
        tx.update("accounts", {"id": "a"}, add={"balance": -amount}, condition=enough)
        tx.update("accounts", {"id": "b"}, add={"balance": amount})
        tx.put("accounts", {"id": mark}, condition=Attr("id").not_exists())

    def _transfer(self, tx: Transaction, amount: int) -> None:
        source, target = self.chance.sample(NAMES, 2)
        rich = tx.get("accounts", {"id": source})
        poor = tx.get("accounts", {"id": target})
        assert rich is not None
        assert poor is not None
        if rich["balance"] < amount:
            raise ValueError("too little")
        tx.update("accounts", {"id": source}, set={"balance": rich["balance"] - amount})
        tx.update("accounts", {"id": target}, set={"balance": poor["balance"] + amount})

    def _call(self, mark: str, number: int) -> None:
        self.cloud._open.kernel.sleep(self.chance.choice((0, 50, 3_000, 20_000)))
        tx = self.pool.transaction(None)
        try:
            with tx:
                if number < PAYERS:
                    self._pay(tx, mark, 15)
                else:
                    self._transfer(tx, 1 + number)
                    tx.put("accounts", {"id": mark}, condition=Attr("id").not_exists())
                if number % 2:
                    self.pool.enqueue_action(tx, self.note, {"mark": mark})
        except (TransactionCanceled, TransactionConflict, ValueError):
            self.learned[mark] = False
        except NotKicked:
            self.learned[mark] = True
        except StoreUnavailable as error:
            if error.maybe_applied:
                self.open[mark] = tx
            else:
                self.learned[mark] = False
        else:
            self.learned[mark] = True

    def _judge_children(self) -> None:
        """Work items that mutations and handlers enqueued have run, long before any audit [WP-20]."""
        owed = {
            f"{mark}-next"
            for number, status in enumerate(self.pool.status_batch(None, self.mutations))
            for mark, happened in self._effects_of(number, status).items()
            if happened
        }
        _check("what runs without an audit", owed - set(self.ran), set())

    def _effects_of(self, number: int, status: Status) -> dict[str, bool]:
        return {
            f"mutation-{number}": status.outcome == "success",
            f"paid-{number}": status.callback == "delivered",
        }

    def judge(self) -> None:
        """Compare the end with what was learned. Raises AssertionError."""
        items = {each["id"]: each for each in self.accounts.scan(ConsistentRead=True)["Items"]}
        balances = [int(items[name]["balance"]) for name in NAMES]
        _check("the money", (sum(balances), min(balances) >= 0), (300, True))
        _check("what was learned", self.learned, {mark: mark in items for mark in self.learned})
        owed = {f"mark-{number}" for number in range(1, CALLERS, 2)} & items.keys()
        for number, status in enumerate(self.pool.status_batch(None, self.mutations)):
            for mark, happened in self._effects_of(number, status).items():
                times = int(items[mark]["times"]) if mark in items else 0
                _check(f"effects of {mark}", times, int(happened))
                owed |= {f"{mark}-next"} if happened else set()
        _check("the work items that ran", set(self.ran), owed)


def _check(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: {found}, not {wanted}")


def failure_of(seed: int) -> str | None:
    """Return the fault found after the run of a seed; `None` means none."""
    bank = Bank(seed)
    with bank.cloud:
        try:
            bank.play()
            bank.judge()
        except AssertionError as error:
            return str(error)
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run seeds, print those that fail, and return 1 if one did."""
    parser = argparse.ArgumentParser(prog="bank", description="Run banks under faults.")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    asked = parser.parse_args(argv)
    failed = 0
    for seed in range(asked.first, asked.first + asked.count):
        what = failure_of(seed)
        if what is not None:
            failed += 1
            sys.stdout.write(f"seed {seed}: {what}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{asked.count} seeds from {asked.first} on, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Transfers by several callers and workers under faults: the money stays, and what was learned stays true.

Each caller writes a mark with its transfer, and every other one enqueues a work item with it. At the
end the marks are compared with what the callers learned [WP-9], the work items with the marks, and
those of mutations with their successes [WP-15].
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any, Final

import boto3
import pytest
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError, HTTPClientError

from workpool_aws import (
    NotKicked,
    RetryPolicy,
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
        # A caller may have died before its request landed late: the hourly audit finds that.
        self.cloud.advance(timedelta(minutes=56, seconds=30))
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
        self.mutations = pay.enqueue_batch(
            None, [{"mark": f"mutation-{number}"} for number in range(MUTATIONS)]
        )

    def _mutate(self, tx: Transaction, mark: str) -> str:
        self._transfer(tx, mark, 3)
        return mark

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

    def _transfer(self, tx: Transaction, mark: str, amount: int) -> None:
        source, target = self.chance.sample(NAMES, 2)
        rich = tx.get("accounts", {"id": source})
        poor = tx.get("accounts", {"id": target})
        assert rich is not None
        assert poor is not None
        if rich["balance"] < amount:
            raise ValueError("too little")
        tx.update("accounts", {"id": source}, set={"balance": rich["balance"] - amount})
        tx.update("accounts", {"id": target}, set={"balance": poor["balance"] + amount})
        tx.put("accounts", {"id": mark}, condition=Attr("id").not_exists())

    def _call(self, mark: str, number: int) -> None:
        self.cloud._open.kernel.sleep(self.chance.choice((0, 50, 3_000, 20_000)))
        tx = self.pool.transaction(None)
        try:
            with tx:
                if number < PAYERS:
                    self._pay(tx, mark, 15)
                else:
                    self._transfer(tx, mark, 1 + number)
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

    def judge(self) -> None:
        items = {each["id"]: each for each in self.accounts.scan(ConsistentRead=True)["Items"]}
        balances = [int(items[name]["balance"]) for name in NAMES]
        assert (sum(balances), min(balances) >= 0) == (300, True)
        applied = {mark: mark in items for mark in self.learned}
        assert applied == self.learned
        enqueued = {f"mark-{number}" for number in range(1, CALLERS, 2)}
        assert set(self.ran) == enqueued & items.keys()
        for number, work_id in enumerate(self.mutations):
            succeeded = self.pool.status(None, work_id).outcome == "success"
            assert (f"mutation-{number}" in items) == succeeded


@pytest.mark.parametrize("seed", range(10))
def test_money_stays_and_what_callers_learned_is_true(seed: int) -> None:
    bank = Bank(seed)
    with bank.cloud:
        bank.play()
        bank.judge()

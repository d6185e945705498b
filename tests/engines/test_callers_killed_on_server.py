"""Transactions of real processes that are killed meanwhile: the money stays, and a row exists exactly with its work item [WP-9]."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.emulator.server import ACCESS_KEY, REGION, ROOT, SECRET_KEY
from tests.kit.seeds import fresh_seed
from workpool_aws import Workpool
from workpool_aws.adapters.dynamodb.table import create_table

pytestmark = pytest.mark.server

NAMES = ("a", "b", "c")
CALLERS = 4
KILLS = 12
WITHIN_S = 120

CALLER = """
import itertools, random, sys
from boto3.dynamodb.conditions import Attr
from workpool_aws import Workpool, WorkpoolError

caller, pool = sys.argv[1], Workpool("killed", "bank")

def transfer(tx, mark):
    source, target = random.sample("abc", 2)
    rich, poor = tx.get("bank", {"id": source}), tx.get("bank", {"id": target})
    amount = min(7, int(rich["cents"]))
    tx.update("bank", {"id": source}, set={"cents": rich["cents"] - amount})
    tx.update("bank", {"id": target}, set={"cents": poor["cents"] + amount})
    work = pool.enqueue_action(tx, "never-run", {"mark": mark})
    tx.put("bank", {"id": mark, "work": work}, condition=Attr("id").not_exists())

for number in itertools.count():
    mark = f"mark-{caller}-{number}"
    try:
        pool.run_transaction(transfer, mark)
    except WorkpoolError as error:
        print("not", mark, type(error).__name__, getattr(error, "applied", False), flush=True)
    else:
        print("applied", mark, flush=True)
"""


@pytest.fixture
def bank(ministack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The table of a user, in an account with a table of pools."""
    for name, value in {
        "AWS_ENDPOINT_URL": ministack.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    create_table(boto3.client("dynamodb"), "killed")
    table = boto3.resource("dynamodb").create_table(
        TableName="bank",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    for name in NAMES:
        table.put_item(Item={"id": name, "cents": 100})
    yield table
    for name in ("killed", "bank"):
        boto3.client("dynamodb").delete_table(TableName=name)


def started(caller: int, log: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CALLER, str(caller)]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL, cwd=ROOT)


def balances() -> list[int]:
    """All accounts at one moment, as another program reads them."""
    keys = [{"Get": {"TableName": "bank", "Key": {"id": {"S": name}}}} for name in NAMES]
    answer = boto3.client("dynamodb").transact_get_items(TransactItems=keys)
    return [int(each["Item"]["cents"]["N"]) for each in answer["Responses"]]


def until(enough: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not enough():
        assert time.monotonic() < end, "the callers make no progress"
        time.sleep(0.02)


@pytest.mark.parametrize("seed", [fresh_seed()])
def test_killed_callers_leave_all_of_a_transaction_or_nothing(
    bank: Any, tmp_path: Any, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "log"
    with path.open("ab") as log:
        callers = [started(number, log) for number in range(CALLERS)]
        try:
            for kill in range(KILLS):
                said = path.stat().st_size
                until(lambda said=said: path.stat().st_size > said)
                time.sleep(chance.random() * 0.05)
                victim = chance.randrange(CALLERS)
                callers[victim].send_signal(signal.SIGKILL)
                callers[victim].wait()
                callers[victim] = started(CALLERS + kill, log)
                assert (sum(balances()), min(balances()) >= 0) == (300, True)
        finally:
            for each in callers:
                each.kill()
                each.wait()

    items = {str(each["id"]): each for each in bank.scan(ConsistentRead=True)["Items"]}
    marks = {name: str(each["work"]) for name, each in items.items() if name not in NAMES}
    said_lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    pool = Workpool("killed", "bank")
    assert len(marks) >= KILLS // 2
    assert sum(balances()) == 300
    assert {line[1] for line in said_lines if line[0] == "applied"} <= marks.keys()
    assert not {line[1] for line in said_lines if line[0] == "not" and line[3] == "False"} & set(
        marks
    )
    assert {status.state for status in pool.status_batch(None, list(marks.values()))} == {"pending"}
    assert stored_works() == set(marks.values())


def stored_works() -> set[str]:
    """The ids of all work items of the pool, as they lie in its table."""
    items = boto3.resource("dynamodb").Table("killed").scan(ConsistentRead=True)["Items"]
    return {each["sk"] for each in items if each["pk"].startswith("bank#work#") and "s" in each}

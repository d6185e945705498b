"""The application of the tutorial, deployed as its page says, takes an order and does all that follows."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.e2e import deployment
from tests.e2e.waiting import once
from tests.emulator.server import ROOT, MiniStack
from workpool_aws import Workpool

BOOK = {"id": "7", "email": "ann@example.com", "cents": 1290}


@pytest.fixture(scope="module")
def bookshop(cloud: MiniStack) -> dict[str, str]:
    return deployment.deploy_project(cloud, ROOT / "examples" / "bookshop", "Bookshop")


def test_order_is_charged_shipped_and_confirmed(
    cloud: MiniStack, bookshop: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployment.account(cloud).items():
        monkeypatch.setenv(name, value)
    orders = Workpool(bookshop["Table"], "orders")
    mail = Workpool(bookshop["Table"], "mail")
    # The watchdog's first tick brings the names of the jobs.
    once(lambda: orders.jobs(None), lambda jobs: len(jobs) == 7)

    answer = boto3.client("lambda").invoke(
        FunctionName=bookshop["WebFunction"], Payload=json.dumps(BOOK).encode()
    )
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said

    once(lambda: orders.status(None, said["work_id"]).outcome == "success")
    assert orders.result(None, said["work_id"]).return_value == "receipt-7"
    once(lambda: finished(orders) >= {"charge", "ship"})
    once(lambda: finished(mail) == {"send_confirmation", "send_invoice"})
    waiting = mail.list(None, state="pending").items
    assert [each.job for each in waiting] == ["ask_for_review"]


def finished(pool: Workpool) -> set[str | None]:
    """The jobs that succeeded."""
    items = pool.list(None, state="finished").items
    return {each.job for each in items if each.outcome == "success"}

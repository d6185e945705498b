"""The application of the tutorial takes an order and does all that follows, deployed as its page says and by the plain template."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest

from tests.e2e import deployment, plain
from tests.e2e.waiting import once
from tests.emulator.server import ROOT, MiniStack
from workpool_aws import Workpool
from workpool_aws.cli.main import main

BOOK = {"id": "7", "email": "ann@example.com", "cents": 1290}

Bookshop = tuple[str, str]
"""The table, and the function of the website."""


@pytest.fixture(scope="module", params=["cdk", "plain template"])
def bookshop(request: pytest.FixtureRequest, cloud: MiniStack) -> Iterator[Bookshop]:
    with pytest.MonkeyPatch.context() as patched:
        for name, value in deployment.account(cloud).items():
            patched.setenv(name, value)
        if request.param == "cdk":
            made = deployment.deploy_project(cloud, ROOT / "examples" / "bookshop", "Bookshop")
            yield made["Table"], made["WebFunction"]
        else:
            shop = plain.deploy(cloud, plain.of_bookshop())
            yield shop.table, shop.functions["web"]


def test_order_is_charged_shipped_and_confirmed(bookshop: Bookshop) -> None:
    table, web = bookshop
    orders, mail = Workpool(table, "orders"), Workpool(table, "mail")
    # The watchdog's first tick brings the names of the jobs.
    once(lambda: orders.jobs(None), lambda jobs: len(jobs) == 7)

    answer = boto3.client("lambda").invoke(FunctionName=web, Payload=json.dumps(BOOK).encode())
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said

    once(lambda: orders.status(None, said["work_id"]).outcome == "success")
    assert orders.result(None, said["work_id"]).return_value == "receipt-7"
    assert (orders.config(None).max_parallelism, mail.config(None).max_parallelism) == (20, 5)
    once(lambda: finished(orders) >= {"charge", "ship"})
    once(lambda: finished(mail) == {"send_confirmation", "send_invoice"})
    waiting = mail.list(None, state="pending").items
    assert [each.job for each in waiting] == ["ask_for_review"]
    assert main(["doctor", "--table", table]) == 0


def finished(pool: Workpool) -> set[str | None]:
    """The jobs that succeeded."""
    items = pool.list(None, state="finished").items
    return {each.job for each in items if each.outcome == "success"}

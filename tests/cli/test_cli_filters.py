"""`workpool ls`: the same filters as a list of the dashboard."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws import Workpool
from workpool_aws.cli.main import main
from workpool_aws.local import LocalCloud


def charge(event: dict[str, int], _: object) -> None:
    if event["order"] % 2:
        raise PermissionError(f"card of order {event['order']} was declined")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workpool]:
    with LocalCloud() as cloud:
        monkeypatch.setenv("WORKPOOL_TABLE", cloud.table)
        pool = cloud.workpool()
        arn = cloud.function(charge)
        pool.enqueue_action_batch(None, arn, [{"order": n} for n in range(4)])
        cloud.advance(timedelta(hours=1))
        pool.enqueue_action(None, arn, {"order": 40})
        cloud.run_until_idle()
        yield pool


@pytest.mark.parametrize(
    ("options", "orders"),
    [
        ([], [0, 1, 2, 3, 40]),
        (["--newest", "--limit", "2"], [40, 3]),
        (["--error", "DECLINED"], [1, 3]),
        (["--error", "permissionerror", "--state", "failed"], [1, 3]),
        (["--state", "success"], [0, 2, 40]),
        (["--contains", '"order":4'], [40]),
        (["--since", "30m"], [40]),
        (["--before", "2026-01-01T00:30"], [0, 1, 2, 3]),
        (["--before", "2026-01-01T00:30+00:00", "--state", "dead"], [1, 3]),
    ],
)
def test_ls_lists_by_every_filter(
    pool: Workpool, options: list[str], orders: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", "--json", *options]) == 0

    items = json.loads(capsys.readouterr().out)["items"]
    args: list[Any] = [pool.show(None, each["work_id"], args=True).args.value for each in items]
    assert [each["order"] for each in args] == orders


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", "soon"], "--since must be an ISO time, or a span before now"),
        (["--before", "99999999d"], "--before must be"),
        (["--contains", ""], "args_contain must be None, or 1 to 1000 characters"),
        (["--after", "nonsense"], "after must be"),
    ],
)
def test_ls_refuses_filter_that_is_none(
    pool: Workpool, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", *options]) == 2
    assert said in capsys.readouterr().err

"""The peer's rows of `cancel_all`, in a calm and in storms: everything from before it, page by page, and nothing from after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.peer.conftest import STORMS, OpenCloud
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.local.faults.faults import Fault

ALL = pytest.mark.parametrize("open_cloud", ["calm", *STORMS], indirect=True)
HOUR = timedelta(hours=1)


def note(event: dict[str, Any], _: object) -> int:
    n: int = event["n"]
    return n


@ALL
@pytest.mark.peer("LB09")
def test_works_that_are_due_later_are_canceled(cloud: LocalCloud) -> None:
    pool = cloud.workpool("email")
    fn = cloud.function(note)
    ids = [pool.enqueue_action(None, fn, {"n": n}, run_after=n * HOUR) for n in (1, 2, 3)]

    pool.cancel_all(None)
    asked = [status.cancel_requested for status in pool.status_batch(None, ids)]
    cloud.run_until_idle(timeout=5 * HOUR)

    assert asked == [True] * 3
    assert [status.outcome for status in pool.status_batch(None, ids)] == ["canceled"] * 3
    assert cloud.invocations(fn) == []


@ALL
@pytest.mark.peer("LB10")
def test_cancel_all_goes_on_page_by_page_after_crashes_and_spares_later_work(
    open_cloud: OpenCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BULK_CANCEL_ROWS", 50)
    cloud = open_cloud({Fault.LOOP_LOST: 0.5}, budget=4)
    pool = cloud.workpool("email", max_parallelism=50)
    fn = cloud.function(note)
    count = 2 * limits.BULK_CANCEL_ROWS + 7
    pool.configure(None, paused=True)
    before = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(count)], run_after=HOUR)

    pool.cancel_all(None)
    after = pool.enqueue_action_batch(None, fn, [{"n": -n} for n in (1, 2, 3)], run_after=HOUR)
    pool.configure(None, paused=False)
    cloud.run_until_idle(timeout=5 * HOUR)

    outcomes = [status.outcome for status in pool.status_batch(None, [*before, *after])]
    assert outcomes == ["canceled"] * count + ["success"] * 3
    assert {each.event["n"] for each in cloud.invocations(fn)} == {-1, -2, -3}

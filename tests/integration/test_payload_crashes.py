"""Large payloads when something goes wrong at any one call: a process that dies there, or an answer that never comes.

Whatever happens: what was acknowledged runs and keeps its result [WP-3], no chunk is without its
work, and no chunk outlives it [WP-10].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import pytest

from workpool_aws import RetryPolicy, StoreUnavailable, WorkId
from workpool_aws.core import limits
from workpool_aws.local import LocalCloud
from workpool_aws.local.kernel.kernel import Crashed, Task
from workpool_aws.model.ids import EpochMs

T = TypeVar("T")

ARGS = {"text": "a" * 5_000}
RESULT = "r" * 17_000
STORE_CALLS = ("get ", "put ", "update ", "transact ", "query ", "delete ")


@dataclass
class OneFault:
    """The n-th call of the processes of one function goes wrong, once.

    `how`: "dies before", "dies after", "no answer".
    """

    function: str
    how: str
    at: int
    seen: int = 0
    label: str | None = None
    dead: list[Task] = field(default_factory=list)

    def around(self, task: Task, label: str, apply: Callable[[], T], *, writes: bool) -> T:
        process = task.process or task
        if process in self.dead:
            task.killed = True
            raise Crashed
        if (
            self.label is not None
            or not process.name.startswith(f"{self.function}#")
            or not label.startswith(STORE_CALLS)
        ):
            return apply()
        self.seen += 1
        if self.seen < self.at:
            return apply()
        self.label = label
        if self.how != "dies before":
            apply()
        if self.how == "no answer":
            raise StoreUnavailable(f"no answer to {label}")
        self.dead.append(process)
        process.killed = process.crashed = task.killed = True
        raise Crashed


@pytest.fixture(autouse=True)
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks of arguments and nine of a result, of a size that keeps the sweep short."""
    monkeypatch.setattr(limits, "CHUNK_BYTES", 2_000)
    monkeypatch.setattr(limits, "CHUNKS_MAX", 9)


@dataclass
class Story:
    """The remains of one run."""

    fault: OneFault
    outcomes: list[str | None]
    acknowledged: list[WorkId]
    items: list[dict[str, Any]]
    after_expiry: list[dict[str, Any]]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [item for item in self.items if "#payload#" in item["pk"]]


def play(fault: OneFault, *, cancel: bool = False, lost: float = 0.0) -> Story:
    """Run one work item to its end and its expiry.

    A Lambda enqueues it, and tries until it has an answer.
    """
    with LocalCloud(
        engine="memory", call_latency=timedelta(milliseconds=5), lost_destinations=lost
    ) as cloud:
        kernel = cloud._open.kernel
        kernel._faults = fault
        pool = cloud.workpool(max_parallelism=2, status_ttl=timedelta(hours=1))
        acknowledged: list[WorkId] = []
        retry = RetryPolicy(max_attempts=5)

        @pool.action
        def worker(text: str) -> str:
            assert text == ARGS["text"]
            return RESULT

        fn = cloud.function(worker, name="worker", timeout=timedelta(seconds=10))

        def caller(event: dict[str, Any], context: Any) -> None:
            delay = timedelta(minutes=10) if cancel else None
            work_id = pool.enqueue_action(context, fn, ARGS, retry=retry, run_after=delay)
            acknowledged.append(work_id)
            if cancel:
                assert pool.cancel(context, work_id) == "canceled"

        cloud.invoke(
            cloud.function(caller, name="caller", retries=2, event_age=timedelta(hours=1)), {}
        )
        cloud.run_until_idle(timeout=timedelta(hours=6))
        store = cloud._engine_open.quiet(cloud.table)._store
        outcomes = [pool.status(None, work_id).outcome for work_id in acknowledged]
        if not cancel:
            assert {pool.result(None, work_id).return_value for work_id in acknowledged} == {
                RESULT
            }, fault
        items = list(store.scan())
        store.expire(EpochMs(kernel.now() + 30 * 24 * 3_600_000))
        return Story(
            fault,
            outcomes,
            acknowledged,
            items,
            [item for item in store.scan() if "#control" not in item["pk"]],
        )


def sweep(function: str, how: str, *, cancel: bool = False, lost: float = 0.0) -> Iterator[Story]:
    """Every call of a function's processes goes wrong once, one a run, until there is no such call."""
    for at in count(1):
        fault = OneFault(function, how, at)
        story = play(fault, cancel=cancel, lost=lost)
        if fault.label is None:
            assert at > 2, f"{function} made no calls"
            return
        yield story


def check(story: Story) -> None:
    told = (
        f"call {story.fault.at} of {story.fault.function} ({story.fault.label}) {story.fault.how}"
    )
    works = {
        item["sk"]: item for item in story.items if "#work#" in item["pk"] and item["t"] == "w"
    }
    for work_id, work in works.items():
        expected = [f"args/{n}" for n in range(work["ac"])] + [
            f"result/{n}" for n in range(work.get("rc", 0))
        ]
        mine = {chunk["sk"]: chunk for chunk in story.chunks if chunk["pk"].endswith(work_id)}
        assert sorted(mine) == expected, told
        assert work["s"] == "finished", told
        assert all(
            abs(chunk["expires_at"] - work["expires_at"]) <= 3_600 for chunk in mine.values()
        ), told
    assert {chunk["pk"].rpartition("#")[2] for chunk in story.chunks} <= set(works), told
    assert [
        item for item in story.after_expiry if "#payload#" in item["pk"] or "#work#" in item["pk"]
    ] == [], told


@pytest.mark.parametrize("how", ["dies before", "dies after", "no answer"])
@pytest.mark.parametrize("function", ["caller", "worker", "workpool-loop"])
def test_call_that_goes_wrong_loses_nothing_and_leaves_nothing(function: str, how: str) -> None:
    for story in sweep(function, how):
        check(story)
        assert story.acknowledged, story.fault
        assert set(story.outcomes) == {"success"}, story.fault


@pytest.mark.parametrize("how", ["dies before", "dies after", "no answer"])
def test_recovery_finds_what_no_destination_reports(how: str) -> None:
    for story in sweep("worker", how, lost=1.0):
        check(story)
        assert set(story.outcomes) == {"success"}, story.fault


@pytest.mark.parametrize("how", ["dies before", "dies after", "no answer"])
def test_cancel_that_goes_wrong_leaves_nothing(how: str) -> None:
    for story in sweep("caller", how, cancel=True):
        check(story)
        assert set(story.outcomes) <= {"canceled", "success"}, story.fault

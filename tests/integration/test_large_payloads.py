"""Arguments and results too large for a work item's own item, through the public interface."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.kit.functions import table_of
from workpool_aws import NotFound, PayloadTooLarge, RetryPolicy, Work
from workpool_aws.local import LocalCloud
from workpool_aws.model.ids import WorkId
from workpool_aws.model.payload import Chunk, Part
from workpool_aws.model.refs import ChunkRef

SIZES = [4_000, 5_000, 100_000, 400_000, 921_600 - len('{"text":""}')]
MOST = 921_600

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)


@pytest.fixture
def memory() -> Iterator[LocalCloud]:
    with LocalCloud(engine="memory") as cloud:
        yield cloud


def chunk_of(cloud: LocalCloud, work_id: str, part: Part, number: int = 0) -> Chunk | None:
    stored = table_of(cloud).get(ChunkRef("default", WorkId(work_id), part, number))
    assert stored is None or isinstance(stored, Chunk)
    return stored


def echo(text: str) -> str:
    return text


@both_engines
@pytest.mark.parametrize("decorated", [True, False], ids=["decorated", "undecorated"])
def test_arguments_of_any_size_arrive_whole(cloud: LocalCloud, decorated: bool) -> None:
    pool = cloud.workpool()
    seen: list[str] = []

    def note(text: str) -> int:
        seen.append(text)
        return len(text)

    fn = cloud.function(
        pool.action(note) if decorated else lambda event, _: note(event["text"]), name="note"
    )
    texts = [f"{size}" + "é" * (size // 2 - 8) for size in SIZES]

    ids = pool.enqueue_action_batch(None, fn, [{"text": text} for text in texts])
    cloud.run_until_idle()

    assert sorted(seen) == sorted(texts)
    assert [pool.result(None, work_id).return_value for work_id in ids] == [
        len(text) for text in texts
    ]


def test_results_of_any_size_come_back_whole(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    fn = cloud.function(pool.action(lambda n: "€" * n), name="make")
    sizes = [5_000, 6_000, 200_000, (MOST - 2) // 3]

    ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in sizes])
    cloud.run_until_idle()

    assert [pool.result(None, work_id).return_value for work_id in ids] == ["€" * n for n in sizes]


@both_engines
def test_most_of_both_at_once(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    text = "x" * (MOST - len('{"text":""}'))

    work_id = pool.enqueue_action(None, cloud.function(pool.action(echo)), {"text": text})
    cloud.run_until_idle()

    assert pool.result(None, work_id).return_value == text


def test_payload_one_byte_too_large_is_refused_or_fails(memory: LocalCloud) -> None:
    pool = memory.workpool()
    fn = memory.function(pool.action(lambda: "x" * (MOST - 1)), name="make")

    with pytest.raises(PayloadTooLarge, match="921600"):
        pool.enqueue_action(None, fn, {"text": "x" * MOST})
    work_id = pool.enqueue_action(None, fn, {}, retry=True)
    memory.run_until_idle()

    result = pool.result(None, work_id)
    assert (result.kind, result.error_type) == ("failed", "invalid_result")


def test_every_attempt_gets_arguments(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    seen: list[int] = []

    @pool.action
    def flaky(work: Work, text: str) -> str:
        seen.append(len(text))
        if work.attempt < 3:
            raise ConnectionError
        return "done"

    work_id = pool.enqueue_action(None, cloud.function(flaky), {"text": "x" * 500_000}, retry=True)
    cloud.run_until_idle()

    assert pool.result(None, work_id).return_value == "done"
    assert seen == [500_000] * 3


@both_engines
def test_chunks_expire_with_their_work_and_not_before(cloud: LocalCloud) -> None:
    """[WP-10] Pending, running, waiting for a retry: no chunk of an unfinished work carries a TTL."""
    pool = cloud.workpool(status_ttl=timedelta(hours=2))
    seen: list[Any] = []

    @pool.action
    def flaky(work: Work, text: str) -> str:
        seen.append(chunk_of(cloud, work.work_id, Part.ARGS).expires_at)
        if work.attempt < 2:
            raise ConnectionError
        return text

    work_id = pool.enqueue_action(
        None,
        cloud.function(flaky),
        {"text": "x" * 20_000},
        retry=True,
        run_after=timedelta(days=30),
    )
    seen.append(chunk_of(cloud, work_id, Part.ARGS).expires_at)
    cloud.run_until_idle(timeout=timedelta(days=31))

    finished_at = pool.status(None, work_id).finished_at
    expires_at = int((finished_at + timedelta(hours=2)).timestamp())
    assert seen == [None, None, None]
    assert [chunk_of(cloud, work_id, part).expires_at for part in (Part.ARGS, Part.RESULT)] == [
        expires_at,
        expires_at,
    ]


@pytest.mark.parametrize("status_ttl", [timedelta(hours=1), None], ids=["an hour", "for ever"])
def test_canceled_work_lets_its_arguments_expire(
    cloud: LocalCloud, status_ttl: timedelta | None
) -> None:
    pool = cloud.workpool(status_ttl=status_ttl)
    fn = cloud.function(pool.action(echo))
    work_id = pool.enqueue_action(None, fn, {"text": "x" * 500_000}, run_after=timedelta(days=1))

    answer = pool.cancel(None, work_id)

    expires_at = None if status_ttl is None else int((cloud.now + status_ttl).timestamp())
    assert answer == "canceled"
    assert [chunk_of(cloud, work_id, Part.ARGS, number).expires_at for number in range(2)] == [
        expires_at
    ] * 2


@pytest.mark.parametrize("claimed", [True, False], ids=["claimed", "retriable"])
def test_removed_arguments_fail_only_their_own_work(cloud: LocalCloud, claimed: bool) -> None:
    """[WP-12] At once and for good, with an error that explains it. Item and chunks expire as usual."""
    pool = cloud.workpool(max_parallelism=2)
    fn = cloud.function(pool.action(echo))
    bad, good = pool.enqueue_action_batch(
        None,
        fn,
        [{"text": "b" * 900_000}, {"text": "g" * 900_000}],
        retry=not claimed,
        run_after=timedelta(minutes=5),
    )
    table_of(cloud).delete(ChunkRef("default", bad, Part.ARGS, 1))

    cloud.run_until_idle()

    result = pool.result(None, bad)
    assert (result.kind, result.error_type) == ("failed", "payload_missing")
    assert pool.result(None, good).return_value == "g" * 900_000
    assert len(cloud.invocations(fn)) == 1
    assert [chunk_of(cloud, bad, Part.ARGS, number) is None for number in range(3)] == [
        False,
        True,
        False,
    ]
    assert chunk_of(cloud, bad, Part.ARGS, 2).expires_at is not None


def test_removed_result_is_not_found_and_stays_success(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, cloud.function(pool.action(echo)), {"text": "x" * 20_000})
    cloud.run_until_idle()
    table_of(cloud).delete(ChunkRef("default", work_id, Part.RESULT, 0))

    with pytest.raises(NotFound, match=f"{work_id}.*it succeeded"):
        pool.result(None, work_id)
    assert pool.status(None, work_id).outcome == "success"


def test_asking_for_status_reads_no_payload(memory: LocalCloud) -> None:
    pool = memory.workpool()
    work_id = pool.enqueue_action(None, memory.function(pool.action(echo)), {"text": "x" * 900_000})
    memory.run_until_idle()
    before = memory.capacity.read_units

    pool.status(None, work_id)
    pool.status_batch(None, [work_id])

    assert memory.capacity.read_units - before == 2


def test_small_works_cost_what_they_did(memory: LocalCloud) -> None:
    pool = memory.workpool()
    pool.enqueue_action(None, memory.function(pool.action(echo)), {"text": "x"}, retry=True)
    memory.run_until_idle()

    labels = set(memory.capacity.by_label)
    assert {label for label in labels if label.startswith("chunk") or label == "tx"} == set()


def test_canceled_attempt_takes_its_arguments_along(cloud: LocalCloud) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail(work: Work, text: str) -> None:
        pool.cancel(None, work.work_id)
        raise ConnectionError(text[:1])

    work_id = pool.enqueue_action(None, cloud.function(fail), {"text": "x" * 20_000}, retry=True)
    cloud.run_until_idle()

    assert pool.status(None, work_id).outcome == "canceled"
    assert chunk_of(cloud, work_id, Part.ARGS).expires_at is not None


def test_undecorated_function_whose_record_is_too_large_is_recovered(memory: LocalCloud) -> None:
    """A destination record holds request and response: above 1 MB Lambda drops it, and the start ends as one that never reported."""
    pool = memory.workpool()
    fn = memory.function(
        lambda event, _: event["text"], name="plain", timeout=timedelta(seconds=10)
    )
    fits = pool.enqueue_action(None, fn, {"text": "x" * 500_000})
    too_large = pool.enqueue_action(None, fn, {"text": "x" * 600_000})
    again = pool.enqueue_action(
        None, fn, {"text": "x" * 600_000}, retry=RetryPolicy(max_attempts=2)
    )

    memory.run_until_idle()

    assert pool.result(None, fits).kind == "success"
    assert [pool.result(None, one).error_type for one in (too_large, again)] == [
        "no_report",
        "no_report",
    ]
    assert len(memory.invocations(fn)) == 4


@pytest.mark.parametrize(("size", "at_once"), [(100, 64), (100_000, 16)])
def test_loop_makes_fewer_starts_at_time_of_large_arguments(size: int, at_once: int) -> None:
    """The loop holds the arguments of each start in several copies."""
    with LocalCloud(call_latency=timedelta(milliseconds=5)) as cloud:
        pool = cloud.workpool(max_parallelism=100)
        fn = cloud.function(lambda _event, _context: None, name="work")
        pool.enqueue_action_batch(None, fn, [{"text": "x" * size}] * 70)
        cloud.run_until_idle()
        lanes = {line.task for line in cloud.trace if line.task.startswith("workpool-loop#1/")}
        assert len(cloud.invocations(fn)) == 70

    assert len(lanes) == at_once

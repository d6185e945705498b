"""The section "Write workers": decorated and undecorated functions, their arguments, their ends, the Work handle."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workpool_aws import Result, RetryPolicy, Work, Workpool
from workpool_aws.local import LocalCloud

both_engines = pytest.mark.parametrize("cloud", ["memory", "moto"], indirect=True)

Answer = Callable[[Workpool, str], Result]

TWICE = RetryPolicy(max_attempts=2, jitter=False)


def run(
    cloud: LocalCloud, pool: Workpool, worker: Any, args: dict[str, object], **options: Any
) -> str:
    timeout = options.pop("timeout", timedelta(seconds=30))
    work_id = pool.enqueue_action(
        None,
        cloud.function(worker, timeout=timeout, takes=options.pop("takes", None)),
        args,
        **options,
    )
    cloud.run_until_idle()
    return work_id


@both_engines
@pytest.mark.parametrize("decorated", [True, False])
def test_exception_is_failure_with_its_class_and_text(
    cloud: LocalCloud, answer: Answer, decorated: bool
) -> None:
    pool = cloud.workpool()

    def fail(*_: object) -> None:
        raise LookupError("no such page")

    @pool.action
    def fail_decorated() -> None:
        fail()

    work_id = run(cloud, pool, fail_decorated if decorated else fail, {})

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "LookupError")
    assert "no such page" in str(result.error)


@pytest.mark.parametrize("decorated", [True, False])
@pytest.mark.parametrize(("retry", "attempts"), [(False, 1), (TWICE, 2)])
def test_timeout_is_failure_and_is_retried(
    cloud: LocalCloud, answer: Answer, decorated: bool, retry: Any, attempts: int
) -> None:
    pool = cloud.workpool()

    @pool.action
    def slow() -> None:
        return None

    handler: Any = slow if decorated else lambda event, ctx: None
    fn = cloud.function(
        handler, name="slow", timeout=timedelta(seconds=10), takes=timedelta(seconds=60)
    )
    work_id = pool.enqueue_action(None, fn, {}, retry=retry)
    cloud.run_until_idle()

    result = answer(pool, work_id)
    assert (result.kind, result.error_type) == ("failed", "timeout")
    deliveries = cloud.invocations(fn)
    assert [each.outcome for each in deliveries] == ["timeout"] * attempts
    assert all(
        each.ended_at is not None and each.ended_at - each.started_at == timedelta(seconds=10)
        for each in deliveries
    )


def test_worker_that_sleeps_beyond_its_timeout_is_ended(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    after: list[str] = []

    @pool.action
    def sleepy(work: Work) -> None:
        work.sleep(timedelta(minutes=10))
        after.append("still there")

    work_id = run(cloud, pool, sleepy, {}, timeout=timedelta(seconds=30))

    assert answer(pool, work_id).error_type == "timeout"
    assert after == []


@pytest.mark.parametrize("decorated", [True, False])
@pytest.mark.parametrize("code", [0, 1, "bye"])
def test_system_exit_is_failure_and_ends_nothing_else(
    cloud: LocalCloud, answer: Answer, decorated: bool, code: Any
) -> None:
    pool = cloud.workpool()

    @pool.action
    def leave() -> None:
        sys.exit(code)

    def leave_plainly(event: dict[str, Any], ctx: object) -> None:
        sys.exit(code)

    work_id = run(cloud, pool, leave if decorated else leave_plainly, {})
    other = run(cloud, pool, lambda event, ctx: "fine", {})

    assert answer(pool, work_id).kind == "failed"
    assert answer(pool, other).return_value == "fine"


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), float("nan"), b"x", {"a": {2: float("inf")}}, 1j],
    ids=lambda value: type(value).__name__,
)
def test_result_that_is_no_json_fails_without_retry(
    cloud: LocalCloud, answer: Answer, value: object
) -> None:
    pool = cloud.workpool()

    @pool.action
    def give() -> object:
        return value

    fn = cloud.function(give)
    work_id = pool.enqueue_action(None, fn, {}, retry=True)
    cloud.run_until_idle()

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == (
        "failed",
        "invalid_result",
    )
    assert len(cloud.invocations(fn)) == 1


def test_result_of_undecorated_function_that_is_no_json_fails(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()

    work_id = run(cloud, pool, lambda event, ctx: {1, 2}, {})

    assert answer(pool, work_id).kind == "failed"


@pytest.mark.parametrize("size", [921_599, 2_000_000])
def test_result_that_is_too_large_fails_work_and_no_other(
    cloud: LocalCloud, answer: Answer, size: int
) -> None:
    pool = cloud.workpool()

    @pool.action
    def give(n: int) -> str:
        return "x" * n

    work_id = run(cloud, pool, give, {"n": size}, retry=True)
    other = run(cloud, pool, give, {"n": 3})

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == (
        "failed",
        "invalid_result",
    )
    assert answer(pool, other).return_value == "xxx"


def test_long_error_text_is_kept_within_bounds(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ValueError("é" * 1_000_000)

    work_id = run(cloud, pool, fail, {})

    result = answer(pool, work_id)
    assert result.error_type == "ValueError"
    assert 100 < len(str(result.error)) < 100_000


def test_hostile_exception_is_still_failure(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()

    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    @pool.action
    def fail() -> None:
        raise Unprintable

    work_id = run(cloud, pool, fail, {})

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == (
        "failed",
        "Unprintable",
    )


@both_engines
def test_error_text_with_lone_surrogates_is_still_failure(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()

    @pool.action
    def fail() -> None:
        raise ValueError("bad \ud800 text")

    work_id = run(cloud, pool, fail, {})

    assert (answer(pool, work_id).kind, answer(pool, work_id).error_type) == (
        "failed",
        "ValueError",
    )


def test_function_that_is_not_there_ends_as_not_invocable(
    cloud: LocalCloud, answer: Answer
) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, "no-such-function", {})
    other = pool.enqueue_action(None, cloud.function(lambda event, ctx: "fine"), {})
    began = cloud.now
    cloud.run_until_idle()

    result = answer(pool, work_id)
    finished_at = pool.status(None, work_id).finished_at
    assert (result.kind, result.error_type) == ("failed", "not_invocable")
    assert "no-such-function" in str(result.error)
    assert finished_at is not None
    assert timedelta(minutes=1) <= finished_at - began <= timedelta(minutes=10)
    assert answer(pool, other).return_value == "fine"


def test_function_deployed_little_later_still_runs(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool()
    work_id = pool.enqueue_action(None, "late-function", {})
    cloud.advance(timedelta(seconds=40))

    cloud.function(lambda event, ctx: "there", name="late-function")
    cloud.run_until_idle()

    assert answer(pool, work_id).return_value == "there"


def test_work_handle_tells_about_attempt(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool("email")
    seen: list[Work] = []

    @pool.action
    def look(work: Work, n: int) -> dict[str, object]:
        seen.append(work)
        before = work.remaining
        work.sleep(timedelta(seconds=4))
        return {
            "id": work.work_id,
            "attempt": work.attempt,
            "pool": work.pool.name,
            "before": before.total_seconds(),
            "after": work.remaining.total_seconds(),
            "deadline": work.deadline.astimezone(UTC).isoformat(),
            "cancel": work.cancel_requested(),
            "n": n,
        }

    began = cloud.now
    work_id = run(cloud, pool, look, {"n": 5}, timeout=timedelta(seconds=20))

    value: Any = answer(pool, work_id).return_value
    assert (value["id"], value["attempt"], value["pool"], value["cancel"], value["n"]) == (
        work_id,
        1,
        "email",
        False,
        5,
    )
    assert 18 <= value["before"] <= 21
    assert 3.9 <= value["before"] - value["after"] <= 4.1
    assert (
        timedelta(seconds=18)
        <= datetime.fromisoformat(value["deadline"]) - began
        <= timedelta(seconds=22)
    )


def test_sleep_lets_virtual_time_pass_and_others_run(cloud: LocalCloud) -> None:
    pool = cloud.workpool(max_parallelism=3)

    @pool.action
    def nap(work: Work, seconds: int) -> None:
        work.sleep(timedelta(seconds=seconds))

    fn = cloud.function(nap, timeout=timedelta(minutes=5))
    began = cloud.now
    pool.enqueue_action_batch(None, fn, [{"seconds": 60}] * 3)
    cloud.run_until_idle()

    deliveries = cloud.invocations(fn)
    assert cloud.max_concurrency(fn) == 3
    assert all(
        each.ended_at is not None
        and timedelta(seconds=60) <= each.ended_at - began <= timedelta(seconds=62)
        for each in deliveries
    )


def test_worker_may_enqueue_more_work_through_its_pool(cloud: LocalCloud, answer: Answer) -> None:
    pool = cloud.workpool(max_parallelism=2)

    @pool.action
    def crawl(work: Work, depth: int) -> list[str]:
        if depth == 0:
            return []
        return [work.pool.enqueue_action(None, crawl_fn, {"depth": depth - 1}) for _ in range(2)]

    crawl_fn = cloud.function(crawl)
    work_id = pool.enqueue_action(None, crawl_fn, {"depth": 3})
    cloud.run_until_idle()

    assert len(cloud.invocations(crawl_fn)) == 15
    assert cloud.max_concurrency(crawl_fn) <= 2
    children: Any = answer(pool, work_id).return_value
    assert {each.outcome for each in pool.status_batch(None, children)} == {"success"}


@both_engines
def test_function_serves_several_pools(cloud: LocalCloud, answer: Answer) -> None:
    first, second = cloud.workpool("first"), cloud.workpool("second")

    @first.action
    def whose(work: Work) -> str:
        return work.pool.name

    fn = cloud.function(whose)
    mine, other = first.enqueue_action(None, fn, {}), second.enqueue_action(None, fn, {})
    cloud.run_until_idle()

    assert (answer(first, mine).return_value, answer(second, other).return_value) == (
        "first",
        "second",
    )


def test_worker_decorated_for_another_table_reports_to_one_in_event(
    cloud: LocalCloud, answer: Answer
) -> None:
    elsewhere = Workpool("another-table", name="elsewhere")

    @elsewhere.action
    def work(n: int) -> int:
        return n + 1

    pool = cloud.workpool()
    work_id = run(cloud, pool, work, {"n": 1})

    assert answer(pool, work_id).return_value == 2


@both_engines
def test_undecorated_function_gets_its_arguments_as_its_event(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    events: list[Any] = []

    def legacy(event: Any, ctx: Any) -> None:
        events.append(
            (json.loads(json.dumps(event)), ctx.aws_request_id, ctx.get_remaining_time_in_millis())
        )

    run(cloud, pool, legacy, {"to": "a", "n": [1]}, timeout=timedelta(seconds=12))

    ((event, request_id, remaining),) = events
    assert {key: value for key, value in event.items() if key != "_workpool"} == {
        "to": "a",
        "n": [1],
    }
    assert "_workpool" in event
    assert request_id
    assert 11_000 <= remaining <= 12_000


def test_claimed_work_in_two_deliveries_runs_once(answer: Answer) -> None:
    with LocalCloud(engine="memory", duplicate_deliveries=1.0, seed=11) as cloud:
        pool = cloud.workpool(max_parallelism=3)
        runs: list[int] = []

        @pool.action
        def send(n: int) -> int:
            runs.append(n)
            return n

        fn = cloud.function(send, takes=timedelta(seconds=2))
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(12)])
        ids += pool.enqueue_mutation_batch(None, fn, [{"n": n} for n in range(12, 20)])
        cloud.run_until_idle()

        outcomes = sorted(each.outcome for each in cloud.invocations(fn))
        assert sorted(runs) == list(range(20))
        assert outcomes == ["duplicate"] * 20 + ["success"] * 20
        assert cloud.max_concurrency(fn) == 3
        assert [answer(pool, work_id).return_value for work_id in ids] == list(range(20))


def test_claimed_work_that_times_out_never_runs_again() -> None:
    with LocalCloud(engine="memory", duplicate_deliveries=1.0, seed=5) as cloud:
        pool = cloud.workpool()
        runs: list[int] = []

        @pool.action
        def slow(n: int) -> None:
            runs.append(n)

        fn = cloud.function(slow, timeout=timedelta(seconds=5), takes=timedelta(seconds=50))
        ids = pool.enqueue_action_batch(None, fn, [{"n": n} for n in range(8)])
        cloud.run_until_idle()
        cloud.advance(timedelta(days=1))

        assert sorted(runs) == list(range(8))
        assert len(ids) == 8


def test_record_of_another_trigger_is_none_of_ours(cloud: LocalCloud) -> None:
    pool = cloud.workpool()
    events: list[Any] = []

    def shared(event: Any, ctx: Any) -> str:
        events.append(event)
        return "done"

    fn = cloud.function(shared)
    cloud.invoke(fn, {"Records": [{"eventSource": "aws:sqs"}]})
    work_id = pool.enqueue_action(None, fn, {"n": 1})
    cloud.run_until_idle()

    assert len(events) == 2
    assert pool.status(None, work_id).outcome == "success"

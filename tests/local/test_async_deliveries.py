"""Lambda's queue: retries, duplicates, losses, throttling, age."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from workpool_aws.errors import UsageError
from workpool_aws.local.faults.rates import Rates


def failing(_event: object, _context: object) -> None:
    raise ValueError("always")


def conditions(bench: Any) -> list[tuple[int, str, int]]:
    contexts = [(at, record["requestContext"]) for at, record in bench.records]
    return [
        (at, context["condition"], context["approximateInvokeCount"]) for at, context in contexts
    ]


@pytest.mark.parametrize(
    ("retries", "starts", "told_at"),
    [(0, [0], 0), (1, [0, 60], 60_000), (2, [0, 60, 180], 180_000)],
    ids=["none", "one", "two"],
)
def test_errors_are_tried_again_after_one_and_two_minutes(
    bench: Any, retries: int, starts: list[int], told_at: int
) -> None:
    bench.send(bench.deploy(failing, retries=retries, event_age_ms=3_600_000))
    bench.run()

    entries = bench.invocations("failing")
    assert [(each.started_at - entries[0].started_at).total_seconds() for each in entries] == starts
    assert conditions(bench) == [(told_at, "RetriesExhausted", retries + 1)]


def test_all_tries_share_request_id(bench: Any) -> None:
    ids: list[str] = []

    def work(_event: object, context: Any) -> None:
        ids.append(context.aws_request_id)
        raise ValueError

    bench.send(bench.deploy(work, retries=2, event_age_ms=3_600_000))
    bench.run()

    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert bench.records[0][1]["requestContext"]["requestId"] == ids[0]


def test_retry_that_succeeds_is_success(bench: Any) -> None:
    tries: list[int] = []

    def work(_event: object, _context: object) -> str:
        tries.append(1)
        if len(tries) < 2:
            raise ValueError("first")
        return "second"

    bench.send(bench.deploy(work, retries=2, event_age_ms=3_600_000))
    bench.run()

    assert conditions(bench) == [(60_000, "Success", 2)]


def test_event_that_would_be_too_old_is_not_tried_again_and_keeps_its_last_error(
    bench: Any,
) -> None:
    bench.send(bench.deploy(failing, retries=2, event_age_ms=60_000))
    bench.run()

    assert conditions(bench) == [(60_000, "EventAgeExceeded", 2)]
    assert bench.records[0][1]["responsePayload"]["errorType"] == "ValueError"


def test_full_function_lets_events_wait(bench: Any) -> None:
    arn = bench.deploy(lambda *_: bench.kernel.sleep(500), name="narrow", reserved=2)
    for _ in range(5):
        bench.send(arn)
    bench.run()

    assert bench.platform.log.most_at_once("narrow") == 2
    assert [condition for _, condition, _ in conditions(bench)] == ["Success"] * 5


def test_event_that_no_function_takes_ages_out_without_response(bench: Any) -> None:
    bench.send(
        bench.deploy(lambda *_: None, name="closed", reserved=0, event_age_ms=60_000), {"n": 1}
    )
    bench.run()

    ((at, condition, tries),) = conditions(bench)
    assert (condition, tries) == ("EventAgeExceeded", 0)
    assert at > 60_000
    assert set(bench.records[0][1]) == {"version", "timestamp", "requestContext", "requestPayload"}
    assert bench.invocations("closed") == []


def test_every_event_may_come_twice(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(duplicate_deliveries=1.0)
    bench.platform.send(bench.deploy(lambda *_: None, name="work", on_success=None), '{"n": 1}')
    bench.run()

    assert [each.event for each in bench.invocations("work")] == [{"n": 1}] * 2


def test_every_event_may_be_lost(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(lost_deliveries=1.0)
    bench.send(bench.deploy(lambda *_: None, name="work"))
    bench.run()

    assert bench.invocations("work") == []
    assert bench.records == []


def test_every_record_may_be_lost(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(lost_destinations=1.0)
    bench.send(bench.deploy(lambda *_: None, name="work"))
    bench.run()

    assert len(bench.invocations("work")) == 1
    assert bench.records == []


def test_rates_are_rates(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(seed=11, lost_deliveries=0.3, duplicate_deliveries=0.3)
    arn = bench.deploy(lambda *_: None, name="work", on_success=None)
    for _ in range(300):
        bench.send(arn)
    bench.run()

    # 210 arrive, 63 of them twice.
    assert 230 <= len(bench.invocations("work")) <= 315


def test_event_without_target_is_swallowed(bench: Any) -> None:
    bench.send("no-such-function")

    assert bench.run() == 0


def test_sends_of_one_instant_run_in_any_order_but_always_same(
    make_bench: Callable[..., Any],
) -> None:
    def order(seed: int) -> list[int]:
        bench = make_bench(seed=seed)
        seen: list[int] = []

        def work(event: Any, _context: object) -> None:
            bench.kernel.step("before")
            seen.append(event["n"])

        arn = bench.deploy(work)
        for n in range(6):
            bench.send(arn, {"n": n})
        bench.run(timedelta(seconds=1))
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(6)}) > 1


@pytest.mark.parametrize(
    "name", ["duplicate_deliveries", "lost_deliveries", "lost_destinations", "crash_rate"]
)
@pytest.mark.parametrize("value", [-0.1, 1.1, True, "0.5", None, float("nan")])
def test_rate_is_probability(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        Rates(**{name: value})
